"""Who draws from which generator: models, samplers and trainers, alone and in threads."""

import copy
import random
import threading

import numpy as np
import pytest
from machines import arrays

from paysage import backends as be
from paysage import fit, optimizers, preprocess, samplers
from paysage.batch import in_memory_batch
from paysage.errors import ConfigError
from paysage.fit.callbacks import Callback
from paysage.layers import BernoulliLayer
from paysage.models import BoltzmannMachine, State
from paysage.testing import check_layer

SAMPLERS = [samplers.SequentialMC, samplers.ParallelTempering, samplers.TemperedTransitions]


def data():
    return (np.random.default_rng(0).random((60, 6)) < 0.4).astype(np.float32)


def new_model(generator=None):
    return BoltzmannMachine([BernoulliLayer(6), BernoulliLayer(4)], generator=generator)


def new_trainer(generator=None, model=None):
    batch = in_memory_batch(
        255 * data(), 10, 5 / 6, preprocess.Transformation(preprocess.sample_color)
    )
    model = new_model(1) if model is None else model
    return fit.SGD(model, batch, fantasy_steps=2, generator=generator)


def train(trainer, epochs=2, **options):
    """Train, and return all values and metrics."""
    trainer.train(optimizers.ADAM(), epochs, verbose=False, **options)
    values = trainer.model.get_values()
    tensors = [
        *(p for layer in values["layers"] for p in layer.values()),
        *(w["matrix"] for w in values["weights"]),
    ]
    return [*tensors, [list(m.values()) for m in trainer.monitor.memory]]


def assert_equal(first, second):
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a, b)


def in_threads(*tasks):
    """Run tasks in threads, while another one seeds the global generator and draws from it."""
    found, done = [None] * len(tasks), threading.Event()

    def disturb():
        while not done.is_set():
            be.set_seed(3)
            be.rand((10,))

    def work(k):
        found[k] = tasks[k]()

    disturber = threading.Thread(target=disturb)
    workers = [threading.Thread(target=work, args=(k,)) for k in range(len(tasks))]
    for thread in (disturber, *workers):
        thread.start()
    for worker in workers:
        worker.join()
    done.set()
    disturber.join()
    return found


# ------------------------------------------------------------------------------------- threads


def test_trainings_in_threads_equal_lone_ones():
    tasks = [lambda seed=seed: train(new_trainer(seed)) for seed in (5, 6, 5)]
    alone = [task() for task in tasks]
    for a, b in zip(in_threads(*tasks), alone, strict=True):
        assert_equal(a, b)
    assert not np.array_equal(alone[0][0], alone[1][0])


def test_pretrainings_in_threads_equal_lone_ones():
    def task():
        model = BoltzmannMachine([BernoulliLayer(n) for n in (6, 4, 3)], generator=1)
        pretrain = fit.LayerwisePretrain(model, in_memory_batch(data(), 10, 5 / 6), generator=2)
        pretrain.train(optimizers.ADAM(), 2, verbose=False)
        return [c.weights.W() for c in model.connections]

    for found in in_threads(task, task):
        assert_equal(map(be.to_numpy_array, found), map(be.to_numpy_array, task()))


def test_chains_of_models_in_threads_equal_lone_ones():
    def task(seed):
        model = new_model(seed)
        return arrays(model.markov_chain(200, State.from_model(20, model)))

    seeds = (1, 2, 3, 1)
    found = in_threads(*(lambda seed=seed: task(seed) for seed in seeds))
    for seed, states in zip(seeds, found, strict=True):
        assert_equal(states, task(seed))


# ------------------------------------------------------------------------------ the global seed


def test_the_global_seed_restarts_what_was_given_no_generator():
    model = new_model()
    start = State.from_model(20, model)
    be.set_seed(5)
    first = arrays(model.markov_chain(3, start))
    second = arrays(model.markov_chain(3, start))
    be.set_seed(5)
    assert_equal(arrays(model.markov_chain(3, start)), first)
    assert not np.array_equal(first[0], second[0])
    sampler = samplers.SequentialMC.from_model(model, 20)
    found = []
    for _ in range(2):
        be.set_seed(7)
        sampler.set_state(start)
        sampler.update_state(3)
        found.append(arrays(sampler.state))
    assert_equal(*found)


def test_the_global_seed_does_not_touch_given_generators():
    found = []
    for seed in (1, 2):
        be.set_seed(seed)
        model = new_model(5)
        state = State.from_model(20, model)
        be.set_seed(seed + 2)
        found.append(arrays(model.markov_chain(3, state)))
    assert_equal(*found)


def test_a_training_depends_on_the_generator_of_its_model_unless_it_was_given_one():
    assert_equal(train(new_trainer()), train(new_trainer()))
    first, second = (train(new_trainer(5, new_model(seed))) for seed in (1, 2))
    assert not np.array_equal(first[0], second[0])  # the weights start at other numbers
    models = [new_model(1), new_model(1)]
    be.rand((3,))
    first, second = (
        train(new_trainer(seed, model)) for seed, model in zip((5, 6), models, strict=True)
    )
    assert not np.array_equal(first[0], second[0])


def test_a_block_of_a_generator_governs_a_training():
    with be.Generator(3):
        first = train(new_trainer(model=new_model()))
    be.set_seed(9)
    with be.Generator(3):
        second = train(new_trainer(model=new_model()))
    assert_equal(first, second)


# ---------------------------------------------------------------------------- the caller's numbers


def test_a_training_leaves_the_callers_random_numbers_alone():
    trainer = new_trainer(5)

    def states():
        return be.get_random_state(), np.random.get_state()[1].tolist(), random.getstate()

    before = states()
    train(trainer)
    state = trainer.model.markov_chain(3, State.from_model(5, trainer.model))
    trainer.model.compute_reconstructions(state[0])
    samplers.SequentialMC.generate_fantasy_state(trainer.model, 5, 3)
    assert states() == before


@pytest.mark.backend_free
def test_check_layer_leaves_the_callers_random_numbers_alone():
    be.set_backend("python", "cpu")
    before = be.get_random_state(), np.random.get_state()[1].tolist()
    check_layer(BernoulliLayer, 1)
    assert (be.get_random_state(), np.random.get_state()[1].tolist()) == before


class Draw(Callback):
    """Draws from the model and from the backend, and seeds the global generator."""

    def after_batch(self, training):
        be.set_seed(3)
        be.rand((2,))
        training.model.markov_chain(1, State.from_model(3, training.model))


def test_a_training_does_not_start_again_when_a_callback_sets_the_seed():
    found = []
    for _ in range(2):
        found.append(train(new_trainer(model=new_model(5)), callbacks=[Draw()]))
        be.set_seed(1)
    assert_equal(*found)
    be.set_seed(1)
    defaults = []
    for callbacks in ([], [Draw()]):
        be.set_seed(1)
        defaults.append(train(new_trainer(model=new_model()), callbacks=callbacks))
    # what callbacks draw comes from the generator of the training
    assert not np.array_equal(defaults[0][0], defaults[1][0])


# ----------------------------------------------------------------------------- samplers of users


@pytest.mark.parametrize("kind", SAMPLERS)
def test_a_sampler_with_a_generator_keeps_it_in_a_training(kind):
    trainer = new_trainer(5)
    sampler = kind.from_model(trainer.model, 8, generator=7)
    before = sampler.generator.get_state()
    train(trainer, sampler=sampler)
    assert sampler.generator.get_state() != before
    twin = kind(trainer.model, generator=8)
    twin.set_state(sampler.get_state())
    twin.set_memory(sampler.get_memory())
    for chains in (sampler, twin):
        chains.update_state(3)
    assert_equal(arrays(sampler.get_state()), arrays(twin.get_state()))


@pytest.mark.parametrize("given", [None, 7])
def test_a_resumed_training_with_a_users_sampler_is_exact(tmp_path, given):
    def run(epochs, name):
        trainer = new_trainer(5)
        sampler = samplers.ParallelTempering.from_model(trainer.model, 8, generator=given)
        found = train(
            trainer, epochs, sampler=sampler, checkpoint=tmp_path / name, resume=True, every=1
        )
        return [*found, *arrays(sampler.get_state())]

    whole = run(4, "whole.h5")
    run(2, "parts.h5")
    assert_equal(run(4, "parts.h5"), whole)


def test_a_sampler_without_a_generator_draws_from_that_of_its_model():
    model = new_model(5)
    sampler = samplers.SequentialMC(model)
    assert sampler.generator is model.generator
    assert samplers.SequentialMC(model, generator=3).generator is not model.generator


# --------------------------------------------------------------------------------------- copies


def test_a_copy_of_a_model_has_a_generator_of_its_own():
    model = new_model(5)
    twin = model.copy()
    assert twin.generator is not model.generator
    start = State.from_model(200, model)
    first, second = arrays(model.markov_chain(1, start)), arrays(twin.markov_chain(1, start))
    assert not np.array_equal(first[0], second[0])
    for given in (None, 5):
        model = new_model(given)
        start = State.from_model(200, model)
        copied = copy.deepcopy(model)
        assert copied.generator is not model.generator
        first, second = arrays(model.markov_chain(1, start)), arrays(copied.markov_chain(1, start))
        # a given generator is copied in its present state, any other one is spawned again
        assert np.array_equal(first[0], second[0]) is (given is not None)


@pytest.mark.parametrize("generator", ["a", 1.5, True, -1])
def test_impossible_generators_are_refused(generator):
    with pytest.raises(ConfigError, match=r"generator|seed"):
        new_model(generator)
    with pytest.raises(ConfigError, match=r"generator|seed"):
        new_trainer(generator, new_model(1))
