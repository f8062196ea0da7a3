"""Where in an HDF5 file the numbers of a table are: a dataset, a pandas frame, or several frames.

pandas tells, once, where it has put which column. The rows are then read past it, by h5py, whose
calls may come from any thread; only what is compressed by a filter that h5py lacks goes through
PyTables.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from paysage.errors import ConfigError, DataError, ShapeError, StorageError, in_brief
from paysage.storage import hdf5_lock
from paysage.storage.opening import open_source

NUMERIC = "biuf"  # kinds of dtypes: boolean, integer, unsigned, float
SHOWN = 8


class Block(NamedTuple):
    """A dataset, or fields of one, and the columns of the table that it holds."""

    path: str
    #: field of a compound dataset, or None for a dataset of numbers; and positions in the table
    fields: list[tuple[str | None, Any]]


class Layout(NamedTuple):
    """A table of `nrows` rows and `ncols` columns in a file."""

    filename: Path
    key: str
    nrows: int
    ncols: int
    blocks: list[Block]
    #: h5py can read it, so that a background thread may
    by_h5py: bool


class _Frame(NamedTuple):
    """One frame or dataset of a table."""

    path: str
    nrows: int
    ncols: int
    blocks: list[Block]


def find_layout(filename: Any, key: str, combine_frames: bool = False) -> Layout:
    """Look a table up in a file.

    Raises
    ------
    StorageError
        There is no such file or no such table in it.
    DataError, ShapeError
        The table is not numeric, has no rows or columns, or its frames differ in length.
    """
    if not isinstance(key, str) or not key.strip("/"):
        raise ConfigError(f"key is {key!r}, expected the name of a table, such as 'train/images'")
    key = key.strip("/")
    with hdf5_lock(), open_source(filename) as (file, _, name):
        paths = _members(file, key, name) if combine_frames else [key]
        kinds = {path: _kind(file, path, name) for path in paths}
        with _store(filename, any(kind == "frame" for kind in kinds.values())) as store:
            frames = [
                _frame(store, path, name) if kinds[path] == "frame" else _dataset(file, path, name)
                for path in paths
            ]
        blocks = _side_by_side(frames, name)
        ncols = sum(frame.ncols for frame in frames)
        return Layout(Path(filename), key, frames[0].nrows, ncols, blocks, _h5py_can(file, blocks))


@contextmanager
def opened(layout: Layout) -> Iterator[Callable[[int, int], np.ndarray]]:
    """A function that reads the rows from start to stop, float32 of shape (stop - start, ncols).

    Raises
    ------
    StorageError
        The file is gone or damaged, or its table has changed since it was looked up.
    """
    with ExitStack() as files:
        with hdf5_lock():
            node = files.enter_context(_nodes(layout))
            _check_unchanged(node, layout)

        def read(start: int, stop: int) -> np.ndarray:
            try:
                with hdf5_lock():
                    return _read(node, layout, start, stop)
            except Exception as error:  # HDF5 leads h5py to whatever a damaged file holds
                raise StorageError(
                    f"rows {start} to {stop} of '{layout.key}' of {layout.filename} cannot be "
                    f"read: {in_brief(error)}"
                ) from error

        yield read


def _check_unchanged(node: Callable[[str], Any], layout: Layout) -> None:
    try:
        lengths = {node(block.path).shape[0] for block in layout.blocks}
    except Exception as error:  # that it is not there, as h5py or as PyTables says it
        raise StorageError(
            f"'{layout.key}' of {layout.filename} is no longer as it was: {in_brief(error)}"
        ) from error
    if lengths != {layout.nrows}:
        raise StorageError(f"'{layout.key}' of {layout.filename} no longer has {layout.nrows} rows")


def _read(node: Callable[[str], Any], layout: Layout, start: int, stop: int) -> np.ndarray:
    table = np.empty((stop - start, layout.ncols), np.float32)
    with np.errstate(over="ignore"):  # what becomes infinite is told with its place
        for block in layout.blocks:
            rows = node(block.path)[start:stop]
            for field, columns in block.fields:
                values = rows if field is None else rows[field]
                table[:, columns] = values.reshape(len(table), -1)
    return table


@contextmanager
def _nodes(layout: Layout) -> Iterator[Callable[[str], Any]]:
    if layout.by_h5py:
        with open_source(layout.filename) as (file, _, _):
            yield file.__getitem__
        return
    import tables

    try:
        opened_file = tables.open_file(str(layout.filename), "r")
    except (OSError, ValueError, RuntimeError) as error:
        raise StorageError(f"cannot read {layout.filename}: {in_brief(error)}") from error
    try:
        yield lambda path: opened_file.get_node(f"/{path}")
    finally:
        opened_file.close()


# what is at a key


def _kind(file: Any, path: str, name: str) -> str:
    """A 'frame' of pandas or a 'dataset'; anything else is refused with what it is."""
    node = file.get(path)
    if node is None:
        raise StorageError(f"{name} holds no '{path}'; it holds {_listed(_all_tables(file))}")
    if not hasattr(node, "keys"):
        return "dataset"
    pandas_type = _pandas_type(node)
    if pandas_type.startswith("frame"):
        return "frame"
    if pandas_type:
        raise ShapeError(f"'{path}' of {name} is a {pandas_type} of pandas, expected a DataFrame")
    found = _tables(node)
    hint = f"; combine_frames=True joins its members {_listed(found)}" if found else ""
    raise StorageError(f"'{path}' of {name} is a group, expected a table{hint}")


def _pandas_type(node: Any) -> str:
    value = node.attrs.get("pandas_type", b"") if hasattr(node, "keys") else b""
    return value.decode() if isinstance(value, bytes) else str(value)


def _members(file: Any, key: str, name: str) -> list[str]:
    """The tables under a key in natural order, 2 before 10; or the table at the key."""
    node = file.get(key)
    if node is None or not hasattr(node, "keys") or _pandas_type(node):
        return [key]
    members = sorted(_tables(node), key=_natural)
    if not members:
        raise StorageError(f"'{key}' of {name} holds no frames to combine")
    return [f"{key}/{member}" for member in members]


def _tables(group: Any) -> list[str]:
    """Names of the frames and datasets directly below a group."""
    return [n for n in group if not hasattr(group[n], "keys") or _pandas_type(group[n])]


def _all_tables(group: Any, prefix: str = "") -> list[str]:
    """Paths of all frames and datasets in a file."""
    own = set(_tables(group))
    found = []
    for member in group:
        path = f"{prefix}{member}"
        found += [path] if member in own else _all_tables(group[member], f"{path}/")
    return found


def _natural(name: str) -> list[Any]:
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name)]


def _listed(names: list[str]) -> str:
    return ", ".join(names[:SHOWN]) + (", …" if len(names) > SHOWN else "") or "no tables"


# one frame


def _dataset(file: Any, path: str, name: str) -> _Frame:
    dataset = file[path]
    shape = tuple(dataset.shape or ())
    if dataset.dtype.kind not in NUMERIC:
        raise DataError(f"'{path}' of {name} holds {dataset.dtype}, expected numbers")
    if len(shape) != 2:
        raise ShapeError(f"'{path}' of {name} has shape {shape}, expected (rows, columns)")
    return _Frame(path, shape[0], shape[1], [Block(path, [(None, slice(0, shape[1]))])])


@contextmanager
def _store(filename: Any, needed: bool) -> Iterator[Any]:
    """A pandas store on the file, where it is needed."""
    if not needed:
        yield None
        return
    import pandas as pd

    with pd.HDFStore(str(filename), "r") as store:
        yield store


def _frame(store: Any, path: str, name: str) -> _Frame:
    try:
        storer = store.get_storer(path)
        first = store.select(path, start=0, stop=1)
        bad = [c for c, dtype in first.dtypes.items() if dtype.kind not in NUMERIC]
        if bad:
            raise DataError(
                f"column {bad[0]!r} of '{path}' of {name} holds {first[bad[0]].dtype}, "
                "expected numbers"
            )
        blocks = (_table_blocks if storer.is_table else _fixed_blocks)(storer, path)
        nrows = store.get_node(blocks[0].path).nrows if blocks else 0
    except DataError:
        raise
    except Exception as error:  # PyTables raises whatever a damaged file leads HDF5 to
        raise StorageError(
            f"'{path}' of {name} cannot be read as a DataFrame: {in_brief(error)}"
        ) from error
    return _Frame(path, int(nrows), first.shape[1], blocks)


def _table_blocks(storer: Any, path: str) -> list[Block]:
    """The fields of a frame in pandas' 'table' format: one a type, and one a data column."""
    levels = storer.levels if isinstance(storer.levels, list) else []  # of the index
    columns = [c for c in storer.non_index_axes[0][1] if c not in levels]
    places = {column: n for n, column in enumerate(columns)}
    fields = [
        (axis.cname, [places[column] for column in axis.values])
        for axis in storer.values_axes
        if not set(axis.values) & set(levels)
    ]
    return [Block(f"{path}/table", [(field, _as_slice(at)) for field, at in fields])]


def _fixed_blocks(storer: Any, path: str) -> list[Block]:
    """The datasets of a frame in pandas' 'fixed' format: one a type."""
    columns = storer.read_index("axis0")
    blocks = []
    for n in range(storer.nblocks):
        items = storer.read_index(f"block{n}_items")
        whole = len(items) == len(columns)
        at = list(range(len(columns))) if whole else columns.get_indexer(items).tolist()
        blocks.append(Block(f"{path}/block{n}_values", [(None, _as_slice(at))]))
    return blocks


def _as_slice(places: list[int]) -> Any:
    """Neighbours in order are written faster by a slice."""
    if places == list(range(places[0], places[0] + len(places))):
        return slice(places[0], places[0] + len(places))
    return np.array(places)


# several frames


def _side_by_side(frames: list[_Frame], name: str) -> list[Block]:
    """The blocks of all frames, each frame's columns after those of the one before."""
    lengths = {frame.path: frame.nrows for frame in frames}
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"'{path}' {nrows}" for path, nrows in lengths.items())
        raise ShapeError(f"the frames of {name} have different numbers of rows: {told}")
    blocks, offset = [], 0
    for frame in frames:
        if not (frame.nrows and frame.ncols):
            raise DataError(
                f"'{frame.path}' of {name} has shape ({frame.nrows}, {frame.ncols}), expected at "
                "least one row and one column"
            )
        blocks += [
            Block(block.path, [(field, _moved(at, offset)) for field, at in block.fields])
            for block in frame.blocks
        ]
        offset += frame.ncols
    return blocks


def _moved(places: Any, offset: int) -> Any:
    if isinstance(places, slice):
        return slice(places.start + offset, places.stop + offset)
    return places + offset


def _h5py_can(file: Any, blocks: list[Block]) -> bool:
    """Whether h5py has the filters that the datasets are compressed by."""
    import h5py

    for block in blocks:
        made = file[block.path].id.get_create_plist()
        codes = [made.get_filter(n)[0] for n in range(made.get_nfilters())]
        if not all(map(h5py.h5z.filter_avail, codes)):
            return False
    return True
