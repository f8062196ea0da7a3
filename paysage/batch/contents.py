"""What tables a file holds, found out without reading them."""

from __future__ import annotations

from typing import Any, NamedTuple

from paysage.errors import StorageError
from paysage.storage import hdf5_lock
from paysage.storage.opening import open_source
from paysage.storage.strangers import text, text_attribute


class Contents(NamedTuple):
    """A table in a file."""

    key: str
    shape: tuple[int, ...]
    dtype: str
    written_by: str
    """'pandas' for a DataFrame or a Series, else 'h5py'"""


def contents(filename: Any) -> list[Contents]:
    """The DataFrames, Series and datasets of an HDF5 file, but for trees of ours.

    Links are not followed, attributes other than pandas' name of the type are not looked at, and
    nothing is unpickled.

    Raises
    ------
    StorageError
        There is no such file, or it is not HDF5, or damaged.
    """
    found: list[Contents] = []
    inside: list[str] = []  # of groups that were taken as a whole

    def look(path: str, node: Any) -> None:
        if text(path).startswith(tuple(inside)):
            return
        table = _of_group(path, node) if hasattr(node, "keys") else _of_dataset(path, node)
        if table is not None:
            found.append(table)
        if hasattr(node, "keys") and (table is not None or {"document", "digest"} <= set(node)):
            inside.append(f"{path}/")

    with hdf5_lock(), open_source(filename) as (file, _, name):
        try:
            file.visititems(look)
        except Exception as error:  # h5py raises whatever a damaged file leads HDF5 to
            raise StorageError(f"{name} is damaged: {error}") from error
    return found


def _of_dataset(path: str, node: Any) -> Contents | None:
    return Contents(path, tuple(node.shape), str(node.dtype), "h5py") if node.shape else None


def _of_group(path: str, group: Any) -> Contents | None:
    """A table of pandas, whose rows lie in one dataset or in one a type of columns."""
    kind = text_attribute(group, "pandas_type")
    if not kind.startswith(("frame", "series")):
        return None
    parts = [group[name] for name in sorted(group) if _holds_values(name)]
    dtypes = ", ".join(dict.fromkeys(_dtype(part) for part in parts))
    if "table" in group:
        table = group["table"]
        width = sum(_width(table.dtype[n]) for n in table.dtype.names if n != "index")
        return Contents(path, (table.shape[0], width), dtypes, "pandas")
    rows = parts[0].shape[0] if parts else 0
    if kind.startswith("series"):
        return Contents(path, (rows,), dtypes, "pandas")
    return Contents(path, (rows, sum(part.shape[1] for part in parts)), dtypes, "pandas")


def _holds_values(name: str) -> bool:
    return name in ("table", "values") or (name.startswith("block") and name.endswith("_values"))


def _dtype(part: Any) -> str:
    names = part.dtype.names
    kinds = [part.dtype[n].base for n in names if n != "index"] if names else [part.dtype]
    return ", ".join(dict.fromkeys(map(str, kinds)))


def _width(field: Any) -> int:
    return int(field.shape[0]) if field.shape else 1
