"""States as scripts written for version 0.2 use them."""

import numpy as np
import pytest
from machines import array, arrays, build, pair, random_state, skip

from paysage import backends as be
from paysage.models import State
from paysage.samplers import ParallelTempering, SequentialMC, TemperedTransitions

ROWS = 20_000


def expit(x):
    return 1 / (1 + np.exp(-x))


@pytest.mark.parametrize(
    "start",
    [
        State.from_visible,
        lambda visible, model: SequentialMC.from_visible(model, visible).get_state(),
        lambda visible, model: ParallelTempering.from_visible(model, visible).get_state(),
        lambda visible, model: TemperedTransitions.from_visible(model, visible).get_state(),
    ],
    ids=["state", "sequential", "parallel tempering", "tempered transitions"],
)
def test_from_visible_samples_the_other_layers_from_their_isolated_distribution(start):
    model = build("BBB", (4, 4, 3), seed=3, scale=3.0)
    visible = np.ones((ROWS, 4), np.float32)
    state = start(be.float_tensor(visible), model)
    np.testing.assert_array_equal(array(state[0]), visible)
    for i in (1, 2):
        units = array(state[i])
        assert set(np.unique(units)) == {0.0, 1.0}
        p = expit(array(model.layers[i].params.loc))
        z = (units.mean(axis=0) - p) / np.sqrt(p * (1 - p) / ROWS)
        assert np.abs(z).max() < 5


def test_from_visible_samples_gaussian_units():
    model = pair("BG")
    state = State.from_visible(np.ones((ROWS, 4)), model)
    loc, var = array(model.layers[1].params.loc), np.exp(array(model.layers[1].params.log_var))
    z = (array(state[1]).mean(axis=0) - loc) / np.sqrt(var / ROWS)
    assert np.abs(z).max() < 5
    np.testing.assert_allclose(array(state[1]).var(axis=0), var, rtol=5 * np.sqrt(2 / ROWS))


@pytest.mark.parametrize("method", ["mean_field_iteration", "deterministic_iteration"])
def test_reconstructions_do_not_depend_on_random_units(method):
    for model in (pair("BB"), skip(), build("BBB", (4, 3, 2))):
        visible = random_state(model, 6)[0]
        first = arrays(model.compute_reconstructions(visible, method))
        again = arrays(model.compute_reconstructions(visible, method))
        for a, b in zip(first, again, strict=True):
            np.testing.assert_array_equal(a, b)
