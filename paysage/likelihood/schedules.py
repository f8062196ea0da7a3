"""Inverse temperatures between independent units at 0 and the model at 1."""

from __future__ import annotations

from typing import Any

import numpy as np

from paysage.checks import check_whole
from paysage.errors import ConfigError


def uniform(number: int) -> np.ndarray:
    """Evenly spaced from 0 to 1, (number + 1,)."""
    return np.linspace(0.0, 1.0, check_whole("the number of steps", number, 1) + 1)


def three_pieces(number: int = 14_500) -> np.ndarray:
    """Denser towards 1: 1/29 of the steps up to 0.5, 8/29 up to 0.9, the rest up to 1.

    With 14,500 steps it is the schedule of Salakhutdinov & Murray (ICML 2008).
    """
    number = check_whole("the number of steps", number, 1)
    bounds = [0, max(1, number // 29), max(2, 9 * number // 29), number]
    if number < 3:
        return uniform(number)
    ends = [0.0, 0.5, 0.9, 1.0]
    pieces = [
        np.linspace(ends[k], ends[k + 1], bounds[k + 1] - bounds[k], endpoint=False)
        for k in range(3)
    ]
    return np.append(np.concatenate(pieces), 1.0)


def respaced(betas: np.ndarray, increments: np.ndarray, number: int) -> np.ndarray:
    """Steps along which the log weights spread evenly, from a pilot run.

    The variance of an increment over a short step d is d² g(beta), and steps of length
    proportional to 1/sqrt(g) make the total variance least (Gelman & Meng, Statistical Science
    13, 1998).

    Parameters
    ----------
    betas : array (K + 1,)
        Of the pilot run.
    increments : array (K, num_chains)
        Of its log weights.
    number : int
        Steps of the new schedule.
    """
    spread = np.std(increments, axis=1)
    # a tenth of the mean keeps a stretch that seemed to cost nothing from being skipped
    length = np.cumsum(np.append(0.0, spread + 0.1 * max(spread.mean(), 1e-12)))
    steps = np.linspace(0.0, length[-1], check_whole("the number of steps", number, 1) + 1)
    found = np.interp(steps, length, betas)
    found[0], found[-1] = 0.0, 1.0
    return found


def checked(betas: Any) -> np.ndarray:
    """Inverse temperatures as an array; a number of steps are even ones.

    Raises
    ------
    ConfigError
        Unless they rise from 0 to 1.
    """
    try:
        found = np.array(betas, dtype=np.float64)
    except (TypeError, ValueError):
        raise ConfigError(f"betas are a number of steps or numbers, got {betas!r}") from None
    if found.ndim == 0:
        return uniform(betas)
    if found.ndim != 1 or len(found) < 2 or found[0] != 0 or found[-1] != 1:
        raise ConfigError(f"betas begin with 0 and end with 1, got {betas!r}")
    if not (np.diff(found) >= 0).all():
        raise ConfigError("betas must not fall, got some that do")
    return found
