"""Opening what may or may not be a file of ours."""

import contextlib
import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from paysage.errors import StorageError

_SIGNATURE = b"\x89HDF\r\n\x1a\n"


def is_store(target: Any) -> bool:
    """Whether this is a pandas.HDFStore, open or not, without importing pandas to ask."""
    return hasattr(target, "is_open") and hasattr(target, "get_storer")


def file_of_store(store: Any) -> Any:
    """The PyTables file of an open store."""
    if not store.is_open:
        raise StorageError(f"the HDFStore of {store.filename} is closed; expected an open one")
    return store.root._v_file


@contextlib.contextmanager
def open_source(source: Any) -> Iterator[tuple[Any, int, str]]:
    """The open h5py file, its size in bytes, and the name to give it in errors.

    A store's file is read past PyTables, by h5py: there is one reader, and it unpickles nothing.
    """
    if is_store(source):
        opened = _open_store(source)
    elif not isinstance(source, str | os.PathLike):
        raise StorageError(f"got {source!r}, expected the path of a file or an open HDFStore")
    else:
        path = Path(source)
        _check_signature(path)
        file = _open_file(path, str(path))
        # of the file that is open: another one may have taken its place by now
        opened = file, file.id.get_filesize(), str(path)
    with opened[0]:
        yield opened


def _open_store(store: Any) -> tuple[Any, int, str]:
    import h5py

    handle = file_of_store(store)
    name = f"the HDFStore of {store.filename}"
    if handle.mode != "r":
        store.flush()
    path = Path(store.filename)
    if path.is_file():
        with contextlib.suppress(StorageError):
            # The lock that is skipped is this process's own.
            file = _open_file(path, name, locking=False)
            return file, file.id.get_filesize(), name
    image = handle.get_file_image()
    return h5py.File(io.BytesIO(image), "r"), len(image), name


def _open_file(path: Path, name: str, **options: Any) -> Any:
    import h5py

    try:
        return h5py.File(path, "r", **options)
    except BlockingIOError as error:
        raise StorageError(f"{name} is open for writing elsewhere; close it first") from error
    except Exception as error:  # h5py raises whatever a damaged file leads HDF5 to
        if "truncated" in str(error):
            raise StorageError(f"{name} is cut short: part of the file is missing") from error
        raise StorageError(f"{name} is damaged or unreadable: {error}") from error


def _check_signature(path: Path) -> None:
    try:
        if not path.exists():
            raise StorageError(f"there is no file {path}")
        if not path.is_file():
            raise StorageError(f"{path} is not a plain file; expected an HDF5 file")
        with open(path, "rb") as file:
            start = file.read(len(_SIGNATURE))
    except StorageError:
        raise
    except OSError as error:
        raise StorageError(f"cannot read {path}: {error}") from error
    if start != _SIGNATURE:
        if _SIGNATURE.startswith(start):
            raise StorageError(f"{path} is cut short: it holds {len(start)} bytes")
        raise StorageError(f"{path} is not an HDF5 file")
