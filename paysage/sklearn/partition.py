"""The partition function of an estimator's machine: exact where that is cheap, else by AIS."""

from __future__ import annotations

from typing import Any

from paysage.likelihood import AIS, exact_log_partition
from paysage.likelihood.exact import fewest_bits
from paysage.models import BoltzmannMachine

#: a half with at most 2 to the power of this many states is summed
FEW_BITS = 14


def log_partition(
    model: BoltzmannMachine, moments: Any, num_chains: int, betas: Any
) -> tuple[float, float, float]:
    """Return the log of the partition function, and the two ends of its interval.

    Parameters
    ----------
    model : BoltzmannMachine
    moments : MeanVarianceArrayCalculator
        Of the visible units: the annealing starts from independent units with these means.
    num_chains, betas
        See ``likelihood.AIS``.
    """
    if fewest_bits(model) <= FEW_BITS:
        exact = exact_log_partition(model)
        return exact, exact, exact
    found = AIS(model, num_chains, betas, base=moments).run()
    return found.log_partition, found.low, found.high
