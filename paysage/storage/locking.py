"""One user of HDF5 at a time.

h5py guards every call by a lock of its own; PyTables has none, and may share the HDF5 library with
h5py. So whoever reads in the background, and whoever writes meanwhile, holds this lock.
"""

import os
import threading
from typing import Any

_lock = threading.RLock()


def hdf5_lock() -> Any:
    """The lock of this process; a context manager, which the same thread may enter again."""
    return _lock


def _renew() -> None:
    """A forked process inherits the lock, held perhaps, but not the thread that releases it."""
    global _lock
    _lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)
