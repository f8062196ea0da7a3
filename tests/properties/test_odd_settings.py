"""Schedules, penalties, constraints and optimizers: settings that mean something, or an error."""

import functools
import json
import math

import numpy as np
from hypothesis import assume, example
from hypothesis import strategies as st
from machines import build
from odd import (
    REFUSED,
    Handed,
    array,
    attempt,
    given,
    handed,
    is_number,
    is_whole,
    shapes,
    things,
)

from paysage import backends as be
from paysage import constraints, optimizers, penalties, schedules
from paysage.models import ModelGradient

# schedules

NUMBER = st.one_of(st.floats(-1e3, 1e3), st.sampled_from([1e308, 5e-324, 0.0]), things())
WHOLE = st.one_of(st.integers(0, 5), things())


@given(NUMBER)
def test_a_constant(initial):
    made = attempt(schedules.Constant, initial)
    assert (made is REFUSED) == (not is_number(initial))
    if made is not REFUSED:
        assert [next(made) for _ in range(3)] == [float(initial)] * 3


@given(NUMBER, NUMBER, st.one_of(st.none(), NUMBER), st.one_of(st.none(), NUMBER))
def test_a_straight_line(initial, delta, low, high):
    made = attempt(schedules.Linear, initial, delta, None, low, high)
    good = is_number(initial) and is_number(delta)
    for bound in (low, high):
        inf = isinstance(bound, float) and math.isinf(bound)
        good = good and (bound is None or inf or is_number(bound))
    if good:
        low = -math.inf if low is None else float(low)
        high = math.inf if high is None else float(high)
        good = low <= high
    assert (made is REFUSED) == (not good)
    if good:
        wanted = float(initial)
        for _ in range(3):
            assert next(made) == wanted
            wanted = min(max(wanted - float(delta), low), high)


@given(NUMBER, NUMBER, WHOLE)
def test_a_step(initial, final, steps):
    made = attempt(schedules.Step, initial, final, steps)
    good = is_number(initial) and is_number(final) and is_whole(steps, 0)
    assert (made is REFUSED) == (not good)
    if good:
        for t in range(4):
            assert next(made) == float(initial if t < steps else final)


@given(NUMBER, WHOLE, WHOLE, st.one_of(st.none(), WHOLE))
def test_a_trapezoid(initial, steps, warm_up, decay):
    made = attempt(schedules.Trapezoid, initial, steps, warm_up, decay)
    good = is_number(initial) and is_whole(steps, 0) and is_whole(warm_up, 0)
    good = good and (decay is None or is_whole(decay, 0))
    if good:
        falling = steps // 2 if decay is None else decay
        good = warm_up + falling <= steps
    assert (made is REFUSED) == (not good)
    if good:
        values = [next(made) for _ in range(int(steps) + 2)]
        assert values[int(steps) :] == [0, 0] and np.isfinite(values).all()
        assert all(abs(v) <= abs(float(initial)) for v in values)


@given(NUMBER, NUMBER, st.sampled_from([schedules.ExponentialDecay, schedules.PowerLawDecay]))
def test_a_decay(initial, coefficient, kind):
    made = attempt(kind, initial, coefficient)
    power = kind is schedules.PowerLawDecay
    good = is_number(initial, 0 if power else -math.inf) and is_number(coefficient, 0)
    assert (made is REFUSED) == (not good)
    if good:
        values = [next(made) for _ in range(3)]
        assert values[0] == float(initial)
        if power or float(coefficient) <= 1:
            assert np.isfinite(values).all()
            assert abs(values[2]) <= abs(values[1]) <= abs(values[0])


KINDS = [
    lambda: schedules.Constant(0.5),
    lambda: schedules.Linear(1.0, 0.1),
    lambda: schedules.Step(1.0, 0.5, 2),
    lambda: schedules.Trapezoid(1.0, 4, 1),
    lambda: schedules.ExponentialDecay(1.0, 1e-130),
    lambda: schedules.PowerLawDecay(1.0, 1.0),
]


@given(st.sampled_from(KINDS), st.integers(0, 5), NUMBER)
def test_a_value_that_is_set_comes_next(kind, time, value):
    schedule = kind()
    for _ in range(time):
        next(schedule)
    before = schedule.get_config()
    found = attempt(schedule.set_value, value)
    if not is_number(value):
        assert found is REFUSED
    if found is REFUSED:
        assert schedule.get_config() == before
    else:
        assert schedule.value == float(value)
    again = schedules.from_config(json.loads(json.dumps(schedule.get_config())))
    assert [next(again) for _ in range(4)] == [next(schedule) for _ in range(4)]


@given(things(), things())
def test_configurations_of_schedules(thing, other):
    assert attempt(schedules.from_config, thing) is REFUSED
    for name in ("initial", "time", "steps", "word"):
        attempt(schedules.from_config, {"name": "Trapezoid", name: other})
    assert attempt(schedules.from_config, {"name": "Constant", "word": other}) is REFUSED


# penalties

PENALTIES = {
    "trivial_penalty": lambda x: 0.0,
    "l1_penalty": lambda x: np.abs(x).sum(),
    "l2_penalty": lambda x: 0.5 * np.square(x).sum(),
    "exp_l2_penalty": lambda x: 0.5 * np.exp(2 * x).sum(),
    "l1_adaptive_decay_penalty_2": lambda x: 0.5 * np.square(np.abs(x).sum(axis=0)).sum(),
    "log_penalty": lambda x: -np.log(np.abs(x)).sum(),
    "log_norm": lambda x: -np.log(np.sqrt(np.square(x).sum(axis=0))).sum(),
    "l2_norm": lambda x: 0.5 * np.square(np.sqrt(np.square(x).sum(axis=0)) - 1).sum(),
}
GRADIENTS = {
    "trivial_penalty": lambda x: 0 * x,
    "l1_penalty": np.sign,
    "l2_penalty": lambda x: x,
    "exp_l2_penalty": lambda x: np.exp(2 * x),
    "l1_adaptive_decay_penalty_2": lambda x: np.abs(x).sum(axis=0) * np.sign(x),
    "log_penalty": lambda x: -1 / x,
}
SLICES = st.one_of(
    st.none(),
    st.lists(
        st.one_of(
            st.integers(-3, 4),
            st.slices(4),
            st.lists(st.integers(-2, 3), max_size=2),
            things(),
        ),
        max_size=2,
    ).map(tuple),
    things(),
)
PARAMETERS = handed(
    shapes(least=1, most=2), values=("normal", "binary", "constant", "far"), strange=False
)


@given(PARAMETERS, st.sampled_from(sorted(PENALTIES)), st.one_of(st.floats(-2, 2), things()))
def test_penalties_of_a_tensor(x, name, strength):
    penalty = attempt(getattr(penalties, name), strength)
    assert (penalty is REFUSED) == (not is_number(strength, 0))
    if penalty is REFUSED:
        return
    tensor, single = be.float_tensor(x.what), x.single().astype(np.float64)
    if name == "exp_l2_penalty":
        assume(np.abs(single).max(initial=0) < 40)
    value = float(penalty.value(tensor))
    with np.errstate(all="ignore"):
        expected = np.float32(float(strength) * PENALTIES[name](single))
    size = np.square(single).sum() + np.abs(single).sum() + 1
    if strength != 0 or np.isfinite(expected):
        np.testing.assert_allclose(value, expected, rtol=1e-4, atol=1e-6 * abs(strength) * size)
    gradient = penalty.grad(tensor)
    assert tuple(be.shape(gradient)) == single.shape
    if name in GRADIENTS and strength != 0:
        with np.errstate(all="ignore"):
            expected = (strength * GRADIENTS[name](single)).astype(np.float32)
        np.testing.assert_allclose(array(gradient), expected, rtol=1e-4, atol=1e-6)
    assert x.same_now()


@given(PARAMETERS, SLICES, st.sampled_from(["l1_penalty", "l2_penalty", "log_norm"]))
@example(Handed(np.eye(3), np.eye(3), "eye"), (slice(None, None, -1),), "l2_penalty")
def test_parts_of_a_tensor(x, part, name):
    """A slice that there is no part for is refused, by whichever of the three is called first."""
    penalty = attempt(getattr(penalties, name), 1.0, part)
    if penalty is REFUSED:
        return
    tensor, single = be.float_tensor(x.what), x.single().astype(np.float64)
    value, gradient = attempt(penalty.value, tensor), attempt(penalty.grad, tensor)
    added = attempt(penalty.add_grad_, be.zeros_like(tensor), tensor)
    assert (value is REFUSED) == (gradient is REFUSED) == (added is REFUSED)
    if value is not REFUSED and not isinstance(part, np.ndarray):
        expected = single if part in (None, ...) else single[_widened(part)]
        with np.errstate(all="ignore"):
            wanted = PENALTIES[name](expected)
        size = np.square(expected).sum() + 1
        np.testing.assert_allclose(float(value), wanted, rtol=1e-4, atol=1e-6 * size)
        np.testing.assert_array_equal(array(added), array(gradient))
    text = json.dumps(penalty.get_config())
    assert penalties.from_config(json.loads(text)).get_config() == penalty.get_config()


def _widened(part):
    return tuple(
        slice(p, p + 1 or None) if isinstance(p, int) else p
        for p in (part if isinstance(part, tuple) else (part,))
    )


@given(handed(matrices := st.tuples(st.integers(1, 4), st.integers(1, 4)), strange=False))
def test_the_volume_of_a_matrix(x):
    """Minus the sum of the logarithms of the singular values, or an error where one is zero."""
    single = x.single().astype(np.float64)
    assume(np.isfinite(single).all() and np.abs(single).max() < 1e6)
    penalty, tensor = penalties.logdet_penalty(1.0), be.float_tensor(x.what)
    values = np.linalg.svd(single, compute_uv=False)
    value, gradient = attempt(penalty.value, tensor), attempt(penalty.grad, tensor)
    if values[-1] > max(1e-2 * values[0], 1e-15):
        np.testing.assert_allclose(float(value), -2 * np.log(values).sum(), rtol=1e-3, atol=2e-2)
        with np.errstate(over="ignore"):
            expected = -2 * np.linalg.pinv(single).T.astype(np.float32)
        scale = np.abs(expected).max()
        np.testing.assert_allclose(array(gradient), expected, rtol=1e-2, atol=1e-2 * scale)
    elif values[-1] == 0:
        assert value is REFUSED or float(value) > 10


@given(things(), things())
def test_configurations_of_penalties(thing, other):
    assert attempt(penalties.from_config, thing) is REFUSED
    for key in ("penalty", "slice_tuple", "target", "word"):
        attempt(penalties.from_config, {"name": "l2_norm", "penalty": 1.0, key: other})
    terms = attempt(penalties.sum_penalty, thing)
    assert terms is REFUSED or len(thing) == 0


# constraints

INDICES = st.one_of(st.integers(-4, 4), st.lists(st.integers(-3, 3), max_size=2), things())


@given(PARAMETERS, INDICES, st.sampled_from(["zero_row", "zero_column"]))
@example(Handed(np.eye(3), np.eye(3), "eye"), None, "zero_row")
@example(Handed(np.eye(3), np.eye(3), "eye"), True, "zero_column")
@example(Handed(np.eye(3), np.eye(3), "eye"), (0, 1), "zero_row")
def test_rows_and_columns_of_zeros(x, index, name):
    tensor, expected = be.copy_tensor(be.float_tensor(x.what)), x.single()
    done = attempt(getattr(constraints, name), tensor, index)
    axis = 0 if name == "zero_row" else 1
    places = _places(index, expected.shape[axis]) if expected.ndim > axis else None
    assert (done is REFUSED) == (places is None)
    if places is not None:
        expected[(slice(None),) * axis + (places,)] = 0
    np.testing.assert_array_equal(be.to_numpy_array(tensor), expected)


def _places(index, size):
    """The places that an index means, or None if it is no index of so many."""
    if isinstance(index, slice):
        return list(range(size))[index]
    several = isinstance(index, list | tuple) or (
        isinstance(index, np.ndarray) and index.ndim == 1 and index.dtype.kind in "iu"
    )
    listed = list(index) if several else [index]
    if any(not is_whole(i, -size) or i >= size for i in listed):
        return None
    return [int(i) for i in listed]


@given(PARAMETERS, st.sampled_from(["non_negative", "non_positive", "diagonal"]))
def test_signs_and_diagonals(x, name):
    tensor, single = be.copy_tensor(be.float_tensor(x.what)), x.single()
    done = attempt(getattr(constraints, name), tensor)
    assert (done is REFUSED) == (name == "diagonal" and single.ndim != 2)
    expected = {
        "non_negative": lambda: np.maximum(single, 0),
        "non_positive": lambda: np.minimum(single, 0),
        "diagonal": lambda: single * np.eye(*single.shape) if single.ndim == 2 else single,
    }[name]()
    np.testing.assert_array_equal(be.to_numpy_array(tensor), expected)


@given(PARAMETERS, handed(shapes(most=2), values=("binary", "constant")))
def test_masks(x, mask):
    tensor = be.copy_tensor(be.float_tensor(x.what))
    done = attempt(constraints.zero_mask, tensor, mask.what)
    good = mask.means is not None and mask.means.shape == x.means.shape
    good = good and np.isin(mask.single(), (0, 1)).all()
    assert (done is REFUSED) == (not good)
    expected = np.where(mask.single() == 1, 0, x.single()) if good else x.single()
    np.testing.assert_array_equal(be.to_numpy_array(tensor), expected)
    assert mask.same_now()


LARGE = np.array([[1e30, np.inf, 1e-30], [-1e30, 1.0, 0.0]])


@given(PARAMETERS, st.one_of(st.none(), st.floats(0, 10), things()))
@example(Handed(LARGE, LARGE, "squares beyond floats, no direction, squares that vanish"), 2.0)
@example(Handed(LARGE, LARGE, "squares beyond floats, no direction, squares that vanish"), 0.0)
def test_columns_of_one_norm(x, norm):
    tensor, single = be.copy_tensor(be.float_tensor(x.what)), x.single().astype(np.float64)
    done = attempt(constraints.fixed_column_norm, tensor, norm)
    good = single.ndim == 2 and (norm is None or is_number(norm, 0))
    assert (done is REFUSED) == (not good)
    if good:
        present = np.sqrt(np.square(single).sum(axis=0))
        present[~np.isfinite(present)] = np.nan
        if norm is None:
            norm = present.sum() / max(1, np.count_nonzero(present))
        expected = single * (float(norm) / np.where(present == 0, 1, present))
        np.testing.assert_allclose(array(tensor), expected, rtol=1e-5, atol=1e-30)


@given(things(), things())
def test_configurations_of_constraints(thing, other):
    assert attempt(constraints.from_config, thing) is REFUSED
    found = attempt(constraints.get_config, thing)
    assert found is REFUSED
    bound = functools.partial(constraints.zero_row, index=other)
    config = attempt(constraints.get_config, bound)
    if config is not REFUSED:
        constraints.from_config(json.loads(json.dumps(config)))


# optimizers

RULES = {
    "Gradient": (),
    "Momentum": ("momentum",),
    "RMSProp": ("mean_square_weight",),
    "ADAM": ("mean_weight", "mean_square_weight"),
}


def is_rate(stepsize):
    """Whether it is a learning rate, or None for the usual one."""
    schedule = isinstance(stepsize, schedules.Schedule)
    return stepsize is None or schedule or is_number(stepsize, 0)


@given(st.sampled_from(sorted(RULES)), NUMBER)
def test_learning_rates(name, stepsize):
    made = attempt(getattr(optimizers, name), stepsize)
    assert (made is REFUSED) == (not is_rate(stepsize))
    if made is not REFUSED:
        made.update_lr()
        assert made.lr == (0.001 if stepsize is None else float(stepsize))


@given(st.sampled_from(sorted(RULES)), NUMBER, things())
def test_options_of_optimizers(name, number, thing):
    rule = getattr(optimizers, name)
    for option in RULES[name]:
        for value in (number, thing):
            made = attempt(rule, **{option: value})
            assert (made is REFUSED) == (not (is_number(value, 0, 1) and value != 1))
    for value in (number, thing):
        made = attempt(rule, tolerance=value)
        inf = isinstance(value, float) and value == math.inf
        assert (made is REFUSED) == (not (inf or is_number(value, 0)))
        made = attempt(rule, max_norm=value)
        good = value is None or (is_number(value, 0) and value != 0)
        assert (made is REFUSED) == (not good)


@given(st.sampled_from(sorted(RULES)), things())
def test_what_is_no_gradient(name, thing):
    model = build("BB", (3, 2))
    before = model.get_values()
    optimizer = getattr(optimizers, name)()
    assert attempt(optimizer.update, model, thing) is REFUSED
    assert attempt(optimizer.update, thing, ModelGradient.zeros(model)) is REFUSED
    for old, new in zip(before["layers"], model.get_values()["layers"], strict=True):
        np.testing.assert_array_equal(old["loc"], new["loc"])
