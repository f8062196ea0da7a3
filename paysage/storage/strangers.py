"""Datasets of files that others wrote: what they declare is compared with what is there."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from paysage.errors import StorageError
from paysage.storage.unpacking import readable

#: the most bytes of a row, and of the pieces in which a dataset is stored
LARGEST_PIECE = 2**28
_LARGEST_ATTRIBUTE = 2**24


def find(file: Any, path: str, name: str) -> Any:
    """The group or dataset at a path of an h5py file; None where there is none.

    Raises
    ------
    StorageError
        If the way leads over a link, perhaps into another file.
    """
    import h5py

    node = file
    for part in path.strip("/").split("/"):
        link = node.get(part, getlink=True) if is_group(node) else None
        if link is None:
            return None
        if not isinstance(link, h5py.HardLink):
            raise StorageError(f"'{path}' of {name} leads over a link; expected stored data")
        node = node[part]
    return node


def is_group(node: Any) -> bool:
    """Whether a node of an h5py file has members."""
    return hasattr(node, "keys")


def members(group: Any) -> dict[str, Any]:
    """The groups and datasets directly below a group; links are left out.

    Raises
    ------
    StorageError
        If a name is no text.
    """
    import h5py

    names = [n for n in group if isinstance(group.get(n, getlink=True), h5py.HardLink)]
    return {text(name): group[name] for name in names}


def text(name: Any) -> str:
    """A name in an HDF5 file, which h5py gives as bytes if it is no UTF-8: a StorageError."""
    if not isinstance(name, str):
        raise StorageError(f"the name {name!r} is no UTF-8")
    return name


def attribute(node: Any, name: str) -> Any:
    """An attribute as h5py gives it; None where there is none, or one that is not `fixed`."""
    return node.attrs[name] if name in node.attrs and fixed(node.attrs.get_id(name)) else None


def fixed(stored: Any) -> bool:
    """Whether a dataset or attribute can be read without looking into a heap.

    Text and arrays of variable length are kept in heaps; HDF5 (2.0) may look for ever for the end
    of a damaged one. Attributes beyond all measure count as such, too.
    """
    if stored.dtype.hasobject:
        return False
    size = math.prod(stored.shape or ()) * stored.dtype.itemsize
    return size <= _LARGEST_ATTRIBUTE or hasattr(stored, "chunks")


def text_attribute(node: Any, name: str) -> str:
    """An attribute as text; an empty one where there is none."""
    value = attribute(node, name)
    return value.decode(errors="replace") if isinstance(value, bytes) else ""


def check_extent(dataset: Any, size: int, where: str) -> None:
    """Refuse a dataset that declares more than the file holds, before memory is taken for it.

    Parameters
    ----------
    dataset : h5py.Dataset
    size : int
        Bytes of the file.
    where : str
        What the dataset is called in errors.

    Raises
    ------
    StorageError
        If its numbers are in other files or were never written, or a row, or a piece that it is
        stored in, is larger than `LARGEST_PIECE`.
    """
    import h5py

    layout = dataset.id.get_create_plist().get_layout()
    if dataset.external or layout not in (h5py.h5d.CONTIGUOUS, h5py.h5d.COMPACT, h5py.h5d.CHUNKED):
        raise StorageError(f"{where} keeps its numbers in other files; expected them in this one")
    shape, item = dataset.shape or (), dataset.id.get_type().get_size()
    declared = math.prod(shape) * item
    if not shape or not declared:
        return
    pieces = {"a row": shape[1:]}
    if layout == h5py.h5d.CHUNKED:
        pieces["a piece"] = dataset.chunks
        _check_chunks(dataset, size, where)
    elif not declared <= (held := dataset.id.get_storage_size()) <= size:
        raise StorageError(f"{where} declares {declared} bytes and holds {held}")
    for what, lengths in pieces.items():
        if math.prod(lengths) * item > LARGEST_PIECE:
            raise StorageError(
                f"{what} of {where} takes {math.prod(lengths) * item} bytes; "
                f"expected {LARGEST_PIECE} at most"
            )


def _check_chunks(dataset: Any, size: int, where: str) -> None:
    declared = math.prod(
        -(-length // piece) for length, piece in zip(dataset.shape, dataset.chunks, strict=True)
    )
    held = dataset.id.get_num_chunks() if declared <= size else 0
    if declared > held:
        raise StorageError(
            f"{where} declares {declared} pieces of rows, of which {held or 'few'} are in the file"
        )


def read_dataset(dataset: Any, size: int, where: str) -> np.ndarray:
    """The whole of a dataset of numbers or of text of fixed length.

    Raises
    ------
    StorageError
        If `check_extent` refuses it, or it holds Python objects.
    """
    if not fixed(dataset):
        raise StorageError(f"{where} holds {dataset.dtype}, a pickle perhaps; expected numbers")
    check_extent(dataset, size, where)
    found = readable(dataset)
    return dataset[()] if found is dataset else found[:]
