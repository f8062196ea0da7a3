"""The part of the vocabulary that is pure Python and the same for every backend."""

from collections.abc import Callable, Iterable, Sequence
from functools import reduce
from operator import add
from typing import Any


def do_nothing(anything: Any) -> Any:
    """Give back the argument, unchanged."""
    return anything


def _rebuild(original: Iterable[Any], values: list[Any]) -> Any:
    """Put values into a sequence of the type of the original; other iterables give a list."""
    if isinstance(original, tuple):
        # A named tuple takes its fields one by one; a plain tuple takes them all at once.
        return type(original)(*values) if hasattr(original, "_fields") else tuple(values)
    return values


def apply(func: Callable[[Any], Any], a: Iterable[Any]) -> Any:
    """Map a function over an iterable.

    Returns
    -------
    list, tuple or named tuple
        Of the type of the argument; a list for any other iterable.
    """
    return _rebuild(a, [func(x) for x in a])


def apply_(func_: Callable[[Any], Any], a: Iterable[Any]) -> None:
    """Call a function that works in place on each item of an iterable."""
    for x in a:
        func_(x)


def mapzip(func: Callable[..., Any], a: Iterable[Any], b: Iterable[Any]) -> Any:
    """Map a function of two arguments over two iterables of one length.

    Returns
    -------
    list, tuple or named tuple
        Of the type of the first iterable; a list where that is neither.

    Raises
    ------
    ValueError
        If one iterable ends before the other.
    """
    return _rebuild(a, [func(x, y) for x, y in zip(a, b, strict=True)])


def mapzip_(func_: Callable[..., Any], a: Iterable[Any], b: Iterable[Any]) -> None:
    """Call a function that works in place on each pair of items of two iterables of one length.

    Raises
    ------
    ValueError
        If one iterable ends before the other.
    """
    for x, y in zip(a, b, strict=True):
        func_(x, y)


def accumulate(func: Callable[[Any], Any], a: Iterable[Any]) -> Any:
    """Return the sum of func(x) over the items x of an iterable; 0 if it is empty."""
    values = [func(x) for x in a]
    # Starting at the first value leaves its dtype alone.
    return reduce(add, values) if values else 0


def maybe_print(*args: Any, verbose: bool = True, **kwargs: Any) -> None:
    """Print the arguments if `verbose` is true; other keywords are those of `print`."""
    if verbose:
        print(*args, **kwargs)


def maybe_key(
    dictionary: Any, key: Any, default: Any = None, func: Callable[[Any], Any] = do_nothing
) -> Any:
    """func(dictionary[key]), or the default, untouched, where the key is absent."""
    return func(dictionary[key]) if key in dictionary else default


def force_list(anything: Any) -> list[Any]:
    """A list of the argument: a list or tuple becomes one; None gives []; anything else, [it]."""
    if anything is None:
        return []
    if isinstance(anything, (list, tuple)):
        return list(anything)
    return [anything]


def force_unlist(anything: Any) -> Any:
    """The item of a list or tuple that holds just one; anything else as it is."""
    if isinstance(anything, Sequence) and not isinstance(anything, str) and len(anything) == 1:
        return anything[0]
    return anything
