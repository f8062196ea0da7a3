"""Means and variances of streams, distances and neighbours."""

from paysage.math_utils.neighbors import find_k_nearest_neighbors, pdist
from paysage.math_utils.online_covariance import MeanCovarianceArrayCalculator
from paysage.math_utils.online_moments import (
    MeanArrayCalculator,
    MeanCalculator,
    MeanVarianceArrayCalculator,
    MeanVarianceCalculator,
)

__all__ = [
    "MeanArrayCalculator",
    "MeanCalculator",
    "MeanCovarianceArrayCalculator",
    "MeanVarianceArrayCalculator",
    "MeanVarianceCalculator",
    "find_k_nearest_neighbors",
    "pdist",
]
