"""Compiled loops, kept on the disk from one process to the next.

numba numbers the files of machine code of a function and names them in an index, which it writes
first. Where a process is killed in between after the source has changed, the new index names the
code of the old source, for good; two processes that compile for different types at once give both
the same number. And numba looks at the file of a function, not at those of functions it calls.

Here the code for each list of types has a file of its own, which says what it was made of, appears
when it is whole and is believed only then. It lies where numba would put it: in the folder that
NUMBA_CACHE_DIR names, beside the sources, or in the user's folder of caches.
"""

import contextlib
import functools
import glob
import hashlib
import os
import pickle
import secrets
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import llvmlite
import numba
import numpy as np
from numba.core.caching import FunctionCache
from numba.core.serialize import dumps

from paysage import __version__


def compiled(**options: Any) -> Callable[[Callable], Any]:
    """The decorator ``numba.njit`` with these options, whose results are kept where they can be."""

    def decorate(function: Callable) -> Any:
        found = numba.njit(**options)(function)
        if hasattr(found, "enable_caching"):  # not so under NUMBA_DISABLE_JIT
            with contextlib.suppress(RuntimeError):  # no folder can be written: nothing is kept
                found._cache = Cache(function)
        return found

    return decorate


class Cache(FunctionCache):
    """What numba asks for compiled code."""

    def __init__(self, function: Callable) -> None:
        super().__init__(function)
        self._cache_file = Files(Path(self.cache_path), self._impl.filename_base)

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep the code; a disk that is full costs time only."""
        with contextlib.suppress(OSError):
            super().save_overload(sig, data)


class Files:
    """The files of a function: 32 bytes for what they were made of, 32 of checksum, and a pickle.

    Parameters
    ----------
    folder : Path
    name : str
        That their names begin with.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self.folder, self.name = folder, name

    def save(self, key: Any, data: Any) -> None:
        """Replace the file of a key in one step."""
        body = dumps((key, data))
        partial = self.folder / f"{self.name}.{secrets.token_hex(8)}.part"
        try:
            partial.write_bytes(_head(body) + body)
            os.replace(partial, self._path(key))
        finally:
            partial.unlink(missing_ok=True)

    def load(self, key: Any) -> Any:
        """What was kept for a key; None where there is nothing, or nothing that is right now."""
        try:
            content = self._path(key).read_bytes()
        except OSError:
            return None
        body = content[64:]
        if content[:64] != _head(body):
            return None
        found, data = pickle.loads(body)
        return data if found == key else None

    def flush(self) -> None:
        """Forget everything."""
        for path in self.folder.glob(f"{glob.escape(self.name)}.*"):
            path.unlink(missing_ok=True)

    def _path(self, key: Any) -> Path:
        # other releases of numba have files of their own
        name = hashlib.sha256(repr((key, numba.__version__)).encode()).hexdigest()
        return self.folder / f"{self.name}.{name[:32]}.code"


def _head(body: bytes) -> bytes:
    return _made_of() + hashlib.sha256(body).digest()


@functools.cache
def _made_of() -> bytes:
    """A digest of all sources of this folder, and of the versions of what compiles them."""
    used = (__version__, sys.version, numba.__version__, llvmlite.__version__, np.__version__)
    digest = hashlib.sha256(repr(used).encode())
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.digest()
