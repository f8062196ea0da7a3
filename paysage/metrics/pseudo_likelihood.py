"""The pseudo-likelihood of the data, of all units or of one a row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from paysage import backends as be
from paysage.checks import check_whole
from paysage.likelihood.pseudo import Conditionals, TwoLayers
from paysage.metrics.base import Metric

if TYPE_CHECKING:
    from paysage.metrics.assessment import ModelAssessment

Tensor = Any


class PseudoLikelihood(Metric):
    """Logarithmic pseudo-likelihood of the data, sum_i log p(v_i | the other v), mean over rows.

    The hidden layer is summed out exactly: with the free energy F(v) = E(v) - log Z_hidden(field),
    log p(v_i | others) = -log sum_a exp(F(v) - F(v with v_i = a)), a over the values of the unit
    (Besag, "Statistical analysis of non-lattice data", The Statistician 24, 1975). For more than
    `max_exact` visible units the sum over units is estimated: V times the term of one unit, drawn
    at random for each row. A visible layer that is one categorical variable as a whole has a single
    term, which is the likelihood itself.

    Parameters
    ----------
    max_exact : int
        Greatest number of visible units that are all looked at.

    Raises
    ------
    ConfigError
        `max_exact` is not an integer of 0 or more.
    """

    option_names = ("max_exact",)

    def __init__(self, max_exact: int = 64) -> None:
        super().__init__()
        self.max_exact = check_whole("max_exact", max_exact)

    def measure(self, assessment: ModelAssessment) -> float:
        """The mean over the rows of one minibatch; the particles play no part.

        Raises
        ------
        ConfigError
            The machine has more than two layers, visible units whose values cannot be listed, or
            the gains of a layerwise pretraining.
        DataError
            The data are no states of the visible layer.
        """
        machine, visible = TwoLayers(assessment.model), assessment.data
        machine.visible.check_values(visible)
        if machine.visible.values is None:
            return be.item(be.mean(machine.log_likelihood(visible)))
        return be.item(be.mean(self._sum_over_units(machine, visible)))

    def _sum_over_units(self, machine: TwoLayers, visible: Tensor) -> Tensor:
        rows, num_units = be.shape(visible)
        conditionals = Conditionals(machine, visible)
        if num_units > self.max_exact:
            return num_units * conditionals.log_probability(be.rand_int(0, num_units, (rows,)))
        return conditionals.sum_over_units()
