"""The 0.2 meanings of learning rates, optimizers and sampler schedules, each held to numbers."""

import math

import numpy as np
import pytest
from machines import array, build, pair
from scipy import stats

from paysage import backends as be
from paysage import batch, fit, optimizers, samplers, schedules
from paysage.errors import ConfigError
from paysage.models import ModelGradient

EPSILON = float(np.finfo(np.float32).eps)
SIGMAS = 5.0


def take(schedule, count):
    return [next(schedule) for _ in range(count)]


# Schedules


@pytest.mark.backend_free
def test_power_law_decay_of_the_notebook():
    values = take(schedules.PowerLawDecay(initial=0.01, coefficient=1.0), 21)
    np.testing.assert_allclose(values, [0.01 / (1 + 0.01 * t) for t in range(21)], rtol=1e-13)
    np.testing.assert_allclose(values[:4], [0.01, 0.00990, 0.00980, 0.00971], atol=5e-6)
    assert values[19] == pytest.approx(0.0084, abs=5e-5)


@pytest.mark.backend_free
def test_exponential_decay_is_a_power_of_the_coefficient():
    values = take(schedules.ExponentialDecay(initial=0.5, coefficient=0.8), 6)
    np.testing.assert_allclose(values, [0.5 * 0.8**t for t in range(6)], rtol=1e-14)


@pytest.mark.backend_free
def test_linear_is_clipped_to_zero_and_one_by_default():
    falling = take(schedules.Linear(initial=1.0, delta=0.4), 5)
    np.testing.assert_allclose(falling, [1.0, 0.6, 0.2, 0.0, 0.0], atol=1e-15)
    rising = take(schedules.Linear(initial=0.5, delta=-0.4), 4)
    np.testing.assert_allclose(rising, [0.5, 0.9, 1.0, 1.0], atol=1e-15)
    bounded = take(schedules.Linear(5.0, 1.0, None, 3.0, 4.5), 4)
    np.testing.assert_allclose(bounded, [5.0, 4.0, 3.0, 3.0], atol=1e-15)


@pytest.mark.backend_free
def test_step_returns_the_initial_value_steps_times():
    assert take(schedules.Step(initial=1.0, final=0.25, steps=3), 5) == [1.0, 1.0, 1.0, 0.25, 0.25]


@pytest.mark.backend_free
def test_defaults_of_schedules():
    assert take(schedules.Constant(), 2) == [1.0, 1.0]
    assert take(schedules.Linear(), 2) == [1.0, 1.0]
    assert take(schedules.Step(), 2) == [1.0, 0.0]
    np.testing.assert_allclose(take(schedules.ExponentialDecay(), 3), [1.0, 0.9, 0.81])
    np.testing.assert_allclose(take(schedules.PowerLawDecay(), 3), [1.0, 1 / 1.9, 1 / 2.8])


@pytest.mark.backend_free
@pytest.mark.parametrize(
    "schedule",
    [
        schedules.Constant(1.0, 0.5),
        schedules.Linear(1.0, 0.1, 0.5, 0.0, 1.0),
        schedules.Step(1.0, 0.1, 4, 0.5),
        schedules.ExponentialDecay(1.0, 0.9, 0.5),
        schedules.PowerLawDecay(1.0, 0.9, 0.5),
    ],
    ids=lambda schedule: type(schedule).__name__,
)
def test_value_is_the_present_value_and_a_positional_argument(schedule):
    assert schedule.value == 0.5
    twin = schedules.schedule_from_config(schedule.get_config())
    assert next(schedule) == 0.5
    assert twin.value == 0.5
    schedule.set_value(0.25)
    assert schedule.copy().value == next(schedule) == 0.25
    schedule.reset()
    assert schedule.value == 1.0


# Learning rates


RATES: list[float] = []


class Recording(optimizers.Gradient):
    """Plain descent that records the learning rate of each epoch, also in its copies."""

    def update_lr(self):
        super().update_lr()
        RATES.append(self.lr)


@pytest.fixture
def rates():
    RATES.clear()
    return RATES


def rows():
    return np.random.default_rng(0).integers(0, 2, size=(60, 4)).astype(np.float32)


def test_learning_rate_moves_once_an_epoch_across_trainings(rates):
    model = pair("BB")
    trainer = fit.SGD(model, batch.in_memory_batch(be.float_tensor(rows()), 20))
    optimizer = Recording(schedules.PowerLawDecay(initial=0.01, coefficient=1.0))
    trainer.train(optimizer, 3, verbose=False)
    trainer.train(optimizer, 2, verbose=False)
    np.testing.assert_allclose(rates, [0.01 / (1 + 0.01 * t) for t in range(5)], rtol=1e-13)


def test_steps_of_an_epoch_have_the_length_of_its_learning_rate():
    model = build("BB", (4, 3))
    data = batch.in_memory_batch(be.float_tensor(rows()), 18, train_fraction=0.9)  # 3 minibatches
    before, gradient = array(model.connections[0].weights.W()), ModelGradient.zeros(model)
    gradient.weights[0].matrix[:] = 1.0
    optimizer = optimizers.Gradient(schedules.ExponentialDecay(0.1, 0.5))
    fit.SGD(model, data).train(optimizer, 3, method=lambda *_: gradient, verbose=False)
    moved = before - array(model.connections[0].weights.W())
    np.testing.assert_allclose(moved, 3 * (0.1 + 0.05 + 0.025), rtol=1e-5)


def test_learning_rate_restarts_for_each_layer_of_pretraining(rates):
    model = build("BBB", (4, 3, 2))
    pretrainer = fit.LayerwisePretrain(model, batch.in_memory_batch(be.float_tensor(rows()), 20))
    optimizer = Recording(schedules.ExponentialDecay(initial=0.1, coefficient=0.5))
    pretrainer.train(optimizer, 3, verbose=False)
    np.testing.assert_allclose(rates, [0.1, 0.05, 0.025] * 2, rtol=1e-13)


# Optimizers: the first two steps on one parameter, gradients g and h


G, H, RATE = 0.3, -0.2, 0.05


def adam_step(weight1, weight2, m, v):
    return RATE * (m / (1 - weight1)) / math.sqrt(EPSILON + v / (1 - weight2))


def steps_of_adam(weight1, weight2):
    m, v = G, G**2
    first = adam_step(weight1, weight2, m, v)
    m, v = weight1 * m + (1 - weight1) * H, weight2 * v + (1 - weight2) * H**2
    return [first, adam_step(weight1, weight2, m, v)]


def steps_of_rmsprop(weight):
    v = weight * G**2 + (1 - weight) * H**2
    return [
        RATE * G / math.sqrt(EPSILON + G**2 / (1 - weight)),
        RATE * H / math.sqrt(EPSILON + v / (1 - weight)),
    ]


def steps_of_textbook(weight1, weight2):
    m = weight1 * (1 - weight1) * G + (1 - weight1) * H
    v = weight2 * (1 - weight2) * G**2 + (1 - weight2) * H**2
    second = (m / (1 - weight1**2)) / math.sqrt(EPSILON + v / (1 - weight2**2))
    return [RATE * G / math.sqrt(EPSILON + G**2), RATE * second]


RULES = {
    "gradient": (optimizers.Gradient, {}, [RATE * G, RATE * H]),
    "momentum": (optimizers.Momentum, {}, [RATE * G, RATE * (0.9 * G + 0.1 * H)]),
    "rmsprop": (optimizers.RMSProp, {}, steps_of_rmsprop(0.9)),
    "adam": (optimizers.ADAM, {}, steps_of_adam(0.9, 0.999)),
    "textbook adam": (optimizers.ADAM, {"bias_correction": True}, steps_of_textbook(0.9, 0.999)),
}


@pytest.mark.parametrize("name", RULES)
def test_first_steps_of_optimizers(name):
    rule, options, wanted = RULES[name]
    model = build("BB", (2, 2), scale=0.0)
    optimizer, gradient, found = rule(stepsize=RATE, **options), ModelGradient.zeros(model), []
    for value in (G, H):
        before = array(model.connections[0].weights.W())
        gradient.weights[0].matrix[:] = value
        optimizer.update(model, gradient)
        found.append((before - array(model.connections[0].weights.W()))[0, 0])
    # 1 - 0.999 in single precision is off by 1.3e-5 of itself
    np.testing.assert_allclose(found, wanted, rtol=3e-5)


def test_default_adam_step_is_a_third_of_the_textbook_step():
    default, textbook = (RULES[name][2][0] for name in ("adam", "textbook adam"))
    assert default / textbook == pytest.approx(math.sqrt(1 - 0.999) / (1 - 0.9), rel=1e-3)
    assert default / textbook == pytest.approx(0.316, abs=1e-3)


# The schedule of a sampler


def test_schedule_scales_variance_of_beta_and_keeps_its_mean():
    """The stationary distribution at the value t is Gamma(1/(s² t), s² t)."""
    std, momentum, chains, steps = 0.6, 0.5, 4000, 60
    for t in (0.0, 0.1, 0.5, 2.0):
        sampler = samplers.AutoregressiveGammaSampler(momentum, std, schedules.Constant(t))
        for _ in range(steps):
            sampler.update_beta(chains)
        beta = array(sampler.get_beta())[:, 0]
        variance = std**2 * (t + EPSILON)
        assert abs(beta.mean() - 1) < SIGMAS * math.sqrt(variance / chains) + 1e-6
        law = stats.gamma(1 / variance, scale=variance)
        kurtosis = float(law.stats(moments="k"))
        error = variance * math.sqrt((2 + kurtosis) / chains)
        assert abs(beta.var() - variance) < SIGMAS * error
        if t:
            assert stats.kstest(beta, law.cdf).pvalue > 1e-5


def test_step_of_beta_given_the_present_value():
    """Mean 1 + φ (β − 1); variance c² t² (nu/t + 2 φ β/(c t)), c = (1 − φ) s², nu = 1/s²."""
    std, momentum, t, chains = 0.6, 0.9, 0.25, 40_000
    sampler = samplers.AutoregressiveGammaSampler(momentum, std, schedules.Constant(t))
    sampler.set_beta(chains)
    for start in (0.5, 1.0, 1.5):
        sampler.get_beta()[:] = start
        sampler.update_beta(chains)
        beta = array(sampler.get_beta())[:, 0]
        c = (1 - momentum) * std**2
        variance = (c * t) ** 2 * (1 / (std**2 * t) + 2 * momentum * start / (c * t))
        mean = 1 + momentum * (start - 1)
        assert abs(beta.mean() - mean) < SIGMAS * math.sqrt(variance / chains)
        # the kurtosis of a Gamma mixture this narrow is below 1
        assert abs(beta.var() - variance) < SIGMAS * variance * math.sqrt(3 / chains)


def test_variance_of_beta_follows_a_falling_schedule():
    std, chains = 0.6, 4000
    fall = schedules.Linear(initial=1.0, delta=0.01)
    sampler = samplers.AutoregressiveGammaSampler(0.0, std, fall)
    for step in range(1, 101):
        sampler.update_beta(chains)
        if step in (1, 51, 100):
            variance = std**2 * (1 - 0.01 * (step - 1))
            beta = array(sampler.get_beta())[:, 0]
            assert abs(beta.mean() - 1) < SIGMAS * math.sqrt(variance / chains)
            assert beta.var() == pytest.approx(variance, rel=0.2)
    assert fall.value == 1.0  # the sampler uses a copy


def test_constant_schedule_of_one_leaves_the_process_unchanged():
    found = []
    for options in ({}, {"schedule": schedules.Constant}, {"schedule": schedules.Linear(1.0)}):
        be.set_seed(3)
        sampler = samplers.AutoregressiveGammaSampler(**options)
        for _ in range(3):
            sampler.update_beta(50)
        found.append(array(sampler.get_beta()))
    for beta in found[1:]:
        np.testing.assert_array_equal(beta, found[0])


def test_settings_of_a_beta_sampler():
    sampler = samplers.AutoregressiveGammaSampler(beta_std=0.0)
    sampler.update_beta(5)
    assert sampler.get_beta() is None  # stands for one
    sampler.set_std(0.3)
    sampler.update_beta(2000)
    assert array(sampler.get_beta()).std() == pytest.approx(0.3, rel=0.2)
    sampler.set_schedule(schedules.Linear(1.0, 0.25))
    sampler.update_beta(2000)
    assert sampler.schedule.value == 0.75
    sampler.reset()
    assert sampler.schedule.value == 1.0
    sampler.update_beta(7)
    assert tuple(be.shape(sampler.get_beta())) == (7, 1)
    sampler.update_beta(9)
    assert tuple(be.shape(sampler.get_beta())) == (9, 1)
    sampler.set_std(0.0)
    assert sampler.get_beta() is None


def test_negative_variance_factor_raises_config_error():
    sampler = samplers.AutoregressiveGammaSampler(schedule=schedules.Linear(0.5, 1.0, minval=None))
    sampler.update_beta(3)
    with pytest.raises(ConfigError, match=r"zero or more, got -0\.5"):
        sampler.update_beta(3)


def biased(rows=4):
    """A model with zero weights and visible biases of 1."""
    model = build("BB", (rows, 3), scale=0.0)
    model.layers[0].params.loc[:] = 1.0
    return model


def test_schedule_has_no_effect_without_spread_of_beta():
    """With zero weights and loc = 1 the visible mean is 1/(1 + e⁻¹) = 0.731, at β = 1."""
    fall = schedules.Linear(initial=1.0, delta=1 / 99)
    state = samplers.SequentialMC.generate_fantasy_state(
        biased(), 2000, 100, schedule=fall, beta_std=0.0
    )
    mean = 1 / (1 + math.exp(-1))
    error = math.sqrt(mean * (1 - mean) / 8000)
    assert abs(array(state[0]).mean() - mean) < SIGMAS * error


def test_fantasy_particles_of_a_falling_schedule_end_at_beta_one():
    """The last sweep has β = 1 up to EPSILON; at the stationary process the mean differs."""
    mean, size = 1 / (1 + math.exp(-1)), 40_000
    error = math.sqrt(mean * (1 - mean) / size)
    fall = schedules.Linear(initial=1.0, delta=1 / 29)
    options = {"beta_std": 1.5, "beta_momentum": 0.5}
    ends = [
        array(samplers.SequentialMC.generate_fantasy_state(biased(), 10_000, 30, **kw)[0]).mean()
        for kw in ({**options, "schedule": fall}, options)
    ]
    assert abs(ends[0] - mean) < SIGMAS * error
    law = stats.gamma(1 / 1.5**2, scale=1.5**2)
    hot = law.expect(lambda beta: 1 / (1 + np.exp(-beta)))
    assert abs(hot - mean) > 20 * error
    # the units of a chain share their β
    assert abs(ends[1] - hot) < 2 * SIGMAS * error


def test_anneal_is_a_temperature():
    state = samplers.SequentialMC.generate_fantasy_state(
        biased(), 500, 100, anneal=schedules.Linear(initial=1.0, delta=1 / 99), beta_std=0.0
    )
    assert array(state[0]).mean() == 1.0


def test_reset_restarts_schedules_and_keeps_units():
    sampler = samplers.SequentialMC.from_model(
        pair("BB"), 6, schedule=schedules.Linear(1.0, 0.25), anneal=schedules.Linear(1.0, 0.1)
    )
    sampler.update_state(2)
    units = [array(layer) for layer in sampler.state]
    assert sampler.beta_sampler.schedule.value == 0.5
    sampler.reset()
    assert sampler.beta_sampler.schedule.value == sampler.anneal.value == 1.0
    for layer, before in zip(sampler.state, units, strict=True):
        np.testing.assert_array_equal(array(layer), before)
    sampler.update_state(1)
    assert sampler.beta_sampler.schedule.value == 0.75


def test_set_state_from_visible():
    model = pair("BB")
    sampler = samplers.SequentialMC(model)
    visible = rows()[:7]
    sampler.set_state_from_visible(be.float_tensor(visible))
    np.testing.assert_array_equal(array(sampler.state.get_visible()), visible)
    assert tuple(be.shape(sampler.state[1])) == (7, 3)
    sampler.update_state(2)
    assert not np.array_equal(array(sampler.state[0]), visible)
