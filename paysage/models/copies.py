"""Copies of the weights that the products of some sweeps are made by."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from paysage import backends as be
from paysage.layers import Layer
from paysage.models.graph import Connection, Copies, links_of
from paysage.models.sweep import offset_input
from paysage.threads import pieces, side_by_side

#: sweeps that repay a transposed copy of the weights
STEPS_WORTH_COPIES = 2

#: multiplications of a matrix product that take as long as transposing one element
COST_OF_COPY = 15

#: multiplications that take as long as rounding one element to bfloat16
COST_OF_ROUNDING = 3


class WeightCopies:
    """What sweeps need of the weights, as long as weights and running means stay as they are.

    Parameters
    ----------
    layers : sequence of Layer
    connections : sequence of Connection
    kind : 'none', 'transposed' or 'bfloat16'
        What is copied: nothing, the transposed weights, or both in bfloat16.

    Attributes
    ----------
    copies : list of Copies
        One for each connection: memory that ``update`` writes to. Beside the copies there is always
        what running means of centered layers send.
    """

    def __init__(
        self, layers: Sequence[Layer], connections: Sequence[Connection], kind: str
    ) -> None:
        self._layers, self._connections = layers, connections
        self.copies = [_room(connection.weights.shape, kind) for connection in connections]
        self._links = [
            link for links in links_of(len(layers), connections, self.copies) for link in links
        ]

    def update(self) -> None:
        """Bring all of it up to date."""
        tasks: list[Callable[[], Any]] = []
        for connection, copies in zip(self._connections, self.copies, strict=True):
            tasks += _tasks(connection.weights.W(), copies)
        side_by_side(*tasks)
        for link in self._links:
            neighbour = self._layers[link.neighbour]
            if neighbour.center:
                offset_input(neighbour, link, link.from_offset)


def _room(shape: tuple[int, int], kind: str) -> Copies:
    offsets = {"to_domain": be.zeros((1, shape[1])), "to_target": be.zeros((1, shape[0]))}
    if kind == "none":
        return Copies(**offsets)
    if kind == "transposed":
        return Copies(transposed=be.zeros(shape[::-1]), **offsets)
    plain = be.bfloat16_zeros(shape)
    # on the GPU a view is as good
    on_gpu = be.get_backend().processor == "gpu"
    turned = be.transpose(plain) if on_gpu else be.bfloat16_zeros(shape[::-1])
    return Copies(plain, turned, **offsets)


def _tasks(matrix: Any, copies: Copies) -> Iterator[Callable[[], Any]]:
    """What is to be done to copy a matrix, in parts that may be done at once."""
    if copies.plain is not None:
        yield from _round(matrix, copies)
    elif copies.transposed is not None:
        for part in pieces(len(matrix), COST_OF_COPY * be.num_elements(matrix)):
            yield partial(be.write_transposed, matrix, copies.transposed, part)


def _round(matrix: Any, copies: Copies) -> Iterator[Callable[[], Any]]:
    if be.get_backend().processor == "gpu":
        yield partial(be.to_bfloat16_, copies.plain, matrix)
        return
    cost = COST_OF_ROUNDING * be.num_elements(matrix)
    for part in pieces(matrix.shape[1], cost):
        yield partial(be.to_bfloat16_transposed_, copies.transposed, matrix, part)
    for part in pieces(matrix.shape[0], cost):
        yield partial(be.to_bfloat16_, copies.plain, matrix, part)
