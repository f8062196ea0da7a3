"""The fused primitives of both backends against plain NumPy in double precision."""

import numpy as np
import pytest

from paysage import backends as be
from paysage.errors import ShapeError
from paysage.threads import one_thread_each

SIGMAS = 5  # standard errors that a right answer may be off
EPS = 2.0**-23


def arr(x):
    return be.to_numpy_array(x)


def normal(*shape):
    return np.random.default_rng(7).normal(size=shape).astype(np.float32)


def logistic(x):
    with np.errstate(over="ignore"):
        return 1 / (1 + np.exp(-np.asarray(x, np.float64)))


def layer(rows=60, columns=37):
    """A field, biases and inverse temperatures, as arrays and as tensors."""
    arrays = 3 * normal(rows, columns), normal(columns), np.abs(normal(rows, 1)) + 0.1
    return arrays, [be.float_tensor(x) for x in arrays]


BETAS = {
    "none": lambda beta: (None, 1.0),
    "number": lambda beta: (0.7, 0.7),
    "column": lambda beta: (be.float_tensor(beta), beta),
}
betas = pytest.mark.parametrize("kind", BETAS)


# --------------------------------------------------------------------------------- bernoulli_mean


def test_logistic_is_accurate():
    x = np.linspace(-120, 120, 400_000, dtype=np.float32).reshape(400, 1000)
    found = arr(be.bernoulli_mean(be.float_tensor(x), be.zeros(1000)))
    assert found.dtype == np.float32
    # half a unit in the last place below one is 6e-8; the exponential adds about as much
    assert np.abs(found - logistic(x)).max() < 2e-7


def test_logistic_at_its_ends():
    x = [[-np.inf, -1e30, -100, -88.5, 0, 88.5, 100, 1e30, np.inf, np.nan]]
    found = arr(be.bernoulli_mean(be.float_tensor(x), be.zeros(10)))[0]
    assert found[[0, 1, 4]].tolist() == [0, 0, 0.5]
    assert np.all((found[:4] >= 0) & (found[:4] < 1e-37))
    assert found[5:9].tolist() == [1, 1, 1, 1]
    assert np.isnan(found[9])


@betas
def test_bernoulli_mean(kind):
    (field, loc, column), (f, b, _) = layer()
    beta, factor = BETAS[kind](column)
    found = arr(be.bernoulli_mean(f, b, beta))
    # rounding of the argument, at most 3 units in its last place, times the slope, at most 1/4
    tolerance = 2e-7 + 0.75 * EPS * np.abs(factor * (np.abs(field) + np.abs(loc))).max()
    assert np.abs(found - logistic(factor * (field.astype(float) + loc))).max() < tolerance


# ------------------------------------------------------------------------------- bernoulli_sample


@betas
def test_bernoulli_sample_compares_a_uniform_number_with_the_mean(kind):
    (_, _, column), (f, b, _) = layer(300, 41)
    beta, _ = BETAS[kind](column)
    mean = arr(be.bernoulli_mean(f, b, beta))
    be.set_seed(5)
    u = arr(be.rand_like(f))
    be.set_seed(5)
    draws = arr(be.bernoulli_sample(f, b, beta))
    assert draws.dtype == np.float32
    close = np.abs(u - mean) < 4 * EPS
    assert close.sum() < 5
    assert np.array_equal(draws[~close], (u < mean)[~close])


def test_bernoulli_sample_has_the_mean():
    values = np.array([-20.0, -5, -1, 0, 0.3, 2, 10], np.float32)
    rows = 40_000
    draws = arr(be.bernoulli_sample(be.zeros((rows, 7)), be.float_tensor(values), 0.8))
    p = logistic(0.8 * values.astype(float))
    assert set(np.unique(draws)) == {0.0, 1.0}
    assert np.all(np.abs(draws.mean(axis=0) - p) <= SIGMAS * np.sqrt(p * (1 - p) / rows) + 2.0**-24)


def test_bernoulli_sample_at_its_ends():
    x = [-np.inf, -100, 100, np.inf, np.nan]
    draws = arr(be.bernoulli_sample(be.float_tensor([x] * 1000), be.zeros(5)))
    assert np.array_equal(draws, [[0, 0, 1, 1, np.nan]] * 1000, equal_nan=True)


def test_draws_are_independent():
    draws = arr(be.bernoulli_sample(be.zeros((1000, 101)), be.zeros(101)))
    again = arr(be.bernoulli_sample(be.zeros((1000, 101)), be.zeros(101)))
    spins = 2 * draws.reshape(-1) - 1
    error = SIGMAS / np.sqrt(spins.size)
    assert abs(np.mean(spins * (2 * again.reshape(-1) - 1))) < error
    for lag in (1, 2, 101):
        assert abs(np.mean(spins[lag:] * spins[:-lag])) < error


def test_bernoulli_sample_of_many_rows_in_pieces(monkeypatch):
    """Each piece goes on where the one before it ends: an odd number of elements, betas by row."""
    f, beta = be.float_tensor(np.linspace(-2, 2, 35).reshape(7, 5)), np.linspace(0.5, 2, 7)
    draws = []
    monkeypatch.setattr("paysage.threads.MIN_PIECE", 1)
    for worth in (np.inf, 1):
        monkeypatch.setattr("paysage.threads.WORTH_CUTTING", worth)
        be.set_seed(9)
        with one_thread_each():
            draws.append(arr(be.bernoulli_sample(f, be.zeros(5), be.float_tensor(beta[:, None]))))
    np.testing.assert_array_equal(*draws)


# -------------------------------------------------------------------------------- gaussian_sample


@betas
def test_gaussian_sample_scales_and_shifts_normal_numbers(kind):
    (field, loc, column), (f, b, _) = layer()
    log_var = normal(37)
    beta, factor = BETAS[kind](column)
    be.set_seed(5)
    noise = arr(be.randn_like(f)).astype(float)
    be.set_seed(5)
    found = arr(be.gaussian_sample(f, b, be.float_tensor(log_var), beta))
    expected = field.astype(float) + loc + np.sqrt(np.exp(log_var.astype(float)) / factor) * noise
    assert found.dtype == np.float32
    # five roundings, of intermediate results that are not greater than 40
    assert np.abs(found - expected).max() < 5 * 40 * EPS / 2


def test_gaussian_sample_has_its_moments():
    rows = 40_000
    loc, log_var = np.float32([-3, 0, 5]), np.float32([-4, 0, 2])
    beta = np.repeat(np.float32([0.25, 1, 4, 1]), rows // 4).reshape(-1, 1)
    tensors = [be.float_tensor(x) for x in (loc, log_var, beta)]
    draws = arr(be.gaussian_sample(be.ones((rows, 3)), *tensors)).astype(float)
    z = (draws - 1 - loc) * np.sqrt(beta) * np.exp(-0.5 * log_var)
    for part in np.split(z, 4):
        assert np.all(np.abs(part.mean(axis=0)) < SIGMAS / np.sqrt(len(part)))
        assert np.all(np.abs(part.var(axis=0) - 1) < SIGMAS * np.sqrt(2 / len(part)))


def test_gaussian_sample_keeps_nan():
    field = be.float_tensor([[0.0, np.nan], [0.0, 0.0]])
    found = arr(be.gaussian_sample(field, be.zeros(2), be.float_tensor([np.nan, 0.0])))
    assert np.array_equal(np.isnan(found), [[True, True], [True, False]])


# ----------------------------------------------------------------- all of them, and their memory


def call(name, field, loc, out=None, beta=0.5):
    """One of them, from a fixed seed, with biases as log-variances too."""
    be.set_seed(2)
    extra = (loc,) if name == "gaussian_sample" else ()
    return getattr(be, name)(field, loc, *extra, beta=beta, out=out)


layers = pytest.mark.parametrize(
    "name",
    ["bernoulli_mean", "bernoulli_sample", "gaussian_sample", "onehot_mean", "onehot_sample"],
)


@layers
def test_output_may_be_given_and_may_be_the_field(name):
    _, (f, b, _) = layer()
    expected, before = arr(call(name, f, b)), arr(f).copy()
    out = be.zeros(be.shape(f))
    assert call(name, f, b, out=out) is out
    assert np.array_equal(arr(out), expected)
    assert np.array_equal(arr(f), before)
    assert call(name, f, b, out=f) is f
    assert np.array_equal(arr(f), expected)


@layers
def test_any_memory_layout_and_precision(name):
    _, (f, b, _) = layer()
    expected = arr(call(name, f, b))
    turned = be.transpose(be.copy_tensor(be.transpose(f)))
    out = be.transpose(be.zeros((37, 60)))
    assert np.array_equal(arr(call(name, turned, b)), expected)
    assert call(name, f, b, out=out) is out
    assert np.array_equal(arr(out), expected)
    strided = be.flatten(be.stack([b, b], axis=1))[::2]
    assert np.array_equal(arr(call(name, f, strided)), expected)
    double = be.from_numpy_array(arr(f).astype(np.float64))
    found = call(name, double, b)
    assert be.dtype(found) == be.Double
    assert np.abs(arr(found) - expected).max() < 100 * EPS


def test_logistic_in_double_precision():
    field = np.linspace(-40, 40, 12).reshape(3, 4)
    tensors = be.from_numpy_array(field), be.from_numpy_array(np.full(4, 0.1))
    found = arr(be.bernoulli_mean(*tensors, 0.7))
    assert np.abs(found - logistic(0.7 * (field + 0.1))).max() < 1e-15


@layers
def test_field_of_integers(name):
    field, loc = be.long_tensor([[-1, 0, 2]]), be.float_tensor([0.1, 0.2, 0.3])
    found = call(name, field, loc)
    assert be.dtype(found) == be.Float
    assert np.array_equal(arr(found), arr(call(name, be.cast_float(field), loc)))


@layers
def test_broadcast_field_is_read_and_not_written(name):
    _, (f, b, _) = layer()
    wide = be.broadcast(f[0:1], (60, 37))
    repeated = be.float_tensor(np.tile(arr(f)[:1], (60, 1)))
    assert np.array_equal(arr(call(name, wide, b)), arr(call(name, repeated, b)))


@layers
def test_empty_batch(name):
    assert be.shape(call(name, be.zeros((0, 3)), be.zeros(3))) == (0, 3)


@layers
def test_shapes_are_checked(name):
    field = be.zeros((4, 3))
    for loc, options in (
        (be.zeros(4), {}),
        (be.zeros((1, 3)), {}),
        (be.zeros(3), {"beta": be.ones((3, 1))}),
        (be.zeros(3), {"out": be.zeros((4, 4))}),
    ):
        with pytest.raises(ShapeError, match="got"):
            call(name, field, loc, **options)
    with pytest.raises(ShapeError, match="got"):
        call(name, be.zeros(3), be.zeros(3))


# ------------------------------------------------------------------------------------- moment_gap


def moments(data_rows, model_rows):
    shapes = ((data_rows, 9), (data_rows, 5), (model_rows, 9), (model_rows, 5))
    arrays = [normal(*shape) for shape in shapes]
    a, b, c, d = (x.astype(float) for x in arrays)
    return [be.float_tensor(x) for x in arrays], c.T @ d / model_rows - a.T @ b / data_rows


@pytest.mark.parametrize("data_rows, model_rows", [(100, 100), (100, 40), (1, 7)])
def test_moment_gap(data_rows, model_rows):
    tensors, expected = moments(data_rows, model_rows)
    tolerance = 20 * EPS  # sums of about 100 numbers of order one, averaged
    assert np.abs(arr(be.moment_gap(*tensors)) - expected).max() < tolerance
    out, scratch = be.ones((9, 5)) * np.nan, be.ones((9, 5)) * np.nan
    assert be.moment_gap(*tensors, out=out, scratch=scratch) is out
    assert np.abs(arr(out) - expected).max() < tolerance


def test_moment_gap_reads_and_writes_views():
    tensors, expected = moments(30, 20)
    views = [be.transpose(be.copy_tensor(be.transpose(x))) for x in tensors]
    out, scratch = be.transpose(be.zeros((5, 9))), be.transpose(be.zeros((5, 9)))
    assert be.moment_gap(*views, out=out, scratch=scratch) is out
    assert np.abs(arr(out) - expected).max() < 20 * EPS


def test_moment_gap_keeps_nan():
    tensors, _ = moments(10, 10)
    tensors[2][3, 4] = np.nan
    touched = np.isnan(arr(be.moment_gap(*tensors))).any(axis=1)
    assert np.flatnonzero(touched).tolist() == [4]


def test_moment_gap_checks_shapes():
    a, b = be.zeros((4, 3)), be.zeros((4, 2))
    for wrong in ((a, be.zeros((5, 2)), a, b), (a, b, b, b), (be.zeros(3), b, a, b)):
        with pytest.raises(ShapeError, match="moment_gap"):
            be.moment_gap(*wrong)
    with pytest.raises(ShapeError, match="moment_gap"):
        be.moment_gap(be.zeros((0, 3)), be.zeros((0, 2)), a, b)
    for shape in ((3, 1), (3, 5), (2, 2), (9, 2), (2, 3)):
        with pytest.raises(ShapeError, match="moment_gap got out"):
            be.moment_gap(a, b, a, b, out=be.zeros(shape))


def test_moment_gap_of_integers():
    rng = np.random.default_rng(8)
    a, b, c, d = (rng.integers(0, 3, shape) for shape in ((7, 9), (7, 5), (4, 9), (4, 5)))
    wanted = c.T @ d / 4 - a.T @ b / 7
    floats = be.float_tensor(b), be.float_tensor(d)
    for second in ((be.long_tensor(b), be.long_tensor(d)), floats):
        found = be.moment_gap(be.long_tensor(a), second[0], be.long_tensor(c), second[1])
        np.testing.assert_allclose(arr(found), wanted, atol=20 * EPS)


# -------------------------------------------------------------------------------- optimizer steps


def descent(p, g, lr):
    return [p - lr * g]


def momentum(p, g, v, lr, mu):
    v = mu * v + (1 - mu) * g
    return [p - lr * v, v]


def rmsprop(p, g, v, lr, decay, scale, epsilon):
    v = decay * v + (1 - decay) * g**2
    return [p - lr * g / np.sqrt(epsilon + scale * v), v]


def adam(p, g, m, v, lr, beta1, beta2, mean_scale, square_scale, epsilon):
    m, v = beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * g**2
    return [p - lr * mean_scale * m / np.sqrt(epsilon + square_scale * v), m, v]


# the plain formula, the number of slots, and the numbers after the learning rate
RULES = {
    "descent_step_": (descent, 0, ()),
    "momentum_step_": (momentum, 1, (0.8,)),
    "rmsprop_step_": (rmsprop, 1, (0.9, 10.0, 1e-7)),
    "adam_step_": (adam, 2, (0.9, 0.99, 10.0, 100.0, 1e-7)),
}
rules = pytest.mark.parametrize("name", RULES)


def slots_of(name, shape):
    """Parameter, gradient and slots; squares have to be positive."""
    rng = np.random.default_rng(3)
    arrays = [rng.normal(size=shape).astype(np.float32) for _ in range(2 + RULES[name][1])]
    return [*arrays[:-1], np.abs(arrays[-1])] if len(arrays) > 2 else arrays


def check(name, tensors, arrays, lr=0.01, tolerance=8 * EPS):
    """One step in place against the formula: param first, then the slots."""
    formula, _, numbers = RULES[name]
    expected = formula(*(x.astype(float) for x in arrays), 0.01, *numbers)
    assert getattr(be, name)(*tensors, lr, *numbers) is tensors[0]
    for tensor, right in zip([tensors[0], *tensors[2:]], expected, strict=True):
        # numbers of order one, few roundings
        assert np.abs(arr(tensor) - right).max() < tolerance * (1 + np.abs(right).max())
    assert np.array_equal(arr(tensors[1]), arrays[1])


@rules
@pytest.mark.parametrize("shape", [(1,), (13,), (78, 21), (3, 4, 5), (0, 2)])
def test_steps(name, shape):
    arrays = slots_of(name, shape)
    if 0 in shape:
        getattr(be, name)(*map(be.float_tensor, arrays), 0.01, *RULES[name][2])
    else:
        check(name, [be.float_tensor(x) for x in arrays], arrays)


@rules
def test_steps_take_a_rate_that_is_a_tensor(name):
    arrays = slots_of(name, (7, 6))
    check(name, [be.float_tensor(x) for x in arrays], arrays, lr=be.float_scalar(0.01))


@rules
def test_steps_in_any_memory_and_precision(name):
    arrays = slots_of(name, (7, 6))
    turned = [be.transpose(be.float_tensor(np.ascontiguousarray(x.T))) for x in arrays]
    check(name, turned, arrays)
    mixed = [be.float_tensor(arrays[0]), *turned[1:2], *map(be.float_tensor, arrays[2:])]
    check(name, mixed, arrays)
    double = [be.from_numpy_array(x.astype(np.float64)) for x in arrays]
    check(name, double, arrays, tolerance=2.0**-50)


@rules
def test_steps_keep_nan(name):
    arrays = slots_of(name, (40,))
    arrays[1][[3, 17]] = np.nan
    tensors = [be.float_tensor(x) for x in arrays]
    getattr(be, name)(*tensors, 0.01, *RULES[name][2])
    for tensor in (tensors[0], *tensors[2:]):
        assert np.flatnonzero(np.isnan(arr(tensor))).tolist() == [3, 17]


@rules
def test_steps_check_shapes(name):
    tensors = [be.float_tensor(x) for x in slots_of(name, (4, 3))]
    tensors[1] = be.zeros((4, 2))
    with pytest.raises(ShapeError, match="got"):
        getattr(be, name)(*tensors, 0.01, *RULES[name][2])


# -------------------------------------------------------------------------------------------- GPU
#
# What runs on the GPU is plain PyTorch: its formulas are tested on the CPU too, where any machine
# can, and everything else on the device itself.


@pytest.fixture
def gpu_formulas(monkeypatch):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    from paysage.backends.pytorch_backend import gpu

    be.set_backend("pytorch", "cpu")
    generator = torch.Generator().manual_seed(137)
    monkeypatch.setattr(gpu, "gpu_generator", lambda: generator)
    yield gpu
    be.set_backend("python", "cpu")


@pytest.mark.backend_free
@pytest.mark.parametrize("kind", BETAS)
def test_gpu_formulas_of_layers(gpu_formulas, kind):
    (_, _, column), (f, b, _) = layer()
    beta, _ = BETAS[kind](column)
    mean = arr(be.bernoulli_mean(f, b, beta))
    assert np.abs(arr(gpu_formulas.bernoulli_mean(f, b, beta, None)) - mean).max() < 100 * EPS
    # 2220 draws and normal numbers, standardized
    draws = arr(gpu_formulas.bernoulli_sample(f, b, beta, None))
    assert set(np.unique(draws)) == {0.0, 1.0} and not np.signbit(draws).any()
    assert abs((draws - mean).sum()) < SIGMAS * np.sqrt((mean * (1 - mean)).sum())
    factor = 1 if beta is None else arr(beta) if kind == "column" else beta
    draws = arr(gpu_formulas.gaussian_sample(f, b, b, beta, None))
    z = (draws - arr(f) - arr(b)) * np.sqrt(factor / np.exp(arr(b)))
    assert abs(z.mean()) < SIGMAS / np.sqrt(z.size)
    assert abs(z.var() - 1) < SIGMAS * np.sqrt(2 / z.size)


@pytest.mark.backend_free
def test_gpu_formulas_keep_nan_and_know_certainty(gpu_formulas):
    field = be.float_tensor([[-np.inf, -100, 100, np.inf, np.nan]] * 1000)
    draws = arr(gpu_formulas.bernoulli_sample(field, be.zeros(5), None, None))
    assert np.array_equal(draws, [[0, 0, 1, 1, np.nan]] * 1000, equal_nan=True)


@pytest.mark.backend_free
@rules
@pytest.mark.parametrize("tensor_rate", [False, True])
def test_gpu_formulas_of_steps(gpu_path, name, tensor_rate):
    rate, numbers = be.float_scalar(0.01) if tensor_rate else 0.01, RULES[name][2]
    arrays, others = slots_of(name, (7, 6)), slots_of(name, (5,))
    check(name, list(map(be.float_tensor, arrays)), arrays, lr=rate, tolerance=40 * EPS)
    lists = [list(map(be.float_tensor, pair)) for pair in zip(arrays, others, strict=True)]
    assert getattr(be, name)(*lists, rate, *numbers) is lists[0]
    for k, start in enumerate((arrays, others)):
        expected = RULES[name][0](*(x.astype(float) for x in start), 0.01, *numbers)
        found = [lists[0][k], *(slot[k] for slot in lists[2:])]
        for tensor, right in zip(found, expected, strict=True):
            assert np.abs(arr(tensor) - right).max() < 40 * EPS


@pytest.mark.backend_free
def test_gpu_formulas_of_the_beta_process(gpu_formulas):
    n, momentum, std = 50_000, 0.9, 0.6
    before = gpu_formulas.gamma_start(n, std)
    after = gpu_formulas.gamma_step_(be.copy_tensor(before), momentum, std)
    products = (arr(before).astype(float) - 1) * (arr(after).astype(float) - 1) / std**2
    assert abs(products.mean() - momentum) < SIGMAS * products.std() / np.sqrt(n)
    for x in (arr(before).astype(float), arr(after).astype(float)):
        assert abs(x.mean() - 1) < SIGMAS * std / np.sqrt(n)
        assert abs(x.var() - std**2) < SIGMAS * std**2 * np.sqrt((2 + 6 * std**2) / n)
    assert np.array_equal(arr(gpu_formulas.gamma_start(2, 0)), [[1], [1]])
    assert np.array_equal(arr(gpu_formulas.gamma_step_(before, momentum, 0)), np.ones((n, 1)))


@pytest.mark.gpu
@pytest.mark.backend_free
@pytest.mark.parametrize("kind", BETAS)
def test_gpu_layers(on_gpu, kind):
    test_logistic_is_accurate()
    test_logistic_at_its_ends()
    test_bernoulli_mean(kind)
    test_bernoulli_sample_compares_a_uniform_number_with_the_mean(kind)
    test_bernoulli_sample_has_the_mean()
    test_bernoulli_sample_at_its_ends()
    test_gaussian_sample_scales_and_shifts_normal_numbers(kind)
    test_gaussian_sample_has_its_moments()
    test_gaussian_sample_keeps_nan()


@pytest.mark.gpu
@pytest.mark.backend_free
@pytest.mark.parametrize("name", RULES)
def test_gpu_steps(on_gpu, name):
    test_steps(name, (78, 21))
    test_steps_take_a_rate_that_is_a_tensor(name)
    test_steps_keep_nan(name)
    test_moment_gap(100, 40)


@pytest.mark.gpu
@pytest.mark.backend_free
@layers
def test_gpu_outputs(on_gpu, name):
    test_output_may_be_given_and_may_be_the_field(name)
