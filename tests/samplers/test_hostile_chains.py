"""Chains that have nothing to sample, or nowhere to start, say so; all samplers alike."""

import numpy as np
import pytest
from machines import build, pair

from paysage import backends as be
from paysage.errors import ConfigError, DataError, DivergenceError, ShapeError
from paysage.models import State
from paysage.samplers import ParallelTempering, SequentialMC, TemperedTransitions
from paysage.samplers.diagnostics import integrated_autocorrelation_time

SAMPLERS = [SequentialMC, ParallelTempering, TemperedTransitions]


def spoiled(where, value):
    model = pair("BB")
    if where == "weights":
        model.connections[0].weights.params.matrix[1, 2] = value
    else:
        model.layers[where].params.loc[1] = value
    return model


@pytest.mark.parametrize("kind", SAMPLERS)
@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("where", ["weights", 0, 1])
def test_parameters_that_are_no_numbers(where, value, kind):
    """Draws of binary units would hide them: a uniform number is not below NaN."""
    with pytest.raises(DivergenceError, match="NaN or infinite"):
        kind.generate_fantasy_state(spoiled(where, value), 5, 3)


@pytest.mark.parametrize("kind", SAMPLERS)
def test_no_chains_stay_none(kind):
    state = kind.generate_fantasy_state(pair("BB"), 0, 3)
    assert [be.shape(units) for units in state] == [(0, 4), (0, 3)]


@pytest.mark.parametrize("kind", SAMPLERS)
def test_a_model_that_diverges_later_is_noticed(kind):
    model = pair("BB")
    chains = kind.from_model(model, 5)
    chains.update_state(2)
    model.layers[0].params.loc[:] = np.nan
    with pytest.raises(DivergenceError, match="'loc' of layer 0"):
        chains.update_state(2)


@pytest.mark.parametrize("kind", SAMPLERS)
@pytest.mark.filterwarnings("ignore:overflow", "ignore:invalid")
def test_gaussian_layers_that_run_away(kind):
    model = build("GG", (4, 3), scale=3.0)
    with pytest.raises(DivergenceError, match="NaN or infinite"):
        kind.generate_fantasy_state(model, 5, 200)


@pytest.mark.parametrize("kind", SAMPLERS)
@pytest.mark.parametrize(
    "start, error",
    [
        ([np.full((2, 4), np.nan), np.zeros((2, 3))], DataError),
        ([np.full((2, 4), 255.0), np.zeros((2, 3))], DataError),
        ([np.zeros((2, 4)), np.full((2, 3), -1.0)], DataError),
        ([np.zeros((2, 5)), np.zeros((2, 3))], ShapeError),
        ([np.zeros((2, 4))], ShapeError),
    ],
)
def test_units_that_the_layers_cannot_have(kind, start, error):
    """Shapes are checked at once, values before the first sweep."""
    chains = kind(pair("BB"))
    state = State(be.float_tensor(units) for units in start)
    if error is ShapeError:
        with pytest.raises(ShapeError):
            chains.set_state(state)
    else:
        chains.set_state(state)
        with pytest.raises(DataError):
            chains.update_state(1)


@pytest.mark.parametrize("kind", SAMPLERS)
def test_means_are_a_start_and_one_chain_is_enough(kind):
    model = pair("OB")
    state = kind.from_visible(model, np.eye(4)[[1]]).get_state()
    assert state.batch_size() == 1
    chains = kind(model)
    chains.set_state(State.from_visible_means(np.eye(4)[[1]], model))
    chains.update_state(5)
    assert set(be.to_numpy_array(chains.get_state()[1]).reshape(-1)) <= {0.0, 1.0}


@pytest.mark.parametrize("kind", SAMPLERS)
@pytest.mark.parametrize("wrong", ["state", None, np.zeros((2, 4))])
def test_what_is_no_state(kind, wrong):
    with pytest.raises(ConfigError, match="expected a state"):
        kind(pair("BB")).set_state(wrong)


@pytest.mark.parametrize("kind", SAMPLERS)
@pytest.mark.parametrize("number", [-3, 2.5, "many", np.nan, True, None])
def test_numbers_of_chains_that_cannot_be_meant(kind, number):
    with pytest.raises(ConfigError, match="batch_size"):
        kind.from_model(pair("BB"), number)


@pytest.mark.parametrize("kind", [ParallelTempering, TemperedTransitions])
@pytest.mark.filterwarnings("ignore:overflow", "ignore:invalid")
def test_energies_beyond_floats_accept_nothing(kind):
    model = pair("BB")
    model.connections[0].weights.params.matrix[:] = 1e38
    with pytest.raises(DivergenceError, match="energies"):
        kind.generate_fantasy_state(model, 5, 3)


@pytest.mark.backend_free
@pytest.mark.parametrize("series", [["a", "b"], [1j, 2, 3], [1.0, np.inf], [[1.0], [2.0, 3.0]]])
def test_a_series_of_something_else(series):
    with pytest.raises(DataError):
        integrated_autocorrelation_time(series)
