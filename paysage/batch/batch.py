"""Training and validation data side by side."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from paysage import backends as be
from paysage.backends.contract import Tensor
from paysage.batch.order import Seed
from paysage.batch.table import InMemoryTable, as_rows, positive_integer
from paysage.checks import check_flag, is_real
from paysage.errors import ConfigError, DataError, ShapeError, StorageError
from paysage.preprocess import Transformation

_OF_A_TABLE = (
    *("get", "reset_generator", "iterate", "get_transform", "set_transform"),
    *("ncols", "nrows", "batch_size", "output_batch_size"),
)


class Batch:
    """Tables by mode: usually one to train with and one to validate with.

    A table is anything with `get()`, `reset_generator()`, `iterate()`, `get_transform()`,
    `set_transform()` and the attributes `ncols`, `nrows`, `batch_size` and `output_batch_size`;
    one that also has `close()` is closed with the batch. A batch is a context manager.

    Parameters
    ----------
    tables : dict
        The tables by mode, such as ``{'train': table, 'validate': table}``.
    shuffle : bool, default True
        Return the rows of the 'train' table in a new random order in every pass. With False, and
        for the other tables, the option `shuffle` of the table decides. A table of another type,
        without an attribute `shuffle`, keeps its order.

    Raises
    ------
    ConfigError
        There are no tables, or something that is not a table.
    ShapeError
        The tables have different numbers of columns.

    Attributes
    ----------
    ncols : int
        Columns of a minibatch, after the transform.
    nrows : int
        Rows of all tables together.
    batch_size, output_batch_size : int
        Those of the first table: rows read for, and rows of, a minibatch.
    """

    def __init__(self, tables: Mapping[str, Any], shuffle: bool = True):
        _check_tables(tables)
        self.shuffle = check_flag("shuffle", shuffle)
        self.tables = dict(tables)
        first = next(iter(self.tables.values()))
        self.ncols = _common_ncols(self.tables)
        self.nrows = sum(table.nrows for table in self.tables.values())
        self.batch_size = first.batch_size
        self.output_batch_size = first.output_batch_size
        self._modes = tuple(self.tables)

    def __repr__(self) -> str:
        """The tables, or that they are closed."""
        return f"Batch({self.tables if self.tables else 'closed'})"

    def __enter__(self) -> Batch:
        """The batch itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the batch."""
        self.close()

    def is_shuffled(self, mode: str = "train") -> bool:
        """Return True if passes over the rows of this mode come in random order."""
        table = self._table(mode)
        if not hasattr(table, "shuffle"):
            return False
        return bool(table.shuffle or (self.shuffle and mode == "train"))

    def get(self, mode: str = "train") -> Tensor:
        """Return the next minibatch of a mode.

        Raises
        ------
        StopIteration
            The pass over the data is over; the next call begins another, in a new random order if
            the mode is shuffled.
        StorageError
            The batch is closed.
        """
        table = self._table(mode)
        return table.get(shuffle=True) if self.is_shuffled(mode) else table.get()

    def iterate(
        self, mode: str = "train", shuffle: bool | None = None, seed: Seed | None = None
    ) -> Iterator[Tensor]:
        """Iterate over the minibatches of a whole pass; `get` does not notice.

        Parameters
        ----------
        mode : str
        shuffle : bool, optional
            Whether the rows come in random order; by default if the mode is shuffled. A table of
            another type, which cannot shuffle, keeps its order.
        seed : int or sequence of int, optional
            Determines the random order, and is not used without one. By default a new seed is
            drawn from the backend's generator. Training passes ``(seed, epoch)``.
        """
        table = self._table(mode)
        if not hasattr(table, "shuffle"):
            return table.iterate()
        return table.iterate(self.is_shuffled(mode) if shuffle is None else shuffle, seed)

    def reset_generator(self, mode: str = "all") -> None:
        """Make the next `get` begin a new pass, in one mode or in 'all'."""
        for name in self._open_modes() if _is_all(mode) else (mode,):
            self._table(name).reset_generator()

    def get_transforms(self) -> dict[str, Transformation]:
        """The transform of each mode."""
        return {mode: self._table(mode).get_transform() for mode in self._open_modes()}

    def set_transforms(
        self, transforms: Transformation | Sequence[Transformation] | Mapping[str, Transformation]
    ) -> None:
        """Replace transforms: one for all modes, a list in their order, or a dict by mode.

        Raises
        ------
        ShapeError, DataError, ConfigError
            The transforms do not suit the data or one another; the former ones are kept.
        """
        before = self.get_transforms()
        try:
            for mode, transform in self._by_mode(transforms).items():
                self._table(mode).set_transform(transform)
            self.ncols = _common_ncols(self.tables)
        except Exception:
            for mode, transform in before.items():
                self.tables[mode].set_transform(transform)
            raise

    def close(self, mode: str = "all") -> None:
        """Close the table of one mode, or of 'all'; closing twice does no harm.

        A table without a method `close` is only released.
        """
        for name in tuple(self.tables) if _is_all(mode) else (self._checked_mode(mode),):
            table = self.tables.pop(name, None)
            if hasattr(table, "close"):
                table.close()

    def _open_modes(self) -> tuple[str, ...]:
        """Return the modes whose tables are open; raise a StorageError if none is."""
        if not self.tables:
            raise StorageError("the batch is closed")
        return tuple(self.tables)

    def _checked_mode(self, mode: str) -> str:
        if not isinstance(mode, Hashable) or mode not in self._modes:
            raise ConfigError(f"unknown mode {mode!r}, expected one of {', '.join(self._modes)}")
        return mode

    def _table(self, mode: str) -> Any:
        if self._checked_mode(mode) not in self.tables:
            raise StorageError(f"the '{mode}' data are closed")
        return self.tables[mode]

    def _by_mode(self, transforms: Any) -> Mapping[str, Transformation]:
        if isinstance(transforms, Mapping):
            return transforms
        modes = self._open_modes()
        if not isinstance(transforms, Sequence):
            return dict.fromkeys(modes, transforms)
        if len(transforms) != len(modes):
            raise ConfigError(
                f"got {len(transforms)} transforms, expected {len(modes)}, "
                f"one for each of {', '.join(modes)}"
            )
        return dict(zip(modes, transforms, strict=True))


def _is_all(mode: Any) -> bool:
    return isinstance(mode, str) and mode == "all"


def _check_tables(tables: Any) -> None:
    """Say what is wrong with the tables of a `Batch`."""
    if not isinstance(tables, Mapping) or not tables:
        got = "none" if tables is None or isinstance(tables, Mapping) else type(tables).__name__
        raise ConfigError(
            f"a Batch needs at least one table, {{'train': …, 'validate': …}}; got {got}"
        )
    for mode, table in tables.items():
        missing = [name for name in _OF_A_TABLE if not hasattr(table, name)]
        if missing:
            raise ConfigError(
                f"the {mode!r} table is a {type(table).__name__}, which has no {missing[0]}; "
                "expected InMemoryTable(data, batch_size) or the like"
            )


def _common_ncols(tables: Mapping[str, Any]) -> int:
    widths = {mode: table.ncols for mode, table in tables.items()}
    if len(set(widths.values())) > 1:
        raise ShapeError(f"the tables have different numbers of columns: {widths}")
    return next(iter(widths.values()))


def in_memory_batch(
    tensor: Any,
    batch_size: int,
    train_fraction: float = 0.9,
    transform: Transformation | None = None,
    copy: bool = True,
    shuffle: bool = True,
) -> Batch:
    """Return a batch that trains on the first rows of a tensor and validates on the rest.

    Parameters
    ----------
    tensor : tensor, array or DataFrame, shape (N, n)
        The data, one sample a row. Shuffle them beforehand if their order means anything: the last
        rows would not be a fair sample to validate with.
    batch_size : int
        Rows in a minibatch. Validation minibatches are smaller if fewer rows are left for them.
    train_fraction : float
        The part of the rows to train on, rounded to whole rows; between 0 and 1.
    transform : Transformation, optional
        Applied to each minibatch.
    copy : bool, default True
        Copy the data, so that later changes to the caller's array do not reach training. False
        saves memory; do not change the array while the batch is in use.
    shuffle : bool, default True
        Return the training rows in a new random order in every pass. Validation rows keep theirs.

    Raises
    ------
    ConfigError
        `train_fraction` is not strictly between 0 and 1.
    DataError
        One of the sides would have no rows, or training fewer than a minibatch.
    """
    fraction: Any = train_fraction
    if not is_real(fraction) or not 0 < train_fraction < 1:
        raise ConfigError(
            f"train_fraction is {train_fraction!r}, expected a number between 0 and 1"
        )
    size = positive_integer(batch_size, "batch_size")
    rows = as_rows(tensor, check_flag("copy", copy))
    total = int(be.shape(rows)[0])
    split = round(total * train_fraction)
    if not 0 < split < total:
        raise DataError(
            f"train_fraction {train_fraction} of {total} rows leaves {split} to train and "
            f"{total - split} to validate with, expected at least one each"
        )
    transform = Transformation() if transform is None else transform
    if isinstance(transform, Transformation):
        transform.check(rows)  # before the split, so that an error counts rows from the first
    return Batch(
        {
            "train": InMemoryTable(rows[:split], size, transform, copy=False),
            "validate": InMemoryTable(
                rows[split:], min(size, total - split), transform, copy=False
            ),
        },
        shuffle,
    )


def split_tensor(tensor: Tensor, split_fraction: float) -> list[Tensor]:
    """Split the rows of a tensor into two parts, or into blocks of a fixed size.

    Parameters
    ----------
    tensor : tensor (N, ...)
    split_fraction : float or int
        A float between 0 and 1 is the fraction of the rows in the first of two tensors, rounded to
        whole rows. An int is the number of rows of a block; the last block may have fewer.

    Returns
    -------
    list of tensors
        Views, not copies.

    Raises
    ------
    ConfigError
        If `split_fraction` is neither a fraction between 0 and 1 nor a positive integer.
    ShapeError
        If the tensor has no rows.
    """
    if be.ndim(tensor) == 0:
        raise ShapeError("split_tensor got a single number, expected rows")
    rows = int(be.shape(tensor)[0])
    if isinstance(split_fraction, float | np.floating):
        if not 0 < split_fraction < 1:
            raise ConfigError(
                f"split_fraction is {split_fraction!r}, expected a fraction between 0 and 1, "
                "or an integer number of rows"
            )
        split = round(rows * split_fraction)
        return [tensor[:split], tensor[split:]]
    size = positive_integer(split_fraction, "split_fraction")
    return [tensor[start : start + size] for start in range(0, rows, size)]
