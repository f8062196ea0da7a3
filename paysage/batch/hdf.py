"""Minibatches of the rows of a table in an HDF5 file, which may be larger than memory."""

from __future__ import annotations

import operator
import os
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from paysage import backends as be
from paysage.backends.contract import Tensor
from paysage.batch.ahead import ReadAhead
from paysage.batch.layout import Layout, find_layout, opened
from paysage.batch.order import Seed, shuffle_blocks
from paysage.batch.table import Table, checked_batch_size
from paysage.checks import check_flag, check_whole
from paysage.errors import ConfigError, DataError, StorageError
from paysage.preprocess import Transformation

#: the rows of a shuffled pass are mixed in a pool of this many blocks of neighboring rows
POOL_BLOCKS = 64
#: single precision bytes, and rows, of a block; the first bounds memory, the second the time that
#: random numbers take
BLOCK_BYTES, BLOCK_ROWS = 2**19, 4096


class HDFtable(Table):
    """Returns the rows of a table in a file, one minibatch at a time.

    The table is a DataFrame that pandas wrote, in 'fixed' or 'table' format, or a dataset of h5py
    or PyTables with two axes. A thread reads ahead in chunks of about 8 MiB, each a whole number
    of minibatches; so memory does not depend on the length of the file. A GPU keeps the rows of the
    first pass if they take no more than half of its free memory; else a chunk is copied there while
    the one before is used. A file written elsewhere while it is read leads to an error or to other
    rows.

    A shuffled pass reads blocks of about 0.5 MiB of neighboring rows in random order, into a pool
    of 64 blocks (32 MiB) from which the rows of minibatches are taken at random. A table that fits
    into the pool is shuffled completely. In a larger one, rows of one block stay close to one
    another; `DataShuffler` shuffles a whole file once and for all.

    Parameters
    ----------
    filename : str or Path
        The HDF5 file.
    key : str
        The table in it, such as 'train/images'.
    batch_size : int
        Rows in a minibatch; the last one of a pass has what is left.
    transform : Transformation, optional
        Applied to each minibatch; without one, rows come as they are.
    combine_frames : bool
        The columns of all frames and datasets directly below `key`, side by side in natural order
        (key/2 before key/10), are the columns of the table.
    rows : tuple, optional
        ``(start, stop)``: only the rows from `start` on and before `stop`, either of which may be
        None. Two tables with different rows of one file train and validate.
    read_ahead : int
        Chunks to read ahead; 0 has them read by the thread that uses them.
    shuffle : bool, default False
        Return the rows in a new random order in every pass.

    Raises
    ------
    StorageError
        There is no such file or no such table in it, or it cannot be read.
    ShapeError
        The table is not two-dimensional, or frames to be combined differ in length.
    DataError
        It is not numeric, has fewer rows than a minibatch, or its first minibatch has values that
        are not finite or that the transform cannot take. Such values further on are told with
        their row when a pass comes to them; training makes a pass of its own before it begins.
    ConfigError
        A number, the key or the rows are impossible, or the transform is no Transformation.

    Attributes
    ----------
    nrows, ncols : int
        Rows, and columns of a minibatch, after the transform.
    batch_size, output_batch_size : int
        Rows read for, and rows of, a minibatch.
    """

    def __init__(
        self,
        filename: str | Path,
        key: str,
        batch_size: int,
        transform: Transformation | None = None,
        combine_frames: bool = False,
        rows: tuple[int | None, int | None] | None = None,
        read_ahead: int = 2,
        shuffle: bool = False,
    ) -> None:
        self.shuffle = check_flag("shuffle", shuffle)
        self.filename, self.key = Path(_as_path(filename)), key
        depth = _checked_depth(read_ahead)
        self._layout = find_layout(filename, key, combine_frames)
        self._depth = depth
        self._first_row, self._stop = _checked_range(rows, self._layout.nrows)
        self.nrows = self._stop - self._first_row
        self.batch_size = checked_batch_size(batch_size, self.nrows)
        self._closed = False
        self._readers: list[ReadAhead] = []
        self._pass: Iterator[Tensor] | None = None
        self._checked: Transformation | None = None
        self._kept: Tensor | None = None
        self._first = self._first_minibatch()
        super().__init__(transform)

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
        DataError
            A value is not finite, or the transform cannot take it.
        StorageError
            The file cannot be read, or the table is closed.
        """
        if self._pass is None:
            self._pass = self.iterate(shuffle)
        try:
            return next(self._pass)
        except BaseException:  # the end of the pass, too
            self._pass = None
            raise

    def reset_generator(self) -> None:
        """Make the next `get` begin a new pass."""
        self._check_open()
        self._pass = None

    def iterate(self, shuffle: bool | None = None, seed: Seed | None = None) -> Iterator[Tensor]:
        """Iterate over the minibatches of a whole pass, without moving what `get` returns next.

        Parameters
        ----------
        shuffle : bool, optional
            Whether the rows come in random order; by default as the table is.
        seed : int or sequence of int, optional
            Determines the random order. By default a new seed is drawn from the backend's
            generator.

        Raises
        ------
        StorageError
            The table is closed.
        """
        self._check_open()
        return self._minibatches(self._pass_generator(shuffle, seed))

    def close(self) -> None:
        """Stop reading and let go of the file; passes that are under way end with an error."""
        self._closed = True
        self._pass = self._kept = None
        for reader in self._readers:
            reader.close()
        self._readers = []

    def _sample(self) -> Tensor:
        return be.float_tensor(self._first)

    def _stored(self, ranges: list[tuple[int, int]]) -> Iterator[np.ndarray]:
        self._check_open()
        with opened(self._layout) as read:
            for start, stop in ranges:
                yield read(self._first_row + start, self._first_row + stop)

    def _check_open(self) -> None:
        if self._closed:
            raise StorageError(f"the table '{self.key}' of {self.filename} is closed")

    def _minibatches(self, rng: np.random.Generator | None) -> Iterator[Tensor]:
        checking, row = self._transform, self._first_row
        for chunk in self._tensors(rng):
            if self._checked is not self._transform:
                self._check_values(chunk, None if rng else row)
            for rows in self._minibatches_of(chunk):
                self._check_open()
                yield rows
            row += len(chunk)
        self._check_open()
        if self._transform is checking:
            self._checked = checking

    def _check_values(self, chunk: Tensor, row: int | None) -> None:
        """Raise a DataError that names the row, which a shuffled pass (None) has to look for."""
        try:
            self._transform.check_values(be.to_numpy_array(chunk), row or 0)
        except DataError:
            if row is None:
                for _ in self._minibatches(None):
                    pass
            raise

    def _tensors(self, rng: np.random.Generator | None) -> Iterator[Tensor]:
        """The chunks of a pass as tensors, from the file or from the memory of the GPU."""
        size = self.nrows * self._layout.ncols * np.dtype(np.float32).itemsize
        if self._kept is None and be.fits_device(size):
            self._kept = self._load()
        if self._kept is not None:
            yield from self._chunks_of(self._kept, rng)
            return
        with self._chunks(rng) as chunks:
            yield from be.uploads(chunks)

    def _load(self) -> Tensor:
        """Read the whole table into one tensor."""
        rows, start = be.zeros((self.nrows, self._layout.ncols)), 0
        with self._chunks(None) as chunks:
            for chunk in be.uploads(chunks):
                rows[start : start + len(chunk)] = chunk
                start += len(chunk)
        return rows

    def _chunks_of(self, rows: Tensor, rng: np.random.Generator | None) -> Iterator[Tensor]:
        """The chunks of a pass, from a tensor with all rows."""
        if rng is None:
            size = self._chunk_rows(self._layout.ncols)
            yield from (rows[start : start + size] for start in range(0, self.nrows, size))
            return
        # the same calls as for a file, so that the order does not depend on the memory of the GPU
        blocks = (np.arange(*block) for block in self._shuffled_blocks(rng))
        for numbers in shuffle_blocks(blocks, *self._pool(), rng):
            yield be.index_select(rows, be.long_tensor(numbers - self._first_row))

    @contextmanager
    def _chunks(self, rng: np.random.Generator | None) -> Iterator[Iterator[np.ndarray]]:
        """The chunks of a pass from the file, read by a thread or by this one."""
        make: Callable[[], Generator[np.ndarray, None, None]]
        if rng is None:
            size = self._chunk_rows(self._layout.ncols)
            make = partial(_read_chunks, self._layout, self._first_row, self._stop, size)
        else:
            make = partial(
                _read_shuffled, self._layout, self._shuffled_blocks(rng), self._pool(), rng
            )
        if self._depth == 0:
            with closing(make()) as chunks:
                yield chunks
            return
        reader = ReadAhead(make, self._depth)
        self._readers = [*(r for r in self._readers if r.running), reader]
        try:
            yield reader
        finally:
            reader.stop()

    def _usual_block(self) -> int:
        """Return the rows of a block of a file that is not stored in pieces."""
        width = self._layout.ncols * np.dtype(np.float32).itemsize
        return max(1, min(BLOCK_BYTES // width, BLOCK_ROWS))

    def _block_rows(self) -> int:
        """Return the rows of a block: whole pieces of the file, unless those are very large.

        HDF5 compresses datasets in pieces. A block that ends within one has it unpacked twice.
        """
        rows, piece = self._usual_block(), self._layout.piece_rows
        return min(-(-rows // piece) * piece, 8 * rows)

    def _shuffled_blocks(self, rng: np.random.Generator) -> list[tuple[int, int]]:
        """Return first row, and the one after the last, of all blocks in random order."""
        size, first, stop = self._block_rows(), self._first_row, self._stop
        starts = rng.permutation(np.arange(first - first % size, stop, size)).tolist()
        return [(max(start, first), min(start + size, stop)) for start in starts]

    def _pool(self) -> tuple[int, int, int]:
        """Return the rows of the pool of a shuffled pass, of its chunks, and of a minibatch."""
        rows = POOL_BLOCKS * self._usual_block()
        batches = min(self._chunk_rows(self._layout.ncols), rows // 8) // self.batch_size
        size = self.batch_size * max(1, batches)
        return max(rows, self.batch_size + self._block_rows()), size, self.batch_size

    def _first_minibatch(self) -> np.ndarray:
        """What tells whether the table can be used."""
        with closing(
            _read_chunks(self._layout, self._first_row, self._stop, self.batch_size)
        ) as chunks:
            return next(chunks)


def _read_chunks(
    layout: Layout, start: int, stop: int, size: int
) -> Generator[np.ndarray, None, None]:
    """The rows from start to stop in chunks of so many rows; it runs in the reader's thread."""
    with opened(layout) as read:
        for first in range(start, stop, size):
            yield read(first, min(first + size, stop))


def _read_shuffled(
    layout: Layout,
    blocks: list[tuple[int, int]],
    pool: tuple[int, int, int],
    rng: np.random.Generator,
) -> Generator[np.ndarray, None, None]:
    """Yield the rows of the blocks in random order; it runs in the reader's thread."""
    with opened(layout) as read:
        yield from shuffle_blocks((read(*block) for block in blocks), *pool, rng)


def _as_path(filename: Any) -> Any:
    if not isinstance(filename, str | os.PathLike):
        raise StorageError(f"got {filename!r}, expected the path of a file")
    return filename


def _checked_depth(read_ahead: Any) -> int:
    return check_whole("read_ahead", read_ahead)


def _checked_range(rows: Any, nrows: int) -> tuple[int, int]:
    """First row and the one after the last."""
    if rows is None:
        return 0, nrows
    try:
        start, stop = (
            default if n is None else operator.index(n)
            for n, default in zip(rows, (0, nrows), strict=True)
        )
    except (TypeError, ValueError) as error:
        raise ConfigError(f"rows is {rows!r}, expected (start, stop)") from error
    if not 0 <= start < stop <= nrows:
        raise DataError(
            f"rows is {rows!r}, expected 0 <= start < stop <= {nrows}, the table's rows"
        )
    return start, stop
