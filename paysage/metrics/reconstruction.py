"""How far the data are from what one sweep through the model makes of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from paysage import backends as be
from paysage.errors import DataError
from paysage.metrics.base import Metric

if TYPE_CHECKING:
    from paysage.metrics.assessment import ModelAssessment


class ReconstructionError(Metric):
    """Root mean squared error of the reconstructions, in units of the data's standard deviation.

    The variance is that of all n entries of the minibatch about their common mean, divided by
    n - 1. Reconstructing every entry by that mean scores sqrt(1 - 1/n), by the data themselves 0.
    """

    def measure(self, assessment: ModelAssessment) -> float:
        """Square root of mean squared error over variance, of one minibatch.

        Raises
        ------
        DataError
            All entries of the minibatch are equal, so that there is no scale to compare with.
        """
        data = assessment.data
        variance = be.var(data) if be.num_elements(data) > 1 else 0.0
        if variance == 0:
            raise DataError("ReconstructionError got a minibatch of one value only, variance 0")
        error = be.mean(be.square(data - assessment.reconstructions.get_visible()))
        return (error / variance) ** 0.5
