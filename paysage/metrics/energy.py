"""Distances between data and fantasy particles, and how the model's energy fluctuates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from paysage import backends as be
from paysage.math_utils import pdist
from paysage.metrics.base import Metric

if TYPE_CHECKING:
    from paysage.metrics.assessment import ModelAssessment


class EnergyCoefficient(Metric):
    """Normalized energy distance between data and fantasy particles, from 0 (alike) to 1.

    With A, B, C the mean Euclidean distances data-model, data-data and model-model (all pairs,
    those of a row with itself included) it is sqrt((2A - B - C) / 2A). Székely & Rizzo,
    "Energy statistics: a class of statistics based on distances", J. Stat. Plan. Inference 2013.
    """

    def measure(self, assessment: ModelAssessment) -> float:
        """The coefficient of one minibatch and as many fantasy particles."""
        data, fantasy = assessment.data, assessment.fantasy.get_visible()
        across = 2.0 * float(be.mean(pdist(data, fantasy)))
        within = _mean_within(data) + _mean_within(fantasy)
        if across == 0:  # all rows are one point: the two samples are alike
            return 0.0
        # The distance is never negative; its estimate in floating point can be.
        return max(0.0, (across - within) / across) ** 0.5


def _mean_within(sample: Any) -> float:
    """Mean distance between the rows of a sample, a row with itself included at exactly 0."""
    distances = pdist(sample, sample)
    be.fill_diagonal_(distances, 0.0)  # where the matrix product leaves a rounding error
    return float(be.mean(distances))


class HeatCapacity(Metric):
    """Variance of the joint energy of the fantasy particles over sqrt(number of parameters).

    At temperature 1 the variance of the energy is the heat capacity of the model; a peak during
    training marks the approach to a critical point.
    """

    def measure(self, assessment: ModelAssessment) -> float:
        """The variance over the particles that go with one minibatch, scaled."""
        model = assessment.model
        variance = float(be.var(model.joint_energy(assessment.fantasy)))
        return variance / max(1, model.num_parameters()) ** 0.5
