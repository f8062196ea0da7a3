"""A tree of arrays and JSON values, to and from HDF5 files that say what they are.

Layout, schema 1. The group at `key` holds

- `document`: UTF-8 JSON as bytes, with the entries format, schema, kind, library, tree and arrays.
  In the tree `{"__array__": n}` stands for the n-th array, whose shape, dtype and SHA-256 are in
  `arrays`;
- `digest`: the 32 bytes of the SHA-256 of the document;
- `a0`, `a1`, …: the arrays, uncompressed and in one piece. Those without elements are not stored.

Nothing is pickled and no HDF5 attribute is read. A file is taken for what its document says only
after both digests agree, so a damaged one is refused and never half understood.
"""

from typing import Any

from paysage.storage.document import digest, encode, split_key
from paysage.storage.legacy import read_legacy_model, read_legacy_pca
from paysage.storage.locking import hdf5_lock
from paysage.storage.opening import is_store, open_source
from paysage.storage.reading import Entry, find_keys, read_group
from paysage.storage.writing import write_to_path, write_to_store

__all__ = [
    "Entry",
    "hdf5_lock",
    "read_all",
    "read_legacy_model",
    "read_legacy_pca",
    "read_tree",
    "write_tree",
]


def write_tree(target: Any, tree: Any, kind: str = "model", key: str = "paysage") -> None:
    """Write a tree to a file, whole or not at all, or into an open store.

    Parameters
    ----------
    target : path or open pandas.HDFStore
        A path is replaced by a file that holds this tree alone, in one step at the end: whatever
        goes wrong before leaves the previous file as it was. A store can hold several trees, each
        under its key, next to other data; a tree already there is replaced.
    tree : dict, list or value
        Dictionaries with string keys, lists, JSON values and NumPy arrays; tuples become lists.
    kind : str
        What the tree describes; reading asks for the same kind.
    key : str
        Where in the file, such as "paysage" or "models/first".

    Raises
    ------
    StorageError
        When the tree holds something else, or the target cannot be written.
    """
    parts = split_key(key)
    document, arrays = encode(tree, kind)
    leaves = {"document": document, "digest": digest(document), **arrays}
    with hdf5_lock():
        if is_store(target):
            write_to_store(target, parts, leaves)
        else:
            write_to_path(target, parts, leaves)


def read_tree(source: Any, kind: str = "model", key: str = "paysage") -> Any:
    """Read a tree from a file or an open store.

    Parameters
    ----------
    source : path or open pandas.HDFStore
        Where `write_tree` has written, either way.
    kind : str
        The kind of tree that is expected.
    key : str
        Where in the file.

    Returns
    -------
    dict, list or value
        The tree; arrays are NumPy arrays of the shape and dtype that were written.

    Raises
    ------
    StorageError
        When there is no file, or it is not ours, of another kind, from a newer library, cut short
        or damaged; the sentence says which.
    """
    parts = split_key(key)
    with hdf5_lock(), open_source(source) as (file, size, name):
        return read_group(file, parts, kind, size, name).tree


def read_all(source: Any) -> dict[str, Entry]:
    """Read every tree in a file or an open store, of whatever kind.

    Returns
    -------
    dict of Entry
        By key; empty where the file holds something else only.

    Raises
    ------
    StorageError
        When there is no file, it is not HDF5, or a tree is from a newer library or damaged.
    """
    with hdf5_lock(), open_source(source) as (file, size, name):
        keys = find_keys(file, name)
        return {key: read_group(file, key.split("/"), None, size, name) for key in keys}
