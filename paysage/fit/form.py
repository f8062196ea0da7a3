"""Whether what a checkpoint holds has the form of what a training remembers."""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np

from paysage.errors import StorageError


def check_form(stored: Any, own: Any, where: str, rows: bool = True) -> None:
    """Raise a StorageError that names a place where a stored tree differs in form from one's own.

    Dictionaries have the same keys, lists the same length, arrays the same shape, and numbers stand
    for numbers. What is None or an empty list in one's own tree may be anything, and what is an
    array in it may be None. Without ``rows``, arrays may have other numbers of rows.
    """
    if isinstance(own, dict):
        if not isinstance(stored, dict) or set(stored) != set(own):
            _refuse(stored, f"the entries {sorted(own)}", where)
        for key in own:
            check_form(stored[key], own[key], f"{where}.{key}", rows)
    elif isinstance(own, list | tuple):
        if not isinstance(stored, list) or (own and len(stored) != len(own)):
            _refuse(stored, f"a list of {len(own)}", where)
        for n, pair in enumerate(zip(stored, own, strict=False)):
            check_form(*pair, f"{where}[{n}]", rows)
    elif isinstance(own, np.ndarray):
        first = 0 if rows else 1
        alike = isinstance(stored, np.ndarray) and stored.ndim == own.ndim
        alike = alike and stored.shape[first:] == own.shape[first:]
        if stored is not None and not alike:
            _refuse(stored, f"an array of shape {own.shape}", where)
    elif own is not None and not _same_kind(stored, own):
        _refuse(stored, f"a {type(own).__name__}", where)


def _same_kind(stored: Any, own: Any) -> bool:
    if isinstance(own, bool | str):
        return type(stored) is type(own)
    return isinstance(stored, Real) and not isinstance(stored, bool)


def _refuse(stored: Any, expected: str, where: str) -> None:
    shape = f" of shape {stored.shape}" if isinstance(stored, np.ndarray) else ""
    got = f"a {type(stored).__name__}{shape}"
    raise StorageError(f"{where} of the checkpoint is {got}; expected {expected}")
