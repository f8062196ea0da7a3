"""Tempered transitions: a walk through higher temperatures and back, taken or left as a whole."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from paysage import backends as be
from paysage.backends.generator import Generator
from paysage.checks import check_whole
from paysage.errors import ConfigError
from paysage.models import BoltzmannMachine, State
from paysage.models.finite import check_end
from paysage.models.sweep import Sweeps
from paysage.samplers.chains import (
    arrays_of,
    energies_of,
    state_of,
)
from paysage.samplers.ladder import LadderSampler
from paysage.threads import one_thread_each


class TemperedTransitions(LadderSampler):
    """B chains that go up a ladder of temperatures and down again (Neal 1996).

    A step sweeps at inverse temperature one, and then proposes a walk: one sweep at each rung
    β_1 > ... > β_n on the way up, x̂_0 ... x̂_n, and one on the way down by the reversed order of
    layers, x̌_n ... x̌_0. With β_0 = 1 the end x̌_0 replaces the start x̂_0 with probability
    min(1, exp(Σ_i (β_i - β_{i+1}) (E(x̂_i) - E(x̌_i)))), i = 0 ... n-1, which leaves the model's
    distribution as it is. A chain needs the memory of two states, not of a replica a rung as
    ``ParallelTempering`` does; but a ladder that is too coarse has every walk rejected
    (Neal, "Sampling from multimodal distributions using tempered transitions", Statistics and
    Computing 6, 1996; in learning Salakhutdinov, NIPS 2009).

    Parameters
    ----------
    model : BoltzmannMachine
    mcsteps : int
        Steps of an update.
    betas : int or array
        Inverse temperatures, falling from 1 and greater than zero, or a number of them, evenly
        spaced from 1 to 0.1.
    clamped : iterable of int, optional
        Layers that stay as they are; by default those of ``model.set_clamped_sampling``.
    generator : backends.Generator or int, optional
        Generator, or its seed, that the chains draw from; see ``SequentialMC``.

    Raises
    ------
    ConfigError
    """

    def __init__(
        self,
        model: BoltzmannMachine,
        mcsteps: int = 1,
        betas: Any = 30,
        clamped: Iterable[int] | None = None,
        generator: Generator | int | None = None,
    ) -> None:
        super().__init__(model, mcsteps, betas, clamped, generator)
        self._up = Sweeps(model.layers, model.connections)
        self._down = Sweeps(model.layers, model.connections)
        self._down.order = self._down.order[::-1]
        self._state: State | None = None
        self.forget_rates()

    def set_state(self, state: State) -> None:
        """Start at a copy of this state."""
        self.model.check_state(state)
        self._state = State.from_state(state)

    def get_state(self) -> State:
        """The state of the chains; a ConfigError before one was set."""
        if self._state is None:
            raise ConfigError("the sampler has no state yet: call set_state(state) first")
        return self._state

    def update_state(self, steps: int | None = None) -> None:
        """Sweep and walk ``steps`` times (``mcsteps`` by default)."""
        state = self.get_state()
        self.model.check_start(state)
        held = self.model.clamped_layers(self.clamped)
        with one_thread_each(), self.drawing():
            for _ in range(self.mcsteps if steps is None else check_whole("steps", steps)):
                self._up.run(1, state, "sample", clamped=held)
                self._walk(state, held)
        check_end(self.model, state)

    def _walk(self, state: State, held: list[int]) -> None:
        """Up the ladder and down from a copy, whose rows replace those of the state or not."""
        there = State.from_state(state)
        gain = np.zeros(state.batch_size())
        drops = self.betas[:-1] - self.betas[1:]
        for drop, beta in zip(drops, self.betas[1:], strict=True):
            gain += drop * energies_of(self.model, there)
            self._up.run(1, there, "sample", float(beta), held)
        for drop, beta in zip(drops[::-1], self.betas[:0:-1], strict=True):
            self._down.run(1, there, "sample", float(beta), held)
            gain -= drop * energies_of(self.model, there)
        uniform = np.asarray(be.to_numpy_array(be.rand(gain.shape)), np.float64)
        taken = np.log1p(-uniform) < gain
        rows = be.long_tensor(np.flatnonzero(taken))
        for units, new in zip(state, there, strict=True):
            units[rows] = new[rows]
        self._tried += len(taken)
        self._taken += int(taken.sum())

    def get_memory(self) -> dict[str, Any]:
        """Return units, the ladder, the rates and a given generator."""
        return {
            "state": arrays_of(self._state),
            "betas": self.betas,
            "tried": self._tried,
            "taken": self._taken,
            "generator": self._generator_memory(),
        }

    def set_memory(self, memory: dict[str, Any]) -> None:
        """Go on from what ``get_memory`` gave, on its ladder."""
        self._state, self.betas = state_of(memory["state"]), memory["betas"]
        self._tried, self._taken = memory["tried"], memory["taken"]
        self._set_generator_memory(memory["generator"])

    def forget_rates(self) -> None:
        """Count walks anew."""
        self._tried = 0
        self._taken = 0

    def acceptance_rate(self) -> float:
        """Part of the walks that were taken."""
        return self._taken / max(self._tried, 1)
