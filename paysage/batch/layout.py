"""Where in an HDF5 file the numbers of a table are: a dataset, a pandas frame, or several frames.

All is read by h5py, whose calls may come from any thread, and nothing by PyTables, which unpickles.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from paysage.batch.frames import NUMERIC, Block, Frame, frame
from paysage.errors import ConfigError, DataError, PaysageError, ShapeError, StorageError, in_brief
from paysage.storage import hdf5_lock
from paysage.storage.opening import open_source
from paysage.storage.strangers import (
    check_extent,
    find,
    is_group,
    members,
    text_attribute,
)
from paysage.storage.unpacking import readable

SHOWN = 8
DEEPEST = 8  # groups within groups that are looked through


class Layout(NamedTuple):
    """A table of `nrows` rows and `ncols` columns in a file."""

    filename: Path
    key: str
    nrows: int
    ncols: int
    blocks: list[Block]
    #: rows of the largest piece that HDF5 stores, and unpacks, together; 1 without pieces
    piece_rows: int


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
    with hdf5_lock(), open_source(filename) as (file, size, name):
        try:
            return _layout(file, key, combine_frames, size, name)
        except PaysageError:
            raise
        except Exception as error:  # h5py raises whatever a damaged file leads HDF5 to
            raise StorageError(f"'{key}' of {name} cannot be read: {in_brief(error)}") from error


def _layout(file: Any, key: str, combine: bool, size: int, name: str) -> Layout:
    paths = _members(file, key, name) if combine else [key]
    frames = []
    for path in paths:
        make = frame if _kind(file, path, name) == "frame" else _dataset
        frames.append(make(find(file, path, name), path, size, name))
    blocks = _side_by_side(frames, name)
    ncols = sum(one.ncols for one in frames)
    for block in blocks:
        readable(file[block.path])  # refuses what cannot be unpacked
    pieces = max((file[block.path].chunks or (1,))[0] for block in blocks)
    return Layout(Path(file.filename), key, frames[0].nrows, ncols, blocks, pieces)


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
    except Exception as error:  # that it is not there
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
    with open_source(layout.filename) as (file, _, _):
        yield lambda path: readable(file[path])


# what is at a key


def _kind(file: Any, path: str, name: str) -> str:
    """A 'frame' of pandas or a 'dataset'; anything else is refused with what it is."""
    node = find(file, path, name)
    if node is None:
        raise StorageError(f"{name} holds no '{path}'; it holds {_listed(_all_tables(file))}")
    if not is_group(node):
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
    return text_attribute(node, "pandas_type") if is_group(node) else ""


def _members(file: Any, key: str, name: str) -> list[str]:
    """The tables under a key in natural order, 2 before 10; or the table at the key."""
    node = find(file, key, name)
    if node is None or not is_group(node) or _pandas_type(node):
        return [key]
    found = sorted(_tables(node), key=_natural)
    if not found:
        raise StorageError(f"'{key}' of {name} holds no frames to combine")
    return [f"{key}/{member}" for member in found]


def _tables(group: Any) -> list[str]:
    """Names of the frames and datasets directly below a group."""
    return [n for n, node in members(group).items() if not is_group(node) or _pandas_type(node)]


def _all_tables(group: Any, prefix: str = "", depth: int = 0) -> list[str]:
    """Paths of the frames and datasets in a file; a group may hold itself, so not for ever."""
    own = set(_tables(group))
    found = []
    for member, node in members(group).items() if depth < DEEPEST else ():
        path = f"{prefix}{member}"
        found += [path] if member in own else _all_tables(node, f"{path}/", depth + 1)
    return found


def _natural(name: str) -> list[Any]:
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name)]


def _listed(names: list[str]) -> str:
    return ", ".join(names[:SHOWN]) + (", …" if len(names) > SHOWN else "") or "no tables"


# one dataset


def _dataset(dataset: Any, path: str, size: int, name: str) -> Frame:
    where = f"'{path}' of {name}"
    shape = tuple(dataset.shape or ())
    if dataset.dtype.kind not in NUMERIC:
        raise DataError(f"{where} holds {dataset.dtype}, expected numbers")
    if len(shape) != 2:
        raise ShapeError(f"{where} has shape {shape}, expected (rows, columns)")
    check_extent(dataset, size, where)
    return Frame(path, shape[0], shape[1], [Block(path, [(None, slice(0, shape[1]))])])


# several frames


def _side_by_side(frames: list[Frame], name: str) -> list[Block]:
    """The blocks of all frames, each frame's columns after those of the one before."""
    lengths = {one.path: one.nrows for one in frames}
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"'{path}' {nrows}" for path, nrows in lengths.items())
        raise ShapeError(f"the frames of {name} have different numbers of rows: {told}")
    blocks, offset = [], 0
    for one in frames:
        if not (one.nrows and one.ncols):
            raise DataError(
                f"'{one.path}' of {name} has shape ({one.nrows}, {one.ncols}), expected at "
                "least one row and one column"
            )
        blocks += [
            Block(block.path, [(field, _moved(at, offset)) for field, at in block.fields])
            for block in one.blocks
        ]
        offset += one.ncols
    return blocks


def _moved(places: Any, offset: int) -> Any:
    if isinstance(places, slice):
        return slice(places.start + offset, places.stop + offset)
    return places + offset
