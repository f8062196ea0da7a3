"""Training whose negative chains are a sampler of the user."""

import numpy as np
import pytest
from machines import array, arrays, build, pair, random_state, twin

from paysage import backends as be
from paysage import fit, optimizers
from paysage.batch import in_memory_batch
from paysage.errors import ConfigError
from paysage.fit import Phases
from paysage.models import State
from paysage.samplers import Chains, ParallelTempering, SequentialMC
from paysage.testing import ExactMachine


def two_modes():
    """Visible units that are all on or all off, the two about as often."""
    model = build("BB", (6, 6), scale=0.0)
    model.connections[0].weights.params.matrix[:] = 3.0
    for layer in model.layers:
        layer.params.loc[:] = -9.05
    return model


def data_gradient(model, visible):
    """The gradient's part of the data less that of the model, both exact, leaf by leaf."""
    exact = ExactMachine(model)
    v, h = arrays(exact.states)
    hidden = twin(model).mean([visible, np.zeros((len(visible), 6))], 1)
    return [
        exact.expectation(v) - visible.mean(axis=0),
        exact.expectation(h) - hidden.mean(axis=0),
        exact.expectation(np.einsum("ni,nj->nij", v, h)) - visible.T @ hidden / len(visible),
    ]


def mean_gradient(model, visible, sampler, steps=300):
    """Means over steps at fixed parameters, and standard errors from blocks of steps."""
    phases = Phases(model, 0, sampler=sampler)
    rows = be.float_tensor(visible)
    found = []
    for _ in range(steps):
        gradient = fit.pcd(rows, phases)
        found.append([array(leaf) for leaf in (*gradient.layers, *gradient.weights)])
    leaves = [np.stack(leaf)[:, 0] for leaf in zip(*found, strict=True)]
    blocks = [leaf.reshape(10, -1, *leaf.shape[1:]).mean(axis=1) for leaf in leaves]
    return [(b.mean(axis=0), b.std(axis=0, ddof=1) / np.sqrt(10)) for b in blocks]


def from_zeros(sampler, chains=100):
    sampler.set_state(State([be.zeros((chains, 6)), be.zeros((chains, 6))]))
    return sampler


def test_the_gradient_by_parallel_tempering_is_the_exact_one():
    model = two_modes()
    visible = np.random.default_rng(2).integers(0, 2, (50, 6)).astype(np.float64)
    wanted = data_gradient(model, visible)
    sampler = from_zeros(ParallelTempering(model, betas=8))
    sampler.update_state(200)
    for (mean, error), exact in zip(mean_gradient(model, visible, sampler), wanted, strict=True):
        # 10 blocks, 9 degrees of freedom: beyond 7 errors with probability 6e-5
        assert (np.abs(mean - exact) < 7 * error + 1e-6).all()
        assert error.max() < 0.02
    stuck = from_zeros(SequentialMC(model, clamped=(), beta_std=0.0))
    (mean, _), *_ = mean_gradient(model, visible, stuck, 50)
    assert np.abs(mean - wanted[0]).min() > 0.2, "alone the chains never leave: the test is one"


@pytest.mark.parametrize("kinds", ["BB", "BG", "BO"])
def test_the_last_layer_is_at_its_mean_and_the_sampler_keeps_its_draw(kinds):
    model = pair(kinds)
    sampler = ParallelTempering.from_model(model, 120, betas=3)
    phases = Phases(model, 0, mcsteps=2, sampler=sampler)
    for _ in range(2):
        state = phases.negative_state()
        chains = sampler.get_state()
        np.testing.assert_array_equal(array(state[0]), array(chains[0]))
        wanted = twin(model).mean(arrays(state), 1)
        np.testing.assert_allclose(array(state[1]), wanted, atol=1e-5)
        assert not np.allclose(array(chains[1]), wanted, atol=1e-3)
    assert sampler._tried.sum() == 120 * 4  # one pair of neighbours a step, two steps each


def trained(sampler_of, seed=4, num_epochs=2, **kwargs):
    """A machine that learned two modes of data, 9 minibatches an epoch, and its sampler."""
    be.set_seed(seed)
    visible = np.repeat([[0.0] * 6, [1.0] * 6], 100, axis=0)
    model = build("BB", (6, 4), scale=0.3)
    sampler = sampler_of(model)
    trainer = fit.SGD(model, in_memory_batch(be.float_tensor(visible), 20, train_fraction=0.9))
    trainer.monitor.generator_metrics = []
    trainer.train(optimizers.ADAM(0.1), num_epochs, verbose=False, sampler=sampler, **kwargs)
    return model, sampler


def test_a_training_moves_the_chains_of_the_sampler():
    model, sampler = trained(lambda m: ParallelTempering.from_model(m, 30, betas=3), num_epochs=40)
    assert sampler._tried.sum() == 40 * 9 * 30
    assert sampler.swap_rates().min() > 0
    ends = [[0.0] * 6, [1.0] * 6]
    machine = twin(model)
    assert sum(np.exp(machine.log_sum({0: np.array(v)}) - machine.log_sum()) for v in ends) > 0.5


def test_the_same_seed_gives_the_same_training():
    found = [
        array(trained(lambda m: ParallelTempering.from_model(m, 30))[0].connections[0].weights.W())
        for _ in range(2)
    ]
    np.testing.assert_array_equal(*found)


class Frozen(Chains):
    """Chains of a user that have the three methods and nothing else."""

    def __init__(self, model):
        self.model, self.steps = model, []

    def set_state(self, state):
        self._state = state

    def get_state(self):
        return self._state

    def update_state(self, steps=None):
        self.steps.append(steps)


def test_any_sampler_with_the_three_methods_will_do():
    _, sampler = trained(lambda m: Frozen.from_model(m, 7), mcsteps=3, burn_in=1)
    assert sampler.steps == [3] * 18


@pytest.mark.parametrize(
    ("sampler_of", "settings", "words"),
    [
        (lambda m: ParallelTempering, {}, "from_model"),
        (lambda m: "tempering", {}, "from_model"),
        (lambda m: ParallelTempering(m), {}, "set_state"),
        (lambda m: ParallelTempering.from_model(m.copy(), 5), {}, "another model"),
        (lambda m: ParallelTempering.from_model(m, 0), {}, "number of chains"),
        (lambda m: ParallelTempering.from_model(m, 5), {"method": fit.cd}, "fit.pcd"),
        (lambda m: ParallelTempering.from_model(m, 5), {"method": fit.TAP().tap_update}, "fit.pcd"),
        (
            lambda m: ParallelTempering.from_model(m, 5),
            {"negative_phase_batch_size": 5},
            "negative_phase_batch_size",
        ),
    ],
)
def test_samplers_that_cannot_be_used_are_refused(sampler_of, settings, words):
    with pytest.raises(ConfigError, match=words):
        trained(sampler_of, **settings)


def test_a_method_that_restarts_finds_a_sampler_that_does_not():
    model = pair("BB")
    phases = Phases(model, 0, sampler=ParallelTempering.from_model(model, 5))
    with pytest.raises(ConfigError, match="cannot start at a minibatch"):
        fit.cd(random_state(model, 5)[0], phases)
