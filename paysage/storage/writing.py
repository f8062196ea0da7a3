"""Writing named arrays to a file in one step, or into an open store."""

import contextlib
from typing import Any

import numpy as np

from paysage.errors import StorageError
from paysage.files import written_whole
from paysage.storage.opening import file_of_store, open_source


def write_to_path(path: Any, parts: list[str], leaves: dict[str, np.ndarray]) -> None:
    """Write beside the target, then take its place: a reader sees the old file or the new one.

    HDF5 builds the file in memory: when the disk is full, its own writing can end the process.
    """
    try:
        with written_whole(path) as partial:
            partial.write_bytes(_image(parts, leaves))
    except StorageError:
        raise
    except (OSError, RuntimeError) as error:
        raise StorageError(f"cannot write {path}: {error}") from error


def _image(parts: list[str], leaves: dict[str, np.ndarray]) -> bytes:
    """The content of an HDF5 file."""
    import h5py

    with h5py.File("image", "w", driver="core", backing_store=False) as file:
        group = file.create_group("/".join(parts))
        for name, array in leaves.items():
            group.create_dataset(name, data=array)
        file.flush()
        return file.id.get_file_image()


def write_to_store(store: Any, parts: list[str], leaves: dict[str, np.ndarray]) -> None:
    """Write a group beside the target, then let it take the name."""
    file = file_of_store(store)
    if file.mode == "r":
        raise StorageError(f"the HDFStore of {store.filename} is open for reading only")
    parent, name = "/" + "/".join(parts[:-1]), parts[-1]
    unfinished = f"{name}_unfinished"
    try:
        _remove_node(file, parent, unfinished)
        group = file.create_group(parent, unfinished, createparents=True)
        for leaf, array in leaves.items():
            file.create_array(group, leaf, array)
        _check_written(store, [*parts[:-1], unfinished], leaves)
        _remove_node(file, parent, name)
        file.rename_node(group, name)
        _check_written(store, parts, leaves)
    except Exception as error:  # PyTables, h5py's sibling, raises whatever HDF5 left it with
        with contextlib.suppress(Exception):
            _remove_node(file, parent, unfinished)
        raise StorageError(f"cannot write to the HDFStore of {store.filename}: {error}") from error


def _check_written(store: Any, parts: list[str], leaves: dict[str, np.ndarray]) -> None:
    """Read back what was written: PyTables does not tell when the disk is full."""
    store.flush()
    with open_source(store) as (file, _, _):
        for leaf, array in leaves.items():
            if file["/".join(parts)][leaf][()].tobytes() != array.tobytes():
                raise StorageError(f"'{leaf}' does not read back as it was written")


def _remove_node(file: Any, parent: str, name: str) -> None:
    path = f"{parent.rstrip('/')}/{name}"
    if path in file:
        file.remove_node(path, recursive=True)
