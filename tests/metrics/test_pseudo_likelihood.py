"""Pseudo-likelihoods against the enumeration of `reference`, which knows no formula."""

from types import SimpleNamespace

import numpy as np
import pytest
from machines import build, pair, skip, state_of, twin

from paysage import backends as be
from paysage.errors import ConfigError, DataError
from paysage.layers import BernoulliLayer, OneHotLayer, Weights
from paysage.metrics import PseudoLikelihood
from paysage.models import BoltzmannMachine, Connection
from paysage.testing import ExactMachine


def seen(model, visible):
    return SimpleNamespace(model=model, data=be.float_tensor(np.asarray(visible, np.float32)))


def by_enumeration(model, visible):
    """Mean over rows of the sum over units of log p(v_i | the other units)."""
    machine = twin(model)
    total = 0.0
    for row in visible:
        own = machine.log_sum({0: row})
        for i in range(len(row)):
            flipped = row.copy()
            flipped[i] = 1 - row[i]
            total -= np.logaddexp(0.0, machine.log_sum({0: flipped}) - own)
    return total / len(visible)


def binary(rows, columns, seed=2):
    return np.random.default_rng(seed).integers(0, 2, size=(rows, columns)).astype(np.float64)


@pytest.mark.parametrize("center", [False, True])
@pytest.mark.parametrize("kinds", ["BB", "BG"])
def test_exact(kinds, center):
    model, visible = pair(kinds, center=center), binary(6, 4)
    measured = PseudoLikelihood().measure(seen(model, visible))
    assert measured == pytest.approx(by_enumeration(model, visible), abs=1e-6)


def test_a_connection_that_points_downwards():
    model, visible = build("BB", (4, 3), [(1, 0)]), binary(6, 4)
    measured = PseudoLikelihood().measure(seen(model, visible))
    assert measured == pytest.approx(by_enumeration(model, visible), abs=1e-6)


def test_one_random_unit_a_row_gives_the_same_mean():
    """The same row 20000 times: four standard errors of the four terms, which are known."""
    model, row = pair("BB"), binary(1, 4)
    machine, rows = twin(model), 20_000
    terms = []
    for i in range(4):
        flipped = np.where(np.arange(4) == i, 1 - row[0], row[0])
        gap = machine.log_sum({0: flipped}) - machine.log_sum({0: row[0]})
        terms.append(-4 * np.logaddexp(0.0, gap))
    measured = PseudoLikelihood(max_exact=3).measure(seen(model, np.tile(row, (rows, 1))))
    assert np.std(terms) > 0.1
    assert measured == pytest.approx(np.mean(terms), abs=4 * np.std(terms) / rows**0.5)


def test_it_is_exact_by_default_for_any_number_of_units():
    model, visible = build("BB", (65, 5), scale=0.1), binary(40, 65)
    found = PseudoLikelihood().measure(seen(model, visible))
    assert found == PseudoLikelihood().measure(seen(model, visible))
    assert found == pytest.approx(by_enumeration(model, visible), abs=1e-6)


def test_units_are_sampled_above_max_exact():
    model, visible = build("BB", (65, 5), scale=0.1), binary(40, 65)
    metric, exact = PseudoLikelihood(max_exact=64), PseudoLikelihood(max_exact=65)
    first = metric.measure(seen(model, visible))
    assert metric.measure(seen(model, visible)) != first
    expected = exact.measure(seen(model, visible))
    assert exact.measure(seen(model, visible)) == expected
    # the term of one unit is between -1.5 and 0, times 65; its deviation is below 0.4 * 65
    assert first == pytest.approx(expected, abs=4 * 26 / 40**0.5)


def test_a_layer_that_is_one_categorical_variable_has_its_likelihood():
    model = BoltzmannMachine([OneHotLayer(5), BernoulliLayer(3)])
    rng = np.random.default_rng(6)
    model.connections[0].weights.params.matrix[:] = be.float_tensor(rng.normal(size=(5, 3)))
    model.layers[0].params.loc[:] = be.float_tensor(rng.normal(size=5))
    visible = np.eye(5)[[0, 3, 3, 1]]
    exact = ExactMachine(model)
    probability = be.to_numpy_array(exact.states[0]).T @ exact.probabilities
    measured = PseudoLikelihood().measure(seen(model, visible))
    assert measured == pytest.approx(np.mean(np.log(visible @ probability)), abs=1e-5)


class Ternary(BernoulliLayer):
    """Units of three values, to see that all of them are summed."""

    support, values = (-1.0, 1.0), (-1.0, 0.0, 1.0)


def test_units_of_three_values():
    layers = [Ternary(3), BernoulliLayer(2)]
    weights = Weights((3, 2))
    weights.params.matrix[:] = be.float_tensor([[1.0, -0.5], [0.3, 2.0], [-1.0, 0.7]])
    model = BoltzmannMachine(layers, [Connection(0, 1, weights)])
    layers[0].params.loc[:] = be.float_tensor([0.2, -0.4, 1.0])
    row = np.array([1.0, 0.0, -1.0])
    total = 0.0
    for i in range(3):
        states = np.tile(row, (3, 1))
        states[:, i] = Ternary.values
        # p(v) ∝ Σ_h exp(-E), the four hidden states one by one
        weight = sum(
            np.exp(-be.to_numpy_array(model.joint_energy(state_of([states, np.tile(h, (3, 1))]))))
            for h in np.ndindex(2, 2)
        )
        total += np.log(weight[Ternary.values.index(row[i])] / weight.sum())
    assert PseudoLikelihood().measure(seen(model, [row])) == pytest.approx(total, abs=1e-5)


def test_what_it_cannot_measure_is_named():
    with pytest.raises(ConfigError, match=r"got GaussianLayer\(4\), whose values cannot be listed"):
        PseudoLikelihood().measure(seen(pair("GB"), binary(2, 4)))
    with pytest.raises(ConfigError, match="a visible and a hidden layer"):
        PseudoLikelihood().measure(seen(skip(), binary(2, 4)))
    doubled = pair("BB")
    doubled.connections[0].domain_gain = 2.0
    with pytest.raises(ConfigError, match="there is no energy"):
        PseudoLikelihood().measure(seen(doubled, binary(2, 4)))
    with pytest.raises(DataError, match=r"one of the values \(0.0, 1.0\)"):
        PseudoLikelihood().measure(seen(pair("BB"), np.full((2, 4), 0.5)))


@pytest.mark.backend_free
def test_options():
    assert PseudoLikelihood(3).get_config() == {"name": "PseudoLikelihood", "max_exact": 3}
    assert PseudoLikelihood().get_config() == {"name": "PseudoLikelihood", "max_exact": None}
    for wrong in (-1, 2.5, "64"):
        with pytest.raises(ConfigError, match="max_exact"):
            PseudoLikelihood(wrong)
