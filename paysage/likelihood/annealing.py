"""Chains along a path of inverse temperatures, and what their weights gain at each step."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any

import numpy as np

from paysage import backends as be
from paysage.likelihood.halves import Halves
from paysage.models import State
from paysage.threads import one_thread_each, pieces, side_by_side

Tensor = Any


def anneal(halves: Halves, state: State, betas: np.ndarray, bar: Any) -> tuple[np.ndarray, float]:
    """Take chains along the path, in place.

    Rows are cut into blocks that go side by side, each with draws of its own: the result depends on
    the seed and the sizes, not on the number of cores. On a GPU the increments stay there until the
    end.

    Parameters
    ----------
    halves : Halves
    state : State
        Where the chains are at ``betas[0]``.
    betas : array (steps + 1,)
    bar : function of the steps
        Shows how far the first block is.

    Returns
    -------
    increments : array (steps, num_chains)
        Of the log weights, double precision.
    largest : float
        The largest of the log probabilities whose differences they are.
    """
    rows, largest_matrix = state.batch_size(), halves.model.largest_matrix()
    on_gpu = be.get_backend().processor == "gpu"
    parts = pieces(rows, 0 if on_gpu else rows * largest_matrix)
    increments = be.from_numpy_array(np.zeros((len(betas) - 1, rows)))
    tasks = [
        partial(
            _block,
            halves.frozen(),
            State(units[part] for units in state),
            betas,
            increments[:, part],
            bar if part.start == 0 else iter,
        )
        for part in parts
    ]
    # infinities are looked for once, at the end
    with one_thread_each(), np.errstate(all="ignore"):
        draws = be.separate_draws(len(tasks))
        ends = side_by_side(*(partial(_inside, *pair) for pair in zip(draws, tasks, strict=True)))
    return np.asarray(be.to_numpy_array(increments)), max(ends)


def _inside(draws: Any, task: Any) -> float:
    with draws:
        return task()


def _block(halves: Halves, state: State, betas: np.ndarray, increments: Tensor, bar: Any) -> float:
    """Some of the rows; gives the largest of the log probabilities at both ends."""
    inputs = halves.inputs(state, halves.summed)
    first = np.abs(halves.log_weight(state, inputs, float(betas[0]))).max()
    steps: Iterable[int] = bar(range(len(increments)))
    for k in steps:
        now, then = float(betas[k]), float(betas[k + 1])
        before, after = halves.fields(inputs, now), halves.fields(inputs, then)
        increments[k] = halves.increment(state, before, after, then - now)
        if k + 1 < len(increments):
            inputs = halves.sweep(state, after, then)
    last = np.abs(halves.log_weight(state, inputs, float(betas[-1]))).max()
    return float(max(first, last))
