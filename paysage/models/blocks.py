"""Sweeps over many rows: blocks of rows that are swept side by side."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

from paysage import backends as be
from paysage.layers import Layer
from paysage.models.copies import STEPS_WORTH_COPIES, WeightCopies
from paysage.models.graph import Connection
from paysage.models.state import State
from paysage.models.sweep import Sweeps
from paysage.threads import pieces, side_by_side


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
        self._copies: WeightCopies | None = None
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
            if self._copies is None:
                self._copies = WeightCopies(self._layers, self._connections, "transposed")
            self._copies.update()
        run_apart(
            [
                partial(
                    self._sweeps_of(k, copied).run,
                    steps,
                    state.rows(part),
                    hook,
                    part_of(beta, part),
                    clamped,
                )
                for k, part in enumerate(self.parts(state.batch_size()))
            ]
        )

    def _sweeps_of(self, k: int, copied: bool) -> Sweeps:
        if (k, copied) not in self._sweeps:
            copies = self._copies.copies if copied and self._copies is not None else ()
            self._sweeps[k, copied] = Sweeps(self._layers, self._connections, copies)
        return self._sweeps[k, copied]


def run_apart(tasks: Sequence[Callable[[], Any]]) -> None:
    """Run tasks side by side, each with draws of its own."""
    draws = be.separate_draws(len(tasks))
    side_by_side(*(partial(_inside, *pair) for pair in zip(draws, tasks, strict=True)))


def _inside(draws: AbstractContextManager[None], task: Callable[[], Any]) -> None:
    with draws:
        task()


def part_of(beta: Any, part: slice) -> Any:
    """Some rows of inverse temperatures; one for all, or None, as it is."""
    return beta[part] if be.is_tensor(beta) and len(beta) > 1 else beta
