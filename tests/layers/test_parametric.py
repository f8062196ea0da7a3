"""What layers and weights share: parameters, fixed ones, penalties, constraints."""

import json

import numpy as np
import pytest
from machines import array

from paysage import backends as be
from paysage import constraints, penalties
from paysage.errors import ConfigError, ShapeError
from paysage.layers import BernoulliLayer, GaussianLayer, Weights, layer_from_config


def test_names_and_counts():
    layer = GaussianLayer(4)
    assert layer.get_param_names() == ["loc", "log_var"]
    assert layer.num_parameters() == 8
    layer.set_fixed_params(["loc"])
    assert layer.num_parameters() == 8  # fixed ones are parameters too


def test_a_written_value_takes_effect_in_the_next_call_of_anything():
    layer = GaussianLayer(3)
    units, field = be.ones((2, 3)), be.zeros((2, 3))
    layer.mean(field), layer.energy(units), layer.log_partition(field)
    held = layer.params.loc
    layer.params.loc[:] = 2.0
    layer.params.log_var[:] = float(np.log(4.0))
    np.testing.assert_array_equal(array(held), [2, 2, 2])
    np.testing.assert_array_equal(array(layer.mean(field)), np.full((2, 3), 2.0))
    np.testing.assert_allclose(array(layer.energy(units)), np.full(2, 3 / 8), rtol=1e-6)
    np.testing.assert_allclose(array(layer.rescaled(units)), np.full((2, 3), 0.25), rtol=1e-6)
    wanted = 1.5 * np.log(2 * np.pi * 4)
    np.testing.assert_allclose(array(layer.log_partition(field)), [wanted] * 2, rtol=1e-6)
    draws = array(layer.sample(be.zeros((20000, 3))))
    # the mean of 60000 draws of deviation 2 has the standard error 0.008
    assert abs(draws.mean() - 2) < 5 * 2 / np.sqrt(draws.size)


def test_set_params_writes_into_the_present_tensors():
    layer = BernoulliLayer(3)
    held = layer.params.loc
    layer.set_params([np.array([1.0, 2.0, 3.0])])
    np.testing.assert_array_equal(array(held), [1, 2, 3])


@pytest.mark.parametrize("shape", [(4,), (1,), (1, 3), ()])
def test_set_params_refuses_other_shapes_even_ones_that_broadcast(shape):
    layer = BernoulliLayer(3)
    with pytest.raises(ShapeError, match="'loc'"):
        layer.set_params([np.ones(shape)])
    assert not array(layer.params.loc).any()


def test_set_params_refuses_another_number_of_values():
    with pytest.raises(ValueError):
        GaussianLayer(3).set_params([np.ones(3)])


@pytest.mark.parametrize(
    "call",
    [
        lambda x: x.set_fixed_params(["bias"]),
        lambda x: x.set_fixed_params("bias"),
        lambda x: x.add_penalty({"bias": penalties.l2_penalty(1.0)}),
        lambda x: x.add_constraint({"bias": constraints.non_negative}),
    ],
)
def test_unknown_names_are_refused_and_nothing_is_changed(call):
    layer = BernoulliLayer(3)
    before = layer.get_config()
    with pytest.raises(ConfigError, match=r"BernoulliLayer.*'bias'.*loc"):
        call(layer)
    assert layer.get_config() == before


def test_fixed_parameters_are_replaced_by_the_next_choice():
    layer = GaussianLayer(3)
    layer.set_fixed_params(["loc", "log_var"])
    assert layer.trainable() == []
    layer.set_fixed_params("log_var")
    assert layer.trainable() == ["loc"]
    layer.get_fixed_params().append("loc")
    assert layer.get_fixed_params() == ["log_var"]


def test_penalty_values_and_gradients():
    weights = Weights((2, 2))
    weights.params.matrix[:] = be.float_tensor([[1.0, -2.0], [3.0, 0.5]])
    weights.add_penalty({"matrix": penalties.l1_penalty(0.1)})
    weights.add_penalty({"matrix": penalties.l2_penalty(0.5)})  # replaces the first
    # the squared norm times half of the coefficient, or times all of it: the gradient decides
    gradient = weights.zero_gradient()
    gradient.matrix[:] = 1.0
    weights.add_penalty_gradients_(gradient)
    step = 1e-2
    wanted = np.zeros((2, 2))
    for index in np.ndindex(2, 2):
        values = []
        for sign in (1, -1):
            weights.params.matrix[index] += sign * step
            values.append(weights.penalty_values()["matrix"])
            weights.params.matrix[index] -= sign * step
        wanted[index] = (values[0] - values[1]) / (2 * step)
    # values of order ten in single precision, divided by 0.02: errors of about 1e-4
    np.testing.assert_allclose(array(gradient.matrix) - 1, wanted, atol=1e-3)
    np.testing.assert_allclose(wanted[1, 0] / wanted[0, 0], 3.0, rtol=1e-2)


def test_penalties_of_fixed_parameters_add_nothing():
    layer = GaussianLayer(3)
    layer.params.loc[:] = 1.0
    layer.params.log_var[:] = 1.0
    layer.add_penalty({"loc": penalties.l2_penalty(1.0), "log_var": penalties.l2_penalty(1.0)})
    layer.set_fixed_params(["loc"])
    gradient = layer.zero_gradient()
    layer.add_penalty_gradients_(gradient)
    assert not array(gradient.loc).any()
    assert array(gradient.log_var).all()


def test_constraints_change_the_parameter_in_place():
    weights = Weights((2, 2))
    weights.params.matrix[:] = be.float_tensor([[1.0, -2.0], [-3.0, 0.5]])
    held = weights.params.matrix
    weights.add_constraint({"matrix": constraints.non_negative})
    weights.enforce_constraints()
    np.testing.assert_array_equal(array(held), [[1, 0], [0, 0.5]])


def test_zero_gradient_is_a_fresh_named_tuple_of_zeros():
    layer = GaussianLayer(3)
    layer.params.loc[:] = 1.0
    gradient = layer.zero_gradient()
    assert gradient._fields == ("loc", "log_var")
    assert not array(gradient.loc).any()
    gradient.loc[:] = 5.0
    assert not array(layer.zero_gradient().loc).any()
    np.testing.assert_array_equal(array(layer.params.loc), [1, 1, 1])


def test_configuration_round_trip_with_everything():
    layer = GaussianLayer(3, center=True)
    layer.set_fixed_params(["log_var"])
    layer.add_penalty({"loc": penalties.l2_penalty(0.5)})
    layer.add_constraint({"loc": constraints.non_negative})
    config = json.loads(json.dumps(layer.get_config()))
    again = layer_from_config(config)
    assert type(again) is GaussianLayer
    assert (again.num_units, again.center) == (3, True)
    assert again.get_config() == layer.get_config()
    again.params.loc[:] = -1.0
    again.enforce_constraints()
    assert not array(again.params.loc).any()
    again.params.loc[:] = 2.0
    layer.params.loc[:] = 2.0
    assert again.penalty_values() == layer.penalty_values()


def test_configurations_share_nothing_with_their_owner():
    layer = GaussianLayer(3)
    layer.get_config()["fixed_params"].append("loc")
    layer.get_config()["penalties"]["loc"] = 3
    assert layer.get_fixed_params() == []
    assert layer.penalties == {}


@pytest.mark.parametrize("bad", [0.1, penalties.l1_penalty, np.abs, None])
def test_what_is_no_penalty_is_refused_at_once(bad):
    layer = BernoulliLayer(3)
    with pytest.raises(ConfigError, match=r"'loc' of BernoulliLayer\(3\)"):
        layer.add_penalty({"loc": bad})
    assert layer.penalties == {}


def test_what_is_no_constraint_is_refused_at_once():
    layer = BernoulliLayer(3)
    with pytest.raises(ConfigError, match=r"'loc' of BernoulliLayer\(3\)"):
        layer.add_constraint({"loc": 0.0})
    assert layer.constraints == {}


@pytest.mark.parametrize("make", [lambda: BernoulliLayer(3), lambda: Weights((3, 2))])
@pytest.mark.parametrize("method", ["add_penalty", "add_constraint"])
def test_what_is_no_dictionary_is_refused(make, method):
    owner = make()
    name = owner.get_param_names()[0]
    term = penalties.l1_penalty(0.1) if method == "add_penalty" else constraints.non_negative
    for bad in (term, [term], None, (name, term)):
        with pytest.raises(ConfigError, match=rf"{method} of .* takes a dictionary.*{name}.*got"):
            getattr(owner, method)(bad)
    getattr(owner, method)({name: term})


@pytest.mark.parametrize("bad", [3, None])
def test_what_are_no_names_are_refused(bad):
    with pytest.raises(ConfigError, match="expected names among loc"):
        BernoulliLayer(3).set_fixed_params(bad)


@pytest.mark.parametrize("part", [(5,), (slice(7, None),), (slice(2, 2),), ([5],), (0, 0, 0)])
def test_penalties_that_meet_nothing_are_refused(part):
    weights = Weights((3, 2))
    for penalty in (
        penalties.l1_penalty(0.1, slice_tuple=part),
        penalties.l2_penalty(0.1) + penalties.l1_penalty(0.1, slice_tuple=part),
    ):
        with pytest.raises(ConfigError, match=r"meets nothing of parameter 'matrix'.*\(3, 2\)"):
            weights.add_penalty({"matrix": penalty})
    assert not weights.penalties
    weights.add_penalty({"matrix": penalties.l1_penalty(0.1, slice_tuple=(2, slice(1, 9)))})


@pytest.mark.parametrize(
    "constraint, words",
    [
        (constraints.zero_row, r"missing 1 required .*'index'.* functools.partial"),
        (lambda matrix: be.clip(matrix, 0.0, 1.0), "gives a new tensor, which would be lost"),
    ],
)
def test_a_constraint_that_could_not_work_is_refused_when_added(constraint, words):
    weights = Weights((3, 2))
    before = array(be.copy_tensor(weights.W()))
    with pytest.raises(ConfigError, match=words):
        weights.add_constraint({"matrix": constraint})
    assert not weights.constraints
    weights.add_constraint({"matrix": lambda matrix: be.clip_(matrix, 0.0, 1.0)})
    np.testing.assert_array_equal(array(weights.W()), before)
