"""Likelihoods of rows, held to enumeration."""

import numpy as np
import pytest
from machines import array, build, pair, twin

from paysage import backends as be
from paysage.errors import ConfigError, DataError, ShapeError
from paysage.likelihood import (
    AIS,
    exact_log_partition,
    log_likelihood,
    rows,
    variational_bound,
)
from paysage.testing import ExactMachine

TWO_LAYERS = {name: (lambda name=name: pair(name)) for name in ("BB", "BG", "BO", "OB", "OG")}
DEEP = {
    "BBB": lambda: build("BBB", (4, 3, 3), seed=2),
    "BBB centered": lambda: build("BBB", (4, 3, 3), seed=2, center=True),
    "BOB": lambda: build("BOB", (4, 3, 3), seed=2),
    "BBG": lambda: build("BBG", (4, 3, 2), seed=2, scale=0.4),
}


def of_visible(model):
    """Log probability of every visible state, from the sum over all states."""
    exact = ExactMachine(model)
    states = model.layers[0].all_states()
    index = array(exact.states[0]) @ 2.0 ** np.arange(model.layers[0].num_units)
    wanted = array(states) @ 2.0 ** np.arange(model.layers[0].num_units)
    return states, np.log([exact.probabilities[index == w].sum() for w in wanted])


@pytest.mark.parametrize("name", TWO_LAYERS)
def test_the_likelihood_is_the_sum_over_hidden_states(name):
    model = TWO_LAYERS[name]()
    states, wanted = of_visible(model)
    found = log_likelihood(model, states, exact_log_partition(model))
    np.testing.assert_allclose(found.rows, wanted, atol=2e-5)
    assert found.mean == pytest.approx(wanted.mean(), abs=2e-5)
    assert found.standard_error == pytest.approx(
        wanted.std(ddof=1) / np.sqrt(len(wanted)), rel=1e-3
    )


@pytest.mark.parametrize("name", ["BB", "BG", "BO"])
def test_with_one_hidden_layer_the_bound_is_tight(name):
    """The posterior is one of independent layers then."""
    model = pair(name)
    states, wanted = of_visible(model)
    found = variational_bound(model, states, exact_log_partition(model))
    np.testing.assert_allclose(found.rows, wanted, atol=2e-5)


@pytest.mark.parametrize("name", DEEP)
def test_the_bound_of_a_deep_machine_lies_below_and_near(name):
    model = DEEP[name]()
    states, wanted = of_visible(model)
    found = variational_bound(model, states, exact_log_partition(model))
    slack = wanted - found.rows
    assert slack.min() > -2e-5
    assert 1e-4 < slack.max() < 0.5


def test_a_likelihood_that_cannot_be_summed_is_refused():
    with pytest.raises(ConfigError, match="variational_bound"):
        log_likelihood(DEEP["BBB"](), be.zeros((2, 4)), 0.0)


def test_data_that_do_not_fit_are_refused():
    model = pair("BB")
    with pytest.raises(ShapeError):
        log_likelihood(model, be.zeros((2, 3)), 0.0)
    with pytest.raises(DataError):
        variational_bound(model, 3.0 * be.ones((2, 4)), 0.0)


def test_one_row_has_no_standard_error():
    assert np.isnan(log_likelihood(pair("BB"), be.zeros((1, 4)), 0.0).standard_error)


@pytest.mark.parametrize("measure", [log_likelihood, variational_bound])
def test_an_estimate_is_no_log_partition(measure):
    model = pair("BB")
    for wrong in (AIS(model, 20, 20).run(), None, float("nan")):
        with pytest.raises(ConfigError, match="log_partition must be a finite number, got"):
            measure(model, be.zeros((2, 4)), wrong)


@pytest.mark.parametrize("offset", [0.0, 1e5, 1e7])
def test_log_likelihood_of_data_with_a_large_offset_is_computed_in_double_precision(offset):
    """The data are in double precision; the parameters can be represented in single precision."""
    model = pair("GB")
    model.layers[0].params.loc[:] = be.float_tensor(offset + np.arange(4.0))
    model.connections[0].weights.params.matrix[:] = 0.5
    model.layers[1].params.loc[:] = -2.0 * offset
    visible = offset + np.random.default_rng(0).normal(size=(5, 4))
    wanted = [twin(model).log_sum({0: row}) for row in visible]
    found = log_likelihood(model, visible, 0.0)
    np.testing.assert_allclose(found.rows, wanted, atol=1e-6)


def test_log_likelihood_in_blocks_equals_one_block(monkeypatch):
    model = pair("BB")
    states = model.layers[0].all_states()
    wanted = log_likelihood(model, states, 0.0).rows
    monkeypatch.setattr(rows, "BLOCK", 3)
    np.testing.assert_allclose(log_likelihood(model, states, 0.0).rows, wanted, rtol=1e-12)
