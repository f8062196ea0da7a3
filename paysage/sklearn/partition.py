"""The partition function of an estimator's machine: exact where that is cheap, else by AIS."""

from __future__ import annotations

from typing import Any

from paysage.likelihood import AIS, exact_log_partition
from paysage.likelihood.halves import two_halves
from paysage.models import BoltzmannMachine
from paysage.sklearn.rows import moments_of

#: a half with at most this many states is summed
FEW_STATES = 2**14


def log_partition(
    model: BoltzmannMachine, X: Any, num_chains: int, betas: Any
) -> tuple[float, float, float]:
    """Logarithm of the partition function, and the two ends of its interval.

    Parameters
    ----------
    model : BoltzmannMachine
    X : array or CSR matrix (N, V)
        Data, whose means the start of the annealing has.
    num_chains, betas
        See ``likelihood.AIS``.
    """
    if _fewest_states(model) <= FEW_STATES:
        exact = exact_log_partition(model)
        return exact, exact, exact
    found = AIS(model, num_chains, betas, base=moments_of(X)).run()
    return found.log_partition, found.low, found.high


def _fewest_states(model: BoltzmannMachine) -> float:
    counts = []
    for half in two_halves(model):
        count = 1.0
        for i in half:
            of_layer = model.layers[i].num_states()
            count *= float("inf") if of_layer is None else min(of_layer, 2 * FEW_STATES)
        counts.append(count)
    return min(counts)
