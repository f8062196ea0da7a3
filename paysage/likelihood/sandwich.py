"""The partition function between an estimate from below and one from above."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from paysage.likelihood.ais import AIS
from paysage.likelihood.bennett import bennett_ratio, ratio_error
from paysage.likelihood.estimate import Estimate
from paysage.likelihood.warning import LikelihoodWarning
from paysage.models import BoltzmannMachine, State

#: nats by which the two directions may differ without a warning
CLOSED = 0.3


@dataclass(frozen=True)
class Sandwich:
    """Estimates from both directions; on average they lie on either side of the truth."""

    lower: Estimate
    """from independent units to the model: too low on average"""
    upper: Estimate
    """from the model to independent units: too high on average, if its start is a sample"""
    log_partition: float
    """from both, by Bennett's acceptance ratio of whole annealing paths: right for any speed"""
    standard_error: float
    """of ``log_partition``, if the way back starts at samples of the model; without rounding"""
    base_log_partition: float
    """of the independent units, where the paths begin"""

    @cached_property
    def by_neighbours(self) -> float:
        """By the same ratio between neighbouring temperatures, as far off as the chains lag.

        Found when it is asked for, in a time that grows with temperatures and chains.
        """
        there, back = self.lower.increments, -self.upper.increments[::-1]
        return self.base_log_partition + bennett_ratio(there, back)

    @property
    def gap(self) -> float:
        """Nats between the two estimates."""
        return self.upper.log_partition - self.lower.log_partition


def sandwich(
    model: BoltzmannMachine,
    samples: State,
    num_chains: int = 100,
    betas: Any = 14_500,
    base: Any = None,
    verbose: bool = False,
) -> Sandwich:
    """Estimate the partition function from both directions (Burda, Grosse & Salakhutdinov 2015).

    A path of the one direction, read backwards, is one that the other could have taken, so that
    their log weights are works that obey Crooks's theorem; Bennett's ratio of these (Shirts, Bair,
    Hooker & Pande, Phys. Rev. Lett. 91, 2003) is the best use of both.

    Parameters
    ----------
    model : BoltzmannMachine
    samples : State
        Samples of the model, exact ones or those of long chains; the way back starts there.
    num_chains, betas, base
        See ``AIS``.
    verbose : bool
        Show progress bars where standard error is a terminal.

    Warns
    -----
    LikelihoodWarning
        If the directions differ by more than 0.3 nats, or as ``AIS.run`` does.
    """
    ais = AIS(model, num_chains, betas, base)
    ais.check_start(samples)
    lower, upper = ais.run(verbose), ais.run_back(samples, verbose)
    log_base = ais.halves.log_partition_of_base()
    there, back = lower.log_weights, -upper.log_weights
    whole = bennett_ratio(there[None], back[None])
    error = ratio_error(there, back, whole)
    found = Sandwich(lower, upper, log_base + whole, error, log_base)
    if not abs(found.gap) <= CLOSED:
        warnings.warn(
            f"the two directions of AIS differ by {found.gap:.2f} nats, more than {CLOSED}: take "
            "more inverse temperatures, or longer chains for the samples of the way back",
            LikelihoodWarning,
            stacklevel=2,
        )
    return found
