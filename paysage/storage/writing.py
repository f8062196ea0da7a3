"""Writing named arrays to a file in one step, or into an open store."""

from pathlib import Path
from typing import Any

import numpy as np

from paysage.errors import StorageError
from paysage.files import written_whole
from paysage.storage.opening import file_of_store


def write_to_path(path: Path, parts: list[str], leaves: dict[str, np.ndarray]) -> None:
    """Write beside the target, then take its place: a reader sees the old file or the new one."""
    import h5py

    try:
        with written_whole(path) as partial, h5py.File(partial, "w") as file:
            group = file.create_group("/".join(parts))
            for name, array in leaves.items():
                group.create_dataset(name, data=array)
    except StorageError:
        raise
    except (OSError, RuntimeError) as error:
        raise StorageError(f"cannot write {path}: {error}") from error


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
        _remove_node(file, parent, name)
        file.rename_node(group, name)
        store.flush()
    except Exception as error:  # PyTables, h5py's sibling, raises whatever HDF5 left it with
        raise StorageError(f"cannot write to the HDFStore of {store.filename}: {error}") from error


def _remove_node(file: Any, parent: str, name: str) -> None:
    path = f"{parent.rstrip('/')}/{name}"
    if path in file:
        file.remove_node(path, recursive=True)
