"""Rows of numbers: read by name or from a file, written to a file."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any, NamedTuple
from zipfile import ZIP_DEFLATED, ZIP_STORED

import numpy as np

from paysage.errors import ConfigError, DataError, PaysageError, StorageError, in_brief
from paysage.files import written_whole

HDF5 = (".h5", ".hdf5", ".hdf")
#: how a .npy file begins, and a .npz file, which is a zip archive
NUMPY = (b"\x93NUMPY", b"PK")
#: data sets that are found by their names
NAMED = ("digits", "mnist", "mnist/test")


class Rows(NamedTuple):
    """A table, and whether it is known to hold grey values from 0 to 255."""

    values: np.ndarray
    """(N, n)"""
    grey: bool


def read_rows(data: str, key: str | None = None) -> Rows:
    """All rows of a data set or a file.

    Parameters
    ----------
    data : str
        'digits', 'mnist' (its training images), 'mnist/test', or the path of a file that ends with
        .h5, .npy, .npz or .csv (numbers, separated by commas, a row a line).
    key : str, optional
        The table in a file that may have several; it can be left out where there is one.

    Raises
    ------
    StorageError
        There is no such file or table, or it cannot be read.
    DataError
        It is no table of numbers.
    """
    if data in NAMED:
        return Rows(_named(data), True)
    path = Path(data)
    if not path.is_file():
        raise StorageError(f"there is no file {data}; data sets with names: {', '.join(NAMED)}")
    return Rows(_checked(_from_file(path, key), data), False)


def _named(name: str) -> np.ndarray:
    from paysage import datasets

    if name == "digits":
        return datasets.load_digits().images
    mnist = datasets.load_mnist()
    return (mnist.test if name == "mnist/test" else mnist.train).images


def _from_file(path: Path, key: str | None) -> np.ndarray:
    if path.suffix in HDF5:
        from paysage.batch.layout import find_layout, opened

        with opened(layout := find_layout(path, table_key(path, key))) as read:
            return read(0, layout.nrows)
    if path.suffix in (".npy", ".npz"):
        return np.array(load_array(path, key), order="C")
    if path.suffix not in (".csv", ".txt"):
        raise ConfigError(f"{path}: expected a file that ends with .h5, .npy, .npz or .csv")
    try:
        return np.loadtxt(path, dtype=np.float32, delimiter=",", ndmin=2)
    except Exception as error:  # NumPy raises whatever a damaged file leads it to
        raise StorageError(f"{path} cannot be read: {in_brief(error)}") from error


def table_key(path: Path, key: str | None) -> str:
    """The table of an HDF5 file that is meant; a ConfigError where that cannot be told."""
    from paysage.batch.contents import contents

    if key is not None:
        return key
    tables = [table.key for table in contents(path) if len(table.shape) == 2]
    if len(tables) != 1:
        held = ", ".join(tables[:8]) or "none"
        raise ConfigError(f"{path} has these tables: {held}; choose one by --key")
    return tables[0]


def load_array(path: Path, key: str | None = None) -> np.ndarray:
    """The array of a .npy file, left on the disk for now, or one of a .npz file.

    Nothing is unpickled, and no more is allocated than the file can hold.

    Raises
    ------
    StorageError
        It cannot be read, or declares more numbers than it holds.
    ConfigError
        It has several arrays, or none of that name.
    """
    try:
        _check_beginning(path)
        loaded = np.load(path, mmap_mode="r", allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return loaded
        with loaded:
            return _member(loaded, path, key)
    except PaysageError:
        raise
    except Exception as error:  # NumPy raises whatever a damaged file leads it to
        raise StorageError(f"{path} cannot be read: {in_brief(error)}") from error


def _check_beginning(path: Path) -> None:
    """Anything else NumPy takes for a pickle, and advises to load it as one."""
    with path.open("rb") as file:
        head = file.read(6)
    if not head.startswith(NUMPY):
        raise StorageError(
            f"{path} cannot be read: it begins with {head!r}, as no .npy or .npz does"
        )


def _member(archive: Any, path: Path, key: str | None) -> np.ndarray:
    key = archive.files[0] if key is None and len(archive.files) == 1 else key
    if key is None or f"{key}.npy" not in archive.zip.namelist():
        raise ConfigError(f"{path} has the arrays {', '.join(archive.files)}; choose by --key")
    # the other ways of packing make a thousand times more of a byte
    if archive.zip.getinfo(f"{key}.npy").compress_type not in (ZIP_STORED, ZIP_DEFLATED):
        raise StorageError(f"'{key}' of {path} is packed as NumPy packs nothing")
    array = archive[key]
    if not isinstance(array, np.ndarray):
        raise StorageError(f"'{key}' of {path} is no array")
    return array


def _checked(values: np.ndarray, name: str) -> np.ndarray:
    if values.ndim != 2 or values.dtype.kind not in "biuf":
        raise DataError(
            f"{name} has shape {values.shape} and dtype {values.dtype}, expected a table of numbers"
        )
    return values


def transformation(name: str | None, grey: bool, gaussian: bool) -> Any:
    """The transform of that name; without one, named images become what the units are.

    Parameters
    ----------
    name : 'binarize', 'sample', 'scale', 'none' or None
    grey : bool
        Whether the data are known to be grey values.
    gaussian : bool
        Whether the visible units are real numbers.
    """
    from paysage import preprocess

    if name is None:
        name = "none" if not grey else "scale" if gaussian else "binarize"
    if name == "scale":
        return preprocess.Transformation(preprocess.scale, kwargs={"denominator": 255})
    function = {
        "binarize": preprocess.binarize_color,
        "sample": preprocess.sample_color,
        "none": preprocess.do_nothing,
    }[name]
    return preprocess.Transformation(function)


def write_tables(path: Path, tables: dict[str, np.ndarray]) -> None:
    """Write tables by name to an HDF5 file, or the only one to a .npy file; whole or not at all."""
    with written_whole(path) as partial:
        content = _npy(*tables.values()) if path.suffix == ".npy" else _hdf5(tables)
        partial.write_bytes(content)


def _npy(rows: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, rows, allow_pickle=False)
    return file.getvalue()


def _hdf5(tables: dict[str, np.ndarray]) -> bytes:
    import h5py

    with h5py.File("image", "w", driver="core", backing_store=False) as file:
        for name, rows in tables.items():
            file.create_dataset(name, data=rows)
        file.flush()
        return file.id.get_file_image()
