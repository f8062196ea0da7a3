"""What all samplers share: where their chains start."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from paysage import backends as be
from paysage.backends.generator import Generator, GeneratorOwner
from paysage.capturable import Capturable
from paysage.errors import ConfigError, DivergenceError
from paysage.models import BoltzmannMachine, State
from paysage.models.initialize import check_batch

if TYPE_CHECKING:
    from typing_extensions import Self

Tensor = Any


class Chains(Capturable, GeneratorOwner):
    """Markov chains of a model, B of them in parallel.

    A sampler is a subclass that takes the model first, with three methods: ``set_state(state)``
    starts at a copy of a state, ``update_state(steps=None)`` moves on, and ``get_state()`` gives
    the state, B rows. ``with self.drawing():`` in ``update_state`` has it draw from the generator
    of the sampler.
    """

    model: BoltzmannMachine

    def __init__(self, model: BoltzmannMachine, **kwargs: Any) -> None:
        raise NotImplementedError(f"{type(self).__name__} does not define __init__()")

    def set_state(self, state: State) -> None:
        """Start at a copy of this state."""
        raise NotImplementedError(f"{type(self).__name__} does not define set_state()")

    def get_state(self) -> State:
        """The state of the chains."""
        raise NotImplementedError(f"{type(self).__name__} does not define get_state()")

    def update_state(self, steps: int | None = None) -> None:
        """Move on by a number of steps."""
        raise NotImplementedError(f"{type(self).__name__} does not define update_state()")

    def get_memory(self) -> dict[str, Any]:
        """All that decides where the chains go next, as NumPy arrays and JSON values.

        Raises
        ------
        ConfigError
            If the subclass does not define it: a checkpoint cannot hold such chains.
        """
        raise ConfigError(
            f"a checkpoint cannot hold the chains of {type(self).__name__}, which does not define "
            "get_memory() and set_memory(memory)"
        )

    def set_memory(self, memory: dict[str, Any]) -> None:
        """Go on from what ``get_memory`` gave."""
        raise NotImplementedError(f"{type(self).__name__} does not define set_memory()")

    @classmethod
    def from_model(cls, model: BoltzmannMachine, batch_size: int, **kwargs: Any) -> Self:
        """Chains that start with each layer drawn on its own."""
        sampler = cls(model, **kwargs)
        with sampler.drawing():
            sampler.set_state(State.from_model(batch_size, model))
        return sampler

    @classmethod
    def from_visible(cls, model: BoltzmannMachine, visible: Tensor, **kwargs: Any) -> Self:
        """Start chains at visible units (B, V), other layers as in ``State.from_visible``."""
        sampler = cls(model, **kwargs)
        with sampler.drawing():
            sampler.set_state(State.from_visible(visible, model))
        return sampler

    @classmethod
    def from_batch(cls, model: BoltzmannMachine, batch: Any, **kwargs: Any) -> Self:
        """Chains that start at a training minibatch, the first one if the batch is not shuffled."""
        check_batch(batch)
        for visible in batch.iterate("train"):
            return cls.from_visible(model, visible, **kwargs)
        raise ConfigError("the batch has no training data to start the chains at")

    @classmethod
    def generate_fantasy_state(
        cls, model: BoltzmannMachine, batch_size: int, steps: int, **kwargs: Any
    ) -> State:
        """Fantasy particles: the state of new chains after ``steps`` sweeps, B rows."""
        sampler = cls.from_model(model, batch_size, **kwargs)
        sampler.update_state(steps)
        return sampler.get_state()

    def _default_generator(self) -> Generator:
        # samplers that users define need not have a model
        model = getattr(self, "model", None)
        return super()._default_generator() if model is None else model.generator

    def _generator_memory(self) -> dict[str, Any] | None:
        """State of the generator for ``get_memory``, if the sampler was given one."""
        return None if self._given is None else self._given.get_state()

    def _set_generator_memory(self, memory: dict[str, Any] | None) -> None:
        if (memory is None) != (self._given is None):
            raise ValueError("only one of the two samplers was given a generator")
        if self._given is not None and memory is not None:
            self._given.set_state(memory)


def arrays_of(state: State | None) -> list[np.ndarray] | None:
    """The units of a state as arrays, for ``get_memory``."""
    return None if state is None else [be.to_numpy_array(units) for units in state]


def state_of(arrays: list[np.ndarray] | None) -> State | None:
    """The inverse of ``arrays_of``."""
    return None if arrays is None else State(arrays)


def energies_of(model: BoltzmannMachine, state: State) -> np.ndarray:
    """Energies of rows (B,) in double precision; a DivergenceError if one is NaN or infinite."""
    energy = np.asarray(be.to_numpy_array(model.joint_energy(state)), np.float64)
    if not np.isfinite(energy).all():
        raise DivergenceError("energies are NaN or infinite: nothing can be accepted by them")
    return energy
