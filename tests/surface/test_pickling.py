"""Users pickle and deep-copy their models, states and optimizers; nothing is lost by it."""

import copy
import pickle
from functools import partial

import numpy as np
import pytest
from machines import array, arrays, build, pair, random_state

from paysage import backends as be
from paysage import batch, constraints, fit, layers, optimizers, penalties, samplers, schedules
from paysage.metrics import ReconstructionError
from paysage.models import State, StateTAP

ROUND_TRIPS = {
    "pickle": lambda thing: pickle.loads(pickle.dumps(thing)),
    "deepcopy": copy.deepcopy,
}
by_either = pytest.mark.parametrize("round_trip", ROUND_TRIPS.values(), ids=ROUND_TRIPS)
OPTIMIZERS = ["Gradient", "Momentum", "RMSProp", "ADAM"]


def data_batch():
    rows = np.random.default_rng(0).integers(0, 2, (60, 4)).astype(np.float32)
    return batch.in_memory_batch(rows, 10, train_fraction=0.5)


def sampled(model, start, seed=5):
    be.set_seed(seed)
    return arrays(model.markov_chain(3, start))


def assert_equal(found, wanted):
    for a, b in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(a, b)


def values(model):
    return [array(p) for owner in [*model.layers, *model.connections] for p in parameters(owner)]


def parameters(owner):
    return getattr(owner, "weights", owner).params


@by_either
@pytest.mark.parametrize("kinds", ["BB", "GB", "BGO"])
def test_models_sample_alike_after_a_round_trip(round_trip, kinds):
    model = build(kinds, (4, 3, 2)[: len(kinds)], center=True)
    weights = model.connections[0].weights
    weights.add_penalty({"matrix": penalties.l1_penalty(0.1)})
    weights.add_constraint({"matrix": partial(constraints.zero_row, index=1)})
    model.layers[1].set_fixed_params(["loc"])
    model.set_clamped_sampling([0])
    start = random_state(model, 6)
    model.markov_chain(2, start)  # working memory exists
    twin = round_trip(model)
    assert twin.get_config() == model.get_config()
    assert twin.clamped_sampling == [0]
    assert_equal(sampled(twin, start), sampled(model, start))
    np.testing.assert_array_equal(array(twin.joint_energy(start)), array(model.joint_energy(start)))
    moved = sampled(model, start)
    for layer in twin.layers:
        layer.params.loc[:] = 9.0
    assert_equal(sampled(model, start), moved)
    assert not np.array_equal(array(twin.joint_energy(start)), array(model.joint_energy(start)))


def test_pickled_models_leave_working_memory_out():
    model = pair("BB")
    before = len(pickle.dumps(model))
    model.markov_chain(12, random_state(model, 50_000))
    # the model has its generator now: some hundred bytes; units of all rows take 1.4 MB
    assert len(pickle.dumps(model)) < before + 1000


def test_shallow_copies_of_a_model_have_working_memory_of_their_own():
    model = pair("BB")
    twin = copy.copy(model)
    assert twin.layers is model.layers and twin.sweeps is not model.sweeps


@by_either
def test_states_and_layers(round_trip):
    model = build("BGO", (4, 3, 5))
    for state in (random_state(model, 6), StateTAP.from_model(3, model)):
        twin = round_trip(state)
        assert type(twin) is type(state)
        assert_equal(arrays(twin), arrays(state))
    for layer in model.layers:
        twin = round_trip(layer)
        assert type(twin.params) is type(layer.params)
        field = be.float_tensor(np.random.default_rng(0).normal(size=(6, layer.num_units)))
        np.testing.assert_array_equal(array(twin.mean(field)), array(layer.mean(field)))
    weights = model.connections[0].weights
    assert isinstance(round_trip(weights).params, layers.ParamsWeights)
    np.testing.assert_array_equal(array(round_trip(weights).W()), array(weights.W()))


def step(model, rule, seed):
    state = random_state(model, 8, seed), random_state(model, 8, seed + 1)
    rule.update(model, model.gradient(*state))


@by_either
@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("together", [True, False], ids=["with the model", "alone"])
def test_optimizers_go_on_after_a_round_trip(round_trip, name, together):
    model = build("GB", (4, 3))
    rule = getattr(optimizers, name)(stepsize=schedules.PowerLawDecay(0.1, 1.0))
    for seed in range(3):
        rule.update_lr()
        step(model, rule, seed)
    if together:
        twin, twin_rule = round_trip((model, rule))
    else:
        twin, twin_rule = round_trip(model), round_trip(rule)
    for seed in range(3, 6):
        for m, r in ((model, rule), (twin, twin_rule)):
            r.update_lr()
            step(m, r, seed)
    assert_equal(values(twin), values(model))
    assert twin_rule.get_memory(twin)["updates"] == rule.get_memory(model)["updates"] == 6


def test_an_unpickled_optimizer_starts_again_with_another_model():
    rule = optimizers.ADAM(stepsize=0.1)
    step(pair("BB"), rule, 0)
    twin = pickle.loads(pickle.dumps(rule))
    other, fresh = build("BB", (6, 2)), build("BB", (6, 2))
    step(other, twin, 0)
    step(fresh, optimizers.ADAM(stepsize=0.1), 0)
    assert_equal(values(other), values(fresh))


@by_either
def test_samplers_go_on_after_a_round_trip(round_trip):
    model = pair("BB")
    for kind in (samplers.SequentialMC, samplers.ParallelTempering, samplers.TemperedTransitions):
        chains = kind.from_model(model, 5)
        chains.update_state(2)
        twin = round_trip(chains)
        found = []
        for each in (twin, chains):
            be.set_seed(9)
            each.update_state(3)
            found.append(arrays(each.get_state()))
        assert_equal(*found)


@by_either
def test_trainers_and_monitors_go_on_after_a_round_trip(round_trip, tmp_path):
    trainer = fit.SGD(pair("BB"), data_batch())
    trainer.monitor.generator_metrics = [ReconstructionError(name="error")]
    trainer.monitor.save_best(tmp_path / "best.h5", "error")
    trainer.train(optimizers.ADAM(stepsize=0.1), 2, verbose=False)
    assert round_trip(trainer.monitor).memory == trainer.monitor.memory
    twin = round_trip(trainer)
    assert twin.model is not trainer.model
    for each in (twin, trainer):
        be.set_seed(9)
        each.train(optimizers.ADAM(stepsize=0.1), 2, verbose=False)
    assert twin.monitor.memory == trainer.monitor.memory
    assert len(trainer.monitor.memory) == 4
    assert_equal(values(twin.model), values(trainer.model))


@by_either
def test_extended_mean_field_goes_on_after_a_round_trip(round_trip):
    model, tap = pair("BB"), fit.TAP(num_samples=2)
    trainer = fit.SGD(model, data_batch())
    trainer.monitor = None
    trainer.train(optimizers.ADAM(stepsize=0.1), 1, method=tap.tap_update, verbose=False)
    twin, twin_tap = round_trip((model, tap))
    for m, method in ((twin, twin_tap), (model, tap)):
        each = fit.SGD(m, data_batch())
        each.monitor = None
        be.set_seed(9)
        each.train(optimizers.ADAM(stepsize=0.1), 1, method=method.tap_update, verbose=False)
    assert_equal(values(twin), values(model))


def test_a_pickled_state_can_start_chains():
    model = pair("BB")
    state = pickle.loads(pickle.dumps(State.from_model(3, model)))
    assert model.markov_chain(1, state).batch_size() == 3
