"""Names in stored configurations, and the classes and functions that they stand for."""

import difflib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from paysage.errors import ConfigError, PaysageError


class Registry:
    """Finds a class or a function by the name under which a configuration holds it.

    Parameters
    ----------
    what : str
        What the entries are, for error messages: "penalty", "constraint".
    """

    def __init__(self, what: str) -> None:
        self.what = what
        self.entries: dict[str, Any] = {}

    def add(self, entry: Any) -> Any:
        """Register under the entry's own name; defining it anew, as in a notebook, replaces it."""
        name = entry.__name__
        present = self.entries.get(name, entry)
        if not _same_definition(present, entry):
            raise ConfigError(
                f"the {self.what} name '{name}' belongs to {present.__module__}.{name}: "
                f"give {entry.__module__}.{name} another name"
            )
        self.entries[name] = entry
        return entry

    def get(self, name: Any) -> Any:
        """The entry of that name, or a ConfigError with the nearest names."""
        if isinstance(name, str) and name in self.entries:
            return self.entries[name]
        near = difflib.get_close_matches(str(name), self.entries, n=1)
        hint = f"did you mean '{near[0]}'?" if near else f"known: {', '.join(sorted(self.entries))}"
        raise ConfigError(
            f"unknown {self.what} {name!r} ({hint}); one of your own must be defined before loading"
        )

    def name_of(self, entry: Any) -> str | None:
        """The name of a registered entry; None for one that is not registered."""
        name = getattr(entry, "__name__", None)
        known = self.entries.get(name) if name else None
        return name if known is not None and _same_definition(known, entry) else None


def _same_definition(first: Any, second: Any) -> bool:
    return first is second or (
        first.__module__ == getattr(second, "__module__", None)
        and first.__qualname__ == getattr(second, "__qualname__", None)
    )


@contextmanager
def configuring(what: str) -> Iterator[None]:
    """Have whatever a configuration of another shape leads to be a ConfigError."""
    try:
        yield
    except PaysageError:
        raise
    except (
        ArithmeticError,
        AttributeError,
        LookupError,
        MemoryError,
        RuntimeError,  # also that of PyTorch when memory is short
        TypeError,
        ValueError,
    ) as error:
        raise ConfigError(f"no {what} can be made from this configuration: {error!r}") from error


def encode_argument(value: Any, where: str) -> Any:
    """A bound argument as JSON: arrays and tensors become nested lists with their dtype."""
    if hasattr(value, "detach"):
        value = value.detach().cpu().numpy()
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, np.ndarray) and value.dtype.kind in "biufU":
        return {"array": value.tolist(), "dtype": value.dtype.str}
    if isinstance(value, list | tuple):
        return [encode_argument(item, where) for item in value]
    if isinstance(value, dict):
        return {str(key): encode_argument(item, where) for key, item in value.items()}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise ConfigError(
        f"{where} is bound to a {type(value).__name__}, which a configuration cannot hold; "
        "expected numbers, strings, arrays, or lists and dictionaries of them"
    )


def decode_argument(value: Any) -> Any:
    """The inverse of `encode_argument`; tensors come back as NumPy arrays, tuples as lists."""
    if isinstance(value, dict) and set(value) == {"array", "dtype"}:
        return _decode_array(value["array"], np.dtype(value["dtype"]))
    if isinstance(value, list):
        return [decode_argument(item) for item in value]
    if isinstance(value, dict):
        return {key: decode_argument(item) for key, item in value.items()}
    return value


def _decode_array(values: Any, dtype: np.dtype) -> np.ndarray:
    array = np.array(values)
    if dtype.kind == "U" and array.dtype.kind == "U" and array.dtype.itemsize <= dtype.itemsize:
        return array  # the length of text is that of the longest, whatever is declared
    if dtype.kind not in "biuf" or (array.size and array.dtype.kind not in "biuf"):
        raise ConfigError(f"an array of {array.dtype} is to be {dtype}; expected numbers or text")
    return array.astype(dtype)


def encode_arguments(name: str, args: Iterable[Any], kwargs: dict[str, Any]) -> dict[str, Any]:
    """The configuration of a function with bound arguments: name, args, kwargs."""
    return {
        "name": name,
        "args": [encode_argument(value, f"an argument of {name}") for value in args],
        "kwargs": {
            key: encode_argument(value, f"argument '{key}' of {name}")
            for key, value in kwargs.items()
        },
    }


def decode_arguments(
    config: dict[str, Any], registry: Registry
) -> tuple[Callable[..., Any], list[Any], dict[str, Any]]:
    """The function, args and kwargs of a configuration."""
    if not isinstance(config, dict) or "name" not in config:
        raise ConfigError(
            f"the configuration of a {registry.what} is a dictionary with a 'name'; got {config!r}"
        )
    with configuring(registry.what):
        args = decode_argument(list(config.get("args") or ()))
        kwargs = decode_argument(dict(config.get("kwargs") or {}))
        return registry.get(config["name"]), args, kwargs
