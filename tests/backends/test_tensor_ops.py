"""Making, shaping, indexing, reducing and comparing tensors, held against NumPy in float64."""

from functools import partial

import numpy as np
import pytest

from paysage import backends as be
from paysage.errors import DataError

EPS = float(np.finfo(np.float32).eps)
GEN = np.random.default_rng(11)
# Values off zero, so that relative errors mean something, with repeated ones for ties.
MATRIX = (GEN.integers(-40, 40, size=(7, 5)) / 8 + 0.3).astype(np.float32)
REDUCTIONS = {
    "tsum": np.sum,
    "mean": np.mean,
    "var": partial(np.var, ddof=1),
    "std": partial(np.std, ddof=1),
    "tprod": np.prod,
    "tmax": np.max,
    "tmin": np.min,
    "argmax": np.argmax,
    "argmin": np.argmin,
}
COMPARISONS = {
    "equal": np.equal,
    "not_equal": np.not_equal,
    "greater": np.greater,
    "greater_equal": np.greater_equal,
    "lesser": np.less,
    "lesser_equal": np.less_equal,
    "logical_and": np.logical_and,
    "logical_or": np.logical_or,
}


def array(tensor):
    return be.to_numpy_array(tensor)


def same(tensor, expected):
    """Equal in shape and in every element: for what involves no rounding."""
    result = array(tensor)
    np.testing.assert_array_equal(result, expected)
    assert result.shape == np.shape(expected)


# --------------------------------------------------------------------- conversion and inspection


@pytest.mark.parametrize(
    "source",
    [[[1, 2], [3, 4]], np.array([[1, 2], [3, 4]]), np.array([[1.0, 2.0], [3.0, 4.0]], order="F")],
    ids=["list", "integers", "double"],
)
def test_float_tensor(source):
    result = be.float_tensor(source)
    assert be.is_tensor(result)
    assert be.dtype(result) == be.Float
    same(result, [[1, 2], [3, 4]])


def test_float_tensor_of_a_data_frame_can_be_written():
    pandas = pytest.importorskip("pandas")
    result = be.float_tensor(pandas.DataFrame({"a": [1, 2], "b": [3, 4]}))
    same(result, [[1, 3], [2, 4]])
    result[0, 0] = 5


def test_float_tensor_copies_all_but_float_tensors():
    x = be.ones((2, 2))
    be.float_tensor(x)[0, 1] = 5
    same(x, [[1, 5], [1, 1]])
    for source in (np.ones(2), be.long_tensor([1, 1])):
        be.float_tensor(source)[0] = 5
        same(source, [1, 1])


@pytest.mark.parametrize("make", ["float_tensor", "long_tensor"])
@pytest.mark.parametrize(
    "source",
    [
        None,
        "rows.h5",
        [[1, 2], [3]],
        np.ones((1, 2)) * 1j,
        np.array([["2020-01-01"]], dtype="M8[D]"),
        np.ma.masked_array([[1, 2]], [[False, True]]),
        {1: 2},
    ],
    ids=["nothing", "text", "ragged", "complex", "dates", "masked", "dict"],
)
def test_what_is_no_table_of_numbers_is_refused(make, source):
    with pytest.raises(DataError, match=f"type {type(source).__name__} are no table of numbers"):
        getattr(be, make)(source)


def test_float_tensor_of_a_subclass_is_plain():
    with pytest.warns(PendingDeprecationWarning):
        source = np.matrix([[1, 2], [3, 4]], dtype=np.float32)
    result = be.float_tensor(source)
    same(result * result, [[1, 4], [9, 16]])  # a np.matrix would multiply as matrices do


def test_float_tensor_of_a_tensor_with_a_gradient():
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    result = be.float_tensor(torch.ones(2, requires_grad=True))
    result[0] = 5
    same(result, [5, 1])


def test_long_tensor_cuts_fractions_off():
    result = be.long_tensor([1.75, -1.75, 3])
    assert be.dtype(result) == be.Long
    same(result, [1, -1, 3])


def test_casts():
    x = be.float_tensor([1.5, 2.5])
    assert be.cast_float(x) is x
    assert be.dtype(be.cast_long(x)) == be.Long
    assert be.dtype(be.cast_float(be.cast_long(x))) == be.Float
    assert be.dtype(be.cast_float(x > 2)) == be.Float
    same(be.cast_float(x > 2), [0, 1])


def test_float_scalar_and_item():
    value = be.item(be.float_scalar(0.1))
    assert type(value) is float
    assert value == float(np.float32(0.1))
    assert be.item(be.tsum(be.ones((3,)))) == 3
    assert be.item(2) == 2


def test_numpy_round_trip_keeps_the_dtype():
    for name, kind in [("Float", "f4"), ("Double", "f8"), ("Int", "i4"), ("Long", "i8")]:
        source = np.arange(3, dtype=kind)
        tensor = be.from_numpy_array(source)
        assert be.dtype(tensor) == getattr(be, name)
        assert array(tensor).dtype == source.dtype
    assert be.dtype(be.from_numpy_array(np.arange(3, dtype="u1"))) == be.Byte


class ElsewhereTensor:
    """As a tensor on a GPU, it is no array before it has been copied."""

    def detach(self):
        return self

    def cpu(self):
        return np.array([1.0, 2.0])

    def __array__(self, *args, **kwargs):
        raise TypeError("copy it to the host first")


@pytest.mark.backend_free
def test_numpy_takes_tensors_from_a_gpu():
    be.set_backend("python", "cpu")
    for convert in (be.to_numpy_array, be.float_tensor):
        np.testing.assert_array_equal(convert(ElsewhereTensor()), [1, 2])


@pytest.mark.parametrize("source", [[1.0, 2.0], 3.0, np.ones(2)])
def test_to_numpy_array_takes_what_is_no_tensor(source):
    result = be.to_numpy_array(source)
    assert isinstance(result, np.ndarray)
    same(result, source)


def test_copy_shares_nothing_and_is_contiguous():
    x = be.float_tensor(MATRIX.copy())
    y = be.copy_tensor(be.transpose(x))
    same(y, MATRIX.T)
    assert array(y).flags.c_contiguous
    y[0, 0] = 99
    same(x, MATRIX)


def test_inspection():
    x = be.zeros((3, 4))
    assert be.shape(x) == (3, 4)
    assert all(type(n) is int for n in be.shape(x))
    assert be.ndim(x) == 2
    assert be.num_elements(x) == 12
    assert type(be.num_elements(x)) is int
    assert be.is_tensor(x)
    assert isinstance(x, be.Tensor)
    assert not be.is_tensor([1.0])
    assert be.EPSILON == EPS


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_is_finite_all(value):
    x = be.ones((3, 3))
    assert be.is_finite_all(x) is True
    x[1, 2] = value
    assert be.is_finite_all(x) is False


# -------------------------------------------------------------------------------------- creation


@pytest.mark.parametrize(("name", "value"), [("zeros", 0), ("ones", 1)])
def test_constant_tensors(name, value):
    for shape in [(2, 3), (4,), 4]:
        result = getattr(be, name)(shape)
        same(result, np.full(shape, value))
        assert be.dtype(result) == be.Float
    for like in (be.float_tensor([[2, 3]]), be.long_tensor([[2, 3]])):
        result = getattr(be, name + "_like")(like)
        same(result, np.full((1, 2), value))
        assert be.dtype(result) == be.dtype(like)


@pytest.mark.parametrize("kind", ["Float", "Double", "Int", "Long", "Byte"])
def test_dtypes_of_constant_tensors_and_ranges(kind):
    wanted = getattr(be, kind)
    for x in (be.zeros((2,), dtype=wanted), be.ones((2,), wanted), be.trange(0, 2, dtype=wanted)):
        assert be.dtype(x) == wanted
    same(be.trange(0, 6, 2, dtype=wanted), [0, 2, 4])


def test_empty_tensors():
    x = be.empty((2, 3))
    assert be.shape(x) == (2, 3)
    assert be.dtype(x) == be.Float
    y = be.empty_like(be.long_tensor([1, 2]))
    assert be.shape(y) == (2,)
    assert be.dtype(y) == be.Long


def test_like_of_a_transposed_view_is_contiguous():
    view = be.transpose(be.zeros((2, 3)))
    for make in (be.empty_like, be.zeros_like, be.ones_like):
        assert be.shape(make(view)) == (3, 2)
        assert array(make(view)).flags.c_contiguous


def test_diagonals():
    same(be.identity(3), np.identity(3))
    assert be.dtype(be.identity(3)) == be.Float
    vector = be.float_tensor([1, 2, 3])
    same(be.diagonal_matrix(vector), np.diag([1, 2, 3]))
    x = be.float_tensor(MATRIX.copy())
    diagonal = be.diag(x)
    same(diagonal, np.diag(MATRIX))
    diagonal[0] = 99
    same(x, MATRIX)


@pytest.mark.parametrize("shape", [(3, 3), (7, 3), (3, 7)])
@pytest.mark.parametrize("value", [5.0, [1.0, 2.0, 3.0]], ids=["number", "vector"])
def test_fill_diagonal_(shape, value):
    x = be.ones(shape)
    expected = np.ones(shape)
    expected[np.arange(3), np.arange(3)] = value
    written = be.float_tensor(value) if isinstance(value, list) else value
    assert be.fill_diagonal_(x, written) is x
    same(x, expected)


def test_trange():
    same(be.trange(0, 4), [0, 1, 2, 3])
    same(be.trange(2, -1, -1), [2, 1, 0])
    assert be.dtype(be.trange(0, 4)) == be.Float
    # Each number is rounded once: the thousandth is as good as the first.
    same(be.trange(0, 100, 0.1), np.arange(0, 100, 0.1).astype(np.float32))


# ----------------------------------------------------------------------------- shape and indexing


def test_joining():
    rows = [be.float_tensor([1, 2]), be.float_tensor([3, 4])]
    same(be.stack(rows), [[1, 2], [3, 4]])
    same(be.stack(rows, axis=1), [[1, 3], [2, 4]])
    same(be.hstack(rows), [1, 2, 3, 4])
    same(be.vstack(rows), [[1, 2], [3, 4]])
    blocks = [be.ones((2, 1)), be.zeros((2, 2))]
    same(be.hstack(blocks), [[1, 0, 0], [1, 0, 0]])
    same(be.vstack([be.ones((1, 2)), be.zeros((2, 2))]), [[1, 1], [0, 0], [0, 0]])


def test_repeat():
    same(be.repeat(be.float_tensor([1, 2]), 3), [1, 1, 1, 2, 2, 2])


def test_broadcast_to_a_shape_or_to_a_tensor():
    vector = be.float_tensor([1, 2])
    same(be.broadcast(vector, (3, 2)), [[1, 2]] * 3)
    same(be.broadcast(vector, be.zeros((3, 2))), [[1, 2]] * 3)
    same(be.broadcast(be.unsqueeze(vector, 1), (2, 2)), [[1, 1], [2, 2]])


def test_reshaping():
    x = be.float_tensor(MATRIX.copy())
    same(be.reshape(x, (5, 7)), MATRIX.reshape(5, 7))
    same(be.reshape(x, (-1,)), MATRIX.ravel())
    same(be.reshape(be.transpose(x), (7, 5)), MATRIX.T.reshape(7, 5))
    same(be.flatten(x), MATRIX.ravel())
    same(be.flatten(be.transpose(x)), MATRIX.T.ravel())
    same(be.flatten(3.0), [3.0])
    same(be.unsqueeze(x, 0), MATRIX[None])
    same(be.unsqueeze(x, 1), MATRIX[:, None])
    same(be.unsqueeze(x, -1), MATRIX[..., None])
    same(be.transpose(x), MATRIX.T)
    same(be.transpose(be.zeros((2, 3, 4))), np.zeros((4, 3, 2)))
    same(be.transpose(be.float_tensor([1, 2])), [1, 2])


def test_reshape_and_transpose_are_views():
    x = be.zeros((2, 3))
    be.transpose(x)[2, 0] = 1
    be.reshape(x, (6,))[5] = 2
    be.flatten(x)[0] = 3
    be.unsqueeze(x, 0)[0, 1, 1] = 4
    same(x, [[3, 0, 1], [0, 4, 2]])


def test_index_select():
    x = be.float_tensor(MATRIX.copy())
    chosen = be.long_tensor([3, 0, 3])
    result = be.index_select(x, chosen)
    same(result, MATRIX[[3, 0, 3]])
    result[0, 0] = 99
    same(x, MATRIX)
    same(be.index_select(x, chosen, dim=1), MATRIX[:, [3, 0, 3]])


def test_fill_():
    for shape in ((), (3, 2)):
        x = be.zeros(shape)
        assert be.fill_(x, 2.5) is x
        same(x, np.full(shape, 2.5))


def test_scatter_():
    x = be.zeros((3, 4))
    indices = be.long_tensor([1, 0, 3])
    assert be.scatter_(x, indices, 1.0) is x
    same(x, np.eye(4)[[1, 0, 3]])
    be.scatter_(x, indices, be.float_tensor([5, 6, 7]))
    same(x, np.diag([5, 6, 7]) @ np.eye(4)[[1, 0, 3]])
    be.scatter_(x, indices, be.float_scalar(2))
    same(x, 2 * np.eye(4)[[1, 0, 3]])


def test_where():
    x = be.float_tensor([1, -2, 3])
    same(be.where(x > 0, x, 0.0), [1, 0, 3])
    same(be.where(x > 0, 0.5, x), [0.5, -2, 0.5])
    same(be.where(x > 0, x, -x), [1, 2, 3])
    for result in (be.where(x > 0, x, 0.0), be.where(x > 0, 1.0, 0.0)):
        assert be.dtype(result) == be.Float


# ------------------------------------------------------------------------------------- reductions


@pytest.mark.parametrize("name", REDUCTIONS)
@pytest.mark.parametrize("axis", [None, 0, 1, -1])
@pytest.mark.parametrize("keepdims", [False, True])
def test_reductions(name, axis, keepdims):
    result = array(getattr(be, name)(be.float_tensor(MATRIX), axis=axis, keepdims=keepdims))
    expected = REDUCTIONS[name](MATRIX.astype(np.float64), axis=axis, keepdims=keepdims)
    assert result.shape == expected.shape
    if name in ("argmax", "argmin", "tmax", "tmin"):
        np.testing.assert_array_equal(result, expected)
        return
    # A sum of n terms errs by at most n eps of the sum of magnitudes; a product by n eps of
    # itself; a variance by n eps of the mean square.
    scale = np.abs(expected) if name == "tprod" else np.abs(MATRIX).max() ** 2 * MATRIX.size
    assert (np.abs(result - expected) <= MATRIX.size * EPS * scale).all()
    assert result.dtype == (np.float64 if axis is None and not keepdims else np.float32)


@pytest.mark.parametrize("name", ["argmax", "argmin"])
def test_index_of_the_first_of_equals(name):
    x = be.float_tensor([[3, 1, 3, 1], [2, 2, 2, 2]])
    result = getattr(be, name)(x, axis=1)
    assert be.dtype(result) == be.Long
    same(result, [{"argmax": 0, "argmin": 1}[name], 0])


@pytest.mark.parametrize(("name", "function"), [("tany", np.any), ("tall", np.all)])
@pytest.mark.parametrize("axis", [None, 0, 1])
@pytest.mark.parametrize("keepdims", [False, True])
def test_any_and_all(name, function, axis, keepdims):
    truth = np.array([[1, 0, 1], [1, 0, 0]], dtype=np.float32)
    for x in (truth, truth != 0):
        result = getattr(be, name)(be.from_numpy_array(x), axis=axis, keepdims=keepdims)
        same(result, function(x, axis=axis, keepdims=keepdims))


@pytest.mark.parametrize("name", [*REDUCTIONS, "norm"])
def test_reductions_over_all_elements_return_python_numbers(name):
    x = be.float_tensor([[1, 2], [3, 4]])
    kind = int if name.startswith("arg") else float
    assert type(getattr(be, name)(x)) is kind
    assert be.shape(getattr(be, name)(x, keepdims=True)) == (1, 1)
    assert be.is_tensor(getattr(be, name)(x, keepdims=True))


def test_reductions_of_integers_and_booleans_to_a_number():
    x = be.long_tensor([1, 2, 4])
    for found, expected in (
        (be.tsum(x), 7),
        (be.tsum(x > 1), 2),
        (be.tmax(x), 4),
        (be.tany(x > 2), True),
        (be.tall(x > 2), False),
    ):
        assert type(found) is type(expected)
        assert found == expected


@pytest.mark.parametrize("name", ["var", "std"])
def test_the_variance_of_one_element_is_nan(name):
    assert np.isnan(getattr(be, name)(be.ones((1,))))
    same(getattr(be, name)(be.ones((1, 2)), axis=0), [np.nan, np.nan])
    assert np.isnan(getattr(be, name)(be.long_tensor([3])))


def test_functions_take_the_number_that_a_reduction_returned():
    total = be.tsum(be.float_tensor([1.5, 2.5]))
    for name, expected in (
        *(("square", 16), ("sqrt", 2), ("tabs", 4), ("sign", 1), ("tround", 4)),
        *(("log", np.log(4)), ("exp", np.exp(4)), ("clip", 4), ("float_tensor", 4)),
    ):
        np.testing.assert_allclose(array(getattr(be, name)(total)), expected, rtol=1e-6)
    for name, expected in (("maximum", 5), ("minimum", 4), ("greater", 0), ("lesser", 1)):
        same(getattr(be, name)(total, 5.0), expected)


def test_reductions_of_integers_and_booleans():
    counts = be.long_tensor([1, 2, 4])
    assert be.item(be.tsum(counts)) == 7
    assert be.item(be.tsum(counts > 1)) == 2
    for x in (counts, counts > 1):
        assert be.dtype(be.mean(x, axis=0)) == be.Float
    # One rounding of the quotient, and one of the quotient of a reciprocal.
    assert be.item(be.mean(counts)) == pytest.approx(7 / 3, rel=2 * EPS)
    assert be.item(be.mean(counts > 1)) == pytest.approx(2 / 3, rel=2 * EPS)


@pytest.mark.parametrize("name", ["tsum", "mean", "std", "norm"])
def test_long_sums_stay_exact_to_single_precision(name):
    # Added one after the other in single precision, these would be wrong in the fourth digit.
    x = GEN.random((400_000, 2)).astype(np.float32)
    result = array(getattr(be, name)(be.from_numpy_array(x), axis=0))
    expected = {**REDUCTIONS, "norm": np.linalg.norm}[name](x.astype(np.float64), axis=0)
    np.testing.assert_allclose(result, expected, rtol=1e-5)


def test_the_norm_of_many_numbers_is_exact_to_single_precision():
    x = GEN.random(4_000_000).astype(np.float32)
    expected = np.linalg.norm(x.astype(np.float64))
    assert be.norm(be.from_numpy_array(x)) == pytest.approx(expected, rel=1e-5)


def test_cumsum():
    x = be.float_tensor(MATRIX)
    for axis in (0, 1):
        expected = np.cumsum(MATRIX.astype(np.float64), axis=axis)
        # Seven terms of magnitude below 6: an error below 7 * 42 * EPS.
        np.testing.assert_allclose(array(be.cumsum(x, axis=axis)), expected, rtol=0, atol=300 * EPS)
    same(be.cumsum(be.float_tensor([1, 2, 3])), [1, 3, 6])


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_sorting(axis):
    x = be.float_tensor(MATRIX.copy())
    same(be.sort(x, axis=axis), np.sort(MATRIX, axis=axis))
    same(be.argsort(x, axis=axis), np.argsort(MATRIX, axis=axis, kind="stable"))
    same(x, MATRIX)


def test_sorting_flattens_by_default():
    x = be.float_tensor(MATRIX)
    same(be.sort(x), np.sort(MATRIX, axis=None))
    same(be.argsort(x), np.argsort(MATRIX, axis=None, kind="stable"))
    assert be.dtype(be.argsort(x)) == be.Long


def test_argsort_is_stable():
    ties = np.tile([1.0, 0.0], 50).astype(np.float32)
    same(be.argsort(be.from_numpy_array(ties)), np.argsort(ties, kind="stable"))


# ------------------------------------------------------------------------------------ comparisons


@pytest.mark.parametrize("name", COMPARISONS)
def test_comparisons(name):
    left = np.array([[0, 1, 2], [2, 1, 0]], dtype=np.float32)
    right = np.array([0, 1, 0], dtype=np.float32)
    result = getattr(be, name)(be.float_tensor(left), be.float_tensor(right))
    same(result, COMPARISONS[name](left, right))
    assert array(result).dtype == bool


@pytest.mark.parametrize("name", [name for name in COMPARISONS if "logical" not in name])
def test_comparison_with_a_number(name):
    left = np.array([0, 1, 2], dtype=np.float32)
    same(getattr(be, name)(be.float_tensor(left), 1), COMPARISONS[name](left, 1))


def test_logical_not():
    same(be.logical_not(be.float_tensor([0, 2]) > 1), [True, False])
    same(be.logical_not(be.float_tensor([0, 2])), [True, False])


def test_allclose():
    x = be.float_tensor([1.0, 100.0])
    assert be.allclose(x, x) is True
    assert be.allclose(x, x * 1.000001)
    assert be.allclose(x, x * 1.0001) is False
    assert be.allclose(x, x * 1.0001, rtol=1e-3)
    assert be.allclose(x, x + 0.5, rtol=0, atol=0.6)
    missing = be.float_tensor([np.nan, 1.0])
    assert be.allclose(missing, missing) is False
