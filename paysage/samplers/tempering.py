"""Parallel tempering: replicas at several temperatures that change places."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from paysage import backends as be
from paysage.backends.generator import Generator
from paysage.checks import check_number, check_whole
from paysage.errors import ConfigError
from paysage.models import BoltzmannMachine, State
from paysage.models.finite import check_end
from paysage.samplers.chains import (
    arrays_of,
    energies_of,
    state_of,
)
from paysage.samplers.ladder import LadderSampler
from paysage.threads import one_thread_each

Tensor = Any


class ParallelTempering(LadderSampler):
    """B chains at inverse temperature one, each with replicas of its own at lower ones.

    A step sweeps all replicas and then offers exchanges to neighbours, those at even places and
    those at odd places in turn: what a hot replica has found wanders down to the cold one. Even and
    odd in turn crosses the ladder faster than pairs at random (Syed, Bouchard-Côté, Deligiannidis &
    Doucet, JRSS B 84, 2022). For restricted Boltzmann machines: Desjardins et al. (AISTATS 2010),
    Cho, Raiko & Ilin (IJCNN 2010).

    Parameters
    ----------
    model : BoltzmannMachine
    mcsteps : int
        Steps of an update.
    betas : int or array
        Inverse temperatures, falling from 1 and greater than zero, or a number of them, evenly
        spaced from 1 to 0.1; ``tune`` places them.
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
        betas: Any = 10,
        clamped: Iterable[int] | None = None,
        generator: Generator | int | None = None,
    ) -> None:
        super().__init__(model, mcsteps, betas, clamped, generator)
        self._replicas: State | None = None
        self._rows = np.zeros((0, 0), dtype=np.int64)
        self._odd = 0
        self.forget_rates()

    def set_state(self, state: State) -> None:
        """Start all replicas of a chain at its row of this state."""
        self.model.check_state(state)
        rungs, chains = len(self.betas), state.batch_size()
        self._replicas = State(be.vstack([units] * rungs) for units in state)
        # the row of the replica that is at each rung, for each chain
        self._rows = np.arange(rungs * chains).reshape(rungs, chains)

    def get_state(self) -> State:
        """A copy of the rows at inverse temperature one; a ConfigError before a state was set."""
        return self.get_rung(0)

    def get_rung(self, k: int) -> State:
        """A copy of the rows at inverse temperature ``betas[k]``."""
        rows = be.long_tensor(self._rows[k]) if self._replicas is not None else None
        return State(be.index_select(units, rows) for units in self._all())

    def _all(self) -> State:
        if self._replicas is None:
            raise ConfigError("the sampler has no state yet: call set_state(state) first")
        return self._replicas

    def update_state(self, steps: int | None = None) -> None:
        """Sweep and exchange ``steps`` times (``mcsteps`` by default)."""
        replicas = self._all()
        self.model.check_start(replicas)
        with one_thread_each(), self.drawing():
            for _ in range(self.mcsteps if steps is None else check_whole("steps", steps)):
                beta = np.empty((self._rows.size, 1), dtype=np.float32)
                beta[self._rows, 0] = self.betas[:, None]
                self.model.update_state_(
                    1, replicas, "markov_chain", be.float_tensor(beta), self.clamped
                )
                self._exchange(replicas)
        check_end(self.model, replicas)

    def _exchange(self, replicas: State) -> None:
        """Swap neighbours with probability min(1, exp((β - β') (E - E'))), in place."""
        energy = energies_of(self.model, replicas)
        lower = np.arange(self._odd, len(self.betas) - 1, 2)
        self._odd = 1 - self._odd
        if not len(lower):
            return
        cold, hot = self._rows[lower], self._rows[lower + 1]
        gain = (self.betas[lower] - self.betas[lower + 1])[:, None] * (energy[cold] - energy[hot])
        uniform = np.asarray(be.to_numpy_array(be.rand(gain.shape)), np.float64)
        swap = np.log1p(-uniform) < gain  # of numbers in [0, 1)
        self._rows[lower] = np.where(swap, hot, cold)
        self._rows[lower + 1] = np.where(swap, cold, hot)
        self._tried[lower] += gain.shape[1]
        self._swapped[lower] += swap.sum(axis=1)
        self._expected[lower] += np.exp(np.minimum(gain, 0.0)).sum(axis=1)

    def get_memory(self) -> dict[str, Any]:
        """Return units of all replicas, the ladder, places on it, rates and a given generator."""
        names = ("betas", "_rows", "_odd", "_tried", "_swapped", "_expected")
        return {
            "replicas": arrays_of(self._replicas),
            "generator": self._generator_memory(),
            **{name.strip("_"): getattr(self, name) for name in names},
        }

    def set_memory(self, memory: dict[str, Any]) -> None:
        """Go on from what ``get_memory`` gave, on its ladder."""
        self._replicas = state_of(memory["replicas"])
        self.betas, self._rows, self._odd = memory["betas"], memory["rows"], memory["odd"]
        self._tried, self._swapped = memory["tried"], memory["swapped"]
        self._expected = memory["expected"]
        self._set_generator_memory(memory["generator"])

    # the ladder

    def forget_rates(self) -> None:
        """Count exchanges anew."""
        pairs = len(self.betas) - 1
        self._tried = np.zeros(pairs)
        self._swapped = np.zeros(pairs)
        self._expected = np.zeros(pairs)

    def swap_rates(self) -> np.ndarray:
        """Part of the exchanges that happened between each pair of neighbours, (rungs - 1,)."""
        return self._swapped / np.maximum(self._tried, 1)

    def tune(self, target: float = 0.5, sweeps: int = 100, rounds: int = 4) -> ParallelTempering:
        """Place inverse temperatures so that neighbours exchange at one rate; gives itself.

        The rejections along the ladder add up to a barrier that does not depend on where the rungs
        are; rungs that share it evenly, each ``1 - target`` of it, are placed by interpolation
        (Syed et al. 2022). The lowest one stays. Chains go on from where they are.

        Parameters
        ----------
        target : float
            Rate of exchanges between neighbours, above 0 and below 1.
        sweeps : int
            Of each round.
        rounds : int
        """
        if not 0 < check_number("target", target) < 1:
            raise ConfigError(f"target is a rate above 0 and below 1, got {target!r}")
        for _ in range(check_whole("rounds", rounds, 1)):
            self.forget_rates()
            self.update_state(check_whole("sweeps", sweeps, 2))
            rejected = 1.0 - self._expected / np.maximum(self._tried, 1)
            barrier = np.append(0.0, np.cumsum(np.maximum(rejected, 1e-6)))
            pairs = max(1, math.ceil(barrier[-1] / (1.0 - target)))
            places = np.linspace(0.0, barrier[-1], pairs + 1)
            self._replace(np.interp(places, barrier, self.betas))
        return self

    def _replace(self, betas: np.ndarray) -> None:
        """Take another ladder; each rung starts from the nearest one of the old ladder."""
        betas[0], betas[-1] = 1.0, self.betas[-1]
        nearest = np.abs(betas[:, None] - self.betas).argmin(axis=1)
        rows = be.long_tensor(self._rows[nearest].reshape(-1))
        self._replicas = State(be.index_select(units, rows) for units in self._all())
        self._rows = np.arange(len(rows)).reshape(len(betas), -1)
        self.betas = betas
        self.forget_rates()
