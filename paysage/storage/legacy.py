"""Read the arrays of model and PCA files that version 0.2 wrote.

Such a file is a pandas HDFStore. Parameters are frames in 'fixed' format, which are plain datasets,
and are read here by h5py. The configuration is a pickled attribute. It is never read, because
unpickling can run any code; so the types of the layers are not known from the file.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from paysage.errors import StorageError
from paysage.storage.locking import hdf5_lock
from paysage.storage.opening import open_source
from paysage.storage.strangers import (
    find,
    is_group,
    members,
    read_dataset,
    text,
    text_attribute,
)

#: largest array that is read, in bytes: a small compressed file can declare terabytes
LARGEST_ARRAY = 2**32

_DATASETS = {"frame": "block0_values", "series": "values"}
_PCA_NAMES = {
    "w": "W",
    "components": "W",
    "var": "var",
    "variance": "var",
    "variances": "var",
    "mean": "mean",
    "center": "mean",
}


class LegacyModel(NamedTuple):
    """Parameters of a model that version 0.2 wrote."""

    layers: list[list[np.ndarray]]
    """parameters of each layer, (n,) each, in the order loc, log_var"""
    weights: list[np.ndarray]
    """matrix of each connection, (V, H)"""
    name: str
    """of the file, for error messages"""


def read_legacy_model(source: Any) -> LegacyModel | None:
    """Return the parameters of a model file of version 0.2, or None if it is another file.

    Parameters
    ----------
    source : path or open pandas.HDFStore

    Raises
    ------
    StorageError
        If the file is absent or damaged, or a parameter is missing or not numeric.
    """
    with hdf5_lock(), open_source(source) as (file, size, name):
        try:
            if _holds(file, "paysage", name) or not _holds(file, "layers", name):
                return None
            layers = [
                [vector(a, f"{path}/{key}", name) for key, a in params]
                for path, params in _numbered(file, "layers", "layers_", "params", size, name)
            ]
            found = _numbered(file, "connections", "weights_", "key", size, name)
            weights = [params[0][1] for _, params in found]
        except StorageError:
            raise
        except Exception as error:  # h5py raises many types of errors for damaged files
            raise StorageError(f"{name} is damaged: {error}") from error
    return LegacyModel(layers, weights, name)


def read_legacy_pca(source: Any) -> dict[str, np.ndarray] | None:
    """Return W, var and mean of a PCA file of version 0.2, or None if it is a file of this version.

    The arrays are found by their names, in whatever group they are: W or components; var or
    variance; mean or center. Upper and lower case are not distinguished, and a prefix that ends
    with an underscore is ignored.

    Parameters
    ----------
    source : path or open pandas.HDFStore

    Returns
    -------
    dict of arrays, or None
        W (n, k) and var (k,); mean (n,) if the file has one.

    Raises
    ------
    StorageError
        If the file is absent or damaged, or W or var is missing or there twice.
    """
    with hdf5_lock(), open_source(source) as (file, size, name):
        try:
            if _holds(file, "pca/document", name):
                return None
            tables = _tables(file)
            found: dict[str, np.ndarray] = {}
            for path, node in tables.items():
                what = _PCA_NAMES.get(path.replace("/", "_").rpartition("_")[2].lower())
                if what is None:
                    continue
                if what in found:
                    raise StorageError(
                        f"{name} has two arrays for '{what}'; it holds {_list(tables)}"
                    )
                found[what] = _read(node, path, size, name)
        except StorageError:
            raise
        except Exception as error:  # h5py raises many types of errors for damaged files
            raise StorageError(f"{name} is damaged: {error}") from error
    if "W" not in found or "var" not in found:
        raise StorageError(
            f"{name} does not hold principal components: expected arrays W and var, "
            f"found {_list(tables)}"
        )
    return {
        what: array if what == "W" else vector(array, what, name) for what, array in found.items()
    }


def vector(array: np.ndarray, path: str, name: str) -> np.ndarray:
    """Return an array of shape (n,), (n, 1) or (1, n) as a vector."""
    if array.size != max(array.shape, default=0):
        raise StorageError(
            f"'{path}' of {name} has shape {array.shape}; expected one row or column"
        )
    return array.reshape(-1)


def _holds(file: Any, path: str, name: str) -> bool:
    return find(file, path, name) is not None


def _numbered(
    file: Any, parent: str, prefix: str, key: str, size: int, name: str
) -> list[tuple[str, list[tuple[str, np.ndarray]]]]:
    """Return the path and the parameters of each of `parent`/`prefix`0, `prefix`1, …

    Parameters are called `key`0, `key`1, …
    """
    result = []
    for owner in _in_order(find(file, parent, name), prefix, f"'{parent}' of {name}"):
        path = f"{parent}/{owner}/parameters"
        group = find(file, path, name)
        keys = _in_order(group, key, f"'{path}' of {name}")
        result.append(
            (path, [(k, _read(find(group, k, name), f"{path}/{k}", size, name)) for k in keys])
        )
    return result


def _in_order(group: Any, prefix: str, where: str) -> list[str]:
    """Return the members of a group that begin with `prefix`, numbered from 0 without gaps."""
    found = [m for m in members(group) if m.startswith(prefix)] if is_group(group) else []
    expected = [f"{prefix}{n}" for n in range(len(found))]
    if not found or set(found) != set(expected):
        raise StorageError(
            f"{where} does not hold a model of version 0.2: expected {prefix}0, {prefix}1, …, "
            f"found {_list(found)}"
        )
    return expected


def _tables(file: Any) -> dict[str, Any]:
    """Return the frames, series and other datasets of a file by their paths."""
    found: dict[str, Any] = {}

    def look(path: str, node: Any) -> None:
        inside_frame = any(text(path).startswith(f"{other}/") for other in found)
        is_table = not is_group(node) or text_attribute(node, "pandas_type")
        if is_table and not inside_frame:
            found[path] = node

    file.visititems(look)  # does not follow links and visits each group once
    return found


def _read(node: Any, path: str, size: int, name: str) -> np.ndarray:
    """Return the numbers of a frame in 'fixed' format, of a series, or of a plain dataset."""
    where = f"'{path}' of {name}"
    dataset = node
    if is_group(node):
        kind = text_attribute(node, "pandas_type")
        dataset = find(node, _DATASETS.get(kind, "values"), name)
        if kind not in _DATASETS or dataset is None or is_group(dataset) or "block1_values" in node:
            raise StorageError(
                f"{where} is not a frame of numbers of one type in 'fixed' format "
                f"(pandas_type is {kind!r})"
            )
    if dataset.dtype.kind not in "fiu":
        raise StorageError(f"{where} holds {dataset.dtype}; expected numbers")
    if dataset.nbytes > LARGEST_ARRAY:
        raise StorageError(
            f"{where} declares {dataset.nbytes} bytes; expected at most {LARGEST_ARRAY}"
        )
    return read_dataset(dataset, size, where)


def _list(names: Any) -> str:
    """Return the first names, for error messages."""
    first = sorted(names)[:12]
    return ", ".join([*first, *(["…"] if len(names) > len(first) else [])]) or "nothing"
