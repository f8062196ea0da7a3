"""Minibatches of the rows of a tensor in memory."""

import hashlib
import operator
from collections.abc import Iterator
from typing import Any

import numpy as np

from paysage import backends as be
from paysage.backends.contract import Tensor
from paysage.backends.conversion import on_host
from paysage.batch.order import Seed, draw_seed, row_generator
from paysage.checks import check_flag
from paysage.errors import ConfigError, DataError, PaysageError, ShapeError
from paysage.preprocess import Transformation

#: single precision bytes of a chunk, which is read, and copied to a GPU, at once
CHUNK_BYTES = 8 * 2**20
#: a checksum looks at so many runs of rows, spread evenly, of so many rows each
RUNS, RUN = 8, 32


class Table:
    """What tables of rows have in common: a transform, and minibatches that went through it.

    A table has the attributes `nrows` and `batch_size`, and gives the rows that a new transform is
    tried on, by `_sample`, before this class is initialized.
    """

    nrows: int
    batch_size: int
    #: whether passes are shuffled unless `get` or `iterate` are asked for something else
    shuffle: bool = False
    _first_row = 0

    def __init__(self, transform: Transformation | None) -> None:
        self.output_batch_size = self.batch_size
        self.set_transform(Transformation() if transform is None else transform)

    def __repr__(self) -> str:
        """Rows, columns and batch size."""
        name = type(self).__name__
        return f"{name}({self.nrows} rows, {self.ncols} columns, {self.batch_size} a batch)"

    def get_transform(self) -> Transformation:
        """The transform that minibatches go through."""
        return self._transform

    def set_transform(self, transform: Transformation) -> None:
        """Send minibatches through another transform, which may change the number of columns.

        Raises
        ------
        ConfigError, DataError, ShapeError
            It is no Transformation, cannot take a value of the data, or does not make a row of a
            row; the former one is kept.
        """
        if not isinstance(transform, Transformation):
            raise ConfigError(
                f"transform is a {type(transform).__name__}, expected preprocess.Transformation(f)"
            )
        sample = self._sample()
        transform.check(sample, self._first_row)
        self.ncols = _width_after(transform, be.float_tensor(sample[:1]))
        self._transform = transform

    def _sample(self) -> Tensor:
        """Rows that tell whether a transform can be used: all of them, or the first ones."""
        raise NotImplementedError

    def checksum(self) -> str:
        """What tells rows from others, wherever they are kept: a digest of 256 of them.

        They are taken as stored, before the transform, in runs from the first to the last row.

        Raises
        ------
        StorageError
            The rows cannot be read.
        """
        last = max(0, self.nrows - RUN)
        starts = sorted({last * n // (RUNS - 1) for n in range(RUNS)})
        digest = hashlib.sha256()
        for rows in self._stored([(start, min(start + RUN, self.nrows)) for start in starts]):
            digest.update(repr(rows.shape).encode())
            digest.update(np.ascontiguousarray(rows, dtype="<f4").tobytes())
        return digest.hexdigest()[:16]

    def _stored(self, ranges: list[tuple[int, int]]) -> Iterator[np.ndarray]:
        """Rows from one number to before another, as they are kept."""
        raise NotImplementedError

    def _pass_generator(
        self, shuffle: bool | None, seed: Seed | None
    ) -> np.random.Generator | None:
        """Return the generator of the order of a new pass; None for the order of the table."""
        shuffle = self.shuffle if shuffle is None else check_flag("shuffle", shuffle)
        if not shuffle:
            return None
        return row_generator(draw_seed() if seed is None else seed)

    def _chunk_rows(self, columns: int) -> int:
        """A whole number of minibatches, at least one."""
        of_a_batch = self.batch_size * columns * np.dtype(np.float32).itemsize
        return self.batch_size * max(1, CHUNK_BYTES // of_a_batch)

    def _minibatches_of(self, chunk: Tensor) -> Iterator[Tensor]:
        for start in range(0, len(chunk), self.batch_size):
            yield self._transformed(chunk[start : start + self.batch_size])

    def _transformed(self, rows: Tensor) -> Tensor:
        result = be.float_tensor(self._transform.compute_checked(rows))
        expected = (int(be.shape(rows)[0]), self.ncols)
        if tuple(be.shape(result)) != expected:
            raise ShapeError(
                f"{self._transform} makes {tuple(be.shape(result))} of {expected[0]} rows, "
                f"expected {expected}"
            )
        return result


class InMemoryTable(Table):
    """Returns the rows of a tensor, one minibatch at a time.

    The data are copied, so that changes to the caller's array do not reach training. Minibatches
    are views of that copy, or copies of rows where a pass is shuffled. On a GPU, data that take
    more than half of its free memory stay with the host, and a pass copies chunks of them ahead of
    their use.

    Parameters
    ----------
    tensor : tensor, array or DataFrame, shape (N, n)
        The data, one sample a row.
    batch_size : int
        Rows in a minibatch; the last one of a pass has what is left.
    transform : Transformation, optional
        Applied to each minibatch; without one, rows come as they are.
    copy : bool, default True
        With False, a Float tensor with contiguous rows is used without a copy, which saves memory;
        do not change it while the table is in use.
    shuffle : bool, default False
        Return the rows in a new random order in every pass.

    Raises
    ------
    ShapeError
        The tensor is not two-dimensional.
    DataError
        It has no rows, no columns or fewer rows than a minibatch, or values that are not finite
        or that the transform cannot take.
    ConfigError
        The batch size is not a positive integer, or the transform is not a Transformation.
    """

    def __init__(
        self,
        tensor: Any,
        batch_size: int,
        transform: Transformation | None = None,
        copy: bool = True,
        shuffle: bool = False,
    ):
        self.shuffle = check_flag("shuffle", shuffle)
        self.tensor = as_rows(tensor, check_flag("copy", copy))
        self.nrows = int(be.shape(self.tensor)[0])
        self.batch_size = checked_batch_size(batch_size, self.nrows)
        self._start = 0
        self._order: Any = None
        super().__init__(transform)

    def _sample(self) -> Tensor:
        return self.tensor

    def _stored(self, ranges: list[tuple[int, int]]) -> Iterator[np.ndarray]:
        for start, stop in ranges:
            yield be.to_numpy_array(self.tensor[start:stop])

    def get(self, shuffle: bool | None = None) -> Tensor:
        """Return the next minibatch, shape (batch_size, ncols) or fewer rows at the end of a pass.

        Parameters
        ----------
        shuffle : bool, optional
            Whether a pass that begins with this call is shuffled; by default as the table is.

        Raises
        ------
        StopIteration
            The pass is over; the next call begins another.
        """
        if self._start >= self.nrows:
            self.reset_generator()
            raise StopIteration
        if self._start == 0:
            self._order = self._order_of(self._pass_generator(shuffle, None))
        start = self._start
        self._start += self.batch_size
        return self._transformed(be.float_tensor(self._rows(self._order, start, self.batch_size)))

    def reset_generator(self) -> None:
        """Make the next `get` begin a new pass."""
        self._start, self._order = 0, None

    def close(self) -> None:
        """Do nothing; a table in memory has no file to close."""

    def iterate(self, shuffle: bool | None = None, seed: Seed | None = None) -> Iterator[Tensor]:
        """Iterate over the minibatches of a whole pass, without moving what `get` returns next.

        Parameters
        ----------
        shuffle : bool, optional
            Whether the rows come in random order; by default as the table is.
        seed : int or sequence of int, optional
            Determines the random order. By default a new seed is drawn from the backend's
            generator.
        """
        order = self._order_of(self._pass_generator(shuffle, seed))
        return self._minibatches(order) if be.is_tensor(self.tensor) else self._streamed(order)

    def _order_of(self, rng: np.random.Generator | None) -> Any:
        """Return the row numbers of a pass, where the rows are; None for their own order."""
        if rng is None:
            return None
        order = rng.permutation(self.nrows)
        return be.long_tensor(order) if be.is_tensor(self.tensor) else order

    def _rows(self, order: Any, start: int, size: int) -> Any:
        """Return some rows of a pass, as they are stored."""
        if order is None:
            return self.tensor[start : start + size]
        chosen = order[start : start + size]
        if be.is_tensor(self.tensor):
            return be.index_select(self.tensor, chosen)
        return self.tensor[chosen]

    def _minibatches(self, order: Any) -> Iterator[Tensor]:
        for start in range(0, self.nrows, self.batch_size):
            yield self._transformed(self._rows(order, start, self.batch_size))

    def _streamed(self, order: Any) -> Iterator[Tensor]:
        """Minibatches of data that are an array of the host, for which the GPU has no room."""
        size = self._chunk_rows(int(be.shape(self.tensor)[1]))
        chunks = (self._rows(order, start, size) for start in range(0, self.nrows, size))
        for chunk in be.uploads(chunks):
            yield from self._minibatches_of(chunk)


def _width_after(transform: Transformation, row: Tensor) -> int:
    """Columns that the transform makes of a row; one row tells, and a transform may be costly."""
    try:
        with np.errstate(all="ignore"):  # what becomes infinite is told below
            result = be.float_tensor(transform.compute_checked(row))
    except PaysageError:
        raise
    except Exception as error:
        raise ConfigError(
            f"{transform} cannot be applied to a row of shape {tuple(be.shape(row))}: "
            f"{type(error).__name__}: {error}"
        ) from error
    shape = tuple(be.shape(result))
    if len(shape) != 2 or shape[0] != 1:
        raise ShapeError(f"{transform} makes {shape} of a row, expected (1, columns)")
    if not be.is_finite_all(result):
        raise DataError(f"{transform} makes NaN or infinite values of the first row")
    return int(shape[1])


def as_rows(data: Any, copy: bool = True) -> Tensor:
    """Return the data as a two-dimensional Float tensor with contiguous rows.

    Data for which the GPU has no room are returned as an array.

    Parameters
    ----------
    data : tensor, array or DataFrame, shape (N, n)
    copy : bool, default True
        Never share memory with `data`. With False, copy only where a conversion needs it.
    """
    tensor = be.resident_tensor(data)
    shape = tuple(be.shape(tensor))
    if len(shape) != 2:
        raise ShapeError(f"data of shape {shape}, expected (rows, columns)")
    if 0 in shape:
        raise DataError(f"data of shape {shape}, expected at least one row and one column")
    # column-major data, as pandas holds them, would make every minibatch a strided view
    if hasattr(tensor, "contiguous"):
        rows = tensor.contiguous()
        shared = hasattr(data, "data_ptr") and rows.data_ptr() == data.data_ptr()
        return rows.clone() if copy and shared else rows
    rows = np.ascontiguousarray(tensor)
    shared = hasattr(data, "__array__") and np.may_share_memory(rows, np.asarray(on_host(data)))
    return rows.copy() if copy and shared else rows


def positive_integer(value: Any, name: str) -> int:
    """The value as an int, or a ConfigError if it is not an integer of at least 1."""
    try:
        number = operator.index(value)
    except TypeError as error:
        raise ConfigError(f"{name} is {value!r}, expected an integer") from error
    if isinstance(value, bool):
        raise ConfigError(f"{name} is {value}, expected an integer")
    if number < 1:
        raise ConfigError(f"{name} is {number}, expected at least 1")
    return number


def checked_batch_size(batch_size: Any, nrows: int) -> int:
    """The number of rows of a minibatch, of which the data must fill at least one."""
    size = positive_integer(batch_size, "batch_size")
    if size > nrows:
        raise DataError(
            f"batch_size is {size} but there are only {nrows} rows: use a smaller batch_size"
        )
    return size
