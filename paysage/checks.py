"""Checks of arguments that many rooms share."""

from __future__ import annotations

import math
import operator
from numbers import Real
from typing import Any

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


def check_number(name: str, value: Any, smallest: float = 0.0) -> float:
    """The value as a float; a ConfigError unless it is a finite number at least so large."""
    if not isinstance(value, Real) or not (math.isfinite(value) and smallest <= float(value)):
        least = "" if smallest == -math.inf else f" at least {smallest:g},"
        raise ConfigError(f"{name} must be a finite number,{least} got {value!r}")
    return float(value)
