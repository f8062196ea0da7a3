"""Size and sparsity of the first connection's weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from paysage import backends as be
from paysage.metrics.base import Metric

if TYPE_CHECKING:
    from paysage.metrics.assessment import ModelAssessment

# The least positive normal float32: what a column of zeros is divided by.
_TINY = 1.1754944e-38


def _first_weights(assessment: ModelAssessment) -> Any:
    """Weights of the first connection, (V, H)."""
    return assessment.model.connections[0].weights.W()


class WeightSparsity(Metric):
    """Mean participation ratio of the columns of the first connection, between 1/V and 1.

    The ratio of a column, (sum w^2)^2 / (V sum w^4), is the fraction of visible units that
    carry its weight: 1 for equal weights, 1/3 for Gaussian ones, 1/V where one unit has it all.
    A column of zeros counts as 0.
    """

    def measure(self, assessment: ModelAssessment) -> float:
        """The participation ratio of the model as it is; the minibatch plays no part."""
        return assessment.once(self.name, lambda: self._ratio(_first_weights(assessment)))

    @staticmethod
    def _ratio(weights: Any) -> float:
        # The ratio has no scale: with the largest entry at 1, no fourth power underflows.
        scale = be.tmax(be.tabs(weights), axis=0, keepdims=True)
        square = be.square(weights / be.clip(scale, a_min=_TINY))
        fourth = be.tsum(be.square(square), axis=0)
        # The fourth powers of a live column sum to 1 or more, those of a dead one to 0.
        ratio = be.square(be.tsum(square, axis=0)) / be.clip(fourth, a_min=1.0)
        return float(be.mean(ratio)) / be.shape(weights)[0]


class WeightSquare(Metric):
    """Sum of the squared weights of the first connection, a hidden unit."""

    def measure(self, assessment: ModelAssessment) -> float:
        """The mean squared norm of a column; the minibatch plays no part."""
        weights = _first_weights(assessment)
        return assessment.once(
            self.name, lambda: float(be.tsum(be.square(weights))) / be.shape(weights)[1]
        )
