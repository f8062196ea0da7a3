"""Reading ahead: order, bounds, errors and ends of the thread."""

import gc
import subprocess
import sys
import textwrap
import threading

import pytest

from paysage.batch.ahead import THREAD_NAME, ReadAhead

pytestmark = pytest.mark.backend_free

LONG = 60.0  # seconds that a thread is given; it takes milliseconds


def readers():
    return [t for t in threading.enumerate() if t.name == THREAD_NAME]


def all_end():
    for thread in readers():
        thread.join(LONG)
    return not readers()


def numbers(count):
    yield from range(count)


@pytest.mark.parametrize("depth", [1, 3])
def test_items_come_in_order_and_end(depth):
    ahead = ReadAhead(lambda: numbers(100), depth)
    assert list(ahead) == list(range(100))
    assert list(ahead) == []
    assert all_end()


def test_no_more_than_the_depth_is_made_ahead():
    third, fourth = threading.Event(), threading.Event()

    def four():
        yield from (0, 1)
        third.set()
        yield 2
        fourth.set()
        yield 3

    ahead = ReadAhead(four, 3)
    assert third.wait(LONG)
    assert not fourth.wait(0.05)  # there is no room for it before one is taken
    assert next(ahead) == 0
    assert fourth.wait(LONG)
    assert list(ahead) == [1, 2, 3]


def test_an_error_comes_after_the_items_before_it():
    def two_then_error():
        yield from numbers(2)
        raise KeyError("third")

    ahead = ReadAhead(two_then_error, 3)
    assert [next(ahead), next(ahead)] == [0, 1]
    with pytest.raises(KeyError, match="third"):
        next(ahead)
    with pytest.raises(StopIteration):
        next(ahead)
    assert all_end()


def test_closing_ends_the_thread_and_closes_the_generator():
    closed = []

    def endless():
        try:
            while True:
                yield 0
        finally:
            closed.append(True)

    ahead = ReadAhead(endless, 2)
    next(ahead)
    ahead.close()
    ahead.close()
    assert closed == [True]
    assert not readers()
    assert list(ahead) == []


def test_a_user_who_waits_is_woken_when_another_thread_closes():
    go = threading.Event()

    def slow():
        go.wait(LONG)
        yield 0

    ahead, got = ReadAhead(slow, 2), []
    user = threading.Thread(target=lambda: got.extend(ahead))
    user.start()
    ahead.stop()
    user.join(LONG)
    assert not user.is_alive()
    assert got == []
    go.set()
    assert all_end()


def test_what_nobody_refers_to_ends():
    ahead = ReadAhead(lambda: numbers(10**9), 2)
    next(ahead)
    del ahead
    gc.collect()
    assert all_end()


def test_the_interpreter_ends_in_the_middle_of_a_pass():
    program = """
        import time
        from paysage.batch.ahead import ReadAhead
        def slow():
            try:
                while True:
                    time.sleep(0.01)
                    yield 0
            finally:
                print("closed", flush=True)
        ahead = ReadAhead(slow, 2)
        next(ahead)
    """
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        timeout=LONG,
    )
    assert (run.returncode, run.stdout, run.stderr) == (0, "closed\n", "")
