"""The bare products: what an update cannot do without, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
from threadpoolctl import ThreadpoolController

from contest.task import NUM_VISIBLE, SEED, Data, Task, minibatches
from contest.turns import Absent, Contestant, Work

Places = list[tuple[Any, ...]]

PRODUCTS = "products"
ONE_THREAD = "products, one thread"
TORCH_PRODUCTS = "products, PyTorch"


def numpy_products(task: Task, data: Data) -> list[Contestant]:
    """Float32 products by NumPy, with the threads of its default and with one."""
    return [
        Contestant(PRODUCTS, partial(_start, task, data, None)),
        Contestant(ONE_THREAD, partial(_start, task, data, 1)),
    ]


def torch_products(task: Task, data: Data, device: str = "cpu") -> Contestant:
    """Float32 products by PyTorch."""
    return Contestant(TORCH_PRODUCTS, partial(_start_torch, task, data, device))


def _start(task: Task, data: Data, threads: int | None) -> Work:
    rows = data.rows(task)
    places = [tuple(map(np.asarray, pair)) for pair in _operands(task)]
    work = partial(_work, np.matmul, task, rows, places, _memory(np.matmul, places))
    return work if threads is None else partial(_limited, ThreadpoolController(), threads, work)


def _limited(controller: ThreadpoolController, threads: int, work: Work) -> None:
    with controller.limit(limits=threads, user_api="blas"):
        work()


def _start_torch(task: Task, data: Data, device: str) -> Work:
    try:
        import torch
    except ImportError as error:
        raise Absent("PyTorch is not installed") from error
    rows = torch.from_numpy(data.rows(task)).to(device)
    places = [tuple(torch.from_numpy(x).to(device) for x in pair) for pair in _operands(task)]
    memory = _memory(torch.matmul, places)

    def work() -> None:
        _work(torch.matmul, task, rows, places, memory)
        if device == "cuda":
            torch.cuda.synchronize()

    return work


def _operands(task: Task) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Of each connection: weights, lower units, upper units."""
    rng = np.random.default_rng(SEED)
    sizes = (NUM_VISIBLE, *task.hidden)
    for lower, upper in pairwise(sizes):
        weights = 0.01 * rng.standard_normal((lower, upper), np.float32)
        units = [np.float32(rng.random((task.batch, n)) < 0.5) for n in (lower, upper)]
        yield weights, *units


def _memory(multiply: Any, places: Places) -> Places:
    """Of each connection: where its products are written, again and again."""
    return [
        (multiply(low, w), multiply(high, w.T), multiply(low.T, high)) for w, low, high in places
    ]


def _work(
    multiply: Any,
    task: Task,
    rows: Any,
    places: Places,
    memory: Places,
) -> None:
    for visible in minibatches(rows, task):
        _update(multiply, task, visible, places, memory)


def _update(multiply: Any, task: Task, visible: Any, places: Places, memory: Places) -> None:
    for i, (ups, downs, outers) in enumerate(task.products):
        weights, lower, upper = places[i]
        up, down, outer = memory[i]
        multiply(visible if i == 0 else lower, weights, out=up)
        for _ in range(ups - 1):
            multiply(lower, weights, out=up)
        for _ in range(downs):
            multiply(upper, weights.T, out=down)
        multiply(visible.T if i == 0 else lower.T, upper, out=outer)
        for _ in range(outers - 1):
            multiply(lower.T, upper, out=outer)
