"""Where in an HDF5 file pandas has put the columns of a frame, read without pandas.

The 'fixed' format has a dataset for each type of numbers, the 'table' format one dataset with a
field for each. Nothing is unpickled: where the names of columns are pickled Python objects, frames
are read whose columns need no names to be in order.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from paysage.errors import DataError, PaysageError, StorageError
from paysage.storage.pickles import read_plain
from paysage.storage.strangers import (
    attribute,
    check_extent,
    find,
    is_group,
    read_dataset,
    text_attribute,
)

NUMERIC = "biuf"  # kinds of dtypes: boolean, integer, unsigned, float


class Block(NamedTuple):
    """A dataset, or fields of one, and the columns of the table that it holds."""

    path: str
    #: field of a compound dataset, or None for a dataset of numbers; and positions in the table
    fields: list[tuple[str | None, Any]]


class Frame(NamedTuple):
    """One frame or dataset of a table."""

    path: str
    nrows: int
    ncols: int
    blocks: list[Block]


class _Part(NamedTuple):
    """Columns of one type: their field, their number, their names if known, and their type."""

    path: str
    field: str | None
    width: int
    names: list[Any] | None
    type: str


def frame(group: Any, path: str, size: int, name: str) -> Frame:
    """The frame that pandas wrote under a path.

    Raises
    ------
    StorageError
        It is damaged, or the order of its columns is known from pickled objects only.
    DataError
        A column is not numeric.
    """
    where = f"'{path}' of {name}"
    table = "table" in text_attribute(group, "pandas_type")
    try:
        order, parts, nrows = (_table if table else _fixed)(group, path, size, where)
    except PaysageError:
        raise
    except Exception as error:  # h5py raises whatever a damaged file leads HDF5 to
        raise StorageError(f"{where} cannot be read as a DataFrame: {error}") from error
    for part in parts:
        _check_numeric(part, where)
    ncols = sum(part.width for part in parts)
    places = _places(parts, order, where)
    paths = dict.fromkeys(part.path for part in parts)
    at = list(zip(parts, places, strict=True))
    blocks = [
        Block(own, [(p.field, _as_slice(x)) for p, x in at if p.path == own]) for own in paths
    ]
    return Frame(path, nrows, ncols, blocks)


def _check_numeric(part: _Part, where: str) -> None:
    if part.type:
        column = repr(part.names[0]) if part.names else "?"
        raise DataError(f"column {column} of {where} holds {part.type}, expected numbers")


def _not_numbers(dtype: np.dtype, told: str) -> str:
    """What pandas makes of stored values, where those are no numbers."""
    if any(word in told for word in ("datetime", "timedelta", "period", "category", "object")):
        return told
    return "" if dtype.kind in NUMERIC else "text or objects" if dtype.kind in "OSV" else str(dtype)


def _places(parts: list[_Part], order: list[Any] | None, where: str) -> list[list[int]]:
    """Positions in the table of the columns of each part."""
    if len(parts) == 1:
        return [list(range(parts[0].width))]
    if order is None or any(part.names is None for part in parts):
        raise StorageError(
            f"the names of columns of {where} are objects of Python, stored as a pickle, which is "
            "not read; name all columns by text"
        )
    position = {column: n for n, column in enumerate(order)}
    found = [[position.get(column, -1) for column in part.names or ()] for part in parts]
    if sorted(n for one in found for n in one) != list(range(len(order))):
        raise StorageError(f"{where} is damaged: its columns are not those of its blocks")
    return found


def _as_slice(places: list[int]) -> Any:
    """Neighbours in order are written faster by a slice."""
    if places and places == list(range(places[0], places[0] + len(places))):
        return slice(places[0], places[0] + len(places))
    return np.array(places, dtype=np.intp)


# the 'fixed' format: a dataset for each type


def _fixed(group: Any, path: str, size: int, where: str) -> tuple[list[Any] | None, list, int]:
    parts, lengths = [], set()
    for n in range(_count(attribute(group, "nblocks"), len(group), where)):
        dataset = _dataset(group, f"block{n}_values", where)
        told = _not_numbers(dataset.dtype, text_attribute(dataset, "value_type"))
        names = _labels(group, f"block{n}_items", size, where)
        rows, width = _extent(dataset, size, where) if not told else (0, 1)
        parts.append(_Part(f"{path}/block{n}_values", None, width, names, told))
        lengths.add(rows)
    if len({n for n in lengths if n}) > 1:
        raise StorageError(f"{where} is damaged: its blocks have {sorted(lengths)} rows")
    order = _labels(group, "axis0", size, where) if len(parts) > 1 else None
    return order, parts, max(lengths, default=0)


def _extent(dataset: Any, size: int, where: str) -> tuple[int, int]:
    """Rows and columns of a block; pandas stores those without elements as one zero."""
    check_extent(dataset, size, where)
    empty = _plain(dataset, "shape", where)
    rows, columns = dataset.shape if empty is None else (int(empty[1]), int(empty[0]))
    if empty is not None and rows * columns:
        raise StorageError(f"{where} is damaged: it declares {rows} rows and holds none")
    return rows, columns


def _labels(group: Any, axis: str, size: int, where: str) -> list[Any] | None:
    """The labels of an axis; None where they are pickled."""
    if text_attribute(group, f"{axis}_variety") != "multi":
        return _level(_dataset(group, axis, where), size, where)
    columns = []
    for n in range(_count(attribute(group, f"{axis}_nlevels"), len(group), where)):
        level = _level(_dataset(group, f"{axis}_level{n}", where), size, where)
        codes = read_dataset(_dataset(group, f"{axis}_label{n}", where), size, where)
        if level is None:
            return None
        columns.append([level[k] if k >= 0 else None for k in codes.tolist()])
    return list(zip(*columns, strict=True))


def _level(dataset: Any, size: int, where: str) -> list[Any] | None:
    if dataset.dtype.hasobject:
        return None
    values = read_dataset(dataset, size, where).reshape(-1).tolist()
    return [v.decode(errors="replace") if isinstance(v, bytes) else v for v in values]


def _count(value: Any, most: int, where: str) -> int:
    if value is None or not 0 <= int(value) <= most:
        raise StorageError(f"{where} is damaged: it declares {value} parts")
    return int(value)


def _dataset(group: Any, name: str, where: str) -> Any:
    node = find(group, name, where)
    if node is None or is_group(node):
        raise StorageError(f"{where} is damaged: it has no '{name}'")
    return node


# the 'table' format: a dataset with a field for each type


def _table(group: Any, path: str, size: int, where: str) -> tuple[list[Any] | None, list, int]:
    table = _dataset(group, "table", where)
    if not table.dtype.names or len(table.shape) != 1:
        raise StorageError(f"{where} is damaged: its table has no columns")
    check_extent(table, size, where)
    levels = _plain(group, "levels", where)
    levels = levels if isinstance(levels, list) else []  # of the index
    fields = _plain(group, "values_cols", where) or []
    parts = [_part(table, path, field, where) for field in fields if field not in levels]
    order = None
    if len(parts) > 1:
        axes = _plain(group, "non_index_axes", where) or [(1, [])]
        order = [column for column in axes[0][1] if column not in levels]
    return order, parts, int(table.shape[0])


def _part(table: Any, path: str, field: str, where: str) -> _Part:
    if field not in table.dtype.names:
        raise StorageError(f"{where} is damaged: its table has no '{field}'")
    dtype = table.dtype[field]
    meta = text_attribute(table, f"{field}_meta")
    told = meta if meta == "category" else text_attribute(table, f"{field}_dtype")
    names = _plain(table, f"{field}_kind", where)
    base = dtype.base
    return _Part(
        f"{path}/table",
        field,
        math.prod(dtype.shape),
        names if isinstance(names, list) else None,
        _not_numbers(base, told),
    )


def _plain(node: Any, name: str, where: str) -> Any:
    """An attribute that pandas pickled, or one that needed no pickle."""
    value = attribute(node, name)
    return read_plain(value, f"'{name}' of {where}") if isinstance(value, bytes) else value
