"""Writing named arrays to a file in one step, or into an open store."""

import os
import shutil
import uuid
from pathlib import Path
from typing import Any

import numpy as np

from paysage.errors import StorageError
from paysage.storage.opening import file_of_store


def check_writable(path: Any) -> None:
    """Raise a StorageError now if a file could not be written at `path` later."""
    target = Path(os.path.realpath(path))
    folder = target.parent
    if not folder.is_dir():
        raise StorageError(f"cannot write {path}: there is no folder {folder}")
    if target.is_dir():
        raise StorageError(f"cannot write {path}: it is a folder; expected the name of a file")
    if target.exists() and not target.is_file():
        raise StorageError(f"cannot write {path}: it is a device or a pipe; expected a plain file")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise StorageError(f"cannot write {path}: the folder {folder} is not writable")
    if target.exists() and not os.access(target, os.W_OK):
        raise StorageError(f"cannot write {path}: the file is there and is read-only")


def write_to_path(path: Path, parts: list[str], leaves: dict[str, np.ndarray]) -> None:
    """Write beside the target, then take its place: a reader sees the old file or the new one."""
    check_writable(path)
    target = Path(os.path.realpath(path))
    unfinished = target.with_name(f".{target.name[:100]}.{uuid.uuid4().hex[:12]}.unfinished")
    try:
        _write_file(unfinished, parts, leaves)
        if target.exists():
            shutil.copymode(target, unfinished)
        os.replace(unfinished, target)
        _sync(target.parent)
    except (OSError, RuntimeError) as error:
        raise StorageError(f"cannot write {path}: {error}") from error
    finally:
        unfinished.unlink(missing_ok=True)


def _write_file(path: Path, parts: list[str], leaves: dict[str, np.ndarray]) -> None:
    import h5py

    with h5py.File(path, "x") as file:
        group = file.create_group("/".join(parts))
        for name, array in leaves.items():
            group.create_dataset(name, data=array)
    _sync(path)


def _sync(path: Path) -> None:
    """Have a file or a folder on the disk; Windows cannot and need not sync folders."""
    if path.is_dir() and os.name == "nt":
        return
    handle = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


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
