"""Chains: where they start, how they move, what they leave alone."""

import numpy as np
import pytest
import stationarity
from machines import array, arrays, build, pair, random_state, skip, twin

from paysage import backends as be
from paysage import schedules
from paysage.batch import in_memory_batch
from paysage.errors import ConfigError, ShapeError
from paysage.models import State
from paysage.samplers import SequentialMC
from paysage.testing import ExactMachine


def test_fantasy_particles_have_the_exact_distribution():
    model = build("BB", (6, 5), seed=1, scale=0.4)
    # the second eigenvalue of a sweep of this machine is 0.09: after 10 sweeps nothing is left
    state = SequentialMC.generate_fantasy_state(model, 10000, 10, beta_std=0.0)
    position = ExactMachine(model).index(state)
    assert stationarity.chi_square(position, twin(model).probabilities()) > 1e-4


def test_new_chains_start_in_the_layers_own_distributions():
    model = build("BB", (6, 5), scale=3.0)
    state = SequentialMC.from_model(model, 20000).state
    for layer, units in zip(model.layers, arrays(state), strict=True):
        p = 1 / (1 + np.exp(-array(layer.params.loc)))
        z = (units.mean(axis=0) - p) / np.sqrt(p * (1 - p) / 20000)
        assert np.abs(z).max() < 5  # of eleven numbers, at 5 sigma


def test_starts():
    model = skip()
    data = np.random.default_rng(0).integers(0, 2, (40, 4)).astype(np.float32)
    batch = in_memory_batch(data, 8, train_fraction=0.5, shuffle=False)
    batch.get("train")
    from_batch = SequentialMC.from_batch(model, batch).state
    np.testing.assert_array_equal(array(from_batch[0]), data[:8])
    np.testing.assert_array_equal(array(batch.get("train")), data[8:16])
    visible = be.float_tensor(data[:5])
    be.set_seed(1)
    from_visible = SequentialMC.from_visible(model, visible).state
    be.set_seed(1)
    for a, b in zip(arrays(from_visible), arrays(State.from_visible(visible, model)), strict=True):
        np.testing.assert_array_equal(a, b)


def test_moving_the_chains_leaves_the_data_and_the_given_state_alone():
    model = skip()
    visible = be.float_tensor(np.full((30, 4), 0.5))
    sampler = SequentialMC.from_visible(model, visible)
    sampler.update_state(3)
    assert array(visible).min() == array(visible).max() == 0.5
    for _ in range(2):  # the first time the sampler makes its state, later it writes into it
        start = random_state(model, 30)
        before = arrays(start)
        sampler.set_state(start)
        sampler.update_state(3)
        for a, b in zip(arrays(start), before, strict=True):
            np.testing.assert_array_equal(a, b)


def test_set_state_starts_there_whatever_the_number_of_rows():
    model = skip()
    sampler = SequentialMC.from_model(model, 6)
    for rows in (6, 3, 9):
        start = random_state(model, rows, seed=rows)
        sampler.set_state(start)
        for a, b in zip(arrays(sampler.state), arrays(start), strict=True):
            np.testing.assert_array_equal(a, b)
        assert tuple(be.shape(sampler.beta_sampler.get_beta())) == (rows, 1)
        sampler.update_state()


def recorded(model, monkeypatch):
    """The beta of every sweep."""
    betas = []
    proper = model.sweeps.update

    def update(state, i, hook, beta=None):
        if i == 1:
            betas.append(None if beta is None else array(beta) if be.is_tensor(beta) else beta)
        proper(state, i, hook, beta)

    monkeypatch.setattr(model.sweeps, "update", update)
    return betas


def test_each_sweep_has_its_own_beta_and_each_chain_too(monkeypatch):
    model = pair("BB")
    betas = recorded(model, monkeypatch)
    SequentialMC.from_model(model, 50, mcsteps=3, beta_std=0.6).update_state()
    assert [b.shape for b in betas] == [(50, 1)] * 3
    assert all(len(np.unique(b)) == 50 for b in betas)
    assert not np.array_equal(betas[0], betas[1])
    assert np.corrcoef(betas[0][:, 0], betas[1][:, 0])[0, 1] > 0.5  # momentum 0.9


def test_steps_default_to_mcsteps(monkeypatch):
    model = pair("BB")
    betas = recorded(model, monkeypatch)
    sampler = SequentialMC.from_model(model, 5, mcsteps=4, beta_std=0.0)
    for steps, total in ((None, 4), (2, 6), (0, 6), (None, 10)):
        sampler.update_state(steps)
        assert len(betas) == total
    assert set(betas) <= {None, 1.0}


@pytest.mark.parametrize("std", [0.0, 0.6])
def test_anneal_divides_beta_by_one_temperature_a_sweep(std, monkeypatch):
    model = pair("BB")
    betas = recorded(model, monkeypatch)
    cooling = schedules.PowerLawDecay(initial=2.0, coefficient=1.0)
    sampler = SequentialMC.from_model(model, 5, anneal=cooling, beta_std=std, beta_momentum=0.0)
    factors = [0.5, 1.5, 2.5]
    bare = []
    for _ in factors:
        sampler.update_state(1)
        beta = sampler.beta_sampler.get_beta()
        bare.append(1.0 if beta is None else array(beta))
    for found, own, factor in zip(betas, bare, factors, strict=True):
        np.testing.assert_allclose(1.0 if found is None else found, own * factor, rtol=1e-6)


def test_temperature_zero_leads_to_a_mode():
    model = skip()
    start = random_state(model, 40)
    cold = SequentialMC(model, beta_std=0.0, anneal=schedules.Constant(0.0))
    cold.set_state(start)
    cold.update_state(5)
    wanted = model.deterministic_iteration(5, start)
    for a, b in zip(arrays(cold.state), arrays(wanted), strict=True):
        np.testing.assert_array_equal(a, b)


def test_samplers_do_not_share_their_default_schedule():
    model = pair("BB")
    first, second = SequentialMC(model), SequentialMC(model)
    assert first.beta_sampler.schedule is not second.beta_sampler.schedule


def test_one_schedule_serves_many_chains():
    cooling = schedules.Linear(initial=1.0, delta=0.5)
    model = skip()
    start = random_state(model, 20)
    runs = []
    for _ in range(2):
        be.set_seed(3)
        sampler = SequentialMC(model, anneal=cooling, beta_std=0.0)
        sampler.set_state(start)
        sampler.update_state(2)
        runs.append(arrays(sampler.state))
    assert next(cooling) == 1.0
    for a, b in zip(*runs, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("bad", [0.5, None, "Constant", int])
def test_invalid_schedules_raise_config_error(bad):
    with pytest.raises(ConfigError, match="schedule"):
        SequentialMC(pair("BB"), schedule=bad)
    if bad is not None:
        with pytest.raises(ConfigError, match="anneal"):
            SequentialMC(pair("BB"), anneal=bad)


@pytest.mark.parametrize("steps", [-1, 1.5, "2"])
def test_impossible_numbers_of_steps_of_an_update(steps):
    with pytest.raises(ConfigError, match="steps"):
        SequentialMC.from_model(pair("BB"), 3).update_state(steps)


@pytest.mark.parametrize("updater", ["mean_field_iteration", "deterministic_iteration"])
def test_updaters(updater):
    model = skip()
    start = random_state(model, 12)
    sampler = SequentialMC(model, updater=updater, beta_std=0.0)
    sampler.set_state(start)
    sampler.update_state(3)
    for a, b in zip(sampler.state, getattr(model, updater)(3, start), strict=True):
        np.testing.assert_allclose(array(a), array(b), atol=1e-6)


def test_clamped_layers_stay():
    model = skip()
    start = random_state(model, 12)
    sampler = SequentialMC(model, clamped=[0])
    sampler.set_state(start)
    sampler.update_state(4)
    np.testing.assert_array_equal(array(sampler.state[0]), array(start[0]))
    assert model.clamped_sampling == []


def test_clamping_of_the_model_is_the_default():
    model = skip()
    model.set_clamped_sampling([0])
    start = random_state(model, 50)
    for clamped, stays in ((None, True), ((), False)):
        sampler = SequentialMC(model, clamped=clamped)
        sampler.set_state(start)
        sampler.update_state(4)
        assert np.array_equal(array(sampler.state[0]), array(start[0])) == stays


def test_chains_at_beta_one_are_a_markov_chain_of_the_model():
    model = skip()
    start = random_state(model, 12)
    be.set_seed(6)
    wanted = model.markov_chain(5, start)
    be.set_seed(6)
    sampler = SequentialMC(model, beta_std=0.0)
    sampler.set_state(start)
    sampler.update_state(5)
    for a, b in zip(arrays(sampler.state), arrays(wanted), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("mcsteps", [-1, 1.5, "2", None])
def test_impossible_numbers_of_steps(mcsteps):
    with pytest.raises(ConfigError, match="mcsteps"):
        SequentialMC(pair("BB"), mcsteps=mcsteps)


def test_errors():
    model = pair("BB")
    with pytest.raises(ConfigError, match=r"gibbs.*markov_chain"):
        SequentialMC(model, updater="gibbs")
    with pytest.raises(ConfigError, match="beta_std"):
        SequentialMC(model, beta_std=-1.0)
    with pytest.raises(ConfigError, match="no state"):
        SequentialMC(model).update_state()
    with pytest.raises(ShapeError):
        SequentialMC(model).set_state(random_state(skip(), 3))


def test_an_array_is_no_batch_to_start_at():
    with pytest.raises(ConfigError, match="got a ndarray for a batch"):
        SequentialMC.from_batch(pair("BB"), np.zeros((3, 4)))
