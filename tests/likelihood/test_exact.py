"""The partition function as a sum over one half, against the sum over all states."""

import numpy as np
import pytest
from machines import array, build, pair, skip, twin

from paysage import backends as be
from paysage.errors import ConfigError
from paysage.layers import BernoulliLayer
from paysage.likelihood import exact as module
from paysage.likelihood import exact_log_partition
from paysage.models import BoltzmannMachine, State
from paysage.testing import ExactMachine

RING = [(0, 1), (1, 2), (2, 3), (3, 0)]
MACHINES = {
    "BB": lambda: build("BB", (6, 5), seed=1),
    "BB centered": lambda: build("BB", (6, 5), seed=1, center=True),
    "BG": lambda: pair("BG"),
    "GB": lambda: pair("GB"),
    "BO": lambda: pair("BO"),
    "OG": lambda: pair("OG"),
    "OO centered": lambda: pair("OO", center=True),
    "BBB": lambda: build("BBB", (4, 4, 3), seed=2),
    "BGB": lambda: build("BGB", (4, 3, 3), seed=2, scale=0.4),
    "OBO": lambda: build("OBO", (4, 3, 3), seed=2),
    "a ring of four": lambda: build("BBBB", (3, 2, 3, 2), RING, seed=2),
}


@pytest.mark.parametrize("name", MACHINES)
@pytest.mark.parametrize("chunk", [5, 8192])
def test_it_is_the_sum_over_all_states(monkeypatch, name, chunk):
    monkeypatch.setattr(module, "CHUNK", chunk)
    model = MACHINES[name]()
    # energies of about 10 in single precision
    assert exact_log_partition(model) == pytest.approx(ExactMachine(model).log_partition, abs=1e-5)


def test_large_energies_do_not_overflow():
    model = build("BB", (6, 5), seed=1)
    model.layers[0].params.loc[:] = 300.0
    wanted = (
        6 * 300
        + np.logaddexp(
            0,
            array(model.layers[1].params.loc) + array(model.connections[0].weights.W()).sum(axis=0),
        ).sum()
    )
    # float32 rounds sums of 1800 to 1e-4
    assert exact_log_partition(model) == pytest.approx(wanted, abs=1e-3)


def test_the_half_with_fewer_states_is_summed():
    model = BoltzmannMachine([BernoulliLayer(300), BernoulliLayer(3)])
    expected = (300 + 3) * np.log(2)
    model.connections[0].weights.params.matrix[:] = 0.0
    assert exact_log_partition(model) == pytest.approx(expected, rel=1e-6)


def test_what_has_too_many_states_is_refused():
    model = BoltzmannMachine([BernoulliLayer(40), BernoulliLayer(50)])
    with pytest.raises(ConfigError, match=r"2\^40 and 2\^50 states.*AIS"):
        exact_log_partition(model)
    with pytest.raises(ConfigError, match="infinitely many"):
        exact_log_partition(build("BGG", (4, 3, 3), scale=0.1))


@pytest.mark.parametrize("center", [False, True])
@pytest.mark.parametrize(
    ("kinds", "sizes", "edges"),
    [("GG", (4, 3), None), ("GGG", (3, 2, 2), None), ("GGG", (3, 2, 2), [(1, 0), (2, 1)])],
)
def test_gaussian_layers_alone_are_integrated(kinds, sizes, edges, center):
    """By the mean weight of exp(-energy) at normal numbers somewhat wider than the density."""
    model = build(kinds, sizes, edges, seed=1, scale=0.2, center=center)
    rng, wide = np.random.default_rng(2), 1.3
    noise = [rng.normal(size=(200_000, n)) for n in sizes]
    deviations = [wide * np.exp(0.5 * array(k.params.log_var)) for k in model.layers]
    locs = [array(k.params.loc) for k in model.layers]
    units = [a + s * z for a, s, z in zip(locs, deviations, noise, strict=True)]
    weights = -array(model.joint_energy(State(be.float_tensor(u) for u in units)))
    for s, z in zip(deviations, noise, strict=True):
        weights += 0.5 * (z**2).sum(axis=1) + np.log(s).sum() + 0.5 * len(s) * np.log(2 * np.pi)
    top = weights.max()
    relative = np.exp(weights - top)
    error = relative.std() / relative.mean() / np.sqrt(len(weights))
    assert error < 0.01
    found = exact_log_partition(model)
    assert abs(top + np.log(relative.mean()) - found) < 5 * error


def test_an_odd_ring_is_refused():
    with pytest.raises(ConfigError, match="odd number"):
        exact_log_partition(skip())


def test_states_by_number_match_the_list_of_all_states():
    for layer in (BernoulliLayer(4), pair("OB").layers[0]):
        states = array(layer.all_states())
        assert len(np.unique(states, axis=0)) == layer.num_states()
        for numbers in (np.arange(len(states)), np.array([2, 0, 3, 2])):
            found = layer.states_at(numbers)
            assert be.dtype(found) == be.Float
            np.testing.assert_array_equal(array(found), states[numbers])


@pytest.mark.parametrize("kinds", ["BB", "BO", "OB"])
def test_energies_of_1e6_are_summed_in_double_precision(kinds):
    model = build(kinds, (6, 5), seed=1, scale=1e6)
    # float32 rounds sums of 1e6 by 0.1
    assert exact_log_partition(model) == pytest.approx(twin(model).log_sum(), abs=1e-6)


@pytest.mark.parametrize("offset", [0.0, 1e5, 1e7])
def test_gaussian_units_with_large_means_are_integrated_in_double_precision(offset):
    """The hidden biases take up what the large means add to the fields, as after training."""
    model = pair("GB")
    visible, hidden = model.layers
    visible.params.loc[:] = be.float_tensor(offset + np.arange(4.0))
    visible.params.log_var[:] = 0.0
    model.connections[0].weights.params.matrix[:] = 0.5
    hidden.params.loc[:] = -2.0 * offset
    states = array(hidden.all_states())
    field = states @ np.full((3, 4), 0.5)
    terms = field * (array(visible.params.loc) + 0.5 * field) + 0.5 * np.log(2 * np.pi)
    wanted = np.logaddexp.reduce(terms.sum(axis=1) + states @ array(hidden.params.loc))
    assert exact_log_partition(model) == pytest.approx(wanted, abs=1e-6)


class SingleOnly(BernoulliLayer):
    """A layer whose energy accepts single precision tensors only."""

    def energy(self, units):
        if be.dtype(units) != be.Float:
            raise TypeError("single precision expected")
        return super().energy(units)


def test_layers_that_accept_single_precision_only_are_summed_in_single_precision():
    model = build("BB", (6, 5), seed=1)
    wanted = exact_log_partition(model)
    layer = SingleOnly(6)
    layer.set_params(model.layers[0].params)
    other = BoltzmannMachine([layer, model.layers[1]], model.connections)
    assert exact_log_partition(other) == pytest.approx(wanted, abs=1e-5)
