"""Fréchet distance between the Gaussians that fit data and fantasy particles."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from paysage import backends as be
from paysage.errors import DataError, DivergenceError
from paysage.math_utils import MeanCovarianceArrayCalculator
from paysage.metrics.base import Metric

if TYPE_CHECKING:
    from paysage.metrics.assessment import ModelAssessment


def frechet_distance(mean_1: Any, cov_1: Any, mean_2: Any, cov_2: Any) -> float:
    """Squared Fréchet (2-Wasserstein) distance between two Gaussians.

    |m1 - m2|² + Tr(C1 + C2 - 2 (C1^½ C2 C1^½)^½), the roots being those of symmetric matrices
    with no negative eigenvalue: nothing becomes complex, whatever the rank (Dowson & Landau, "The
    Fréchet distance between multivariate normal distributions", J. Multivariate Anal. 12, 1982).

    Parameters
    ----------
    mean_1, mean_2 : Double tensors (V,)
    cov_1, cov_2 : Double tensors (V, V)
        Symmetric and positive semi-definite.
    """
    root = be.matrix_sqrt(cov_1)
    cross = be.matrix_sqrt(be.dot(be.dot(root, cov_2), root))
    shift = be.item(be.tsum(be.square(mean_1 - mean_2)))
    spread = be.item(be.tsum(be.diag(cov_1) + be.diag(cov_2) - 2.0 * be.diag(cross)))
    return max(0.0, shift + spread)  # rounding can make a distance of zero negative


class FrechetScore(Metric):
    """Squared Fréchet distance between the Gaussian fits of data and fantasy particles.

    Means and covariances are those of all N rows of all minibatches, in double precision, and are
    divided by N: the maximum-likelihood fit, which exists for a single row too. A mean of
    the minibatches' own distances would be far too large: the covariance of 100 rows of 784 pixels
    has rank 99. What is left of that: for N rows of equal distributions in V dimensions the
    expected score is not 0 but of the order Tr(C) V / N. Dowson & Landau 1982; as a score of
    generators, Heusel et al., "GANs trained by a two time-scale update rule", NeurIPS 2017.
    """

    def measure(self, assessment: ModelAssessment) -> float:
        """The distance for one minibatch alone; see above for what is wrong with it."""
        alone = type(self)()
        alone.update(assessment)
        return alone.value()

    def update(self, assessment: ModelAssessment) -> None:
        """Take in the rows of one more minibatch and its particles."""
        self._data.update(assessment.data)
        self._fantasy.update(assessment.fantasy.get_visible())

    def value(self) -> float:
        """The distance between all rows and all particles seen since the last reset.

        Raises
        ------
        DataError
            No minibatch has been seen.
        DivergenceError
            A row or a particle is NaN or infinite.
        """
        if self._data.num == 0:
            raise DataError(
                f"{self.name} has no value: it was given no minibatch, at least 1 is needed"
            )
        for what, moments in (("data", self._data), ("fantasy particles", self._fantasy)):
            if not be.is_finite_all(moments.cov):
                raise DivergenceError(f"{self.name} got {what} that are NaN or infinite")
        data, fantasy = self._data, self._fantasy
        return frechet_distance(data.mean, data.cov, fantasy.mean, fantasy.cov)

    def reset(self) -> None:
        """Forget every minibatch."""
        self._data = MeanCovarianceArrayCalculator()
        self._fantasy = MeanCovarianceArrayCalculator()
