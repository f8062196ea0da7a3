"""Values against formulas in double precision, gradients against finite differences of those."""

import json

import numpy as np
import pytest

from paysage import backends as be
from paysage import penalties as pen
from paysage.errors import ConfigError, ShapeError


def norms(w):
    return np.sqrt((w**2).sum(axis=0))


# name, penalty, and the formula of its value for the part of the tensor within the slice
CASES = [
    ("l1", pen.l1_penalty(0.3), lambda w: 0.3 * np.abs(w).sum()),
    ("l2", pen.l2_penalty(0.3), lambda w: 0.15 * (w**2).sum()),
    ("exp", pen.exp_l2_penalty(0.3), lambda w: 0.15 * (np.exp(w) ** 2).sum()),
    (
        "adaptive",
        pen.l1_adaptive_decay_penalty_2(0.3),
        lambda w: 0.15 * (np.abs(w).sum(axis=0) ** 2).sum(),
    ),
    ("log", pen.log_penalty(0.3), lambda w: -0.3 * np.log(np.abs(w)).sum()),
    (
        "logdet",
        pen.logdet_penalty(0.3),
        lambda w: -0.6 * np.log(np.linalg.svd(w, compute_uv=False)).sum(),
    ),
    ("log_norm", pen.log_norm(0.3), lambda w: -0.3 * np.log(norms(w)).sum()),
    ("norm", pen.l2_norm(0.3), lambda w: 0.15 * ((norms(w) - 1) ** 2).sum()),
    ("target", pen.l2_norm(0.3, target=3.0), lambda w: 0.15 * ((norms(w) - 3) ** 2).sum()),
    ("trivial", pen.trivial_penalty(), lambda w: 0.0),
    (
        "sum",
        pen.l1_penalty(0.3) + pen.l2_penalty(0.2) + pen.log_norm(0.1),
        lambda w: 0.3 * np.abs(w).sum() + 0.1 * (w**2).sum() - 0.1 * np.log(norms(w)).sum(),
    ),
]
SLICES = {
    "all": None,
    "rows": (slice(1, 6),),
    "block": (slice(None), slice(1, 3)),
    "strided": (slice(0, None, 2), slice(None)),
    "one row": (-1,),
    "list": ([0, 2, 3],),
}
SHAPES = [(7, 4), (4, 7)]


def make(shape, seed=3):
    """Elements away from zero, where the absolute value has no derivative."""
    rng = np.random.default_rng(seed)
    return (rng.uniform(0.3, 1.5, shape) * rng.choice([-1, 1], shape)).astype(np.float32)


def with_slice(penalty, part):
    config = penalty.get_config()
    if isinstance(penalty, pen.sum_penalty):
        terms = [with_slice(term, part) for term in penalty.penalties]
        return pen.sum_penalty(terms)
    arguments = {k: v for k, v in config.items() if k not in ("name", "slice_tuple")}
    return type(penalty)(**arguments, slice_tuple=part)


def part_of(array, part):
    if part is None:
        return array
    return array[tuple([i] if isinstance(i, int) else i for i in part)]


def difference_quotient(formula, array, step=1e-6):
    """Central differences in double precision; error of the order step² = 1e-12."""
    array = array.astype(np.float64)
    result = np.zeros_like(array)
    for place in np.ndindex(array.shape):
        up, down = array.copy(), array.copy()
        up[place] += step
        down[place] -= step
        result[place] = (formula(up) - formula(down)) / (2 * step)
    return result


@pytest.fixture(params=CASES, ids=lambda case: case[0])
def case(request):
    return request.param[1:]


@pytest.mark.parametrize("part", SLICES.values(), ids=SLICES.keys())
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_value_and_gradient(case, shape, part):
    """Single precision: some 30 terms of rounding error 6e-8 each, in results of order one."""
    penalty, formula = with_slice(case[0], part), case[1]
    array = make(shape)
    rows_only = lambda w: formula(part_of(w, part))  # noqa: E731
    tensor = be.float_tensor(array)
    value = be.item(be.float_scalar(penalty.value(tensor)))
    assert value == pytest.approx(rows_only(array.astype(np.float64)), rel=1e-5, abs=1e-5)
    gradient = penalty.grad(tensor)
    assert be.shape(gradient) == shape
    expected = difference_quotient(rows_only, array)
    np.testing.assert_allclose(be.to_numpy_array(gradient), expected, rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize("part", SLICES.values(), ids=SLICES.keys())
def test_accumulation_adds_the_gradient(case, part):
    penalty = with_slice(case[0], part)
    tensor = be.float_tensor(make((7, 4)))
    start = be.float_tensor(make((7, 4), seed=9))
    total = be.copy_tensor(start)
    assert penalty.add_grad_(total, tensor) is total
    np.testing.assert_allclose(
        be.to_numpy_array(total),
        be.to_numpy_array(start + penalty.grad(tensor)),
        rtol=1e-6,
        atol=1e-6,
    )


def test_the_tensor_is_left_alone(case):
    penalty, _ = case
    tensor = be.float_tensor(make((7, 4)))
    penalty.value(tensor)
    gradient = penalty.grad(tensor)
    gradient[:] = 99.0
    np.testing.assert_array_equal(be.to_numpy_array(tensor), make((7, 4)))


@pytest.mark.parametrize("part", SLICES.values(), ids=SLICES.keys())
def test_config_round_trip(case, part):
    penalty = with_slice(case[0], part)
    text = json.dumps(penalty.get_config(), allow_nan=False)
    again = pen.from_config(json.loads(text))
    assert type(again) is type(penalty)
    assert again.get_config() == penalty.get_config()
    tensor = be.float_tensor(make((7, 4)))
    assert be.allclose(again.grad(tensor), penalty.grad(tensor), rtol=0.0, atol=0.0)


def test_vectors():
    """A vector of biases takes every penalty that is not of a matrix; here it is one column."""
    vector = be.float_tensor([1.0, -2.0, 0.5])
    adaptive = pen.l1_adaptive_decay_penalty_2(2.0)
    assert float(adaptive.value(vector)) == pytest.approx(3.5**2)
    np.testing.assert_allclose(be.to_numpy_array(adaptive.grad(vector)), [7.0, -7.0, 7.0])
    log_norm = pen.log_norm(2.0)
    assert float(log_norm.value(vector)) == pytest.approx(-2 * np.log(np.sqrt(5.25)))
    np.testing.assert_allclose(
        be.to_numpy_array(log_norm.grad(vector)), [-8 / 21, 16 / 21, -4 / 21]
    )
    with pytest.raises(ShapeError, match=r"\(3,\); expected a matrix"):
        pen.logdet_penalty(1.0).value(vector)


def test_zero_is_a_fixed_point_where_there_is_no_derivative():
    zeros = be.zeros((3, 2))
    kinds = (pen.l1_penalty, pen.l2_norm, pen.log_norm, pen.l1_adaptive_decay_penalty_2)
    for penalty in (kind(1.0) for kind in kinds):
        np.testing.assert_array_equal(be.to_numpy_array(penalty.grad(zeros)), np.zeros((3, 2)))


def test_logdet_of_an_ill_conditioned_matrix():
    """A condition number of 1e3, squared by the Gram matrix: 1e6 times 6e-8 would leave 6%."""
    rng = np.random.default_rng(5)
    u, _ = np.linalg.qr(rng.normal(size=(20, 4)))
    v, _ = np.linalg.qr(rng.normal(size=(4, 4)))
    matrix = ((u * [1.0, 0.1, 0.01, 0.001]) @ v.T).astype(np.float32)
    expected = -2 * np.linalg.pinv(matrix.astype(np.float64)).T
    gradient = be.to_numpy_array(pen.logdet_penalty(1.0).grad(be.float_tensor(matrix)))
    np.testing.assert_allclose(gradient, expected, rtol=0, atol=3e-3 * np.abs(expected).max())


@pytest.mark.backend_free
def test_sums_are_flat_and_python_can_sum():
    first, second, third = pen.l1_penalty(0.1), pen.l2_penalty(0.2), pen.log_norm(0.3)
    assert (first + (second + third)).penalties == [first, second, third]
    assert sum([first, second, third]).penalties == [first, second, third]
    with pytest.raises(TypeError):
        first + 3.0


@pytest.mark.backend_free
def test_aliases():
    assert pen.lasso is pen.l1_penalty
    assert pen.ridge is pen.l2_penalty


@pytest.mark.backend_free
@pytest.mark.parametrize(
    ("make_it", "words"),
    [
        (lambda: pen.l1_penalty("strong"), "penalty of l1_penalty must be a finite"),
        (lambda: pen.l1_penalty(float("nan")), "penalty of l1_penalty must be a finite"),
        (lambda: pen.l1_penalty(-0.1), "penalty of l1_penalty must be a finite number, at least 0"),
        (lambda: pen.from_config({"name": "l2_penalty", "penalty": -1}), "at least 0, got -1"),
        (lambda: pen.l2_norm(1.0, target=None), "target of l2_norm must be a finite"),
        (lambda: pen.l1_penalty(1.0, (1.5,)), "slices, integers and lists"),
        (lambda: pen.l1_penalty(1.0, "all"), "slices, integers and lists"),
        (lambda: pen.l1_penalty(1.0, ([2, 0, 2],)), "names an element once"),
        (lambda: pen.from_config({"name": "l1_penality", "penalty": 1.0}), "did you mean"),
        (lambda: pen.from_config({"name": "l1_penalty", "strength": 1.0}), "cannot be made"),
        (lambda: pen.from_config({"penalty": 1.0}), "has a 'name'"),
    ],
)
def test_impossible_settings_are_named(make_it, words):
    with pytest.raises(ConfigError, match=words):
        make_it()


def test_a_penalty_of_ones_own_loads():
    class cubic(pen.Penalty):
        def __init__(self, penalty, slice_tuple=None, *, factor=1.0):
            super().__init__(penalty, slice_tuple)
            self.factor = factor

        def options(self):
            return {"factor": self.factor}

        def value_of(self, x):
            return self.penalty * self.factor * be.tsum(be.tabs(x) ** 3)

        def derivative(self, x):
            return 3 * self.penalty * self.factor * x * be.tabs(x)

    mixed = cubic(0.5, (slice(0, 2),), factor=2.0) + pen.l2_penalty(0.1)
    again = pen.from_config(json.loads(json.dumps(mixed.get_config())))
    assert isinstance(again.penalties[0], cubic)
    tensor = be.float_tensor(make((7, 4)))
    assert be.allclose(again.grad(tensor), mixed.grad(tensor))


@pytest.mark.backend_free
def test_a_name_that_is_taken_is_refused():
    with pytest.raises(ConfigError, match=r"belongs to paysage\.penalties\.kinds\.l1_penalty"):
        type("l1_penalty", (pen.Penalty,), {})
    assert isinstance(pen.from_config({"name": "l1_penalty", "penalty": 1.0}), pen.l1_penalty)
