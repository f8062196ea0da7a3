"""Checks of arguments that many rooms share."""

from __future__ import annotations

import math
import operator
from collections.abc import Collection
from numbers import Real
from typing import Any

import numpy as np

from paysage.errors import ConfigError


def is_whole(value: Any, smallest: int = 0) -> bool:
    """Whether something is an integer, of Python or NumPy, and no truth value, that is so large."""
    if isinstance(value, bool):
        return False
    try:
        return operator.index(value) >= smallest
    except TypeError:
        return False


def check_whole(name: str, value: Any, smallest: int = 0) -> int:
    """The value as an int; a ConfigError unless it is a whole number that is at least so large."""
    if not is_whole(value, smallest):
        raise ConfigError(f"{name} must be a whole number, at least {smallest}, got {value!r}")
    return operator.index(value)


def is_one_of(value: Any, names: Collection[str]) -> bool:
    """Whether something is a string, and one of these."""
    return isinstance(value, str) and value in names


def check_list(expected: str, value: Any) -> list[Any]:
    """What can be iterated over as a list; else a ConfigError that says what is expected."""
    try:
        return list(value)
    except TypeError as error:
        raise ConfigError(f"{expected}, got {value!r}") from error


def is_real(value: Any) -> bool:
    """Whether something is a real number that a float can hold, and no truth value; also NaN.

    A duration of NumPy is an integer by its type, and no number.
    """
    if not isinstance(value, Real) or isinstance(value, bool | np.timedelta64):
        return False
    try:
        float(value)
    except OverflowError:
        return False
    return True


def check_number(name: str, value: Any, smallest: float = 0.0) -> float:
    """The value as a float; a ConfigError unless it is a finite number at least so large."""
    if not is_real(value) or not (math.isfinite(value) and smallest <= float(value)):
        least = "" if smallest == -math.inf else f" at least {smallest:g},"
        raise ConfigError(f"{name} must be a finite number,{least} got {value!r}")
    return float(value)


def check_part(name: str, value: Any) -> float:
    """The value as a float; a ConfigError unless it is a number from 0 to 1, one excluded."""
    if not is_real(value) or not 0 <= float(value) < 1:
        raise ConfigError(f"{name} must be at least 0 and below 1, got {value!r}")
    return float(value)


def check_flag(name: str, value: Any) -> bool:
    """The value as a bool; a ConfigError unless it is true or false, or 1 or 0."""
    if not isinstance(value, bool | np.bool_) and not (is_whole(value) and value <= 1):
        raise ConfigError(f"{name} must be True or False, got {value!r}")
    return bool(value)
