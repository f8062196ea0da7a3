import math

import numpy as np
import pytest

from paysage.errors import ConfigError, DataError, ShapeError
from paysage.metrics import KLDivergence, ReverseKLDivergence


def by_hand(here, there, k, factor):
    """The estimator, row by row."""
    total = 0.0
    for i, row in enumerate(here):
        others = np.delete(here, i, axis=0)
        rho = np.sort(np.linalg.norm(others - row, axis=1))[k - 1]
        nu = np.sort(np.linalg.norm(there - row, axis=1))[k - 1]
        total += math.log(nu / rho)
    return factor * total / len(here) + math.log(len(there) / (len(here) - 1))


@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("divide", [True, False])
def test_agrees_with_the_definition(assess, k, divide):
    rng = np.random.default_rng(4)
    data, model = rng.normal(size=(14, 3)), rng.normal(0.5, 2.0, size=(11, 3))
    seen = assess(data, model)
    factor = 1 if divide else 3
    # Distances are exact to float32 rounding, 1e-6 relative; 14 logarithms of them are summed.
    forward = KLDivergence(k, divide).measure(seen)
    assert forward == pytest.approx(by_hand(data, model, k, factor), abs=2e-5)
    backward = ReverseKLDivergence(k, divide).measure(seen)
    assert backward == pytest.approx(by_hand(model, data, k, factor), abs=2e-5)


def gaussian_divergence(mean_p, std_p, mean_q, std_q):
    """Divergence of N(mean_q, std_q^2) from N(mean_p, std_p^2)."""
    ratio = std_p / std_q
    return 0.5 * (ratio**2 + ((mean_p - mean_q) / std_q) ** 2 - 1) - math.log(ratio)


# The estimate of each row has variance 2 psi'(5) = 0.44, and log p/q its own, 1 at most here:
# over 1500 rows the standard error is 0.03. Neighbours in the tails add a bias of that order.
@pytest.mark.parametrize("shift, std", [(0.0, 1.0), (1.0, 1.0), (0.0, 1.5)])
def test_gaussians_in_one_dimension(assess, shift, std):
    rng = np.random.default_rng(7)
    seen = assess(rng.normal(size=(1500, 1)), rng.normal(shift, std, size=(1500, 1)))
    forward, backward = KLDivergence().measure(seen), ReverseKLDivergence().measure(seen)
    assert forward == pytest.approx(gaussian_divergence(0, 1, shift, std), abs=0.1)
    assert backward == pytest.approx(gaussian_divergence(shift, std, 0, 1), abs=0.1)


def test_gaussians_in_two_dimensions(assess):
    rng = np.random.default_rng(8)
    seen = assess(rng.normal(size=(1500, 2)), rng.normal([1.0, 0.0], 1.0, size=(1500, 2)))
    assert KLDivergence(divide_dimension=False).measure(seen) == pytest.approx(0.5, abs=0.15)


def test_duplicate_rows_stay_finite(assess):
    rows = np.zeros((20, 4))
    seen = assess(rows, rows)
    assert KLDivergence().measure(seen) == pytest.approx(math.log(20 / 19), abs=1e-6)
    seen = assess(rows, np.ones((20, 4)))
    assert math.isfinite(KLDivergence().measure(seen))


def test_inputs_are_left_alone(assess):
    rng = np.random.default_rng(9)
    data, model = rng.normal(size=(8, 2)), rng.normal(size=(8, 2))
    seen = assess(data, model)
    first = KLDivergence(k=2).measure(seen)
    assert KLDivergence(k=2).measure(seen) == first


@pytest.mark.parametrize("rows", [(5, 6), (6, 5)])
def test_too_few_rows(assess, rows):
    rng = np.random.default_rng(1)
    seen = assess(rng.normal(size=(rows[0], 2)), rng.normal(size=(rows[1], 2)))
    with pytest.raises(DataError, match="expected at least 6 of each"):
        KLDivergence(k=5).measure(seen)


def test_six_rows_are_enough(assess):
    rng = np.random.default_rng(1)
    seen = assess(rng.normal(size=(6, 2)), rng.normal(size=(6, 2)))
    assert math.isfinite(KLDivergence(k=5).measure(seen))


def test_columns_must_agree(assess):
    with pytest.raises(ShapeError, match="3 and 2 columns"):
        KLDivergence(k=1).measure(assess(np.ones((4, 3)), np.ones((4, 2))))


@pytest.mark.parametrize("k", [0, -1, 2.0, True, "5"])
def test_k_must_be_a_positive_integer(k):
    with pytest.raises(ConfigError, match="expected an integer of 1 or more"):
        ReverseKLDivergence(k=k)
