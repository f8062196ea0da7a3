"""Bennett's ratio against a case with a known answer."""

import itertools
import tracemalloc

import numpy as np
import pytest

from paysage.likelihood import bennett as module
from paysage.likelihood.bennett import bennett_ratio, ratio_error

pytestmark = pytest.mark.backend_free


@pytest.mark.parametrize(("n", "m"), [(20_000, 20_000), (20_000, 5_000), (5_000, 20_000)])
def test_normal_distributions_of_different_width(n, m):
    """Weights exp(-x²/2s²) have Z = s sqrt(2 pi): the ratio is known."""
    rng = np.random.default_rng(3)
    widths = [1.0, 1.3, 2.0]
    forward, backward = [], []
    for a, b in itertools.pairwise(widths):

        def gap(x, a=a, b=b):
            return x**2 / (2 * a**2) - x**2 / (2 * b**2)

        forward.append(gap(a * rng.normal(size=n)))
        backward.append(gap(b * rng.normal(size=m)))
    found = bennett_ratio(np.array(forward), np.array(backward))
    # the variance of a ratio is below that of n + m independent numbers of order one
    assert found == pytest.approx(np.log(2.0), abs=5 * 2 / np.sqrt(min(n, m)))


def works(rng, n, m, spread):
    """Log weights of paths there and back that obey Crooks's theorem, of a ratio of one."""
    shift = spread**2 / 2
    return rng.normal(-shift, spread, size=n), rng.normal(shift, spread, size=m)


@pytest.mark.parametrize("spread", [0.3, 1.5, 3.0])
@pytest.mark.parametrize(("n", "m"), [(100, 100), (100, 30)])
def test_the_standard_error_is_the_deviation_of_estimates(n, m, spread):
    """Of 1000 estimates, whose deviation has a relative error of 0.022 if they are normal."""
    rng = np.random.default_rng(4)
    found, errors = [], []
    for _ in range(1000):
        there, back = works(rng, n, m, spread)
        found.append(bennett_ratio(there[None], back[None]))
        errors.append(ratio_error(there, back, found[-1]))
    assert np.mean(found) == pytest.approx(0.0, abs=5 * np.std(found) / np.sqrt(1000))
    # the formula is one of many samples: of a hundred it is right within a few percent
    assert np.sqrt(np.mean(np.square(errors))) == pytest.approx(np.std(found), rel=0.2)
    inside = np.mean(np.abs(found) < 3 * np.array(errors))
    assert inside > 0.98


@pytest.mark.parametrize("wider", [3.0, 0.3])
@pytest.mark.parametrize(("n", "m"), [(300, 30), (30, 300)])
def test_the_standard_error_where_works_are_skewed_and_chains_are_few(n, m, wider):
    """Gamma distributions of another width: D is a straight line, steep where x is large."""
    rng = np.random.default_rng(5)
    found, errors = [], []
    for _ in range(1000):
        there, back = (
            x * (1 - 1 / wider) - 2 * np.log(wider)
            for x in (rng.gamma(2.0, 1.0, n), rng.gamma(2.0, wider, m))
        )
        found.append(bennett_ratio(there[None], back[None]))
        errors.append(ratio_error(there, back, found[-1]))
    assert np.mean(found) == pytest.approx(0.0, abs=5 * np.std(found) / np.sqrt(1000) + 0.01)
    assert np.sqrt(np.mean(np.square(errors))) == pytest.approx(np.std(found), rel=0.2)
    # a normal number is beyond three deviations once in 370; these are a little more often
    assert np.mean(np.abs(found) < 3 * np.array(errors)) > 0.98


def test_directions_that_never_meet_have_no_error_bar():
    there, back = np.full(5, -2000.0), np.full(4, 2000.0)
    assert ratio_error(there, back, bennett_ratio(there[None], back[None])) == np.inf


def test_weights_without_spread_have_no_error():
    assert ratio_error(np.full(3, 2.5), np.full(5, 2.5), 2.5) == pytest.approx(0.0, abs=1e-7)


def test_numbers_without_spread_are_the_answer():
    assert bennett_ratio(np.full((3, 4), 2.5), np.full((3, 6), 2.5)) == pytest.approx(7.5)


def test_the_ratios_of_blocks_are_those_of_all_neighbours(monkeypatch):
    forward, backward = np.random.default_rng(1).normal(size=(2, 7, 20))
    pairs = zip(forward, backward, strict=True)
    one_by_one = sum(bennett_ratio(f[None], b[None]) for f, b in pairs)
    for block in (1, 3, 7):
        monkeypatch.setattr(module, "BLOCK", block)
        assert bennett_ratio(forward, backward) == pytest.approx(one_by_one, abs=1e-10)


def test_many_temperatures_take_no_memory_of_their_size():
    forward = np.zeros((40_000, 10))
    tracemalloc.start()
    try:
        bennett_ratio(forward, forward)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert most < 0.5 * forward.nbytes
