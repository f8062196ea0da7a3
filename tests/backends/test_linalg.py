"""Products, statistics and decompositions, held against NumPy in float64."""

import numpy as np
import pytest

from paysage import backends as be
from paysage.errors import DataError, ShapeError

EPS = float(np.finfo(np.float32).eps)
GEN = np.random.default_rng(5)


def normal(*shape):
    return GEN.normal(size=shape).astype(np.float32)


def array(tensor):
    return be.to_numpy_array(tensor)


def product_agrees(result, a, b):
    """Each element within k EPS of the sum of magnitudes, the bound for k rounded terms."""
    wide_a, wide_b = a.astype(np.float64), b.astype(np.float64)
    bound = a.shape[-1] * EPS * (np.abs(wide_a) @ np.abs(wide_b))
    assert np.shape(result) == np.shape(bound)
    assert (np.abs(result - wide_a @ wide_b) <= bound).all()


def near(tensor, expected, condition=1.0):
    """Within 20 EPS of the greatest element, times the condition number where there is one."""
    result = array(tensor)
    assert result.shape == np.shape(expected)
    assert result.dtype == (np.float64 if isinstance(tensor, float) else np.float32)
    tolerance = 20 * EPS * condition * np.abs(expected).max()
    np.testing.assert_allclose(result, expected, rtol=0, atol=tolerance)


def symmetric(n):
    """A well conditioned symmetric positive definite matrix."""
    root = GEN.normal(size=(n, n))
    return (root @ root.T / n + np.identity(n)).astype(np.float32)


# --------------------------------------------------------------------------------------- products


@pytest.mark.parametrize(
    ("left", "right"), [((6, 9), (9, 4)), ((6, 9), (9,)), ((9,), (9, 4)), ((9,), (9,))]
)
def test_dot(left, right):
    a, b = normal(*left), normal(*right)
    product_agrees(array(be.dot(be.float_tensor(a), be.float_tensor(b))), a, b)


def test_dot_of_views():
    a, b = normal(9, 12), normal(4, 9)
    x, y = be.from_numpy_array(a), be.from_numpy_array(b)
    product_agrees(array(be.dot(be.transpose(x), be.transpose(y))), a.T, b.T)
    product_agrees(array(be.dot(y[:, 2:5], x[2:5])), b[:, 2:5], a[2:5])
    product_agrees(array(be.dot(y[:, ::2], x[::2, ::3])), b[:, ::2], a[::2, ::3])


def test_dot_writes_to_out():
    a, b = normal(6, 9), normal(9, 4)
    x, y = be.float_tensor(a), be.float_tensor(b)
    for out in (be.empty((6, 4)), be.transpose(be.empty((4, 6))), be.empty((6, 8))[:, ::2]):
        assert be.dot(x, y, out=out) is out
        product_agrees(array(out), a, b)
    vector = be.empty((6,))
    assert be.dot(x, y[:, 0], out=vector) is vector
    product_agrees(array(vector), a, b[:, 0])


def test_dot_refuses_unequal_lengths():
    with pytest.raises((ValueError, RuntimeError)):
        be.dot(be.ones((2, 3)), be.ones((2, 3)))


def test_outer():
    a, b = normal(4), normal(6)
    near(be.outer(be.float_tensor(a), be.float_tensor(b)), np.outer(a, b))


@pytest.mark.parametrize("axis", [0, 1])
def test_batch_dot(axis):
    a, b = normal(5, 7), normal(5, 7)
    result = be.batch_dot(be.float_tensor(a), be.float_tensor(b), axis=axis)
    near(result, (a.astype(float) * b).sum(axis=axis))


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize(("num_vis", "num_hid"), [(7, 3), (3, 7)])
def test_batch_quadratic(num_vis, num_hid, axis):
    vis, weights, hid = normal(5, num_vis), normal(num_vis, num_hid), normal(5, num_hid)
    result = be.batch_quadratic(*map(be.float_tensor, (vis, weights, hid)), axis=axis)
    near(result, (vis.astype(float) @ weights * hid).sum(axis=axis))


def test_batch_outer_sums_over_rows():
    vis, hid = normal(5, 7), normal(5, 3)
    result = be.batch_outer(be.float_tensor(vis), be.float_tensor(hid))
    near(result, sum(np.outer(v, h) for v, h in zip(vis.astype(float), hid, strict=True)))


@pytest.mark.parametrize("shape", [(3,), (3, 5)])
def test_affine(shape):
    a, b, weights = normal(4), normal(*shape), normal(4, 3)
    expected = (a.astype(float) + (weights.astype(float) @ b).T).T
    near(be.affine(*map(be.float_tensor, (a, b, weights))), expected)


def test_quadratic():
    a, b, weights = normal(4), normal(3), normal(4, 3)
    result = be.quadratic(*map(be.float_tensor, (a, b, weights)))
    assert type(result) is float
    bound = 12 * EPS * (np.abs(a) @ np.abs(weights) @ np.abs(b))
    assert abs(result - a.astype(float) @ weights @ b) <= bound


# ------------------------------------------------------------------------------------- statistics


@pytest.mark.parametrize("axis", [None, 0, 1])
@pytest.mark.parametrize("keepdims", [False, True])
def test_norm(axis, keepdims):
    x = normal(6, 9)
    expected = np.linalg.norm(x.astype(np.float64), axis=axis, keepdims=keepdims)
    near(be.norm(be.float_tensor(x), axis=axis, keepdims=keepdims), expected)


def test_normalize():
    x = GEN.random((3, 4)).astype(np.float32)
    near(be.normalize(be.float_tensor(x)), x / x.sum(dtype=np.float64))


def test_center():
    x = normal(50, 4) + np.float32(3)
    near(be.center(be.float_tensor(x)), x - x.mean(axis=0, dtype=np.float64))
    x = x.T.copy()
    expected = x - x.mean(axis=1, dtype=np.float64, keepdims=True)
    near(be.center(be.float_tensor(x), axis=1), expected)


def test_cov_divides_by_the_number_of_rows_minus_one():
    x, y = normal(40, 3) + np.float32(2), normal(40, 5)
    expected = np.cov(x.astype(float).T, y.astype(float).T)[:3, 3:]
    # The products that cancel are of the size of the variances, about one.
    result = array(be.cov(be.float_tensor(x), be.float_tensor(y)))
    np.testing.assert_allclose(result, expected, rtol=0, atol=40 * EPS)


def test_corr():
    x, y = normal(40, 3) * np.float32(5), normal(40, 5) + np.float32(1)
    y[:, 2] = 1 - x[:, 1]
    expected = np.corrcoef(x.astype(float).T, y.astype(float).T)[:3, 3:]
    result = array(be.corr(be.float_tensor(x), be.float_tensor(y)))
    np.testing.assert_allclose(result, expected, rtol=0, atol=40 * EPS)
    assert result[1, 2] == pytest.approx(-1, abs=40 * EPS)


def test_one_row_has_no_covariance_and_no_correlation():
    row = be.ones((1, 2))
    np.testing.assert_array_equal(array(be.cov(row, row)), np.full((2, 2), np.nan))
    np.testing.assert_array_equal(array(be.corr(row, row)), np.zeros((2, 2)))


def test_corr_with_a_constant_column_is_zero():
    # The mean of this constant is rounded, so that its deviation need not be zero.
    x = np.column_stack([np.full(37, 0.1), normal(37)]).astype(np.float32)
    result = array(be.corr(be.float_tensor(x), be.float_tensor(x)))
    np.testing.assert_array_equal(result[0], [0, 0])
    np.testing.assert_array_equal(result[:, 0], [0, 0])
    assert result[1, 1] == pytest.approx(1, abs=40 * EPS)


# --------------------------------------------------------------------------------- decompositions


def test_inv():
    x = symmetric(6)
    near(be.inv(be.float_tensor(x)), np.linalg.inv(x.astype(np.float64)))


def test_inv_of_an_ill_conditioned_matrix():
    # Condition number 1e6: single precision inside would leave no digit.
    x = (np.identity(3) + 1e-6 * np.diag([1, 2, 4]) - np.ones((3, 3)) / 3).astype(np.float32)
    near(be.inv(be.float_tensor(x)), np.linalg.inv(x.astype(np.float64)))


def test_inv_of_a_singular_matrix():
    with pytest.raises(DataError, match="singular"):
        be.inv(be.float_tensor([[1, 2], [2, 4]]))


@pytest.mark.parametrize("name", ["inv", "logdet", "matrix_sqrt"])
def test_square_matrices_are_asked_for(name):
    with pytest.raises(ShapeError, match=rf"{name} got shape .*2, 3"):
        getattr(be, name)(be.ones((2, 3)))


@pytest.mark.parametrize("shape", [(6, 4), (4, 6)])
def test_pinv(shape):
    x = normal(*shape)
    near(be.pinv(be.float_tensor(x)), np.linalg.pinv(x.astype(np.float64)))


def test_pinv_of_a_matrix_of_deficient_rank():
    thin = normal(6, 2)
    x = (thin @ normal(2, 5)).astype(np.float32)
    # The rounding of x's entries moves the pseudo-inverse by that times the condition.
    expected = np.linalg.pinv(x.astype(np.float64), 1e-6)
    near(be.pinv(be.float_tensor(x)), expected)


@pytest.mark.parametrize("shape", [(7, 4), (4, 7), (5, 5)])
def test_qr(shape):
    x = normal(*shape)
    q, r = be.qr(be.float_tensor(x))
    k = min(shape)
    assert be.shape(q) == (shape[0], k)
    near(be.dot(q, r), x.astype(np.float64))
    near(be.dot(be.transpose(q), q), np.identity(k))
    np.testing.assert_array_equal(np.tril(array(r), -1), np.zeros((k, shape[1])))


@pytest.mark.parametrize("shape", [(7, 4), (4, 7), (5, 5)])
def test_svd(shape):
    x = normal(*shape)
    u, s, v = be.svd(be.float_tensor(x))
    k = min(shape)
    assert be.shape(u) == (shape[0], k)
    assert be.shape(v) == (shape[1], k)
    near(s, np.linalg.svd(x.astype(np.float64), compute_uv=False))
    near(be.dot(u * s, be.transpose(v)), x.astype(np.float64))
    near(be.dot(be.transpose(u), u), np.identity(k))
    near(be.dot(be.transpose(v), v), np.identity(k))


def test_matrix_sqrt():
    x = symmetric(6)
    root = be.matrix_sqrt(be.float_tensor(x))
    near(be.dot(root, root), x.astype(np.float64))
    near(root, array(root).T.astype(np.float64))
    assert (np.linalg.eigvalsh(array(root).astype(np.float64)) > 0).all()


def test_matrix_sqrt_of_a_singular_matrix():
    v = normal(5)
    x = np.outer(v, v)
    # sqrt(v v^T) = v v^T / |v|. Rounding of size EPS in x moves a zero eigenvalue by EPS, and its
    # root by sqrt(EPS): this, and no better, is what single precision entries allow.
    root = array(be.matrix_sqrt(be.float_tensor(x)))
    expected = np.outer(v, v.astype(float)) / np.linalg.norm(v.astype(float))
    np.testing.assert_allclose(root, expected, rtol=0, atol=3 * np.sqrt(EPS) * np.linalg.norm(v))


def test_logdet():
    x = symmetric(6)
    expected = np.linalg.slogdet(x.astype(np.float64))[1]
    assert be.item(be.logdet(be.float_tensor(x))) == pytest.approx(expected, rel=2 * EPS)


def test_logdet_of_a_huge_determinant():
    # The determinant itself, 10^600, is beyond any float.
    x = 1000 * be.identity(200)
    assert be.item(be.logdet(x)) == pytest.approx(200 * np.log(1000), rel=2 * EPS)


def test_logdet_takes_the_absolute_value():
    assert be.item(be.logdet(be.float_tensor([[0, 2], [2, 0]]))) == pytest.approx(np.log(4))
    assert be.item(be.logdet(be.float_tensor([[1, 2], [2, 4]]))) == -np.inf
