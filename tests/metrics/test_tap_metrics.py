"""Free energy and likelihood by extended mean field against exact sums."""

import logging
from types import SimpleNamespace

import pytest
from machines import array, build, random_state, skip, twin

from paysage import backends as be
from paysage.errors import ConfigError
from paysage.metrics import ModelAssessment, TAPFreeEnergy, TAPLogLikelihood


def measured(metric, model, rows=7):
    data = random_state(model, rows)[0]
    return metric.measure(ModelAssessment(data, model)), array(data)


# kinds, sizes, edges; a star has its hidden layers side by side
STAR = ("BBG", (4, 3, 2), [(0, 1), (2, 0)])
MACHINES = [
    ("BB", (4, 3), None),
    ("BG", (4, 3), None),
    ("GB", (4, 3), None),
    ("OB", (4, 3), None),
    STAR,
]


@pytest.mark.parametrize("kinds, sizes, edges", MACHINES)
def test_where_couplings_are_weak_both_are_exact(kinds, sizes, edges):
    model = build(kinds, sizes, edges, scale=0.2, center=True)
    exact = twin(model)
    free_energy, _ = measured(TAPFreeEnergy(order=3, tolerance=1e-4), model)
    assert free_energy == pytest.approx(-exact.log_sum(), abs=2e-3)
    found, data = measured(TAPLogLikelihood(order=3, tolerance=1e-4), model)
    assert found == pytest.approx(exact.log_likelihood(data), abs=2e-3)


def test_the_free_energy_takes_a_deep_machine_and_the_likelihood_says_why_not():
    model = skip(scale=0.2)
    value, data = measured(TAPFreeEnergy(), model)
    assert value == pytest.approx(-twin(model).log_sum(), abs=0.02)
    for deep, words in (
        (model, "ring of an odd number"),
        (build("BBB", (4, 3, 2)), "all be summed"),
    ):
        with pytest.raises(ConfigError, match=words):
            TAPLogLikelihood().measure(SimpleNamespace(model=deep, data=be.float_tensor(data)))


def test_the_smallest_of_several_starts_counts():
    # two states of a magnet, one lower: all units on, or off
    model = build("BB", (6, 6), scale=0.0)
    model.connections[0].weights.params.matrix[:] = 2.0
    for layer in model.layers:
        layer.params.loc[:] = -5.9
    be.set_seed(2)
    one = [measured(TAPFreeEnergy(1, order=1), model)[0] for _ in range(8)]
    many, _ = measured(TAPFreeEnergy(30, order=1), model)
    assert max(one) > min(one) + 0.5
    assert many == pytest.approx(min(one), abs=0.05)


def test_the_search_is_made_once_between_resets(monkeypatch):
    model = build("BB", (4, 3))
    calls, proper = [], model.compute_StateTAP
    monkeypatch.setattr(model, "compute_StateTAP", lambda **kw: (calls.append(kw), proper(**kw))[1])
    metric = TAPLogLikelihood(num_samples=3)
    for _ in range(2):
        metric.reset()
        for rows in (3, 5):
            metric.update(ModelAssessment(random_state(model, rows)[0], model))
    assert [kw["num_samples"] for kw in calls] == [3, 3]


def test_what_does_not_converge_is_logged(caplog):
    with caplog.at_level(logging.WARNING, logger="paysage"):
        measured(TAPFreeEnergy(max_iters=0), build("BB", (4, 3)))
    assert "not converged" in caplog.text


def test_options_go_into_the_configuration():
    metric = TAPLogLikelihood(4, order=3)
    twin_metric = TAPLogLikelihood.from_config(metric.get_config())
    assert (twin_metric.num_samples, twin_metric.order) == (4, 3)


@pytest.mark.parametrize(
    "option", [{"num_samples": 0}, {"order": 4}, {"tolerance": -1.0}, {"max_iters": "200"}], ids=str
)
def test_options_that_cannot_be_meant_are_refused_before_training(option):
    with pytest.raises(ConfigError, match=next(iter(option))):
        TAPFreeEnergy(**option)
