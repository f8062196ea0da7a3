"""The Fréchet distance of Gaussians where there is a formula, and of samples of them."""

import numpy as np
import pytest

from paysage import backends as be
from paysage.errors import DataError, DivergenceError
from paysage.metrics import FrechetScore
from paysage.metrics.frechet import frechet_distance


def distance(mean_1, cov_1, mean_2, cov_2):
    arrays = (np.asarray(x, dtype=np.float64) for x in (mean_1, cov_1, mean_2, cov_2))
    return frechet_distance(*map(be.from_numpy_array, arrays))


def test_of_numbers():
    assert distance([1.0], [[4.0]], [3.0], [[9.0]]) == pytest.approx(4 + 1, abs=1e-12)


def test_of_covariances_that_commute():
    """In the basis that both share: the sum of (√a − √b)²."""
    basis, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))
    a, b = np.array([4.0, 1.0, 0.25]), np.array([1.0, 0.0, 9.0])
    found = distance(np.zeros(3), basis * a @ basis.T, np.ones(3), basis * b @ basis.T)
    assert found == pytest.approx(3 + ((np.sqrt(a) - np.sqrt(b)) ** 2).sum(), abs=1e-7)


def test_of_covariances_that_do_not_commute():
    """Two dimensions: Tr √(AB) = √(Tr AB + 2 √det AB)."""
    a, b = np.array([[2.0, 0.5], [0.5, 1.0]]), np.array([[1.0, -0.8], [-0.8, 3.0]])
    cross = np.sqrt(np.trace(a @ b) + 2 * np.sqrt(np.linalg.det(a @ b)))
    expected = np.trace(a) + np.trace(b) - 2 * cross
    assert distance([0, 0], a, [0, 0], b) == pytest.approx(expected, abs=1e-12)
    assert distance([0, 0], b, [0, 0], a) == pytest.approx(expected, abs=1e-12)


def test_rounding_below_zero_counts_as_zero():
    """Of a Gaussian and itself: roundings of eigenvalues of order ten, at worst under a root."""
    for seed in range(20):
        root = np.random.default_rng(seed).normal(size=(7, 7))
        cov, mean = root @ root.T, np.ones(7)
        assert 0.0 <= distance(mean, cov, mean, cov) < 1e-6


def scored(assess, *minibatches):
    metric = FrechetScore()
    for data, fantasy in minibatches:
        metric.update(assess(data, fantasy))
    return metric.value()


# The mean's difference has a standard error of sqrt(2 / 4000) = 0.022 a dimension, so that
# its square of 1 is off by 0.045; a standard deviation by 0.011, its square of 1 by 0.032. The
# bias, what the score of equal distributions is, is below 0.002. Three errors of the sum: 0.18.
@pytest.mark.parametrize("dimension", [1, 2, 3])
def test_samples_of_gaussians(assess, dimension):
    rng = np.random.default_rng(3)
    data = rng.normal(size=(4000, dimension))
    fantasy = rng.normal(size=(4000, dimension))
    first = np.eye(dimension)[0]
    fantasy = fantasy * (1 + first) + first  # the first column N(1, 4), the others N(0, 1)
    assert scored(assess, (data, fantasy)) == pytest.approx(1 + 1, abs=0.18)


def test_samples_of_one_distribution(assess):
    """Two means off by 1/N each, and standard deviations by 1/(2N): 3 (2/N + 1/N) expected."""
    rng = np.random.default_rng(4)
    data, fantasy = rng.normal(size=(2, 1000, 3))
    assert 0 < scored(assess, (data, fantasy)) < 3 * 9 / 1000


def test_all_rows_count_together(assess):
    """Not a mean of distances, which few rows in many dimensions make too large."""
    rng = np.random.default_rng(5)
    data, fantasy = rng.normal(size=(2, 80, 12)).astype(np.float32)
    parts = [(data[i : i + 10], fantasy[i : i + 10]) for i in range(0, 80, 10)]
    together = scored(assess, (data, fantasy))
    assert scored(assess, *parts) == pytest.approx(together, rel=1e-9)
    each = [FrechetScore().measure(assess(*part)) for part in parts]
    assert np.mean(each) > 3 * together


def test_fewer_rows_than_columns(assess):
    """Roots of rounding errors of zero eigenvalues, 1e-8 each; of float32 they would be 3e-4."""
    data = np.random.default_rng(6).integers(0, 2, size=(20, 60))
    assert scored(assess, (data, data)) < 1e-5
    assert scored(assess, (data, data + 1.0)) == pytest.approx(60, rel=1e-6)
    assert scored(assess, (np.zeros((3, 4)), np.ones((3, 4)))) == pytest.approx(4, abs=1e-9)


def test_it_starts_anew(assess):
    metric = FrechetScore()
    with pytest.raises(DataError, match="FrechetScore has no value"):
        metric.value()
    metric.update(assess(np.zeros((3, 2)), np.ones((3, 2))))
    metric.reset()
    metric.update(assess(np.zeros((3, 2)), np.zeros((3, 2))))
    assert metric.value() == 0.0


def test_nan_is_named(assess):
    metric = FrechetScore()
    metric.update(assess(np.zeros((3, 2)), np.full((3, 2), np.nan)))
    with pytest.raises(DivergenceError, match="fantasy particles that are NaN"):
        metric.value()
