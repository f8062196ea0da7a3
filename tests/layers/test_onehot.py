"""A layer of which exactly one unit is on."""

from types import SimpleNamespace

import numpy as np
import pytest
import stationarity
from machines import array
from test_layers import BETAS, ROWS, UNITS, beta_of, columns, fields, make, twin

from paysage import backends as be
from paysage import preprocess
from paysage.errors import DataError
from paysage.layers import OneHotLayer
from paysage.layers.bernoulli import MIN_MEAN
from paysage.testing import all_states

EYE = np.eye(UNITS)


def exponents(layer, field, column):
    """-beta (energy - seen · field) of each state, (B, n): from the energy alone."""
    unit = twin(layer)
    return -column * (unit.energy(EYE) - array(field) @ unit.seen(EYE).T)


def probabilities(layer, field, column):
    weights = np.exp(exponents(layer, field, column))
    return weights / weights.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("beta_name", BETAS)
def test_mean_is_the_probability_and_beta_tempers_the_bias_too(beta_name):
    layer, field = make(OneHotLayer), fields()
    beta, column = beta_of(beta_name)
    wanted = probabilities(layer, field, column)
    np.testing.assert_allclose(array(layer.mean(field, beta)), wanted, rtol=2e-6, atol=1e-7)


@pytest.mark.parametrize("beta_name", BETAS)
def test_mode_is_the_most_probable_unit(beta_name):
    layer, field = make(OneHotLayer), fields()
    beta, column = beta_of(beta_name)
    mode = layer.mode(field, beta)
    np.testing.assert_array_equal(array(mode), EYE[probabilities(layer, field, column).argmax(1)])
    assert be.dtype(mode) == be.Float


def test_mode_of_nan_is_nan():
    field = array(fields())
    field[2, 3] = np.nan
    found = array(make(OneHotLayer).mode(be.float_tensor(field)))
    assert np.isnan(found[2]).all() and np.isfinite(np.delete(found, 2, axis=0)).all()


@pytest.mark.parametrize("beta_name", BETAS)
def test_sample(beta_name):
    layer = make(OneHotLayer)
    draws, field, column = columns(layer, beta_name)
    assert set(np.unique(draws)) == {0.0, 1.0} and (draws.sum(axis=1) == 1).all()
    p = probabilities(layer, be.float_tensor(field), column)
    for half in (slice(None, 10000), slice(10000, None)):
        assert stationarity.chi_square(draws[half].argmax(axis=1), p[half][0]) > 1e-6


@pytest.mark.parametrize("beta_name", BETAS)
@pytest.mark.parametrize("center", [False, True])
def test_log_partition_by_enumeration(beta_name, center):
    layer, field = make(OneHotLayer, center), fields()
    beta, column = beta_of(beta_name)
    found = layer.conditional_log_partition(field, beta)
    assert tuple(be.shape(found)) == (ROWS,)
    wanted = np.log(np.exp(exponents(layer, field, column)).sum(axis=1))
    np.testing.assert_allclose(array(found), wanted, rtol=3e-6, atol=1e-5)


def test_log_partition_of_wide_layers_and_of_large_fields():
    layer = OneHotLayer(1000)
    field = np.random.default_rng(0).normal(0, 2, (3, 1000)).astype(np.float32)
    wanted = np.log(np.exp(field.astype(np.float64)).sum(axis=1))
    # one rounding of a number near ten
    np.testing.assert_allclose(
        array(layer.log_partition(be.float_tensor(field))), wanted, atol=2e-6
    )
    field[:, 7] = 1e30
    np.testing.assert_allclose(
        array(layer.log_partition(be.float_tensor(field), 0.5)), 5e29, rtol=1e-6
    )


def test_a_layer_of_one_unit():
    layer = OneHotLayer(1)
    field = be.float_tensor([[-3.0], [40.0]])
    for hook in (layer.mean, layer.mode, layer.sample):
        assert array(hook(field)).tolist() == [[1], [1]]
    np.testing.assert_allclose(array(layer.log_partition(field)), [-3, 40])
    layer.check_values(be.ones((4, 1)))


def test_states_are_the_units():
    layer = OneHotLayer(UNITS)
    assert layer.num_states() == UNITS
    np.testing.assert_array_equal(all_states(layer), EYE)


def test_fit_marginal_gives_the_mean_of_the_data():
    layer = OneHotLayer(4)
    mean = np.array([0.5, 0.3, 0.2, 0.0])
    layer.fit_marginal(SimpleNamespace(mean=be.float_tensor(mean), var=None))
    isolated = array(layer.mean(layer.zero_field(1)))[0]
    np.testing.assert_allclose(isolated, [0.5, 0.3, 0.2, MIN_MEAN], atol=2 * MIN_MEAN)
    assert np.isfinite(array(layer.params.loc)).all()


def test_units_of_categories_fit():
    units = preprocess.one_hot(be.float_tensor([[2.0], [0.0], [1.0]]), [0, 1, 2])
    OneHotLayer(3).check_values(units)


@pytest.mark.parametrize(
    "row, said",
    [
        ([1, 1, 0, 0, 0], "sums to 2"),
        ([0, 0, 0, 0, 0], "sums to 0"),
        ([0.5, 0.25, 0.25, 0, 0], r"the value 0\.5"),
        ([2, -1, 0, 0, 0], "from -1 to 2"),
        ([np.nan, 1, 0, 0, 0], "NaN"),
    ],
)
def test_rows_that_are_not_one_hot_are_refused(row, said):
    units = np.vstack([EYE, [row]])
    with pytest.raises(DataError, match=rf"OneHotLayer\(5\).*{said}"):
        OneHotLayer(UNITS).check_values(be.float_tensor(units))


def test_means_of_a_layer_below_pass_where_they_are_meant():
    layer = OneHotLayer(UNITS)
    means = layer.mean(fields())
    with pytest.raises(DataError, match="the value 0"):
        layer.check_values(means)
    layer.takes_means = True
    layer.check_values(means)
    with pytest.raises(DataError, match="sums to"):
        layer.check_values(0.9 * means)
