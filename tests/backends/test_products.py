"""Products by compiled loops, held against the plain ones."""

import numpy as np
import pytest

from paysage import backends as be
from paysage.backends.cpu import products
from paysage.errors import ShapeError

EPS = np.finfo(np.float32).eps


def rows_of(density, shape, seed=1, values="binary"):
    rng = np.random.default_rng(seed)
    on = rng.random(shape) < density
    return np.where(on, 1.0 if values == "binary" else rng.normal(size=shape), 0.0)


def arr(tensor):
    return np.asarray(tensor)


def check_dot(units, matrix, transposed):
    """Check the product to the accuracy of a sum of as many float32 terms, with and without out."""
    wanted = units.astype(np.float32).astype(float) @ matrix.astype(np.float32).astype(float)
    bound = 4 * EPS * (np.abs(units) @ np.abs(matrix) + 1)
    a = be.float_tensor(units)
    b = be.transpose(be.float_tensor(matrix.T.copy())) if transposed else be.float_tensor(matrix)
    out = be.ones((len(units), matrix.shape[1])) * np.nan
    assert be.units_dot(a, b, out=out) is out
    for found in (out, be.units_dot(a, b)):
        assert np.all(np.abs(arr(found) - wanted) <= bound)


@pytest.mark.parametrize("values", ["binary", "real"])
@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("density", [0.0, 0.02, 0.13, 0.3, 0.34, 0.6, 1.0])
def test_units_dot_is_the_product(density, transposed, values):
    matrix = np.random.default_rng(2).normal(size=(77, 301))
    for rows in (1, 4, 7, 50):
        check_dot(rows_of(density, (rows, 77), rows, values), matrix, transposed)


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("width", [1, 2, 7, 8, 9, 255, 256, 257])
def test_units_dot_of_any_width(width, transposed):
    for other in (1, 3, width):
        matrix = np.random.default_rng(3).normal(size=(width, other))
        check_dot(rows_of(0.2, (30, width)), matrix, transposed)


def test_zeros_are_skipped_where_they_are_many():
    """What shows it: a zero hides what it would have multiplied."""
    matrix = np.ones((8, 3), np.float32)
    matrix[0] = np.nan
    units = np.zeros((30, 8), np.float32)
    units[:, 3] = 1.0
    out = np.empty((30, 3), np.float32)
    assert products.fast_dot(units, matrix, out) and np.all(out == 1)
    assert products.fast_dot(units, np.ascontiguousarray(matrix.T).T, out) and np.all(out == 1)
    units[:] = 1.0
    assert not products.fast_dot(units, matrix, out)


def test_what_the_loops_cannot_read_is_left_to_blas():
    units, matrix = np.zeros((30, 8), np.float32), np.ones((8, 3), np.float32)
    out = np.empty((30, 3), np.float32)
    wrong = [
        (units.astype(float), matrix, out),
        (units, matrix.astype(float), out),
        (np.zeros((30, 16), np.float32)[:, ::2], matrix, out),
        (units, np.ones((8, 6), np.float32)[:, ::2], out),
        (units, matrix, np.empty((30, 6), np.float32)[:, ::2]),
        (units[:10], matrix, out),
        (np.ones((33, 8), np.float32), matrix.T.copy().T, np.empty((33, 3), np.float32)),
        (units[0], matrix, out[0]),
    ]
    for arguments in wrong:
        assert not products.fast_dot(*arguments)


@pytest.mark.parametrize("rest", [0.0, 1.0])
@pytest.mark.parametrize("rows", [6, 30, 40])
def test_a_unit_that_is_nan_is_seen(rows, rest):
    units = np.full((rows, 8), rest)
    units[2, 5] = np.nan
    for transposed in (False, True):
        matrix = be.float_tensor(np.ones((3, 8) if transposed else (8, 3)))
        matrix = be.transpose(matrix) if transposed else matrix
        found = np.isnan(arr(be.units_dot(be.float_tensor(units), matrix)))
        assert np.array_equal(np.flatnonzero(found.all(axis=1)), [2]) and found.sum() == 3


def test_units_dot_refuses_shapes_that_do_not_fit():
    with pytest.raises((ValueError, RuntimeError), match=r"aligned|cannot be multiplied"):
        be.units_dot(be.zeros((4, 3)), be.zeros((2, 5)))
    for shape in ((4, 6), (3, 5)):
        with pytest.raises(ShapeError, match=r"out of shape .* for a product of shape \(4, 5\)"):
            be.units_dot(be.zeros((4, 3)), be.zeros((3, 5)), out=be.zeros(shape))


@pytest.mark.parametrize(
    "part", [slice(None), slice(None, 4), slice(-3, None), slice(2, 99), slice(5, 5), slice(4, 1)]
)
def test_parts_are_slices_as_python_has_them(part):
    matrix = be.float_tensor(np.random.default_rng(7).normal(size=(9, 5)))
    wanted, gap = np.zeros((5, 9)), np.zeros((9, 5))
    wanted[:, part], gap[part] = arr(matrix).T[:, part], -1.0
    assert np.array_equal(arr(be.write_transposed(matrix, be.zeros((5, 9)), part)), wanted)
    found = be.add_outer_(be.zeros((9, 5)), be.ones((9,)), be.ones((5,)), -1.0, part)
    assert np.array_equal(arr(found), gap)
    found = be.moment_gap(
        *(be.ones((2, n)) for n in (9, 5)),
        *(be.zeros((2, n)) for n in (9, 5)),
        out=be.zeros((9, 5)),
        part=part,
    )
    assert np.array_equal(arr(found), gap)
    with pytest.raises(ShapeError, match="without a step"):
        be.write_transposed(matrix, be.zeros((5, 9)), slice(0, 9, 2))


@pytest.mark.parametrize("densities", [(0.1, 0.1), (0.1, 0.9), (0.9, 0.1), (0.9, 0.9), (0.0, 0.0)])
@pytest.mark.parametrize("rows", [(60, 60), (33, 70), (1, 1)])
def test_moment_gaps_of_sparse_units(densities, rows):
    rng = np.random.default_rng(4)
    a = [rows_of(d, (n, 83), n) for d, n in zip(densities, rows, strict=True)]
    b = [rng.random((n, 19)) for n in rows]
    gap = [x.T @ y / len(x) for x, y in zip(a, b, strict=True)]
    tensors = [be.float_tensor(x) for pair in zip(a, b, strict=True) for x in pair]
    out, scratch = be.ones((83, 19)) * np.nan, be.zeros((83, 19))
    assert be.moment_gap(*tensors, out=out, scratch=scratch) is out
    # means of numbers between 0 and 1
    np.testing.assert_allclose(arr(out), gap[1] - gap[0], atol=10 * EPS)
    parts = be.ones((83, 19)) * np.nan
    for part in (slice(40, 83), slice(0, 40)):
        be.moment_gap(*tensors, out=parts, scratch=scratch, part=part)
    np.testing.assert_allclose(arr(parts), gap[1] - gap[0], atol=10 * EPS)


def test_a_part_leaves_the_other_rows_alone():
    tensors = [be.float_tensor(rows_of(0.1, (20, n), n)) for n in (9, 5, 9, 5)]
    out = be.ones((9, 5)) * np.nan
    be.moment_gap(*tensors, out=out, part=slice(2, 4))
    assert np.array_equal(np.flatnonzero(~np.isnan(arr(out)).any(axis=1)), [2, 3])


def test_moment_gap_of_sparse_units_checks_shapes():
    with pytest.raises(ShapeError, match="moment_gap"):
        be.moment_gap(be.zeros((4, 3)), be.zeros((5, 2)), be.zeros((4, 3)), be.zeros((4, 2)))


@pytest.mark.parametrize("shape", [(1, 1), (9, 5), (8, 300), (83, 17)])
def test_write_transposed(shape):
    matrix = be.float_tensor(np.random.default_rng(5).normal(size=shape))
    out = be.ones(shape[::-1]) * np.nan
    assert be.write_transposed(matrix, out) is out
    assert np.array_equal(arr(out), arr(matrix).T)
    parts = be.ones(shape[::-1]) * np.nan
    for part in (slice(0, shape[0] // 2), slice(shape[0] // 2, shape[0])):
        be.write_transposed(matrix, parts, part)
    assert np.array_equal(arr(parts), arr(matrix).T)
    with pytest.raises(ShapeError, match="write_transposed"):
        be.write_transposed(matrix, be.zeros((shape[1], shape[0] + 1)))


@pytest.mark.parametrize("views", [False, True])
def test_add_outer(views):
    rng = np.random.default_rng(6)
    a, b, start = rng.normal(size=9), rng.normal(size=5), rng.normal(size=(9, 5))
    wanted = start - 0.5 * np.outer(a, b)
    for parts in ([None], [slice(0, 4), slice(4, 9)]):
        out = be.float_tensor(start.T.copy()) if views else be.float_tensor(start)
        out = be.transpose(out) if views else out
        for part in parts:
            be.add_outer_(out, be.float_tensor(a), be.float_tensor(b), -0.5, part)
        np.testing.assert_allclose(arr(out), wanted, atol=8 * EPS)
    with pytest.raises(ShapeError, match="add_outer_"):
        be.add_outer_(out, be.zeros(5), be.zeros(9))
    with pytest.raises(ShapeError, match="add_outer_"):
        be.add_outer_(out, be.zeros((9, 1)), be.zeros(5))
