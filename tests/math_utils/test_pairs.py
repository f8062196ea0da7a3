"""Distances among two samples against differences taken one by one in double precision."""

import numpy as np
import pytest

from paysage import backends as be
from paysage.errors import DataError, ShapeError
from paysage.math_utils.pairs import SamplePairs


def samples(scale=1.0, offset=0.0):
    rng = np.random.default_rng(3)
    shapes = [(9, 6), (12, 6)]
    return [(offset + scale * rng.normal(size=shape)).astype(np.float32) for shape in shapes]


def exact(x, y):
    x, y = x.astype(np.float64), y.astype(np.float64)
    return np.sqrt(((x[:, None] - y[None]) ** 2).sum(axis=-1))


def pairs_of(parts):
    return SamplePairs(*(be.float_tensor(part) for part in parts))


@pytest.mark.parametrize("of", [0, 1])
@pytest.mark.parametrize("to", [0, 1])
def test_means_and_neighbours(of, to):
    """Sums of 100 distances, and single ones, of relative error 1e-6."""
    parts = samples()
    pairs, distances = pairs_of(parts), exact(parts[of], parts[to])
    assert pairs.mean_distance(of, to) == pytest.approx(distances.mean(), rel=1e-6)
    if of == to:
        np.fill_diagonal(distances, np.inf)
    for k in (1, 4, 8):
        kth = be.to_numpy_array(pairs.kth_distance(of, to, k))
        np.testing.assert_allclose(kth, np.sort(distances, axis=1)[:, k - 1], rtol=3e-6)


def test_near_neighbours_far_apart_are_computed_anew():
    """Squares of 1e-7 beside those of 1e4, which the product rounds to 1e-3 or so: it tells the six
    near rows from the others, and the differences tell how near they are.
    """
    near = samples(scale=1e-4)[0]
    parts = near, np.vstack([near[:6] + np.float32(2e-4), near[:6] + 100])
    kth = be.to_numpy_array(pairs_of(parts).kth_distance(0, 1, 6))
    np.testing.assert_allclose(kth, np.sort(exact(*parts), axis=1)[:, 5], rtol=1e-6)


def test_the_samples_are_left_alone():
    parts = samples()
    tensors = [be.float_tensor(part.copy()) for part in parts]
    pairs = SamplePairs(*tensors)
    first = be.to_numpy_array(pairs.kth_distance(0, 0, 2))
    np.testing.assert_array_equal(be.to_numpy_array(pairs.kth_distance(0, 0, 2)), first)
    for tensor, part in zip(tensors, parts, strict=True):
        np.testing.assert_array_equal(be.to_numpy_array(tensor), part)


def test_what_does_not_fit_is_refused():
    with pytest.raises(ShapeError, match="2 and 3 columns"):
        pairs_of([np.zeros((4, 2)), np.zeros((4, 3))])
    with pytest.raises(DataError, match="neighbour 9 of a row was asked for among 8 rows"):
        pairs_of(samples()).kth_distance(0, 0, 9)
