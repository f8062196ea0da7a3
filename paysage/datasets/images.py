"""Images of data sets, from a file or from a package."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from paysage.errors import StorageError, in_brief, missing_dependency
from paysage.storage import hdf5_lock
from paysage.storage.opening import open_source
from paysage.storage.strangers import find, is_group, read_dataset

MNIST_FILE = "mnist.h5"
DATA_VARIABLE = "PAYSAGE_DATA"
HOW_TO_GET_MNIST = "run `paysage fetch mnist`"


class Dataset(NamedTuple):
    """Images (N, pixels) in float32 grey values 0..255, their labels (N,) in int64."""

    images: np.ndarray
    labels: np.ndarray
    shape: tuple[int, int]
    name: str


class SplitDataset(NamedTuple):
    """A data set that comes with a test set of its own."""

    train: Dataset
    test: Dataset


def load_digits() -> Dataset:
    """The 1797 handwritten digits of 8 x 8 pixels that come with scikit-learn.

    Returns
    -------
    Dataset
        Images (1797, 64); scikit-learn's values 0..16 are scaled to 0..255.

    Raises
    ------
    MissingDependencyError
        scikit-learn is not installed.
    """
    try:
        from sklearn import datasets as sklearn_datasets
    except ImportError as error:
        raise missing_dependency("scikit-learn", "load_digits", "examples") from error
    images, labels = sklearn_datasets.load_digits(return_X_y=True)
    grey = (images * (255 / 16)).astype(np.float32)
    return Dataset(grey, labels.astype(np.int64), (8, 8), "digits")


def find_mnist() -> Path | None:
    """The first `mnist.h5` there is, or None.

    Looked for at $PAYSAGE_DATA (the file, or a folder that holds it), then in `examples/mnist`
    of the checkout that the package is imported from, then in the working directory.
    """
    return next((path for path in _mnist_places() if path.is_file()), None)


def _mnist_places() -> Iterator[Path]:
    named = os.environ.get(DATA_VARIABLE)
    if named:
        place = Path(named).expanduser()
        yield place / MNIST_FILE if place.is_dir() else place
    yield Path(__file__).resolve().parents[2] / "examples" / "mnist" / MNIST_FILE
    yield Path(MNIST_FILE)


def load_mnist(path: str | Path | None = None) -> SplitDataset:
    """The 70,000 handwritten digits of MNIST, 28 x 28 pixels (LeCun, Cortes and Burges).

    Parameters
    ----------
    path : str or Path, optional
        The HDF5 file that `paysage fetch mnist` makes; see `find_mnist` for where
        it is looked for when no path is given.

    Returns
    -------
    SplitDataset
        `train` with images (60000, 784) and `test` with images (10000, 784).

    Raises
    ------
    StorageError
        There is no such file, or it does not hold MNIST.
    """
    if path is not None and not isinstance(path, str | os.PathLike):
        raise StorageError(f"got {path!r}, expected the path of an {MNIST_FILE}")
    found = find_mnist() if path is None else Path(path)
    if found is None:
        places = ", ".join(str(place) for place in _mnist_places())
        raise StorageError(f"MNIST was not found ({places}): {HOW_TO_GET_MNIST}")
    if not found.is_file():
        raise StorageError(f"{found} is not a file: {HOW_TO_GET_MNIST}")
    return SplitDataset(_read_part(found, "train"), _read_part(found, "test"))


def _read_part(path: Path, part: str) -> Dataset:
    """One of the two parts of the MNIST file, in row-major order."""
    images = _read(path, f"{part}/images")
    labels = _read(path, f"{part}/labels").reshape(-1)
    if images.ndim != 2 or images.shape[1] != 784 or len(images) != len(labels):
        raise StorageError(
            f"{path}: {part} has images {images.shape} and labels {labels.shape}, "
            "expected (N, 784) and (N,)"
        )
    if images.dtype.kind not in "biuf" or labels.dtype.kind not in "biuf":
        raise StorageError(
            f"{path}: {part} has images of {images.dtype} and labels of {labels.dtype}, "
            "expected numbers"
        )
    # pandas hands out column-major values; minibatches are rows
    grey = np.ascontiguousarray(images, dtype=np.float32)
    return Dataset(grey, labels.astype(np.int64), (28, 28), f"mnist/{part}")


def _read(path: Path, key: str) -> np.ndarray:
    """The values of what pandas wrote in its 'fixed' format, or of a dataset."""
    try:
        with hdf5_lock(), open_source(path) as (file, size, name):
            node = find(file, key, name)
            inside = [n for n in ("block0_values", "values") if is_group(node) and n in node]
            if inside:
                node = find(node, inside[0], name)
            if node is None or is_group(node):
                raise StorageError(f"{name} holds no such table")
            return read_dataset(node, size, f"'{key}' of {name}")
    except Exception as error:  # h5py raises whatever a damaged file leads HDF5 to
        raise StorageError(
            f"{path} has no readable table '{key}' ({in_brief(error)}): {HOW_TO_GET_MNIST}"
        ) from error
