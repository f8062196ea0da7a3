"""Parallel tempering, held to the exact distribution at each temperature."""

import numpy as np
import pytest
import stationarity
from machines import array, arrays, build, pair, random_state

from paysage import backends as be
from paysage.errors import ConfigError, ShapeError
from paysage.models import State
from paysage.samplers import ParallelTempering, SequentialMC
from paysage.testing import ExactMachine

BETAS = np.array([1.0, 0.6, 0.3])


def at_equilibrium(model, chains, betas=BETAS):
    """A sampler whose replicas are exact draws at their own temperatures."""
    sampler = ParallelTempering(model, betas=betas)
    rng = np.random.default_rng(3)
    drawn = [ExactMachine(model, b).draw(chains, rng) for b in betas]
    sampler.set_state(drawn[0])
    for units, parts in zip(sampler._all(), zip(*drawn, strict=True), strict=True):
        units[:] = be.vstack(list(parts))
    return sampler


@pytest.mark.parametrize("kinds", ["BB", "BO", "BG"])
def test_every_temperature_stays_at_its_exact_distribution(kinds):
    model = pair(kinds)
    sampler = at_equilibrium(model, 10000)
    sampler.update_state(5)
    assert 0.2 < sampler.swap_rates().min() < 1
    for k, beta in enumerate(BETAS):
        exact = ExactMachine(model, beta)
        position = exact.index(sampler.get_rung(k))
        assert stationarity.chi_square(position, exact.probabilities) > 1e-4


def two_modes():
    """Units that are all on or all off, with little in between."""
    model = build("BB", (6, 6), scale=0.0)
    model.connections[0].weights.params.matrix[:] = 3.0
    for layer in model.layers:
        layer.params.loc[:] = -9.0
    return model


def share_of_the_upper_mode(state):
    return np.mean(array(state[0]).mean(axis=1) > 0.5)


def test_replicas_carry_chains_from_one_mode_to_the_other():
    model = two_modes()
    exact = ExactMachine(model)
    wanted = exact.expectation(np.mean(array(exact.states[0]), axis=1) > 0.5)
    start = State([be.zeros((400, 6)), be.zeros((400, 6))])
    plain = SequentialMC(model, beta_std=0.0)
    plain.set_state(start)
    plain.update_state(300)
    assert share_of_the_upper_mode(plain.state) < 0.01  # alone they never leave
    sampler = ParallelTempering(model, betas=10)
    sampler.set_state(start)
    sampler.update_state(300)
    # a share of 400 chains: standard error 0.025
    assert abs(share_of_the_upper_mode(sampler.state) - wanted) < 5 * 0.025


def test_the_ladder_is_placed_by_its_rates():
    model = build("BB", (8, 6), seed=1, scale=3.0)
    sampler = ParallelTempering.from_model(model, 200, betas=[1.0, 0.95, 0.1])
    sampler.tune(target=0.6, sweeps=100)
    assert sampler.betas[0] == 1
    assert sampler.betas[-1] == pytest.approx(0.1)
    assert (np.diff(sampler.betas) < 0).all()
    sampler.update_state(200)
    # the number of rungs is a whole one: rates may only lie above the target, but for noise of
    # 0.01 (20,000 tries, and as many in each round of tuning); a rung less would give 0.52
    assert 0.57 < sampler.swap_rates().min() <= sampler.swap_rates().max() < 0.68


def test_rungs_of_a_new_ladder_start_from_the_nearest_of_the_old_one():
    model = pair("BB")
    sampler = at_equilibrium(model, 20)
    before = [arrays(sampler.get_rung(k)) for k in range(3)]
    sampler._replace(np.array([1.0, 0.9, 0.5, 0.3]))
    for k, old in enumerate([0, 0, 1, 2]):
        for a, b in zip(arrays(sampler.get_rung(k)), before[old], strict=True):
            np.testing.assert_array_equal(a, b)


def test_two_temperatures_exchange_in_every_other_step():
    sampler = ParallelTempering.from_model(pair("BB"), 50, betas=[1.0, 0.5])
    sampler.update_state(4)
    assert sampler._tried.tolist() == [100]


def test_exchanges_move_whole_states():
    """A row at one temperature is a row of the replicas, and each replica is at one temperature."""
    sampler = ParallelTempering.from_model(pair("BB"), 50, betas=4)
    sampler.update_state(5)
    assert sorted(sampler._rows.reshape(-1)) == list(range(200))
    for chain in range(50):
        assert set(sampler._rows[:, chain] % 50) == {chain}


def test_clamped_layers_stay():
    model = pair("BB")
    start = random_state(model, 20)
    sampler = ParallelTempering(model, betas=3, clamped=[0])
    sampler.set_state(start)
    sampler.update_state(5)
    np.testing.assert_array_equal(array(sampler.state[0]), array(start[0]))


def test_the_given_state_is_left_alone_and_the_state_given_is_a_copy():
    model = pair("BB")
    start = random_state(model, 20)
    before = arrays(start)
    sampler = ParallelTempering(model, betas=3)
    sampler.set_state(start)
    kept = sampler.get_state()
    as_it_was = arrays(kept)
    sampler.update_state(5)
    for a, b, c, d in zip(arrays(start), before, arrays(kept), as_it_was, strict=True):
        np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(c, d)


def test_the_same_seed_gives_the_same_chains():
    found = []
    for _ in range(2):
        be.set_seed(5)
        sampler = ParallelTempering.from_model(pair("BB"), 20, betas=3)
        sampler.update_state(10)
        found.append(arrays(sampler.state))
    for a, b in zip(*found, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    "betas",
    [1, None, [1.0], [0.9, 0.5], [1.0, 0.0], [1.0, 0.5, 0.5], [1.0, 2.0], ["1", "hot"], [[1.0], 2]],
    ids=str,
)
def test_ladders_that_cannot_be_meant_are_refused(betas):
    with pytest.raises(ConfigError, match="betas"):
        ParallelTempering(pair("BB"), betas=betas)


def test_a_sampler_without_a_state_says_so():
    sampler = ParallelTempering(pair("BB"))
    for call in (sampler.get_state, sampler.update_state, sampler.tune):
        with pytest.raises(ConfigError, match="set_state"):
            call()
    with pytest.raises(ShapeError):
        sampler.set_state(random_state(build("BB", (5, 3)), 2))


@pytest.mark.parametrize("target", [0.0, 1.0, "half", float("nan")])
def test_rates_that_cannot_be_meant_are_refused(target):
    with pytest.raises(ConfigError, match="target"):
        ParallelTempering.from_model(pair("BB"), 5).tune(target)
