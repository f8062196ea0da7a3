"""Shuffle the rows of the tables of an HDF5 file that may be larger than memory."""

import math
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from paysage.batch.shuffled import Tables, plain_target
from paysage.checks import is_real, is_whole
from paysage.errors import ConfigError, PaysageError, StorageError, in_brief
from paysage.files import written_whole
from paysage.storage import hdf5_lock
from paysage.storage.opening import open_source

GIB = 2**30
# files that a table is dealt into; more would take for ever
MOST_BUCKETS = 4096


class _Plan(NamedTuple):
    """How the tables of one length are shuffled; equal plans make equal draws."""

    keys: list[str]
    num_rows: int
    num_buckets: int
    slice_rows: int


class DataShuffler:
    """Write a copy of an HDF5 file with the rows of its tables in random order.

    Shuffled are every DataFrame and Series that pandas wrote, and along its first axis every other
    dataset, such as those of h5py. Tables with the same number of rows get the same permutation,
    so that images and labels, and frames that are columns of one table, stay together. Frames keep
    their index labels: the index of the result says where each row stood before. All keep their
    dtypes and formats. What has no axis is copied; models that were saved in the file, and links,
    are left out, and so are attributes of variable length. Data of variable length are refused:
    among them the columns and labels of text that pandas' 'fixed' format pickles; its 'table'
    format keeps text of a fixed length.

    A table for which `allowed_mem` is too small is shuffled in two passes (Rao 1961; Sandelius
    1962): its rows are dealt at random into buckets on disk, then each bucket is loaded, permuted
    and appended.

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
            The input is missing, no HDF5 file, damaged, or holds no table or pickled columns; the
            output is the input, or cannot be written.
        """
        self._check_paths()
        try:
            self._shuffle()
        except PaysageError:
            raise
        except OSError as error:
            raise StorageError(f"cannot write {self.shuffled_filename}: {error}") from error
        except Exception as error:  # h5py raises whatever a damaged file leads HDF5 to
            raise StorageError(f"{self.filename} cannot be read: {in_brief(error)}") from error

    def _shuffle(self) -> None:
        with (
            hdf5_lock(),
            open_source(self.filename) as (source, size, _),
            written_whole(self.shuffled_filename) as partial,
        ):
            plans = self._plans(Tables(source, size))
            with plain_target(partial) as (target, raw):
                tables = Tables(source, size, target, raw, self.complevel)
                for plan in plans:
                    for key in plan.keys:
                        self._shuffle_table(tables, key, plan)
                tables.copy_rest()

    def _plans(self, tables: Tables) -> list[_Plan]:
        sizes = [
            (key, tables.num_rows(key), tables.copies * tables.row_bytes(key))
            for key in tables.names()
        ]
        if not sizes:
            raise StorageError(f"{self.filename} holds no table: there is nothing to shuffle")
        return _plans(sizes, self.allowed_mem * GIB)

    def _check_paths(self) -> None:
        if not self.filename.is_file():
            raise StorageError(f"{self.filename} is not a file: there is nothing to shuffle")
        if self.filename.resolve() == self.shuffled_filename.resolve():
            raise StorageError(
                f"{self.filename} would be shuffled onto itself: expected another file to write"
            )

    def _shuffle_table(self, tables: Tables, key: str, plan: _Plan) -> None:
        if plan.num_buckets == 1 or not tables.select(key, 0, 1).nbytes:
            rows = tables.select(key, 0, plan.num_rows)
            tables.write(key, self._permuted(rows, plan, 0))
            return
        with tempfile.TemporaryDirectory(dir=self.shuffled_filename.parent) as folder:
            self._deal(tables, key, plan, Path(folder))
            like = tables.select(key, 0, 0)
            for number, rows in _buckets(Path(folder), plan, like):
                tables.write(key, self._permuted(rows, plan, number))

    def _permuted(self, rows: np.ndarray, plan: _Plan, bucket: int) -> np.ndarray:
        rng = np.random.default_rng((self.seed, plan.num_rows, bucket + 1))
        return rows[rng.permutation(len(rows))]

    def _deal(self, tables: Tables, key: str, plan: _Plan, folder: Path) -> None:
        """Append each row of the table to the file of a bucket that is drawn for it."""
        rng = np.random.default_rng((self.seed, plan.num_rows))
        for start in range(0, plan.num_rows, plan.slice_rows):
            rows = tables.select(key, start, start + plan.slice_rows)
            drawn = rng.integers(plan.num_buckets, size=len(rows))
            for number in np.unique(drawn):
                with open(folder / str(number), "ab") as file:
                    file.write(rows[np.flatnonzero(drawn == number)].tobytes())


def _check_settings(paths: Any, allowed_mem: Any, complevel: Any, seed: Any) -> None:
    """Say what is wrong with the arguments of a `DataShuffler`."""
    for path in paths:
        if not isinstance(path, str | os.PathLike):
            raise StorageError(f"got {path!r}, expected the path of a file")
    if not is_real(allowed_mem) or not 0 < float(allowed_mem) < math.inf:
        raise ConfigError(f"allowed_mem is {allowed_mem!r} GiB, expected a positive number")
    if not is_whole(complevel) or complevel > 9:
        raise ConfigError(f"complevel is {complevel!r}, expected a whole number from 0 to 9")
    if not is_whole(seed):
        raise ConfigError(f"seed is {seed!r}, expected a whole number that is not negative")


def _plans(sizes: list[tuple[str, int, float]], allowed_bytes: float) -> list[_Plan]:
    """One plan for each length of table, made for its widest table."""
    plans = []
    for num_rows in dict.fromkeys(rows for _, rows, _ in sizes):
        keys = [key for key, rows, _ in sizes if rows == num_rows]
        row_bytes = max(width for _, rows, width in sizes if rows == num_rows)
        num_buckets = max(1, math.ceil(num_rows * row_bytes / allowed_bytes))
        if num_buckets > MOST_BUCKETS:
            needed = num_rows * row_bytes / MOST_BUCKETS / GIB
            raise ConfigError(
                f"allowed_mem is {allowed_bytes / GIB:g} GiB, expected at least {needed:.2g} for "
                f"the {num_rows} rows of '{keys[0]}'"
            )
        plans.append(_Plan(keys, num_rows, num_buckets, max(1, int(allowed_bytes // row_bytes))))
    return plans


def _buckets(folder: Path, plan: _Plan, like: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Load the buckets one after the other; one that no row was dealt to is passed over."""
    for number in range(plan.num_buckets):
        path = folder / str(number)
        if path.exists():
            rows = np.frombuffer(path.read_bytes(), like.dtype)
            yield number, rows.reshape(-1, *like.shape[1:])
            path.unlink()
