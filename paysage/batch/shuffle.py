"""Shuffle the rows of a pandas HDF5 file that may be larger than memory."""

import math
import os
import pickle
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from numbers import Integral, Real
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from paysage.errors import ConfigError, StorageError, in_brief
from paysage.files import written_whole

GIB = 2**30
# the pieces of a bucket, the bucket, its permuted copy, and the copy that pandas writes from
WORKING_COPIES = 4
# rows looked at to learn how many bytes a row takes
SAMPLE_ROWS = 256
# files that a table is dealt into; more would take for ever
MOST_BUCKETS = 4096


class _Plan(NamedTuple):
    """How the tables of one length are shuffled; equal plans make equal draws."""

    keys: list[str]
    num_rows: int
    num_buckets: int
    slice_rows: int


class DataShuffler:
    """Write a copy of a pandas HDF5 file with the rows of its tables in random order.

    Every DataFrame and Series of the file is shuffled. Tables with the same number of rows get
    the same permutation, so that images and labels stay together. Rows keep their index labels
    and their dtypes: the index of the result says where each row stood before. Nodes that pandas
    did not write are left out.

    A table for which `allowed_mem` is too small is shuffled in two passes (Rao 1961; Sandelius
    1962): its rows are dealt at random into buckets on disk, then each bucket is loaded, permuted
    and appended. Such a table is written in pandas' 'table' format; others keep their format.

    Parameters
    ----------
    filename : str or Path
        The file to read.
    shuffled_filename : str or Path
        The file to write; one that exists is replaced when the new one is complete.
    allowed_mem : float
        Memory to work with, in GiB. It takes part in the draws when a table exceeds it.
    complevel : int
        Compression (zlib), from 0 (none: the fastest to read) to 9.
    seed : int
        The same seed gives the same order; it governs no other draw of the library.

    Raises
    ------
    ConfigError
        `allowed_mem`, `complevel` or `seed` is out of range.
    StorageError
        A filename is no path.
    """

    def __init__(
        self,
        filename: str | Path,
        shuffled_filename: str | Path,
        allowed_mem: float = 1,
        complevel: int = 5,
        seed: int = 137,
    ):
        _check_settings((filename, shuffled_filename), allowed_mem, complevel, seed)
        self.filename = Path(filename)
        self.shuffled_filename = Path(shuffled_filename)
        self.allowed_mem = allowed_mem
        self.complevel = complevel
        self.seed = seed

    def shuffle(self) -> None:
        """Write the shuffled file.

        Raises
        ------
        StorageError
            The input is missing, is not a pandas HDF5 file or holds no table; the output is the
            input, or cannot be written.
        """
        self._check_paths()
        try:
            self._shuffle()
        except StorageError:
            raise
        except OSError as error:
            raise StorageError(f"cannot write {self.shuffled_filename}: {error}") from error

    def _shuffle(self) -> None:
        with (
            _opened(self.filename, "r") as source,
            written_whole(self.shuffled_filename) as partial,
        ):
            plans = _plans(source, self.allowed_mem * GIB)
            with _opened(partial, "w", complevel=self.complevel, complib="zlib") as target:
                for plan in plans:
                    for key in plan.keys:
                        self._shuffle_table(source, target, key, plan)
            _check_written(partial, plans, self.shuffled_filename)

    def _check_paths(self) -> None:
        if not self.filename.is_file():
            raise StorageError(f"{self.filename} is not a file: there is nothing to shuffle")
        if self.filename.resolve() == self.shuffled_filename.resolve():
            raise StorageError(
                f"{self.filename} would be shuffled onto itself: expected another file to write"
            )

    def _shuffle_table(self, source: Any, target: Any, key: str, plan: _Plan) -> None:
        storer = source.get_storer(key)
        options: dict[str, Any] = {"format": storer.format_type, "data_columns": None}
        if storer.is_table and storer.ndim == 2:
            options["data_columns"] = storer.data_columns or None
        if plan.num_buckets == 1:
            _write(target, key, self._permuted(source.select(key), plan, 0), options)
            return
        options["format"] = "table"
        with tempfile.TemporaryDirectory(dir=self.shuffled_filename.parent) as folder:
            self._deal(source, key, plan, Path(folder))
            for number, rows in _buckets(Path(folder), plan):
                _write(target, key, self._permuted(rows, plan, number), options)

    def _permuted(self, rows: Any, plan: _Plan, bucket: int) -> Any:
        rng = np.random.default_rng((self.seed, plan.num_rows, bucket + 1))
        return rows.iloc[rng.permutation(len(rows))]

    def _deal(self, source: Any, key: str, plan: _Plan, folder: Path) -> None:
        """Append each row of the table to the file of a bucket that is drawn for it."""
        rng = np.random.default_rng((self.seed, plan.num_rows))
        for start in range(0, plan.num_rows, plan.slice_rows):
            rows = source.select(key, start=start, stop=start + plan.slice_rows)
            drawn = rng.integers(plan.num_buckets, size=len(rows))
            for number in np.unique(drawn):
                with open(folder / str(number), "ab") as file:
                    pickle.dump(rows.iloc[np.flatnonzero(drawn == number)], file)


def _check_settings(paths: Any, allowed_mem: Any, complevel: Any, seed: Any) -> None:
    """Say what is wrong with the arguments of a `DataShuffler`."""
    for path in paths:
        if not isinstance(path, str | os.PathLike):
            raise StorageError(f"got {path!r}, expected the path of a file")
    if not isinstance(allowed_mem, Real) or not 0 < float(allowed_mem) < math.inf:
        raise ConfigError(f"allowed_mem is {allowed_mem!r} GiB, expected a positive number")
    if not isinstance(complevel, Integral) or complevel not in range(10):
        raise ConfigError(f"complevel is {complevel!r}, expected a whole number from 0 to 9")
    if not isinstance(seed, Integral) or seed < 0:
        raise ConfigError(f"seed is {seed!r}, expected a whole number that is not negative")


def _plans(source: Any, allowed_bytes: float) -> list[_Plan]:
    """One plan for each length of table, made for its widest table."""
    lengths: dict[int, list[str]] = {}
    for key in source:
        lengths.setdefault(_num_rows(source, key), []).append(key)
    if not lengths:
        raise StorageError(f"{source.filename} holds no pandas table: there is nothing to shuffle")
    plans = []
    for num_rows, keys in lengths.items():
        row_bytes = WORKING_COPIES * max(_row_bytes(source, key) for key in keys)
        num_buckets = max(1, math.ceil(num_rows * row_bytes / allowed_bytes))
        if num_buckets > MOST_BUCKETS:
            needed = num_rows * row_bytes / MOST_BUCKETS / GIB
            raise ConfigError(
                f"allowed_mem is {allowed_bytes / GIB:g} GiB, expected at least {needed:.2g} for "
                f"the {num_rows} rows of '{keys[0]}'"
            )
        plans.append(_Plan(keys, num_rows, num_buckets, max(1, int(allowed_bytes // row_bytes))))
    return plans


def _check_written(path: Path, plans: list[_Plan], name: Path) -> None:
    """Read every row back: PyTables does not tell when the disk is full."""
    try:
        with _opened(path, "r") as store:
            for plan in plans:
                for key in plan.keys:
                    starts = range(0, plan.num_rows, plan.slice_rows)
                    slices = (store.select(key, start=n, stop=n + plan.slice_rows) for n in starts)
                    if sum(map(len, slices)) != plan.num_rows:
                        raise ValueError(f"'{key}' has lost rows")
    except Exception as error:  # PyTables raises whatever a damaged file leads HDF5 to
        raise StorageError(
            f"cannot write {name}: what was written cannot be read back ({in_brief(error)}); "
            "is the disk full?"
        ) from error


def _num_rows(source: Any, key: str) -> int:
    storer = source.get_storer(key)
    if storer.is_table:
        return int(storer.nrows)
    # the shape that pandas tells of the fixed format is wrong for columns of strings
    return len(storer.read_index("index" if storer.pandas_kind == "series" else "axis1"))


def _row_bytes(source: Any, key: str) -> float:
    """Bytes in memory of a row with its index label, from the first rows of the table."""
    rows = source.select(key, start=0, stop=SAMPLE_ROWS)
    used = rows.memory_usage(index=True, deep=True)
    return max(1.0, float(np.sum(used)) / max(1, len(rows)))


def _buckets(folder: Path, plan: _Plan) -> Iterator[tuple[int, Any]]:
    """Load the buckets one after the other; one that no row was dealt to is passed over."""
    import pandas as pd

    for number in range(plan.num_buckets):
        path = folder / str(number)
        if path.exists():
            yield number, pd.concat(list(_pieces(path)))
            path.unlink()


def _pieces(path: Path) -> Iterator[Any]:
    with open(path, "rb") as file:
        while file.peek(1):
            yield pickle.load(file)


def _write(target: Any, key: str, rows: Any, options: dict[str, Any]) -> None:
    """Put the rows under the key, or append them to what is there."""
    try:
        if key in target:
            target.append(key, rows, index=False, data_columns=options["data_columns"])
        else:
            target.put(key, rows, index=False, track_times=False, **options)
    except (OSError, RuntimeError, TypeError, ValueError) as error:
        raise StorageError(
            f"table '{key}' could not be written in the '{options['format']}' format: "
            f"{in_brief(error)}"
        ) from error


@contextmanager
def _opened(path: Path, mode: Any, **options: Any) -> Iterator[Any]:
    """A pandas store on the file, closed at the end of the block."""
    import pandas as pd

    try:
        store = pd.HDFStore(str(path), mode, **options)
    except (OSError, RuntimeError, ValueError) as error:
        raise StorageError(f"{path} cannot be opened as an HDF5 file: {in_brief(error)}") from error
    try:
        yield store
    finally:
        store.close()
