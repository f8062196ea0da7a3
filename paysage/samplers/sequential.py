"""Chains that are swept one step after the other."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from paysage import backends as be
from paysage import schedules
from paysage.checks import check_whole
from paysage.errors import ConfigError
from paysage.models import BoltzmannMachine, State
from paysage.models.finite import check_end
from paysage.models.graph import check_machine
from paysage.models.sweep import update_hook
from paysage.samplers.beta import AutoregressiveGammaSampler
from paysage.samplers.chains import (
    Chains,
    arrays_of,
    state_of,
)

Tensor = Any

#: below this temperature a unit takes its most probable value, to float32 accuracy
MIN_TEMPERATURE = 1e-6


class SequentialMC(Chains):
    """Markov chains of a model, B of them in parallel, one state that is moved in place.

    Parameters
    ----------
    model : BoltzmannMachine
    mcsteps : int
        Sweeps of an update.
    clamped : iterable of int, optional
        Layers that stay as they are; by default those of ``model.set_clamped_sampling``.
    updater : 'markov_chain', 'mean_field_iteration' or 'deterministic_iteration'
    beta_momentum, beta_std : float
        Of the process that each chain's inverse temperature follows, one step a sweep;
        see ``AutoregressiveGammaSampler``.
    schedule : Schedule or class of one, optional
        Temperature by which the inverse temperature is divided, one value a sweep: falling
        to zero it anneals the chains into a mode. Constant at one by default. The chains move a
        copy, so that one schedule serves many chains.
    """

    capturable = True

    def __init__(
        self,
        model: BoltzmannMachine,
        mcsteps: int = 1,
        clamped: Iterable[int] | None = None,
        updater: str = "markov_chain",
        beta_momentum: float = 0.9,
        beta_std: float = 0.6,
        schedule: Any = schedules.Constant,
    ) -> None:
        check_machine(model)
        update_hook(updater)
        self.model = model
        self.mcsteps = check_whole("mcsteps", mcsteps)
        self.clamped = None if clamped is None else model.clamped_layers(clamped)
        self.updater = updater
        self.beta_sampler = AutoregressiveGammaSampler(beta_momentum, beta_std)
        self.schedule = _own_schedule(schedule)
        self.state: State | None = None

    def is_capturable(self) -> bool:
        """Not where the temperature, a Python number, changes from sweep to sweep."""
        return self.capturable and isinstance(self.schedule, schedules.Constant)

    def set_state(self, state: State) -> None:
        """Start at a copy of this state; the inverse temperatures start anew."""
        self.model.check_state(state)
        self.restart(state.batch_size())
        for mine, units in zip(self.get_state(), state, strict=True):
            mine[:] = units

    def get_state(self) -> State:
        """The state of the chains; a ConfigError before one was set."""
        if self.state is None:
            raise ConfigError("the sampler has no state yet: call set_state(state) first")
        return self.state

    def update_state(self, steps: int | None = None) -> None:
        """Sweep ``steps`` times (``mcsteps`` by default), each at the next temperature."""
        state = self.get_state()
        self.model.check_start(state)
        steps = self.mcsteps if steps is None else check_whole("steps", steps)
        still = self.beta_sampler.beta is None and isinstance(self.schedule, schedules.Constant)
        # sweeps at one temperature need not wait for one another's rows
        for n in [steps] if still else [1] * steps:
            self.model.update_state_(n, state, self.updater, self.next_beta(), self.clamped)
        check_end(self.model, state)

    def get_memory(self) -> dict[str, Any]:
        """Units, inverse temperatures, and the schedule with its time."""
        beta = self.beta_sampler.get_beta()
        return {
            "state": arrays_of(self.state),
            "beta": None if beta is None else be.to_numpy_array(beta),
            "schedule": self.schedule.get_config(),
        }

    def set_memory(self, memory: dict[str, Any]) -> None:
        """Go on from what ``get_memory`` gave."""
        self.state = state_of(memory["state"])
        if self.state is not None:
            self.model.check_state(self.state)
        beta = memory["beta"]
        if beta is not None and (self.state is None or len(beta) != self.state.batch_size()):
            raise ValueError("there are not as many inverse temperatures as chains")
        self.beta_sampler.beta = None if beta is None else be.float_tensor(beta)
        self.schedule = schedules.from_config(memory["schedule"])

    def restart(self, num_chains: int) -> None:
        """Make room for chains that somebody is about to write; inverse temperatures start anew."""
        if self.state is None or self.state.batch_size() != num_chains:
            self.state = State(be.zeros((num_chains, k.num_units)) for k in self.model.layers)
        self.beta_sampler.set_beta(num_chains)

    def next_beta(self) -> Any:
        """Move on to the inverse temperatures of the next sweep: (B, 1), a number, or None for one.

        The tensor is overwritten by the next call.
        """
        beta, temperature = self.beta_sampler.next_beta(), next(self.schedule)
        if temperature == 1.0:
            return beta
        cold = 1.0 / max(temperature, MIN_TEMPERATURE)
        return cold if beta is None else be.float_scalar(cold) * beta


def _own_schedule(schedule: Any) -> schedules.Schedule:
    """A copy of the schedule, or a new one of the class."""
    if isinstance(schedule, type) and issubclass(schedule, schedules.Schedule):
        return schedule()
    if not isinstance(schedule, schedules.Schedule):
        raise ConfigError(f"schedule must be made by paysage.schedules, got {schedule!r}")
    return schedule.copy()
