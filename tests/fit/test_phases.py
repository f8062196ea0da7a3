"""The two phases of a training step: where they start, what they leave for the gradient."""

import os

import numpy as np
import pytest
import stationarity
from machines import array, arrays, build, pair, random_state, skip, twin

from paysage import backends as be
from paysage import fit, threads
from paysage.fit import Phases
from paysage.layers import BernoulliLayer
from paysage.models import State
from paysage.testing import ExactMachine

CLOSE = {"rtol": 1e-5, "atol": 1e-5}


def deep():
    return build("BBB", (4, 3, 3), seed=2, scale=1.5)


def data_of(model, rows=10):
    return random_state(model, rows)[0]


@pytest.mark.parametrize("make", [lambda: pair("BB"), lambda: pair("BG"), lambda: pair("GB"), deep])
def test_the_positive_phase_keeps_the_data_and_ends_at_the_mean_of_the_last_layer(make):
    model = make()
    phases = Phases(model, 5, mcsteps=2)
    for rows in (10, 4, 10):
        visible = data_of(model, rows)
        before = array(visible)
        state = phases.positive_state(visible)
        np.testing.assert_array_equal(array(state[0]), before)
        np.testing.assert_array_equal(array(visible), before)
        last = len(state) - 1
        wanted = twin(model).mean(arrays(state), last)
        np.testing.assert_allclose(array(state[last]), wanted, **CLOSE)
    if last == 2:
        assert set(np.unique(array(state[1]))) <= {0.0, 1.0}, "inner layers are drawn"


def test_the_positive_phase_starts_at_the_pass_up_from_its_own_minibatch():
    model = deep()
    phases = Phases(model, 5, mcsteps=2, update_method="mean_field_iteration")
    for seed in (1, 2):  # the second must not see the first
        visible = random_state(model, 10, seed)[0]
        start = State.from_visible_means(visible, model)
        wanted = model.mean_field_iteration(2, start, clamped=[0])
        wanted = [*arrays(wanted)[:2], twin(model).mean(arrays(wanted), 2)]
        for a, b in zip(arrays(phases.positive_state(visible)), wanted, strict=True):
            np.testing.assert_allclose(a, b, **CLOSE)


def test_positive_chains_sample_the_posterior_of_the_inner_layer():
    model = deep()
    visible = np.array([1.0, 0.0, 1.0, 1.0])
    rows = be.float_tensor(np.tile(visible, (20000, 1)))
    state = Phases(model, 5, mcsteps=30).positive_state(rows)
    inner = twin(model).probabilities({0: visible}).reshape(8, 8).sum(axis=1)
    position = array(state[1]) @ [4, 2, 1]
    assert stationarity.chi_square(position.astype(int), inner) > 1e-4


@pytest.mark.parametrize("make", [lambda: build("BB", (6, 5), seed=1), deep, skip])
def test_persistent_chains_that_are_at_the_exact_distribution_stay_there(make):
    """The mean that the gradient gets for the last layer must not enter the chain."""
    model = make()
    exact = ExactMachine(model)
    start = exact.draw(20000, np.random.default_rng(3))
    phases = Phases(model, 20000, beta_std=0.0)
    phases.negative.set_state(start)
    for _ in range(4):
        state = phases.negative_state()
    last = len(state) - 1
    np.testing.assert_allclose(array(state[last]), twin(model).mean(arrays(state), last), **CLOSE)
    # of the layers that are drawn: sum the probabilities over the last one, which runs fastest
    size = 2 ** model.layers[last].num_units
    wanted = twin(model).probabilities().reshape(-1, size).sum(axis=1)
    drawn = np.hstack(arrays(state)[:last])
    position = drawn @ 2.0 ** np.arange(drawn.shape[1])[::-1]
    assert stationarity.chi_square(position.astype(int), wanted) > 1e-4


def test_persistent_chains_go_on_from_where_they_were():
    model = build("BB", (6, 5), seed=1)
    phases = Phases(model, 200)
    be.set_seed(1)
    phases.negative_state()
    before = State.from_state(phases.negative.get_state())
    found = arrays(phases.negative_state())
    assert found[0].shape == (200, 6)
    # one sweep moves some units, not all
    assert 0 < np.abs(found[0] - arrays(before)[0]).mean() < 0.5


def test_contrastive_divergence_restarts_at_the_minibatch(monkeypatch):
    model = deep()
    phases = Phases(model, 5, update_method="mean_field_iteration", beta_std=0.0)
    for rows in (10, 4, 10):
        visible = data_of(model, rows)
        _, found = phases.states(visible, restart=True)
        wanted = model.mean_field_iteration(1, State.from_visible_means(visible, model))
        for a, b in zip(arrays(found), arrays(wanted), strict=True):
            np.testing.assert_allclose(a, b, **CLOSE)


def test_contrastive_divergence_goes_down_from_a_draw_of_the_hidden_layer():
    """Of two layers the chain starts at a draw given the data, as CD-1 is defined, not a mean."""
    model = pair("BB")
    visible = np.array([1.0, 0.0, 1.0, 1.0])
    rows = be.float_tensor(np.tile(visible, (20000, 1)))
    _, state = Phases(model, 5, beta_std=0.0).states(rows, restart=True)
    exact = ExactMachine(model)
    joint = exact.probabilities.reshape(16, 8)
    given_visible = joint[0b1011] / joint[0b1011].sum()
    wanted = (joint / joint.sum(axis=0)) @ given_visible
    position = array(state[0]) @ [8, 4, 2, 1]
    assert stationarity.chi_square(position.astype(int), wanted) > 1e-4
    np.testing.assert_allclose(array(state[1]), twin(model).mean(arrays(state), 1), **CLOSE)


def test_persistent_chains_do_not_restart():
    model = deep()
    phases = Phases(model, 5)
    fit.pcd(data_of(model), phases)
    assert phases.negative.state.batch_size() == 5


# in blocks of rows, side by side

ROWS = 100


@pytest.fixture
def cut(monkeypatch):
    """Cut the few rows of a test as the many of a training are cut."""
    monkeypatch.setattr(threads, "WORTH_CUTTING", 1)


@pytest.fixture
def free_threads(monkeypatch):
    """Let threads be used, as they are where no environment variable speaks of them."""
    for name in threads.VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("method", [fit.pcd, fit.cd])
@pytest.mark.parametrize("make", [lambda: pair("BB"), lambda: pair("BG"), deep, skip])
def test_the_number_of_cores_makes_no_difference(cut, free_threads, monkeypatch, make, method):
    found = []
    for cores in (1, 2, 4):
        monkeypatch.setattr(os, "cpu_count", lambda cores=cores: cores)
        threads._jobs.cache_clear()
        be.set_seed(3)
        model = make()
        phases = Phases(model, ROWS)
        assert len(phases._parts(ROWS)) == 2
        with threads.one_thread_each():
            for _ in range(3):
                gradient = method(data_of(model, ROWS), phases)
        found.append([array(leaf) for leaf in gradient.leaves()])
    for other in found[1:]:
        for a, b in zip(found[0], other, strict=True):
            np.testing.assert_array_equal(a, b)
    threads._jobs.cache_clear()


def test_blocks_draw_independently_of_one_another(cut):
    model = build("BB", (6, 5), scale=0.0)
    model.layers[0].params.loc[:] = 0.0
    phases = Phases(model, 4 * ROWS)
    units = array(phases.negative_state()[0])
    first, second = (units[part] for part in phases._parts(4 * ROWS)[:2])
    # fair coins agree in half of the places, within five standard deviations
    assert abs(np.mean(first == second) - 0.5) < 5 * 0.5 / np.sqrt(first.size)


def test_phases_of_different_numbers_of_rows_are_cut_apart(cut):
    model = pair("BB")
    phases = Phases(model, 20)
    data, sample = phases.states(data_of(model, ROWS))
    np.testing.assert_allclose(array(data[1]), twin(model).mean(arrays(data), 1), **CLOSE)
    np.testing.assert_allclose(array(sample[1]), twin(model).mean(arrays(sample), 1), **CLOSE)


def test_a_layer_that_ignores_the_memory_it_is_offered_is_trained_all_the_same(cut):
    class Forgetful(BernoulliLayer):
        def sample(self, field, beta=None, out=None):
            return super().sample(field, beta)

        def mean(self, field, beta=None, out=None):
            return super().mean(field, beta)

    be.set_seed(3)
    plain = build("BB", (6, 5), seed=1)
    wanted = arrays(Phases(plain, ROWS).negative_state())
    be.set_seed(3)
    model = build("BB", (6, 5), seed=1)
    model.layers[:] = [Forgetful(6), Forgetful(5)]
    for layer, other in zip(model.layers, plain.layers, strict=True):
        layer.set_params(other.params)
    found = arrays(Phases(model, ROWS).negative_state())
    for a, b in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("dtype", [np.float64, np.int64, bool])
@pytest.mark.parametrize("method", [fit.pcd, fit.cd])
def test_a_minibatch_of_another_dtype_counts_like_floats(method, dtype):
    model = deep()
    visible = array(data_of(model)).astype(dtype)
    found = []
    for units in (be.float_tensor(visible), be.from_numpy_array(visible)):
        be.set_seed(5)
        gradient = method(units, Phases(model, 7))
        found.append([array(leaf) for leaf in gradient.leaves()])
    for a, b in zip(*found, strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_gradient_is_the_models_gradient_of_the_two_states():
    model = deep()
    phases = Phases(model, 7)
    data, sample = phases.positive_state(data_of(model)), phases.negative_state()
    wanted = model.gradient(data, sample)
    found = phases.gradient(data, sample)
    for a, b in zip(found.leaves(), wanted.leaves(), strict=True):
        np.testing.assert_array_equal(array(a), array(b))


def test_clamping_of_the_model_does_not_reach_into_training():
    model = pair("BB")
    model.set_clamped_sampling([0, 1])
    phases = Phases(model, 200)
    before = arrays(phases.negative.state)
    after = arrays(phases.negative_state())
    assert not np.array_equal(before[0], after[0])


def test_the_gradient_of_pcd_is_unbiased_at_the_exact_distribution():
    """Chains at the model's distribution and data drawn from it: the gradient is noise."""
    model = deep()
    exact = ExactMachine(model)
    rng = np.random.default_rng(4)
    phases = Phases(model, 20000, mcsteps=20, beta_std=0.0)
    phases.negative.set_state(exact.draw(20000, rng))
    gradient = fit.pcd(exact.draw(20000, rng)[0], phases)
    # each entry is a difference of two means of 20000 numbers between 0 and 1: deviation at most
    # 0.5 sqrt(2/20000) = 0.005; 5 sigma
    for leaf in gradient.leaves():
        assert np.abs(array(leaf)).max() < 5 * 0.005
