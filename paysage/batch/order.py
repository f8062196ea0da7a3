"""Random orders of rows, each a function of a seed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from paysage import backends as be
from paysage.errors import ConfigError, in_brief

#: what determines an order: a number, or several, such as the seed of a training and an epoch
Seed = int | Sequence[int]


def draw_seed() -> int:
    """Draw a seed from the backend's generator."""
    return int(be.rand_int(0, 2**31 - 1, (1,))[0])


def row_generator(seed: Any) -> np.random.Generator:
    """Return the generator that a seed determines.

    It is independent of the backend's generator, so that reading data in some order does not
    change other random numbers.
    """
    try:
        return np.random.default_rng(seed)
    except (TypeError, ValueError) as error:
        raise ConfigError(
            f"seed is {seed!r}, expected an integer, at least 0, or a sequence of them "
            f"({in_brief(error)})"
        ) from error


def shuffle_blocks(
    blocks: Iterable[np.ndarray],
    capacity: int,
    size: int,
    batch_size: int,
    rng: np.random.Generator,
) -> Iterator[np.ndarray]:
    """Yield the rows of blocks in random order: fill a pool with blocks, permute its rows, repeat.

    Rows of different pools are not mixed, so the blocks should come in random order.

    Parameters
    ----------
    blocks : iterable of arrays (b, ...)
    capacity : int
        Most rows of the pool, at least `batch_size` and a block together.
    size : int
        Most rows of a yielded array, a multiple of `batch_size`.
    batch_size : int
        Every yielded array but the last has a multiple of this number of rows. Rows that are left
        over go to the next pool.
    rng : numpy.random.Generator
    """
    pool: Any = None
    held = 0
    for rows in blocks:
        if pool is None:
            pool = np.empty((capacity, *rows.shape[1:]), rows.dtype)
        if held + len(rows) > capacity:
            order = rng.permutation(held)
            whole = order[: held - held % batch_size]
            for start in range(0, len(whole), size):
                yield pool[whole[start : start + size]]
            held -= len(whole)
            pool[:held] = pool[order[len(whole) :]]
        pool[held : held + len(rows)] = rows
        held += len(rows)
    order = rng.permutation(held)
    for start in range(0, held, size):
        yield pool[order[start : start + size]]
