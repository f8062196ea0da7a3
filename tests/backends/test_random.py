"""Random tensors of both backends: shapes, distributions, seeds and states."""

import itertools
import json

import numpy as np
import pytest

from paysage import backends as be
from paysage.errors import ConfigError, ShapeError

SIGMAS = 5  # standard errors that a right answer may be off


def arr(x):
    return be.to_numpy_array(x)


def draw_all():
    """A bit of everything that is random."""
    x = be.float_tensor(np.arange(12).reshape(6, 2))
    column = be.ones((4, 1))
    parts = [
        be.rand((2, 3)),
        be.randn(5),
        be.rand_like(x),
        be.randn_like(x),
        be.rand_bernoulli(x, 11.0),
        be.rand_int(0, 100, (3, 2)),
        be.rand_samples(x, 4),
        be.shuffle_(be.copy_tensor(x)),
        be.rand_softmax(x),
        be.rand_softmax_units(x),
        be.bernoulli_sample(x, be.zeros(2)),
        be.gaussian_sample(x, be.zeros(2), be.ones(2), be.float_tensor(np.full((6, 1), 2.0))),
        be.beta_process_start(4, 0.5),
        be.beta_process_step_(column, 0.5, 0.5),
    ]
    return np.concatenate([arr(part).reshape(-1) for part in parts])


def assert_frequencies(drawn, probabilities):
    """Relative frequencies of indices, each within five binomial standard errors."""
    p = np.asarray(probabilities, float)
    found = np.bincount(drawn, minlength=p.size) / drawn.size
    assert np.all(np.abs(found - p) <= SIGMAS * np.sqrt(p * (1 - p) / drawn.size))


@pytest.mark.parametrize("function", ["rand", "randn"])
def test_shapes_and_dtypes(function):
    for shape in (5, (5,), (2, 3), (0, 4), (2, 3, 4)):
        x = getattr(be, function)(shape)
        assert be.is_tensor(x) and be.dtype(x) == be.Float
        assert be.shape(x) == ((shape,) if isinstance(shape, int) else shape)
        like = getattr(be, function + "_like")(be.zeros(shape))
        assert be.dtype(like) == be.Float and be.shape(like) == be.shape(x)
    assert be.dtype(getattr(be, function + "_like")(be.long_tensor([1, 2]))) == be.Float


def test_rand_and_randn_have_their_moments():
    n = 200_000
    u, x = arr(be.rand((n // 2, 2))).astype(float), arr(be.randn((n // 2, 2))).astype(float)
    assert u.min() > 0 and u.max() < 1
    assert abs(u.mean() - 0.5) < SIGMAS / np.sqrt(12 * n)
    assert abs(u.var() - 1 / 12) < SIGMAS / np.sqrt(180 * n)
    assert abs(x.mean()) < SIGMAS / np.sqrt(n)
    assert abs(x.var() - 1) < SIGMAS * np.sqrt(2 / n)


def test_comparison_gives_a_mask():
    x = be.rand((300, 300))
    mask = be.rand_like(x) < 0.15
    assert arr(mask).dtype == bool
    x[mask] = -1.0
    assert arr(x == -1).sum() == arr(mask).sum()
    assert abs(arr(mask).mean() - 0.15) < SIGMAS * np.sqrt(0.15 * 0.85 / 90_000)


@pytest.mark.parametrize("size", [1, 5, 4097, 100_001])
def test_rand_bernoulli_compares_a_uniform_number_with_its_argument(size):
    x = np.random.default_rng(2).uniform(0, 3, size).astype(np.float32)
    be.set_seed(3)
    be.rand(1)  # so that the first element is half of a word
    state = be.get_random_state()
    draws = arr(be.rand_bernoulli(be.float_tensor(x), 3.0))
    after = arr(be.rand(1))
    be.set_random_state(state)
    assert np.array_equal(draws, 3 * arr(be.rand(size)) < x)
    assert np.array_equal(after, arr(be.rand(1)))


def test_rand_bernoulli_is_certain_at_its_ends():
    x = be.float_tensor(np.tile([0.0, 255.0], (100_000, 1)))
    assert np.array_equal(arr(be.rand_bernoulli(x, 255.0)), np.tile([0, 1], (100_000, 1)))


def test_one_seed_gives_one_sequence():
    be.set_seed(8)
    first, second = draw_all(), draw_all()
    assert not np.array_equal(first, second)
    be.set_seed(8)
    assert np.array_equal(first, draw_all())
    be.set_seed(9)
    assert not np.array_equal(first, draw_all())


def test_state_comes_back_through_json():
    be.set_seed(8)
    draw_all()
    state = json.loads(json.dumps(be.get_random_state()))
    expected = draw_all()
    be.set_seed(1)
    be.set_random_state(state)
    assert np.array_equal(expected, draw_all())
    with pytest.raises(ConfigError):
        be.set_random_state({"kind": "unknown"})


@pytest.mark.backend_free
def test_backends_draw_the_same_on_the_cpu():
    pytest.importorskip("torch", reason="PyTorch is not installed")
    drawn = []
    for name in ("python", "pytorch"):
        be.set_backend(name, "cpu")
        be.set_seed(21)
        drawn.append(draw_all())
    be.set_backend("python", "cpu")
    assert np.array_equal(*drawn)


def test_rand_int_is_uniform_without_its_end():
    x = be.rand_int(-2, 5, (100, 700))
    assert be.dtype(x) == be.Long and be.shape(x) == (100, 700)
    assert_frequencies(arr(x).reshape(-1) + 2, np.full(7, 1 / 7))
    assert be.shape(be.rand_int(0, 2, 3)) == (3,)
    with pytest.raises(ConfigError, match="a < b"):
        be.rand_int(3, 3, 1)


def test_rand_samples_draws_with_replacement():
    x = be.float_tensor([[0.0, 1.0], [2.0, 3.0]])
    drawn = be.rand_samples(x, 40_000)
    assert be.shape(drawn) == (40_000,) and be.dtype(drawn) == be.Float
    assert_frequencies(arr(drawn).astype(int), np.full(4, 0.25))
    with pytest.raises(ShapeError):
        be.rand_samples(be.zeros(0), 1)


def test_shuffle_permutes_rows_in_place():
    x = be.float_tensor(np.arange(300).reshape(100, 3))
    assert be.shuffle_(x) is x
    found = arr(x)
    assert not np.array_equal(found[:, 0], np.arange(0, 300, 3))
    assert np.array_equal(np.sort(found[:, 0]), np.arange(0, 300, 3))
    assert np.array_equal(found, found[:, :1] + [0, 1, 2])


def test_shuffle_gives_every_order_equally_often():
    orders = []
    for _ in range(3000):
        a, b, _ = arr(be.shuffle_(be.long_tensor([0, 1, 2]))).tolist()
        orders.append(2 * a + (b > (0 if a else 1)))  # 6 orders, numbered 0 to 5
    assert_frequencies(np.array(orders), np.full(6, 1 / 6))


def test_softmax_units_have_the_softmax_probabilities():
    row = np.array([0.0, 1.0, -np.inf, 2.0, -50.0], np.float32)
    p = np.exp(row.astype(float))
    phi = be.float_tensor(np.tile(row, (50_000, 1)))
    for shift in (0.0, 1000.0, -1000.0):
        units = be.rand_softmax_units(phi + shift)
        assert be.dtype(units) == be.Long and be.shape(units) == (50_000,)
        assert_frequencies(arr(units), p / p.sum())


def test_softmax_rows_are_one_hot_where_the_units_fell():
    phi = be.randn((500, 6))
    be.set_seed(4)
    units = arr(be.rand_softmax_units(phi))
    be.set_seed(4)
    rows = be.rand_softmax(phi)
    assert be.dtype(rows) == be.Float
    assert np.array_equal(arr(rows), np.eye(6)[units])


def test_softmax_of_a_nan_is_seen():
    rows = arr(be.rand_softmax(be.float_tensor([[0.0, 1.0], [np.nan, 0.0]])))
    assert rows[0].sum() == 1
    assert np.isnan(rows[1]).any()


def test_softmax_needs_a_matrix():
    for phi in (be.zeros(3), be.zeros((3, 0))):
        with pytest.raises(ShapeError, match=r"\(B, n\)"):
            be.rand_softmax(phi)


# -------------------------------------------------------------------------- inverse temperatures


def assert_stationary(beta, std):
    """Mean 1 and variance std^2 of independent Gamma numbers (N, 1), of excess kurtosis 6 std^2."""
    x = arr(beta).astype(float)
    assert abs(x.mean() - 1) < SIGMAS * std / np.sqrt(x.size)
    assert abs(x.var() - std**2) < SIGMAS * std**2 * np.sqrt((2 + 6 * std**2) / x.size)


@pytest.mark.parametrize(
    "momentum, std", [(0.0, 0.6), (0.9, 0.6), (0.5, 0.1), (0.95, 1.2), (0.5, 1.6)]
)
def test_beta_process_stays_at_its_distribution(momentum, std):
    beta = be.beta_process_start(50_000, std)
    assert be.shape(beta) == (50_000, 1) and be.dtype(beta) == be.Float
    assert_stationary(beta, std)
    for _ in range(10):
        before = be.copy_tensor(beta)
        assert be.beta_process_step_(beta, momentum, std) is beta
    assert_stationary(beta, std)
    # the correlation is the mean of these products; their spread gives its standard error
    products = (arr(before).astype(float) - 1) * (arr(beta).astype(float) - 1) / std**2
    assert abs(products.mean() - momentum) < SIGMAS * products.std() / np.sqrt(products.size)


def test_beta_process_averages_to_one_along_its_path():
    momentum, std, chains, steps = 0.9, 0.6, 200, 500
    beta = be.beta_process_start(chains, std)
    total = sum(arr(be.beta_process_step_(beta, momentum, std)).sum() for _ in range(steps))
    # autocorrelations momentum^k leave this number of independent values
    effective = chains * steps * (1 - momentum) / (1 + momentum)
    assert abs(total / (chains * steps) - 1) < SIGMAS * std / np.sqrt(effective)


@pytest.mark.parametrize("std", [1e200, 1e-200])
def test_beta_process_of_a_spread_whose_square_is_no_number(std):
    with pytest.raises(ConfigError, match="between 1e-6 and 1e6"):
        be.beta_process_start(3, std)


def test_beta_process_without_spread_is_one():
    assert np.array_equal(arr(be.beta_process_start(3, 0)), np.ones((3, 1)))
    beta = be.float_tensor([[0.5], [2.0]])
    assert np.array_equal(arr(be.beta_process_step_(beta, 0.9, 0.0)), np.ones((2, 1)))


@pytest.mark.parametrize("momentum, std", [(1.0, 0.6), (-0.1, 0.6), (0.9, -1), (0.9, np.nan)])
def test_beta_process_refuses_what_cannot_be(momentum, std):
    with pytest.raises(ConfigError, match="momentum"):
        be.beta_process_step_(be.ones((2, 1)), momentum, std)


# -------------------------------------------------------------------------------------------- GPU


@pytest.mark.gpu
@pytest.mark.backend_free
def test_gpu_has_the_same_distributions(on_gpu):
    be.set_seed(1)
    assert be.rand(3).is_cuda
    test_rand_and_randn_have_their_moments()
    test_rand_int_is_uniform_without_its_end()
    test_rand_samples_draws_with_replacement()
    test_shuffle_permutes_rows_in_place()
    test_softmax_units_have_the_softmax_probabilities()
    test_softmax_rows_are_one_hot_where_the_units_fell()
    test_softmax_of_a_nan_is_seen()
    test_beta_process_stays_at_its_distribution(0.9, 0.6)
    test_beta_process_without_spread_is_one()


@pytest.mark.gpu
@pytest.mark.backend_free
def test_gpu_repeats_itself(on_gpu):
    test_one_seed_gives_one_sequence()
    test_state_comes_back_through_json()


# --- draws that belong to rows


def rows_drawn(x, phi, beta):
    """What rows draw, a list of tensors (B, ...)."""
    n = be.shape(x)[1]
    beta = be.copy_tensor(beta)
    return [
        be.rand_like(x),
        be.beta_process_step_(beta, 0.5, 0.5),
        be.bernoulli_sample(x, be.zeros(n), beta),
        be.rand(be.shape(beta)),
        be.gaussian_sample(x, be.zeros(n), be.ones(n)),
        be.randn_like(x),
        be.onehot_sample(x, be.zeros(n), beta),
        be.rand_bernoulli(x),
        be.rand_softmax(phi),
        be.rand_softmax_units(phi),
        be.beta_process_step_(beta, 0.9, 1.0),
    ]


@pytest.mark.parametrize("before", [0, 1])
@pytest.mark.parametrize("ends", [(0, 4, 9), (0, 1, 3, 9)])
def test_some_rows_draw_what_they_draw_among_all(before, ends):
    rng = np.random.default_rng(4)
    shapes = ((9, 5), (9, 3), (9, 1))
    given = [be.float_tensor(rng.uniform(0.2, 1, shape)) for shape in shapes]
    state = be.get_random_state()

    def drawn(part):
        be.set_random_state(state)
        be.rand(before)  # an odd number leaves half of a word
        with be.draws_of_rows(part.start, part.stop - part.start, 9):
            found = rows_drawn(*(x[part] for x in given))
        return [arr(x) for x in found], be.get_random_state()

    be.rand(before)
    whole, after = [arr(x) for x in rows_drawn(*given)], be.get_random_state()
    parts = [drawn(slice(*pair)) for pair in itertools.pairwise(ends)]
    for k, wanted in enumerate(whole):
        assert np.array_equal(np.concatenate([found[k] for found, _ in parts]), wanted)
    assert all(state == after for _, state in parts)


def test_integers_of_some_rows_and_what_is_split_from_them_are_theirs():
    state, found = be.get_random_state(), []
    for first in (0, 4):
        be.set_random_state(state)
        with be.draws_of_rows(first, 4, 8):
            integers = be.rand_int(0, 10**6, (4,))
            with be.separate_draws(1)[0]:
                found.append(np.concatenate([arr(integers), arr(be.rand((4,)))]))
    assert not np.isin(*found).any()


@pytest.mark.backend_free
def test_a_gpu_has_no_numbers_of_rows(gpu_path):
    be.set_seed(3)
    whole = arr(be.rand((4, 2)))
    be.set_seed(3)
    with be.draws_of_rows(2, 2, 4):
        assert np.array_equal(arr(be.rand((2, 2))), whole[:2])
