"""Log-likelihoods as metrics, against the exact sums."""

import json

import numpy as np
import pytest
from machines import array, build, pair, random_state

from paysage import backends as be
from paysage import fit, metrics, optimizers
from paysage.batch import in_memory_batch
from paysage.errors import ConfigError, DataError
from paysage.likelihood import exact_log_partition, log_likelihood
from paysage.metrics import AISLogLikelihood, ExactLogLikelihood, ModelAssessment


def measured(metric, model, sizes=(7, 7)):
    rows = random_state(model, sum(sizes))[0]
    metric.reset()
    low = 0
    for size in sizes:
        metric.update(ModelAssessment(rows[low : low + size], model))
        low += size
    return metric.value(), log_likelihood(model, rows, exact_log_partition(model))


@pytest.mark.parametrize("kinds", ["BB", "BG", "BO", "OB", "GB"])
def test_both_are_the_likelihood(kinds):
    model = pair(kinds)
    for sizes in ((7, 7), (13, 1)):  # rows count alike, whatever minibatch they are in
        found, wanted = measured(ExactLogLikelihood(), model, sizes)
        assert found == pytest.approx(wanted.mean, abs=1e-4)
    metric = AISLogLikelihood(num_chains=200, betas=200)
    found, wanted = measured(metric, model)
    (report,) = metric.reports
    assert report.mean == found
    assert report.low <= wanted.mean <= report.high
    assert report.high - report.low < 0.3
    assert report.standard_error == pytest.approx(wanted.standard_error, rel=1e-3)
    assert 100 < report.effective_sample_size <= 200 + 1e-9


def test_the_partition_function_is_that_of_the_model_of_the_epoch():
    model = pair("BB")
    for metric in (ExactLogLikelihood(), AISLogLikelihood(num_chains=200, betas=200)):
        for bias in (0.0, 3.0):
            model.layers[1].params.loc[:] = bias
            found, wanted = measured(metric, model)
            assert found == pytest.approx(wanted.mean, abs=0.1)


def trainer_of(model, *chosen, rows=100):
    data = np.random.default_rng(1).integers(0, 2, (rows, 6)).astype(np.float32)
    trainer = fit.SGD(model, in_memory_batch(be.float_tensor(data), 10, train_fraction=0.8))
    trainer.monitor.generator_metrics = list(chosen)
    return trainer


def train(trainer, epochs):
    trainer.train(optimizers.ADAM(0.01), epochs, verbose=True)


def test_in_training_it_is_measured_every_so_many_epochs(capsys):
    model = build("BB", (6, 3))
    ais = AISLogLikelihood(every=2, num_chains=10, betas=5)
    exact = ExactLogLikelihood(every=3)
    trainer = trainer_of(model, metrics.ReconstructionError(), ais, exact)
    train(trainer, 3)
    train(trainer, 2)  # goes on counting: epochs 4 and 5
    memory = trainer.monitor.memory
    assert [list(entry) for entry in memory] == [
        [m.name for m in (metrics.ReconstructionError(), ais, exact)]
    ] * 5
    assert [entry["AISLogLikelihood"] is None for entry in memory] == [
        True,
        False,
        True,
        False,
        True,
    ]
    assert [entry["ExactLogLikelihood"] is None for entry in memory] == [
        True,
        True,
        False,
        True,
        True,
    ]
    printed = capsys.readouterr().out
    # before training, at 2 and 4; before the first training, before the second (epoch 3) and at 3
    assert printed.count("-AISLogLikelihood: ") == len(ais.reports) == 3
    assert printed.count("-ExactLogLikelihood: ") == 3
    assert ais.reports[-1].mean == memory[3]["AISLogLikelihood"]


def test_outside_of_training_all_are_measured():
    model = build("BB", (6, 3))
    trainer = trainer_of(model, AISLogLikelihood(num_chains=10, betas=5))
    assert trainer.monitor.evaluate(trainer.batch, model)["AISLogLikelihood"] < 0


def test_curves_and_the_best_model_take_the_epochs_there_are(tmp_path):
    pytest.importorskip("matplotlib")
    model = build("BB", (6, 3))
    metric = ExactLogLikelihood(every=2)
    trainer = trainer_of(model, metric)
    trainer.monitor.save_best(tmp_path / "best.h5", metric, "max")
    train(trainer, 4)
    assert (tmp_path / "best.h5").exists()
    figure = trainer.monitor.plot_metrics(show=False)
    assert figure.axes[0].lines[0].get_xydata()[:, 0].tolist() == [2, 4]


@pytest.mark.backend_free
def test_options():
    for metric in (
        AISLogLikelihood(3, 20, [0.0, 0.5, 1.0]),
        AISLogLikelihood(),
        ExactLogLikelihood(4),
    ):
        config = json.loads(json.dumps(metric.get_config()))
        assert type(metric).from_config(config).get_config() == metric.get_config()
    for wrong in ({"every": 0}, {"num_chains": 1}, {"betas": [0.0, 0.5]}, {"betas": 0}):
        with pytest.raises(ConfigError):
            AISLogLikelihood(**wrong)
    with pytest.raises(ConfigError, match="every"):
        ExactLogLikelihood(every=2.5)
    for metric in (AISLogLikelihood(), ExactLogLikelihood()):
        with pytest.raises(DataError, match="no value"):
            metric.value()


@pytest.mark.parametrize("metric", [AISLogLikelihood, ExactLogLikelihood])
def test_a_deep_machine_stops_the_training_before_it_begins(metric):
    model = build("BBB", (6, 3, 2))
    before = array(model.connections[0].weights.W())
    with pytest.raises(ConfigError, match=f"{metric.__name__} failed.*variational_bound"):
        train(trainer_of(model, metric()), 2)
    np.testing.assert_array_equal(array(model.connections[0].weights.W()), before)
