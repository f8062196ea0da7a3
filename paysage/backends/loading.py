"""Load the files of a backend, hold them against the contract, and hand out the names."""

import inspect
from collections.abc import Callable
from functools import cache
from importlib import import_module
from typing import Any

# Not `from paysage.backends import contract`: that would ask the package's __getattr__ first.
import paysage.backends.contract as contract
from paysage.backends.selection import Selection
from paysage.errors import BackendError


def load(selection: Selection) -> dict[str, Any]:
    """All names of the vocabulary, with their values in a backend.

    The backend is told the processor last, when nothing else can fail, so that a failure leaves
    the one in use alone.

    Raises
    ------
    BackendError
        If PyTorch or the processor is missing, or the backend breaks the contract.
    """
    package, found = _import(selection.backend)
    names = checked(found, selection.backend)
    package.use(selection.processor)
    return names


@cache
def stubs() -> dict[str, Callable[..., Any]]:
    """The functions of the contract that each backend must have, by name."""
    return {
        name: value
        for name, value in vars(contract).items()
        if inspect.isfunction(value) and value.__module__ == contract.__name__
    }


@cache
def vocabulary() -> frozenset[str]:
    """Every name that a backend publishes."""
    common = (function.__name__ for function in contract.COMMON)
    return frozenset([*stubs(), *contract.CONSTANTS, *common])


def checked(found: dict[str, Any], backend: str) -> dict[str, Any]:
    """The names of the contract with their values, documented.

    Parameters
    ----------
    found : dict
        What the backend defines.
    backend : str
        Its name, for the error.

    Raises
    ------
    BackendError
        Naming all that is missing or has other parameters than the contract says.
    """
    problems = [name for name in contract.CONSTANTS if name not in found]
    for name, stub in stubs().items():
        if name not in found:
            problems.append(name)
        elif _parameters(found[name]) != _parameters(stub):
            got = inspect.signature(found[name])
            problems.append(f"{name}{got} instead of {name}{inspect.signature(stub)}")
    if problems:
        raise BackendError(
            f"the backend {backend!r} breaks the contract, missing or different: "
            + "; ".join(problems)
        )
    for name, stub in stubs().items():
        found[name].__doc__ = stub.__doc__
    names = {name: found[name] for name in (*contract.CONSTANTS, *stubs())}
    names.update((function.__name__, function) for function in contract.COMMON)
    return names


def _import(backend: str) -> tuple[Any, dict[str, Any]]:
    """The package of a backend and the contract's names that its files define."""
    path = f"paysage.backends.{backend}_backend"
    found: dict[str, Any] = {}
    try:
        package = import_module(path)
        for file in contract.FILES:
            module = vars(import_module(f"{path}.{file}"))
            found.update((name, module[name]) for name in vocabulary() & module.keys())
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise BackendError(
            "the backend 'pytorch' needs PyTorch, which is not installed: "
            "pip install 'paysage[torch]', or choose the backend 'python'"
        ) from error
    return package, found


@cache  # signatures take milliseconds, and a process may change its backend often
def _parameters(function: Callable[..., Any]) -> tuple[tuple[str, Any, Any], ...]:
    """Return the parameters' names, kinds and defaults, in order; annotations may differ."""
    parameters = inspect.signature(function).parameters.values()
    return tuple((p.name, p.kind, p.default) for p in parameters)
