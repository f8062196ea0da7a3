"""Copies of the weights that the products of some sweeps are made by."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from paysage import backends as be
from paysage.models.graph import Connection, Copies
from paysage.threads import pieces, side_by_side

#: sweeps that repay a transposed copy of the weights
STEPS_WORTH_COPIES = 2

#: multiplications of a matrix product that take as long as transposing one element
COST_OF_COPY = 15

#: multiplications that take as long as rounding one element to bfloat16
COST_OF_ROUNDING = 3


def transposed_copies(connections: Sequence[Connection]) -> list[Copies]:
    """Memory for the transposed weights of each connection."""
    return [Copies(transposed=be.zeros(c.weights.shape[::-1])) for c in connections]


def bfloat16_copies(connections: Sequence[Connection]) -> list[Copies]:
    """Memory for the weights of each connection, and for transposed ones, in bfloat16."""
    shapes = [c.weights.shape for c in connections]
    plain = [be.bfloat16_zeros(shape) for shape in shapes]
    if be.get_backend().processor == "gpu":  # where a view is as good
        return [Copies(room, be.transpose(room)) for room in plain]
    turned = [be.bfloat16_zeros(shape[::-1]) for shape in shapes]
    return list(map(Copies, plain, turned))


def copy_weights(connections: Sequence[Connection], copies: Sequence[Copies]) -> None:
    """Bring the copies of each connection up to date, if there are copies."""
    tasks: list[Callable[[], Any]] = []
    for connection, some in zip(connections if copies else (), copies, strict=True):
        write = _transpose if some.plain is None else _round
        tasks += write(connection.weights.W(), some)
    side_by_side(*tasks)


def _transpose(matrix: Any, copies: Copies) -> Iterator[Callable[[], Any]]:
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
