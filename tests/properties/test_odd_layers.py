"""Layers and weights: units, fields and parameters of the right shape, or a named error."""

import json

import numpy as np
from hypothesis import example
from hypothesis import strategies as st
from machines import TYPES
from odd import (
    ONE_HOT_ROWS,
    REFUSED,
    array,
    attempt,
    given,
    handed,
    is_flag,
    is_number,
    is_whole,
    ordinary,
    shapes,
    things,
)

from paysage import backends as be
from paysage import constraints, layers, penalties

KINDS = st.sampled_from("BGO")
UNITS = handed(st.one_of(shapes(), st.tuples(st.integers(0, 3), st.integers(2, 4))))


def made(kind, center=False):
    layer = TYPES[kind](3, center=center)
    layer.params.loc[:] = be.float_tensor([0.5, -1.0, 0.25])
    return layer


@given(KINDS, things(), things())
def test_sizes(kind, number, center):
    layer = attempt(TYPES[kind], number)
    assert (layer is REFUSED) == (not is_whole(number, 1))
    if layer is not REFUSED:
        assert tuple(be.shape(layer.params.loc)) == (int(number),)
    layer = attempt(TYPES[kind], 3, center=center)
    assert (layer is REFUSED) == (not is_flag(center))


@given(things(), things(), things())
def test_shapes_of_weights(shape, number, scale):
    pair = isinstance(shape, list | tuple | np.ndarray) and np.shape(shape) == (2,)
    good = pair and all(is_whole(n, 1) for n in shape)
    assert (attempt(layers.Weights, shape) is REFUSED) == (not good)
    weights = attempt(layers.Weights, (number, 2))
    assert (weights is REFUSED) == (not is_whole(number, 1))
    weights = attempt(layers.Weights, (3, 2), scale)
    assert (weights is REFUSED) == (not is_number(scale, 0))
    assert weights is REFUSED or np.isfinite(array(weights.W())).all()


@given(KINDS, UNITS)
@example("B", ordinary(ONE_HOT_ROWS))
@example("B", ordinary(ONE_HOT_ROWS * 2))
@example("O", ordinary(ONE_HOT_ROWS))
@example("O", ordinary(np.ones((2, 3))))
@example("G", ordinary(np.ones((2, 3)) * np.inf))
def test_units_are_looked_at(kind, x):
    layer, single = made(kind), x.single()
    if single is None:
        return
    tensor = be.float_tensor(x.what)
    fits = single.ndim == 2 and single.shape[1] == 3
    assert (attempt(layer.check_units, tensor) is REFUSED) == (not fits)
    if not fits:
        return
    good = single.size > 0 and bool(np.isfinite(single).all())
    if kind != "G":
        good = good and bool((single >= 0).all() and (single <= 1).all())
    if kind == "O":
        good = good and bool((np.abs(single.sum(axis=1) - 1) < 1e-3).all())
        good = good and bool(((single == 0) | (single == 1)).all())
    assert (attempt(layer.check_values, tensor) is REFUSED) == (not good)


#: hooks that take units (or a field) of the layer, with the shape of what they give
OF_UNITS = {"energy": 1}
OF_FIELDS = {"mean": 2, "mode": 2, "sample": 2, "log_partition": 1, "conditional_log_partition": 1}


@given(KINDS, st.booleans(), UNITS, st.sampled_from([*OF_UNITS, *OF_FIELDS]))
def test_hooks_give_one_thing_a_row(kind, center, x, name):
    """Tensors that do not fit are refused; of those that do, memory makes no difference."""
    layer = made(kind, center)
    if x.means is None:
        return
    given_tensor = be.float_tensor(x.what)
    be.set_seed(1)
    found = attempt(getattr(layer, name), given_tensor)
    if x.means.ndim != 2 or x.means.shape[1] != 3:
        assert found is REFUSED
        return
    be.set_seed(1)
    again = getattr(layer, name)(be.float_tensor(np.ascontiguousarray(x.single())))
    expected = (len(x.means), 3)[: (OF_UNITS | OF_FIELDS)[name]]
    assert tuple(be.shape(found)) == expected
    np.testing.assert_allclose(array(found), array(again), rtol=1e-6)
    assert x.same_now()


@given(KINDS, things())
def test_rows_of_layers(kind, number):
    layer = made(kind)
    found = attempt(layer.zero_field, number)
    assert (found is REFUSED) == (not is_whole(number, 0))
    assert found is REFUSED or tuple(be.shape(found)) == (int(number), 3)
    shape = tuple(getattr(number, "shape", ())) or number  # units or their shape will do as well
    is_shape = isinstance(shape, tuple | list) and len(shape) == 2 and shape[1] == 3
    rows = shape[0] if is_shape else number
    found = attempt(layer.random, number)
    assert (found is REFUSED) == (not is_whole(rows, 0))
    assert found is REFUSED or tuple(be.shape(found)) == (int(rows), 3)


@given(KINDS, st.sampled_from([1, 3, 30, 784]))
@example("B", 784)
def test_states_that_can_be_listed(kind, number):
    layer = TYPES[kind](number)
    found = attempt(layer.all_states)
    assert (found is REFUSED) == (kind == "G" or (kind == "B" and number > 3))
    if found is not REFUSED:
        assert len(found) == layer.num_states()


@given(KINDS, handed(st.one_of(shapes(), st.just((3,)))), st.sampled_from(["offset", "params"]))
def test_what_is_written(kind, x, what):
    layer = made(kind, center=True)
    before = array(layer.offset), [array(p) for p in layer.params]
    if what == "offset":
        found = attempt(layer.set_offset, x.what)
    else:
        found = attempt(layer.set_params, [x.what] * len(layer.params))
    good = x.means is not None and x.means.shape == (3,)
    assert (found is REFUSED) == (not good)
    now = array(layer.offset), [array(p) for p in layer.params]
    if good and what == "offset":
        np.testing.assert_array_equal(now[0], x.single())
    elif good:
        np.testing.assert_array_equal(now[1], [x.single()] * len(layer.params))
    else:
        np.testing.assert_array_equal(now[0], before[0])
        np.testing.assert_array_equal(now[1], before[1])


@given(KINDS, things())
def test_options(kind, thing):
    layer = made(kind)
    for act in (layer.add_penalty, layer.add_constraint):
        empty = isinstance(thing, dict) and not thing
        assert empty or attempt(act, thing) is REFUSED
        assert callable(thing) or attempt(act, {"loc": thing}) is REFUSED
        assert attempt(act, {"word": penalties.l2_penalty(1.0)}) is REFUSED
    found = attempt(layer.set_fixed_params, thing)
    known = isinstance(thing, list | tuple | dict | set) and len(thing) == 0
    known = known or (isinstance(thing, np.ndarray) and thing.shape == (0,))
    assert (found is REFUSED) == (not known)
    assert layer.get_fixed_params() == [] and not layer.penalties
    assert attempt(layer.set_params, thing) is REFUSED


@given(KINDS, things(), st.sampled_from(["num_units", "center", "fixed_params", "penalties"]))
def test_configurations_of_layers(kind, thing, key):
    assert attempt(layers.layer_from_config, thing) is REFUSED
    assert attempt(layers.weights_from_config, thing) is REFUSED
    layer = made(kind)
    layer.add_penalty({"loc": penalties.l1_penalty(0.1)})
    layer.add_constraint({"loc": constraints.non_negative})
    config = json.loads(json.dumps(layer.get_config()))
    assert layers.layer_from_config(config).get_config() == layer.get_config()
    attempt(layers.layer_from_config, {**config, key: thing})
    attempt(layers.weights_from_config, {"shape": thing})
    attempt(layers.weights_from_config, {"shape": [2, 2], key: thing})
