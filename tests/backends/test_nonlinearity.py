"""Elementwise functions, held against closed forms in float64."""

import warnings

import numpy as np
import pytest

from paysage import backends as be

EPS = float(np.finfo(np.float32).eps)
REAL = np.linspace(-9, 9, 4001)
POSITIVE = np.geomspace(1e-4, 1e4, 4001)
UNIT = np.linspace(-0.999, 0.999, 4001)
BEYOND_ONE = 1 + np.geomspace(1e-3, 1e3, 4001)
PROBABILITY = np.linspace(1e-4, 1 - 1e-4, 4001)

FUNCTIONS = {
    "tabs": (np.abs, REAL),
    "sign": (np.sign, REAL),
    "tround": (np.rint, REAL),
    "tfloor": (np.floor, REAL),
    "tceil": (np.ceil, REAL),
    "square": (np.square, REAL),
    "sqrt": (np.sqrt, POSITIVE),
    "reciprocal": (np.reciprocal, POSITIVE),
    "exp": (np.exp, REAL),
    "log": (np.log, POSITIVE),
    "cos": (np.cos, REAL),
    "sin": (np.sin, REAL),
    "tanh": (np.tanh, REAL),
    "atanh": (np.arctanh, UNIT),
    "cosh": (np.cosh, REAL),
    "acosh": (np.arccosh, BEYOND_ONE),
    "expit": (lambda x: 1 / (1 + np.exp(-x)), REAL),
    "logit": (lambda p: np.log(p / (1 - p)), PROBABILITY),
    "softplus": (lambda x: np.log1p(np.exp(x)), REAL),
    "logcosh": (lambda x: np.log(np.cosh(x)), REAL),
    "normal_pdf": (lambda x: np.exp(-x * x / 2) / np.sqrt(2 * np.pi), REAL),
}
EXACT = {"tabs", "sign", "tround", "tfloor", "tceil"}


def array(tensor):
    return be.to_numpy_array(tensor)


@pytest.fixture(autouse=True)
def no_warnings():
    """No function may warn, whatever its argument."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@pytest.mark.parametrize("size", [401, 4001])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_agrees_with_float64(name, size):
    function, domain = FUNCTIONS[name]
    x = domain[:: 4001 // size].astype(np.float32)
    result = array(getattr(be, name)(be.float_tensor(x)))
    expected = function(x.astype(np.float64))
    assert result.dtype == np.float32
    if name in EXACT:
        np.testing.assert_array_equal(result, expected)
        return
    # Libraries promise 4 units in the last place, and 0.5 * EPS is one of them at the top of a
    # binade; formulas of two functions double it. The absolute part is for results near zero that
    # are differences of numbers near one (logit, logcosh), and for normal_pdf, whose exponent
    # of up to 40 carries a rounding of 40 EPS / 2.
    tolerance = 24 * EPS if name == "normal_pdf" else 8 * EPS
    np.testing.assert_allclose(result, expected, rtol=tolerance, atol=4 * EPS)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_leaves_its_argument_alone(name):
    x = FUNCTIONS[name][1].astype(np.float32)
    getattr(be, name)(be.from_numpy_array(x))
    np.testing.assert_array_equal(x, FUNCTIONS[name][1].astype(np.float32))


@pytest.mark.parametrize("name", [name for name in FUNCTIONS if name not in EXACT])
def test_keeps_double_precision(name):
    function, x = FUNCTIONS[name]
    result = array(getattr(be, name)(be.from_numpy_array(x.copy())))
    assert result.dtype == np.float64
    np.testing.assert_allclose(result, function(x), rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize(
    ("name", "limits"),
    [
        ("expit", [0, 0, 1, 1]),
        ("softplus", [0, 0, 1000, np.inf]),
        ("logcosh", [np.inf, 1000 - np.log(2), 1000 - np.log(2), np.inf]),
        ("tanh", [-1, -1, 1, 1]),
        ("exp", [0, 0, np.inf, np.inf]),
        ("cosh", [np.inf] * 4),
        ("normal_pdf", [0, 0, 0, 0]),
        ("reciprocal", [0, -1e-3, 1e-3, 0]),
    ],
)
def test_extremes(name, limits):
    x = be.float_tensor([-np.inf, -1000, 1000, np.inf])
    np.testing.assert_allclose(array(getattr(be, name)(x)), limits, rtol=2 * EPS)


def test_expit_keeps_its_relative_accuracy_in_the_tail():
    x = np.linspace(-80, -20, 61).astype(np.float32)
    expected = 1 / (1 + np.exp(-x.astype(np.float64)))
    # exp(80) has the rounding of its argument's range reduction: 80 EPS / 2 at most.
    np.testing.assert_allclose(array(be.expit(be.float_tensor(x))), expected, rtol=40 * EPS)


def test_edges_of_the_domains():
    edges = be.float_tensor([0.0, 1.0])
    np.testing.assert_array_equal(array(be.logit(edges)), [-np.inf, np.inf])
    np.testing.assert_array_equal(array(be.log(edges)), [-np.inf, 0])
    np.testing.assert_array_equal(array(be.atanh(edges)), [0, np.inf])
    np.testing.assert_array_equal(array(be.reciprocal(edges)), [np.inf, 1])


@pytest.mark.parametrize(("name", "value"), [("log", -1), ("sqrt", -1), ("atanh", 2), ("acosh", 0)])
def test_outside_of_the_domain_is_nan(name, value):
    assert np.isnan(array(getattr(be, name)(be.float_tensor([value])))).all()


@pytest.mark.parametrize("name", ["expit", "softplus", "logcosh", "softmax"])
def test_nan_passes_through(name):
    assert np.isnan(array(getattr(be, name)(be.float_tensor([np.nan])))).all()


def test_halves_round_to_even():
    x = be.float_tensor([-1.5, -0.5, 0.5, 1.5, 2.5])
    np.testing.assert_array_equal(array(be.tround(x)), [-2, 0, 0, 2, 2])


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_softmax(axis):
    x = np.random.default_rng(3).normal(scale=20, size=(6, 9)).astype(np.float32)
    weights = np.exp(x.astype(np.float64) - x.max(axis=axis, keepdims=True))
    expected = weights / weights.sum(axis=axis, keepdims=True)
    # The difference from the maximum, up to 100, is rounded once before the exponential.
    result = array(be.softmax(be.float_tensor(x), axis=axis))
    np.testing.assert_allclose(result, expected, rtol=60 * EPS, atol=1e-30)


def test_softmax_does_not_overflow():
    x = be.float_tensor([[1000, 1000], [-1000, -1000], [1000, 0]])
    np.testing.assert_allclose(array(be.softmax(x)), [[0.5, 0.5], [0.5, 0.5], [1, 0]], rtol=EPS)


def test_logaddexp():
    gen = np.random.default_rng(4)
    x, y = gen.normal(scale=30, size=(2, 2000)).astype(np.float32)
    expected = np.logaddexp(x.astype(np.float64), y.astype(np.float64))
    result = array(be.logaddexp(be.float_tensor(x), be.float_tensor(y)))
    np.testing.assert_allclose(result, expected, rtol=4 * EPS, atol=4 * EPS)
    assert result.dtype == np.float32


def test_logaddexp_of_infinities():
    x = be.float_tensor([-np.inf, -np.inf, np.inf, 1000])
    y = be.float_tensor([-np.inf, 2, np.inf, 1000])
    expected = [-np.inf, 2, np.inf, 1000 + np.log(2)]
    np.testing.assert_allclose(array(be.logaddexp(x, y)), expected, rtol=EPS)


def test_tpow():
    x = np.linspace(0.1, 5, 50).astype(np.float32)
    powers = np.linspace(-2, 2, 50).astype(np.float32)
    for power in (2, 0.5, -1, 3.7, powers):
        argument = be.float_tensor(power) if isinstance(power, np.ndarray) else power
        result = array(be.tpow(be.float_tensor(x), argument))
        expected = x.astype(np.float64) ** power
        np.testing.assert_allclose(result, expected, rtol=8 * EPS)
        assert result.dtype == np.float32


def test_maximum_and_minimum():
    x, y = np.float32([1, -2, 3]), np.float32([0, 5, 3])
    for name, function in [("maximum", np.maximum), ("minimum", np.minimum)]:
        for other in (y, 0.5):
            argument = be.float_tensor(other) if isinstance(other, np.ndarray) else other
            result = array(getattr(be, name)(be.float_tensor(x), argument))
            np.testing.assert_array_equal(result, function(x, np.float32(other)))
            assert result.dtype == np.float32


@pytest.mark.parametrize("bounds", [(-1, 1), (None, 1), (-1, None), (None, None)])
def test_clip(bounds):
    values = np.float32([-2, -0.5, 0.5, 2])
    low, high = bounds
    expected = np.clip(values, -np.inf if low is None else low, np.inf if high is None else high)
    x = be.float_tensor(values.copy())
    result = be.clip(x, a_min=low, a_max=high)
    assert result is not x
    np.testing.assert_array_equal(array(result), expected)
    np.testing.assert_array_equal(array(x), values)
    assert be.clip_(x, a_min=low, a_max=high) is x
    np.testing.assert_array_equal(array(x), expected)


def test_tclip():
    values = np.float32([[-2, -0.5], [0.5, 2]])
    low, high = np.float32([-1, 0]), np.float32([0, 1])
    expected = np.clip(values, low, high)
    x = be.float_tensor(values.copy())
    bounds = be.float_tensor(low), be.float_tensor(high)
    np.testing.assert_array_equal(array(be.tclip(x, *bounds)), expected)
    np.testing.assert_array_equal(array(x), values)
    assert be.tclip_(x, *bounds) is x
    np.testing.assert_array_equal(array(x), expected)


@pytest.mark.parametrize("weight", [0.25, np.float32([0, 0.5, 1])], ids=["number", "tensor"])
def test_mixtures(weight):
    old, new = np.float32([1, 2, 3]), np.float32([5, 7, 9])
    w = be.float_tensor(weight) if isinstance(weight, np.ndarray) else weight
    x, y = be.float_tensor(old.copy()), be.float_tensor(new)
    # All numbers here are short binary fractions, so that the results are exact.
    np.testing.assert_array_equal(array(be.mix(w, x, y)), weight * old + (1 - weight) * new)
    np.testing.assert_array_equal(array(x), old)
    assert be.mix_(w, x, y) is x
    np.testing.assert_array_equal(array(x), weight * old + (1 - weight) * new)
    x = be.float_tensor(old.copy())
    assert be.square_mix_(w, x, y) is x
    np.testing.assert_array_equal(array(x), weight * old + (1 - weight) * new**2)
    np.testing.assert_array_equal(array(y), new)


def test_sqrt_div():
    x, y = np.float32([1, 2, 3]), np.float32([0, 4, 1e-6])
    expected = x / np.sqrt(EPS + y.astype(np.float64))
    result = array(be.sqrt_div(be.float_tensor(x), be.float_tensor(y)))
    np.testing.assert_allclose(result, expected, rtol=3 * EPS)
    assert result.dtype == np.float32
