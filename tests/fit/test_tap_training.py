"""Training by extended mean field: its gradient against the exact one, and what it reaches."""

import logging

import numpy as np
import pytest
import reference
from machines import array, arrays, build, random_state, twin

from paysage import backends as be
from paysage import fit, optimizers, penalties
from paysage.batch import in_memory_batch
from paysage.errors import ConfigError
from paysage.fit import Phases
from paysage.layers import BernoulliLayer
from paysage.layers.tap import BernoulliTAP
from paysage.models import BoltzmannMachine

THOROUGH = {"use_GD": False, "tolerance": 1e-6, "max_iters": 100, "order": 3}


def step(model, visible, method=None, **settings):
    phases = Phases(model, 5, **settings)
    return (method or fit.TAP(**THOROUGH)).tap_update(visible, phases)


def leaves(machine):
    """Of the reference, in the order of a gradient's leaves."""
    return machine.leaves().values()


@pytest.mark.parametrize("center", [False, True])
@pytest.mark.parametrize("kinds", ["BB", "BG", "GB", "BO", "OB", "OO", "OG"])
def test_where_couplings_are_weak_the_gradient_is_the_exact_one(kinds, center):
    model = build(kinds, (4, 3), seed=2, scale=0.1, center=center)
    visible = random_state(model, 6)[0]
    gradient, exact, rows = step(model, visible), twin(model), array(visible)
    for leaf, values in zip(gradient.leaves(), leaves(exact), strict=True):
        wanted = reference.finite_difference(lambda: -exact.log_likelihood(rows), values)
        # the terms left out are of third order in couplings of 0.1, of Gaussian ones up to 0.17
        np.testing.assert_allclose(array(leaf), wanted, atol=1.5e-3)


def test_a_naive_gradient_is_further_from_the_exact_one():
    model = build("BB", (4, 3), seed=2, scale=1.0)
    visible, exact = random_state(model, 6)[0], twin(model)
    wanted = [
        reference.finite_difference(lambda: -exact.log_likelihood(array(visible)), values)
        for values in leaves(exact)
    ]
    errors = []
    for order in (1, 2, 3):
        found = step(model, visible, fit.TAP(**{**THOROUGH, "order": order})).leaves()
        pairs = zip(found, wanted, strict=True)
        errors.append(max(np.abs(array(a) - b).max() for a, b in pairs))
    assert errors[0] > 2 * errors[1] and errors[1] > 1.2 * errors[2]


def test_of_mean_field_chains_every_hidden_layer_has_its_spread():
    """A chain in which the data's phase is exact: inner units see no hidden neighbour."""
    model = build("BGB", (4, 3, 2), seed=2, scale=0.15)
    model.connections[1].weights.params.matrix[:] = 0.0
    visible = random_state(model, 6)[0]
    gradient = step(model, visible, update_method="mean_field_iteration")
    exact, rows = twin(model), array(visible)
    values = exact.units[1].params["log_var"]
    wanted = reference.finite_difference(lambda: -exact.log_likelihood(rows), values)
    np.testing.assert_allclose(array(gradient.layers[1].log_var), wanted, atol=5e-4)


def test_penalties_are_added_once_and_fixed_parameters_stay():
    model = build("BB", (4, 3), seed=2)
    visible, method = random_state(model, 6)[0], fit.TAP(**THOROUGH)
    plain = [array(x) for x in step(model, visible, method).leaves()]
    model.connections[0].weights.add_penalty({"matrix": penalties.l2_penalty(0.3)})
    model.layers[1].set_fixed_params(["loc"])
    found = [array(x) for x in step(model, visible, method).leaves()]
    matrix = array(model.connections[0].weights.W())
    np.testing.assert_allclose(found[2], plain[2] + 0.3 * matrix, atol=1e-5)
    np.testing.assert_allclose(found[0], plain[0], atol=1e-5)
    assert not found[1].any()


def test_no_negative_chain_is_moved(monkeypatch):
    model = build("BBB", (4, 3, 2))
    phases = Phases(model, 5)
    monkeypatch.setattr(phases, "negative", None)
    fit.TAP().tap_update(random_state(model, 6)[0], phases)
    assert phases.data is not None


def test_the_search_goes_on_from_the_means_of_the_step_before():
    model = build("BB", (6, 5), scale=1.0)
    visible = random_state(model, 6)[0]
    method = fit.TAP(use_GD=False, max_iters=200, tolerance=1e-3, num_samples=4)
    step(model, visible, method)
    assert method.report.converged and method.report.iterations > 0
    assert tuple(be.shape(method.report.free_energy)) == (4,)
    step(model, visible, method)
    assert method.report.iterations == 0
    step(build("BB", (3, 2), scale=1.0), random_state(build("BB", (3, 2)), 6)[0], method)
    assert method.report.iterations > 0, "another model starts anew"


def test_means_that_were_lost_are_drawn_anew():
    model = build("BB", (6, 5))
    visible, method = random_state(model, 6)[0], fit.TAP(use_GD=False, max_iters=100)
    good = array(model.connections[0].weights.W())
    model.connections[0].weights.params.matrix[:] = float("nan")
    with np.errstate(all="ignore"):
        step(model, visible, method)
    assert not method.report.converged
    model.connections[0].weights.set_params([good])
    step(model, visible, method)
    assert method.report.converged


def learner(kinds, truth_scale=2.0, rows=500):
    """Data drawn from a machine with strong couplings, and an untrained machine of its kind."""
    rng = np.random.default_rng(3)
    truth = build(kinds, (5, 4, 3)[: len(kinds)], seed=1, scale=truth_scale)
    exact = twin(truth)
    pick = rng.choice(len(exact.probabilities()), rows, p=exact.probabilities())
    data = exact.listed()[0][pick].astype(np.float32)
    return build(kinds, (5, 4, 3)[: len(kinds)], seed=8, scale=0.05), data


def loss(model, data):
    return -twin(model).log_likelihood(data[:200].astype(np.float64))


def train(model, data, method, epochs=12):
    trainer = fit.SGD(model, in_memory_batch(be.float_tensor(data), 50, 0.9))
    trainer.monitor.generator_metrics = []
    trainer.train(
        optimizers.ADAM(0.02), epochs, method=method.tap_update, beta_std=0.0, verbose=False
    )


@pytest.mark.parametrize(
    "kinds, center, use_GD",
    [("BB", True, True), ("BG", False, False), ("OB", False, True), ("BBB", False, False)],
)
def test_training_lowers_the_exact_loss(kinds, center, use_GD):
    model, data = learner(kinds)
    for layer in model.layers:
        layer.center = center
    rows = np.unique(data, axis=0, return_counts=True)[1] / len(data)
    entropy = -float(rows @ np.log(rows))
    # what the best independent units reach, found by training without couplings
    alone = model.copy()
    for c in alone.connections:
        c.weights.set_fixed_params(["matrix"])
        c.weights.params.matrix[:] = 0.0
    train(alone, data, fit.TAP(use_GD=use_GD))
    train(model, data, fit.TAP(use_GD=use_GD))
    gain = loss(alone, data) - loss(model, data)
    assert gain > 0.25 * (loss(alone, data) - entropy)


def test_what_does_not_converge_is_said_once_a_training(caplog):
    model, data = learner("BB")
    method = fit.TAP(max_iters=1, tolerance=1e-6)
    with caplog.at_level(logging.WARNING, logger="paysage"):
        train(model, data, method, epochs=1)
    assert len(caplog.records) == 1 and "not converged" in caplog.text
    assert method.unconverged == 9  # of 450 rows in minibatches of 50


def test_the_positional_order_is_that_of_the_surface():
    method = fit.TAP(False, 0.2, 0.03, 7, True, 0.8, 0.7, 0.99)
    rule = method.rule
    found = (rule.use_GD, rule.init_lr, rule.tolerance, rule.max_iters, rule.ratchet)
    assert found == (False, 0.2, 0.03, 7, True)
    assert (rule.decrease_on_neg, rule.mean_weight, rule.mean_square_weight) == (0.8, 0.7, 0.99)


@pytest.mark.parametrize("settings", [{"num_samples": 0}, {"order": 4}, {"init_lr": -1}])
def test_settings_that_cannot_be_meant_are_refused_at_once(settings):
    with pytest.raises(ConfigError, match=next(iter(settings))):
        fit.TAP(**settings)


def test_a_layer_without_the_ability_is_refused_before_a_step(monkeypatch):
    from paysage.layers import tap

    class OwnUnits(BernoulliLayer):
        pass

    assert isinstance(tap.tap_units(OwnUnits(2)), BernoulliTAP)
    monkeypatch.delitem(tap._ABILITIES, BernoulliLayer)
    model = BoltzmannMachine([BernoulliLayer(5), OwnUnits(4)])
    before = arrays([c.weights.W() for c in model.connections])
    with pytest.raises(ConfigError, match="lacks the TAP ability"):
        train(model, learner("BB")[1], fit.TAP())
    np.testing.assert_array_equal(array(model.connections[0].weights.W()), before[0])
