"""Strategies: arrays and numbers as people hand them over, with what they mean.

What a library does with them is right where it is what it does with a plain array of the same
numbers in double precision; what means no numbers has to be refused by name.
"""

from __future__ import annotations

import functools
import warnings
from decimal import Decimal
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import scipy.sparse
from hypothesis import given as hypothesis_given
from hypothesis import settings
from hypothesis import strategies as st

from paysage import backends as be
from paysage.errors import PaysageError

try:
    import torch
except ModuleNotFoundError:
    torch = None

REFUSED = "refused by a named error"


def attempt(function, *args, also=(), **kwargs):
    """What a call gives, or ``REFUSED``; any other error, or a warning at runtime, fails."""
    try:
        return function(*args, **kwargs)
    except (PaysageError, *also):
        return REFUSED


def given(*args, share=1, **kwargs):
    """As hypothesis has it, the backend's draws being the same for each input.

    Parameters
    ----------
    share : int
        One in so many of the inputs is enough, for tests that take long.
    """

    def decorate(test):
        @functools.wraps(test)
        def seeded(*a, **k):
            be.set_seed(137)
            return test(*a, **k)

        wanted = max(1, settings.default.max_examples // share)
        return settings(max_examples=wanted)(hypothesis_given(*args, **kwargs)(seeded))

    return decorate


# numbers


class Handed(NamedTuple):
    """What is handed over, the numbers that it means (None if none), and how it was made."""

    what: Any
    means: np.ndarray | None
    made: str

    def __repr__(self) -> str:
        return f"Handed({self.made}: {self.what!r})"

    def single(self) -> np.ndarray | None:
        """Its numbers in single precision, infinite where they are too large for that."""
        with np.errstate(all="ignore"):
            return None if self.means is None else self.means.astype(np.float32)

    def same_now(self) -> bool:
        """Whether it means the same now, after it was looked at."""
        return self.means is None or np.array_equal(_read(self.what), self.means, equal_nan=True)


def ordinary(rows: Any) -> Handed:
    """A plain array, for an explicit example that reaches the assertions about good input.

    Most generated input is refused; with few examples nothing else would reach them.
    """
    rows = np.array(rows, dtype=np.float64)
    return Handed(rows, rows.copy(), "plain array")


#: one state on in each row: units that a layer of any type can have
ONE_HOT_ROWS = np.tile(np.eye(3), (4, 1))


def _read(what: Any) -> np.ndarray:
    what = what.detach().double().numpy() if hasattr(what, "detach") else what
    return np.asarray(what.to_numpy() if hasattr(what, "to_numpy") else what).astype(np.float64)


def _spoiled(x: np.ndarray, value: float, rng: np.random.Generator) -> np.ndarray:
    x = x.copy()
    if x.size:
        x.flat[rng.integers(x.size)] = value
    return x


#: values of arrays, by name
VALUES = {
    "normal": lambda rng, shape: rng.standard_normal(shape),
    "binary": lambda rng, shape: rng.integers(0, 2, shape).astype(np.float64),
    "means": lambda rng, shape: rng.random(shape),
    "grey": lambda rng, shape: rng.integers(0, 256, shape).astype(np.float64),
    "constant": lambda rng, shape: np.full(shape, rng.choice([0.0, 1.0, -0.0, 0.1, 255.0])),
    "nan": lambda rng, shape: _spoiled(rng.integers(0, 2, shape) * 1.0, np.nan, rng),
    "inf": lambda rng, shape: _spoiled(
        rng.integers(0, 2, shape) * 1.0, rng.choice([np.inf, -np.inf]), rng
    ),
    "huge": lambda rng, shape: rng.standard_normal(shape) * rng.choice([1e20, 1e38, 1e300]),
    "tiny": lambda rng, shape: rng.standard_normal(shape) * rng.choice([1e-20, 1e-42, 1e-300]),
    "far": lambda rng, shape: rng.standard_normal(shape) + rng.choice([1e4, -1e7]),
}
FLOATS = ("float32", "float64", "float16", "longdouble", ">f4", ">f8")
INTEGERS = ("int8", "uint8", "int16", "int64", "uint64", ">i4", "bool")


def _cast(x: np.ndarray, dtype: str) -> np.ndarray:
    dtype = np.dtype(dtype)
    if dtype.kind in "iu":
        bounds = np.iinfo(dtype)
        x = np.clip(np.nan_to_num(x), max(bounds.min, -(2**52)), min(bounds.max, 2**52))
    with np.errstate(all="ignore"):
        return x.astype(dtype)


def _strided(x: np.ndarray) -> np.ndarray:
    room = np.zeros((*x.shape, 2), x.dtype)
    room[..., 1] = x
    return room[..., 1]


def _unaligned(x: np.ndarray) -> np.ndarray:
    room = np.zeros(x.nbytes + 1, np.uint8)[1:].view(x.dtype).reshape(x.shape)
    room[...] = x
    return room


def _read_only(x: np.ndarray) -> np.ndarray:
    x = x.copy()
    x.flags.writeable = False
    return x


#: arrays of the same shape and dtype in other memory; the last one repeats the first row
LAYOUTS = {
    "C": np.ascontiguousarray,
    "Fortran": np.asfortranarray,
    "strided": _strided,
    "reversed": lambda x: np.flip(np.flip(x).copy()),
    "read-only": _read_only,
    "unaligned": _unaligned,
    "repeated": lambda x: np.broadcast_to(x[:1], x.shape) if x.ndim else x,
}


def _tensor(x: np.ndarray) -> Any:
    known = ("float16", "float32", "float64", "int8", "uint8", "int16", "int64", "bool")
    return torch.from_numpy(np.array(x, x.dtype.name if x.dtype.name in known else np.float64))


def _matrix(x: np.ndarray) -> np.ndarray:
    with warnings.catch_warnings():  # NumPy does not recommend them
        warnings.simplefilter("ignore", PendingDeprecationWarning)
        return np.asmatrix(x) if x.ndim == 2 else x


def _frame(x: np.ndarray) -> Any:
    if x.ndim != 2:
        return x
    return pd.DataFrame({f"c{i}": column for i, column in enumerate(x.T.astype(np.float64))})


def _mixed_frame(x: np.ndarray) -> Any:
    frame = _frame(x)
    if x.ndim == 2 and x.shape[1] > 1:
        frame["c0"] = frame["c0"].astype(np.float32)
    return frame


#: other holders of the same numbers
HOLDERS = {
    "list": lambda x: x.tolist(),
    "objects": lambda x: x.astype(np.float64).astype(object),
    "matrix": _matrix,
    "unmasked": lambda x: np.ma.masked_array(x),
    "frame": _frame,
    "frame of two types": _mixed_frame,
}
if torch is not None:
    HOLDERS |= {
        "tensor": _tensor,
        "tensor with a gradient": lambda x: _tensor(x).double().requires_grad_(),
        "strided tensor": lambda x: torch.stack([_tensor(x)] * 2, dim=-1)[..., 1],
        "turned tensor": lambda x: _tensor(x.T.copy()).permute(tuple(reversed(range(x.ndim)))),
    }

#: what means no real numbers, whatever the shape
NO_NUMBERS = {
    "None": lambda x: None,
    "complex": lambda x: x + 1j,
    "text": lambda x: np.full(x.shape if x.size else (2, 2), "word"),
    "dates": lambda x: np.zeros(x.shape, "datetime64[s]"),
    "records": lambda x: np.zeros(x.shape, [("a", float), ("b", float)]),
    "ragged": lambda x: [[1.0, 2.0], [3.0]],
    "things": lambda x: np.full(x.shape if x.size else (2, 2), object()),
    "dictionary": lambda x: {"a": 1.0},
    "generator": lambda x: (row for row in np.ones((2, 2))),
    "function": lambda x: len,
    "sparse": lambda x: scipy.sparse.csr_array(np.eye(3)),
    "masked": lambda x: np.ma.masked_array(np.ones((3, 2)), mask=np.eye(3, 2, dtype=bool)),
}
if torch is not None:
    NO_NUMBERS |= {
        "complex tensor": lambda x: torch.zeros(x.shape, dtype=torch.complex64),
        "sparse tensor": lambda x: torch.eye(3).to_sparse(),
    }


def shapes(least=0, most=3, longest=6):
    """Shapes of few elements, empty ones among them."""
    return st.lists(st.integers(0, longest), min_size=least, max_size=most).map(tuple)


def matrices(rows=(1, 6), columns=(1, 6)):
    """Shapes of tables."""
    return st.tuples(st.integers(*rows), st.integers(*columns))


@st.composite
def handed(draw, shape=None, values=tuple(VALUES), dtypes=FLOATS + INTEGERS, strange=True):
    """Numbers in odd memory, or (if ``strange``) what means none."""
    shape = draw(shapes() if shape is None else shape)
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    kind, dtype = draw(st.sampled_from(values)), draw(st.sampled_from(dtypes))
    x = np.asarray(_cast(np.asarray(VALUES[kind](rng, shape)), dtype))
    if strange and draw(st.integers(0, 7)) == 0:
        name = draw(st.sampled_from(sorted(NO_NUMBERS)))
        with np.errstate(all="ignore"):
            return Handed(NO_NUMBERS[name](x.astype(np.float64)), None, name)
    name = draw(st.sampled_from([*LAYOUTS, *HOLDERS]))
    with np.errstate(all="ignore"):
        what = (LAYOUTS | HOLDERS)[name](x)
        means = np.array(_read(what))
    return Handed(what, means, f"{kind} {dtype} {name} {shape}")


def plain(x: np.ndarray) -> np.ndarray:
    """The numbers as a plain array in double precision."""
    return np.ascontiguousarray(x, np.float64)


# settings


#: things to give in the place of a number, a name, a list, or an object of the library
THINGS = [
    *(None, True, False, np.True_, -1, 0, 1, 2, 3, 7),
    *(0.5, 1.0, 2.0, -0.5, 1e-9, float("nan"), float("inf"), -float("inf")),
    *(np.int64(2), np.uint8(2), np.float32(0.5), np.float64("nan"), np.array(2), np.array(0.5)),
    *(np.array([2]), np.array([0.5, 0.25]), np.zeros(0), np.eye(2)),
    *("", "2", "0.5", "word", b"2", [], [0], [1, 2], (0,), (1, 0), ["word"], {}, {"a": 1}, set()),
    *(1j, Decimal("0.5"), Fraction(1, 2), slice(None), ..., int, len, object()),
]


def things():
    """Anything."""
    return st.sampled_from(THINGS)


def is_whole(value: Any, smallest: int) -> bool:
    """Whether it is an integer of Python or NumPy that is so large."""
    if isinstance(value, np.ndarray):
        return value.ndim == 0 and value.dtype.kind in "iu" and int(value) >= smallest
    integer = isinstance(value, int | np.integer) and not isinstance(value, bool)
    return integer and value >= smallest


def is_number(value: Any, low: float = -np.inf, high: float = np.inf) -> bool:
    """Whether it is a finite real number, and no truth value, in a closed interval."""
    real = isinstance(value, int | float | Fraction | np.integer | np.floating)
    if not real or isinstance(value, bool):
        return False
    return bool(np.isfinite(float(value))) and low <= value <= high


def is_flag(value: Any) -> bool:
    """Whether it is true or false, or the number one or zero."""
    return isinstance(value, bool | np.bool_) or (is_whole(value, 0) and value <= 1)


def array(tensor: Any) -> np.ndarray:
    """A tensor as an array in double precision."""
    return np.array(be.to_numpy_array(tensor), np.float64)
