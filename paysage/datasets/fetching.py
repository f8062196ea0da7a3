"""Fetching MNIST (LeCun, Cortes and Burges) from the network, or from its files in a folder.

The file that is written holds the keys train/images, train/labels, test/images and test/labels, in
uint8, and each part is what it should be to the last bit.
"""

import gzip
import hashlib
import http.client
import io
import struct
import urllib.request
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from paysage.errors import DataError, StorageError
from paysage.files import checked_path, written_whole
from paysage.progress import progress_bar

TIMEOUT_SECONDS = 30
# no archive of MNIST is larger than 10 MB
LARGEST_DOWNLOAD = 32 * 2**20

MIRRORS = [
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
    "https://raw.githubusercontent.com/fgnt/mnist/master/",
]


class Part(NamedTuple):
    """An IDX file of the data set: its name, shape, and the SHA-256 of its contents."""

    key: str
    file: str
    shape: tuple[int, ...]
    sha256: str


PARTS = [
    Part(
        "train/images",
        "train-images-idx3-ubyte",
        (60000, 28, 28),
        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    ),
    Part(
        "train/labels",
        "train-labels-idx1-ubyte",
        (60000,),
        "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    ),
    Part(
        "test/images",
        "t10k-images-idx3-ubyte",
        (10000, 28, 28),
        "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    ),
    Part(
        "test/labels",
        "t10k-labels-idx1-ubyte",
        (10000,),
        "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    ),
]


def fetch_mnist(out: str | Path) -> Path:
    """Fetch the four files of MNIST from the first mirror that has them intact, and write `out`.

    Raises
    ------
    StorageError
        No mirror delivered; the message lists what each one said.
    """
    return _write(out, _fetch)


def mnist_from_folder(folder: str | Path, out: str | Path) -> Path:
    """Write `out` from the IDX files of MNIST in a folder, compressed (.gz) or plain.

    Raises
    ------
    StorageError, DataError
        A file is missing or is not what MNIST holds.
    """
    folder = checked_path(folder)
    return _write(out, lambda part: _local(folder, part))


def is_mnist(path: str | Path) -> bool:
    """Whether the file holds all of MNIST, bit by bit."""
    import h5py

    try:
        with h5py.File(path, "r") as file:
            return all(_holds(file[part.key], part) for part in PARTS)
    except (AttributeError, KeyError, OSError, RuntimeError, TypeError, ValueError):
        return False


def _holds(group: Any, part: Part) -> bool:
    """Whether pandas has put the numbers of a part there; nothing of it is unpickled."""
    dataset = group["block0_values" if "block0_values" in group else "values"]
    if dataset.dtype != np.uint8 or dataset.size != np.prod(part.shape):
        return False
    # row-major, as in the IDX file
    values = _header(part) + dataset[()].tobytes("C")
    return hashlib.sha256(values).hexdigest() == part.sha256


def _write(out: str | Path, read: Callable[[Part], np.ndarray]) -> Path:
    """Read all parts, then write them to a file that appears when it is complete."""
    import pandas as pd

    with written_whole(out) as partial:
        arrays = {part.key: read(part) for part in PARTS}
        # zlib is in every HDF5 library; level 9 takes ten times as long for 2% less
        with pd.HDFStore(str(partial), "w", complevel=6, complib="zlib") as store:
            for key, array in arrays.items():
                flat = array.reshape(len(array), -1)
                table = pd.DataFrame(flat) if array.ndim == 3 else pd.Series(array, name="label")
                store.put(key, table, format="fixed", track_times=False)
        if not is_mnist(partial):  # PyTables does not tell when the disk is full
            raise StorageError(f"cannot write {out}: it does not read back; is the disk full?")
    return Path(out)


def _header(part: Part) -> bytes:
    """The head of an IDX file of unsigned bytes: type 8, number of axes, their lengths."""
    axes = len(part.shape)
    return struct.pack(f">HBB{axes}I", 0, 8, axes, *part.shape)


def _array(part: Part, contents: bytes, source: str) -> np.ndarray:
    """The numbers in the contents of an IDX file, which must be the known ones."""
    header = _header(part)
    if not contents.startswith(header):
        raise DataError(
            f"{source} begins with {contents[: len(header)].hex()}, "
            f"expected the IDX header {header.hex()}"
        )
    digest = hashlib.sha256(contents).hexdigest()
    if digest != part.sha256:
        raise DataError(f"{source} has the SHA-256 {digest}, expected {part.sha256}")
    return np.frombuffer(contents, np.uint8, offset=len(header)).reshape(part.shape)


def _unzipped(part: Part, body: bytes, source: str) -> bytes:
    """Decompress, but no further than a byte past the size that is expected."""
    try:
        return gzip.GzipFile(fileobj=io.BytesIO(body)).read(_size(part) + 1)
    except (EOFError, OSError, zlib.error) as error:
        raise DataError(f"{source} is not an intact gzip file: {error}") from error


def _size(part: Part) -> int:
    """Bytes of its IDX file."""
    return len(_header(part)) + int(np.prod(part.shape))


def _start_of(path: Path, most: int) -> bytes:
    with open(path, "rb") as file:
        return file.read(most)


def _local(folder: Path, part: Part) -> np.ndarray:
    plain, zipped = folder / part.file, folder / f"{part.file}.gz"
    try:
        if plain.is_file():
            return _array(part, _start_of(plain, _size(part) + 1), str(plain))
        if zipped.is_file():
            body = _start_of(zipped, LARGEST_DOWNLOAD)
            return _array(part, _unzipped(part, body, str(zipped)), str(zipped))
    except OSError as error:
        raise StorageError(f"{folder} cannot be read: {error}") from error
    raise StorageError(f"{folder} holds neither {part.file} nor {part.file}.gz")


def _fetch(part: Part) -> np.ndarray:
    """Try the mirrors in turn until one has the part as it should be."""
    said = []
    for mirror in MIRRORS:
        url = f"{mirror}{part.file}.gz"
        try:
            return _array(part, _unzipped(part, _body(url), url), url)
        except (OSError, ValueError, http.client.HTTPException) as error:
            said.append(f"  {url}: {error}")
    raise StorageError(
        "no mirror delivered MNIST:\n" + "\n".join(said) + "\n"
        "With the four files from elsewhere: paysage fetch mnist --from FOLDER"
    )


def _body(url: str) -> bytes:
    """What the address delivers, with a progress bar where standard error is a terminal."""
    name = url.rsplit("/", 1)[-1]
    body = bytearray()
    with urllib.request.urlopen(url, timeout=TIMEOUT_SECONDS) as response:
        announced = int(response.headers.get("Content-Length") or 0)
        with progress_bar(total=announced or None, desc=name, unit="B", unit_scale=True) as bar:
            while chunk := response.read(2**16):
                body += chunk
                bar.update(len(chunk))
                if len(body) > LARGEST_DOWNLOAD:
                    raise DataError(f"more than {LARGEST_DOWNLOAD} bytes, which MNIST is not")
    if announced and len(body) != announced:
        raise DataError(f"got {len(body)} bytes of {announced}")
    return bytes(body)
