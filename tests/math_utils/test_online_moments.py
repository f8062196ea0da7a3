"""Moments of batches against those of all data together in double precision."""

import numpy as np
import pytest

from paysage import backends as be
from paysage import math_utils, storage
from paysage.errors import ConfigError, DataError, ShapeError

NAMES = (
    "MeanCalculator",
    "MeanArrayCalculator",
    "MeanVarianceCalculator",
    "MeanVarianceArrayCalculator",
)


@pytest.fixture(params=NAMES)
def calculator(request):
    return getattr(math_utils, request.param)()


def make(rows=500, columns=7, offset=0.0, seed=2):
    rng = np.random.default_rng(seed)
    spread = np.linspace(0.1, 3.0, columns)
    return (offset + spread * rng.normal(size=(rows, columns))).astype(np.float32)


def batches(data):
    """Batches of uneven lengths, one of them empty."""
    return np.split(data, [1, 1, 60, 61, 300])


def fed(calculator, data):
    for batch in batches(data):
        calculator.update(be.float_tensor(batch))
    return calculator


def moments(calculator, data):
    data = data.astype(np.float64)
    axis = 0 if "Array" in type(calculator).__name__ else None
    return data.mean(axis=axis), data.var(axis=axis)


def number(value):
    return be.to_numpy_array(value)


@pytest.mark.parametrize("offset", [0.0, 1e3])
def test_batches_give_the_moments_of_all(calculator, offset):
    """Sums in double precision: what is left is the rounding of a tensor result, 6e-8 of it."""
    data = make(offset=offset)
    fed(calculator, data)
    mean, var = moments(calculator, data)
    np.testing.assert_allclose(number(calculator.mean), mean, rtol=1e-7, atol=1e-9)
    if hasattr(calculator, "var"):
        np.testing.assert_allclose(number(calculator.var), var, rtol=1e-7)
        np.testing.assert_allclose(number(calculator.std), np.sqrt(var), rtol=1e-7)


def test_results_are_floats_or_tensors(calculator):
    fed(calculator, make())
    if "Array" in type(calculator).__name__:
        assert be.is_tensor(calculator.mean)
        assert be.shape(calculator.mean) == (7,)
    else:
        assert type(calculator.mean) is float


def test_many_small_batches_do_not_drift():
    """10000 numbers around 1e6 with unit variance, one at a time; the naive sum of squares in
    single precision would have an error of order 1e5 in the variance, in double of order 1e-3.
    """
    values = 1e6 + np.random.default_rng(4).normal(size=10_000)
    calculator = math_utils.MeanVarianceCalculator()
    for value in values:
        calculator.update([value])
    assert calculator.mean == pytest.approx(values.mean(), rel=1e-14)
    assert calculator.var == pytest.approx(values.var(), rel=1e-8)


def test_the_batch_is_not_kept(calculator):
    data = be.float_tensor(make())
    calculator.update(data)
    before = number(calculator.mean).copy()
    data[:] = 0.0
    np.testing.assert_array_equal(number(calculator.mean), before)


def test_reset(calculator):
    fed(calculator, make(seed=8) + 5)
    calculator.reset()
    assert calculator.num == 0
    data = make()
    fed(calculator, data)
    np.testing.assert_allclose(
        number(calculator.mean), moments(calculator, data)[0], rtol=1e-7, atol=1e-9
    )


def test_nothing_seen_yet(calculator):
    for name in ("mean", "var", "std"):
        if hasattr(type(calculator), name):
            with pytest.raises(DataError, match="seen no data"):
                getattr(calculator, name)


def test_it_goes_on_after_storing(calculator, tmp_path):
    data = make()
    fed(calculator, data[:200])
    storage.write_tree(tmp_path / "m.h5", calculator.get_config(), kind="moments")
    config = storage.read_tree(tmp_path / "m.h5", kind="moments")
    again = type(calculator).from_config(config)
    for each in (calculator, again):
        fed(each, data[200:])
    np.testing.assert_array_equal(number(again.mean), number(calculator.mean))
    if hasattr(again, "var"):
        np.testing.assert_array_equal(number(again.var), number(calculator.var))
    assert again.num == calculator.num


def test_a_fresh_one_can_be_stored(calculator, tmp_path):
    storage.write_tree(tmp_path / "m.h5", calculator.get_config())
    again = type(calculator).from_config(storage.read_tree(tmp_path / "m.h5"))
    again.update(be.float_tensor(make()))
    assert again.num > 0


def test_what_is_taken_from_the_config_is_a_copy():
    calculator = math_utils.MeanArrayCalculator()
    calculator.update(be.ones((2, 3)))
    config = calculator.get_config()
    config["mean"][:] = 9.0
    np.testing.assert_array_equal(number(calculator.mean), np.ones(3))


@pytest.mark.parametrize("name", ["MeanArrayCalculator", "MeanVarianceArrayCalculator"])
def test_rows_of_another_length_are_refused(name):
    calculator = getattr(math_utils, name)()
    calculator.update(be.ones((2, 3)))
    with pytest.raises(ShapeError, match=r"\(2, 4\).*each of shape \(3,\)"):
        calculator.update(be.ones((2, 4)))


@pytest.mark.backend_free
def test_the_state_of_another_class_is_refused():
    config = math_utils.MeanCalculator().get_config()
    with pytest.raises(ConfigError, match="state of a 'MeanCalculator'"):
        math_utils.MeanVarianceCalculator.from_config(config)


@pytest.mark.parametrize("offset", [0.0, 1e3])
def test_covariances_of_batches(offset):
    """In double precision throughout."""
    data = make(columns=3, offset=offset)
    calculator = fed(math_utils.MeanCovarianceArrayCalculator(), data)
    expected = np.cov(data.astype(np.float64), rowvar=False, bias=True)
    np.testing.assert_allclose(number(calculator.cov), expected, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(number(calculator.mean), data.astype(np.float64).mean(axis=0))
    assert be.dtype(calculator.cov) == be.dtype(calculator.mean) == be.Double


def test_covariances_go_on_after_storing(tmp_path):
    data = make(columns=3)
    calculator = fed(math_utils.MeanCovarianceArrayCalculator(), data[:200])
    storage.write_tree(tmp_path / "m.h5", calculator.get_config())
    config = storage.read_tree(tmp_path / "m.h5")
    again = math_utils.MeanCovarianceArrayCalculator.from_config(config)
    for each in (calculator, again):
        fed(each, data[200:])
    np.testing.assert_array_equal(number(again.cov), number(calculator.cov))
    with pytest.raises(DataError, match="seen no data"):
        _ = math_utils.MeanCovarianceArrayCalculator().cov


@pytest.mark.parametrize("name", ["MeanArrayCalculator", "MeanVarianceArrayCalculator"])
def test_samples_may_lie_along_another_axis(name):
    data = make()
    rows, columns = getattr(math_utils, name)(), getattr(math_utils, name)()
    rows.update(be.float_tensor(data), axis=0)
    columns.update(be.float_tensor(data.T), axis=1)
    assert columns.num == len(data)
    np.testing.assert_array_equal(number(columns.mean), number(rows.mean))
    for axis in (2, "rows"):
        with pytest.raises(ShapeError, match=rf"axis={axis!r} for a batch of shape \(7, 500\)"):
            columns.update(data.T, axis=axis)
    assert columns.num == len(data)


def test_a_dataframe_holds_the_moments():
    pytest.importorskip("pandas")
    data = make()
    calculator = fed(math_utils.MeanVarianceArrayCalculator(), data[:200])
    frame = calculator.to_dataframe()
    doubled = data[:200].astype(np.float64)
    np.testing.assert_allclose(frame["mean"], doubled.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(frame["var"], doubled.var(axis=0), rtol=1e-12)
    assert (frame["num"] == 200).all()
    again = math_utils.MeanVarianceArrayCalculator.from_dataframe(frame)
    for each in (calculator, again):
        fed(each, data[200:])
    np.testing.assert_array_equal(number(again.var), number(calculator.var))
    np.testing.assert_array_equal(number(again.mean), number(calculator.mean))


def test_dataframes_that_cannot_be_made_or_read():
    pandas = pytest.importorskip("pandas")
    calculator = math_utils.MeanVarianceArrayCalculator()
    with pytest.raises(DataError, match="seen no data"):
        calculator.to_dataframe()
    calculator.update(np.ones((2, 3, 4)))
    with pytest.raises(ShapeError, match=r"samples of shape \(n,\), got \(3, 4\)"):
        calculator.to_dataframe()
    with pytest.raises(ConfigError, match="mean"):
        calculator.from_dataframe(pandas.DataFrame({"num": [1]}))
