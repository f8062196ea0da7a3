"""The tables in an HDF5 file, as `DataShuffler` reads and writes them.

Rows are the first axes of datasets. Of a frame that pandas wrote they are those of the datasets
with its values and its index; whatever else is in its group describes columns, and is copied as it
is. All goes through h5py: nothing is unpickled.
"""

from __future__ import annotations

import io
import math
import re
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from paysage.errors import StorageError, in_brief
from paysage.storage.strangers import check_extent, fixed, is_group, members, text_attribute

# bytes of a piece in which a dataset is compressed
CHUNK_BYTES = 2**18
# attributes that point to places in the file that they are in
_REFERENCES = ("DIMENSION_LIST", "REFERENCE_LIST")
# datasets of a frame in pandas' 'fixed' format that have a row for each of its rows
_OF_FRAMES = re.compile(r"(axis1|index)(_label\d+)?|block\d+_values|values")


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


class Tables:
    """The datasets of a file, but for models that were saved in it and what links lead to.

    Parameters
    ----------
    source : h5py.File
        What is read.
    size : int
        Its bytes.
    target, raw
        What is written, as `plain_target` gives it.
    level : int
        Compression of what is written.
    """

    #: times that a bucket of rows may be in memory while it is shuffled: the pieces, the bucket,
    #: its permuted copy, and what the memory allocator keeps
    copies = 5

    def __init__(
        self, source: Any, size: int, target: Any = None, raw: _File | None = None, level: int = 0
    ) -> None:
        self.source, self.target, self.raw, self.level = source, target, raw, level
        self.written: dict[str, int] = {}
        self.shuffled, self.copied = _sorted_out(source)
        for path in self.shuffled:
            check_extent(source[path], size, f"'{path}'")

    def names(self) -> list[str]:
        """Paths of the datasets to shuffle."""
        return self.shuffled

    def num_rows(self, key: str) -> int:
        """Length of the first axis."""
        return int(self.source[key].shape[0])

    def row_bytes(self, key: str) -> float:
        """Bytes in memory of what stands at one place of the first axis."""
        dataset = self.source[key]
        return max(1.0, float(dataset.dtype.itemsize * math.prod(dataset.shape[1:])))

    def select(self, key: str, start: int, stop: int) -> np.ndarray:
        """Rows of a dataset."""
        if self.raw is not None:
            _check(self.raw)
        try:
            return self.source[key][start:stop]
        except (OSError, RuntimeError) as error:
            raise StorageError(f"'{key}' cannot be read: {in_brief(error)}") from error

    def write(self, key: str, rows: np.ndarray) -> None:
        """Put rows after those that were written before."""
        start = self.written.get(key, 0)
        target = self.target[key] if key in self.written else self._create(key)
        if len(rows):
            _put(target, start, rows)
        self.written[key] = start + len(rows)
        if self.raw is not None:
            _check(self.raw)

    def _create(self, key: str) -> Any:
        """The dataset to write, in whole rows, with the attributes of the one that is read."""
        import h5py

        source = self.source[key]
        options: dict[str, Any] = {}
        if source.size and (self.level or source.chunks):
            rows = int(min(source.shape[0], max(1, CHUNK_BYTES // self.row_bytes(key))))
            options = {"chunks": (rows, *source.shape[1:]), "maxshape": source.maxshape}
            if self.level:
                options |= {"compression": "gzip", "compression_opts": self.level}
        elif source.chunks:
            options = {"chunks": source.chunks, "maxshape": source.maxshape}
        same_type = h5py.Datatype(source.id.get_type())
        created = self.target.create_dataset(key, source.shape, same_type, **options)
        self._copy_attributes(key)
        if "freq" in created.attrs:  # dates in another order have no frequency: a pickled None
            created.attrs["freq"] = np.bytes_(b"N.")
        return created

    def copy_rest(self) -> None:
        """Copy what has no axis to be shuffled along, and what describes the columns of frames."""
        for path in self.copied:
            parent = self.target.require_group(path.rpartition("/")[0] or "/")
            self.source.copy(path, parent, path.rpartition("/")[2], without_attrs=True)
            self._copy_attributes(path)

    def _copy_attributes(self, path: str) -> None:
        """Those of a dataset and of the groups on the way to it that are not there yet."""
        parts = path.split("/")
        for place in ("/", *("/".join(parts[: n + 1]) for n in range(len(parts)))):
            here, there = self.source[place].attrs, self.target[place].attrs
            for name in here:
                if name not in there and fixed(here.get_id(name)) and name not in _REFERENCES:
                    _copy_attribute(here, there, name)


def _put(target: Any, start: int, rows: np.ndarray) -> None:
    """Write rows from a place on; HDF5 cannot make the truth values of PyTables from numbers."""
    import h5py

    place = target.id.get_space()
    place.select_hyperslab((start,) + (0,) * (rows.ndim - 1), rows.shape)
    content = np.ascontiguousarray(rows)
    target.id.write(h5py.h5s.create_simple(rows.shape), place, content, target.id.get_type())


def _copy_attribute(here: Any, there: Any, name: str) -> None:
    """An attribute in the very type that it has: PyTables tells kinds of text apart."""
    import h5py

    stored = here.get_id(name)
    kind, space = stored.get_type(), stored.get_space()
    copy = h5py.h5a.create(there._id, name.encode(), kind, space)
    if space.get_simple_extent_type() != h5py.h5s.NULL:
        value = np.empty(stored.shape, stored.dtype)
        stored.read(value, mtype=kind)
        copy.write(value, mtype=kind)


def _sorted_out(file: Any) -> tuple[list[str], list[str]]:
    """Paths of the datasets to shuffle, and of those datasets and groups to copy."""
    shuffled: list[str] = []
    copied: list[str] = []

    def look(group: Any, prefix: str, above: tuple, described: bool) -> None:
        frame = "" if described else text_attribute(group, "pandas_type")
        if group.id in above:
            raise StorageError(f"the group '{prefix}' holds itself")
        for name, node in members(group).items():
            path = f"{prefix}{name}"
            if name.startswith("_i_") or (is_group(node) and {"document", "digest"} <= set(node)):
                continue  # an index of PyTables, or a model
            if is_group(node):
                look(node, f"{path}/", (*above, group.id), described or bool(frame))
                continue
            _check_fixed(node, path)
            of_rows = name == "table" if "table" in frame else _OF_FRAMES.fullmatch(name)
            if frame and of_rows and not node.shape:
                raise StorageError(f"'{path}' is damaged: it has no rows")
            moves = of_rows if frame else node.shape and not described
            (shuffled if moves else copied).append(path)

    look(file, "", (), False)
    return shuffled, copied


def _check_fixed(dataset: Any, path: str) -> None:
    if not fixed(dataset):
        raise StorageError(
            f"'{path}' holds {dataset.dtype} of variable length, a pickle perhaps, which is not "
            "read; text has a fixed length in pandas' 'table' format and in arrays such as 'S10'"
        )
