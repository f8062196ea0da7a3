"""Reading ahead: an iterator whose items are made in a background thread."""

from __future__ import annotations

import atexit
import os
import queue
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

from paysage.errors import StorageError

THREAD_NAME = "paysage-reader"


_END = object()


class _Line:
    """What the two threads share; it knows neither the iterator nor its user, so that both can go.

    The reader asks for `room` before it makes an item, so that there is never more than the depth.
    """

    def __init__(self, depth: int) -> None:
        self.items: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.room = threading.Semaphore(depth)
        self.stopped = threading.Event()

    def stop(self) -> None:
        """Tell the reader to end, who may wait for room, and its user, who may wait for items."""
        self.stopped.set()
        self.room.release()
        self.items.put(_END)


_running: dict[threading.Thread, _Line] = {}


def _work(make: Callable[[], Any], line: _Line) -> None:
    """Put items, then the end or the error that came instead of it."""
    try:
        with closing(make()) as source:
            while True:
                line.room.acquire()
                if line.stopped.is_set():
                    return
                item = next(source, _END)
                line.items.put(item)
                if item is _END:
                    return
    except BaseException as error:  # it is raised again where the items are taken
        line.items.put(error)
    finally:
        _running.pop(threading.current_thread(), None)


class ReadAhead:
    """Iterates over what a generator gives, while a thread makes up to `depth` items more.

    The thread ends with the items, when the iterator is closed or no longer referenced, and before
    the interpreter does. An error in the thread is raised by `next`, after the items before it.

    Parameters
    ----------
    make : callable
        Gives the generator; it is called, and the generator run and closed, in the thread. It must
        not refer to this iterator.
    depth : int
        Items to have ready or in the making.
    """

    def __init__(self, make: Callable[[], Any], depth: int) -> None:
        self._line = _Line(depth)
        self._thread = threading.Thread(
            target=_work, args=(make, self._line), name=THREAD_NAME, daemon=True
        )
        self._process = os.getpid()
        self._done = False
        # It does not wait for the thread: garbage is collected anywhere, in the middle of a call
        # of HDF5 too, whose lock the thread may be waiting for.
        weakref.finalize(self, self._line.stop).atexit = False
        _running[self._thread] = self._line
        self._thread.start()

    def __iter__(self) -> Iterator[Any]:
        """The iterator itself."""
        return self

    def __next__(self) -> Any:
        """The next item, when it is ready."""
        if self._done:
            raise StopIteration
        if self._process != os.getpid():
            raise StorageError("this pass over a file began in another process: begin a new one")
        item = self._line.items.get()
        self._line.room.release()
        self._done = item is _END or isinstance(item, BaseException)
        if item is _END:
            raise StopIteration
        if self._done:
            raise item
        return item

    @property
    def running(self) -> bool:
        """Whether the thread has not ended yet."""
        return self._thread.is_alive()

    def stop(self) -> None:
        """Tell the thread to end, without waiting for it."""
        self._done = True
        self._line.stop()

    def close(self) -> None:
        """Have the thread ended and its generator closed."""
        self.stop()
        if self._process == os.getpid():
            self._thread.join()


@atexit.register
def _end_all() -> None:
    """No thread may be in the middle of a read when the interpreter takes HDF5 down."""
    for thread, line in list(_running.items()):
        line.stop()
        thread.join()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_running.clear)
