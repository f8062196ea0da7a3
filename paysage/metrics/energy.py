"""Distances between data and fantasy particles, and how the model's energy fluctuates."""

from __future__ import annotations

from typing import TYPE_CHECKING

from paysage import backends as be
from paysage.errors import DataError
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
        pairs = assessment.pairs
        across = 2.0 * pairs.mean_distance(0, 1)
        within = pairs.mean_distance(0, 0) + pairs.mean_distance(1, 1)
        if across == 0:  # all rows are one point: the two samples are alike
            return 0.0
        # The distance is never negative; its estimate in floating point can be. NaN stays NaN.
        return max((across - within) / across, 0.0) ** 0.5


class HeatCapacity(Metric):
    """Variance of the joint energy of the fantasy particles over sqrt(number of parameters).

    At temperature 1 the variance of the energy is the heat capacity of the model; a peak during
    training marks the approach to a critical point. The variance of n particles is divided by
    n - 1.
    """

    def measure(self, assessment: ModelAssessment) -> float:
        """Return the scaled variance over the particles of one minibatch.

        Raises
        ------
        DataError
            If there are fewer than two particles.
        """
        particles = be.num_elements(assessment.model_energy)
        if particles < 2:
            raise DataError(
                f"HeatCapacity expected at least 2 fantasy particles, got {particles}; "
                "use larger validation minibatches"
            )
        variance = be.var(assessment.model_energy)
        return variance / max(1, assessment.model.num_parameters()) ** 0.5
