import math

import numpy as np
import pytest

from paysage.errors import ConfigError, DataError, ShapeError
from paysage.metrics import JensenShannonDivergence, KLDivergence, ReverseKLDivergence


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
    forward = KLDivergence(k, divide_dimension=divide).measure(seen)
    assert forward == pytest.approx(by_hand(data, model, k, factor), abs=2e-5)
    backward = ReverseKLDivergence(k, divide_dimension=divide).measure(seen)
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


# Here the standard error is that of the 2 or 3 times greater logarithm of a ratio of distances,
# 0.035, and the neighbours in the tails make the estimate 0.05 too small in three dimensions.
@pytest.mark.parametrize("dimension", [2, 3])
def test_gaussians_in_more_dimensions(assess, dimension):
    rng = np.random.default_rng(8)
    shifted = rng.normal(np.eye(dimension)[0], 1.0, size=(1500, dimension))
    seen = assess(rng.normal(size=(1500, dimension)), shifted)
    for metric in (KLDivergence, ReverseKLDivergence):
        assert metric(divide_dimension=False).measure(seen) == pytest.approx(0.5, abs=0.15)


def jensen_shannon_of_unit_gaussians(shift):
    """By a sum over a fine grid; further dimensions without a shift change nothing."""
    x = np.linspace(-12, 12 + shift, 20_001)
    p, q = np.exp(-(x**2) / 2), np.exp(-((x - shift) ** 2) / 2)
    middle = (p + q) / 2
    terms = [np.where(f > 0, f * np.log(f / middle), 0.0).sum() / f.sum() for f in (p, q)]
    return np.mean(terms)


# One estimate from 600 rows has a standard deviation of at most 0.02 and a bias of at most 0.02
# (see `label_information`): four of them are within 0.02 + 3 * 0.01.
@pytest.mark.parametrize("dimension", [1, 2, 3])
@pytest.mark.parametrize("shift", [1.0, 2.0])
def test_jensen_shannon_of_gaussians(assess, dimension, shift):
    estimates = []
    for seed in range(4):
        rng = np.random.default_rng(seed)
        data, model = rng.normal(size=(2, 600, dimension))
        model[:, 0] += shift
        metric = JensenShannonDivergence(divide_dimension=False)
        estimates.append(metric.measure(assess(data, model)))
    expected = jensen_shannon_of_unit_gaussians(shift)
    assert np.mean(estimates) == pytest.approx(expected, abs=0.05)


@pytest.mark.parametrize("dimension", [1, 5])
def test_jensen_shannon_of_one_distribution_has_no_bias(assess, dimension):
    """Not even for few rows, of unequal number: four standard errors, as they are found."""
    rng = np.random.default_rng(12)
    samples = [
        assess(rng.normal(size=(30, dimension)), rng.normal(size=(40, dimension)))
        for _ in range(100)
    ]
    metric = JensenShannonDivergence(k=3, divide_dimension=False)
    estimates = [metric.measure(seen) for seen in samples]
    assert abs(np.mean(estimates)) < 4 * np.std(estimates) / 10
    assert np.std(estimates) < 0.15


def test_jensen_shannon_is_symmetric_and_at_most_log_two(assess):
    rng = np.random.default_rng(13)
    data, model = rng.normal(size=(2, 50, 4))
    one, other = (
        JensenShannonDivergence().measure(seen)
        for seen in (assess(data, model), assess(model, data))
    )
    # squares among rows of another order are rounded anew, which can exchange near neighbours
    assert one == pytest.approx(other, abs=1e-6)
    apart = JensenShannonDivergence(divide_dimension=False).measure(assess(data, model + 100))
    assert apart == pytest.approx(sum(1 / j for j in range(50, 100)), abs=1e-5)
    assert apart == pytest.approx(math.log(2) + 1 / (4 * 50), abs=1e-4)


def test_jensen_shannon_by_hand_with_ties(assess):
    """Row by row on a small lattice, where many distances are equal."""
    rng = np.random.default_rng(14)
    data, model = rng.integers(0, 2, size=(12, 4)), rng.integers(0, 2, size=(9, 4))
    psi = [math.nan, *np.cumsum([0.0, *(1 / j for j in range(1, 21))])]
    total = 0.0
    for here, there in ((data, model), (model, data)):
        for i, row in enumerate(here):
            within = ((np.delete(here, i, axis=0) - row) ** 2).sum(axis=1)
            radius = np.sort(within)[1]
            same = (within <= radius).sum()
            both = same + (((there - row) ** 2).sum(axis=1) <= radius).sum()
            total += psi[same] - psi[both] + psi[21] - psi[len(here)]
    metric = JensenShannonDivergence(k=2)
    assert metric.measure(assess(data, model)) == pytest.approx(total / 21 / 4, abs=1e-6)


def test_duplicate_rows_stay_finite(assess):
    rows = np.zeros((20, 4))
    seen = assess(rows, rows)
    assert KLDivergence().measure(seen) == pytest.approx(math.log(20 / 19), abs=1e-6)
    # K = 19 and M = 39 for each row
    alike = JensenShannonDivergence(divide_dimension=False).measure(seen)
    assert alike == pytest.approx(1 / 39 - 1 / 19, abs=1e-6)
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
    for metric in (KLDivergence(k=5), JensenShannonDivergence(k=5)):
        wanted = rf"{metric.name} needs more than k=5 rows .* got {rows[0]} and {rows[1]}"
        with pytest.raises(DataError, match=wanted):
            metric.measure(seen)


def test_six_rows_are_enough(assess):
    rng = np.random.default_rng(1)
    seen = assess(rng.normal(size=(6, 2)), rng.normal(size=(6, 2)))
    assert math.isfinite(KLDivergence(k=5).measure(seen))


def test_columns_must_agree(assess):
    with pytest.raises(ShapeError, match="3 and 2 columns"):
        KLDivergence(k=1).measure(assess(np.ones((4, 3)), np.ones((4, 2))))


@pytest.mark.parametrize("k", [0, -1, 2.0, True, "5"])
def test_k_must_be_a_positive_integer(k):
    with pytest.raises(ConfigError, match=r"k of .* must be a whole number"):
        ReverseKLDivergence(k=k)
