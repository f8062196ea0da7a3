"""Matrices in bfloat16, and the products with them, held against plain formulas."""

import numpy as np
import pytest
from roundings import bfloat16

from paysage import backends as be
from paysage.errors import ShapeError

EPS = np.finfo(np.float32).eps
WIDTHS = [1, 2, 15, 16, 17, 31, 32, 33, 200, 257, 300]
DENSITIES = [0.0, 0.02, 0.13, 0.45, 0.7, 1.0]


def arr(tensor):
    return np.asarray(tensor)


def rows_of(density, shape, seed=1, values="binary"):
    rng = np.random.default_rng(seed)
    on = rng.random(shape) < density
    return np.where(on, 1.0 if values == "binary" else rng.normal(size=shape), 0.0)


def numbers(shape, seed=2):
    """Of both signs and many magnitudes."""
    rng = np.random.default_rng(seed)
    return (rng.normal(size=shape) * 2.0 ** rng.integers(-30, 30, shape)).astype(np.float32)


def rounded(matrix, transposed=False):
    room = be.bfloat16_zeros(matrix.shape[::-1] if transposed else matrix.shape)
    write = be.to_bfloat16_transposed_ if transposed else be.to_bfloat16_
    assert write(room, be.float_tensor(matrix)) is room
    return room


def held(room):
    """What a matrix in bfloat16 holds, by products with few ones and with many numbers."""
    ones = be.identity(room.shape[0])
    return arr(be.units_dot(ones, room))


def check_is(found, wanted):
    np.testing.assert_array_equal(found, wanted.astype(np.float32))


@pytest.mark.backend_free
def test_the_reference_rounds_to_eight_bits():
    exact = [0.0, 1.0, -2.5, 255.0, 2.0**-126]
    assert np.array_equal(bfloat16(np.array(exact)), exact)
    # halfway between two numbers: to the one whose last bit is zero
    assert np.array_equal(bfloat16(np.array([257.0, 259.0, -257.0])), [256.0, 260.0, -256.0])
    x = numbers(1000)
    assert np.all(np.abs(bfloat16(x) - x) <= 2.0**-8 * np.abs(x) * (1 + EPS))


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("height", [1, 17, 40])
def test_the_nearest_numbers_are_kept(height, width):
    matrix = numbers((height, width))
    check_is(held(rounded(matrix)), bfloat16(matrix))
    check_is(held(rounded(matrix, transposed=True)), bfloat16(matrix).T)


def test_ties_go_to_even_and_what_is_no_number_stays():
    row = [257.0, 259.0, -257.0, np.inf, -np.inf, np.nan, 3.4e38, 0.0]
    wanted = np.array([[256.0, 260.0, -256.0, np.inf, -np.inf, np.nan, np.inf, 0.0]])
    # a single one: nothing is multiplied by zero
    check_is(held(rounded(np.array([row]))), wanted)
    check_is(arr(be.units_dot(be.ones((1, 1)), rounded(np.array([row]).T, True))), wanted)


@pytest.mark.parametrize("transposed", [False, True])
def test_a_part_leaves_the_other_rows_alone(transposed):
    matrix = numbers((40, 70))
    room = rounded(np.zeros((40, 70)))
    for part in (slice(0, 19), slice(33, 40)):
        if transposed:
            turned = be.float_tensor(matrix.T.copy())
            be.to_bfloat16_transposed_(room, turned, part)
        else:
            be.to_bfloat16_(room, be.float_tensor(matrix), part)
    wanted = bfloat16(matrix)
    wanted[19:33] = 0.0
    check_is(held(room), wanted)


def test_views_are_rounded_as_well():
    matrix = numbers((21, 35))
    view = be.transpose(be.float_tensor(matrix.T.copy()))
    room = be.bfloat16_zeros((21, 35))
    check_is(held(be.to_bfloat16_(room, view)), bfloat16(matrix))


@pytest.mark.parametrize("values", ["binary", "real"])
@pytest.mark.parametrize("density", DENSITIES)
@pytest.mark.parametrize("width", [1, 33, 301, 600])
def test_units_dot_is_the_product_with_the_rounded_matrix(density, width, values):
    matrix = np.random.default_rng(3).normal(size=(77, width)).astype(np.float32)
    wide = bfloat16(matrix)
    for rows in (1, 7, 50):
        units = rows_of(density, (rows, 77), rows, values).astype(np.float32).astype(float)
        # the accuracy of a sum of so many float32 terms
        bound = 4 * EPS * (np.abs(units) @ np.abs(wide) + 1)
        out = be.ones((rows, width)) * np.nan
        assert be.units_dot(be.float_tensor(units), rounded(matrix), out=out) is out
        for found in (out, be.units_dot(be.float_tensor(units), rounded(matrix))):
            assert np.all(np.abs(arr(found) - units @ wide) <= bound)


def test_the_output_may_be_a_view():
    units, matrix = rows_of(0.2, (9, 20)), numbers((20, 5))
    out = be.transpose(be.zeros((5, 9)))
    be.units_dot(be.float_tensor(units), rounded(matrix), out=out)
    np.testing.assert_allclose(arr(out), units @ bfloat16(matrix), rtol=1e-5)


@pytest.mark.parametrize("density", [0.05, 1.0])
def test_a_unit_that_is_nan_is_seen(density):
    units = rows_of(density, (30, 40))
    units[2, 5] = np.nan
    found = np.isnan(arr(be.units_dot(be.float_tensor(units), rounded(np.ones((40, 3))))))
    assert np.array_equal(np.flatnonzero(found.all(axis=1)), [2]) and found.sum() == 3


@pytest.mark.parametrize("densities", [(0.1, 0.1), (0.1, 0.9), (0.9, 0.1), (0.9, 0.9), (0.0, 0.0)])
@pytest.mark.parametrize("rows", [(60, 60), (33, 70), (1, 1)])
def test_moment_gaps_of_rounded_means(densities, rows):
    rng = np.random.default_rng(4)
    a = [rows_of(d, (n, 83), n) for d, n in zip(densities, rows, strict=True)]
    b = [rng.random((n, 19)).astype(np.float32) for n in rows]
    gap = [x.T @ bfloat16(y) / len(x) for x, y in zip(a, b, strict=True)]
    data_a, model_a = map(be.float_tensor, a)
    data_b, model_b = map(rounded, b)
    tensors = (data_a, data_b, model_a, model_b)
    out = be.ones((83, 19)) * np.nan
    assert be.moment_gap(*tensors, out=out, scratch=be.zeros((83, 19))) is out
    # means of numbers between 0 and 1
    for found in (out, be.moment_gap(*tensors)):
        np.testing.assert_allclose(arr(found), gap[1] - gap[0], atol=10 * EPS)
    parts = be.ones((83, 19)) * np.nan
    be.moment_gap(*tensors, out=parts, part=slice(40, 83))
    assert np.isnan(arr(parts)[:40]).all()
    be.moment_gap(*tensors, out=parts, part=slice(0, 40))
    np.testing.assert_allclose(arr(parts), gap[1] - gap[0], atol=10 * EPS)
    turned = be.transpose(be.zeros((19, 83)))
    be.moment_gap(*tensors, out=turned)
    np.testing.assert_allclose(arr(turned), gap[1] - gap[0], atol=10 * EPS)


def test_shapes_that_do_not_fit_are_refused():
    room = be.bfloat16_zeros((4, 3))
    with pytest.raises(ShapeError, match="to_bfloat16_"):
        be.to_bfloat16_(room, be.zeros((3, 4)))
    with pytest.raises(ShapeError, match="to_bfloat16_transposed_"):
        be.to_bfloat16_transposed_(room, be.zeros((4, 3)))
    with pytest.raises(ShapeError, match="units"):
        be.units_dot(be.zeros((2, 3)), room)
    with pytest.raises(ShapeError, match="out"):
        be.units_dot(be.zeros((2, 4)), room, out=be.zeros((2, 4)))
    with pytest.raises(ShapeError, match="moment_gap"):
        be.moment_gap(be.zeros((4, 2)), room, be.zeros((5, 2)), room)
    for shape in ((1, 3), (2, 90), (4, 2)):
        with pytest.raises(ShapeError, match="moment_gap got out"):
            be.moment_gap(be.zeros((4, 2)), room, be.zeros((4, 2)), room, out=be.zeros(shape))
    with pytest.raises(ShapeError, match="bfloat16"):
        be.moment_gap(be.zeros((4, 2)), room, be.zeros((4, 2)), be.zeros((4, 3)))


@pytest.mark.backend_free
def test_products_for_the_gpu(gpu_path):
    """There the units are rounded, too."""
    matrix, units = numbers((21, 35)), numbers((9, 21), 5)
    wanted = bfloat16(units) @ bfloat16(matrix)
    bound = 21 * EPS * (np.abs(units) @ np.abs(matrix))
    out = be.zeros((9, 35))
    assert be.units_dot(be.float_tensor(units), rounded(matrix), out=out) is out
    turned = be.transpose(rounded(matrix, transposed=True))
    for found in (out, be.units_dot(be.float_tensor(units), turned)):
        assert np.all(np.abs(arr(found) - wanted) <= bound)
    b = numbers((9, 35), 6)
    tensors = (be.float_tensor(units), rounded(b), be.float_tensor(2 * units), rounded(b))
    gap = bfloat16(units).T @ bfloat16(b) / 9
    bound = 9 * EPS * (np.abs(units).T @ np.abs(b))
    out = be.ones((21, 35)) * np.nan
    be.moment_gap(*tensors, out=out, part=slice(3, 21))
    assert np.isnan(arr(out)[:3]).all() and np.all(np.abs(arr(out) - gap)[3:] <= bound[3:])
