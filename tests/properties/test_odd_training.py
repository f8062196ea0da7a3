"""Training: odd settings are refused before anything is changed, odd data train as plain ones."""

import warnings

import numpy as np
import pytest
from hypothesis import example
from hypothesis import strategies as st
from odd import (
    REFUSED,
    attempt,
    given,
    handed,
    is_flag,
    is_number,
    is_whole,
    plain,
    things,
)
from test_odd_models import KINDS, is_visible, machine

from paysage import backends as be
from paysage import fit, optimizers
from paysage.batch import in_memory_batch
from paysage.fit import callbacks
from paysage.metrics import WeightSquare
from paysage.samplers import ParallelTempering, SequentialMC

ROWS = np.eye(3)[np.arange(40) % 3]


def parts(kinds="BB", rows=ROWS):
    return machine(kinds), in_memory_batch(rows, 12, 0.5)


def values_of(model):
    found = model.get_values()
    leaves = [p for owner in (*found["layers"], *found["weights"]) for p in owner.values()]
    return np.concatenate([p.ravel() for p in leaves])


def trained(model, batch, trainer=fit.SGD, **options):
    trainer = trainer(model, batch)
    if hasattr(trainer, "monitor"):
        trainer.monitor.generator_metrics[:] = [WeightSquare()]
    given_options = {"num_epochs": 1, "verbose": False, **options}
    rule = given_options.pop("optimizer", optimizers.Gradient(0.01))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        trainer.train(rule, given_options.pop("num_epochs"), **given_options)
    return values_of(model)


def in_range(low, high=np.inf):
    return lambda v: is_number(v, low, high)


OPTIONS = {
    "num_epochs": lambda v: is_whole(v, 0),
    "mcsteps": lambda v: is_whole(v, 1),
    "update_method": lambda v: False,
    "method": callable,
    "beta_std": lambda v: is_number(v, 0) and (v == 0 or 1e-6 <= v <= 1e6),
    "negative_phase_batch_size": lambda v: v is None or is_whole(v, 1),
    "verbose": is_flag,
    "burn_in": lambda v: is_whole(v, 0),
    "sampler": lambda v: v is None,
    "capture": is_flag,
    "positive_phase": lambda v: v is None,
    "average_last": in_range(0, 1),
    "precision": lambda v: False,
    "checkpoint": lambda v: v is None,
    "resume": lambda v: is_flag(v) and not v,
    "callbacks": lambda v: hasattr(v, "__iter__") and len(v) == 0,
    "processes": lambda v: v is None,
    "optimizer": lambda v: False,
}


@given(st.sampled_from(sorted(OPTIONS)), things())
def test_options_of_training(name, thing):
    model, batch = parts()
    before = values_of(model)
    if name == "checkpoint" and isinstance(thing, str):
        return
    if name == "method" and callable(thing):
        return
    found = attempt(trained, model, batch, **{name: thing})
    assert (found is REFUSED) == (not OPTIONS[name](thing))
    if found is REFUSED:
        np.testing.assert_array_equal(values_of(model), before)
    else:
        assert np.isfinite(found).all()


NOT_OF_LAYERS = {"update_method", "burn_in", "sampler", "positive_phase", "average_last"}
LAYERWISE = [*sorted(set(OPTIONS) - NOT_OF_LAYERS - {"callbacks"}), "init_method"]


@given(st.sampled_from(LAYERWISE), things())
def test_options_of_pretraining(name, thing):
    model, batch = parts("BBB")
    before = values_of(model)
    if (name == "checkpoint" and isinstance(thing, str)) or (name == "method" and callable(thing)):
        return
    found = attempt(trained, model, batch, fit.LayerwisePretrain, **{name: thing})
    good = name != "init_method" and OPTIONS[name](thing)
    assert (found is REFUSED) == (not good)
    if found is REFUSED:
        np.testing.assert_array_equal(values_of(model), before)


@given(things(), things())
def test_trainers_of_anything(thing, steps):
    model, batch = parts()
    for trainer in (fit.SGD, fit.LayerwisePretrain):
        assert attempt(trainer, thing, batch) is REFUSED
        assert attempt(trainer, model, thing) is REFUSED
    found = attempt(fit.SGD, model, batch, steps)
    assert (found is REFUSED) == (not is_whole(steps, 1))


@given(KINDS, handed(st.tuples(st.integers(8, 12), st.just(3))))
def test_training_on_odd_data(kinds, x):
    batch = attempt(in_memory_batch, x.what, 3, 0.5)
    if batch is REFUSED:
        return
    model, again = machine(kinds), machine(kinds)
    before = values_of(model)
    be.set_seed(1)
    found = attempt(trained, model, batch)
    if not is_visible(kinds[0], x):
        assert found is REFUSED
        np.testing.assert_array_equal(values_of(model), before)
    elif found is REFUSED:  # diverged, and went back to the last good epoch
        np.testing.assert_array_equal(values_of(model), before)
        assert kinds[0] == "G" and np.abs(x.single()).max() > 10
    else:
        be.set_seed(1)
        expected = trained(again, in_memory_batch(plain(x.single()), 3, 0.5))
        np.testing.assert_array_equal(found, expected)
        assert np.isfinite(found).all()


@pytest.mark.parametrize("clamped", [[0], [1]])
@pytest.mark.parametrize("kind", [SequentialMC, ParallelTempering])
def test_clamped_chains_are_no_negative_phase(kind, clamped):
    """Chains some of whose layers never move do not sample the model."""
    model, batch = parts()
    chains = kind.from_model(model, 4, clamped=clamped)
    assert attempt(trained, model, batch, sampler=chains) is REFUSED
    model.set_clamped_sampling(clamped)
    chains = kind.from_model(model, 4)
    assert attempt(trained, model, batch, sampler=chains) is REFUSED
    assert np.isfinite(trained(model, batch, sampler=kind.from_model(model, 4, clamped=[]))).all()


TAP_OPTIONS = {
    "use_GD": is_flag,
    "ratchet": is_flag,
    "init_lr": in_range(0),
    "tolerance": lambda v: is_number(v, 0) or (isinstance(v, float) and v == np.inf),
    "max_iters": lambda v: is_whole(v, 0),
    "num_samples": lambda v: is_whole(v, 1),
    "order": lambda v: is_whole(v, 1) and v <= 3,
    "decrease_on_neg": lambda v: is_number(v, 0, 1) and v > 0,
    "mean_weight": lambda v: is_number(v, 0, 1) and v < 1,
    "mean_square_weight": lambda v: is_number(v, 0, 1) and v < 1,
    "damping": lambda v: is_number(v, 0, 1) and v < 1,
}


@given(st.sampled_from(sorted(TAP_OPTIONS)), things())
@example("init_lr", 0.5)
@example("max_iters", 2)
def test_options_of_mean_field_training(name, thing):
    made = attempt(fit.TAP, **{name: thing})
    assert (made is REFUSED) == (not TAP_OPTIONS[name](thing))
    if made is not REFUSED:
        model, batch = parts()
        assert np.isfinite(trained(model, batch, method=made.tap_update)).all()


@given(things(), things())
def test_options_of_mean_fields(tolerance, sweeps):
    made = attempt(fit.MeanField, tolerance, sweeps)
    assert (made is REFUSED) == (not (is_number(tolerance, 0) and is_whole(sweeps, 1)))


CALLBACKS = {
    (callbacks.EarlyStopping, "patience"): lambda v: is_whole(v, 1),
    (callbacks.EarlyStopping, "extremum"): lambda v: False,
    (callbacks.EarlyStopping, "least"): in_range(0),
    (callbacks.HalveOnDivergence, "factor"): lambda v: is_number(v, 0, 1) and 0 < v < 1,
    (callbacks.HalveOnDivergence, "at_most"): lambda v: is_whole(v, 1),
}


@given(st.sampled_from(range(len(CALLBACKS))), things())
def test_options_of_callbacks(which, thing):
    (kind, name), good = list(CALLBACKS.items())[which]
    fixed = {"metric": "WeightSquare"} if kind is callbacks.EarlyStopping else {}
    made = attempt(kind, **fixed, **{name: thing})
    assert (made is REFUSED) == (not good(thing))


@given(things(), st.sampled_from(["every", "shape", "num_images"]))
def test_options_of_tensorboard(thing, name):
    made = attempt(callbacks.TensorBoard, "runs", **{name: thing})
    pair = (
        isinstance(thing, list | tuple) and len(thing) == 2 and all(is_whole(n, 1) for n in thing)
    )
    good = thing is None or pair if name == "shape" else is_whole(thing, 1)
    assert (made is REFUSED) == (not good)


@given(things())
def test_files_of_callbacks(thing):
    if isinstance(thing, str):
        return
    model, batch = parts()
    for kind in (
        callbacks.CSVLog,
        callbacks.JSONLinesLog,
        lambda path: callbacks.SaveBest(path, "WeightSquare"),
        callbacks.TensorBoard,
    ):
        found = attempt(lambda kind=kind: trained(model, batch, callbacks=[kind(thing)]))
        assert found is REFUSED
    assert attempt(fit.read_checkpoint, thing) is REFUSED
    metric = [callbacks.EarlyStopping(thing)] if not isinstance(thing, type) else [thing]
    assert attempt(trained, model, batch, callbacks=metric) is REFUSED
