"""Callbacks: who is told when, what is written, and how a training ends or begins again."""

import csv
import io
import json
import signal
import sys

import h5py
import numpy as np
import pytest
from test_resume import DEEP, EPOCHS, STEPS, Killed, adam, kill_after, make, same, train

from paysage import fit, optimizers, preprocess, schedules
from paysage.batch import Batch, HDFtable
from paysage.errors import ConfigError, DivergenceError, StorageError
from paysage.fit.callbacks import (
    Callback,
    CSVLog,
    EarlyStopping,
    HalveOnDivergence,
    JSONLinesLog,
    PauseOnInterrupt,
    ProgressBar,
    SaveBest,
)
from paysage.metrics import Metric, ReconstructionError, WeightSquare
from paysage.models import BoltzmannMachine

__all__ = ["kill_after"]  # a fixture


class Script(Metric):
    """A metric whose values are given; the first is that of before training."""

    option_names = ()

    def __init__(self, *values):
        self.values = list(values)
        super().__init__()

    def update(self, assessment):
        """Its values are given."""

    def value(self):
        return self.values.pop(0)

    def get_memory(self):
        return self.values

    def set_memory(self, memory):
        self.values = memory


class Diary(Callback):
    def __init__(self):
        self.lines = []

    def begin(self, training):
        self.lines.append("begin")

    def after_batch(self, training):
        self.lines.append((training.epoch, training.minibatch, training.num_minibatches))

    def after_epoch(self, training):
        self.lines.append((training.epoch, training.metrics["ReconstructionError"]))

    def end(self, training):
        self.lines.append("end")


def test_who_is_told_when():
    trainer, diary = make(metrics=[ReconstructionError()]), Diary()
    trainer.train(adam(), 2, verbose=False, callbacks=[diary])
    measured = [metrics["ReconstructionError"] for metrics in trainer.monitor.memory]
    assert diary.lines == [
        "begin",
        *((0, k, STEPS) for k in range(1, STEPS + 1)),
        (1, measured[0]),
        *((1, k, STEPS) for k in range(1, STEPS + 1)),
        (2, measured[1]),
        "end",
    ]


def test_the_end_is_told_after_an_error_too(kill_after):
    trainer, diary = make(metrics=[ReconstructionError()]), Diary()
    kill_after(1)
    with pytest.raises(Killed):
        trainer.train(adam(), 2, verbose=False, callbacks=[diary])
    assert diary.lines == ["begin", (0, 1, STEPS), "end"]


@pytest.mark.parametrize("callbacks", [[print], Diary, [Diary]])
def test_what_is_no_callback_is_refused(callbacks):
    with pytest.raises(ConfigError, match=r"takes a list of fit\.callbacks"):
        make().train(adam(), 1, verbose=False, callbacks=callbacks)


def test_what_a_callback_keeps_goes_on(tmp_path, kill_after):
    class Counting(Callback):
        count = 0

        def after_batch(self, training):
            self.count += 1

        def get_memory(self):
            return self.count

        def set_memory(self, memory):
            self.count = memory

    kill_after(2 * STEPS + 1)
    with pytest.raises(Killed):
        train(tmp_path / "run.h5", make(), callbacks=[Counting()])
    # others come and go
    others = [Counting(), Diary(), Counting()]
    trainer = make(metrics=[])
    others[1].after_epoch = lambda training: None
    train(tmp_path / "run.h5", trainer, callbacks=others)
    assert [others[0].count, others[2].count] == [EPOCHS * STEPS, (EPOCHS - 2) * STEPS]


# --- the bar


def test_the_bar_is_on_a_terminal_only(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    for stream, shown in ((Terminal(), True), (io.StringIO(), False)):
        monkeypatch.setattr(sys, "stderr", stream)
        make().train(adam(), 1, verbose=False, callbacks=[ProgressBar()])
        assert ("minibatch/s" in stream.getvalue()) is shown


# --- logs


def rows(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def without_seconds(records):
    return [{k: v for k, v in record.items() if k != "seconds"} for record in records]


def test_logs_hold_what_was_measured(tmp_path):
    trainer = make(metrics=[ReconstructionError(), WeightSquare()])
    trainer.monitor.generator_metrics[1].every = 2
    logs = [CSVLog(tmp_path / "log.csv"), JSONLinesLog(tmp_path / "log.jsonl")]
    trainer.train(adam(), 3, verbose=False, callbacks=logs)
    table, objects = rows(tmp_path / "log.csv"), lines(tmp_path / "log.jsonl")
    assert [int(row["epoch"]) for row in table] == [r["epoch"] for r in objects] == [0, 1, 2, 3]
    for k, metrics in enumerate(trainer.monitor.memory, start=1):
        assert {name: objects[k][name] for name in metrics} == metrics
        assert [table[k][name] for name in metrics] == [
            "" if value is None else repr(value) for value in metrics.values()
        ]
    schedule = schedules.PowerLawDecay(0.05, 2.0)
    assert [r["learning_rate"] for r in objects] == [None, *(next(schedule) for _ in range(3))]


@pytest.mark.parametrize("kind, read", [(CSVLog, rows), (JSONLinesLog, lines)])
def test_logs_of_a_training_that_was_killed_have_no_gap_and_nothing_twice(
    tmp_path, kill_after, kind, read
):
    def run(name):
        log = kind(tmp_path / f"{name}.log")
        made = make(metrics=[ReconstructionError()])
        train(tmp_path / f"{name}.h5", made, callbacks=[log], every=2)

    run("whole")
    kill_after(3 * STEPS + 2)  # the checkpoint is of the second epoch, the log has the third
    with pytest.raises(Killed):
        run("killed")
    with open(tmp_path / "killed.log", "a") as file:
        file.write("4,0.")  # half a line
    run("killed")
    found = without_seconds(read(tmp_path / "killed.log"))
    assert found == without_seconds(read(tmp_path / "whole.log")) and len(found) == EPOCHS + 1


def test_a_second_training_goes_on_in_the_log(tmp_path):
    trainer, log = make(metrics=[ReconstructionError()]), CSVLog(tmp_path / "log.csv")
    for _ in range(2):
        trainer.train(adam(), 2, verbose=False, callbacks=[log])
    assert [row["epoch"] for row in rows(tmp_path / "log.csv")] == ["0", "1", "2", "3", "4"]
    trainer.monitor.generator_metrics = []
    with pytest.raises(ConfigError, match="has other columns than epoch,seconds,learning_rate"):
        trainer.train(adam(), 1, verbose=False, callbacks=[log])
    lost = CSVLog(tmp_path / "none" / "log.csv")
    with pytest.raises(StorageError, match="there is no folder"):
        make().train(adam(), 1, verbose=False, callbacks=[lost])


# --- ending, and keeping the best


@pytest.mark.parametrize(
    "values, extremum, options, ends",
    [
        ([3, 2, 1, 1, 1, 0], "min", {"patience": 2}, 5),
        ([1, 2, 3, 2, 3.5, 3, 3], "max", {"patience": 2}, 7),
        ([3, 2, 1.5, 1.2, 0.1], "min", {"patience": 1, "least": 0.4}, 4),
        ([5, 4, 3, 2, 1], "min", {"patience": 1}, 5),
    ],
)
def test_training_ends_when_nothing_gets_better(tmp_path, values, extremum, options, ends):
    def run(epochs):
        trainer = make(metrics=[Script(0.0, *map(float, values))])
        stopping = EarlyStopping("Script", extremum=extremum, **options)
        return train(tmp_path / "run.h5", trainer, callbacks=[stopping], epochs=epochs)

    first = run(len(values))
    assert first.monitor.epochs == list(range(1, ends + 1))
    # and it stays there, however many epochs are asked for
    if ends < len(values):
        assert run(20).monitor.epochs == first.monitor.epochs


def test_patience_outlasts_a_break(tmp_path, kill_after):
    def run():
        trainer = make(metrics=[Script(0.0, 1.0, 2.0, 3.0, 4.0, 0.0)])
        return train(tmp_path / "run.h5", trainer, callbacks=[EarlyStopping(Script, patience=3)])

    kill_after(2 * STEPS + 1)
    with pytest.raises(Killed):
        run()
    assert run().monitor.epochs == [1, 2, 3, 4]
    with pytest.raises(ConfigError, match=r"callbacks\[0\].patience was 3, is 2"):
        train(
            tmp_path / "run.h5",
            make(metrics=[Script(0.0)]),
            callbacks=[EarlyStopping("Script", patience=2)],
        )


def test_the_best_model_is_kept(tmp_path):
    trainer = make(metrics=[Script(0.0, 3.0, 1.0, 2.0, 4.0, 3.5)])
    best, seen = {}, []

    class Watching(Callback):
        def after_epoch(self, training):
            seen.append(training.model.get_values())

    for extremum in ("min", "max"):
        best[extremum] = SaveBest(tmp_path / f"{extremum}.h5", "Script", extremum)
    train(tmp_path / "run.h5", trainer, callbacks=[Watching(), *best.values()])
    for extremum, epoch in (("min", 2), ("max", 4)):
        kept = BoltzmannMachine.from_saved(tmp_path / f"{extremum}.h5")
        assert same(kept.get_values(), seen[epoch - 1])


@pytest.mark.parametrize("kind", [EarlyStopping, lambda m: SaveBest("best.h5", m)])
def test_a_metric_that_is_not_measured_is_refused(kind):
    with pytest.raises(ConfigError, match="got metric 'Absent', expected one of"):
        make().train(adam(), 1, verbose=False, callbacks=[kind("Absent")])
    with pytest.raises(ConfigError, match="extremum"):
        EarlyStopping("Script", extremum="least")


# --- rates that were too high


class Exploding(optimizers.Gradient):
    """Its parameters become infinite at rates above a limit, from the third epoch on."""

    def update(self, model, gradient):
        super().update(model, gradient)
        if self.lr > 0.02 and self.updates > 2 * STEPS + 2:
            model.layers[0].params.loc[:] = np.inf


def test_a_rate_that_diverges_is_halved_from_the_start_of_the_epoch(tmp_path, caplog):
    rejecting = HalveOnDivergence()
    made = {"metrics": [ReconstructionError()], **DEEP}
    ended = train(tmp_path / "a.h5", make(**made), Exploding(0.06), callbacks=[rejecting])
    assert rejecting.rejected == 2 and len(ended.monitor.memory) == EPOCHS
    assert sum("again, at the rate" in record.message for record in caplog.records) == 2

    # the same as a training whose rate falls to a quarter after the second epoch
    optimizer = optimizers.Gradient(schedules.Step(0.06, 0.015, 2))
    wanted = train(tmp_path / "b.h5", make(**made), optimizer)
    assert same(ended.model.get_values(), wanted.model.get_values())
    assert ended.monitor.memory == wanted.monitor.memory


def test_rates_that_diverge_whatever_they_are(caplog):
    rejecting, trainer = HalveOnDivergence(0.9, at_most=3), make()
    with pytest.raises(DivergenceError):
        trainer.train(Exploding(0.06), 4, verbose=False, callbacks=[rejecting])
    assert rejecting.rejected == 4
    assert all(np.isfinite(x).all() for x in trainer.model.get_values()["layers"][0].values())
    for factor in (0.0, 1.0, "half"):
        with pytest.raises(ConfigError, match="factor"):
            HalveOnDivergence(factor)


# --- Ctrl-C


class Interrupting(Callback):
    """Sends the signal after some steps."""

    def __init__(self, steps, times=1):
        self.left, self.times = steps, times

    def after_batch(self, training):
        self.left -= 1
        if self.left == 0:
            for _ in range(self.times):
                signal.raise_signal(signal.SIGINT)


@pytest.mark.parametrize("steps", [1, 2 * STEPS + 3, 3 * STEPS])
@pytest.mark.parametrize("options", [{}, {"average_last": 0.8}, {"callbacks": HalveOnDivergence}])
def test_an_interrupt_finishes_the_step_and_goes_on_there(tmp_path, steps, options, caplog):
    options = dict(options)
    more = options.pop("callbacks", None)

    def run(path, *callbacks):
        called = [*callbacks, *([more(5 / 7)] if more else [])]
        optimizer = Exploding(0.027) if more else adam()
        made = make(metrics=[ReconstructionError()], center=True)
        return train(tmp_path / path, made, optimizer, callbacks=called, **options)

    handler = signal.getsignal(signal.SIGINT)
    whole = run("whole.h5")
    pausing = PauseOnInterrupt()
    run("run.h5", pausing, Interrupting(steps))
    assert pausing.interrupted and signal.getsignal(signal.SIGINT) is handler
    assert caplog.records[-1].message.startswith("interrupted after")
    place = fit.read_checkpoint(tmp_path / "run.h5")["position"]
    assert place["epoch"] * STEPS + place["minibatch"] == steps
    again = run("run.h5", pausing)
    assert not pausing.interrupted
    assert same(again.model.get_values(), whole.model.get_values())
    assert again.monitor.memory == whole.monitor.memory
    first, second = (fit.read_checkpoint(tmp_path / p) for p in ("whole.h5", "run.h5"))
    assert same(first["memory"], second["memory"])


def test_an_interrupt_within_a_file_whose_pixels_are_drawn(tmp_path):
    with h5py.File(tmp_path / "data.h5", "w") as file:
        file["grey"] = np.random.default_rng(0).integers(0, 256, (60, 6))

    def run(path, *callbacks):
        trainer = make(metrics=[ReconstructionError()])
        drawn = preprocess.Transformation(preprocess.sample_color)
        tables = {
            "train": HDFtable(tmp_path / "data.h5", "grey", 10, drawn, rows=(0, 50)),
            "validate": HDFtable(tmp_path / "data.h5", "grey", 10, drawn, rows=(50, 60)),
        }
        with Batch(tables) as batch:
            trainer = fit.SGD(trainer.model, batch, fantasy_steps=2)
            return train(tmp_path / path, trainer, callbacks=callbacks).model.get_values()

    whole = run("whole.h5")
    run("run.h5", PauseOnInterrupt(), Interrupting(2 * STEPS + 3))
    assert fit.read_checkpoint(tmp_path / "run.h5")["position"]["minibatch"] == 3
    assert same(run("run.h5"), whole)


def test_an_interrupt_without_a_checkpoint_returns_the_model_as_it_is():
    trainer, diary = make(), Diary()
    callbacks = [PauseOnInterrupt(), diary, Interrupting(3)]
    trainer.train(adam(), 2, verbose=False, callbacks=callbacks)
    assert diary.lines == ["begin", *((0, k, STEPS) for k in (1, 2, 3)), "end"]
    assert trainer.monitor.memory == []


def test_a_second_interrupt_is_the_usual_one():
    callbacks = [PauseOnInterrupt(), Interrupting(3, times=2)]
    with pytest.raises(KeyboardInterrupt):
        make().train(adam(), 2, verbose=False, callbacks=callbacks)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_callbacks_that_only_look_change_no_bit(tmp_path):
    lookers = [CSVLog(tmp_path / "a.csv"), PauseOnInterrupt(), ProgressBar()]
    looked_at = train(tmp_path / "a.h5", make(), callbacks=lookers)
    alone = train(tmp_path / "b.h5", make())
    assert same(looked_at.model.get_values(), alone.model.get_values())


# --- what goes wrong in one of them


class Failing(Diary):
    """Its end, or its begin, raises."""

    def __init__(self, hook):
        super().__init__()
        setattr(self, hook, self.fail)

    def fail(self, training):
        raise KeyError("of a callback")


@pytest.mark.parametrize("hook, later", [("begin", []), ("end", ["begin", "end"])])
def test_one_that_raises_keeps_no_other_from_ending(hook, later):
    handler, first, last = signal.getsignal(signal.SIGINT), Diary(), Diary()
    callbacks = [first, PauseOnInterrupt(), Failing(hook), PauseOnInterrupt(), last]
    trainer = make(metrics=[ReconstructionError()])
    with pytest.raises(KeyError, match="of a callback"):
        trainer.train(adam(), 1, verbose=False, callbacks=callbacks)
    assert first.lines[-1] == "end" and [x for x in last.lines if isinstance(x, str)] == later
    assert signal.getsignal(signal.SIGINT) is handler


def test_what_a_callback_keeps_is_refused_before_any_work_if_no_file_can_hold_it(tmp_path):
    keeping, trainer = Diary(), make()
    keeping.get_memory = object
    with pytest.raises(StorageError, match=r"callbacks\[0\].* is a object"):
        train(tmp_path / "run.h5", trainer, callbacks=[keeping])
    assert keeping.lines == [] and not list(tmp_path.iterdir())


@pytest.mark.parametrize("kind, alien", [(CSVLog, "mine,1\n"), (JSONLinesLog, '"mine"\n')])
def test_a_log_with_alien_lines_is_refused_by_name(tmp_path, kind, alien):
    log = kind(tmp_path / "log")
    train(tmp_path / "run.h5", make(), callbacks=[log], epochs=1)
    with open(log.filename, "a") as file:
        file.write(alien)
    before = log.filename.read_text()
    with pytest.raises(ConfigError, match="has a line that is none of this log"):
        train(tmp_path / "run.h5", make(), callbacks=[log], epochs=2)
    assert log.filename.read_text() == before


def test_an_optimizer_whose_rate_was_halved_goes_on_in_the_same_process(tmp_path):
    def run(path, optimizer, *callbacks):
        called = [HalveOnDivergence(), *callbacks]
        return train(tmp_path / path, make(), optimizer, callbacks=called).model.get_values()

    whole, optimizer = run("whole.h5", Exploding(0.06)), Exploding(0.06)
    run("run.h5", optimizer, PauseOnInterrupt(), Interrupting(4 * STEPS + 2))
    assert optimizer.lr == 0.015
    assert same(run("run.h5", optimizer), whole)
    # read from the file, it is still the one that was asked for; another one is not
    assert same(run("run.h5", optimizer), whole)
    optimizer.stepsize = schedules.Constant(0.015 / 2)
    with pytest.raises(ConfigError, match=r"stepsize.initial was 0.06, is 0.0075"):
        run("run.h5", optimizer)


def test_counts_and_best_values_are_those_of_one_training(tmp_path):
    best, rejecting = SaveBest(tmp_path / "best.h5", "Script"), HalveOnDivergence(at_most=2)
    for values in ([0.0, 1.0], [0.0, 5.0]):
        trainer = make(metrics=[Script(*values)])
        rejecting.rejected = 2
        trainer.train(adam(), 1, verbose=False, callbacks=[best, rejecting])
        assert rejecting.rejected == 0
        kept = BoltzmannMachine.from_saved(tmp_path / "best.h5")
        assert same(kept.get_values(), trainer.model.get_values())
