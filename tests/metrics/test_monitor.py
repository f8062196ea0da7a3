import warnings
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest

from paysage import backends as be
from paysage import batch, fit, optimizers
from paysage.errors import (
    ConfigError,
    DataError,
    DataWarning,
    DivergenceError,
    PaysageError,
    StorageError,
)
from paysage.layers import BernoulliLayer
from paysage.metrics import (
    KLDivergence,
    Metric,
    ModelAssessment,
    ProgressMonitor,
    ReconstructionError,
)
from paysage.models import BoltzmannMachine


class Table:
    """A batch of given validation minibatches."""

    def __init__(self, *sizes):
        self.minibatches = [be.float_tensor(np.full((n, 2), float(n))) for n in sizes]

    def iterate(self, mode):
        assert mode == "validate"
        yield from self.minibatches


class Notebook:
    """A model that writes down the names under which it was saved."""

    def __init__(self):
        self.saved = []

    def save(self, path):
        self.saved.append(path)


class Rows(Metric):
    def measure(self, assessment):
        return be.shape(assessment.data)[0]


class First(Metric):
    def measure(self, assessment):
        return float(assessment.data[0, 0])


class Failing(Metric):
    def measure(self, assessment):
        raise KeyError("weights")


class Picky(Metric):
    def measure(self, assessment):
        raise DataError("got 1 row, expected 6")


class Infinite(Metric):
    def measure(self, assessment):
        return float("inf")


class Steps(Metric):
    def measure(self, assessment):
        return assessment.fantasy_steps


def test_default_metrics_are_not_shared():
    one, other = ProgressMonitor(), ProgressMonitor()
    one.generator_metrics.append(Rows())
    assert len(other.generator_metrics) == 7
    assert not set(map(id, one.generator_metrics)) & set(map(id, other.generator_metrics))


def test_the_list_given_is_not_the_one_kept():
    mine = [Rows()]
    ProgressMonitor(mine).generator_metrics.append(First())
    assert len(mine) == 1


def test_evaluate_averages_in_order():
    monitor = ProgressMonitor([Rows()])
    monitor.generator_metrics.append(Steps())
    measured = monitor.evaluate(Table(4, 4, 4), model=None, fantasy_steps=3)
    assert measured == OrderedDict([("Rows", 4.0), ("Steps", 3.0)])
    assert list(measured) == ["Rows", "Steps"]


def test_evaluate_starts_anew_each_time():
    monitor = ProgressMonitor([First()])
    assert monitor.evaluate(Table(4), None)["First"] == 4.0
    assert monitor.evaluate(Table(2), None)["First"] == 2.0


def test_partial_last_minibatch_is_left_out():
    assert ProgressMonitor([First()]).evaluate(Table(4, 4, 1), None)["First"] == 4.0


def test_partial_minibatch_counts_when_it_is_the_only_one():
    assert ProgressMonitor([First()]).evaluate(Table(3), None)["First"] == 3.0


def test_minibatches_are_measured_in_groups_of_bounded_size(monkeypatch):
    sizes = []

    def spy(cls, group, model, steps, earlier):
        sizes.append(len(group))
        return [ModelAssessment(visible, model, steps) for visible in group]

    monkeypatch.setattr(ModelAssessment, "of_minibatches", classmethod(spy))
    monkeypatch.setattr("paysage.metrics.monitor.AT_ONCE", 3 * 8)  # minibatches of 4 rows of 2
    measured = ProgressMonitor([First()]).evaluate(Table(4, 4, 4, 4, 4, 1), None)
    assert measured["First"] == 4.0
    assert sizes == [3, 2]
    sizes.clear()
    ProgressMonitor([First()]).evaluate(Table(40, 40), None)
    assert sizes == [1, 1]


def test_no_validation_data():
    with pytest.raises(DataError, match="no validation minibatch"):
        ProgressMonitor([First()]).evaluate(Table(), None)


def test_no_metrics_need_no_data():
    assert ProgressMonitor([]).evaluate(Table(), None) == OrderedDict()


def test_a_failing_metric_is_named():
    with pytest.raises(PaysageError, match="metric Failing failed: KeyError: 'weights'") as caught:
        ProgressMonitor([Rows(), Failing()]).evaluate(Table(2), None)
    assert isinstance(caught.value.__cause__, KeyError)


def test_an_error_of_the_library_keeps_its_kind():
    with pytest.raises(DataError, match=r"metric Picky failed: .*expected 6"):
        ProgressMonitor([Picky()]).evaluate(Table(2), None)


def trained_on(validation_rows, monitor_of=lambda monitor: monitor):
    rows = (np.random.default_rng(0).random((100 + validation_rows, 8)) < 0.3) * 1.0
    data = batch.in_memory_batch(rows, 50, train_fraction=100 / (100 + validation_rows))
    rbm = BoltzmannMachine([BernoulliLayer(8), BernoulliLayer(4)])
    rbm.initialize(data)
    trainer = fit.SGD(rbm, data)
    monitor_of(trainer.monitor)
    trainer.train(optimizers.ADAM(), 3, verbose=False)
    return trainer.monitor


def test_default_metrics_that_need_more_rows_are_skipped_with_one_warning():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        monitor = trained_on(2)
    found = [w for w in caught if issubclass(w.category, DataWarning)]
    assert len(found) == 1
    assert "skipped KLDivergence, ReverseKLDivergence" in str(found[0].message)
    assert "needs more than k=5 rows on each side, got 2 and 2" in str(found[0].message)
    for metrics in monitor.memory:
        skipped = {name for name, value in metrics.items() if value is None}
        assert skipped == {"KLDivergence", "ReverseKLDivergence"}
    monitor.plot_metrics(show=False)


@pytest.mark.filterwarnings("error")
def test_default_metrics_of_enough_rows_are_all_measured():
    assert all(None not in metrics.values() for metrics in trained_on(6).memory)


def test_metrics_that_the_caller_chose_raise_where_rows_are_too_few():
    def chosen(monitor):
        monitor.generator_metrics = [KLDivergence()]

    with pytest.raises(DataError, match=r"metric KLDivergence failed: .* got 2 and 2"):
        trained_on(2, chosen)
    with pytest.raises(DataError, match="metric Picky failed"):
        trained_on(6, lambda monitor: monitor.generator_metrics.append(Picky()))


def test_a_metric_that_is_not_finite_is_named():
    with pytest.raises(DivergenceError, match="metric Infinite is inf"):
        ProgressMonitor([Infinite()]).evaluate(Table(2), None)


def test_a_class_is_refused():
    monitor = ProgressMonitor()
    monitor.generator_metrics.append(Rows)
    with pytest.raises(ConfigError, match=r"expected an instance: Rows\(\)"):
        monitor.evaluate(Table(2), None)


def test_what_is_no_metric_is_refused():
    with pytest.raises(ConfigError, match="'Rows', which lacks name, update, value, reset"):
        ProgressMonitor(["Rows"]).evaluate(Table(2), None)


def test_two_metrics_of_one_name():
    with pytest.raises(ConfigError, match="two metrics are named Rows"):
        ProgressMonitor([Rows(), Rows()]).evaluate(Table(2), None)


def recorded(monitor, values, start=0):
    """Record the values, epoch after epoch; the names saved under."""
    model = Notebook()
    for epoch, value in enumerate(values, start):
        monitor.record(epoch, OrderedDict(First=value), model)
    return model.saved


def test_memory_holds_one_dict_an_epoch():
    monitor = ProgressMonitor([First()])
    recorded(monitor, [2.0, 3.0], start=1)
    assert monitor.memory == [OrderedDict(First=2.0), OrderedDict(First=3.0)]
    assert monitor.epochs == [1, 2]


def test_memory_is_a_copy():
    monitor, metrics = ProgressMonitor([First()]), OrderedDict(First=1.0)
    monitor.record(1, metrics, Notebook())
    metrics["First"] = 2.0
    assert monitor.memory[0]["First"] == 1.0


@pytest.mark.parametrize("extremum, times", [("min", 3), ("max", 2)])
def test_save_best_saves_each_improvement(tmp_path, extremum, times):
    monitor = ProgressMonitor([First()])
    monitor.save_best(tmp_path / "best.h5", "First", extremum)
    saved = recorded(monitor, [2.0, 2.0, 3.0, 1.0, 1.5, 0.5])
    assert saved == [str(tmp_path / "best.h5")] * times


def test_save_best_takes_the_metric_itself(tmp_path):
    monitor = ProgressMonitor([First()])
    monitor.save_best(tmp_path / "best.h5", monitor.generator_metrics[0])
    assert len(recorded(monitor, [1.0])) == 1


def test_save_best_registers_at_once_or_not_at_all(tmp_path):
    monitor = ProgressMonitor([First()])
    with pytest.raises(ConfigError, match=r"got metric 'Last', expected one of \['First'\]"):
        monitor.save_best(tmp_path / "best.h5", "Last", "min")
    with pytest.raises(ConfigError, match="got extremum 'least', expected 'min' or 'max'"):
        monitor.save_best(tmp_path / "best.h5", "First", "least")
    with pytest.raises(StorageError):
        monitor.save_best(tmp_path / "nowhere" / "best.h5", "First", "min")
    assert recorded(monitor, [1.0]) == []


def test_save_best_misses_a_metric_that_went_away(tmp_path):
    monitor = ProgressMonitor([First()])
    monitor.save_best(tmp_path / "best.h5", "First")
    with pytest.raises(ConfigError, match="expected metric 'First'"):
        monitor.record(1, OrderedDict(Other=1.0), Notebook())


def test_save_every_numbers_its_files(tmp_path):
    monitor = ProgressMonitor([First()])
    monitor.save_every(tmp_path / "model.h5", epoch_period=2)
    names = [Path(path).name for path in recorded(monitor, [1.0] * 6)]
    assert names == ["model_epoch0002.h5", "model_epoch0004.h5"]


def test_save_every_fills_in_the_epoch(tmp_path):
    monitor = ProgressMonitor([First()])
    monitor.save_every(str(tmp_path / "{epoch}-model.h5"))
    names = [Path(path).name for path in recorded(monitor, [1.0] * 3)]
    assert names == ["1-model.h5", "2-model.h5"]


def test_save_every_registers_at_once_or_not_at_all(tmp_path):
    monitor = ProgressMonitor([First()])
    with pytest.raises(ConfigError, match=r"epoch_period.*got 0"):
        monitor.save_every(tmp_path / "model.h5", 0)
    with pytest.raises(StorageError):
        monitor.save_every(tmp_path / "nowhere" / "model.h5")
    assert recorded(monitor, [1.0, 1.0]) == []


def test_show_prints_the_lines(capsys):
    ProgressMonitor().show(OrderedDict(ReconstructionError=0.8839551, HeatCapacity=12.0))
    assert capsys.readouterr().out == "-ReconstructionError: 0.883955\n-HeatCapacity: 12.000000\n"


def test_plot_metrics_writes_a_picture(tmp_path):
    pytest.importorskip("matplotlib")
    monitor = ProgressMonitor([First()])
    recorded(monitor, [3.0, 2.0], start=1)
    figure = monitor.plot_metrics(filename=tmp_path / "curves.png", show=False)
    assert (tmp_path / "curves.png").stat().st_size > 1000
    assert list(figure.axes[0].lines[0].get_xdata()) == [1, 2]


def test_plot_metrics_without_memory():
    pytest.importorskip("matplotlib")
    with pytest.raises(DataError, match="got no metrics"):
        ProgressMonitor([ReconstructionError()]).plot_metrics(show=False)


def test_files_are_named_by_what_is_a_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monitor = ProgressMonitor([First()])
    for register in (lambda path: monitor.save_best(path, "First"), monitor.save_every):
        with pytest.raises(StorageError, match="expected the path of a file"):
            register(None)
        with pytest.raises(StorageError, match="it is a folder"):
            register(tmp_path)
    assert recorded(monitor, [1.0]) == []
    monitor.save_best("best.h5", First)
    assert recorded(monitor, [1.0]) == ["best.h5"]


@pytest.mark.parametrize(("place", "name"), [("{epoch:03d}", "m007.h5"), ("{epoch:2}", "m 7.h5")])
def test_save_every_takes_a_format(tmp_path, place, name):
    monitor = ProgressMonitor([First()])
    monitor.save_every(tmp_path / f"m{place}.h5", 7)
    assert [Path(path).name for path in recorded(monitor, [1.0] * 8)] == [name]


def test_one_metric_is_no_list_of_metrics():
    with pytest.raises(ConfigError, match="generator_metrics is First"):
        ProgressMonitor(First())


@pytest.mark.parametrize("metrics", [None, ReconstructionError()])
def test_what_takes_the_place_of_the_list_is_a_list(metrics):
    monitor = ProgressMonitor()
    monitor.generator_metrics = metrics
    with pytest.raises(ConfigError, match="expected a list of metrics"):
        monitor.metric_names()
