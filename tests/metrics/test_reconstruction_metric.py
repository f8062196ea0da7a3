import numpy as np
import pytest

from paysage.errors import DataError
from paysage.metrics import ReconstructionError

DATA = np.random.default_rng(3).normal(2.0, 3.0, size=(50, 7)).astype(np.float32)


def measure(assess, data, reconstructions):
    return ReconstructionError().measure(assess(data, reconstructions=reconstructions))


def test_perfect_reconstruction_scores_zero(assess):
    assert measure(assess, DATA, DATA) == 0.0


def test_reconstruction_by_the_mean_scores_one(assess):
    mean = np.full_like(DATA, DATA.mean())
    # Sums of 350 float32 numbers: relative error far below 1e-5. The variance is over n - 1.
    assert measure(assess, DATA, mean) == pytest.approx((1 - 1 / 350) ** 0.5, abs=1e-5)


def test_variance_is_that_of_all_entries(assess):
    # Two columns that never vary but differ: a variance column by column would be zero.
    data = np.tile([0.0, 2.0], (4, 1))
    assert measure(assess, data, data + 0.5) == pytest.approx(0.5 * (7 / 8) ** 0.5, abs=1e-6)


def test_scale_plays_no_part(assess):
    other = DATA[::-1].copy()
    small = measure(assess, DATA, other)
    assert measure(assess, 64 * DATA, 64 * other) == pytest.approx(small, rel=1e-5)


def test_value_averages_over_minibatches(assess):
    metric = ReconstructionError()
    data = np.array([[0.0, 2.0], [2.0, 0.0]])
    metric.update(assess(data, reconstructions=data + 0.5))
    metric.update(assess(data, reconstructions=data + 1.5))
    assert metric.value() == pytest.approx((3 / 4) ** 0.5, abs=1e-6)


def test_constant_minibatch_is_refused(assess):
    for shape in ((3, 2), (1, 1)):
        with pytest.raises(DataError, match="one value only"):
            measure(assess, np.ones(shape), np.zeros(shape))
