"""The narrow door to all numbers: `from paysage import backends as be`, then `be.dot(a, b)`.

Nothing is loaded at import. The first use of a name of the vocabulary loads the backend that the
file ``config.json`` or the environment selects (PAYSAGE_BACKEND, PAYSAGE_PROCESSOR) and puts
every name into this module, so that later uses cost an attribute look-up; `set_backend` does the
same at any time. `contract.py` lists the names and says what they mean.
"""

from typing import TYPE_CHECKING, Any, Final

from paysage.backends.selection import Selection as _Selection
from paysage.backends.selection import resolve as _resolve

if TYPE_CHECKING:
    from paysage.backends.contract import *  # noqa: F403

    EPSILON: float
    Float: Any
    Double: Any
    Int: Any
    Long: Any
    Byte: Any

_selection: _Selection | None = None
_published: frozenset[str] = frozenset()

# Names whose meaning surprised (the order of subtract and divide), and what to write instead.
_RETIRED: Final = {
    "add": "a + b",
    "add_": "b += a",
    "subtract": "b - a (the first argument was taken from the second)",
    "subtract_": "b -= a (the first argument was taken from the second)",
    "multiply": "a * b",
    "multiply_": "b *= a",
    "tmul": "a * b",
    "tmul_": "b *= a",
    "divide": "b / a (the second argument was divided by the first)",
    "divide_": "b /= a (the second argument was divided by the first)",
}


def set_backend(backend: str | None = None, processor: str | None = None) -> None:
    """Choose the backend and publish its vocabulary in this module.

    Tensors, models and random states made with another backend stay what they are; make new ones.

    Parameters
    ----------
    backend : 'python' or 'pytorch', optional
        NumPy and Numba, or PyTorch. None takes the environment's PAYSAGE_BACKEND or the file's.
    processor : 'cpu' or 'gpu', optional
        Where PyTorch works. None takes the environment's PAYSAGE_PROCESSOR or the file's, or the
        CPU for the backend 'python'.

    Raises
    ------
    BackendError
        If a name is unknown, PyTorch or the GPU is missing, or the backend breaks the contract.
        The backend in use before stays in use.
    """
    global _selection, _published
    from paysage.backends.loading import load

    selection = _resolve(backend, processor)
    names = load(selection)
    space = globals()
    for name in _published - names.keys():
        del space[name]
    space.update(names)
    _selection, _published = selection, frozenset(names)


def get_backend() -> _Selection:
    """The backend and the processor in use, or the ones that the first use would load."""
    return _resolve() if _selection is None else _selection


def __getattr__(name: str) -> Any:
    """Load the selected backend at the first use of a name of its vocabulary."""
    if not name.startswith("_"):
        if name in _RETIRED:
            raise AttributeError(f"backends.{name} does not exist: write {_RETIRED[name]}")
        if _selection is None and name in _vocabulary():
            set_backend()
            return globals()[name]
    raise AttributeError(f"module 'paysage.backends' has no attribute {name!r}{_hint(name)}")


def __dir__() -> list[str]:
    """The vocabulary and the functions that choose a backend."""
    return sorted({*globals(), *_vocabulary()})


def _vocabulary() -> "frozenset[str]":
    from paysage.backends.loading import vocabulary

    return vocabulary()


def _hint(name: str) -> str:
    from difflib import get_close_matches

    matches = get_close_matches(name, _vocabulary(), n=1)
    return f"; did you mean {matches[0]!r}?" if matches else ""
