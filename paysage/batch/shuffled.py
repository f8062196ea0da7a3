"""Two makes of tables in an HDF5 file, as `DataShuffler` reads and writes them.

`PandasTables` are the frames and series that pandas wrote, `PlainTables` all other datasets. Both
have `names()`, `num_rows(key)`, `row_bytes(key)` and `select(key, start, stop)` of the file that is
read, `write(key, rows, in_pieces)`, which puts rows after those that were written before, and
`copies`, the number of times that a bucket of rows may be in memory while it is shuffled.
"""

from __future__ import annotations

import io
import math
import pickle
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from paysage.errors import StorageError, in_brief

# rows looked at to learn how many bytes a row takes
SAMPLE_ROWS = 256
# bytes of a piece in which a plain dataset is compressed
CHUNK_BYTES = 2**18


@contextmanager
def pandas_store(path: Path, mode: Any, **options: Any) -> Iterator[Any]:
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


class PandasTables:
    """The DataFrames and Series of a file."""

    #: the pieces, the bucket, its permuted copy, the copies that pandas writes from; the rest is
    #: what the memory allocator keeps, as measured by benchmarks/streaming_memory.py
    copies = 12

    def __init__(self, source: Any, target: Any = None) -> None:
        self.source, self.target = source, target

    def names(self) -> list[str]:
        """Paths of the tables, which begin with a slash."""
        return list(self.source)

    def num_rows(self, key: str) -> int:
        """Rows of a table."""
        storer = self.source.get_storer(key)
        if storer.is_table:
            return int(storer.nrows)
        # the shape that pandas tells of the fixed format is wrong for columns of strings
        return len(storer.read_index("index" if storer.pandas_kind == "series" else "axis1"))

    def row_bytes(self, key: str) -> float:
        """Bytes in memory of a row with its index label, from the first rows of the table."""
        rows = self.source.select(key, start=0, stop=SAMPLE_ROWS)
        used = rows.memory_usage(index=True, deep=True)
        return max(1.0, float(np.sum(used)) / max(1, len(rows)))

    def select(self, key: str, start: int, stop: int) -> Any:
        """Rows of a table with their index."""
        return self.source.select(key, start=start, stop=stop)

    def write(self, key: str, rows: Any, in_pieces: bool) -> None:
        """Put the rows under the key, or append them to what is there."""
        storer = self.source.get_storer(key)
        form = "table" if in_pieces else storer.format_type
        columns = storer.data_columns or None if storer.is_table and storer.ndim == 2 else None
        options = {"format": form, "data_columns": columns, "index": False}
        try:
            if key in self.target:
                self.target.append(key, rows, **options)
            else:
                self.target.put(key, rows, track_times=False, **options)
        except (OSError, RuntimeError, TypeError, ValueError) as error:
            raise StorageError(
                f"table '{key}' could not be written in the '{form}' format: {in_brief(error)}"
            ) from error


class _File(io.FileIO):
    """A file that takes everything, and remembers the error where the disk did not.

    When HDF5 is told that a write failed, its own closing of the file can end the process.
    """

    error: OSError | None = None
    interrupted = False

    def write(self, data: Any) -> int:
        """Write all of the data, unless an earlier write has failed."""
        view = memoryview(data).cast("B")
        try:
            done = 0
            while self.error is None and done < len(view):
                done += super().write(view[done:])
        except OSError as error:
            self.error = error
        return len(view)

    def truncate(self, size: int | None = None) -> int:
        """Set the length of the file, unless a write has failed."""
        try:
            return super().truncate(size) if self.error is None else int(size or 0)
        except OSError as error:
            self.error = error
            return int(size or 0)


@contextmanager
def plain_target(path: Path) -> Iterator[tuple[Any, _File]]:
    """An h5py file to add datasets to, and what it is written to."""
    import h5py

    with _File(path, "r+") as raw:
        mode = "r+" if path.stat().st_size else "w"
        with _interrupts_kept(raw), h5py.File(raw, mode) as file:
            yield file, raw
        _check(raw)


@contextmanager
def _interrupts_kept(raw: _File) -> Iterator[None]:
    """Have Ctrl-C remembered by the file, and raised by `_check`.

    Raised while HDF5 calls back to write a piece, as it may do whenever an object of h5py goes, it
    would be swallowed and the piece be lost, or end the process.
    """
    in_main = threading.current_thread() is threading.main_thread()
    if not in_main or signal.getsignal(signal.SIGINT) != signal.default_int_handler:
        yield
        return

    def remember(*_: Any) -> None:
        raw.interrupted = True

    signal.signal(signal.SIGINT, remember)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _check(raw: _File) -> None:
    if raw.interrupted:
        raise KeyboardInterrupt
    if raw.error is not None:
        raise raw.error


class PlainTables:
    """The datasets of a file that are not of a pandas table, nor of a model that was saved."""

    #: the pieces, the bucket, its permuted copy, and what the memory allocator keeps
    copies = 5

    def __init__(self, source: Any, target: Any = None, raw: _File | None = None, level: int = 0):
        self.source, self.target, self.raw, self.level = source, target, raw, level
        self.written: dict[str, int] = {}

    def names(self) -> list[str]:
        """Paths of the datasets with at least one axis, which begin without a slash."""
        return [path for path in datasets(self.source) if self.source[path].shape]

    def num_rows(self, key: str) -> int:
        """Length of the first axis."""
        return int(self.source[key].shape[0])

    def row_bytes(self, key: str) -> float:
        """Bytes in memory of what stands at one place of the first axis."""
        dataset = self.source[key]
        size = dataset.dtype.itemsize * math.prod(dataset.shape[1:])
        if dataset.dtype.hasobject:  # strings of any length, as Python's objects
            first = dataset[:SAMPLE_ROWS]
            size += 2 * len(pickle.dumps(first)) / max(1, len(first))
        return max(1.0, float(size))

    def select(self, key: str, start: int, stop: int) -> np.ndarray:
        """Rows of a dataset."""
        if self.raw is not None:
            _check(self.raw)
        try:
            return self.source[key][start:stop]
        except (OSError, RuntimeError) as error:
            raise StorageError(f"'{key}' cannot be read: {in_brief(error)}") from error

    def write(self, key: str, rows: np.ndarray, in_pieces: bool) -> None:
        """Put rows after those that were written before."""
        start = self.written.get(key, 0)
        target = self.target[key] if key in self.written else self._create(key)
        if len(rows):
            target[start : start + len(rows)] = rows
        self.written[key] = start + len(rows)
        if self.raw is not None:
            _check(self.raw)

    def _create(self, key: str) -> Any:
        """The dataset to write, in whole rows, with the attributes of the one that is read."""
        source = self.source[key]
        options: dict[str, Any] = {}
        if source.size and (self.level or source.chunks):
            rows = int(min(source.shape[0], max(1, CHUNK_BYTES // self.row_bytes(key))))
            options = {"chunks": (rows, *source.shape[1:]), "maxshape": source.maxshape}
            if self.level:
                options |= {"compression": "gzip", "compression_opts": self.level}
        created = self.target.create_dataset(key, source.shape, source.dtype, **options)
        self._copy_attributes(key)
        return created

    def copy_scalars(self) -> None:
        """Copy what has no axis to be shuffled along."""
        for path in datasets(self.source):
            if not self.source[path].shape:
                parent = self.target.require_group(path.rpartition("/")[0] or "/")
                self.source.copy(path, parent, path.rpartition("/")[2])
                self._copy_attributes(path)

    def _copy_attributes(self, path: str) -> None:
        """Those of a dataset and of the groups on the way to it that are not there yet."""
        parts = path.split("/")
        for place in ("/", *("/".join(parts[: n + 1]) for n in range(len(parts)))):
            here, there = self.source[place].attrs, self.target[place].attrs
            for name in here:
                if name not in there and not _refers(name, here.get_id(name).dtype):
                    there[name] = here[name]


def _refers(name: str, dtype: Any) -> bool:
    """Whether an attribute points to places in the file that it is in."""
    import h5py

    return name in ("DIMENSION_LIST", "REFERENCE_LIST") or bool(h5py.check_ref_dtype(dtype))


def datasets(group: Any, prefix: str = "") -> list[str]:
    """Paths of the datasets below a group; links are not followed."""
    import h5py

    found = []
    for name in group:
        if not isinstance(group.get(name, getlink=True), h5py.HardLink) or name.startswith("_i_"):
            continue  # what begins so is an index of PyTables
        node = group[name]
        if isinstance(node, h5py.Dataset):
            found.append(prefix + name)
        elif not ("pandas_type" in node.attrs or {"document", "digest"} <= set(node)):
            found += datasets(node, f"{prefix}{name}/")
    return found
