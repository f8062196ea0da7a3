"""Sweeps over many rows: blocks of rows that are swept side by side."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

from paysage import backends as be
from paysage.layers import Layer
from paysage.models.graph import Connection
from paysage.models.state import State
from paysage.models.sweep import Sweeps
from paysage.threads import pieces, side_by_side

#: sweeps that repay a transposed copy of the weights
STEPS_WORTH_COPIES = 2

#: multiplications of a matrix product that take as long as transposing one element
COST_OF_COPY = 15


class Blocks:
    """Cuts the rows of a state into blocks; each is swept with memory and draws of its own.

    What comes out depends on the sizes and on the seed, not on the number of cores.

    Parameters
    ----------
    layers : sequence of Layer
    connections : sequence of Connection
    """

    def __init__(self, layers: Sequence[Layer], connections: Sequence[Connection]) -> None:
        self._layers, self._connections = layers, connections
        self._copies: list[Any] = []
        self._sweeps: dict[tuple[int, bool], Sweeps] = {}

    def parts(self, rows: int) -> list[slice]:
        """Where so many rows are cut; on a GPU they are not."""
        on_gpu = be.get_backend().processor == "gpu"
        largest = max(be.num_elements(c.weights.W()) for c in self._connections)
        return pieces(rows, 0 if on_gpu else rows * largest)

    def run(self, steps: int, state: State, hook: str, beta: Any, clamped: Collection[int]) -> None:
        """Sweep each block ``steps`` times, changing the state; see ``Sweeps.run``."""
        copied = steps >= STEPS_WORTH_COPIES
        if copied:
            self._copies = self._copies or [
                be.zeros(c.weights.shape[::-1]) for c in self._connections
            ]
            copy_weights(self._connections, self._copies)
        run_apart(
            [
                partial(
                    self._sweeps_of(k, copied).run,
                    steps,
                    rows_of(state, part),
                    hook,
                    part_of(beta, part),
                    clamped,
                )
                for k, part in enumerate(self.parts(state.batch_size()))
            ]
        )

    def _sweeps_of(self, k: int, copied: bool) -> Sweeps:
        if (k, copied) not in self._sweeps:
            copies = self._copies if copied else ()
            self._sweeps[k, copied] = Sweeps(self._layers, self._connections, copies)
        return self._sweeps[k, copied]


def run_apart(tasks: Sequence[Callable[[], Any]]) -> None:
    """Run tasks side by side, each with draws of its own."""
    draws = be.separate_draws(len(tasks))
    side_by_side(*(partial(_inside, *pair) for pair in zip(draws, tasks, strict=True)))


def _inside(draws: AbstractContextManager[None], task: Callable[[], Any]) -> None:
    with draws:
        task()


def copy_weights(connections: Sequence[Connection], copies: Sequence[Any]) -> None:
    """Write the transposed weights of each connection to its copy, if there are copies."""
    tasks = []
    for connection, copy in zip(connections if copies else (), copies, strict=True):
        matrix = connection.weights.W()
        for part in pieces(len(matrix), COST_OF_COPY * be.num_elements(matrix)):
            tasks.append(partial(be.write_transposed, matrix, copy, part))
    side_by_side(*tasks)


def rows_of(state: State, part: slice) -> State:
    """Some rows of a state: views of its memory."""
    return State(units[part] for units in state)


def part_of(beta: Any, part: slice) -> Any:
    """Some rows of inverse temperatures; one for all, or None, as it is."""
    return beta[part] if be.is_tensor(beta) and len(beta) > 1 else beta
