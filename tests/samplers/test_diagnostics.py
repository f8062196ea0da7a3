"""Autocorrelation times against processes with known ones."""

import numpy as np
import pytest

from paysage.errors import DataError, ShapeError
from paysage.samplers.diagnostics import autocorrelation, integrated_autocorrelation_time

pytestmark = pytest.mark.backend_free


def autoregressive(phi, steps, chains, seed=1):
    rng = np.random.default_rng(seed)
    x = np.empty((steps, chains))
    x[0] = rng.normal(size=chains) / np.sqrt(1 - phi**2)
    for t in range(1, steps):
        x[t] = phi * x[t - 1] + rng.normal(size=chains)
    return x


@pytest.mark.parametrize("phi", [0.0, 0.5, 0.9])
def test_the_time_of_an_autoregressive_process(phi):
    time = (1 + phi) / (1 - phi)
    found = integrated_autocorrelation_time(autoregressive(phi, 8000, 50))
    # relative deviation sqrt(2 (2 window + 1) time / steps), Madras & Sokal 1988; 5 sigma
    assert abs(found / time - 1) < 5 * np.sqrt(22 * time / 400_000) + np.exp(-5)


def test_one_chain_may_be_a_vector():
    x = autoregressive(0.5, 1000, 1)
    assert integrated_autocorrelation_time(x) == integrated_autocorrelation_time(x[:, 0])


@pytest.mark.parametrize("unit", [1e200, 1e-200])
def test_the_unit_of_a_series_does_not_matter(unit):
    x = autoregressive(0.5, 1000, 1)
    found = integrated_autocorrelation_time(x * unit)
    assert found == pytest.approx(integrated_autocorrelation_time(x), rel=1e-9)


def test_the_autocorrelation_is_the_sum_of_products():
    x = autoregressive(0.7, 50, 3)
    y = x - x.mean()
    wanted = [np.sum(y[: 50 - t] * y[t:]) for t in range(50)]
    np.testing.assert_allclose(autocorrelation(x), np.array(wanted) / wanted[0], atol=1e-12)


@pytest.mark.parametrize("bad", [np.zeros((1, 3)), np.zeros((2, 2, 2))])
def test_shapes_that_are_no_series(bad):
    with pytest.raises(ShapeError):
        integrated_autocorrelation_time(bad)


@pytest.mark.parametrize("bad", [np.ones((5, 2)), np.array([1.0, np.nan, 2.0])])
def test_series_without_a_time(bad):
    with pytest.raises(DataError):
        integrated_autocorrelation_time(bad)
