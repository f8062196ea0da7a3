"""What annealed importance sampling gives: a number with an interval, from the chains' weights."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from paysage.likelihood.normalizable import checked_finite

#: standard errors on either side of an estimate in its interval
SIGMAS = 3.0


class Estimate(NamedTuple):
    """An estimate of the logarithm of the partition function."""

    log_partition: float
    low: float
    """three standard errors below, minus infinity where the chains disagree too much"""
    high: float
    """three standard errors above, infinity where those of the way back do"""
    effective_sample_size: float
    """number of equally weighted chains that would be worth as much"""
    increments: np.ndarray
    """of the log weights, (steps, num_chains)"""

    @property
    def log_weights(self) -> np.ndarray:
        """Logarithms of the importance weights of the chains, (num_chains,)."""
        return self.increments.sum(axis=0)


def estimated(increments: np.ndarray, log_base: float, sign: float, rounding: float) -> Estimate:
    """From log weights whose mean weight is (Z / Z_base) to the power of ``sign``.

    Parameters
    ----------
    increments : array (steps, num_chains)
    log_base : float
        Logarithm of Z_base.
    sign : float
        1, or -1 for weights of the way back.
    rounding : float
        Error of the log weights in single precision, by which the interval is widened.
    """
    log_weights = increments.sum(axis=0)
    top = checked_finite(float(log_weights.max()))
    weights = np.exp(log_weights - top)
    mean, number = float(weights.mean()), len(weights)
    error = float(weights.std(ddof=1)) / (mean * math.sqrt(number))
    centre = top + math.log(mean)
    bounds = sorted(
        sign * (centre + math.log(factor) if factor > 0 else -math.inf)
        for factor in (1 - SIGMAS * error, 1 + SIGMAS * error)
    )
    size = float(weights.sum() ** 2 / np.square(weights).sum())
    low, high = log_base + bounds[0] - rounding, log_base + bounds[1] + rounding
    return Estimate(log_base + sign * centre, low, high, size, increments)
