"""A random process for the inverse temperatures of Markov chains."""

from __future__ import annotations

import math
from typing import Any

from paysage import backends as be
from paysage import schedules
from paysage.checks import check_number, check_part, check_whole
from paysage.errors import ConfigError

Tensor = Any

#: standard deviations, besides 0, for which the process can be simulated
MIN_STD, MAX_STD = 1e-6, 1e6


class AutoregressiveGammaSampler:
    """Autoregressive Gamma process for the inverse temperature β of each chain.

    With s = ``beta_std``, φ = ``beta_momentum``, t the value of the schedule (plus EPSILON) and
    c = (1 − φ) s² t, a step is z ~ Poisson(φ β / c), β' ~ Gamma(shape 1/(s² t) + z, scale c). The
    stationary distribution is Gamma(shape 1/(s² t), scale s² t): the mean is 1, the variance s² t,
    and the autocorrelation at lag k is φᵏ (Gouriéroux & Jasiak, J. Forecasting 25, 2006). Chains
    driven by this process mix better than at β = 1 (Fisher, Smith & Walsh, arXiv:1804.08682).

    Parameters
    ----------
    beta_momentum : float
        Autocorrelation φ, at least 0 and less than 1.
    beta_std : float
        Standard deviation s, from 1e-6 to 1e6; with 0, β is 1 whatever the schedule.
    schedule : Schedule or class of one
        Factor t of the variance, zero or more; one value a step. Constant at 1 by default. The
        sampler uses a copy.
    """

    def __init__(
        self,
        beta_momentum: float = 0.9,
        beta_std: float = 0.6,
        schedule: Any = schedules.Constant,
    ) -> None:
        self.beta_momentum = check_part("beta_momentum", beta_momentum)
        self.beta: Tensor | None = None
        self.set_std(beta_std)
        self.set_schedule(schedule)

    def set_schedule(self, schedule: Any) -> None:
        """Scale the variance by a copy of this schedule from now on."""
        self.schedule = own_schedule("schedule", schedule)

    def set_std(self, beta_std: float) -> None:
        """Set the standard deviation; inverse temperatures approach it over the next steps."""
        self.beta_std = check_number("beta_std", beta_std)
        if self.beta_std and not MIN_STD <= self.beta_std <= MAX_STD:
            raise ConfigError(f"beta_std must be 0 or between 1e-6 and 1e6, got {beta_std}")
        if not self.beta_std:
            self.beta = None

    def reset(self) -> None:
        """Restart the schedule; the next update samples the inverse temperatures again."""
        self.schedule.reset()
        self.beta = None

    def set_beta(self, num_chains: int) -> None:
        """Sample inverse temperatures of new chains from the stationary distribution."""
        num_chains = check_whole("num_chains", num_chains)
        self.beta = None
        if self.beta_std:
            self.beta = be.beta_process_start(num_chains, self._std_at(self.schedule.value))

    def update_beta(self, num_samples: int) -> None:
        """Move the inverse temperatures of a number of chains by one step.

        Where there are none for this number of chains, sample them from the stationary
        distribution.
        """
        num_samples = check_whole("num_samples", num_samples)
        if self.beta_std and (self.beta is None or len(self.beta) != num_samples):
            self.set_beta(num_samples)
            self._next_std()
        else:
            self.next_beta()

    def next_beta(self, part: slice = slice(None)) -> Tensor | None:
        """Move some chains by one step, or all, and return their β: (B, 1), or None for one.

        The tensor is overwritten by the next call.
        """
        if self.beta is None:
            return None
        beta = self.beta[part]
        be.beta_process_step_(beta, self.beta_momentum, self._next_std())
        return beta

    def get_beta(self) -> Tensor | None:
        """Return the inverse temperatures, (B, 1), or None for one."""
        return self.beta

    def _next_std(self) -> float:
        """Return the standard deviation of the next step, and move the schedule."""
        # a constant schedule need not move, so that several threads can share the sampler
        still = isinstance(self.schedule, schedules.Constant)
        return self._std_at(self.schedule.value if still else next(self.schedule))

    def _std_at(self, value: float) -> float:
        if value == 1.0:
            return self.beta_std
        if not 0 <= value < math.inf:
            raise ConfigError(
                f"the schedule of a sampler scales a variance: expected values of zero or more, "
                f"got {value} from {self.schedule!r}"
            )
        std = self.beta_std * math.sqrt(value + be.EPSILON)
        return min(max(std, MIN_STD), MAX_STD)


def own_schedule(name: str, schedule: Any) -> schedules.Schedule:
    """Return a copy of a schedule, or a new instance of a class of schedules."""
    if isinstance(schedule, type) and issubclass(schedule, schedules.Schedule):
        return schedule()
    if not isinstance(schedule, schedules.Schedule):
        raise ConfigError(f"{name} must be made by paysage.schedules, got {schedule!r}")
    return schedule.copy()
