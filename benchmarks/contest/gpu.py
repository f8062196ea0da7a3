"""Contests on an NVIDIA GPU: a captured training step beside an eager one, and the others."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from contest import ours, peers
from contest.floor import torch_products
from contest.ours import EAGER, TORCH, TORCH_BF16
from contest.task import Contest, Data, Task
from contest.turns import Absent, Contestant

SMALL = Task((500,), epochs=5)
LARGE = Task((1024,), batch=5000, steps=10, updates=11, epochs=5)
GROUPS = {
    "gpu-small": "on a GPU: small updates, which cost what it costs to start them",
    "gpu-large": "on a GPU: large updates, which cost what their products cost",
}


def why_not() -> str | None:
    """The reason why there is no GPU to compute on, or None."""
    try:
        import torch
    except ImportError:
        return "PyTorch is not installed"
    return None if torch.cuda.is_available() else "PyTorch finds no NVIDIA GPU"


def contests() -> Iterator[Contest]:
    """Whether there is a GPU or not: without one, the contestants are absent."""
    for group, task in (("gpu-small", SMALL), ("gpu-large", LARGE)):
        yield Contest(group, task, partial(everybody, task))


def everybody(task: Task, data: Data) -> list[Contestant]:
    if reason := why_not():
        raise Absent(reason)
    on_gpu = partial(ours.contestant, task=task, data=data, backend="pytorch", processor="gpu")
    rows = data.rows(task)
    return [
        on_gpu(TORCH),
        on_gpu(TORCH_BF16, precision="bf16"),
        on_gpu(EAGER, capture=False),
        Contestant(peers.RBMS, partial(peers.rbms, task, rows, "cuda")),
        Contestant(peers.BY_HAND, partial(peers.by_hand, task, rows, "cuda")),
        torch_products(task, data, "cuda"),
    ]
