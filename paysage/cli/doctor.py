"""`paysage doctor`: what Paysage works with on this machine, and what could be better."""

from __future__ import annotations

import argparse
import os
import platform
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from paysage import __version__
from paysage.cli.options import add_output
from paysage.cli.output import FAILED, OK, Result
from paysage.errors import BackendError

SUMMARY = "look at backends, BLAS, threads, caches and the GPU, and give advice"
EXAMPLE = "  paysage doctor"
OPTIONAL = {"matplotlib": "examples", "sklearn": "sklearn", "tensorboard": "tensorboard"}


def add_options(parser: argparse.ArgumentParser) -> None:
    """Nothing but how to show it."""
    add_output(parser)


def command(options: argparse.Namespace) -> Result:
    """Ask every part how it is; the status is 1 if the chosen backend does not work."""
    advice: list[str] = []
    facts: dict[str, Any] = {
        "paysage": __version__,
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}",
        "cores": _cores(),
        **_backend(advice),
        "blas": _blas(advice),
        "thread variables": _variables(advice),
        "numba": _numba(advice),
        "torch": _torch(advice),
        "optional packages": _optional(advice),
        "mnist": _mnist(advice),
    }
    lines = [f"{name}: {_shown(value)}" for name, value in facts.items()]
    lines += ["", *(f"advice: {line}" for line in advice or ["none: all is well"])]
    works = facts["backend works"] is True
    return Result(lines, {**facts, "advice": advice}, OK if works else FAILED)


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {item}" for name, item in value.items()) or "none"
    if isinstance(value, list):
        return "; ".join(map(_shown, value)) or "none"
    return "yes" if value is True else str(value)


def _cores() -> int:
    """Cores that this process may use."""
    allowed = getattr(os, "sched_getaffinity", None)
    return len(allowed(0)) if allowed else os.cpu_count() or 1


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "of unknown version"


def _backend(advice: list[str]) -> dict[str, Any]:
    """The backend that is chosen, and a product in it, beside NumPy's."""
    from paysage import backends as be

    try:
        chosen = be.get_backend()
        be.set_backend(*chosen)
        product = be.dot(be.ones((3, 4)), be.ones((4, 5)))
        works: Any = bool(be.allclose(product, 4.0 * be.ones((3, 5))))
    except BackendError as error:
        advice.append(str(error))
        return {"backend": "none", "backend works": str(error)}
    if chosen.processor == "cpu" and _has_gpu():
        advice.append("there is a GPU: PAYSAGE_BACKEND=pytorch PAYSAGE_PROCESSOR=gpu uses it")
    return {"backend": f"{chosen.backend} on the {chosen.processor}", "backend works": works}


def _blas(advice: list[str]) -> list[dict[str, Any]]:
    """The libraries that NumPy's matrix products are made by."""
    import numpy as np
    from threadpoolctl import threadpool_info

    found = [
        {
            "library": entry["internal_api"],
            "version": entry["version"],
            "kernels": entry.get("architecture", "unknown"),
            "threads": entry["num_threads"],
        }
        for entry in threadpool_info()
        if entry["user_api"] == "blas"
    ]
    if not found:
        advice.append(f"NumPy {np.__version__} has no BLAS that threadpoolctl knows: is it slow?")
    return found


def _variables(advice: list[str]) -> dict[str, str]:
    from paysage.threads import VARIABLES

    found = {name: os.environ[name] for name in VARIABLES if name in os.environ}
    if found and _cores() > 1:
        advice.append(
            f"the number of threads is chosen by {' and '.join(found)}: Paysage, which trains with "
            "products of one thread each, several at once, then makes them one after the other"
        )
    return found


def _numba(advice: list[str]) -> dict[str, Any]:
    """Its version, and where compiled kernels are kept from one process to the next."""
    named = os.environ.get("NUMBA_CACHE_DIR")
    import paysage.backends.cpu as compiled

    folder = Path(named) if named else Path(str(compiled.__file__)).parent / "__pycache__"
    place = folder if folder.exists() else folder.parent
    kept = os.access(place, os.W_OK)
    if not kept:
        advice.append(f"{folder} cannot be written: NUMBA_CACHE_DIR=... saves compiling each time")
    return {"version": _version("numba"), "cache": folder, "writable": kept}


def _torch(advice: list[str]) -> dict[str, Any] | str:
    if find_spec("torch") is None:
        return "not installed"
    import torch

    found: dict[str, Any] = {"version": torch.__version__, "cuda": torch.version.cuda or "none"}
    if _has_gpu():
        free, total = torch.cuda.mem_get_info()
        found["gpu"] = torch.cuda.get_device_name()
        found["memory"] = f"{free / 2**30:.1f} of {total / 2**30:.1f} GiB free"
    elif torch.version.cuda:
        found["gpu"] = "none found"
    return found


def _has_gpu() -> bool:
    if find_spec("torch") is None:
        return False
    import torch

    return torch.cuda.is_available()


def _optional(advice: list[str]) -> dict[str, str]:
    found = {}
    for name, extra in OPTIONAL.items():
        package = "scikit-learn" if name == "sklearn" else name
        if find_spec(name) is None:
            advice.append(f"{package} is not installed: pip install 'paysage[{extra}]'")
        found[package] = _version(package) if find_spec(name) else "not installed"
    return found


def _mnist(advice: list[str]) -> str:
    from paysage import datasets

    found = datasets.find_mnist()
    if found is None:
        advice.append(f"MNIST is not here: {datasets.HOW_TO_GET_MNIST}")
    return str(found or "not found")
