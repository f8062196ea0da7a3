"""Centering: connections see units minus an offset; biases make up for it when an offset moves.

That is another way to write the same machine, in which the gradient has a better condition
(Montavon & Müller 2012; Melchior, Fischer & Wiskott 2016).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from paysage import backends as be
from paysage.models.state import State

if TYPE_CHECKING:
    from paysage.models.boltzmann import BoltzmannMachine

Tensor = Any


def update_offsets(model: BoltzmannMachine, state: State) -> None:
    """See ``BoltzmannMachine.update_offsets``."""
    move_offsets(model, means_of_centered(model, state))


def means_of_centered(model: BoltzmannMachine, state: State) -> dict[int, Tensor]:
    """Means over the rows (n,) of those layers whose offsets move, by number."""
    return {
        i: be.mean(state[i], axis=0)
        for i, layer in enumerate(model.layers)
        if layer.center and all(other.can_absorb() for other, _ in _inputs(model, i))
    }


def move_offsets(model: BoltzmannMachine, means: dict[int, Tensor]) -> None:
    """Move offsets towards means of the units, by the rate of each layer."""
    for i, mean in means.items():
        layer = model.layers[i]
        step = layer.offset_rate * (mean - layer.offset)
        _absorb(model, i, step)
        layer.offset += step


def centered(model: BoltzmannMachine, state: State) -> BoltzmannMachine:
    """See ``BoltzmannMachine.centered``."""
    twin = uncentered(model)
    for i, layer in enumerate(twin.layers):
        layer.center = True
        layer.set_offset(be.mean(state[i], axis=0))
        _absorb(twin, i, layer.offset)
    return twin


def uncentered(model: BoltzmannMachine) -> BoltzmannMachine:
    """See ``BoltzmannMachine.uncentered``."""
    twin = model.copy()
    for i, layer in enumerate(twin.layers):
        if layer.center:
            _absorb(twin, i, -layer.offset)
        layer.center = False
        layer.reset_offset()
    return twin


def _inputs(model: BoltzmannMachine, i: int) -> Any:
    """Each neighbour of layer i, and the link by which it receives what layer i gives."""
    for other, links in zip(model.layers, model.sweeps.links, strict=True):
        yield from ((other, link) for link in links if link.neighbour == i)


def _absorb(model: BoltzmannMachine, i: int, step: Tensor) -> None:
    """Let biases take what the fields lose when the offset of layer i grows by a step (n,)."""
    seen = be.unsqueeze(model.layers[i].rescaled(step), axis=0)
    for other, link in _inputs(model, i):
        with np.errstate(invalid="ignore"):  # OpenBLAS raises the flag at numbers beside its own
            field = be.dot(seen, link.connection.weights.W(trans=link.transposed))
        other.absorb_field_(link.gain * be.flatten(field))
