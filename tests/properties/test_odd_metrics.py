"""Metrics of odd minibatches: finite numbers, those of a plain array, or a named error."""

import json

import numpy as np
from hypothesis import example
from hypothesis import strategies as st
from odd import (
    ONE_HOT_ROWS,
    REFUSED,
    attempt,
    given,
    handed,
    is_flag,
    is_whole,
    ordinary,
    plain,
    shapes,
    things,
)
from test_odd_likelihoods import quietly
from test_odd_models import KINDS, is_visible, machine, moderate

from paysage import backends as be
from paysage import metrics
from paysage.batch import in_memory_batch
from paysage.metrics import ModelAssessment, ProgressMonitor

ALL = {
    "ReconstructionError": {},
    "EnergyCoefficient": {},
    "HeatCapacity": {},
    "WeightSparsity": {},
    "WeightSquare": {},
    "KLDivergence": {"k": 1},
    "ReverseKLDivergence": {"k": 2},
    "JensenShannonDivergence": {"k": 1},
    "FrechetScore": {},
    "TAPFreeEnergy": {"max_iters": 20},
    "TAPLogLikelihood": {"max_iters": 20},
    "PseudoLikelihood": {},
    "ExactLogLikelihood": {},
    "AISLogLikelihood": {"num_chains": 3, "betas": 3},
}
MINIBATCHES = handed(st.one_of(shapes(most=2), st.tuples(st.integers(0, 6), st.just(3))))


def measured(name, what, model):
    be.set_seed(137)
    metric = getattr(metrics, name)(**ALL[name])
    metric.update(ModelAssessment(what, model, 1))
    return metric.value()


@given(st.sampled_from(sorted(ALL)), KINDS, MINIBATCHES)
@example("ReconstructionError", "BB", ordinary(ONE_HOT_ROWS))
@example("KLDivergence", "OB", ordinary(ONE_HOT_ROWS))
@example("ExactLogLikelihood", "GB", ordinary(ONE_HOT_ROWS))
def test_metrics_of_minibatches(name, kinds, x):
    model = machine(kinds, scale=0.1)
    found = quietly(measured, name, x.what, model)
    if not is_visible(kinds[0], x):
        assert found is REFUSED
        return
    again = quietly(measured, name, plain(x.single()), model)
    assert (found is REFUSED) == (again is REFUSED)
    if found is not REFUSED and moderate(x):
        assert np.isfinite(found) and isinstance(found, float)
        np.testing.assert_allclose(found, again, rtol=1e-5, atol=1e-6)
    assert x.same_now()


def test_all_metrics_are_here():
    assert set(ALL) == {
        n for n in metrics.__all__ if n[0].isupper() and hasattr(getattr(metrics, n), "value")
    } - {"Metric"}


@given(things(), things())
def test_assessments_of_anything(thing, number):
    model = machine("BB")
    assert attempt(ModelAssessment, thing, model) is REFUSED
    for part in ("model_state", "model_energy", "reconstructions", "pairs"):
        seen = ModelAssessment(np.eye(3), thing)
        assert attempt(getattr, seen, part) is REFUSED
    found = attempt(ModelAssessment, np.eye(3), model, number)
    assert (found is REFUSED) == (not is_whole(number, 0))
    found = attempt(ModelAssessment, np.eye(3), model, 1, number)
    assert (found is REFUSED) == (number is not None and not is_whole(number, 1))


OPTIONS = {
    ("KLDivergence", "k"): lambda v: is_whole(v, 1),
    ("KLDivergence", "divide_dimension"): is_flag,
    ("JensenShannonDivergence", "k"): lambda v: is_whole(v, 1),
    ("TAPFreeEnergy", "num_samples"): lambda v: is_whole(v, 1),
    ("TAPFreeEnergy", "order"): lambda v: is_whole(v, 1) and v <= 3,
    ("TAPFreeEnergy", "max_iters"): lambda v: is_whole(v, 0),
    ("TAPLogLikelihood", "num_samples"): lambda v: is_whole(v, 1),
    ("PseudoLikelihood", "max_exact"): lambda v: is_whole(v, 0),
    ("ExactLogLikelihood", "every"): lambda v: is_whole(v, 1),
    ("AISLogLikelihood", "every"): lambda v: is_whole(v, 1),
    ("AISLogLikelihood", "num_chains"): lambda v: is_whole(v, 2),
    ("AISLogLikelihood", "betas"): lambda v: is_whole(v, 1),
}


@given(st.sampled_from(sorted(OPTIONS)), things())
def test_options_of_metrics(which, thing):
    name, option = which
    kind = getattr(metrics, name)
    made = attempt(kind, **{option: thing})
    assert (made is REFUSED) == (not OPTIONS[which](thing))
    if made is not REFUSED:
        config = json.loads(json.dumps(made.get_config()))
        assert kind.from_config(config).get_config() == made.get_config()
    assert attempt(kind.from_config, thing) is REFUSED
    assert attempt(kind.from_config, {"name": name, "word": thing}) is REFUSED
    attempt(kind.from_config, {"name": name, option: thing})


@given(things(), things())
def test_monitors(thing, number):
    monitor = attempt(ProgressMonitor, thing)
    model, batch = machine("BB"), in_memory_batch(np.eye(3)[np.arange(40) % 3], 4)
    if monitor is not REFUSED and thing is not None:
        found = attempt(monitor.evaluate, batch, model, 1)
        assert (found is REFUSED) == (len(list(thing)) > 0)
    monitor = ProgressMonitor([metrics.WeightSquare()])
    assert attempt(monitor.evaluate, thing, model) is REFUSED
    assert attempt(monitor.evaluate, batch, thing) is REFUSED
    found = attempt(monitor.evaluate, batch, model, number)
    assert (found is REFUSED) == (not is_whole(number, 0))
    assert attempt(monitor.save_best, "word.h5", thing) is REFUSED
    found = attempt(monitor.save_every, "word.h5", thing)
    assert (found is REFUSED) == (not is_whole(thing, 1))
    found = attempt(monitor.save_best, "word.h5", "WeightSquare", thing)
    assert found is REFUSED
    if not isinstance(thing, str):
        assert attempt(monitor.save_every, thing) is REFUSED
        assert attempt(monitor.save_best, thing, "WeightSquare") is REFUSED
