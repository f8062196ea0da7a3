import math
from types import SimpleNamespace

import numpy as np
import pytest
from machines import arrays, build, random_state, skip, twin

from paysage import backends as be
from paysage.batch import in_memory_batch
from paysage.errors import DataError, DataWarning
from paysage.metrics import EnergyCoefficient, HeatCapacity, ModelAssessment, ProgressMonitor


def coefficient(assess, data, fantasy):
    return EnergyCoefficient().measure(assess(data, fantasy))


def test_identical_samples_have_none(assess):
    sample = np.random.default_rng(0).integers(0, 2, size=(60, 30))
    # A row is at distance 0 from its copy, up to sqrt(1e-7 * |row|^2) = 1e-3: over 60 * 60 pairs
    # the mean of 4 is off by 2e-5, and the root of twice the ratio is below 5e-3.
    assert coefficient(assess, sample, sample.copy()) < 5e-3


def test_rounding_below_zero_counts_as_zero(assess):
    """The same rows in another order: sums of the same distances, half of them too small."""
    for seed in range(20):
        rng = np.random.default_rng(seed)
        sample = rng.normal(size=(40, 7))
        value = coefficient(assess, sample, rng.permutation(sample))
        # a few roundings of single precision, 1e-7, under a root
        assert 0.0 <= value < 2e-3


def test_far_points_score_one(assess):
    assert coefficient(assess, np.zeros((4, 3)), np.ones((5, 3))) == pytest.approx(1.0, abs=1e-6)


def test_four_points_by_hand(assess):
    # A = (2 + 3 + 1 + 2) / 4 = 2 and B = C = 1/2, self-pairs included: sqrt(3 / 4).
    value = coefficient(assess, [[0.0], [1.0]], [[2.0], [3.0]])
    assert value == pytest.approx(math.sqrt(0.75), abs=1e-5)


def test_samples_of_different_size(assess):
    # A = (1 + 2 + 0 + 1 + 1 + 0) / 6 = 5/6, B = (4 * 1 + 2 * 2) / 9 = 8/9, C = 1/2.
    value = coefficient(assess, [[0.0], [1.0], [2.0]], [[1.0], [2.0]])
    expected = math.sqrt((10 / 6 - 8 / 9 - 1 / 2) / (10 / 6))
    assert value == pytest.approx(expected, abs=1e-4)


def test_one_point_everywhere_is_zero(assess):
    assert coefficient(assess, np.ones((3, 2)), np.ones((3, 2))) == 0.0


def test_shifted_gaussians_in_one_dimension(assess):
    n, shift = 1500, 3.0
    rng = np.random.default_rng(11)
    value = coefficient(assess, rng.normal(size=(n, 1)), rng.normal(shift, 1.0, size=(n, 1)))
    # Differences are N(shift, 2): mean of a folded Gaussian; B = C = 2 / sqrt(pi).
    across = 2 / math.sqrt(math.pi) * math.exp(-(shift**2) / 4) + shift * math.erf(shift / 2)
    within = 2 / math.sqrt(math.pi) * (n - 1) / n
    expected = math.sqrt((across - within) / across)
    # A has standard error sqrt(2/n) = 0.037 and B, C about 0.04; the root of the ratio moves by
    # less than 0.15 of that: three standard errors are about 0.02.
    assert value == pytest.approx(expected, abs=0.02)


def test_grows_with_the_shift(assess):
    sample = np.random.default_rng(5).normal(size=(100, 4))
    values = [coefficient(assess, sample, sample + shift) for shift in (0.0, 0.5, 1.0, 3.0)]
    assert values == sorted(values)
    assert values[1] > values[0] + 0.05


def with_energies(energy, num_parameters):
    model = SimpleNamespace(num_parameters=lambda: num_parameters)
    return SimpleNamespace(model=model, model_energy=be.float_tensor(energy))


def test_heat_capacity_is_a_scaled_variance():
    energy = np.array([-3.0, 1.0, 5.0, 1.0])
    measured = HeatCapacity().measure(with_energies(energy, num_parameters=16))
    assert measured == pytest.approx(32.0 / 3.0 / 4.0, rel=1e-6)


def test_heat_capacity_of_one_particle_is_refused_and_by_default_skipped():
    with pytest.raises(DataError, match="at least 2 fantasy particles, got 1"):
        HeatCapacity().measure(with_energies([3.0], num_parameters=1))
    model = build("BB", (4, 3))
    rows = in_memory_batch(np.eye(4), 3, train_fraction=0.75)
    with pytest.warns(DataWarning, match="skipped.*HeatCapacity"):
        found = ProgressMonitor().evaluate(rows, model)
    assert found["HeatCapacity"] is None
    assert math.isfinite(found["ReconstructionError"])


def test_heat_capacity_of_large_energies():
    # Around -100000 neighbours in float32 are 1/128 apart; a one-pass variance would lose all.
    energy = -100_000.0 + np.array([-0.5, 0.5, -0.5, 0.5])
    measured = HeatCapacity().measure(with_energies(energy, num_parameters=1))
    assert measured == pytest.approx(1 / 3, rel=0.05)


@pytest.mark.parametrize("graph", ["chain", "skip"])
def test_heat_capacity_of_any_graph(graph):
    """The variance of the energies that the reference finds for the same particles."""
    model = skip() if graph == "skip" else build("BGB", (4, 3, 2))
    state = random_state(model, 50)
    assessment = ModelAssessment(state[0], model)
    assessment.model_state = state
    energies = twin(model).energy(arrays(state))
    expected = energies.var(ddof=1) / model.num_parameters() ** 0.5
    assert HeatCapacity().measure(assessment) == pytest.approx(expected, rel=1e-4)
