"""Minibatches of the rows of a table in an HDF5 file, which may be larger than memory."""

from __future__ import annotations

import operator
import os
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from paysage import backends as be
from paysage.backends.contract import Tensor
from paysage.batch.ahead import ReadAhead
from paysage.batch.layout import Layout, find_layout, opened
from paysage.batch.table import Table, checked_batch_size
from paysage.checks import check_whole
from paysage.errors import ConfigError, DataError, StorageError
from paysage.preprocess import Transformation


class HDFtable(Table):
    """Hands out the rows of a table in a file in order, a minibatch at a time.

    The table is a DataFrame that pandas wrote, in 'fixed' or 'table' format, or a dataset of h5py
    or PyTables with two axes. A thread reads ahead in chunks of about 8 MiB, each a whole number
    of minibatches; so memory does not depend on the length of the file. A GPU keeps the rows of the
    first pass if they take no more than half of its free memory; else a chunk is copied there while
    the one before is used. The table does not shuffle: see `DataShuffler`. A file written elsewhere
    while it is read gives an error or other rows.

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
    ) -> None:
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
        self._kept: list[Tensor] | None = None
        self._first = self._first_minibatch()
        super().__init__(transform)

    def get(self) -> Tensor:
        """The next minibatch, shape (batch_size, ncols) or fewer rows at the end of the data.

        Raises
        ------
        StopIteration
            The pass is over; the next call begins another.
        DataError
            A value is not finite, or none that the transform can take.
        StorageError
            The file cannot be read, or the table is closed.
        """
        if self._pass is None:
            self._pass = self.iterate()
        try:
            return next(self._pass)
        except BaseException:  # the end of the pass, too
            self._pass = None
            raise

    def reset_generator(self) -> None:
        """Let `get` begin anew at the first row."""
        self._check_open()
        self._pass = None

    def iterate(self) -> Iterator[Tensor]:
        """Iterate over the minibatches of a whole pass, without moving what `get` returns next.

        Raises
        ------
        StorageError
            The table is closed.
        """
        self._check_open()
        return self._minibatches()

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

    def _minibatches(self) -> Iterator[Tensor]:
        checking, row = self._transform, self._first_row
        for chunk in self._tensors():
            if self._checked is not self._transform:
                self._transform.check_values(be.to_numpy_array(chunk), row)
            for rows in self._minibatches_of(chunk):
                self._check_open()
                yield rows
            row += len(chunk)
        self._check_open()
        if self._transform is checking:
            self._checked = checking

    def _tensors(self) -> Iterator[Tensor]:
        """The chunks of a pass as tensors; a GPU that has room for all of them keeps them."""
        if self._kept is not None:
            yield from self._kept
            return
        size = self.nrows * self._layout.ncols * np.dtype(np.float32).itemsize
        kept: list[Tensor] | None = [] if be.fits_device(size) else None
        with self._chunks() as chunks:
            for chunk in be.uploads(chunks):
                if kept is not None:
                    kept.append(chunk)
                yield chunk
        self._kept = kept

    @contextmanager
    def _chunks(self) -> Iterator[Iterator[np.ndarray]]:
        """The chunks of a pass, from a thread or from this one."""
        size = self._chunk_rows(self._layout.ncols)
        make = partial(_read_chunks, self._layout, self._first_row, self._stop, size)
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
