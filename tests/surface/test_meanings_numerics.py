"""Meanings of version 0.2 that scripts rely on: penalties, constraints and numerics.

Expected numbers were computed by hand, or are computed with plain NumPy.
"""

from functools import partial

import numpy as np
import pytest

from paysage import backends as be
from paysage import constraints, math_utils, penalties
from paysage.batch import in_memory_batch
from paysage.errors import ConfigError
from paysage.factorization import PCA
from paysage.layers import BernoulliLayer, GaussianLayer
from paysage.models import BoltzmannMachine

# Columns of norm 5 and 13; WᵀW = [[25, 16], [16, 169]] with determinant 4225 - 256 = 3969.
MATRIX = [[3.0, 12.0], [4.0, -5.0], [0.0, 0.0]]


def array(tensor):
    return be.to_numpy_array(tensor)


# penalties


def test_log_norm_is_minus_the_sum_of_log_column_norms():
    penalty = penalties.log_norm(2.0)
    w = be.float_tensor(MATRIX)
    assert penalty.value(w) == pytest.approx(-2 * (np.log(5) + np.log(13)), rel=1e-6)
    expected = [[-6 / 25, -24 / 169], [-8 / 25, 10 / 169], [0, 0]]
    np.testing.assert_allclose(array(penalty.grad(w)), expected, rtol=1e-6)


def test_l2_norm_sums_over_columns_and_takes_the_target_third():
    penalty = penalties.l2_norm(2.0, (slice(None),), 10)
    w = be.float_tensor(MATRIX)
    assert penalty.value(w) == pytest.approx(25 + 9, rel=1e-6)
    expected = [[2 * -5 * 3 / 5, 2 * 3 * 12 / 13], [2 * -5 * 4 / 5, 2 * 3 * -5 / 13], [0, 0]]
    np.testing.assert_allclose(array(penalty.grad(w)), expected, rtol=1e-6)
    assert penalties.l2_norm(2.0).value(w) == pytest.approx(16 + 144, rel=1e-6)


def test_logdet_penalty_is_minus_log_det_of_the_gram_matrix():
    penalty = penalties.logdet_penalty(0.5)
    w = be.float_tensor(MATRIX)
    assert penalty.value(w) == pytest.approx(-0.5 * np.log(3969), rel=1e-6)
    inverse = np.array([[169, -16], [-16, 25]]) / 3969
    np.testing.assert_allclose(array(penalty.grad(w)), -np.array(MATRIX) @ inverse, rtol=1e-5)


KINDS = [
    "exp_l2_penalty",
    "l1_adaptive_decay_penalty_2",
    "l1_penalty",
    "l2_norm",
    "l2_penalty",
    "log_norm",
    "log_penalty",
    "logdet_penalty",
    "trivial_penalty",
]


@pytest.mark.parametrize("name", KINDS)
def test_gradients_match_finite_differences_of_the_value(name):
    """Central differences in single precision: step 1e-2 leaves errors of the order 1e-3."""
    penalty = getattr(penalties, name)(0.5)
    w = np.array([[0.7, -0.4], [-0.9, 0.6], [0.5, 1.1]], np.float32)
    expected = np.zeros_like(w)
    for place in np.ndindex(w.shape):
        step = np.zeros_like(w)
        step[place] = 0.01
        up, down = (penalty.value(be.float_tensor(x)) for x in (w + step, w - step))
        expected[place] = (float(up) - float(down)) / 0.02
    np.testing.assert_allclose(
        array(penalty.grad(be.float_tensor(w))), expected, rtol=2e-3, atol=2e-3
    )


@pytest.mark.parametrize("name", KINDS)
def test_penalties_apply_to_the_whole_tensor_by_default(name):
    assert getattr(penalties, name)(0.5).slice_tuple == (slice(None),)


# constraints


@pytest.mark.parametrize("kind", [np.float32, np.int64, bool], ids=["float", "int", "bool"])
def test_zero_mask_zeroes_where_the_mask_is_one(kind):
    mask = np.array([[1, 0], [0, 1], [0, 0]]).astype(kind)
    for given in (mask, mask.tolist(), be.from_numpy_array(mask)):
        w = be.ones((3, 2))
        partial(constraints.zero_mask, mask=given)(w)
        np.testing.assert_array_equal(array(w), [[0, 1], [1, 0], [1, 1]])


def test_fixed_column_norm_uses_the_mean_of_the_column_norms():
    w = be.float_tensor([[1.0, 0.0], [0.0, 3.0]])
    constraints.fixed_column_norm(w)
    np.testing.assert_allclose(array(w), [[2, 0], [0, 2]], rtol=1e-6)
    w = be.float_tensor(MATRIX)
    constraints.fixed_column_norm(w)
    np.testing.assert_allclose(array(w), np.array(MATRIX) * [9 / 5, 9 / 13], rtol=1e-6)


# backends


def test_var_std_and_cov_divide_by_n_minus_one():
    x = be.float_tensor([[1.0, 2.0], [3.0, 6.0]])  # mean 3: deviations -2, -1, 0, 3
    assert be.var(x) == pytest.approx(14 / 3)
    assert be.std(x) == pytest.approx((14 / 3) ** 0.5)
    np.testing.assert_allclose(array(be.var(x, axis=0)), [2, 8])
    np.testing.assert_allclose(array(be.std(x, axis=1)), [0.5**0.5, 4.5**0.5], rtol=1e-6)
    np.testing.assert_allclose(array(be.cov(x, x)), [[2, 4], [4, 8]])


def test_sort_and_argsort_flatten_by_default():
    x = be.float_tensor([[3.0, 1.0], [2.0, 0.0]])
    np.testing.assert_array_equal(array(be.sort(x)), [0, 1, 2, 3])
    np.testing.assert_array_equal(array(be.argsort(x)), [3, 1, 2, 0])
    np.testing.assert_array_equal(array(be.sort(x, axis=1)), [[1, 3], [0, 2]])
    np.testing.assert_array_equal(array(be.argsort(x, axis=0)), [[1, 1], [0, 0]])


def test_reductions_without_an_axis_return_python_floats():
    x = be.float_tensor([[1.0, 2.0], [2.0, 4.0]])
    for name, expected in {
        "tsum": 9.0,
        "mean": 2.25,
        "var": 19 / 12,
        "std": (19 / 12) ** 0.5,
        "tprod": 16.0,
        "tmax": 4.0,
        "tmin": 1.0,
        "norm": 5.0,
    }.items():
        found = getattr(be, name)(x)
        assert type(found) is float, name
        assert found == pytest.approx(expected, rel=1e-6), name


def test_keywords_of_the_backend():
    x = be.float_tensor([[1.0, 2.0], [3.0, 4.0]])
    ones, zeros = be.ones((2,), dtype=be.Long), be.zeros((2,), dtype=be.Int)
    assert (be.dtype(ones), be.dtype(zeros)) == (be.Long, be.Int)
    steps = be.trange(0, 6, 2, dtype=be.Long)
    assert be.dtype(steps) == be.Long
    np.testing.assert_array_equal(array(steps), [0, 2, 4])
    one = be.long_tensor([1])
    np.testing.assert_array_equal(array(be.index_select(x, one, dim=0)), [[3, 4]])
    np.testing.assert_array_equal(array(be.index_select(x, one, dim=1)), [[2], [4]])
    np.testing.assert_array_equal(array(be.center(x, axis=0)), [[-1, -1], [1, 1]])
    np.testing.assert_array_equal(array(be.center(x, axis=1)), [[-0.5, 0.5], [-0.5, 0.5]])


def test_tclip_takes_one_bound_or_two():
    x, low = be.float_tensor([[1.0, 5.0], [3.0, 2.0]]), be.float_tensor([2.0, 3.0])
    np.testing.assert_array_equal(array(be.tclip(x, low)), [[2, 5], [3, 3]])
    np.testing.assert_array_equal(array(be.tclip(x, a_max=low)), [[1, 3], [2, 2]])
    assert be.tclip_(x, low) is x
    np.testing.assert_array_equal(array(x), [[2, 5], [3, 3]])


def test_batch_dot_and_batch_quadratic_work_row_by_row():
    a, b = be.float_tensor([[1.0, 2.0], [3.0, 4.0]]), be.float_tensor([[5.0, 6.0], [7.0, 8.0]])
    np.testing.assert_array_equal(array(be.batch_dot(a, b)), [17, 53])
    np.testing.assert_array_equal(array(be.batch_dot(a, b, axis=0)), [26, 44])
    swap = be.float_tensor([[0.0, 1.0], [1.0, 0.0]])
    np.testing.assert_array_equal(array(be.batch_quadratic(a, swap, b)), [16, 52])
    np.testing.assert_array_equal(array(be.batch_quadratic(a, swap, b, axis=1)), [16, 52])


def test_softmax_and_argmax_along_axis_one():
    x = be.float_tensor([[0.0, np.log(3.0)], [np.log(4.0), 0.0]])
    np.testing.assert_allclose(array(be.softmax(x)), [[0.25, 0.75], [0.8, 0.2]], rtol=1e-6)
    np.testing.assert_array_equal(array(be.argmax(x, axis=1)), [1, 0])


def test_pure_python_helpers(capsys):
    assert be.accumulate(func=abs, a=[-1, 2]) == 3
    assert be.apply(func=abs, a=[-1, 2]) == [1, 2]
    assert be.mapzip(func=max, a=[1, 4], b=[2, 3]) == [2, 4]
    be.maybe_print("seen")
    be.maybe_print("not seen", verbose=False)
    assert capsys.readouterr().out == "seen\n"


# math_utils


def test_find_k_nearest_neighbors_returns_the_kth_neighbour_only():
    x = be.float_tensor([[0.0, 0.0], [10.0, 0.0]])
    y = be.float_tensor([[3.0, 4.0], [0.0, 1.0], [10.0, 2.0]])
    for k, indices, distances in ((1, [1, 2], [1, 2]), (2, [0, 0], [5, 65**0.5])):
        found, far = math_utils.find_k_nearest_neighbors(x, y, k)
        assert be.shape(found) == be.shape(far) == (2,)
        np.testing.assert_array_equal(array(found), indices)
        np.testing.assert_allclose(array(far), distances, rtol=1e-6)


def test_calculators_update_along_an_axis():
    calculator = math_utils.MeanVarianceArrayCalculator()
    calculator.update(be.float_tensor([[1.0, 2.0], [3.0, 6.0]]), axis=0)
    np.testing.assert_array_equal(array(calculator.mean), [2, 4])
    calculator.reset()
    calculator.update(be.float_tensor([[1.0, 2.0], [3.0, 6.0]]), axis=1)
    np.testing.assert_array_equal(array(calculator.mean), [1.5, 4.5])
    frame = calculator.to_dataframe()
    np.testing.assert_array_equal(frame["mean"], [1.5, 4.5])
    again = math_utils.MeanVarianceArrayCalculator.from_dataframe(frame)
    np.testing.assert_array_equal(array(again.var), array(calculator.var))


# principal components: standard deviations 6, 3 and 2 along the axes, mean (1, 2, 3)

# Rows mean ± a e_j: the sum of squares along axis j is 2 a², over n - 1 = 5.
AXES = np.diag([6.0, 3.0, 2.0]) * 2.5**0.5
DATA = np.vstack([AXES, -AXES]) + np.array([1.0, 2.0, 3.0])


@pytest.fixture
def batch():
    """Six training rows, and one to validate."""
    return in_memory_batch(np.vstack([DATA, DATA[:1]]), 4, 6 / 7)


def test_pca_variances_are_divided_by_n_minus_one(batch):
    for pca in (PCA.from_svd(be.float_tensor(DATA), 3), PCA.from_batch(batch, 3)):
        np.testing.assert_allclose(array(pca.var), [36, 9, 4], rtol=1e-5)
        np.testing.assert_allclose(np.abs(array(pca.W)), np.eye(3), atol=1e-5)


def test_pca_projects_without_and_transforms_with_the_mean():
    pca = PCA.from_svd(be.float_tensor(DATA), 2)
    rows = be.float_tensor([[1.0, 2.0, 3.0], [2.0, 4.0, 8.0]])
    np.testing.assert_allclose(array(pca.project(rows)), [[1, 2], [2, 4]], atol=1e-5)
    np.testing.assert_allclose(array(pca.transform(rows)), [[0, 0], [1, 2]], atol=1e-5)


def test_pca_accepts_the_arguments_of_version_02(batch, tmp_path):
    pca = PCA.from_batch(
        batch,
        3,
        epochs=1,
        grad_steps_per_minibatch=1,
        stepsize=0.001,
        minimum_stepsize=1e-8,
        convergence=0.01,
        orthogonalize_rate=5,
        verbose=False,
    )
    np.testing.assert_allclose(array(pca.var), [36, 9, 4], rtol=1e-5)
    assert PCA.from_svd(be.float_tensor(DATA), 2, verbose=False).num_components == 2
    pca.save(tmp_path / "pca.h5", num_components_save=2)
    np.testing.assert_array_equal(array(PCA.from_saved(tmp_path / "pca.h5").W), array(pca.W)[:, :2])


# initialization


@pytest.mark.parametrize(
    ("hidden", "std"), [(2, [6, 3]), (3, [6, 3, 2])], ids=["two columns", "three columns"]
)
def test_pca_initialization_weights_components_by_their_deviations(batch, hidden, std):
    model = BoltzmannMachine([GaussianLayer(3), BernoulliLayer(hidden)])
    model.initialize(batch, method="pca", epochs=10, stepsize=0.001, grad_steps_per_minibatch=1)
    scale = np.sqrt(2 * 3 / (3 + hidden)) / np.linalg.norm(std)
    expected = np.zeros((3, hidden))
    np.fill_diagonal(expected, scale * np.array(std))
    np.testing.assert_allclose(array(model.connections[0].weights.W()), expected, atol=1e-5)


@pytest.mark.parametrize("method", ["hinton", "glorot_normal", "stddev", "pca"])
def test_initializers_accept_keywords_of_version_02_only(batch, method):
    model = BoltzmannMachine([GaussianLayer(3), BernoulliLayer(2)])
    model.initialize(batch, method=method, epochs=10, verbose=False)
    with pytest.raises(ConfigError, match="unknown keyword"):
        model.initialize(batch, method=method, epoch=10)
