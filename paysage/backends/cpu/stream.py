"""One seed, every random number on the CPU: a counter-based stream beside a NumPy generator."""

from typing import Any

import numpy as np

from paysage.errors import ConfigError

_LENGTH = 2**64  # the counter wraps around here
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
        self.key = np.uint64(0)
        self.counter = 0
        self.generator: np.random.Generator
        self.seed(seed)

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
        self.key = for_counter.generate_state(1, np.uint64)[0]
        self.counter = 0
        self.generator = np.random.Generator(np.random.SFC64(for_generator))

    def take(self, size: int) -> tuple[np.uint64, np.uint64]:
        """Reserve the next `size` numbers; gives the key and the number of the first one."""
        first = np.uint64(self.counter)
        self.counter = (self.counter + size) % _LENGTH
        return self.key, first

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
            key, counter = np.uint64(state["key"]), int(state["counter"]) % _LENGTH
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise ConfigError(
                f"expected a random state of the kind {_KIND!r}, got one that cannot be used: "
                f"{error!r}"
            ) from error
        self.key, self.counter, self.generator = key, counter, np.random.Generator(bits)


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
