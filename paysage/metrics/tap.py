"""Free energy and likelihood by extended mean field: numbers that no chain has to be run for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from paysage import backends as be
from paysage.checks import check_whole
from paysage.likelihood import log_likelihood
from paysage.metrics.base import Metric
from paysage.models import BoltzmannMachine
from paysage.models.tap import check_order
from paysage.models.tap_descent import Minimizer

if TYPE_CHECKING:
    from paysage.metrics.assessment import ModelAssessment


class TAPFreeEnergy(Metric):
    """Estimate of -log Z: the smallest Gibbs free energy among some stationary points.

    The points are looked for by the self-consistent iteration from random starts, once after each
    ``reset``, so once an epoch: the minibatches do not enter. Searches that do not converge
    are logged as warnings.

    Parameters
    ----------
    num_samples : int
        Number of random starts.
    name : str, optional
        Name under which the value is printed and stored; by default that of the class.
    order : 1, 2 or 3
        Of the expansion in the couplings; see ``models.gibbs_free_energy``.
    tolerance, max_iters
        See ``models.tap_descent.Minimizer``.

    Raises
    ------
    ConfigError
        If an argument cannot be meant.
    """

    option_names = ("num_samples", "order", "tolerance", "max_iters")

    def __init__(
        self,
        num_samples: int = 2,
        name: str | None = None,
        order: int = 2,
        tolerance: float = 0.01,
        max_iters: int = 200,
    ) -> None:
        super().__init__(name)
        check_order(order)
        Minimizer(tolerance=tolerance, max_iters=max_iters)  # refuses what it cannot take
        self.num_samples = check_whole("num_samples", num_samples, 1)
        self.order = int(order)
        self.tolerance = float(tolerance)
        self.max_iters = int(max_iters)

    def reset(self) -> None:
        """Forget every minibatch, and the free energy."""
        super().reset()
        self._free_energy: float | None = None

    def free_energy(self, model: BoltzmannMachine) -> float:
        """The smallest free energy found."""
        if self._free_energy is None:
            _, report = model.compute_StateTAP(
                use_GD=False,
                tolerance=self.tolerance,
                max_iters=self.max_iters,
                order=self.order,
                num_samples=self.num_samples,
            )
            self._free_energy = float(be.tmin(report.free_energy))
        return self._free_energy

    def measure(self, assessment: ModelAssessment) -> float:
        """The free energy of the assessment's model."""
        return self.free_energy(assessment.model)


class TAPLogLikelihood(TAPFreeEnergy):
    """Estimate of the mean log likelihood of the data: log of the unnormalized p(v), minus log Z.

    The sum over hidden units is exact, which needs that no two hidden layers are connected; log Z
    is that of ``TAPFreeEnergy``, whose parameters this metric shares. Gabrié, Tramel & Krzakala
    2015.

    Raises
    ------
    ConfigError
        When measuring, if two hidden layers of the model are connected.
    """

    def measure(self, assessment: ModelAssessment) -> float:
        """The estimate for one minibatch."""
        model = assessment.model
        log_partition = -self.free_energy(model)
        return log_likelihood(model, assessment.data, log_partition).mean
