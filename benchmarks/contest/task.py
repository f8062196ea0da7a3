"""What is to be learned, and from which rows."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from contest.turns import Contestant
from paysage import datasets

SEED = 137
NUM_VISIBLE = 784
NUM_ROWS = 60_000
#: what is left of the rows for validation
NUM_TRAIN = 57_000
#: the part of the pixels of MNIST that are on
PART_ON = 0.13


@dataclass(frozen=True)
class Task:
    """Some epochs of training on the first rows of the data."""

    hidden: tuple[int, ...] = (200,)
    batch: int = 100
    method: str = "pcd"
    steps: int = 1
    updates: int = NUM_TRAIN // 100
    """in an epoch"""
    epochs: int = 1
    gaussian: bool = False

    @property
    def rows(self) -> int:
        return self.updates * self.batch

    @property
    def all_updates(self) -> int:
        return self.updates * self.epochs

    @property
    def algorithm(self) -> str:
        """Such as CD-1."""
        return f"{self.method.upper()}-{self.steps}"

    def __str__(self) -> str:
        sizes = " × ".join(str(n) for n in (NUM_VISIBLE, *self.hidden))
        kind = "Gaussian " if self.gaussian else ""
        return f"{kind}{sizes}, batch {self.batch}, {self.algorithm}"

    @property
    def products(self) -> list[tuple[int, int, int]]:
        """Products that an update cannot do without, of each connection: up, down, and outer.

        A restricted machine: one up of the data, one down and one up of each sweep of the chains,
        and two outer products of the gradient. Between hidden layers both phases sweep, after
        one pass up; the input that a layer had last is used for its mean.
        """
        k = self.steps
        deep = [(1 + 2 * k, 2 * k, 2)] * (len(self.hidden) - 1)
        return [(1 + k, k, 2), *deep]

    @property
    def multiplications(self) -> float:
        """Of the products of an update."""
        sizes = (NUM_VISIBLE, *self.hidden)
        return sum(
            sum(counts) * self.batch * sizes[i] * sizes[i + 1]
            for i, counts in enumerate(self.products)
        )

    @property
    def flips(self) -> int:
        """Units that the chains of an update draw."""
        return self.batch * self.steps * (NUM_VISIBLE + sum(self.hidden))

    def lasting(self, multiplications: float) -> Task:
        """The same with as many updates as need about so many multiplications."""
        wanted = math.ceil(multiplications / self.multiplications)
        return replace(self, updates=min(max(wanted, 5), NUM_TRAIN // self.batch))


class Data:
    """The rows that all contestants learn: black and white for Bernoulli units, grey for others."""

    def __init__(self) -> None:
        path = datasets.find_mnist()
        rng = np.random.default_rng(SEED)
        if path is None:
            self.name = f"random pixels, {PART_ON:.0%} of them on (MNIST was not found)"
            size = (NUM_ROWS, NUM_VISIBLE)
            self.grey = np.float32(rng.random(size, np.float32) < PART_ON)
        else:
            self.name = "MNIST, in random order"
            images = datasets.load_mnist(path).train.images
            self.grey = images[rng.permutation(len(images))] / np.float32(255)
        self.binary = np.round(self.grey)

    def rows(self, task: Task) -> np.ndarray:
        """The rows that are trained on."""
        return self.all_rows(task)[: task.rows]

    def all_rows(self, task: Task) -> np.ndarray:
        """Those, and 3000 more to validate with, or a twentieth if there are fewer."""
        rows = self.grey if task.gaussian else self.binary
        return rows[: task.rows + self.num_validate(task)]

    def num_validate(self, task: Task) -> int:
        """At least a minibatch."""
        return max(task.batch, min(NUM_ROWS - NUM_TRAIN, task.rows // 20))


class Contest(NamedTuple):
    """Who learns what; the contests of a group share a table, one row each."""

    group: str
    task: Task
    contestants: Callable[[Data], list[Contestant]]
    repeats: int = 5

    def __str__(self) -> str:
        return f"{self.group}: {self.task}"


def minibatches(rows: np.ndarray, task: Task) -> Iterator[np.ndarray]:
    """All minibatches of all epochs."""
    for _ in range(task.epochs):
        for start in range(0, task.rows, task.batch):
            yield rows[start : start + task.batch]
