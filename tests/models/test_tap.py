"""The expanded free energy against exact sums, in double precision."""

import numpy as np
import pytest
import reference
from machines import array, build, twin

from paysage import backends as be
from paysage.errors import ConfigError, ShapeError
from paysage.layers import BernoulliLayer, GaussianLayer, Layer, OneHotLayer
from paysage.layers.tap import BernoulliTAP, TAPUnits
from paysage.models import BoltzmannMachine, State, StateTAP, gibbs_free_energy
from paysage.models.tap import GibbsFreeEnergy

TRIANGLE = [(0, 1), (1, 2), (2, 0)]
# kinds, edges, centered; rates at which the error of -log Z falls with the couplings at orders
# 1, 2, 3. The term of third order vanishes where no third cumulant meets another: a Gaussian
# layer has none, so only a triangle brings it back.
MACHINES = {
    "BB": ("BB", None, False, (2, 3, 4)),
    "BB centered": ("BB", None, True, (2, 3, 4)),
    "BG": ("BG", None, True, (2, 4, 4)),
    "GB": ("GB", None, False, (2, 4, 4)),
    "GG": ("GG", None, True, (2, 4, 4)),
    "BO": ("BO", None, False, (2, 3, 4)),
    "OB": ("OB", None, True, (2, 3, 4)),
    "OO": ("OO", None, True, (2, 3, 4)),
    "BBB": ("BBB", None, True, (2, 3, 4)),
    "BGB": ("BGB", None, False, (2, 4, 4)),
    "BOB": ("BOB", None, True, (2, 3, 4)),
    "triangle BBB": ("BBB", TRIANGLE, False, (2, 3, 4)),
    "triangle BGB": ("BGB", TRIANGLE, True, (2, 3, 4)),
    "triangle OGB": ("OGB", TRIANGLE, False, (2, 3, 4)),
    "triangle OBO": ("OBO", TRIANGLE, True, (2, 3, 4)),
}
SIZES = {"B": (3, 2, 2), "G": (3, 2, 2), "O": (4, 3, 3)}


def sizes_of(kinds):
    return [SIZES[k][i] for i, k in enumerate(kinds)]


def doubled(model):
    """The machine, its parameters and running means in double precision."""
    for owner in (*model.layers, *(c.weights for c in model.connections)):
        owner.params = type(owner.params)(*(double(p) for p in owner.params))
    for layer in model.layers:
        layer.offset = double(layer.offset)
    return model


def double(x):
    return be.from_numpy_array(np.array(array(x)))


def machine(name, scale=1.0, seed=4):
    kinds, edges, center, _ = MACHINES[name]
    return doubled(build(kinds, sizes_of(kinds), edges, seed, scale, center))


def means_of(model, rows=1, seed=6):
    """Arbitrary means, nowhere stationary."""
    rng = np.random.default_rng(seed)
    fields = [rng.normal(0, 1, (rows, k.num_units)) for k in model.layers]
    pairs = zip(model.layers, fields, strict=True)
    return StateTAP(k.mean(double(f)) for k, f in pairs)


def settled(model, order, beta=1.0, steps=25):
    """Stationary means to the precision of doubles: couplings here are weak."""
    energy, state = GibbsFreeEnergy(model, order, beta), means_of(model)
    for _ in range(steps):
        fields = energy.evaluate(state).fields
        pairs = zip(model.layers, fields, strict=True)
        state = StateTAP(k.mean(f, beta) for k, f in pairs)
    return energy, state


def with_couplings(name, epsilon, seed=4):
    model = machine(name, seed=seed)
    for c in model.connections:
        c.weights.params.matrix[:] = epsilon * c.weights.params.matrix
    return model


def error_of_log_z(model, order, beta=1.0):
    energy, state = settled(model, order, beta)
    return abs(float(energy.value(state)[0]) + twin(model).log_sum(beta=beta))


def rate(errors):
    return np.log2(errors[0] / errors[1])


@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize("name", MACHINES)
def test_the_error_of_log_z_falls_at_the_rate_of_the_first_term_left_out(name, order):
    couplings = (0.02, 0.01) if order == 3 else (0.005, 0.0025)
    errors = [error_of_log_z(with_couplings(name, e), order) for e in couplings]
    # the term after it is smaller by the couplings times a number of order one
    assert rate(errors) == pytest.approx(MACHINES[name][3][order - 1], abs=0.25)


@pytest.mark.parametrize("order", [2, 3])
@pytest.mark.parametrize("name", ["BB", "triangle BGB"])
def test_the_temperature_scales_the_whole_energy(name, order):
    errors = [error_of_log_z(with_couplings(name, e), order, beta=0.7) for e in (0.02, 0.01)]
    assert rate(errors) == pytest.approx(order + 1, abs=0.25)


@pytest.mark.parametrize("which", [0, 1])
def test_a_factor_of_two_in_a_coefficient_would_be_seen(monkeypatch, which):
    """Were the term of one order doubled, the error would fall no faster than that term."""
    proper = BernoulliTAP.cumulants

    def wrong(self, means, beta):
        found = list(proper(self, means, beta))
        found[which] = 2**0.5 * found[which]  # one factor a layer
        return tuple(found)

    monkeypatch.setattr(BernoulliTAP, "cumulants", wrong)
    errors = [error_of_log_z(with_couplings("BB", e), 3) for e in (0.02, 0.01)]
    assert rate(errors) == pytest.approx(which + 2, abs=0.25)


@pytest.mark.parametrize("name", ["GO", "OG"])
def test_one_categorical_variable_and_normal_ones_need_no_more_than_the_second_order(name):
    """Its units are 0 or 1, one at a time, so a square of its field is linear in them."""
    model = doubled(build(name, (3, 4), seed=1, scale=0.5, center=True))
    energy, state = settled(model, 2, steps=100)
    assert float(energy.value(state)[0]) == pytest.approx(-twin(model).log_sum(), abs=1e-10)


def test_the_coefficient_written_with_one_half_minus_the_mean_is_two_thirds():
    """Published as two thirds, and disputed by a factor of two."""
    ratios = []
    for epsilon in (0.01, 0.005):
        model = with_couplings("BB", epsilon)
        _, state = settled(model, 3)
        value = float(GibbsFreeEnergy(model, 2).value(state)[0])
        a, b = (array(m)[0] for m in state)
        left, right = a * (1 - a) * (0.5 - a), b * (1 - b) * (0.5 - b)
        term = left @ array(model.connections[0].weights.W()) ** 3 @ right
        ratios.append((value + twin(model).log_sum()) / term)
    # the next order is linear in the couplings: taken away by extrapolation
    assert 2 * ratios[1] - ratios[0] == pytest.approx(2 / 3, abs=0.005)


@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize("name", ["BB centered", "BG", "OB", "triangle BGB"])
def test_stationary_means_approach_the_exact_ones(name, order):
    errors = []
    for epsilon in (0.1, 0.05):
        model = with_couplings(name, epsilon)
        _, state = settled(model, order)
        errors.append(max(_distances(model, state)))
    # the means are derivatives of log Z by fields
    assert rate(errors) == pytest.approx(MACHINES[name][3][order - 1], abs=0.45)


def _distances(model, state):
    exact = twin(model)
    for layer, means, units in zip(model.layers, state, exact.units, strict=True):
        by_loc = reference.finite_difference(exact.log_sum, units.params["loc"], 2e-5)
        if isinstance(layer, GaussianLayer):
            by_loc = units.params["loc"] + np.exp(units.params["log_var"]) * by_loc
        yield np.abs(array(means)[0] - by_loc).max()


@pytest.mark.parametrize("name", MACHINES)
def test_naive_mean_field_bounds_log_z_from_below(name):
    """Whatever the means: it is the free energy of independent units that have them."""
    model = with_couplings(name, 0.5)
    values = array(GibbsFreeEnergy(model, 1).value(means_of(model, rows=50)))
    assert (values > -twin(model).log_sum()).all()


@pytest.mark.parametrize("order, beta", [(1, 1.0), (2, 1.0), (3, 0.6)])
@pytest.mark.parametrize("name", MACHINES)
def test_derivatives_by_the_means_are_finite_differences(name, order, beta):
    model = machine(name)
    energy, state = GibbsFreeEnergy(model, order, beta), means_of(model, rows=2)
    gradient = energy.mean_gradient(state)

    def total(i, shift):
        moved = [double(m) for m in state]
        moved[i] += shift
        return float(be.tsum(energy.value(StateTAP(moved))))

    for i, layer in enumerate(model.layers):
        for row, k in np.ndindex(2, layer.num_units):
            way = np.zeros((2, layer.num_units))
            way[row, k] = 1e-5
            if isinstance(layer, OneHotLayer):  # the means keep their sum
                way[row, k - 1] = -1e-5
            wanted = total(i, double(way)) - total(i, double(-way))
            found = 2 * np.sum(way * array(gradient[i]))
            assert found == pytest.approx(wanted, rel=1e-6, abs=1e-12)


@pytest.mark.parametrize("order, beta", [(1, 1.0), (2, 1.0), (3, 0.6)])
@pytest.mark.parametrize("name", MACHINES)
def test_derivatives_by_the_parameters_are_finite_differences(name, order, beta):
    model, state = machine(name), means_of(machine(name), rows=2)
    gradient = GibbsFreeEnergy(model, order, beta).parameter_gradient(state)

    def mean():
        return float(be.mean(gibbs_free_energy(model, state, order, beta)))

    for found, wanted in _by_parameters(model, gradient, mean):
        np.testing.assert_allclose(found, wanted, rtol=1e-6, atol=1e-8)


def _by_parameters(model, gradient, function):
    owners = [*model.layers, *(c.weights for c in model.connections)]
    parts = [*gradient.layers, *gradient.weights]
    for owner, part in zip(owners, parts, strict=True):
        for param, leaf in zip(owner.params, part, strict=True):
            yield array(leaf), _differences(function, param)


def _differences(function, param, step=1e-5):
    """Of a tensor that the function reads."""
    result = np.zeros(be.shape(param))
    for index in np.ndindex(result.shape):
        before = float(param[index])
        values = []
        for shift in (step, -step):
            param[index] = before + shift
            values.append(function())
        param[index] = before
        result[index] = (values[0] - values[1]) / (2 * step)
    return result


@pytest.mark.parametrize("name, order", [("BB", 2), ("BG", 2), ("OB", 3), ("triangle BGB", 3)])
def test_at_stationary_means_the_explicit_derivative_is_the_whole_one(name, order):
    model = with_couplings(name, 0.1)
    energy, state = settled(model, order, steps=12)
    gradient = energy.parameter_gradient(state)

    def stationary():
        return float(GibbsFreeEnergy(model, order).value(settled(model, order, steps=12)[1])[0])

    for found, wanted in _by_parameters(model, gradient, stationary):
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-8)


def test_means_at_the_ends_of_the_support_have_a_finite_free_energy():
    model = machine("BB")
    ends = StateTAP(double(np.tile([[0.0], [1.0]], (1, k.num_units))) for k in model.layers)
    found = array(gibbs_free_energy(model, ends))
    # no fluctuations: the energy of that one state
    wanted = twin(model).energy([array(m) for m in ends])
    np.testing.assert_allclose(found, wanted, rtol=1e-12)


def test_single_precision_agrees_with_double():
    single = build("BBB", sizes_of("BBB"), TRIANGLE, 4, 1.0)
    energy, state = GibbsFreeEnergy(machine("triangle BBB"), 3), means_of(machine("BBB"), 4)
    found = gibbs_free_energy(single, StateTAP(be.cast_float(m) for m in state), 3)
    assert be.dtype(found) == be.Float
    np.testing.assert_allclose(array(found), array(energy.value(state)), rtol=1e-5)


# states


def test_random_means_fill_the_support_and_stay_inside():
    model = build("BGO", (50, 40, 5))
    state = StateTAP.from_model(30, model)
    assert [tuple(be.shape(m)) for m in state] == [(30, 50), (30, 40), (30, 5)]
    coins, normal, categories = (array(m) for m in state)
    # 1500 uniform numbers: mean 1/2, deviation of the mean 0.0075
    assert 0 < coins.min() < 0.01 and 0.99 < coins.max() < 1
    assert abs(coins.mean() - 0.5) < 5 * 0.0075
    assert (normal - array(model.layers[1].params.loc)).std() == pytest.approx(1.0, abs=0.1)
    assert categories.min() > 0
    np.testing.assert_allclose(categories.sum(axis=1), 1.0, rtol=1e-6)


def test_means_from_data_lie_inside_the_support():
    model = build("BB", (5, 4))
    visible = be.float_tensor([[0, 1, 1, 0, 1]])
    state = StateTAP.from_visible(visible, model)
    np.testing.assert_allclose(array(state[0]), array(visible), atol=2e-6)
    wanted = array(State.from_visible_means(visible, model)[1])
    np.testing.assert_allclose(array(state[1]), wanted, atol=2e-6)
    assert np.isfinite(array(GibbsFreeEnergy(model).mean_gradient(state)[0])).all()


def test_a_copy_shares_nothing():
    state = StateTAP.from_model(2, build("BB", (5, 4)))
    copy = StateTAP.from_state(state)
    copy[0][:] = 0.5
    assert isinstance(copy, StateTAP)
    assert not np.allclose(array(state[0]), 0.5)


# what is refused, and a layer of one's own


class Spin(Layer):
    """Units that are -1 or 1; energy -loc · x."""

    support = (-1.0, 1.0)
    gradient_needs_field = False
    linear_energy = True

    def init_params(self):
        return BernoulliLayer(self.num_units).params

    def energy(self, units):
        return -be.dot(units, self.params.loc)

    def mean(self, field, beta=None, out=None):
        return be.tanh((1.0 if beta is None else beta) * (field + self.params.loc))

    def log_partition(self, field, beta=None):
        total = (1.0 if beta is None else beta) * (field + self.params.loc)
        return be.tsum(be.logcosh(total) + np.log(2.0), axis=1)

    def energy_gradient(self, units, field):
        return type(self.params)(-be.mean(units, axis=0))


def spins(kind, epsilon):
    rng = np.random.default_rng(2)
    model = BoltzmannMachine([kind(3), kind(2)])
    model.connections[0].weights.params.matrix[:] = be.float_tensor(rng.normal(0, epsilon, (3, 2)))
    for layer in model.layers:
        layer.params.loc[:] = be.float_tensor(rng.normal(0, 0.5, layer.num_units))
    return model


def test_a_layer_without_the_ability_is_refused_by_name():
    class Plain(Spin):
        pass

    model = BoltzmannMachine([BernoulliLayer(3), Plain(2)])
    with pytest.raises(ConfigError, match=r"layer 1, Plain\(2\), lacks the TAP ability"):
        GibbsFreeEnergy(model)


def test_a_layer_of_ones_own_gets_the_ability_in_a_few_lines():
    """Units of -1 and 1, against the sum over their states."""

    class Mine(Spin):
        pass

    class MineTAP(TAPUnits, layer_type=Mine):
        def field(self, means, beta):
            return be.atanh(means) / beta - self.layer.params.loc

        def cumulants(self, means, beta):
            variance = 1.0 - be.square(means)
            return variance, -2.0 * means * variance

        def slopes(self, means, beta):
            return -2.0 * means, 6.0 * be.square(means) - 2.0

    for order in (1, 2, 3):
        errors = []
        for epsilon in (0.02, 0.01):
            model = doubled(spins(Mine, epsilon))
            energy, state = settled(model, order)
            errors.append(abs(float(energy.value(state)[0]) + _log_sum_of_spins(model)))
        assert rate(errors) == pytest.approx(order + 1, abs=0.3)
    gradient = energy.parameter_gradient(state)
    value = lambda: float(gibbs_free_energy(model, state, 3)[0])  # noqa: E731
    for found, wanted in _by_parameters(model, gradient, value):
        np.testing.assert_allclose(found, wanted, rtol=1e-6, atol=1e-8)


def _log_sum_of_spins(model):
    grid = np.array(np.meshgrid(*[[-1.0, 1.0]] * 5)).reshape(5, -1).T
    loc = [array(k.params.loc) for k in model.layers]
    matrix = array(model.connections[0].weights.W())
    v, h = grid[:, :3], grid[:, 3:]
    return reference.log_sum_exp(v @ loc[0] + h @ loc[1] + np.einsum("si,ij,sj->s", v, matrix, h))


@pytest.mark.parametrize("order", [0, 4, "2", True, [2]])
def test_other_orders_are_refused(order):
    with pytest.raises(ConfigError, match="order must be one of"):
        GibbsFreeEnergy(build("BB", (3, 2)), order)


@pytest.mark.parametrize("beta", [-1.0, 0.0, float("inf"), float("nan"), None, "1"])
def test_temperatures_that_cannot_be_meant_are_refused(beta):
    with pytest.raises(ConfigError, match="beta must be"):
        GibbsFreeEnergy(build("BB", (3, 2)), beta=beta)


@pytest.mark.parametrize("number", [0, -1, 1.5, None])
def test_a_number_of_means_that_is_none_is_refused(number):
    with pytest.raises(ConfigError, match="the number of means must be a whole number"):
        build("BB", (3, 2)).compute_StateTAP(num_samples=number)


def test_what_does_not_fit_the_machine_is_refused():
    model = build("BB", (3, 2))
    with pytest.raises(ShapeError, match="got units of shape"):
        model.gibbs_free_energy(StateTAP.from_model(2, build("BB", (3, 4))))
    with pytest.raises(ShapeError, match="means are a StateTAP"):
        model.gibbs_free_energy([be.zeros((1, 3)), be.zeros((1, 2))])


def test_gains_of_a_pretraining_are_refused():
    model = build("BB", (3, 2))
    model.connections[0].domain_gain = 2.0
    with pytest.raises(ConfigError, match="no energy that TAP could expand"):
        GibbsFreeEnergy(model)
