"""The alternating update: each layer in turn is drawn (or set) given its neighbours.

One sweep updates the odd layers first and then the even ones. Within a sweep each layer sees the
newest units of its neighbours, so that drawing is Gibbs sampling on any graph of layers.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any

from paysage import backends as be
from paysage.checks import is_one_of
from paysage.errors import ConfigError
from paysage.layers import Layer
from paysage.models.graph import Connection, Copies, Link, links_of
from paysage.models.state import State

Tensor = Any

#: buffers kept for the numbers of rows seen so far; a new one beyond that drops all others
MAX_BUFFERS = 64

#: name of an update of the model -> the layer's hook that it applies
UPDATES = {
    "markov_chain": "sample",
    "mean_field_iteration": "mean",
    "deterministic_iteration": "mode",
}


def offset_input(neighbour: Layer, link: Link, out: Any = None) -> Tensor:
    """What a layer receives through a link from the running mean of its neighbour, (1, n)."""
    return link.input(be.unsqueeze(neighbour.rescaled(neighbour.offset), axis=0), out)


def update_hook(name: str) -> str:
    """The layers' hook behind a named update; a ConfigError for an unknown name."""
    if not is_one_of(name, UPDATES):
        raise ConfigError(f"unknown update {name!r}; known: {', '.join(UPDATES)}")
    return UPDATES[name]


class Sweeps:
    """Sweeps over a graph of layers.

    Owns the memory for fields, so that sweeps over layers that connections see as they are, and
    whose hooks write to ``out``, allocate nothing.

    Parameters
    ----------
    layers : sequence of Layer
    connections : sequence of Connection
    copies : sequence of Copies, optional
        Of the weights of each connection, kept up to date by the caller; see ``models.copies``.
    """

    def __init__(
        self,
        layers: Sequence[Layer],
        connections: Sequence[Connection],
        copies: Sequence[Copies] = (),
    ) -> None:
        self.layers = layers
        self.links = links_of(len(layers), connections, copies)
        self.order = [*range(1, len(layers), 2), *range(0, len(layers), 2)]
        self._scratch: dict[tuple[int, int, int], Tensor] = {}

    def _buffer(self, i: int, rows: int, slot: int) -> Tensor:
        key = (i, rows, slot)
        buffer = self._scratch.get(key)
        if buffer is None:
            if len(self._scratch) >= MAX_BUFFERS:  # which another thread may find at this time
                self._scratch.clear()
            buffer = self._scratch[key] = be.zeros((rows, self.layers[i].num_units))
        return buffer

    def field(self, state: State, i: int, links: Iterable[Link] | None = None) -> Tensor:
        """The field that layer i receives from its neighbours, (B, n).

        The tensor is scratch memory: it is valid until the next call for the same layer.
        """
        total = None
        for link in self.links[i] if links is None else links:
            neighbour, units = self.layers[link.neighbour], state[link.neighbour]
            # the first input is written to slot 0, which then gathers the others
            buffer = self._buffer(i, len(units), 0 if total is None else 1)
            part = link.input(neighbour.rescaled(units), out=buffer)
            if neighbour.center:
                # subtracted from the product, not from the units, whose zeros can then be skipped
                known = link.from_offset
                part -= offset_input(neighbour, link) if known is None else known
            if total is None:
                total = part
            else:
                total += part
        return total

    def update(self, state: State, i: int, hook: str, beta: Any = None) -> Tensor:
        """Replace layer i of the state, in place, by a hook of the layer given its field.

        Returns
        -------
        tensor (B, n)
            The field, in scratch memory.
        """
        field = self.field(state, i)
        self.apply(state, i, hook, field, beta)
        return field

    def apply(self, state: State, i: int, hook: str, field: Tensor, beta: Any = None) -> None:
        """As ``update``, with a field that is known already."""
        units = state[i]
        new = getattr(self.layers[i], hook)(field, beta, units)
        if new is not units:  # a hook need not write to the memory that it is offered
            units[:] = new

    def run(
        self,
        steps: int,
        state: State,
        hook: str,
        beta: Any = None,
        clamped: Collection[int] = (),
        callbacks: Iterable[Callable[[State], Any]] = (),
    ) -> Tensor | None:
        """Sweep ``steps`` times over the layers that are not clamped, changing the state.

        Returns
        -------
        tensor (B, n) or None
            The field of the layer that was updated last, in scratch memory.
        """
        free = [i for i in self.order if i not in clamped]
        field = None
        for _ in range(steps):
            for i in free:
                field = self.update(state, i, hook, beta)
            for callback in callbacks:
                callback(state)
        return field

    def empty_state(self, visible: Tensor) -> State:
        """A state that holds these visible units, and zeros in every other layer."""
        rows = int(be.shape(visible)[0])
        return State([visible] + [be.zeros((rows, k.num_units)) for k in self.layers[1:]])

    def pass_up(self, state: State) -> State:
        """Set the layers above the visible one to their means, nearest first, in place."""
        known = {0}
        for i in self._outwards():
            links = [link for link in self.links[i] if link.neighbour in known]
            field = self.field(state, i, links)
            if len(links) < len(self.links[i]):
                field *= len(self.links[i]) / len(links)
            self.apply(state, i, "mean", field)
            known.add(i)
        return state

    def _outwards(self) -> list[int]:
        """Layers but the visible one, nearest first (breadth first)."""
        found = [0]
        for i in found:
            found += sorted({k.neighbour for k in self.links[i]} - set(found))
        return found[1:]
