"""The exact pseudo-likelihood, row by row, against enumeration."""

import itertools
import tracemalloc

import numpy as np
import pytest
from machines import array, build, pair, skip, twin

from paysage import backends as be
from paysage.errors import ConfigError, DataError, ShapeError
from paysage.layers import BernoulliLayer, OneHotLayer
from paysage.likelihood import exact_log_partition, log_likelihood, pseudo, pseudo_log_likelihood
from paysage.metrics import ModelAssessment, PseudoLikelihood
from paysage.models import BoltzmannMachine


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
    np.testing.assert_allclose(found.rows, wanted, atol=1e-6)
    assert found.mean == pytest.approx(wanted.mean(), abs=1e-6)
    assert found.standard_error == pytest.approx(wanted.std(ddof=1) / np.sqrt(7), rel=1e-3)


def test_metric_returns_the_mean_and_nothing_is_sampled():
    model, visible = build("BB", (70, 5), scale=0.1), be.float_tensor(binary(40, 70))
    be.set_seed(3)
    before = be.rand((1,))
    be.set_seed(3)
    found = pseudo_log_likelihood(model, visible)
    assert be.allclose(be.rand((1,)), before)
    assert PseudoLikelihood().measure(ModelAssessment(visible, model)) == found.mean


def test_strong_couplings_do_not_cancel():
    """Free energies are about 1e6, their differences about 1."""
    model = pair("BB")
    matrix = array(model.connections[0].weights.W())
    matrix[:, 0] = [1e6, 1e6 + 1, 1e6 - 2, 1e6 + 1]
    model.connections[0].weights.params.matrix[:] = be.float_tensor(matrix)
    model.layers[0].params.loc[:] = be.float_tensor([-1e6, -1e6, -1e6, -1e6])
    visible = binary(7, 4)
    wanted = by_enumeration(model, visible)
    assert wanted.min() < -1
    np.testing.assert_allclose(pseudo_log_likelihood(model, visible).rows, wanted, atol=1e-6)


class Potts(OneHotLayer):
    """Three sites of two states; the joint states are listed for the tests."""

    def num_states(self):
        return 8

    def all_states(self):
        rows = np.array(list(itertools.product((0, 1), repeat=3)))
        return be.float_tensor(np.eye(2)[rows].reshape(8, 6))

    def states_at(self, numbers):
        return self.all_states()[be.long_tensor(numbers)]

    def variables(self):
        return [[0, 1], [2, 3], [4, 5]]

    def check_values(self, units):
        pass


def potts_model(layer):
    model = BoltzmannMachine([layer, BernoulliLayer(3)])
    rng = np.random.default_rng(4)
    model.connections[0].weights.params.matrix[:] = be.float_tensor(rng.normal(size=(6, 3)))
    model.layers[0].params.loc[:] = be.float_tensor(rng.normal(size=6))
    return model


def test_each_categorical_variable_is_conditioned_on_the_others():
    model = potts_model(Potts(6))
    states = array(model.layers[0].all_states())
    weight = np.array([twin_weight(model, row) for row in states])
    wanted = []
    for row, own in zip(states, weight, strict=True):
        total = 0.0
        for site in range(3):
            rest = np.delete(states, [2 * site, 2 * site + 1], axis=1)
            same = (rest == np.delete(row, [2 * site, 2 * site + 1])).all(axis=1)
            total += own - np.logaddexp.reduce(weight[same])
        wanted.append(total)
    found = pseudo_log_likelihood(model, states)
    np.testing.assert_allclose(found.rows, wanted, atol=1e-6)


def twin_weight(model, row):
    """The log of the unnormalized probability of visible units, from the formula."""
    field = row @ array(model.connections[0].weights.W()) + array(model.layers[1].params.loc)
    return row @ array(model.layers[0].params.loc) + np.logaddexp(0, field).sum()


@pytest.mark.backend_free
def test_memory_of_a_categorical_variable_of_many_states_is_bounded():
    """A table of all 6,000 states would take 144 MB in single precision."""
    model = BoltzmannMachine([OneHotLayer(6000), BernoulliLayer(3)])
    rows = np.eye(6000, dtype=np.float32)[:4]
    tracemalloc.start()
    found = pseudo_log_likelihood(model, rows)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 72e6
    np.testing.assert_allclose(found.rows, -np.log(6000), atol=0.2)  # weights are N(0, 0.01²)


class ManyStates(Potts):
    """A layer of joint states that are too many, and that does not say what its variables are."""

    def num_states(self):
        return 2**30

    def variables(self):
        return None


@pytest.mark.backend_free
def test_too_many_joint_states_are_refused_with_the_hook_to_define():
    with pytest.raises(ConfigError, match=r"variables\(\)"):
        pseudo_log_likelihood(potts_model(ManyStates(6)), np.zeros((1, 6)))


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
