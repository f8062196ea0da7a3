"""How many threads a matrix product gets.

A product of a training step takes a fraction of a millisecond. The threads of a BLAS library spin
while they wait for one another, so if any other program wants a core, each product waits for the
scheduler instead: 28 ms instead of 0.5 ms was seen on two cores, an epoch of a minute instead of a
second. One thread costs less than a factor of two where the machine is idle, and its results do not
depend on the number of cores. Large products keep all threads.
"""

from __future__ import annotations

import contextvars
import functools
import os
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import Any

#: products of fewer multiplications than this, about 10 ms of one core, run on one thread
FEW_MULTIPLICATIONS = 5e8

#: operations that take one core about a millisecond, much longer than handing half of them over
WORTH_HALVING = 5e7

#: whoever sets one of these has chosen the number of threads already
VARIABLES = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS")

_limited = False
_busy = threading.Lock()  # held while two functions run at once


@functools.cache
def _controller() -> Any:
    """The BLAS libraries that are loaded; finding them takes a millisecond, setting them none."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


@contextmanager
def threads_for(multiplications: float) -> Iterator[None]:
    """While open, products run on one thread if even the largest of them is small.

    Within another one that limits the threads it does nothing.

    Parameters
    ----------
    multiplications : float
        Of the largest product: rows times units times units.
    """
    chosen = _limited or any(name in os.environ for name in VARIABLES)
    if chosen or multiplications >= FEW_MULTIPLICATIONS:
        yield
        return
    with _one_thread():
        yield


def both(first: Callable[[], Any], second: Callable[[], Any]) -> tuple[Any, Any]:
    """Call two functions that share nothing, at once where there is a core for each.

    Inside `threads_for` each product has one thread, so that two of them can run side by side;
    waiting threads sleep. The results are those of calling one after the other, which is what
    happens within either of two functions that run at once already.

    Returns
    -------
    tuple
        What the first and what the second returned.
    """
    if not _limited or (os.cpu_count() or 1) < 2 or not _busy.acquire(blocking=False):
        return first(), second()
    try:
        # the copy takes NumPy's error state along
        running = _worker().submit(contextvars.copy_context().run, first)
        try:
            result = second()
        finally:
            wait([running])
        return running.result(), result
    finally:
        _busy.release()


def by_halves(work: Callable[[slice], Any], rows: int, operations: float) -> None:
    """Do work on many rows, that draws nothing, in two halves at once where that is worth it.

    Parameters
    ----------
    work : function of a slice of rows
        Writes the result for these rows.
    rows : int
        How many there are.
    operations : float
        Multiplications, or what takes as long as so many, for all rows.
    """
    if operations < WORTH_HALVING or rows < 2:
        work(slice(0, rows))
    else:
        middle = rows // 2
        both(lambda: work(slice(0, middle)), lambda: work(slice(middle, rows)))


@functools.cache
def _worker() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(1, thread_name_prefix="paysage")


def _forget_worker() -> None:
    global _busy
    _worker.cache_clear()
    _busy = threading.Lock()


# a forked process inherits the executor but not its thread
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_worker)


@contextmanager
def _one_thread() -> Iterator[None]:
    global _limited
    torch = sys.modules.get("torch")  # a backend that is not in use is not loaded for this
    before = torch.get_num_threads() if torch else 1
    with _controller().limit(limits=1, user_api="blas"):
        _limited = True
        try:
            if torch:
                torch.set_num_threads(1)
            yield
        finally:
            _limited = False
            if torch:
                torch.set_num_threads(before)
