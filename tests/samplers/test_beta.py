"""The autoregressive Gamma process: its stationary law and its memory."""

import numpy as np
import pytest
from machines import array
from scipy import stats

from paysage import backends as be
from paysage.errors import ConfigError
from paysage.samplers import AutoregressiveGammaSampler

CHAINS, STEPS = 2000, 200
SIGMAS = 5.0
SETTINGS = [(0.9, 0.6), (0.5, 0.3), (0.0, 1.0), (0.9, 2.0)]


def history(momentum, std, chains=CHAINS, steps=STEPS):
    """Inverse temperatures (steps, chains), the start included."""
    sampler = AutoregressiveGammaSampler(beta_momentum=momentum, beta_std=std)
    sampler.set_beta(chains)
    rows = [array(sampler.get_beta())[:, 0]]
    for _ in range(steps - 1):
        sampler.update_beta(chains)
        rows.append(array(sampler.get_beta())[:, 0])
    return np.array(rows)


@pytest.mark.parametrize("momentum, std", SETTINGS)
def test_mean_deviation_and_autocorrelation(momentum, std):
    values = history(momentum, std)
    # averages of numbers with the autocorrelation phi^k are worth (1 - phi)/(1 + phi) each
    effective = values.size * (1 - momentum) / (1 + momentum)
    assert abs(values.mean() - 1) < SIGMAS * std / np.sqrt(effective)
    away = values - 1
    for lag in (0, 1, 2, 5):
        # chains are independent: the spread of their own averages says how wrong the mean can be
        each = (away[lag:] * away[: STEPS - lag]).mean(axis=0)
        error = each.std() / np.sqrt(CHAINS)
        assert abs(each.mean() - std**2 * momentum**lag) < SIGMAS * error


@pytest.mark.parametrize("momentum, std", SETTINGS)
@pytest.mark.parametrize("steps", [1, 30])
def test_the_law_is_gamma_at_the_start_and_later(momentum, std, steps):
    last = history(momentum, std, chains=5000, steps=steps)[-1]
    law = stats.gamma(1 / std**2, scale=std**2)
    # two-sided p-value of the greatest distance; the seed is fixed
    assert stats.kstest(last, law.cdf).pvalue > 1e-5
    assert last.min() >= 0


def test_the_law_of_a_step_given_the_present_is_not_that_of_a_fresh_draw():
    values = history(0.9, 0.6)
    high = values[0] > 1.5
    # the conditional mean is 1 + phi (beta - 1)
    wanted = 1 + 0.9 * (values[0][high] - 1)
    gap = values[1][high] - wanted
    assert abs(gap.mean()) < SIGMAS * gap.std() / np.sqrt(high.sum())
    assert values[1][high].mean() > 1.3


def test_chains_are_independent():
    values = history(0.9, 0.6, chains=400, steps=2)[-1] - 1
    for lag in (1, 2):
        product = values[lag:] * values[:-lag]
        assert abs(product.mean()) < SIGMAS * product.std() / np.sqrt(len(product))


def test_without_spread_the_inverse_temperature_is_one():
    sampler = AutoregressiveGammaSampler(beta_std=0.0)
    sampler.set_beta(5)
    sampler.update_beta(5)
    beta = sampler.get_beta()
    assert beta is None or np.array_equal(array(beta), np.ones((5, 1)))


def test_shape_and_seed():
    sampler = AutoregressiveGammaSampler()
    sampler.set_beta(7)
    assert tuple(be.shape(sampler.get_beta())) == (7, 1)
    be.set_seed(3)
    first = history(0.9, 0.6, chains=10, steps=5)
    be.set_seed(3)
    np.testing.assert_array_equal(history(0.9, 0.6, chains=10, steps=5), first)


@pytest.mark.parametrize(
    "setting",
    [
        {"beta_momentum": 1.0},
        {"beta_momentum": -0.1},
        {"beta_momentum": np.nan},
        {"beta_std": -0.1},
        {"beta_std": None},
        {"beta_momentum": "0.9"},
        {"beta_std": np.nan},
        {"beta_std": np.inf},
        {"beta_std": 1e200},
        {"beta_std": 1e-200},
    ],
)
def test_impossible_settings(setting):
    with pytest.raises(ConfigError, match=next(iter(setting))):
        AutoregressiveGammaSampler(**setting)
