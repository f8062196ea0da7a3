"""The pseudo-likelihood of the data: exact, or estimated from one unit per row."""

from __future__ import annotations

from typing import TYPE_CHECKING

from paysage import backends as be
from paysage.checks import check_whole
from paysage.likelihood import pseudo_log_likelihood
from paysage.likelihood.pseudo import Conditionals
from paysage.metrics.base import Metric

if TYPE_CHECKING:
    from paysage.metrics.assessment import ModelAssessment


class PseudoLikelihood(Metric):
    """Log pseudo-likelihood of the data in nats, mean over rows.

    Exact by default, see ``likelihood.pseudo_log_likelihood``. With `max_exact`, layers with more
    units are estimated: the number of visible units times log p(v_i | the other v) of one unit i,
    sampled for each row. That estimate is unbiased, but its standard deviation over rows is about
    the number of units.

    Parameters
    ----------
    max_exact : int, optional
        Largest number of visible units for which the sum over all units is computed. The default,
        None, always computes it.
    name : str, optional
        Name under which the value is printed and stored; by default that of the class.

    Raises
    ------
    ConfigError
        If `max_exact` is neither None nor an integer of at least 0.
    """

    option_names = ("max_exact",)

    def __init__(self, max_exact: int | None = None, name: str | None = None) -> None:
        super().__init__(name)
        self.max_exact = None if max_exact is None else check_whole("max_exact", max_exact)

    def measure(self, assessment: ModelAssessment) -> float:
        """Return the mean over the rows of one minibatch; fantasy particles are not used.

        Raises
        ------
        ConfigError
            If the model has more than two layers, visible units whose values cannot be listed, or
            the gains of a layerwise pretraining.
        DataError
            If the data are not states of the visible layer.
        """
        model, data = assessment.model, assessment.data
        if self.max_exact is not None and be.shape(data)[1] > self.max_exact:
            conditionals = Conditionals(model)
            if model.layers[0].values is not None:
                rows = conditionals.checked(data)
                index = be.rand_int(0, rows.shape[1], (len(rows),))
                return rows.shape[1] * float(conditionals.of_units(rows, index).mean())
        return pseudo_log_likelihood(model, data).mean
