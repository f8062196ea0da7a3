"""The softmax primitives of both backends against plain NumPy in double precision."""

import numpy as np
import pytest
import stationarity
from test_fused import (  # noqa: F401 - fixtures
    BETAS,
    EPS,
    SIGMAS,
    arr,
    betas,
    gpu_formulas,
    layer,
    normal,
)

from paysage import backends as be
from paysage.errors import ShapeError


def softmax(x):
    x = np.asarray(x, np.float64)
    weights = np.exp(x - x.max(axis=1, keepdims=True))
    return weights / weights.sum(axis=1, keepdims=True)


@betas
def test_mean(kind):
    (field, loc, column), (f, b, _) = layer()
    beta, factor = BETAS[kind](column)
    found = arr(be.onehot_mean(f, b, beta))
    wanted = softmax(factor * (field.astype(float) + loc))
    # the argument has about three roundings of half a unit, the exponential an error of two
    tolerance = 4 * EPS * (1 + np.abs(factor * (np.abs(field) + np.abs(loc))).max())
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, wanted, rtol=tolerance)


@pytest.mark.parametrize("width", [1000, 100_000])
def test_wide_rows_are_as_accurate_as_narrow_ones(width):
    field = np.stack([normal(width), np.zeros(width, np.float32), -5 + 0 * normal(width)])
    found = arr(be.onehot_mean(be.float_tensor(field), be.zeros(width)))
    np.testing.assert_allclose(found, softmax(field), rtol=30 * EPS)
    # the roundings of the terms are independent, those of a sum of 1e5 terms would not cancel
    np.testing.assert_allclose(found.sum(axis=1, dtype=np.float64), 1, rtol=EPS)


def test_large_fields_do_not_overflow():
    field = [[1e30, -1e30, 0], [3e38, 3e38, -3e38], [-3e38, -3e38, -3e38], [-np.inf, 0, -np.inf]]
    wanted = [[1, 0, 0], [0.5, 0.5, 0], [1 / 3, 1 / 3, 1 / 3], [0, 1, 0]]
    found = arr(be.onehot_mean(be.float_tensor(field), be.zeros(3), 2.5))
    np.testing.assert_allclose(found, wanted, rtol=2 * EPS, atol=1e-37)
    draws = arr(be.onehot_sample(be.float_tensor(field), be.zeros(3), 2.5))
    assert (draws.sum(axis=1) == 1).all() and draws[0, 0] == draws[3, 1] == 1


def test_one_unit_is_always_on():
    for hook in (be.onehot_mean, be.onehot_sample):
        assert (
            arr(hook(be.float_tensor([[-50.0], [0.0], [1e20]]), be.zeros(1))).tolist() == [[1]] * 3
        )


@pytest.mark.parametrize("name", ["onehot_mean", "onehot_sample"])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("place", [0, 2, 4])
def test_a_row_without_a_softmax_is_nan_and_the_others_are_not(name, bad, place):
    field = np.zeros((4, 5), np.float32)
    field[1, place] = bad
    for kind in (np.float32, np.float64):
        tensors = (be.from_numpy_array(x.astype(kind)) for x in (field, np.zeros(5)))
        found = arr(getattr(be, name)(*tensors))
        assert np.isnan(found[1]).all()
        np.testing.assert_allclose(np.delete(found, 1, axis=0).sum(axis=1), 1, rtol=4 * EPS)


@betas
def test_sample_inverts_the_cumulative_distribution(kind):
    (_, _, column), (f, b, _) = layer(300, 41)
    beta, _ = BETAS[kind](column)
    steps = arr(be.onehot_mean(f, b, beta)).astype(float).cumsum(axis=1)
    be.set_seed(5)
    u = arr(be.rand((300, 1)))
    be.set_seed(5)
    draws = arr(be.onehot_sample(f, b, beta))
    assert draws.dtype == np.float32
    assert np.array_equal(np.unique(draws), [0, 1]) and (draws.sum(axis=1) == 1).all()
    close = (np.abs(steps - u) < 1e-6).any(axis=1)
    wanted = (steps <= u).sum(axis=1)
    assert np.array_equal(draws.argmax(axis=1)[~close], wanted[~close])
    assert close.mean() < 0.01


@betas
def test_sample_has_the_distribution(kind):
    rows, loc = 20_000, 1.5 * normal(7)
    column = np.where(np.arange(rows) % 2, 1.6, 0.4).astype(np.float32)[:, None]
    beta, factor = BETAS[kind](column)
    draws = arr(be.onehot_sample(be.ones((rows, 7)), be.float_tensor(loc), beta)).argmax(axis=1)
    wanted = softmax(factor * np.tile(loc, (rows, 1)))
    for half in (slice(0, None, 2), slice(1, None, 2)):
        assert stationarity.chi_square(draws[half], wanted[half].mean(axis=0)) > 1e-6


def test_a_thousand_units_are_drawn_with_their_probabilities():
    loc = normal(1000)
    draws = arr(be.onehot_sample(be.zeros((30_000, 1000)), be.float_tensor(loc)))
    assert stationarity.chi_square(draws.argmax(axis=1), softmax(loc[None])[0]) > 1e-6


def test_draws_of_rows_and_calls_are_independent():
    first, second = (
        arr(be.onehot_sample(be.zeros((20_000, 4)), be.zeros(4))).argmax(axis=1) for _ in range(2)
    )
    for a, b in ((first, second), (first[1:], first[:-1]), (first[2:], first[:-2])):
        assert stationarity.chi_square(4 * a + b, np.full(16, 1 / 16)) > 1e-6


@pytest.mark.backend_free
def test_both_backends_draw_the_same_units_on_the_cpu():
    pytest.importorskip("torch", reason="PyTorch is not installed")
    (field, loc, column), _ = layer(50, 9)
    found = []
    for name in ("python", "pytorch"):
        be.set_backend(name, "cpu")
        be.set_seed(3)
        found.append(arr(be.onehot_sample(*map(be.float_tensor, (field, loc, column)))).copy())
        found.append(arr(be.rand(3)).copy())  # and go on with the same numbers
    be.set_backend("python", "cpu")
    assert np.array_equal(found[0], found[2]) and np.array_equal(found[1], found[3])


def test_a_row_of_no_units_is_refused():
    for hook in (be.onehot_mean, be.onehot_sample):
        with pytest.raises(ShapeError, match="n > 0"):
            hook(be.zeros((4, 0)), be.zeros(0))


@pytest.mark.backend_free
@pytest.mark.parametrize("kind", BETAS)
def test_gpu_formulas(gpu_formulas, kind):  # noqa: F811
    (_, _, column), (f, b, _) = layer(3000, 9)
    beta, _ = BETAS[kind](column)
    mean = arr(be.onehot_mean(f, b, beta))
    np.testing.assert_allclose(arr(gpu_formulas.onehot_mean(f, b, beta, None)), mean, atol=20 * EPS)
    draws = arr(gpu_formulas.onehot_sample(f, b, beta, None))
    assert np.array_equal(np.unique(draws), [0, 1]) and (draws.sum(axis=1) == 1).all()
    z = (draws - mean).sum(axis=0) / np.sqrt((mean * (1 - mean)).sum(axis=0))
    assert np.abs(z).max() < SIGMAS
    field = be.float_tensor([[0, np.nan, 0], [3e38, -3e38, 1]])
    for hook in (gpu_formulas.onehot_mean, gpu_formulas.onehot_sample):
        found = arr(hook(field, be.zeros(3), 2.0, None))
        assert np.array_equal(found, [[np.nan] * 3, [1, 0, 0]], equal_nan=True)


@pytest.mark.gpu
@pytest.mark.backend_free
@pytest.mark.parametrize("kind", BETAS)
def test_on_gpu(on_gpu, kind):
    test_mean(kind)
    test_wide_rows_are_as_accurate_as_narrow_ones(1000)
    test_large_fields_do_not_overflow()
    test_one_unit_is_always_on()
    test_sample_inverts_the_cumulative_distribution(kind)
    test_sample_has_the_distribution(kind)
    test_draws_of_rows_and_calls_are_independent()
