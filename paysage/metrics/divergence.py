"""Kullback-Leibler divergences estimated from nearest neighbours."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from paysage import backends as be
from paysage.errors import ConfigError, DataError, ShapeError
from paysage.math_utils import find_k_nearest_neighbors
from paysage.metrics.base import Metric

if TYPE_CHECKING:
    from paysage.metrics.assessment import ModelAssessment


def _kth_distance(x: Any, y: Any, k: int, exclude_self: bool = False) -> Any:
    """Distance of each row of x to its k-th nearest row of y, (rows,), not below the resolution.

    Rows that occur more than k times are at distance 0; the floor keeps the logarithm finite.
    """
    _, distances = find_k_nearest_neighbors(x, y, k, exclude_self)
    return be.clip(distances[:, k - 1], a_min=be.EPSILON)


def knn_divergence(here: Any, there: Any, k: int, divide_dimension: bool) -> float:
    """Estimate the divergence of the distribution of `there` from that of `here`.

    The mean over the rows of `here` of log(nu / rho) + log(m / (n - 1)), where rho is the
    distance to the k-th nearest of the other rows of `here` (n in all) and nu that to the k-th
    nearest row of `there` (m in all). Wang, Kulkarni & Verdú, "Divergence estimation for
    multidimensional densities via k-nearest-neighbor distances", IEEE Trans. Inf. Theory 2009,
    equation 5.

    Parameters
    ----------
    here, there : tensors (n, V) and (m, V)
        Samples of the two distributions.
    k : int
        Which neighbour is looked at: more is smoother and more biased.
    divide_dimension : bool
        Whether the logarithm of the distances stays as it is; otherwise it is multiplied by V,
        as the divergence of densities asks.

    Raises
    ------
    DataError
        There are too few rows for a k-th neighbour.
    """
    (n, dimension), (m, other) = be.shape(here), be.shape(there)
    if dimension != other:
        raise ShapeError(f"samples have {dimension} and {other} columns, expected the same number")
    if min(n, m) < k + 1:
        raise DataError(
            f"a divergence by {k} nearest neighbours got {n} and {m} rows, "
            f"expected at least {k + 1} of each: larger minibatches, a smaller k or other metrics"
        )
    rho = _kth_distance(here, here, k, exclude_self=True)
    log_ratio = be.log(_kth_distance(here, there, k) / rho)
    factor = 1 if divide_dimension else dimension
    return factor * float(be.mean(log_ratio)) + math.log(m / (n - 1))


class KLDivergence(Metric):
    """Divergence of the model from the data, by nearest neighbours among the fantasy particles.

    Large where the model misses regions that the data fill.

    Parameters
    ----------
    k : int
        Which neighbour is looked at.
    divide_dimension : bool
        Whether the logarithm of the distances is taken a dimension, see `knn_divergence`.

    Raises
    ------
    ConfigError
        `k` is not a positive integer.
    """

    option_names = ("k", "divide_dimension")

    def __init__(self, k: int = 5, divide_dimension: bool = True) -> None:
        if not isinstance(k, int) or isinstance(k, bool) or k < 1:
            raise ConfigError(f"{self.name} got k={k!r}, expected an integer of 1 or more")
        super().__init__()
        self.k = k
        self.divide_dimension = bool(divide_dimension)

    def measure(self, assessment: ModelAssessment) -> float:
        """The divergence estimated from one minibatch and its fantasy particles."""
        fantasy = assessment.fantasy.get_visible()
        return knn_divergence(assessment.data, fantasy, self.k, self.divide_dimension)


class ReverseKLDivergence(KLDivergence):
    """Divergence of the data from the model: the roles of `KLDivergence` swapped.

    Large where the model fills regions that the data leave empty.
    """

    def measure(self, assessment: ModelAssessment) -> float:
        """The divergence estimated from one minibatch and its fantasy particles."""
        fantasy = assessment.fantasy.get_visible()
        return knn_divergence(fantasy, assessment.data, self.k, self.divide_dimension)
