"""Each unit type against what its energy says, in double precision."""

import itertools
from types import SimpleNamespace

import numpy as np
import pytest
import reference
from machines import NAMES, array
from scipy import stats

from paysage import backends as be
from paysage.errors import ConfigError, DataError, ShapeError
from paysage.layers import BernoulliLayer, GaussianLayer, Layer, OneHotLayer, layer_from_config
from paysage.layers.bernoulli import MIN_MEAN
from paysage.layers.layer import LAYER_TYPES

ROWS, UNITS = 7, 5
TYPES = [BernoulliLayer, GaussianLayer, OneHotLayer]
BETAS = ["none", "number", "column"]
# single precision carries 6e-8; a handful of operations on numbers of order ten
CLOSE = {"rtol": 3e-6, "atol": 3e-6}
# two-sided 5 sigma has probability 6e-7; the seeds are fixed, so a failure means a changed law
SIGMAS = 5.0


def make(kind, center=False, seed=11):
    rng = np.random.default_rng(seed)
    layer = kind(UNITS, center=center)
    layer.params.loc[:] = be.float_tensor(rng.normal(0, 1, UNITS))
    if kind is GaussianLayer:
        layer.params.log_var[:] = be.float_tensor(rng.uniform(-1, 1, UNITS))
    if center:
        layer.offset[:] = be.float_tensor(rng.uniform(0.1, 0.9, UNITS))
    return layer


def twin(layer):
    params = {name: array(p) for name, p in layer.params._asdict().items()}
    return reference.Units(
        NAMES[type(layer)], params, array(layer.offset) if layer.center else None
    )


def fields(rows=ROWS, seed=12):
    return be.float_tensor(np.random.default_rng(seed).normal(0, 2, (rows, UNITS)))


def beta_of(name, rows=ROWS):
    """The library's argument, and the same as a column of numbers."""
    if name == "none":
        return None, np.ones((rows, 1))
    if name == "number":
        return 0.6, np.full((rows, 1), 0.6)
    column = np.linspace(0.3, 1.7, rows)[:, None].astype(np.float32)
    return be.float_tensor(column), column.astype(np.float64)


def some_units(layer, rows=ROWS, seed=13):
    rng = np.random.default_rng(seed)
    if isinstance(layer, BernoulliLayer):
        return be.float_tensor(rng.integers(0, 2, (rows, UNITS)).astype(np.float32))
    if isinstance(layer, OneHotLayer):
        return be.float_tensor(np.eye(UNITS)[rng.integers(0, UNITS, rows)])
    return be.float_tensor(rng.normal(0.3, 1.5, (rows, UNITS)))


@pytest.mark.parametrize("kind", TYPES)
def test_energy(kind):
    layer = make(kind)
    units = some_units(layer)
    energy = layer.energy(units)
    assert tuple(be.shape(energy)) == (ROWS,)
    np.testing.assert_allclose(array(energy), twin(layer).energy(array(units)), **CLOSE)


@pytest.mark.parametrize("center", [False, True])
@pytest.mark.parametrize("kind", TYPES)
def test_what_connections_see(kind, center):
    layer = make(kind, center)
    units = some_units(layer)
    before = array(units)
    np.testing.assert_allclose(array(layer.connected(units)), twin(layer).seen(before), **CLOSE)
    np.testing.assert_array_equal(array(units), before)


@pytest.mark.parametrize("beta_name", BETAS)
def test_bernoulli_mean(beta_name):
    layer, field = make(BernoulliLayer), fields()
    beta, column = beta_of(beta_name)
    wanted = reference.expit(column * (array(field) + array(layer.params.loc)))
    np.testing.assert_allclose(array(layer.mean(field, beta)), wanted, rtol=0, atol=1e-6)


@pytest.mark.parametrize("hook", ["mean", "mode"])
@pytest.mark.parametrize("beta_name", BETAS)
def test_gaussian_mean_and_mode_do_not_depend_on_beta(beta_name, hook):
    layer, field = make(GaussianLayer), fields()
    found = getattr(layer, hook)(field, beta_of(beta_name)[0])
    np.testing.assert_allclose(array(found), array(field) + array(layer.params.loc), **CLOSE)


@pytest.mark.parametrize("beta_name", BETAS)
def test_bernoulli_mode_is_the_more_probable_value(beta_name):
    layer, field = make(BernoulliLayer), fields()
    beta, column = beta_of(beta_name)
    wanted = reference.expit(column * (array(field) + array(layer.params.loc))) > 0.5
    mode = layer.mode(field, beta)
    np.testing.assert_array_equal(array(mode), wanted * 1.0)
    assert be.dtype(mode) == be.Float


@pytest.mark.parametrize("hook", ["mean", "mode", "sample"])
@pytest.mark.parametrize("kind", TYPES)
def test_out_may_be_the_field(kind, hook):
    layer = make(kind)
    be.set_seed(3)
    fresh = array(getattr(layer, hook)(fields(), 0.7))
    be.set_seed(3)
    field = fields()
    np.testing.assert_array_equal(array(getattr(layer, hook)(field, 0.7, field)), fresh)


def columns(layer, beta_name, rows=20000):
    """Many rows with one field; the first and the second half differ in beta for 'column'."""
    field = fields(1)
    wide = be.float_tensor(np.repeat(array(field), rows, axis=0))
    beta, column = beta_of("number", rows)
    if beta_name == "none":
        beta, column = None, np.ones((rows, 1))
    if beta_name == "column":
        column = np.repeat([[0.5], [1.5]], rows // 2, axis=0)
        beta = be.float_tensor(column)
    return array(layer.sample(wide, beta)), array(field), column


@pytest.mark.parametrize("beta_name", BETAS)
def test_bernoulli_sample(beta_name):
    layer = make(BernoulliLayer)
    draws, field, column = columns(layer, beta_name)
    assert set(np.unique(draws)) == {0.0, 1.0}
    p = reference.expit(column * (field + array(layer.params.loc)))
    for half in (slice(None, 10000), slice(10000, None)):
        z = (draws - p)[half].sum(axis=0) / np.sqrt((p * (1 - p))[half].sum(axis=0))
        assert np.abs(z).max() < SIGMAS
    assert_independent((draws - p) / np.sqrt(p * (1 - p)))


@pytest.mark.parametrize("beta_name", BETAS)
def test_gaussian_sample(beta_name):
    layer = make(GaussianLayer)
    draws, field, column = columns(layer, beta_name)
    spread = np.sqrt(np.exp(array(layer.params.log_var)) / column)
    standard = (draws - field - array(layer.params.loc)) / spread
    for half in (standard[:10000], standard[10000:]):
        for unit in half.T:
            assert stats.kstest(unit, "norm").pvalue > 1e-6
    assert_independent(standard)


def assert_independent(standard):
    """Neither units of a row nor consecutive rows of standardized draws are correlated."""
    rows = len(standard)
    between = standard.T @ standard / np.sqrt(rows)  # off the diagonal N(0, 1) each
    assert np.abs(between - np.diag(np.diag(between))).max() < SIGMAS
    for lag in (1, 2):
        along = (standard[lag:] * standard[:-lag]).sum(axis=0) / np.sqrt(rows - lag)
        assert np.abs(along).max() < SIGMAS


@pytest.mark.parametrize("beta_name", BETAS)
@pytest.mark.parametrize("center", [False, True])
def test_bernoulli_log_partition_by_enumeration(beta_name, center):
    layer, field = make(BernoulliLayer, center), fields()
    beta, column = beta_of(beta_name)
    unit = twin(layer)
    states = np.array(list(itertools.product((0.0, 1.0), repeat=UNITS)))
    energies = unit.energy(states) - array(field) @ unit.seen(states).T
    wanted = [reference.log_sum_exp(row) for row in -column * energies]
    found = layer.conditional_log_partition(field, beta)
    assert tuple(be.shape(found)) == (ROWS,)
    np.testing.assert_allclose(array(found), wanted, rtol=3e-6, atol=1e-5)
    if not center:
        np.testing.assert_allclose(array(layer.log_partition(field, beta)), wanted, atol=1e-5)


@pytest.mark.parametrize("beta_name", BETAS)
@pytest.mark.parametrize("center", [False, True])
def test_gaussian_log_partition_by_quadrature(beta_name, center):
    layer, field = make(GaussianLayer, center), fields()
    beta, column = beta_of(beta_name)
    unit = twin(layer)
    grid = np.linspace(-40, 40, 8001)  # for such smooth tails a sum is exact to rounding
    wanted = np.zeros(ROWS)
    for k in range(UNITS):
        var = np.exp(unit.params["log_var"][k])
        offset = 0.0 if unit.offset is None else unit.offset[k]
        own = (grid - unit.params["loc"][k]) ** 2 / (2 * var)
        energy = own - array(field)[:, k, None] * (grid - offset) / var
        exponent = -column * energy
        top = exponent.max(axis=1)
        wanted += top + np.log(np.exp(exponent - top[:, None]).sum(axis=1) * (grid[1] - grid[0]))
    found = layer.conditional_log_partition(field, beta)
    assert tuple(be.shape(found)) == (ROWS,)
    np.testing.assert_allclose(array(found), wanted, rtol=3e-6, atol=2e-5)


@pytest.mark.parametrize("center", [False, True])
@pytest.mark.parametrize("kind", TYPES)
def test_energy_gradient_is_the_derivative_of_the_energy(kind, center):
    layer, field = make(kind, center), fields()
    units = some_units(layer)
    unit = twin(layer)

    def energy():
        x, f = array(units), array(field)
        return np.mean(unit.energy(x) - (unit.seen(x) * f).sum(axis=1))

    found = layer.energy_gradient(units, field)
    assert type(found) is type(layer.params)
    for name, parameter in unit.params.items():
        # 1e-4 steps in double precision leave errors of about 1e-8
        wanted = reference.finite_difference(energy, parameter)
        np.testing.assert_allclose(array(getattr(found, name)), wanted, rtol=1e-5, atol=1e-5)


def test_gradient_needs_field_is_true_where_the_field_matters():
    for kind in TYPES:
        layer = make(kind)
        units = some_units(layer)
        with_field = layer.energy_gradient(units, fields())
        other_field = layer.energy_gradient(units, fields(seed=99))
        same = all(
            np.array_equal(array(a), array(b)) for a, b in zip(with_field, other_field, strict=True)
        )
        assert same is not layer.gradient_needs_field


def test_bernoulli_fit_marginal():
    layer = BernoulliLayer(4)
    mean = be.float_tensor(np.array([0.0, 0.2, 0.9, 1.0]))
    layer.fit_marginal(SimpleNamespace(mean=mean, var=mean * (1 - mean)))
    isolated = array(layer.mean(layer.zero_field(1)))[0]
    # units that never change are taken to change now and then, so that biases stay finite
    np.testing.assert_allclose(isolated, [MIN_MEAN, 0.2, 0.9, 1 - MIN_MEAN], atol=1e-6)
    assert 0 < MIN_MEAN < 0.01


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_gaussian_fit_marginal_shrinks_the_variance_towards_the_mean_variance(scale):
    layer = GaussianLayer(4)
    mean = scale * np.array([0.0, -2.0, 5.0, 1.0])
    var = scale**2 * np.array([0.0, 4.0, 0.5, 1e-6])
    layer.fit_marginal(SimpleNamespace(mean=be.float_tensor(mean), var=be.float_tensor(var)))
    np.testing.assert_allclose(array(layer.params.loc), mean, **CLOSE)
    # the mean of the columns that vary is 1.5: the constant column has 1% of it
    wanted = scale**2 * np.array([0.015, 0.99 * 4 + 0.015, 0.99 * 0.5 + 0.015, 1.1e-6])
    np.testing.assert_allclose(np.exp(array(layer.params.log_var)), wanted, rtol=1e-5)


def test_gaussian_fit_marginal_of_constant_columns_alone_is_finite():
    layer = GaussianLayer(2)
    layer.fit_marginal(SimpleNamespace(mean=be.float_tensor([0.0, 3.0]), var=be.zeros((2,))))
    np.testing.assert_allclose(np.exp(array(layer.params.log_var)), 0.01, rtol=1e-5)


def test_random_bernoulli_units_have_the_isolated_mean():
    layer, rows = make(BernoulliLayer), 20000
    p = reference.expit(array(layer.params.loc))
    draws = array(layer.random(rows))
    assert draws.shape == (rows, UNITS)
    assert (np.abs(draws.mean(axis=0) - p) / np.sqrt(p * (1 - p) / rows)).max() < SIGMAS


def test_random_gaussian_units_have_the_isolated_moments():
    layer, rows = make(GaussianLayer), 20000
    spread = np.exp(0.5 * array(layer.params.log_var))
    for unit in ((array(layer.random(rows)) - array(layer.params.loc)) / spread).T:
        assert stats.kstest(unit, "norm").pvalue > 1e-6


def test_offsets_start_at_the_isolated_mean_and_can_be_reset():
    layer = BernoulliLayer(UNITS, center=True)
    np.testing.assert_array_equal(array(layer.offset), np.full(UNITS, 0.5))
    layer.params.loc[:] = be.float_tensor(np.linspace(-2, 2, UNITS))
    layer.reset_offset()
    wanted = reference.expit(np.linspace(-2, 2, UNITS))
    np.testing.assert_allclose(array(layer.offset), wanted, atol=1e-6)


@pytest.mark.parametrize("bad", [2.0, -0.5, np.nan, np.inf])
def test_bernoulli_units_outside_of_the_support_are_refused(bad):
    units = np.zeros((3, UNITS), np.float32)
    units[1, 2] = bad
    with pytest.raises(DataError, match="BernoulliLayer"):
        make(BernoulliLayer).check_values(be.float_tensor(units))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_gaussian_units_must_be_finite(bad):
    units = np.zeros((3, UNITS), np.float32)
    make(GaussianLayer).check_values(be.float_tensor(units - 1e30))
    units[1, 2] = bad
    with pytest.raises(DataError, match="GaussianLayer"):
        make(GaussianLayer).check_values(be.float_tensor(units))


def test_probabilities_are_allowed_as_bernoulli_data():
    make(BernoulliLayer).check_values(be.float_tensor(np.linspace(0, 1, UNITS)[None]))


@pytest.mark.parametrize("shape", [(UNITS,), (3, UNITS + 1), (3, UNITS, 1)])
def test_units_of_another_shape_are_refused(shape):
    with pytest.raises(ShapeError, match=r"BernoulliLayer\(5\).*needs"):
        make(BernoulliLayer).check_units(be.zeros(shape))


@pytest.mark.parametrize("bad", [0, -1, 2.5, "3", "many", None])
@pytest.mark.parametrize("kind", TYPES)
def test_impossible_numbers_of_units(kind, bad):
    with pytest.raises(ConfigError, match="at least one unit"):
        kind(bad)


@pytest.mark.parametrize("kind", TYPES)
def test_new_layers_share_nothing(kind):
    first, second = kind(UNITS), kind(UNITS)
    first.params.loc[:] = 3.0
    first.set_fixed_params(["loc"])
    assert array(second.params.loc).max() == 0.0
    assert second.get_fixed_params() == []


def test_unknown_layer_type_is_named():
    with pytest.raises(ConfigError, match="unknown layer type 'NoSuchLayer'"):
        layer_from_config({"layer_type": "NoSuchLayer", "num_units": 3})


def test_a_hook_that_is_missing_is_named(monkeypatch):
    monkeypatch.setattr(LAYER_TYPES, "entries", dict(LAYER_TYPES.entries))

    class HalfLayer(Layer):
        def init_params(self):
            return make(BernoulliLayer).params

    with pytest.raises(NotImplementedError, match="HalfLayer does not define mean"):
        HalfLayer(UNITS)
