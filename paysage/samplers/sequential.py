"""Chains that are swept one step after the other."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from paysage import backends as be
from paysage import schedules
from paysage.backends.generator import Generator
from paysage.checks import check_whole
from paysage.errors import ConfigError
from paysage.models import BoltzmannMachine, State
from paysage.models.finite import check_end
from paysage.models.graph import check_machine
from paysage.models.sweep import update_hook
from paysage.samplers.beta import AutoregressiveGammaSampler, own_schedule
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
    schedule : Schedule or class of one
        Factor of the variance of the inverse temperature, whose mean stays 1; one value a sweep.
        Constant at 1 by default. Without effect where ``beta_std`` is 0.
    anneal : Schedule, optional
        Temperature by which inverse temperatures are divided, one value a sweep. A temperature that
        falls to zero anneals the chains into a mode.
    generator : backends.Generator or int, optional
        Generator, or its seed, that the chains draw from, also in a training. By default they draw
        from the active generator, or from the generator of the model.

    Notes
    -----
    Each sampler uses copies of its schedules, so that one schedule serves many samplers.
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
        anneal: schedules.Schedule | None = None,
        generator: Generator | int | None = None,
    ) -> None:
        check_machine(model)
        update_hook(updater)
        self.model = model
        self.mcsteps = check_whole("mcsteps", mcsteps)
        self.clamped = None if clamped is None else model.clamped_layers(clamped)
        self.updater = updater
        self.beta_sampler = AutoregressiveGammaSampler(beta_momentum, beta_std, schedule)
        self.anneal = None if anneal is None else own_schedule("anneal", anneal)
        self.state: State | None = None
        self.generator = generator

    def is_capturable(self) -> bool:
        """Return False where a captured step could not do what the chains do.

        A schedule may return another Python number in each sweep, and a captured step draws from
        the generator of the training alone.
        """
        still = isinstance(self.beta_sampler.schedule, schedules.Constant) and self.anneal is None
        return self.capturable and still and self._given is None

    def set_state(self, state: State) -> None:
        """Start at a copy of this state; the inverse temperatures are sampled again."""
        self.model.check_state(state)
        with self.drawing():
            self.restart(state.batch_size())
        for mine, units in zip(self.get_state(), state, strict=True):
            mine[:] = units

    def set_state_from_visible(self, visible: Tensor) -> None:
        """Start at visible units (B, V), other layers as in ``State.from_visible``."""
        self.set_state(State.from_visible(visible, self.model))

    def reset(self) -> None:
        """Restart the schedules and the inverse temperatures; the units keep their values."""
        self.beta_sampler.reset()
        if self.anneal is not None:
            self.anneal.reset()

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
        still = not self.beta_sampler.beta_std and self.anneal is None
        # sweeps at β = 1 need not wait for one another's rows
        with self.drawing():
            for n in [steps] if still else [1] * steps:
                self.model.update_state_(n, state, self.updater, self.next_beta(), self.clamped)
        check_end(self.model, state)

    def get_memory(self) -> dict[str, Any]:
        """Return units, inverse temperatures, schedules and a given generator's state."""
        beta = self.beta_sampler.get_beta()
        return {
            "state": arrays_of(self.state),
            "beta": None if beta is None else be.to_numpy_array(beta),
            "schedule": self.beta_sampler.schedule.get_config(),
            "anneal": None if self.anneal is None else self.anneal.get_config(),
            "generator": self._generator_memory(),
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
        self.beta_sampler.set_schedule(schedules.from_config(memory["schedule"]))
        anneal = memory["anneal"]
        self.anneal = None if anneal is None else schedules.from_config(anneal)
        self._set_generator_memory(memory["generator"])

    def restart(self, num_chains: int) -> None:
        """Allocate units of new chains for the caller to write; sample inverse temperatures."""
        if self.state is None or self.state.batch_size() != num_chains:
            self.state = State(be.zeros((num_chains, k.num_units)) for k in self.model.layers)
        self.beta_sampler.set_beta(num_chains)

    def next_beta(self) -> Any:
        """Return the inverse temperatures of the next sweep: (B, 1), a number, or None for one.

        The tensor is overwritten by the next call.
        """
        self.beta_sampler.update_beta(self.get_state().batch_size())
        beta = self.beta_sampler.get_beta()
        if self.anneal is None:
            return beta
        cold = 1.0 / max(next(self.anneal), MIN_TEMPERATURE)
        return cold if beta is None else be.float_scalar(cold) * beta
