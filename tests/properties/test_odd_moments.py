"""Moments of streams, distances, components: what NumPy finds in double precision."""

import numpy as np
from hypothesis import example
from hypothesis import strategies as st
from odd import (
    REFUSED,
    Handed,
    array,
    attempt,
    given,
    handed,
    is_whole,
    matrices,
    ordinary,
    plain,
    things,
)

from paysage import backends as be
from paysage import math_utils
from paysage.batch import in_memory_batch
from paysage.factorization import PCA
from paysage.math_utils import find_k_nearest_neighbors, pdist

NUMBERS = (math_utils.MeanCalculator, math_utils.MeanVarianceCalculator)
ROWS = (
    math_utils.MeanArrayCalculator,
    math_utils.MeanVarianceArrayCalculator,
    math_utils.MeanCovarianceArrayCalculator,
)
QUIET = {"over": "ignore", "invalid": "ignore", "under": "ignore"}


def close(found, expected, scale):
    """Equal to the rounding of single precision, and of sums of squares in double precision."""
    with np.errstate(**QUIET):
        expected = np.asarray(expected, np.float64).astype(np.float32).astype(np.float64)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-12 * scale)


@given(st.lists(handed(), min_size=1, max_size=3), st.sampled_from(NUMBERS))
def test_moments_of_all_numbers(batches, kind):
    moments = kind()
    seen = [np.zeros(0)]
    for x in batches:
        taken = attempt(moments.update, x.what)
        assert (taken is REFUSED) == (x.means is None)
        seen += [] if x.means is None else [x.means.ravel()]
        assert x.same_now()
    numbers = np.concatenate(seen)
    assert moments.num == len(numbers)
    if not len(numbers):
        assert attempt(lambda: moments.mean) is REFUSED
        return
    with np.errstate(**QUIET):
        mean, var = numbers.mean(), numbers.var()
    assert isinstance(moments.mean, float)
    if np.isfinite(numbers).all() and np.abs(numbers).max() < 1e100:
        np.testing.assert_allclose(moments.mean, mean, rtol=1e-9, atol=1e-12 * abs(numbers).max())
        if kind is not math_utils.MeanCalculator:
            np.testing.assert_allclose(moments.var, var, rtol=1e-6, atol=1e-12 * mean**2)
    else:
        assert not np.isfinite(moments.mean) or abs(moments.mean) <= np.abs(numbers).max()


@given(st.lists(handed(), min_size=1, max_size=3), st.sampled_from(ROWS))
def test_moments_of_columns(batches, kind):
    moments, seen = kind(), []
    for x in batches:
        taken = attempt(moments.update, x.what)
        good = x.means is not None and x.means.ndim > 0
        good = good and (kind is not math_utils.MeanCovarianceArrayCalculator or x.means.ndim == 2)
        if good and any(len(s) for s in seen):
            shape = next(s for s in seen if len(s)).shape[1:]
            good = x.means.shape[1:] == shape
        assert (taken is REFUSED) == (not good)
        seen += [x.means] if good else []
    seen = [s for s in seen if len(s)]
    if not seen:
        assert attempt(lambda: moments.mean) is REFUSED
        return
    rows = np.concatenate(seen)
    if not np.isfinite(rows).all() or np.abs(rows).max(initial=0) > 1e30:
        return
    scale = np.abs(rows).max(initial=0)
    close(array(moments.mean), rows.mean(axis=0), scale)
    if isinstance(moments, math_utils.MeanVarianceArrayCalculator):
        close(array(moments.var), rows.var(axis=0), scale**2)
        close(array(moments.std), rows.std(axis=0), scale)
    if isinstance(moments, math_utils.MeanCovarianceArrayCalculator):
        away = rows - rows.mean(axis=0)
        close(array(moments.cov), away.T @ away / len(rows), scale**2)


@given(things(), st.sampled_from([*NUMBERS, *ROWS]))
def test_states_of_calculators(thing, kind):
    assert attempt(kind.from_config, thing) is REFUSED
    moments = kind()
    moments.update(np.eye(3))
    config = moments.get_config()
    again = kind.from_config(config)
    np.testing.assert_array_equal(array(again.mean), array(moments.mean))
    for key in config:
        attempt(kind.from_config, {**config, key: thing})


TWO = st.integers(0, 4)
FAR = np.array([[1e30, 0.0], [0.0, 0.0]])
NEAR = np.array([[1e-30, 0.0], [0.0, 0.0]])
TABLE = np.random.default_rng(4).standard_normal((6, 3))


@st.composite
def pairs_of_tables(draw):
    width = draw(st.integers(0, 4))
    first = draw(handed(st.tuples(TWO, st.just(width))))
    other = width if draw(st.integers(0, 4)) else width + 1
    return first, draw(handed(st.tuples(TWO, st.just(other))))


def are_tables(x, y):
    singles = [x.single(), y.single()]
    good = all(s is not None and s.ndim == 2 and np.isfinite(s).all() for s in singles)
    return good and singles[0].shape[1] == singles[1].shape[1]


def distances(x, y):
    a, b = (z.single().astype(np.float64) for z in (x, y))
    return np.sqrt(np.square(a[:, None] - b[None]).sum(axis=-1))


def spread_of(x, y):
    rows = np.vstack([x.single(), y.single()])
    return np.ptp(rows, axis=0).max(initial=0) if len(rows) else 0


@given(pairs_of_tables())
@example((Handed(FAR, FAR, "far"), Handed(FAR, FAR, "far")))
@example((Handed(NEAR, NEAR, "near"), Handed(NEAR, NEAR, "near")))
def test_distances(pair):
    x, y = pair
    found = attempt(pdist, x.what, y.what)
    assert (found is REFUSED) == (not are_tables(x, y))
    if found is not REFUSED:
        expected = distances(x, y)
        # what is lost is a rounding of the squares of the numbers about their middle
        spread = spread_of(x, y)
        np.testing.assert_allclose(
            array(found), np.minimum(expected, np.inf), rtol=1e-5, atol=2e-3 * float(spread)
        )
        assert x.same_now() and y.same_now()


@given(pairs_of_tables(), st.one_of(st.integers(0, 4), things()), st.booleans())
@example((ordinary(TABLE), ordinary(TABLE[:4] + 0.1)), 3, False)
@example((ordinary(TABLE), ordinary(TABLE)), 1, True)
def test_neighbours(pair, k, exclude):
    x, y = pair
    found = attempt(find_k_nearest_neighbors, x.what, y.what, k, exclude)
    good = are_tables(x, y) and is_whole(k, 1)
    if good:
        rows = (len(x.means), len(y.means))
        good = k <= rows[1] - exclude and (not exclude or rows[0] == rows[1])
    assert (found is REFUSED) == (not good)
    if good:
        indices, near = found
        expected = distances(x, y)
        if exclude:
            np.fill_diagonal(expected, np.inf)
        taken = expected[np.arange(len(expected)), be.to_numpy_array(indices)]
        np.testing.assert_allclose(array(near), taken, rtol=1e-5, atol=1e-44)
        best = np.sort(expected, axis=1)[:, k - 1]
        spread = spread_of(x, y)
        np.testing.assert_allclose(taken, best, rtol=1e-5, atol=2e-3 * float(spread))


COMPONENTS = st.one_of(st.integers(1, 4), things())


MASKED = np.ma.masked_array(np.ones((3, 2)), mask=np.eye(3, 2, dtype=bool))


@given(handed(), COMPONENTS)
@example(Handed(MASKED, None, "masked"), 1)
@example(ordinary(TABLE), 2)
def test_components_of_a_table(x, k):
    found = attempt(PCA.from_svd, x.what, k)
    good = x.means is not None and x.means.ndim == 2 and np.isfinite(x.means).all()
    good = good and is_whole(k, 1) and k <= min(x.means.shape)
    assert (found is REFUSED) == (not good)
    if good:
        check_components(found, x.means, int(k))
        assert x.same_now()


def check_components(found, rows, k):
    scale = float(np.abs(rows).max())
    centred = rows - rows.mean(axis=0)
    with np.errstate(**QUIET):
        expected = np.linalg.svd(centred, compute_uv=False)[:k] ** 2 / max(len(rows) - 1, 1)
    close(array(found.var), expected, scale**2 * len(rows))
    directions = array(found.W)
    np.testing.assert_allclose(directions.T @ directions, np.eye(k), atol=1e-5)
    assert directions.shape == (rows.shape[1], k)


@given(handed(matrices(rows=(6, 9))), st.integers(1, 3))
def test_components_of_minibatches(x, k):
    """Those of the training rows in single precision, which a batch holds."""
    single = x.single()
    if single is None or single.ndim != 2 or not np.isfinite(single).all():
        return
    batch = in_memory_batch(x.what, 2)
    rows = plain(single[: round(len(single) * 0.9)])
    found = attempt(PCA.from_batch, batch, k)
    assert (found is REFUSED) == (k > min(rows.shape))
    if found is not REFUSED:
        check_components(found, rows, k)


@given(things(), things())
def test_components_of_anything(batch, number):
    assert attempt(PCA.from_batch, batch) is REFUSED
    batch = in_memory_batch(np.eye(9), 2)
    for option in ("num_components", "epochs"):
        found = attempt(PCA.from_batch, batch, **{"num_components": 2, option: number})
        assert (found is REFUSED) == (not is_whole(number, 1))


@given(handed(), st.sampled_from(["transform", "project"]))
@example(ordinary(TABLE), "transform")
@example(ordinary(TABLE), "project")
def test_coordinates(x, name):
    rng = np.random.default_rng(0)
    components = PCA.from_svd(rng.standard_normal((9, 3)), 2)
    found = attempt(getattr(components, name), x.what)
    good = x.means is not None and x.means.ndim == 2 and x.means.shape[1] == 3
    assert (found is REFUSED) == (not good)
    if good and np.isfinite(x.single()).all() and np.abs(x.single()).max(initial=0) < 1e30:
        W, mean = array(components.W), array(components.mean)
        expected = (x.single().astype(np.float64) - (mean if name == "transform" else 0)) @ W
        scale = np.abs(x.single()).max(initial=1)
        np.testing.assert_allclose(array(found), expected, rtol=1e-5, atol=1e-5 * scale)
        assert x.same_now()


NONE, ONE = np.zeros((0, 1)), np.array(0.5)


@given(handed(), handed(), handed())
@example(*(Handed(x, x, "shapes that do as one") for x in (NONE, ONE, NONE)))
def test_parts_of_components(W, var, mean):
    found = attempt(PCA, W.what, var.what, mean.what)
    parts = [p.means for p in (W, var, mean)]
    good = all(p is not None for p in parts) and parts[0].ndim == 2
    good = good and (parts[2].shape, parts[1].shape) == (parts[0].shape[:1], parts[0].shape[1:])
    assert (found is REFUSED) == (not good)
