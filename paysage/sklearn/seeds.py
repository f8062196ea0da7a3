"""Draws of an estimator, from its own random state and not from the stream of the backend."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from paysage import backends as be


@contextmanager
def seeded(random_state: Any) -> Iterator[None]:
    """Let the backend draw from a seed that is taken from a RandomState; its own stream resumes.

    Parameters
    ----------
    random_state : numpy.random.RandomState
        Moves on by one draw.
    """
    before = be.get_random_state()
    be.set_seed(int(random_state.randint(2**31 - 1)))
    try:
        yield
    finally:
        be.set_random_state(before)
