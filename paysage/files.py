"""Files that appear whole or not at all."""

import contextlib
import glob
import hashlib
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from paysage.errors import StorageError

try:
    import fcntl
except ImportError:  # on Windows, where nothing is locked
    fcntl = None  # type: ignore[assignment]


def check_writable(path: Any) -> None:
    """Raise a StorageError now if a file could not be written at `path` later."""
    target = _resolved(path)
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


def checked_path(path: Any) -> Path:
    """The path; a StorageError for anything else."""
    if not isinstance(path, str | os.PathLike):
        raise StorageError(f"got {path!r}, expected the path of a file")
    return Path(path)


def _resolved(path: Any) -> Path:
    """The file that a path leads to, links followed."""
    if not isinstance(path, str | os.PathLike):
        raise StorageError(f"cannot write to {path!r}: expected the path of a file")
    try:
        target = Path(os.path.realpath(path))
        target.is_file()  # refuses names that the file system cannot hold
    except (OSError, TypeError, ValueError) as error:
        raise StorageError(f"cannot write {path!r}: {error}") from error
    return target


@contextmanager
def written_whole(path: str | Path) -> Iterator[Path]:
    """Yield a temporary name beside `path`, and rename it to `path` when the block succeeds.

    A reader sees the old file or the new one. When the block fails or is interrupted, the
    temporary file is removed and what stood at `path` stays as it was.

    Raises
    ------
    StorageError
        `path` cannot be written: before the block where that can be told, or when renaming.
    """
    check_writable(path)
    target = _resolved(path)
    partial = target.with_name(f"{_start_of_partial(target)}{secrets.token_hex(6)}.part")
    _create(partial)
    try:
        yield partial
        _rename(partial, target)
    finally:
        partial.unlink(missing_ok=True)


def remove_unfinished(path: str | Path) -> None:
    """Remove what a killed process left of writing `path`; nobody may be writing it now."""
    target = _resolved(path)
    token = "[0-9a-f]" * 12  # and not the names of partial files of run.h5.bak, say
    for partial in target.parent.glob(f"{glob.escape(_start_of_partial(target))}{token}.part"):
        partial.unlink(missing_ok=True)


@contextmanager
def written_by_one(path: str | Path) -> Iterator[None]:
    """Be the only one who writes `path`, time and again, until the block ends.

    What is locked is a file beside it, `path`.lock, which is removed at the end; the system lets go
    of the lock of a process that is killed. Where it has no such locks, as on Windows and on some
    network drives, nothing is locked.

    Raises
    ------
    StorageError
        Somebody else is in such a block, or nothing can be written there.
    """
    check_writable(path)
    target = _resolved(path)
    lock = target.with_name(f"{_short(target.name, 60)}.lock")
    handle = None if fcntl is None else _locked(lock, path)
    try:
        yield
    finally:
        if handle is not None:
            with contextlib.suppress(OSError):  # it may stay: nobody holds it any more
                lock.unlink()
            os.close(handle)


def _short(name: str, letters: int) -> str:
    """A name, or a digest of a longer one, so that there is room for more: 255 bytes in all."""
    if len(name) <= letters:
        return name
    return hashlib.sha256(name.encode(errors="surrogateescape")).hexdigest()[:letters]


def _locked(lock: Path, path: str | Path) -> int | None:
    """An open file that is locked; None where the file system has no locks."""
    while True:
        try:
            handle = os.open(lock, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as error:
            raise StorageError(f"cannot write {lock}: {error.strerror}") from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(handle)
            raise StorageError(
                f"{path} is being written by another training that runs: wait for its end, or "
                "give each a file of its own"
            ) from error
        except OSError:
            os.close(handle)
            return None
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(handle), os.stat(lock)):
                return handle
        os.close(handle)  # the one before removed it in between


def _start_of_partial(target: Path) -> str:
    return f".{_short(target.name, 40)}."


def _create(partial: Path) -> None:
    """Whether the folder takes files is known for certain only when it has taken one."""
    try:
        partial.touch(exist_ok=False)
    except OSError as error:
        raise StorageError(f"cannot write to {partial.parent}: {error.strerror}") from error


def _rename(partial: Path, target: Path) -> None:
    try:
        _sync(partial)
        if target.exists():
            shutil.copymode(target, partial)
        os.replace(partial, target)
        _sync(target.parent)
    except OSError as error:
        raise StorageError(f"cannot write {target}: {error}") from error


def _sync(path: Path) -> None:
    """Have a file or a folder on the disk; Windows cannot and need not sync folders."""
    if path.is_dir() and os.name == "nt":
        return
    handle = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
