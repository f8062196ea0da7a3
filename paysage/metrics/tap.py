"""Free energy and likelihood by extended mean field: numbers that no chain has to be run for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from paysage import backends as be
from paysage.checks import check_whole
from paysage.errors import ConfigError
from paysage.metrics.base import Metric
from paysage.models import BoltzmannMachine, State
from paysage.models.tap import check_order

if TYPE_CHECKING:
    from paysage.metrics.assessment import ModelAssessment

Tensor = Any


class TAPFreeEnergy(Metric):
    """Estimate of -log Z: the smallest Gibbs free energy among some stationary points.

    The points are looked for by the self-consistent iteration from random starts, once after each
    ``reset``, so once an epoch: the minibatches do not enter. Searches that do not converge
    are logged as warnings.

    Parameters
    ----------
    num_samples : int
        Number of random starts.
    order : 1, 2 or 3
        Of the expansion in the couplings; see ``models.gibbs_free_energy``.
    tolerance, max_iters
        See ``models.tap_descent.Minimizer``.
    """

    option_names = ("num_samples", "order", "tolerance", "max_iters")

    def __init__(
        self,
        num_samples: int = 2,
        order: int = 2,
        tolerance: float = 0.01,
        max_iters: int = 200,
    ) -> None:
        super().__init__()
        check_order(order)
        self.num_samples = check_whole("num_samples", num_samples, 1)
        self.order = order
        self.tolerance = tolerance
        self.max_iters = max_iters

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
        log_weight = float(be.mean(log_unnormalized_marginal(model, assessment.data)))
        return log_weight + self.free_energy(model)


def log_unnormalized_marginal(model: BoltzmannMachine, visible: Tensor) -> Tensor:
    """Log of the sum over hidden units of exp(-E) for visible units (B, V), (B,).

    Raises
    ------
    ConfigError
        If two hidden layers are connected: their sum has no closed form.
    """
    for c in model.connections:
        if 0 not in (c.target_index, c.domain_index):
            raise ConfigError(
                f"the sum over hidden layers {(c.target_index, c.domain_index)} has no closed "
                "form, for they are connected; TAPLogLikelihood needs hidden layers that are "
                "connected to the visible one only. TAPFreeEnergy takes any graph"
            )
    hidden = (layer.zero_field(1) for layer in model.layers[1:])
    state = State([visible[:1], *hidden])
    state[0] = visible
    total = -model.layers[0].energy(visible)
    for i, layer in enumerate(model.layers[1:], start=1):
        field = model.sweeps.field(state, i)
        total = total + layer.conditional_log_partition(field)
    return total
