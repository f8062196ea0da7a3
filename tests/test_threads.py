"""Small products run on one thread, and an application's own choice stands."""

import numpy as np
import pytest

from paysage.threads import (
    FEW_MULTIPLICATIONS,
    VARIABLES,
    WORTH_HALVING,
    both,
    by_halves,
    threads_for,
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


def test_small_products_get_one_thread_and_the_former_number_comes_back(two_threads):
    with threads_for(100 * 784 * 200):
        assert set(blas_threads()) == {1}
    assert set(blas_threads()) == {2}


def test_an_inner_limit_leaves_the_outer_one_standing(two_threads):
    with threads_for(1):
        with threads_for(1):
            assert set(blas_threads()) == {1}
        assert set(blas_threads()) == {1}
    assert set(blas_threads()) == {2}


def test_large_products_keep_all_threads(two_threads):
    with threads_for(FEW_MULTIPLICATIONS):
        assert set(blas_threads()) == {2}


def test_the_number_comes_back_after_an_error(two_threads):
    with pytest.raises(KeyError), threads_for(1):
        raise KeyError
    assert set(blas_threads()) == {2}


@pytest.mark.parametrize("name", VARIABLES)
def test_who_has_set_a_variable_is_left_alone(two_threads, monkeypatch, name):
    monkeypatch.setenv(name, "2")
    with threads_for(1):
        assert set(blas_threads()) == {2}


def test_torch_gets_one_thread_too(two_threads):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with threads_for(1):
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("limited", [True, False])
def test_both_returns_both_results(two_threads, limited):
    with threads_for(1 if limited else FEW_MULTIPLICATIONS):
        assert both(lambda: "first", lambda: "second") == ("first", "second")


@pytest.mark.parametrize("place", [0, 1])
def test_an_error_in_either_of_both_comes_out(two_threads, place):
    def fail():
        raise KeyError(place)

    jobs = [lambda: None, lambda: None]
    jobs[place] = fail
    with threads_for(1), pytest.raises(KeyError):
        both(*jobs)
    with threads_for(1):
        assert both(lambda: 1, lambda: 2) == (1, 2)


def test_numpys_error_state_goes_along(two_threads):
    with threads_for(1), np.errstate(over="raise"), pytest.raises(FloatingPointError):
        both(lambda: np.float32(1e38) * np.float32(1e38), lambda: None)


def test_two_within_two_are_called_one_after_the_other(two_threads):
    """The one thread beside ours cannot wait for itself."""
    with threads_for(1):
        inner = lambda: both(lambda: 1, lambda: 2)  # noqa: E731
        assert both(inner, inner) == ((1, 2), (1, 2))
        assert both(lambda: 3, lambda: 4) == (3, 4)


@pytest.mark.parametrize("rows", [0, 1, 2, 7])
@pytest.mark.parametrize("operations", [1, WORTH_HALVING])
def test_halves_are_the_whole(two_threads, rows, operations):
    done, parts = np.zeros(rows), []

    def work(part):
        parts.append(part)
        done[part] += 1

    with threads_for(1):
        by_halves(work, rows, operations)
    assert (done == 1).all()
    assert len(parts) == (2 if operations == WORTH_HALVING and rows > 1 else 1)
