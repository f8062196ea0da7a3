"""Tempered transitions, held to the exact distribution."""

import numpy as np
import pytest
import stationarity
from machines import array, arrays, build, pair, random_state, skip

from paysage import backends as be
from paysage.errors import ConfigError, ShapeError
from paysage.models import State
from paysage.samplers import SequentialMC, TemperedTransitions
from paysage.testing import ExactMachine

MACHINES = {
    "BB": lambda: build("BB", (4, 3), seed=1, scale=2.0),
    "BO": lambda: pair("BO"),
    "BG": lambda: pair("BG"),
    "BB centered": lambda: pair("BB", center=True),
    "BBB": lambda: build("BBB", (4, 4, 3), seed=2, scale=1.5),
    "a ring of three": lambda: skip(scale=1.5),
}


@pytest.mark.parametrize("name", MACHINES)
def test_chains_at_the_exact_distribution_stay_there(name):
    model = MACHINES[name]()
    exact = ExactMachine(model)
    sampler = TemperedTransitions(model, betas=[1.0, 0.6, 0.3])
    sampler.set_state(exact.draw(20000, np.random.default_rng(3)))
    sampler.update_state(5)
    assert 0.1 < sampler.acceptance_rate() < 0.999
    position = exact.index(sampler.state)
    assert stationarity.chi_square(position, exact.probabilities) > 1e-4


@pytest.mark.parametrize("name", MACHINES)
def test_walks_by_themselves_leave_the_distribution_as_it_is(name):
    """Without sweeps between, which would hide a walk down that is not the reversal of one up."""
    model = MACHINES[name]()
    exact = ExactMachine(model)
    sampler = TemperedTransitions(model, betas=[1.0, 0.5, 0.2])
    sampler.set_state(exact.draw(50000, np.random.default_rng(3)))
    for _ in range(8):
        sampler._walk(sampler.state, [])
    position = exact.index(sampler.state)
    assert stationarity.chi_square(position, exact.probabilities) > 1e-4


@pytest.mark.parametrize("name", ["BB", "BO", "BBB"])
def test_chains_from_anywhere_arrive_at_it(name):
    model = MACHINES[name]()
    exact = ExactMachine(model)
    chains = 10000
    sampler = TemperedTransitions.from_model(model, chains, betas=6)
    sampler.update_state(20)
    found = np.bincount(exact.index(sampler.state), minlength=len(exact.probabilities)) / chains
    distance = 0.5 * np.abs(found - exact.probabilities).sum()
    # of exact draws half the sum of mean deviations, sqrt(2 p / (pi n)) each, is expected; the sum
    # concentrates (McDiarmid: beyond 4 / sqrt(2 n) = 0.03 more with probability 1e-7)
    expected = 0.5 * np.sqrt(2 * exact.probabilities / (np.pi * chains)).sum()
    assert distance < expected + 0.03


def test_walks_carry_chains_from_one_mode_to_the_other():
    model = build("BB", (6, 6), scale=0.0)
    model.connections[0].weights.params.matrix[:] = 3.0
    for layer in model.layers:
        layer.params.loc[:] = -9.0
    start = State([be.zeros((400, 6)), be.zeros((400, 6))])
    shares = []
    for sampler in (
        SequentialMC(model, clamped=(), beta_std=0.0),
        TemperedTransitions(model, betas=np.geomspace(1.0, 0.05, 60)),
    ):
        sampler.set_state(start)
        sampler.update_state(40)
        shares.append(np.mean(array(sampler.state[0]).mean(axis=1) > 0.5))
    assert shares[0] < 0.01  # alone they never leave
    # both modes are alike; a share of 400 chains has a standard error of 0.025
    assert abs(shares[1] - 0.5) < 5 * 0.025
    assert 0.1 < sampler.acceptance_rate() < 1


def test_a_finer_ladder_is_taken_more_often():
    model = MACHINES["BB"]()
    rates = []
    for number in (2, 5, 40):
        sampler = TemperedTransitions.from_model(model, 500, betas=number)
        sampler.update_state(10)
        sampler.forget_rates()
        sampler.update_state(10)
        rates.append(sampler.acceptance_rate())
    assert rates[0] < rates[1] < rates[2]


def test_clamped_layers_stay():
    model = pair("BB")
    start = random_state(model, 20)
    sampler = TemperedTransitions(model, betas=3, clamped=[0])
    sampler.set_state(start)
    sampler.update_state(5)
    np.testing.assert_array_equal(array(sampler.state[0]), array(start[0]))
    assert sampler.acceptance_rate() > 0


def test_the_given_state_is_left_alone():
    model = pair("BB")
    start = random_state(model, 20)
    before = arrays(start)
    sampler = TemperedTransitions(model, mcsteps=2, betas=3)
    sampler.set_state(start)
    sampler.update_state()
    assert sampler._tried == 40
    for a, b in zip(arrays(start), before, strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_same_seed_gives_the_same_chains():
    found = []
    for _ in range(2):
        be.set_seed(5)
        found.append(arrays(TemperedTransitions.generate_fantasy_state(pair("BB"), 20, 10)))
    for a, b in zip(*found, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("betas", [1, None, [0.9, 0.5], [1.0, 0.0], [1.0, 2.0], "hot"], ids=str)
def test_ladders_that_cannot_be_meant_are_refused(betas):
    with pytest.raises(ConfigError, match="betas"):
        TemperedTransitions(pair("BB"), betas=betas)


def test_what_cannot_be_meant_is_named():
    model = pair("BB")
    sampler = TemperedTransitions(model)
    for call in (sampler.get_state, sampler.update_state):
        with pytest.raises(ConfigError, match="set_state"):
            call()
    with pytest.raises(ShapeError):
        sampler.set_state(random_state(build("BB", (5, 3)), 2))
    for wrong in ({"mcsteps": -1}, {"clamped": [2]}, {"clamped": 0}):
        with pytest.raises(ConfigError):
            TemperedTransitions(model, **wrong)
    with pytest.raises(ConfigError, match="BoltzmannMachine"):
        TemperedTransitions("rbm")
    sampler = TemperedTransitions.from_model(model, 5)
    with pytest.raises(ConfigError, match="steps"):
        sampler.update_state(1.5)
