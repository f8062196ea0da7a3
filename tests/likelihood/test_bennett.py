"""Bennett's ratio against a case with a known answer."""

import itertools
import tracemalloc

import numpy as np
import pytest

from paysage.likelihood import bennett as module
from paysage.likelihood.bennett import bennett_ratio

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
