import argparse
import csv
import json
from datetime import timedelta
from pathlib import Path

import h5py
import numpy as np
import pytest
from cli_lines import TRAIN

from paysage import backends as be
from paysage import fit, layers
from paysage.cli import main
from paysage.cli.data import write_tables
from paysage.cli.machines import make_batch
from paysage.cli.settings import SETTINGS, gathered
from paysage.models import BoltzmannMachine


def matrix(path):
    return be.to_numpy_array(BoltzmannMachine.from_saved(path).connections[0].weights.W())


def test_a_machine_is_trained_and_written(paysage, facts, rows):
    printed = paysage(TRAIN)
    assert "End of epoch 2" in printed.err
    assert "End of epoch" not in printed.out
    assert "m.h5: BoltzmannMachine([BernoulliLayer(9), BernoulliLayer(4)])" in printed.out
    again = facts(f"{TRAIN} --force --quiet")
    assert again["epochs"] == 2
    assert not again["interrupted"]
    assert again["metrics"]["ReconstructionError"] > 0
    assert np.isfinite(matrix("m.h5")).all()


def test_the_seed_is_all_that_counts(paysage, rows):
    for name, seed in (("a.h5", 1), ("b.h5", 1), ("c.h5", 2)):
        paysage(f"{TRAIN} --out {name} --seed {seed} --quiet")
    assert np.array_equal(matrix("a.h5"), matrix("b.h5"))
    assert not np.array_equal(matrix("a.h5"), matrix("c.h5"))


@pytest.mark.parametrize(
    "flags, kinds",
    [
        ("--model grbm --noise 0.5", [layers.GaussianLayer, layers.BernoulliLayer]),
        ("--model grbm", [layers.GaussianLayer, layers.BernoulliLayer]),
        ("--model hopfield", [layers.BernoulliLayer, layers.GaussianLayer]),
        ("--model dbm --hidden 4 3", [layers.BernoulliLayer] * 3),
        ("--method cd --optimizer momentum --schedule linear --no-centered --l2 0.01", None),
        ("--schedule exponential --optimizer rmsprop --transform none --l1 0.1", None),
        ("--schedule trapezoid --optimizer gradient --hidden-bias 0.5 --schedule constant", None),
    ],
)
def test_kinds_and_settings(paysage, rows, flags, kinds):
    paysage(f"{TRAIN} {flags} --quiet --epochs 1")
    model = BoltzmannMachine.from_saved("m.h5")
    kinds = kinds or [layers.BernoulliLayer] * 2
    assert [type(layer) for layer in model.layers] == kinds
    if "--noise" in flags:
        assert np.allclose(be.to_numpy_array(model.layers[0].params.log_var), 2 * np.log(0.5))


def test_a_file_is_overridden_by_flags(paysage, rows, here):
    (here / "c.toml").write_text(
        'data = "rows.npy"\nhidden = 3\nepochs = 1\nbatch_size = 10\nlearning_rate = 1\n'
        'out = "t.h5"\nlog = ["log.csv", "log.jsonl"]\ncheckpoint = "run.h5"\n'
    )
    paysage("train c.toml --hidden 5 --learning-rate 0.25 --quiet")
    assert matrix("t.h5").shape == (9, 5)
    with open("log.csv") as file:
        table = list(csv.DictReader(file))
    assert [row["epoch"] for row in table] == ["0", "1"]
    assert table[1]["learning_rate"] == "0.25"
    assert len((here / "log.jsonl").read_text().splitlines()) == 2
    stored = fit.read_checkpoint("run.h5")["position"]
    assert stored["epoch"] == 1


def test_json_is_as_good_as_toml(paysage, rows, here):
    settings = {"data": "rows.npy", "hidden": [2], "epochs": 1, "batch_size": 9, "out": "j.h5"}
    (here / "c.json").write_text(json.dumps(settings))
    paysage("train c.json --quiet")  # three rows to validate with, too few for divergences
    assert matrix("j.h5").shape == (9, 2)


def test_resuming_gives_the_same_bits(paysage, rows):
    paysage(f"{TRAIN} --out whole.h5 --epochs 3 --schedule constant --quiet")
    part = f"{TRAIN} --out part.h5 --schedule constant --checkpoint run.h5 --quiet"
    paysage(f"{part} --epochs 1")
    paysage(f"{part} --epochs 3 --resume")
    assert np.array_equal(matrix("whole.h5"), matrix("part.h5"))


def test_an_interrupt_keeps_what_there_is(facts, paysage, rows, monkeypatch):
    class Now(fit.callbacks.PauseOnInterrupt):
        def after_batch(self, training):
            if training.epoch == 1:
                self.interrupted = True
                training.pause()

    with monkeypatch.context() as patch:
        patch.setattr(fit.callbacks, "PauseOnInterrupt", Now)
        found = facts(f"{TRAIN} --checkpoint run.h5 --quiet", 130)
    assert found["interrupted"]
    paysage(f"{TRAIN} --checkpoint run.h5 --resume --quiet")
    paysage(f"{TRAIN} --out whole.h5 --quiet")
    assert np.array_equal(matrix("whole.h5"), matrix("m.h5"))


def test_settings_reach_the_training(paysage, rows):
    flags = "--chains 7 --burn-in 1 --average-last 0.5 --precision bf16 --max-norm 0.5"
    paysage(f"{TRAIN} {flags} --checkpoint run.h5 --quiet")
    found = fit.read_checkpoint("run.h5")["settings"]
    assert (found["chains"], found["burn_in"], found["precision"]) == (7, 1, "bf16")
    assert found["average_last"] == [0.5, 2]
    assert found["optimizer"]["max_norm"] == 0.5
    assert found["positive_phase"] is None
    paysage(f"{TRAIN} --model dbm --hidden 3 3 --mean-field --checkpoint deep.h5 --force --quiet")
    assert fit.read_checkpoint("deep.h5")["settings"]["positive_phase"] is not None


@pytest.mark.backend_free
@pytest.mark.parametrize(
    "text, meant",
    [
        ("3", 3),
        ("90s", timedelta(seconds=90)),
        ("10min", timedelta(minutes=10)),
        ("1.5 h", timedelta(minutes=90)),
    ],
)
def test_a_checkpoint_is_written_after_epochs_or_a_time(here, rows, monkeypatch, text, meant):
    given = []

    def train(trainer, *args, **options):
        given.append(options["every"])

    monkeypatch.setattr(fit.SGD, "train", train)
    Path("c.toml").write_text(f'every = "{text}"')
    line = [*f"{TRAIN} --checkpoint run.h5 --quiet --force".split(), "--every"]
    assert main([*line, text]) == main([*line[:-1], "c.toml"]) == 0
    assert given == [meant, meant]


@pytest.mark.backend_free
@pytest.mark.parametrize("text", ["5x", "-90s", "2.5", "9" * 400 + "h", "min", "1e3s", "٣s"])
def test_what_is_no_time(paysage, text):
    said = paysage(f"{TRAIN} --checkpoint run.h5 --every={text}", 2).err
    assert "error: argument --every: " in said
    assert "expected a number of epochs, or a time such as 90s, 10min or 2h" in said


def learning_rates(path="log.csv"):
    with open(path) as file:
        return [float(row["learning_rate"]) for row in list(csv.DictReader(file))[1:]]


@pytest.mark.parametrize(
    ("flags", "wanted"),
    [
        ("--schedule trapezoid --warm-up 1", [0.05, 0.1, 0.1, 0.05]),
        ("--schedule power --decay 0.5", [0.1, 0.1 / 1.5, 0.1 / 2, 0.1 / 2.5]),
        ("--schedule exponential --decay 0.5", 0.1 * np.exp(-0.5 * np.arange(4))),
        ("--schedule linear", [0.1, 0.075, 0.05, 0.025]),
        ("--schedule linear --learning-rate 2 --optimizer gradient --max-norm 1", [2, 1.5, 1, 0.5]),
    ],
)
def test_learning_rates_of_schedules(paysage, rows, flags, wanted):
    paysage(f"{TRAIN} --learning-rate 0.1 {flags} --epochs 4 --log log.csv --quiet")
    assert np.allclose(learning_rates(), wanted)


DEEP = "--model dbm --hidden 4 3 --pretrain 2 --schedule constant --quiet"


def test_a_deep_machine_is_pretrained_layer_by_layer(paysage, rows):
    printed = paysage(f"{TRAIN} {DEEP} --epochs 0".replace(" --quiet", ""))
    assert "training model 1" in printed.err
    assert "training model" not in printed.out
    first = matrix("m.h5")
    paysage(f"{TRAIN} {DEEP} --epochs 0 --pretrain 0 --out no.h5")
    assert not np.array_equal(first, matrix("no.h5"))
    paysage(f"{TRAIN} {DEEP} --epochs 1 --out both.h5")
    assert not np.array_equal(first, matrix("both.h5"))


@pytest.mark.parametrize("place", [(0, 1), (1, 1), (2, 1)], ids=["first", "second", "deep"])
def test_a_pretraining_goes_on_where_it_was_interrupted(facts, paysage, rows, monkeypatch, place):
    trainings = []

    class Now(fit.callbacks.PauseOnInterrupt):
        def begin(self, training):
            trainings.append(training)

        def after_batch(self, training):
            if (len(trainings) - 1, training.epoch) == place:
                self.interrupted = True
                training.pause()

    line = f"{TRAIN} {DEEP} --checkpoint run.h5"
    with monkeypatch.context() as patch:
        patch.setattr(fit.callbacks, "PauseOnInterrupt", Now)
        found = facts(line, 130)
    assert found["interrupted"]
    assert Path("m.h5").exists() == (place[0] == 2)
    paysage(f"{line} --resume")
    paysage(f"{TRAIN} {DEEP} --out whole.h5")
    assert np.array_equal(matrix("whole.h5"), matrix("m.h5"))


@pytest.mark.parametrize(
    "metric, sign",
    [
        ("ReconstructionError", 1),
        ("PseudoLikelihood", -1),
        ("ExactLogLikelihood", -1),
        ("AISLogLikelihood", -1),
    ],
)
def test_training_ends_when_nothing_gets_better_and_the_best_model_is_kept(
    facts, paysage, rows, metric, sign
):
    flags = f"--schedule constant --watch {metric} --patience 2 --best best.h5 --log log.csv"
    epochs = facts(f"{TRAIN} {flags} --epochs 60 --quiet")["epochs"]
    assert 2 < epochs < 60
    with open("log.csv") as file:
        values = [sign * float(row[metric]) for row in csv.DictReader(file)][1:]
    best = 1 + int(np.argmin(values))  # the untrained machine is no epoch
    assert best == epochs - 2 and len(values) == epochs
    paysage(f"{TRAIN} --schedule constant --watch {metric} --epochs {best} --out again.h5 --quiet")
    assert np.array_equal(matrix("best.h5"), matrix("again.h5"))


def test_a_rate_that_is_too_high_is_halved(paysage, error, rows):
    line = f"{TRAIN} --model grbm --optimizer gradient --learning-rate 30 --schedule constant"
    assert "diverged, try a smaller learning rate" in error(f"{line} --quiet")
    paysage(f"{line} --halve --log log.csv --quiet")
    assert learning_rates()[-1] < 30
    assert np.isfinite(matrix("m.h5")).all()


def test_a_file_is_streamed(paysage, rows):
    with h5py.File("rows.h5", "w") as file:
        file["some/table"] = rows
    found = []
    for shuffle in ("", "--no-shuffle", "--shuffle"):
        paysage(f"{TRAIN} --data rows.h5 --stream --quiet --force {shuffle}")
        found.append(matrix("m.h5"))
    assert found[0].shape == (9, 4)
    assert np.array_equal(found[0], found[2]) and not np.array_equal(found[0], found[1])


@pytest.mark.parametrize("shuffle", [True, False])
def test_rows_are_shuffled_unless_asked_otherwise(here, shuffle):
    rows = np.eye(20, dtype=np.float32)
    np.save("eye.npy", rows)
    (here / "run.toml").write_text(
        f"data = 'eye.npy'\nbatch_size = 5\nshuffle = {str(shuffle).lower()}"
    )
    data = make_batch(gathered("run.toml", argparse.Namespace()))
    train, validate = ([v for v in data.iterate(m)] for m in ("train", "validate"))
    order = np.concatenate([be.to_numpy_array(v) for v in (*train, *validate)]).argmax(axis=1)
    assert sorted(order) == list(range(20)) and (list(order) != list(range(20))) == shuffle
    assert data.is_shuffled("train") == shuffle and not data.is_shuffled("validate")


@pytest.mark.parametrize(
    "flags, said",
    [
        ("--hidden 3 3", "expected one number for the model 'rbm'"),
        ("--model dbm", "expected several numbers for the model 'dbm'"),
        ("--hidden 0", "error: --hidden must be a whole number, at least 1"),
        ("--epochs -1", "error: --epochs must be a whole number"),
        ("--batch-size 1000", "error: --batch-size is 1000 but there are only 42 rows"),
        ("--noise 1", "error: --noise is a setting of the model 'grbm', not of 'rbm'"),
        ("--pretrain 2", "error: --pretrain is a setting of the model 'dbm', not of 'rbm'"),
        ("--mean-field", "error: --mean-field is a setting of the model 'dbm'"),
        (
            "--warm-up 1",
            "error: --warm-up is a setting of the schedule 'trapezoid', not of 'power'",
        ),
        ("--schedule trapezoid --warm-up 2", "2 of --warm-up and 1 of decay do not fit"),
        ("--model dbm --hidden 3 3 --pretrain -1", "error: --pretrain must be a whole number"),
        ("--patience 0", "error: --patience must be a whole number, at least 1"),
        ("--k 0", "error: --k must be a whole number, at least 1"),
        ("--chains 0", "error: --chains must be a whole number"),
        ("--max-norm 0", "error: --max-norm must be more than zero"),
        ("--average-last 2", "error: --average-last is the part of the epochs"),
        ("--model dbm --hidden 3 3 --watch AISLogLikelihood", "AISLogLikelihood"),
        ("--best none/m.h5", "there is no folder"),
        ("--model grbm --noise 0", "error: --noise must be above 0"),
        ("--model hopfield --hidden-bias 1", "have no biases: leave --hidden-bias out"),
        ("--seed -1", "error: --seed must be a whole number"),
        ("--data none.npy", "there is no file none.npy"),
        ("--stream", "error: --stream needs an HDF5 file"),
        ("--resume", "error: --resume needs the file of a checkpoint"),
        ("--every 2", "error: --every needs the file of a checkpoint"),
        ("--every 0", "error: --every needs the file of a checkpoint"),
        ("--every 2h", "error: --every needs the file of a checkpoint"),
        ("--every 0 --checkpoint c.h5", "error: --every must be a whole number, at least 1"),
        ("--every 0s --checkpoint c.h5", "error: --every must be a whole number or a time above"),
        ("--tensorboard rows.npy", "error: cannot make the folder rows.npy"),
        ("--log log.txt", "ends with .csv or .jsonl"),
        ("--out none/m.h5", "there is no folder"),
        ("--learning-rate nan", "error: --learning-rate must be a finite number"),
        ("--decay -1", "error: --decay must be a finite number, at least 0"),
        ("--schedule trapezoid --warm-up -1", "error: --warm-up of Trapezoid must be"),
        ("--beta-std -1", "error: --beta-std must be a finite number"),
        ("--burn-in -1", "error: --burn-in must be a whole number"),
        ("--l1 nan", "error: --l1 must be a finite number"),
        ("--l2 inf", "error: --l2 must be a finite number"),
        ("--train-fraction 1", "error: --train-fraction is 1.0"),
        ("--optimizer gradient --learning-rate 1e38 --model grbm", "lower the learning rate"),
    ],
)
def test_what_cannot_be_is_said(error, rows, here, flags, said):
    assert said in error(f"{TRAIN} --quiet {flags}")
    assert not (here / "m.h5").exists()


def test_names_in_files_are_told_as_they_are(error, rows, here):
    """Tables may have the names of settings."""
    tables = {"batch_size": rows, "learning_rate": rows}
    np.savez("tables.npz", **tables)
    write_tables(here / "tables.h5", tables)
    for name in ("tables.npz", "tables.h5"):
        assert "batch_size, learning_rate; choose" in error(f"train --data {name} --out m.h5")


def test_files_are_not_lost(error, paysage, rows, here):
    for name in ("m.h5", "run.h5", "run_1.h5", "best.h5", "log.csv"):
        (here / name).write_text("precious")
        deep = "--model dbm --hidden 3 3 --pretrain 1 --best best.h5"
        line = f"{TRAIN} --checkpoint run.h5 --log log.csv {deep}"
        assert f"{name} is there already: --force replaces it" in error(line)
        assert (here / name).read_text() == "precious"
        (here / name).unlink()


@pytest.mark.parametrize(
    "flags",
    [
        "--out ./rows.npy",
        "--checkpoint ./m.h5",
        "--best m.h5",
        "--log log.csv ./log.csv",
        "--model dbm --pretrain 1 --hidden 3 3 --checkpoint run.h5 --best run_1.h5",
    ],
)
def test_no_file_is_two_things(error, rows, here, flags):
    before = {path: path.read_bytes() for path in here.iterdir() if path.is_file()}
    assert "is named twice" in error(f"{TRAIN} {flags} --force")
    assert {path: path.read_bytes() for path in here.iterdir() if path.is_file()} == before


@pytest.mark.backend_free
@pytest.mark.parametrize(
    "text, said",
    [
        ("hiden = 3", "unknown key 'hiden': did you mean 'hidden'?"),
        ("zzz = 3", "unknown key 'zzz': expected one of data, key"),
        ('model = "rbn"', "model is 'rbn', did you mean 'rbm'?"),
        ('watch = "KLdivergence"', "did you mean 'KLDivergence'?"),
        ('epochs = "3"', "epochs is '3', expected a whole number"),
        ("epochs = 2.5", "epochs is 2.5, expected a whole number"),
        ("epochs = true", "epochs is True, expected a whole number"),
        ("hidden = []", "hidden is [], expected a whole number, or a list of them"),
        ("learning_rate = true", "learning_rate is True, expected a number"),
        ("centered = 1", "centered is 1, expected true or false"),
        ("data = 3", "data is 3, expected a string"),
        ("[hidden]\nx = 1", "hidden is {'x': 1}"),
        ("epochs = = 2", "is not TOML"),
        ("epochs = 1", "error: --data is missing"),
        ('every = "5x"', "every is '5x', expected a number of epochs, or a time such as 90s"),
        ('every = "2 h"\ndata = "rows.npy"', "error: --every needs the file of a checkpoint"),
        ("every = 2.5", "every is 2.5, expected a number of epochs, or a time"),
    ],
)
def test_a_bad_file_is_named(error, here, text, said):
    (here / "c.toml").write_text(text)
    assert said in error("train c.toml --out m.h5").replace("[{'x': 1}]", "{'x': 1}")


@pytest.mark.backend_free
@pytest.mark.parametrize(
    "name, text, said",
    [
        ("c.json", "[1]", "holds a list, expected settings by name"),
        ("c.json", "{", "is not JSON"),
        ("c.yaml", "a: 1", "ends with .toml or .json"),
        ("c.toml", None, "cannot read c.toml"),
    ],
)
def test_another_file_is_named(error, here, name, text, said):
    if text is not None:
        (here / name).write_text(text)
    assert said in error(f"train {name} --out m.h5")


@pytest.mark.backend_free
def test_every_default_is_of_its_kind():
    for setting in SETTINGS.values():
        assert not setting.choices or setting.default in (None, *setting.choices)
        if setting.of is not None:
            assert setting.of[1] in SETTINGS[setting.of[0]].choices
