"""Distances and neighbours against differences taken one by one in double precision."""

import numpy as np
import pytest

from paysage import backends as be
from paysage.errors import DataError, ShapeError
from paysage.math_utils import find_k_nearest_neighbors, pdist
from paysage.math_utils.neighbors import squared_distances_within


def make(rows, columns=20, offset=0.0, seed=0):
    return (offset + np.random.default_rng(seed).normal(size=(rows, columns))).astype(np.float32)


def exact(x, y):
    x, y = x.astype(np.float64), y.astype(np.float64)
    return np.sqrt(((x[:, None, :] - y[None, :, :]) ** 2).sum(axis=-1))


def tensors(*arrays):
    return [be.float_tensor(array) for array in arrays]


@pytest.mark.parametrize("offset", [0.0, 100.0])
def test_distances(offset):
    """Squares of order 20 with rounding errors of 20 · 6e-8, halved by the root; an offset common
    to all is taken off, and costs no more than its own rounding, 100 · 6e-8 an element.
    """
    x, y = make(30, offset=offset), make(40, offset=offset, seed=1)
    distances = be.to_numpy_array(pdist(*tensors(x, y)))
    assert distances.shape == (30, 40)
    np.testing.assert_allclose(distances, exact(x, y), rtol=2e-6 if offset == 0 else 1e-5)


def test_distances_of_a_table_with_itself():
    """The root of a rounding error of |a|² = 20: at most about sqrt(40 · 6e-8 · a few) = 5e-3."""
    x = make(25)
    distances = be.to_numpy_array(pdist(*tensors(x, x)))
    assert np.isfinite(distances).all()
    assert np.abs(np.diag(distances)).max() < 5e-3
    away = ~np.eye(25, dtype=bool)
    np.testing.assert_allclose(distances[away], exact(x, x)[away], rtol=2e-6)


def test_the_tables_are_left_alone():
    x, y = tensors(make(5), make(6, seed=1))
    pdist(x, y)
    find_k_nearest_neighbors(x, y, 2)
    np.testing.assert_array_equal(be.to_numpy_array(x), make(5))
    np.testing.assert_array_equal(be.to_numpy_array(y), make(6, seed=1))


@pytest.mark.parametrize("k", [1, 5, 40])
@pytest.mark.parametrize("offset", [0.0, 100.0])
def test_neighbors(k, offset):
    x, y = make(30, offset=offset), make(40, offset=offset, seed=1)
    indices, distances = map(be.to_numpy_array, find_k_nearest_neighbors(*tensors(x, y), k))
    expected = exact(x, y)
    assert indices.dtype == np.int64
    np.testing.assert_array_equal(indices, np.argsort(expected, axis=1)[:, k - 1])
    np.testing.assert_allclose(distances, np.sort(expected, axis=1)[:, k - 1], rtol=1e-6)


def test_neighbors_other_than_oneself():
    x = make(30)
    indices, distances = map(
        be.to_numpy_array, find_k_nearest_neighbors(*tensors(x, x), 5, exclude_self=True)
    )
    expected = exact(x, x)
    np.fill_diagonal(expected, np.inf)
    np.testing.assert_array_equal(indices, np.argsort(expected, axis=1)[:, 4])
    np.testing.assert_allclose(distances, np.sort(expected, axis=1)[:, 4], rtol=1e-6)


def test_equal_rows_are_at_distance_zero():
    """Exactly, though the matrix product cannot tell them apart from near ones."""
    x = make(10, offset=3.0)
    y = np.vstack([x + 1, x[::-1]])
    indices, distances = map(be.to_numpy_array, find_k_nearest_neighbors(*tensors(x, y), 1))
    np.testing.assert_array_equal(indices, np.arange(19, 9, -1))
    np.testing.assert_array_equal(distances, np.zeros(10))


def test_distances_grow_with_k_in_spite_of_rounding():
    """Points so close that their squared distances differ by less than the product's rounding."""
    rng = np.random.default_rng(6)
    y = np.vstack([1e-4 * rng.normal(size=(30, 8)), 1e2 * np.eye(8), -1e2 * np.eye(8)])
    x = np.zeros((1, 8))
    found = [find_k_nearest_neighbors(*tensors(x, y), k)[1] for k in range(1, 31)]
    distances = np.concatenate([be.to_numpy_array(each) for each in found])
    assert (np.diff(distances) >= 0).all()
    assert distances.max() < 1e-3


@pytest.mark.parametrize("low, high", [(0, 1), (-1, 1), (5, 6), (0, 9)])
def test_squared_distances_of_whole_numbers_are_exact(low, high):
    """Products of multiples of a power of two, whose sums fit into 24 bits."""
    rng = np.random.default_rng(2)
    x = rng.choice([low, high], p=[0.9, 0.1], size=(30, 784)).astype(np.float32)
    y = rng.choice([low, high], size=(20, 784)).astype(np.float32)
    within = be.to_numpy_array(squared_distances_within(be.float_tensor(x)))
    np.testing.assert_array_equal(within, np.rint(exact(x, x) ** 2))
    # the root of a whole number is rounded once more
    distances = be.to_numpy_array(pdist(*tensors(x, y)))
    np.testing.assert_allclose(distances, exact(x, y), rtol=1.2e-7)


@pytest.mark.parametrize("offset", [0.0, 100.0])
def test_distances_within_a_table(offset):
    """As between tables, and nothing on the diagonal."""
    x = make(25, offset=offset)
    squares = be.to_numpy_array(squared_distances_within(be.float_tensor(x)))
    assert (np.diag(squares) == 0).all()
    np.testing.assert_allclose(np.sqrt(squares), exact(x, x), rtol=2e-6 if offset == 0 else 1e-5)


@pytest.mark.parametrize("value", [0.0, 0.1, 1e20])
def test_one_point_or_none(value):
    distances = be.to_numpy_array(pdist(*tensors(np.full((3, 2), value), np.full((4, 2), value))))
    np.testing.assert_array_equal(distances, np.full((3, 4), 0.0 * value))


def test_what_does_not_fit_is_refused():
    x, y = tensors(make(3), make(4))
    with pytest.raises(ShapeError, match=r"\(3, 20\) and \(5, 7\)"):
        pdist(x, be.zeros((5, 7)))
    with pytest.raises(ShapeError, match="one table with itself"):
        find_k_nearest_neighbors(x, y, 1, exclude_self=True)
    for k in (0, 5):
        with pytest.raises(DataError, match=f"{k} neighbours .* among 4 rows"):
            find_k_nearest_neighbors(x, y, k)
    with pytest.raises(DataError, match="among 2 rows"):
        find_k_nearest_neighbors(x, x, 3, exclude_self=True)


def test_tables_of_any_kind():
    rows = [[0, 0], [3, 4]]
    np.testing.assert_array_equal(be.to_numpy_array(pdist(rows, np.array(rows))), [[0, 5], [5, 0]])
    _, distances = find_k_nearest_neighbors(rows, np.array(rows), 2)
    np.testing.assert_array_equal(be.to_numpy_array(distances), [5, 5])
