"""One seed, every random number on the CPU: a counter-based stream beside a NumPy generator."""

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import cached_property
from typing import Any

import numpy as np

from paysage.errors import ConfigError

_LENGTH = 2**64  # the counter wraps around here
_GOLDEN, _MIX_1, _MIX_2 = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB
_SPLIT = 0xD1B54A32D192ED03  # keeps the keys of parts apart from the words that are drawn
_KIND = "cpu stream 1"


class Stream:
    """A source of random numbers.

    Uniform and normal numbers of single precision are counter based: number i is a pure function
    of the seed and of i (see `kernels`), so that they can be made in vectors and in any chunks.
    Everything else (integers, permutations, Gamma, Poisson) comes from `generator`, NumPy's SFC64.

    Parameters
    ----------
    seed : int, optional
        Not negative; None takes fresh entropy from the operating system.
    """

    def __init__(self, seed: int | None = None) -> None:
        self._main: _Source
        self._here = threading.local()
        self.seed(seed)

    @property
    def _source(self) -> "_Source":
        return getattr(self._here, "source", None) or self._main

    @property
    def key(self) -> np.uint64:
        """What the words of this stream are made of."""
        return self._source.key

    @property
    def counter(self) -> int:
        """Number of the next element."""
        return self._source.counter

    @property
    def generator(self) -> np.random.Generator:
        """NumPy's generator, for what is not counter based."""
        return self._source.generator

    def seed(self, seed: int | None = None) -> None:
        """Start anew.

        Raises
        ------
        ConfigError
            If the seed is not an integer, or negative.
        """
        if seed is not None:
            seed = _checked_seed(seed)
        # two children: the key must not be one of the words that the generator starts from
        for_counter, for_generator = np.random.SeedSequence(seed).spawn(2)
        self._main = _Source(for_counter.generate_state(1, np.uint64)[0])
        self._main.generator = np.random.Generator(np.random.SFC64(for_generator))

    def take(self, size: int, spare: int = 0) -> tuple[np.uint64, np.uint64]:
        """Reserve the next `size` numbers; gives the key and the number of the first one.

        `spare` numbers more are left unused, for who begins at a multiple of something.
        """
        source = self._source
        return source.key, np.uint64(source.reserve(size, spare))

    @contextmanager
    def rows(self, first: int, count: int, total: int) -> Iterator[None]:
        """While open, in this thread, `count` rows draw what is theirs where all `total` draw.

        Numbers are drawn row by row: of what all rows draw, each has a part of the same size. What
        comes from the generator comes from one that these rows have for themselves.
        """
        with self._drawing_from(_Rows(self._source, first, count, total)):
            yield

    def parts(self, number: int) -> list[AbstractContextManager[None]]:
        """Context managers, one a task: what is drawn inside comes from a stream of its own.

        What is drawn depends on where this stream is and on the task's position only, not on the
        thread or the time at which the task runs.
        """
        source = self._source
        # two, so that the next split has another base
        base = _mixed(int(source.key) ^ _SPLIT, source.reserve(2, 0))
        return [self._drawing_from(_Source(np.uint64(_mixed(base, i)))) for i in range(number)]

    @contextmanager
    def _drawing_from(self, source: "_Source") -> Iterator[None]:
        before = getattr(self._here, "source", None)
        self._here.source = source
        try:
            yield
        finally:
            self._here.source = before

    def uniform(self, shape: Any) -> np.ndarray:
        """Float32 numbers, uniform on (0, 1): multiples of 2^-24, and 2^-25 instead of 0."""
        from paysage.backends.cpu import kernels

        out = np.empty(shape, np.float32)
        kernels.fill_uniform(*self.take(out.size), out.reshape(-1))
        return out

    def normal(self, shape: Any) -> np.ndarray:
        """Float32 standard normal numbers."""
        from paysage.backends.cpu import kernels

        out = np.empty(shape, np.float32)
        kernels.fill_normal(*self.take(out.size), out.reshape(-1))
        return out

    def get_state(self) -> dict[str, Any]:
        """Everything that decides which numbers follow, for JSON."""
        return {
            "kind": _KIND,
            "key": int(self.key),
            "counter": self.counter,
            "generator": _to_json(self.generator.bit_generator.state),
        }

    def set_state(self, state: dict[str, Any]) -> None:
        """Go back to a state that `get_state` gave.

        Raises
        ------
        ConfigError
            If it is the state of something else.
        """
        try:
            if state["kind"] != _KIND:
                raise ValueError(f"it is of the kind {state['kind']!r}")
            bits = np.random.SFC64(0)
            bits.state = _from_json(state["generator"])
            source = _Source(np.uint64(state["key"]), int(state["counter"]) % _LENGTH)
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise ConfigError(
                f"expected a random state of the kind {_KIND!r}, got one that cannot be used: "
                f"{error!r}"
            ) from error
        source.generator = np.random.Generator(bits)
        self._main = source


class _Source:
    """A key, how many of its numbers were drawn, and a generator for what is not counter based."""

    def __init__(self, key: np.uint64, counter: int = 0) -> None:
        self.key = key
        self.counter = counter

    @cached_property
    def generator(self) -> np.random.Generator:
        # made where it is needed: tens of microseconds, and most tasks draw by counter only
        return np.random.Generator(np.random.SFC64(int(self.key)))

    def reserve(self, size: int, spare: int) -> int:
        """Go on by so many numbers; gives that of the first one."""
        first = self.counter
        self.counter = (self.counter + size + spare) % _LENGTH
        return first


class _Rows(_Source):
    """The numbers of some rows among those that a source has for all of them."""

    def __init__(self, whole: _Source, first: int, count: int, total: int) -> None:
        super().__init__(whole.key)
        self._whole = whole
        self._first, self._count, self._total = first, max(1, count), total

    @cached_property
    def generator(self) -> np.random.Generator:
        key = _mixed(int(self.key) ^ _SPLIT, self._first)
        return np.random.Generator(np.random.SFC64(key))

    def reserve(self, size: int, spare: int) -> int:
        each = -(-size // self._count)
        return (self._whole.reserve(self._total * each, spare) + self._first * each) % _LENGTH


def _mixed(key: int, number: int) -> int:
    """Word `number` of a key, as in `kernels.fill_words`."""
    z = (key + number * _GOLDEN) % _LENGTH
    z = ((z ^ (z >> 30)) * _MIX_1) % _LENGTH
    z = ((z ^ (z >> 27)) * _MIX_2) % _LENGTH
    return z ^ (z >> 31)


def _checked_seed(seed: Any) -> int:
    """The seed as a Python integer."""
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
        raise ConfigError(f"a seed is an integer that is not negative, got {seed!r}")
    return int(seed)


def _to_json(tree: Any) -> Any:
    """A nested dictionary with its arrays and NumPy integers made lists and integers."""
    if isinstance(tree, dict):
        return {name: _to_json(value) for name, value in tree.items()}
    return tree.tolist() if isinstance(tree, (np.ndarray, np.generic)) else tree


def _from_json(tree: Any) -> Any:
    """The inverse of `_to_json`, for the states of NumPy's bit generators."""
    if isinstance(tree, dict):
        return {name: _from_json(value) for name, value in tree.items()}
    return np.array(tree, np.uint64) if isinstance(tree, list) else tree
