"""Which backend and which processor: the file, overridden by the environment, by the call."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from paysage.errors import BackendError

CONFIG_FILE = Path(__file__).with_name("config.json")
ALLOWED = {"backend": ("python", "pytorch"), "processor": ("cpu", "gpu")}
ENVIRONMENT = {"backend": "PAYSAGE_BACKEND", "processor": "PAYSAGE_PROCESSOR"}


class Selection(NamedTuple):
    """The backend in use and the processor that it works on."""

    backend: str
    processor: str


def resolve(backend: str | None = None, processor: str | None = None) -> Selection:
    """Work out the backend and the processor from the file, the environment and the call.

    A source that names the backend `python` and no processor means the CPU, where that backend
    lives, whatever the sources below it say.

    Parameters
    ----------
    backend : {'python', 'pytorch'}, optional
        The call's choice; None leaves it to the environment, then to the file.
    processor : {'cpu', 'gpu'}, optional
        The call's choice; None leaves it to the environment, then to the file.

    Raises
    ------
    BackendError
        If a source holds an unknown name or the sources together ask for `python` on the GPU.
    """
    chosen = {"backend": "python", "processor": "cpu"}
    for settings in (_from_file(CONFIG_FILE), _from_environment(), _call(backend, processor)):
        if settings.get("backend") == "python" and "processor" not in settings:
            chosen["processor"] = "cpu"
        chosen.update(settings)
    if chosen["backend"] == "python" and chosen["processor"] == "gpu":
        raise BackendError(
            "got processor 'gpu' with backend 'python', which works on the 'cpu' only: "
            "for the GPU call set_backend('pytorch', 'gpu')"
        )
    return Selection(**chosen)


def _from_file(path: Path) -> dict[str, str]:
    """The settings of a JSON file."""
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BackendError(f"{path} cannot be read as JSON: {error}") from error
    if not isinstance(settings, dict):
        raise BackendError(
            f"{path}: got {type(settings).__name__}, expected an object with the keys "
            f"{_listed(ALLOWED)}"
        )
    return _checked(settings, str(path))


def _from_environment() -> dict[str, str]:
    """The settings of the environment variables that are set and not empty."""
    settings = {}
    for key, variable in ENVIRONMENT.items():
        if value := os.environ.get(variable):
            settings.update(_checked({key: value}, f"environment variable {variable}"))
    return settings


def _call(backend: str | None, processor: str | None) -> dict[str, str]:
    """The settings of a call of `set_backend`, without what was left out."""
    settings = {"backend": backend, "processor": processor}
    return _checked({k: v for k, v in settings.items() if v is not None}, "set_backend")


def _checked(settings: Mapping[str, Any], source: str) -> dict[str, str]:
    """The settings, if all their keys and values are known; the error names the source."""
    for key, value in settings.items():
        if key not in ALLOWED:
            raise BackendError(f"{source}: got the key {key!r}, expected {_listed(ALLOWED)}")
        if not isinstance(value, str) or value not in ALLOWED[key]:
            raise BackendError(f"{source}: got {key} = {value!r}, expected {_listed(ALLOWED[key])}")
    return dict(settings)


def _listed(names: Any) -> str:
    """Names for a sentence: 'a' or 'b'."""
    return " or ".join(repr(name) for name in names)
