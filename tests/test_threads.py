"""A product runs on one thread, and an application's own choice stands."""

import itertools
import os
import sys
import threading
import time
from contextlib import contextmanager, nullcontext
from functools import partial

import numpy as np
import pytest

from paysage import threads
from paysage.backends.generator import Generator, active_generator
from paysage.threads import (
    MAX_THREADS,
    MIN_PIECE,
    VARIABLES,
    WORTH_CUTTING,
    WORTH_MANY,
    WORTH_QUARTERS,
    _jobs,
    in_pieces,
    one_thread_each,
    pieces,
    side_by_side,
    undivided,
    working,
)

pytestmark = pytest.mark.backend_free


def blas_threads():
    """Numbers of threads of the BLAS libraries that are loaded."""
    from threadpoolctl import threadpool_info

    return [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]


@pytest.fixture
def two_threads(monkeypatch):
    from threadpoolctl import threadpool_limits

    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    with threadpool_limits(2, user_api="blas"):
        if set(blas_threads()) != {2}:
            pytest.skip("this BLAS does not take a number of threads")
        yield


def test_products_get_one_thread_and_the_former_number_comes_back(two_threads):
    with one_thread_each():
        assert set(blas_threads()) == {1}
    assert set(blas_threads()) == {2}


def test_an_inner_limit_leaves_the_outer_one_standing(two_threads):
    with one_thread_each():
        with one_thread_each():
            assert set(blas_threads()) == {1}
        assert set(blas_threads()) == {1}
    assert set(blas_threads()) == {2}


class Controller:
    """Stand-in for the libraries that calls functions when the limit is set and undone."""

    lib_controllers = ()

    def __init__(self, before, after):
        self.before, self.after = before, after

    @contextmanager
    def limit(self, **_):
        self.before()
        yield
        self.after()


def test_of_two_threads_that_come_at_once_one_sets_the_number(two_threads, monkeypatch):
    """Each would take that of the other for the application's, and leave it behind."""
    inside, leave, limits = threading.Event(), threading.Event(), []

    def second():
        with one_thread_each():
            inside.set()
            leave.wait(60)

    def before():
        limits.append(threading.current_thread())
        if len(limits) == 1:
            other.start()
            inside.wait(0.2)  # it waits for this thread, or is in there already

    other = threading.Thread(target=second)
    controller = Controller(before, lambda: None)
    monkeypatch.setattr(threads, "_controller", lambda: controller)
    with one_thread_each():
        leave.set()
        other.join()
    assert limits == [threading.current_thread()]


def test_the_limit_holds_until_the_last_thread_has_left(two_threads):
    entered, leave, found = threading.Event(), threading.Event(), []

    def second():
        with one_thread_each():
            entered.set()
            leave.wait(60)
            found.append(set(blas_threads()))

    other = threading.Thread(target=second)
    with one_thread_each():
        other.start()
        assert entered.wait(60)
    leave.set()
    other.join()
    assert found == [{1}]
    assert set(blas_threads()) == {2}


def test_the_number_is_back_before_anybody_else_may_set_it(two_threads, monkeypatch):
    seen = []
    controller = Controller(lambda: None, lambda: seen.append(threads._sharing))
    monkeypatch.setattr(threads, "_controller", lambda: controller)
    with one_thread_each():
        pass
    assert seen[0] > 0 and threads._sharing == 0


def test_the_number_comes_back_after_an_error(two_threads):
    with pytest.raises(KeyError), one_thread_each():
        raise KeyError
    assert set(blas_threads()) == {2}


@pytest.mark.parametrize("name", VARIABLES)
def test_who_has_set_a_variable_is_left_alone(two_threads, monkeypatch, name):
    monkeypatch.setenv(name, "2")
    with one_thread_each():
        assert set(blas_threads()) == {2}


def test_torch_gets_one_thread_too(two_threads):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with one_thread_each():
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("limited", [True, False])
@pytest.mark.parametrize("cores", [1, 2, 8])
def test_results_come_in_the_order_of_the_tasks(two_threads, monkeypatch, limited, cores):
    monkeypatch.setattr(os, "cpu_count", lambda: cores)
    _jobs.cache_clear()
    tasks = [partial(pow, 2, k) for k in range(9)]
    with one_thread_each() if limited else nullcontext():
        assert side_by_side(*tasks) == [2**k for k in range(9)]
    _jobs.cache_clear()


def test_tasks_run_in_several_threads(two_threads, monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    meeting = threading.Barrier(2, timeout=60)  # whoever is alone there fails
    with one_thread_each():
        side_by_side(meeting.wait, meeting.wait)


@pytest.mark.parametrize("place", [0, 1])
def test_an_error_in_either_of_two_comes_out(two_threads, place):
    def fail():
        raise KeyError(place)

    jobs = [lambda: None, lambda: None]
    jobs[place] = fail
    with one_thread_each(), pytest.raises(KeyError):
        side_by_side(*jobs)
    with one_thread_each():
        assert side_by_side(lambda: 1, lambda: 2) == [1, 2]


def test_an_error_comes_out_after_all_have_ended(two_threads):
    ended = []

    def fail():
        raise KeyError

    def slow():
        time.sleep(0.05)
        ended.append(1)

    with one_thread_each(), pytest.raises(KeyError):
        side_by_side(fail, slow)
    assert ended == [1]


def test_an_interrupt_after_any_call_comes_out_when_all_have_ended(two_threads, monkeypatch):
    """Python looks for signals after calls: raise one after each call of the module in turn."""
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    running, calls = [], itertools.count()

    def task():
        running.append(1)
        time.sleep(0.001)
        running.pop()

    def interrupt(frame, event, _):
        here = event in ("call", "c_return") and frame.f_code.co_filename == threads.__file__
        if here and next(calls) == place:
            raise KeyboardInterrupt

    with one_thread_each():
        side_by_side(task, task)
        place, interrupted = -1, True
        while interrupted:
            place, calls = place + 1, itertools.count()
            sys.setprofile(interrupt)
            try:
                side_by_side(task, task, task)
                interrupted = False
            except KeyboardInterrupt:
                pass
            finally:
                sys.setprofile(None)
            assert not running and not working()
        side_by_side(*[threading.Barrier(2, timeout=60).wait] * 2)  # both threads are still there
    assert place > 10


def test_tasks_have_the_active_generator_of_their_caller(two_threads, monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    meeting = threading.Barrier(2, timeout=60)  # each task runs in its own thread

    def task():
        meeting.wait()
        return active_generator()

    with one_thread_each(), Generator(1) as mine:
        assert side_by_side(task, task) == [mine, mine]


def test_numpys_error_state_goes_along(two_threads):
    def overflow():
        return np.float32(1e38) * np.float32(1e38)

    with one_thread_each(), np.errstate(over="raise"), pytest.raises(FloatingPointError):
        side_by_side(lambda: None, overflow, overflow)


def test_tasks_within_tasks_are_called_one_after_the_other(two_threads):
    def inner():
        return side_by_side(threading.get_ident, threading.get_ident)

    with one_thread_each():
        for first, second in side_by_side(inner, inner):
            assert first == second
        assert side_by_side(lambda: 3, lambda: 4) == [3, 4]


def test_tasks_that_are_not_worth_it_stay_in_this_thread(monkeypatch):
    monkeypatch.setattr(threads, "_sharing", 2)
    barrier = threading.Barrier(2, timeout=20)
    side_by_side(barrier.wait, barrier.wait, operations=WORTH_CUTTING)  # both at once, or it fails
    here = threading.current_thread()
    found = side_by_side(*[threading.current_thread] * 4, operations=WORTH_CUTTING / 2)
    assert found == [here] * 4


@pytest.mark.parametrize("size", [1, 31, 64, 100, 1000])
@pytest.mark.parametrize("work", [0, WORTH_CUTTING, 100 * WORTH_CUTTING])
def test_pieces_cover_a_range_once(size, work):
    parts = pieces(size, work)
    assert np.array_equal(np.concatenate([np.arange(size)[p] for p in parts]), np.arange(size))
    assert len(parts) == 1 or min(p.stop - p.start for p in parts) >= MIN_PIECE
    assert len(parts) == 1 or work


@pytest.mark.parametrize("size, most", [(480, 4), (720, 6), (1000, 8), (10**5, MAX_THREADS)])
def test_what_takes_long_is_cut_into_more_pieces(size, most):
    assert len(pieces(size, WORTH_MANY)) == most
    assert len(pieces(size, WORTH_QUARTERS)) == 4


@pytest.mark.parametrize("operations", [1, WORTH_CUTTING, WORTH_QUARTERS])
def test_work_in_pieces_is_the_whole(two_threads, operations):
    done, parts = np.zeros(200), []

    def work(part):
        parts.append(part)
        done[part] += 1

    with one_thread_each():
        in_pieces(work, 200, operations)
    assert (done == 1).all()
    assert len(parts) == {1: 1, WORTH_CUTTING: 2, WORTH_QUARTERS: 4}[operations]


def test_undivided_work_stays_in_its_thread(monkeypatch):
    monkeypatch.setattr(threads, "_sharing", 2)
    found = []
    with undivided():
        side_by_side(*[lambda: found.append(threading.get_ident())] * 4)
        in_pieces(found.append, 1000, 1e9)
        with undivided():
            pass
        assert working()
    assert found == [threading.get_ident()] * 4 + [slice(0, 1000)]
    assert not working()
