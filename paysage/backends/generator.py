"""Random number generators, the active one, and objects that own a generator.

All random functions of the backends draw from the active generator: the innermost one whose
``with`` block is open, or the global one, which `set_seed` seeds. Blocks are kept in a context
variable. They affect only the thread that opened them and the tasks that `threads.side_by_side`
runs for it, so that threads do not disturb one another.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import numpy as np

from paysage.errors import ConfigError

if TYPE_CHECKING:
    from typing_extensions import Self

_LENGTH = 2**64  # the counter wraps around here
_GOLDEN, _MIX_1, _MIX_2 = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB
_SPLIT = 0xD1B54A32D192ED03  # keeps the keys of children apart from the words that are drawn
_KIND = "paysage generator 1"

#: generators whose blocks are open in this context, the innermost last
_open: ContextVar[tuple[Generator, ...]] = ContextVar("paysage_generators", default=())


class Generator:
    """Random number generator, independent of all others.

    While a ``with generator:`` block is open, everything in it that draws random numbers takes them
    from this generator. The global generator is not moved.

    Uniform and normal numbers of single precision are counter based: number i is a pure function
    of the key and of i (see `cpu.kernels`), so that they can be made in vectors and in any chunks.
    Everything else (integers, permutations, Gamma, Poisson) comes from `numpy`. On a GPU numbers
    come from a generator of PyTorch, which is seeded by the key.

    Generators can be copied and pickled. A copy draws the same numbers as the original.

    Parameters
    ----------
    seed : int, optional
        Not negative; None takes fresh entropy from the operating system.

    Raises
    ------
    ConfigError
        If the seed is not an integer, or negative.

    Examples
    --------
    >>> generator = Generator(7)
    >>> with generator:
    ...     state = model.markov_chain(100, state)
    """

    #: what the numbers are a function of, together with `counter`
    key: np.uint64
    #: number of the next element
    counter: int
    #: `torch.Generator` on the GPU, made at its first use
    gpu: Any
    #: where it continues, if it was not made yet
    _gpu_state: bytes | None

    def __init__(self, seed: int | None = None) -> None:
        self.gpu = None
        self.seed(seed)

    def __repr__(self) -> str:
        return f"Generator(key={int(self.key):#x}, counter={self.counter})"

    # the active generator

    def __enter__(self) -> Self:
        """Make this the active generator of the current thread."""
        _open.set((*_open.get(), self))
        return self

    def __exit__(self, *error: Any) -> None:
        """Make the generator active again that was active before."""
        _open.set(_open.get()[:-1])

    # seeds and states

    def seed(self, seed: int | None = None) -> None:
        """Start again from a seed, or from fresh entropy.

        Models whose generators were spawned from the global generator start again too; see
        `GeneratorOwner`.

        Raises
        ------
        ConfigError
            If the seed is not an integer, or negative.
        """
        if seed is not None:
            seed = _checked_seed(seed)
        # two children: the key must not be one of the words that NumPy's generator starts from
        for_key, for_numpy = np.random.SeedSequence(seed).spawn(2)
        numpy = np.random.Generator(np.random.SFC64(for_numpy))
        self._start(for_key.generate_state(1, np.uint64)[0], 0, numpy)
        self.renew_lineage()
        if self.gpu is not None:
            self.gpu.manual_seed(self.seed_on_gpu)

    def get_state(self) -> dict[str, Any]:
        """Return everything that determines the next numbers, as values that JSON can hold."""
        gpu = self._gpu_state if self.gpu is None else self.gpu.get_state().numpy().tobytes()
        return {
            "kind": _KIND,
            "key": int(self.key),
            "counter": self.counter,
            "numpy": _to_json(self.numpy.bit_generator.state),
            "gpu": None if gpu is None else gpu.hex(),
        }

    def set_state(self, state: dict[str, Any]) -> None:
        """Continue from a state that `get_state` returned.

        Raises
        ------
        ConfigError
            If it is not the state of a generator.
        """
        try:
            if state["kind"] != _KIND:
                raise ValueError(f"its kind is {state['kind']!r}")
            bits = np.random.SFC64(0)
            bits.state = _from_json(state["numpy"])
            key, counter = np.uint64(state["key"]), int(state["counter"]) % _LENGTH
            on_gpu = None if state["gpu"] is None else bytes.fromhex(state["gpu"])
            if self.gpu is not None and on_gpu is not None:
                self.gpu.set_state(_byte_tensor(on_gpu))
        except (KeyError, TypeError, ValueError, OverflowError, RuntimeError) as error:
            raise ConfigError(
                f"expected a random state of the kind {_KIND!r}, got one that cannot be used: "
                f"{error!r}"
            ) from error
        self._start(key, counter, np.random.Generator(bits))
        if self.gpu is None:
            self._gpu_state = on_gpu
        elif on_gpu is None:  # the state was taken before any number was drawn on the GPU
            self.gpu.manual_seed(self.seed_on_gpu)

    def __getstate__(self) -> dict[str, Any]:
        return self.get_state()

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.gpu = None
        self.set_state(state)
        self.renew_lineage()

    def renew_lineage(self) -> None:
        """Have models whose generators were spawned from this one spawn them again."""
        self.lineage = object()

    def _start(self, key: np.uint64, counter: int, numpy: np.random.Generator | None) -> None:
        self.key, self.counter, self._numpy = key, counter, numpy
        self._gpu_state = None

    # other generators that follow from this one

    def spawn(self, number: int = 1) -> list[Generator]:
        """Return independent generators.

        They depend on the state of this generator and on their position in the list. The next call
        returns others.
        """
        # two numbers are skipped, so that the next call starts from another base
        base = _mixed(int(self.key) ^ _SPLIT, self.reserve(2, 0))
        return [_child(np.uint64(_mixed(base, i)), self.lineage) for i in range(number)]

    def rows(self, first: int, count: int, total: int) -> Generator:
        """Return a generator of the numbers of `count` rows among all `total` rows.

        Numbers are drawn row by row: of what all rows draw, each has a part of the same size. What
        comes from `numpy` comes from a generator that belongs to these rows.
        """
        return _Rows(self, first, count, total)

    # numbers

    @property
    def numpy(self) -> np.random.Generator:
        """NumPy's generator, for what is not counter based."""
        if self._numpy is None:
            # made where it is needed: tens of microseconds, and most tasks draw by counter only
            self._numpy = np.random.Generator(np.random.SFC64(self._numpy_key()))
        return self._numpy

    def _numpy_key(self) -> int:
        return int(self.key)

    @property
    def seed_on_gpu(self) -> int:
        """Seed of a generator of PyTorch."""
        return int(self.key) >> 1

    def take_gpu_state(self) -> Any:
        """Return the state in which the generator on the GPU continues, None for a fresh one."""
        state, self._gpu_state = self._gpu_state, None
        return None if state is None else _byte_tensor(state)

    def take(self, size: int, spare: int = 0) -> tuple[np.uint64, np.uint64]:
        """Reserve the next `size` numbers; return the key and the number of the first one.

        `spare` more numbers are left unused, for callers that start at a multiple of something.
        """
        return self.key, np.uint64(self.reserve(size, spare))

    def reserve(self, size: int, spare: int) -> int:
        """Move on by `size + spare` numbers; return the number of the first one."""
        # no call between reading and writing: CPython does not switch threads here, so that two
        # threads that share the global generator do not get the same numbers
        first = self.counter
        self.counter = (first + size + spare) % _LENGTH
        return first

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


def _child(key: np.uint64, lineage: object) -> Generator:
    child = Generator.__new__(Generator)
    child.gpu, child.lineage = None, lineage
    child._start(key, 0, None)
    return child


class _Rows(Generator):
    """The numbers of some rows among those that a generator has for all of them."""

    def __init__(self, whole: Generator, first: int, count: int, total: int) -> None:
        self.gpu, self.lineage = None, whole.lineage
        self._start(whole.key, 0, None)
        self._whole = whole
        self._first, self._count, self._total = first, max(1, count), total

    def _numpy_key(self) -> int:
        return _mixed(int(self.key) ^ _SPLIT, self._first)

    def reserve(self, size: int, spare: int) -> int:
        each = -(-size // self._count)
        return (self._whole.reserve(self._total * each, spare) + self._first * each) % _LENGTH


#: the generator that `set_seed` seeds, from fresh entropy until then
GLOBAL = Generator()


def active_generator() -> Generator:
    """Return the generator that random numbers are drawn from now.

    It is the innermost one whose ``with`` block is open in this thread, or the global one.
    """
    generators = _open.get()
    return generators[-1] if generators else GLOBAL


class GeneratorOwner:
    """Base of objects that draw random numbers: models, samplers, trainers.

    An object that was given a generator draws from it. Any other object draws from the active
    generator, if a ``with`` block of one is open in the thread, or else from its default. A model's
    default is spawned from the global generator when it is first needed, and again after
    `set_seed`, so that a script that sets the global seed is reproducible. The default of samplers
    and trainers is the generator of their model.
    """

    _given: Generator | None = None
    _own: Generator | None = None

    #: whether the active generator takes precedence over one that was given
    _yields_to_active = False

    @property
    def generator(self) -> Generator:
        """The generator that was given, or else the default; settable, also to a seed or None."""
        return self._default_generator() if self._given is None else self._given

    @generator.setter
    def generator(self, generator: Generator | int | None) -> None:
        self._given, self._own = given_generator(generator), None

    def _default_generator(self) -> Generator:
        if self._own is None or self._own.lineage is not GLOBAL.lineage:
            self._own = GLOBAL.spawn()[0]
        return self._own

    def drawing(self) -> Generator:
        """Return the generator for a method call, which opens a ``with`` block of it."""
        generators = _open.get()
        if generators and (self._given is None or self._yields_to_active):
            return generators[-1]
        return self.generator


def given_generator(generator: Any) -> Generator | None:
    """Return the generator that an argument stands for; None stands for no generator.

    Raises
    ------
    ConfigError
        If it is neither None, nor a generator, nor a seed.
    """
    if generator is None or isinstance(generator, Generator):
        return generator
    if isinstance(generator, bool) or not isinstance(generator, (int, np.integer)):
        raise ConfigError(
            f"generator must be a backends.Generator, an integer seed or None, got {generator!r}"
        )
    return Generator(int(generator))


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


def _byte_tensor(state: bytes) -> Any:
    """The state of a generator of PyTorch as that library takes it."""
    import torch

    return torch.from_numpy(np.frombuffer(state, np.uint8).copy())


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
