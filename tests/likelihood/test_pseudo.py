"""The exact pseudo-likelihood, row by row, against enumeration."""

import numpy as np
import pytest
from machines import build, pair, skip, twin

from paysage import backends as be
from paysage.errors import ConfigError, DataError, ShapeError
from paysage.likelihood import exact_log_partition, log_likelihood, pseudo, pseudo_log_likelihood
from paysage.metrics import ModelAssessment, PseudoLikelihood


def by_enumeration(model, visible):
    """The sum over units of log p(v_i | the other units), of each row."""
    machine, found = twin(model), []
    for row in visible:
        own = machine.log_sum({0: row})
        flipped = np.abs(row - np.eye(len(row)))
        found.append(-sum(np.logaddexp(0, machine.log_sum({0: other}) - own) for other in flipped))
    return np.array(found)


def binary(rows, columns):
    return np.random.default_rng(2).integers(0, 2, size=(rows, columns)).astype(np.float64)


@pytest.mark.parametrize("center", [False, True])
@pytest.mark.parametrize("kinds", ["BB", "BG", "BO"])
def test_each_row_is_the_sum_over_units(monkeypatch, kinds, center):
    monkeypatch.setattr(pseudo, "BLOCK", 3)
    model, visible = pair(kinds, center=center), binary(7, 4)
    wanted = by_enumeration(model, visible)
    found = pseudo_log_likelihood(model, visible)
    np.testing.assert_allclose(found.rows, wanted, atol=2e-5)  # four differences in float32
    assert found.mean == pytest.approx(wanted.mean(), abs=2e-5)
    assert found.standard_error == pytest.approx(wanted.std(ddof=1) / np.sqrt(7), rel=1e-3)


def test_it_is_what_the_metric_estimates_and_never_draws():
    model, visible = build("BB", (70, 5), scale=0.1), be.float_tensor(binary(40, 70))
    be.set_seed(3)
    before = be.rand((1,))
    be.set_seed(3)
    found = pseudo_log_likelihood(model, visible)
    assert be.allclose(be.rand((1,)), before)
    metric = PseudoLikelihood(max_exact=70)
    assert metric.measure(ModelAssessment(visible, model)) == pytest.approx(found.mean, rel=1e-5)


def test_of_one_categorical_variable_it_is_the_likelihood():
    model = pair("OB")
    states = model.layers[0].all_states()
    wanted = log_likelihood(model, states, exact_log_partition(model))
    np.testing.assert_allclose(pseudo_log_likelihood(model, states).rows, wanted.rows, atol=1e-5)


@pytest.mark.parametrize(
    ("model_of", "data", "error", "words"),
    [
        (lambda: pair("GB"), np.zeros((2, 4)), ConfigError, "cannot be listed"),
        (skip, np.zeros((2, 4)), ConfigError, "a visible and a hidden layer"),
        (lambda: "rbm", np.zeros((2, 4)), ConfigError, "BoltzmannMachine"),
        (lambda: pair("BB"), np.zeros((2, 5)), ShapeError, r"\(rows, 4\)"),
        (lambda: pair("BB"), np.zeros((0, 4)), DataError, "needs rows"),
        (lambda: pair("BB"), np.full((2, 4), 0.5), DataError, "one of the values"),
        (lambda: pair("BB"), np.full((2, 4), np.nan), DataError, "NaN"),
    ],
)
def test_what_it_cannot_measure_is_named(model_of, data, error, words):
    with pytest.raises(error, match=words):
        pseudo_log_likelihood(model_of(), data)
