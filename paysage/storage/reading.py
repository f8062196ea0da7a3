"""Reading a tree out of an HDF5 file that may be damaged, or made to do harm."""

import math
from typing import Any, NamedTuple

import numpy as np

from paysage.errors import StorageError
from paysage.storage.document import (
    DTYPES,
    check_document,
    damaged,
    decode_text,
    digest,
    unflatten,
)
from paysage.storage.strangers import text

_MAX_DIMS = 32  # of HDF5


class Entry(NamedTuple):
    """A tree that a file holds, and what its document says of it."""

    kind: str
    version: str
    """version of Paysage that wrote it"""
    schema: int
    tree: Any


def read_group(file: Any, parts: list[str], kind: str | None, size: int, name: str) -> Entry:
    """The tree of one group; every exception on the way means damage."""
    try:
        group = _find_group(file, parts, name)
        document = _read_document(group, size, name)
        check_document(document, kind, name)
        arrays = _read_arrays(group, document["arrays"], size, name)
        tree = unflatten(document["tree"], arrays)
        return Entry(document["kind"], document["library"], document["schema"], tree)
    except StorageError:
        raise
    except Exception as error:  # h5py raises whatever a damaged file leads HDF5 to
        raise StorageError(f"{name} is damaged: {error}") from error


def find_keys(file: Any, name: str) -> list[str]:
    """Where in the file there are trees; links are not followed, and each group is seen once."""
    found = []

    def look(path: str, node: Any) -> None:
        if hasattr(node, "keys") and {"document", "digest"} <= set(node):
            found.append(text(path))

    try:
        file.visititems(look)
    except Exception as error:  # h5py raises whatever a damaged file leads HDF5 to
        raise StorageError(f"{name} is damaged: {error}") from error
    return found


def _find_group(file: Any, parts: list[str], name: str) -> Any:
    node = file
    for part in parts:
        if node.get(part, getlink=True) is None:
            found = ", ".join(sorted(file)[:8]) or "nothing"
            raise StorageError(
                f"{name} is an HDF5 file, but not one of ours: there is no group "
                f"'{'/'.join(parts)}' (its root holds {found})"
            )
        node = _hard_linked(node, part, name)
    if not hasattr(node, "keys") or node.get("document", getlink=True) is None:
        raise StorageError(
            f"{name} is an HDF5 file, but not one of ours: '{'/'.join(parts)}' holds no document"
        )
    return node


def _hard_linked(group: Any, part: str, name: str) -> Any:
    """A member of the group itself; a link could lead into another file."""
    import h5py

    if not isinstance(group.get(part, getlink=True), h5py.HardLink):
        raise StorageError(f"{name} is damaged: '{part}' is a link; expected stored data")
    return group[part]


def _read_document(group: Any, size: int, name: str) -> dict[str, Any]:
    length = int(np.prod(group["document"].shape))
    raw = _read_dataset(group, "document", (length,), "|u1", size, name)
    expected = _read_dataset(group, "digest", (32,), "|u1", size, name)
    if digest(raw).tobytes() != expected.tobytes():
        damaged(name, "its document does not match its digest")
    return decode_text(raw.tobytes())


def _read_arrays(group: Any, entries: list[Any], size: int, name: str) -> list[np.ndarray]:
    """Every array that the document declares; all of them together must fit into the file."""
    declared = [_declared(entry, name) for entry in entries]
    total = sum(math.prod(shape) * np.dtype(dtype).itemsize for shape, dtype, _ in declared)
    if total > size:
        damaged(name, f"it declares {total} bytes of arrays and has {size} in all")
    arrays = []
    for n, (shape, dtype, sha256) in enumerate(declared):
        array = np.empty(shape, dtype)
        if array.size:
            array = _read_dataset(group, f"a{n}", shape, dtype, size, name)
        if digest(array).tobytes().hex() != sha256:
            damaged(name, f"array {n} does not match its digest")
        arrays.append(array)
    return arrays


def _declared(entry: Any, name: str) -> tuple[tuple[int, ...], str, str]:
    shape, dtype = tuple(entry["shape"]), entry["dtype"]
    if dtype not in DTYPES:
        damaged(name, f"it declares an array of dtype {dtype!r}")
    if len(shape) > _MAX_DIMS or any(type(n) is not int or n < 0 for n in shape):
        damaged(name, f"it declares an array of shape {shape}")
    return shape, dtype, entry["sha256"]


def _read_dataset(
    group: Any, leaf: str, shape: tuple[int, ...], dtype: str, size: int, name: str
) -> np.ndarray:
    """A dataset of just this shape and dtype, checked before any memory is taken for it."""
    if group.get(leaf, getlink=True) is None:
        damaged(name, f"'{leaf}' is missing")
    dataset = _hard_linked(group, leaf, name)
    stored = "|u1" if dtype == "|b1" else dtype
    if dataset.shape != shape or dataset.dtype.str != stored:
        damaged(
            name,
            f"'{leaf}' has shape {dataset.shape} and dtype {dataset.dtype.str}; "
            f"expected {shape} and {stored}",
        )
    _check_extent(dataset, leaf, size, name)
    array = np.empty(shape, stored)
    dataset.read_direct(array)
    return array.view(dtype)


def _check_extent(dataset: Any, leaf: str, size: int, name: str) -> None:
    """Uncompressed, in one piece, in this very file, and no larger than the file."""
    import h5py

    layout = dataset.id.get_create_plist().get_layout()
    plain = layout in (h5py.h5d.CONTIGUOUS, h5py.h5d.COMPACT) and not dataset.external
    if not plain or dataset.nbytes > size or dataset.id.get_storage_size() != dataset.nbytes:
        damaged(name, f"'{leaf}' is not stored in one piece of {dataset.nbytes} bytes")
