"""Transformations: the numbers that NumPy gives in double precision, or a named error."""

import json

import numpy as np
from hypothesis import example
from hypothesis import strategies as st
from odd import REFUSED, Handed, array, attempt, given, handed, shapes, things

from paysage import backends as be
from paysage import preprocess as pre

BIG = np.array([[1e30, -1e30], [1e-30, 0.0], [0.0, 0.0]])


def is_finite(x):
    return x.single() is not None and bool(np.isfinite(x.single()).all())


@given(handed())
def test_doing_nothing(x):
    assert pre.do_nothing(x.what) is x.what


@given(handed(), st.one_of(things(), st.floats(0.1, 10)))
@example(Handed(np.eye(2), np.eye(2), "eye"), np.array(2))
@example(Handed(np.eye(2), np.eye(2), "eye"), np.array(False))
@example(Handed(np.eye(2), np.eye(2), "eye"), 1e-50)
@example(Handed(np.eye(2), np.eye(2), "eye"), np.timedelta64(2, "s"))
def test_scale(x, divisor):
    found = attempt(pre.scale, x.what, divisor)
    shape = _shape_of_divisors(divisor)
    fits = shape is not None and x.means is not None and shape in ((), x.means.shape[-1:])
    assert (found is REFUSED) == (not fits)
    if fits:
        _check_scaled(found, x, divisor)
    assert x.same_now()


def _shape_of_divisors(divisor):
    """Of numbers that one can divide by; an array of no axes holds one, and a truth value none."""
    if divisor is None or isinstance(divisor, bool | np.bool_ | str | bytes | np.timedelta64):
        return None
    try:
        numbers = np.asarray(divisor, np.float64)  # single precision makes zeros of the least
    except (TypeError, ValueError):
        return None
    good = np.isfinite(numbers).all() and numbers.astype(np.float32).all()
    return numbers.shape if good else None


def _check_scaled(found, x, divisor):
    with np.errstate(all="ignore"):
        expected = x.single().astype(np.float64) / np.asarray(divisor, np.float64)
        expected = expected.astype(np.float32)
    np.testing.assert_allclose(array(found), expected, rtol=1e-6, atol=1e-44)


@given(handed(values=("grey", "normal", "nan", "inf", "constant", "means", "far")))
@example(Handed(np.array([[300.0, 1.0]]), np.array([[300.0, 1.0]]), "above"))
@example(Handed(np.array([[-1.0]]), np.array([[-1.0]]), "below"))
def test_grey_values(x):
    single = x.single()
    good = single is not None and bool(((single >= 0) & (single <= 255)).all())
    ones, drawn = attempt(pre.binarize_color, x.what), attempt(pre.sample_color, x.what)
    assert (ones is REFUSED) == (drawn is REFUSED) == (not good)
    assert (ones is REFUSED) == (not good)
    if good:
        np.testing.assert_array_equal(array(ones), single >= 127.5)
        assert be.dtype(drawn) == be.Float and tuple(be.shape(drawn)) == single.shape
        drawn = array(drawn)
        assert ((drawn == 0) | (drawn == 1)).all()
        assert (drawn[single == 0] == 0).all() and (drawn[single == 255] == 1).all()
        assert x.same_now()


@given(handed(shape=shapes(least=1)), st.sampled_from([1, 2]))
@example(Handed(BIG, BIG, "squares beyond the range of floats"), 1)
@example(Handed(BIG, BIG, "squares beyond the range of floats"), 2)
def test_rows_of_norm_one(x, order):
    function = {1: pre.l1_normalize, 2: pre.l2_normalize}[order]
    found = attempt(function, x.what)
    good = is_finite(x) and x.means.ndim == 2
    assert (found is REFUSED) == (not good)
    if good:
        single = x.single().astype(np.float64)
        top = np.abs(single).max(axis=1, keepdims=True, initial=0)
        single = single / np.where(top == 0, 1, top)
        norm = (np.abs(single) ** order).sum(axis=1, keepdims=True) ** (1 / order)
        expected = single / np.where(norm == 0, 1, norm)
        np.testing.assert_allclose(array(found), expected, rtol=1e-5, atol=1e-7)
        assert x.same_now()


CATEGORIES = st.one_of(
    st.lists(st.integers(0, 3), max_size=4),
    st.sampled_from([["a", "b"], [0.5, 1.0], [True, False], [0, "a"], [[0, 1], [1, 2]]]),
    things(),
)


NO_ARRAYS = ("masked", "ragged", "sparse", "sparse tensor")
MASKED = np.ma.masked_array(np.ones((3, 2)), mask=np.eye(3, 2, dtype=bool))


@given(handed(values=("binary", "grey", "constant", "nan")), CATEGORIES)
@example(Handed(MASKED, None, "masked"), [0, 1])
def test_one_hot(x, categories):
    found = attempt(pre.one_hot, x.what, categories)
    good = x.means is not None and x.means.ndim in (1, 2) and _are_numbers(categories)
    if good:
        numbers = [float(c) for c in categories]
        good = len(set(numbers)) == len(numbers) and set(x.means.flat) <= set(numbers)
    if x.means is None:
        assert found is REFUSED or x.made not in NO_ARRAYS
    elif x.means.size or _are_numbers(categories):  # no elements are in categories of any kind
        assert (found is REFUSED) == (not good)
    if good:
        table = x.means.reshape(len(x.means), int(np.prod(x.means.shape[1:])))
        expected = [[float(v == c) for v in row for c in numbers] for row in table]
        shape = (len(table), table.shape[1] * len(numbers))
        np.testing.assert_array_equal(array(found), np.reshape(expected, shape))


def _are_numbers(categories):
    listed = isinstance(categories, list | tuple) or (
        isinstance(categories, np.ndarray) and categories.ndim == 1
    )
    kinds = bool | int | float | np.number
    return listed and len(categories) > 0 and all(isinstance(c, kinds) for c in categories)


@given(things(), things(), things())
def test_transformations(function, args, kwargs):
    assert (
        callable(function) or function is None or (attempt(pre.Transformation, function) is REFUSED)
    )
    made = attempt(pre.Transformation, pre.scale, args, kwargs)
    if made is REFUSED:
        return
    config = attempt(made.get_config)
    if config is not REFUSED:
        again = pre.Transformation.from_config(json.loads(json.dumps(config)))
        assert again.function is pre.scale and len(again.args) == len(made.args)


@given(things())
@example({"denominator": 2.0})
@example([2.0])
def test_configurations(thing):
    assert attempt(pre.Transformation.from_config, thing) is REFUSED
    for key in ("args", "kwargs"):
        made = attempt(pre.Transformation.from_config, {"name": "scale", key: thing})
        if made is REFUSED:
            continue
        assert made.function is pre.scale
        if isinstance(thing, list | tuple | dict):
            assert len(getattr(made, key)) == len(thing)
        config = attempt(made.get_config)
        if config is not REFUSED:
            again = pre.Transformation.from_config(json.loads(json.dumps(config)))
            assert json.dumps(again.get_config()) == json.dumps(config)


@given(handed(), st.integers(0, 5))
def test_a_look_at_values(x, first):
    """Only numbers that are finite pass; what are no numbers is for functions of one's own."""
    if x.means is None:
        return
    found = attempt(pre.Transformation().check, x.what, first)
    assert (found is REFUSED) == (not np.isfinite(x.means).all())
