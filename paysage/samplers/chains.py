"""What all samplers share: where their chains start."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from paysage.capturable import Capturable
from paysage.errors import ConfigError
from paysage.models import BoltzmannMachine, State
from paysage.models.initialize import check_batch

if TYPE_CHECKING:
    from typing_extensions import Self

Tensor = Any


class Chains(Capturable):
    """Markov chains of a model, B of them in parallel.

    A sampler is a subclass that takes the model first, with three methods: ``set_state(state)``
    starts at a copy of a state, ``update_state(steps=None)`` moves on, and ``get_state()`` gives
    the state, B rows.
    """

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

    @classmethod
    def from_model(cls, model: BoltzmannMachine, batch_size: int, **kwargs: Any) -> Self:
        """Chains that start with each layer drawn on its own."""
        sampler = cls(model, **kwargs)
        sampler.set_state(State.from_model(batch_size, model))
        return sampler

    @classmethod
    def from_visible(cls, model: BoltzmannMachine, visible: Tensor, **kwargs: Any) -> Self:
        """Chains that start at visible units (B, V)."""
        sampler = cls(model, **kwargs)
        sampler.set_state(State.from_visible(visible, model))
        return sampler

    @classmethod
    def from_batch(cls, model: BoltzmannMachine, batch: Any, **kwargs: Any) -> Self:
        """Chains that start at the first training minibatch."""
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
