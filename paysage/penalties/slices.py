"""The part of a tensor that a penalty looks at, as an index and as JSON."""

from typing import Any

from paysage.errors import ConfigError


def as_tuple(part: Any) -> tuple[Any, ...]:
    """Return a slice tuple after a check that it can be stored; None and ... mean all."""
    if part is None or part is ...:
        return (slice(None),)
    part = part if isinstance(part, tuple) else (part,)
    for index in part:
        encode_index(index)
    return part


def widen(index: Any) -> Any:
    """An integer as a slice of length one, so that the part has as many axes as the tensor."""
    if isinstance(index, int):
        return slice(index, index + 1 or None)
    return index


def encode_index(index: Any) -> Any:
    """One entry of a slice tuple as JSON: an integer, a list of them, or a slice."""
    if isinstance(index, slice):
        return {"slice": [index.start, index.stop, index.step]}
    numbers = index if isinstance(index, list) else [index]
    if not all(isinstance(n, int) and not isinstance(n, bool) for n in numbers):
        raise ConfigError(
            f"a slice tuple consists of slices, integers and lists of integers; got {index!r}"
        )
    if len(set(numbers)) < len(numbers):
        raise ConfigError(f"a slice tuple names an element once; got {index!r}")
    return index


def decode_index(index: Any) -> Any:
    """The entry that `encode_index` made JSON of."""
    return slice(*index["slice"]) if isinstance(index, dict) else index
