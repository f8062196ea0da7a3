import numpy as np
import pytest

from paysage import backends as be
from paysage.metrics import ModelAssessment, WeightSparsity, WeightSquare


def measure(metric, model):
    return metric.measure(ModelAssessment(be.zeros((2, 3)), model))


def test_equal_weights_take_part_fully(weighted):
    weights = np.outer(np.array([1.0, -1.0, 1.0, 1.0, -1.0]), [2.0, 0.5])
    assert measure(WeightSparsity(), weighted(weights)) == pytest.approx(1.0, abs=1e-6)


def test_one_weight_a_column_is_one_unit_in_all(weighted):
    assert measure(WeightSparsity(), weighted(3.0 * np.eye(8, 4))) == pytest.approx(1 / 8, abs=1e-7)


def test_gaussian_weights_are_a_third(weighted):
    weights = np.random.default_rng(1).normal(size=(2000, 40))
    # (E w^2)^2 / E w^4 = 1/3; a column is off by about sqrt(42 + …)/3/sqrt(2000), 0.02; 40 of them
    # average to 0.003, the bias of the ratio is of order 1/2000 times a few.
    assert measure(WeightSparsity(), weighted(weights)) == pytest.approx(1 / 3, abs=0.012)


def test_agrees_with_the_definition(weighted):
    weights = np.random.default_rng(2).normal(size=(9, 6)) ** 3
    square = weights**2
    expected = np.mean(square.sum(0) ** 2 / (9 * (square**2).sum(0)))
    assert measure(WeightSparsity(), weighted(weights)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_scale_plays_no_part(weighted, scale):
    weights = np.array([[1.0, 2.0], [1.0, 0.0]]) * scale
    assert measure(WeightSparsity(), weighted(weights)) == pytest.approx(0.75, abs=1e-6)


def test_dead_columns_count_as_zero(weighted):
    assert measure(WeightSparsity(), weighted([[1.0, 0.0], [1.0, 0.0]])) == pytest.approx(0.5)
    assert measure(WeightSparsity(), weighted(np.zeros((3, 2)))) == 0.0


def test_square_is_a_hidden_unit(weighted):
    weights = np.array([[1.0, 2.0], [3.0, 4.0], [0.0, 1.0]])
    assert measure(WeightSquare(), weighted(weights)) == pytest.approx(31 / 2, abs=1e-5)
