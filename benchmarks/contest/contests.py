"""All contests, in the order in which they are held."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

from contest import gpu, ours, peers
from contest.floor import numpy_products, torch_products
from contest.ours import METRICS, OURS, OWN_LAYER, TORCH
from contest.task import NUM_TRAIN, Contest, Data, Task
from contest.turns import Contestant

#: multiplications of a turn of the contests that come in numbers: some tenths of a second
WORK = 1e10

HEADLINE = Task()
CD = replace(HEADLINE, method="cd")
PCD_10 = Task((500,), steps=10, updates=60)
GROUPS = {
    "headline": "an RBM, PCD-1: an epoch of `train` with Adam and without metrics",
    "headline-cd": "the same by CD-1",
    "pcd10": "a wider RBM, PCD-10",
    "own-layer": "a layer written in functions of the backend",
    "monitor": "five epochs of `train` and the metrics around them",
    "dbm": "a deep machine",
    "gaussian": "Gaussian visible units",
    "grid": "sizes, minibatches and methods",
    "growth-hidden": "cost by hidden units",
    "growth-batch": "cost by rows of a minibatch",
    "growth-rows": "cost by rows of the data",
    **gpu.GROUPS,
}
#: what grows in the contests of a group, and how much of it there is in a task
GROWTH: dict[str, tuple[str, Callable[[Task], int]]] = {
    "growth-hidden": ("hidden units", lambda task: task.hidden[0]),
    "growth-batch": ("rows of a minibatch", lambda task: task.batch),
    "growth-rows": ("rows of the data", lambda task: task.rows),
}


def everybody(task: Task, data: Data) -> list[Contestant]:
    floors = [*numpy_products(task, data), torch_products(task, data)]
    return [*ours.both(task, data), *peers.peers(task, data), *floors]


def headline(data: Data) -> list[Contestant]:
    by_cd = Contestant(peers.LEARNERGY_CD, partial(peers.learnergy, CD, data.rows(CD)))
    return [by_cd if c.name == peers.LEARNERGY else c for c in everybody(HEADLINE, data)]


def own_layer(task: Task, data: Data) -> list[Contestant]:
    built_in = ours.contestant(OURS, task, data)
    return [built_in, ours.contestant(OWN_LAYER, task, data, own_layer=True)]


def monitor(task: Task, data: Data) -> list[Contestant]:
    without = ours.contestant(OURS, task, data)
    return [without, ours.contestant(METRICS, task, data, metrics=True)]


def growing(task: Task, data: Data) -> list[Contestant]:
    return [
        ours.contestant(OURS, task, data),
        ours.contestant(TORCH, task, data, "pytorch"),
        *numpy_products(task, data),
    ]


def contests() -> Iterator[Contest]:
    """All of them; those on a GPU as well, whether there is one or not."""
    yield Contest("headline", HEADLINE, headline)
    yield Contest("headline-cd", CD, partial(everybody, CD), 3)
    yield Contest("pcd10", PCD_10, partial(everybody, PCD_10))
    yield Contest("own-layer", HEADLINE, partial(own_layer, HEADLINE))
    epochs = replace(HEADLINE, epochs=5)
    yield Contest("monitor", epochs, partial(monitor, epochs), 3)
    for group, kind in (("dbm", Task((500, 1000))), ("gaussian", Task(gaussian=True))):
        for method in ("cd", "pcd"):
            task = replace(kind, method=method).lasting(WORK)
            yield Contest(group, task, partial(everybody, task))
    for task in grid():
        yield Contest("grid", task, partial(everybody, task), 3)
    yield from growth()
    yield from gpu.contests()


def grid() -> Iterator[Task]:
    for hidden in (200, 500, 1024):
        for batch in (10, 100, 500):
            for method, steps in (("cd", 1), ("pcd", 1), ("pcd", 10)):
                yield Task((hidden,), batch, method, steps).lasting(WORK)


def growth() -> Iterator[Contest]:
    hidden = [Task((n,)).lasting(WORK) for n in (64, 128, 256, 512, 1024, 2048)]
    batch = [Task(batch=n).lasting(WORK) for n in (10, 30, 100, 300, 1000)]
    rows = [Task(updates=n) for n in (70, 140, 285, NUM_TRAIN // 100)]
    for group, tasks in (("hidden", hidden), ("batch", batch), ("rows", rows)):
        for task in tasks:
            yield Contest(f"growth-{group}", task, partial(growing, task), 3)
