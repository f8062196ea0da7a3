"""Who gets the cores: one thread a matrix product, and products side by side.

A product of a training step takes a fraction of a millisecond. The threads of a BLAS library spin
while they wait for one another, so if any other program wants a core, each product waits for the
scheduler instead: 28 ms instead of 0.5 ms was seen on two cores, an epoch of a minute instead of a
second; and it rounds otherwise on another number of threads. So each product runs on one, and what
takes long is cut into pieces that sleeping threads share: the number of cores changes no result.
"""

from __future__ import annotations

import contextvars
import functools
import itertools
import math
import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from queue import SimpleQueue
from typing import Any

#: multiplications that are worth waking another thread, about 200 microseconds of one core: the
#: waking takes some 50, and two threads of Python wait for each other
WORTH_CUTTING = 1e7

#: multiplications that are worth more than two pieces, about a millisecond of one core
WORTH_QUARTERS = 5e7

#: multiplications that are worth more than four pieces, about ten milliseconds of one core
WORTH_MANY = 5e8

#: rows or columns of a piece: products of fewer are slow
MIN_PIECE = 48

#: rows or columns of one of more than four pieces: a product pays for its other factor once more
LONG_PIECE = 120

#: pieces, and threads that share them
MAX_THREADS = 16

#: whoever sets one of these has chosen the number of threads already
VARIABLES = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS")

#: threads that may share tasks now; zero where products may have several threads
_sharing = 0
_setting = threading.RLock()  # of two threads that come at once one sets the limit
_inside = 0  # blocks of `one_thread_each` that are open, in any thread
_undo = ExitStack()  # puts back what was before the first of them
_here = threading.local()  # .working: in this thread a task runs that may have others beside it


@functools.cache
def _controller() -> Any:
    """The BLAS libraries that are loaded; finding them takes a millisecond, setting them none."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


@contextmanager
def one_thread_each() -> Iterator[None]:
    """Run each product on one thread while open, so that `side_by_side` can share the cores.

    The limit holds for all threads until the last of them has left. It is not set where a variable
    of the environment sets the number of threads.
    """
    if any(name in os.environ for name in VARIABLES):
        yield
        return
    global _inside
    with _setting:
        if not _inside:
            _limit(_undo)
        _inside += 1
    try:
        yield
    finally:
        with _setting:
            _inside -= 1
            if not _inside:
                _take_control()
                _undo.close()


def side_by_side(*tasks: Callable[[], Any], operations: float = math.inf) -> list[Any]:
    """Call functions that share nothing they write to, at once where there are cores for them.

    Inside `one_thread_each` a product has one thread, so that several can run side by side; waiting
    threads sleep. The results are those of calling one after the other, which is what happens
    within a task that runs beside others already. If several fail, the error of the first one is
    raised, after all have ended.

    Parameters
    ----------
    *tasks : functions without arguments
    operations : float
        Multiplications of all together, see `pieces`; few are not worth waking a thread.

    Returns
    -------
    list
        What each of them returned.
    """
    if len(tasks) < 2 or operations < WORTH_CUTTING or working():
        return [task() for task in tasks]
    return _Round(tasks).results(max(0, min(len(tasks), _sharing) - 1))


def working() -> bool:
    """Whether this code is part of a task that may have others beside it."""
    return getattr(_here, "working", False)


@contextmanager
def undivided() -> Iterator[None]:
    """While open, this thread does all that it is given itself, one after the other.

    For work that is queued on a GPU: the queue that a graph is captured from belongs to a thread.
    """
    before = working()
    _here.working = True
    try:
        yield
    finally:
        _here.working = before


class _Round:
    """Tasks that several threads take from until there are none left."""

    def __init__(self, tasks: Sequence[Callable[[], Any]]) -> None:
        self._tasks = tasks
        self._next: Iterator[int] = itertools.count()  # CPython gives each number out once
        self._none_left = itertools.repeat(len(tasks))
        self._ends: list[tuple[Any, BaseException | None]] = [(None, None)] * len(tasks)

    def results(self, helpers: int) -> list[Any]:
        busy = [threading.Lock() for _ in range(helpers)]
        try:
            for lock in busy:
                # the copy takes NumPy's error state along; a context serves one thread at a time
                _jobs().put(partial(contextvars.copy_context().run, self._help, lock))
            self._work()
            _wait_for(busy)
        except BaseException:  # an interrupt, which may come at any place, in this thread only
            self._next = self._none_left
            # the others still write into memory that is about to be used again
            _wait_for(busy)
            raise
        for _, error in self._ends:
            if error is not None:
                raise error
        return [result for result, _ in self._ends]

    def _help(self, busy: threading.Lock) -> None:
        with busy:
            self._work()

    def _work(self) -> None:
        try:
            _here.working = True
            while (i := next(self._next)) < len(self._tasks):
                try:
                    self._ends[i] = self._tasks[i](), None
                except BaseException as error:  # raised again by the thread that waits
                    self._ends[i] = None, error
        finally:
            _here.working = False


def _wait_for(busy: Sequence[threading.Lock]) -> None:
    """Until the helpers have ended; one that has not begun yet will find nothing to do."""
    for lock in busy:
        with lock:
            pass


@functools.cache
def _jobs() -> SimpleQueue[Callable[[], Any]]:
    """What the sleeping threads wait for; they are made with the first job."""
    jobs: SimpleQueue[Callable[[], Any]] = SimpleQueue()
    for i in range(min(os.cpu_count() or 1, MAX_THREADS) - 1):
        threading.Thread(target=_serve, args=(jobs,), name=f"paysage_{i}", daemon=True).start()
    return jobs


def _serve(jobs: SimpleQueue[Callable[[], Any]]) -> None:
    while True:
        jobs.get()()


def _after_fork() -> None:
    """A forked process inherits the queue, and the lock as it is, but not the threads."""
    global _setting
    _setting = threading.RLock()
    _jobs.cache_clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def pieces(size: int, operations: float) -> list[slice]:
    """Cut a range into as many pieces as are worth being worked on side by side.

    The cut depends on the sizes only, so that results do not depend on the number of cores.

    Parameters
    ----------
    size : int
        Length of the range.
    operations : float
        Multiplications, or what takes as long as so many, for the whole range.
    """
    if operations < WORTH_CUTTING:
        number = 1
    elif operations < WORTH_QUARTERS:
        number = 2
    else:
        number = 4 if operations < WORTH_MANY else max(4, min(size // LONG_PIECE, MAX_THREADS))
    return _cut(size, max(1, min(number, size // MIN_PIECE)))


@functools.lru_cache
def _cut(size: int, number: int) -> list[slice]:
    bounds = [size * k // number for k in range(number + 1)]
    return [slice(low, high) for low, high in itertools.pairwise(bounds)]


def in_pieces(work: Callable[[slice], Any], size: int, operations: float) -> None:
    """Call a function, which draws nothing, for all `pieces` of a range side by side.

    Within a task that runs beside others already there is one piece.
    """
    if operations < WORTH_CUTTING or working():
        work(slice(0, size))
    else:
        side_by_side(*(partial(work, part) for part in pieces(size, operations)))


def _limit(undo: ExitStack) -> None:
    # undone last: whoever sees a zero finds the application's own numbers
    undo.callback(_share, 0)
    _share(min(os.cpu_count() or 1, MAX_THREADS))  # which takes 10 microseconds to know
    _take_control()
    undo.enter_context(_controller().limit(limits=1, user_api="blas"))
    torch = sys.modules.get("torch")  # a backend that is not in use is not loaded for this
    if torch:
        undo.callback(torch.set_num_threads, torch.get_num_threads())
        torch.set_num_threads(1)


def _take_control() -> None:
    """Let this thread set the number of threads of OpenBLAS.

    Recent versions of threadpoolctl silently ignore all threads but the one that set it first.
    """
    for library in _controller().lib_controllers:
        clear = getattr(library, "clear_controlling_thread", None)
        if clear is not None:
            clear(force=True)


def _share(number: int) -> None:
    global _sharing
    _sharing = number
