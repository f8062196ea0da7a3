"""Kullback-Leibler divergences estimated from nearest neighbours."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from paysage import backends as be
from paysage.errors import ConfigError, DataError
from paysage.math_utils.pairs import SamplePairs
from paysage.metrics.base import Metric

if TYPE_CHECKING:
    from paysage.metrics.assessment import ModelAssessment


def knn_divergence(pairs: SamplePairs, of: int, k: int, divide_dimension: bool) -> float:
    """Estimate the divergence of the distribution of one sample from that of the other.

    The mean over the rows of the sample `of` of log(nu / rho) + log(m / (n - 1)), where rho is the
    distance to the k-th nearest of the other rows of that sample (n in all) and nu that to the
    k-th nearest row of the other one (m in all). Wang, Kulkarni & Verdú, "Divergence estimation
    for multidimensional densities via k-nearest-neighbor distances", IEEE Trans. Inf. Theory
    2009, equation 5. Distances below the resolution of Float, as those of equal rows, count as
    that, which keeps the logarithm finite.

    Parameters
    ----------
    pairs : SamplePairs
        The samples.
    of : 0 or 1
        The sample whose rows the mean is taken over.
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
    to = 1 - of
    n, m = pairs.num[of], pairs.num[to]
    check_rows(pairs, k)
    rho = be.clip(pairs.kth_distance(of, of, k), a_min=be.EPSILON)
    nu = be.clip(pairs.kth_distance(of, to, k), a_min=be.EPSILON)
    factor = 1 if divide_dimension else pairs.dimension
    return factor * be.item(be.mean(be.log(nu / rho))) + math.log(m / (n - 1))


def check_rows(pairs: SamplePairs, k: int) -> None:
    """Raise a DataError unless each row has a k-th neighbour in either sample."""
    n, m = pairs.num
    if min(n, m) < k + 1:
        raise DataError(
            f"a divergence by {k} nearest neighbours got {n} and {m} rows, "
            f"expected at least {k + 1} of each: larger minibatches, a smaller k or other metrics"
        )


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
        return knn_divergence(assessment.pairs, 0, self.k, self.divide_dimension)


class ReverseKLDivergence(KLDivergence):
    """Divergence of the data from the model: the roles of `KLDivergence` swapped.

    Large where the model fills regions that the data leave empty.
    """

    def measure(self, assessment: ModelAssessment) -> float:
        """The divergence estimated from one minibatch and its fantasy particles."""
        return knn_divergence(assessment.pairs, 1, self.k, self.divide_dimension)
