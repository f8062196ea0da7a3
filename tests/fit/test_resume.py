"""A training that goes on from its checkpoint ends at the bits of one without a break."""

import datetime
import itertools
import os
import random
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from machines import array, build, random_state

from paysage import backends as be
from paysage import files, fit, optimizers, preprocess, schedules, storage
from paysage.batch import Batch, HDFtable, InMemoryTable, hdf, in_memory_batch
from paysage.errors import ConfigError, DivergenceError, PaysageError, StorageError
from paysage.fit import checkpoint
from paysage.metrics import AISLogLikelihood, EnergyCoefficient, ReconstructionError
from paysage.samplers import Chains, ParallelTempering, SequentialMC, TemperedTransitions

KILLS = Path(__file__).resolve().parents[2] / "benchmarks" / "kills.py"
EPOCHS, STEPS = 5, 5
FOREVER = 10**6
DEEP = {"kinds": "BBB", "sizes": (6, 4, 3)}


class Killed(BaseException):
    """Ends a training as nothing in it does."""


@pytest.fixture
def kill_after(monkeypatch):
    """End a training at the update after so many of them."""

    def arrange(updates):
        left, update = [updates], optimizers.Optimizer.update

        def dying(self, model, gradient):
            left[0] -= 1
            if left[0] < 0:
                monkeypatch.undo()
                raise Killed
            update(self, model, gradient)

        monkeypatch.setattr(optimizers.Optimizer, "update", dying)

    return arrange


def make(
    kinds="BB",
    sizes=(6, 4),
    center=False,
    metrics=(),
    transform=None,
    batch_size=10,
    shuffle=True,
    file=None,
):
    for seed in (be.set_seed, np.random.seed, random.seed):
        seed(1)
    model = build(kinds, sizes, center=center, scale=0.1)
    data = array(random_state(model, 60)[0]) * (1 if transform is None else 255)
    if file is None:
        batch = in_memory_batch(data, batch_size, 5 / 6, transform, shuffle=shuffle)
    else:
        batch = in_file(file, data, batch_size)
    trainer = fit.SGD(model, batch, fantasy_steps=2)
    trainer.monitor.generator_metrics = list(metrics)
    return trainer


def in_file(path, data, batch_size):
    """A batch of the rows in a file, shuffled in pools of five blocks of four rows."""
    if not path.exists():
        with h5py.File(path, "w") as file:
            file["x"] = data
    split = round(len(data) * 5 / 6)
    tables = {"train": (0, split), "validate": (split, None)}
    return Batch({mode: HDFtable(path, "x", batch_size, rows=r) for mode, r in tables.items()})


@pytest.fixture
def small_blocks():
    with pytest.MonkeyPatch.context() as patch:  # not the one that `kill_after` undoes
        patch.setattr(hdf, "BLOCK_ROWS", 4)
        patch.setattr(hdf, "POOL_BLOCKS", 5)
        yield


def train(path, trainer, optimizer=None, epochs=EPOCHS, resume=True, **options):
    if "sampler" in options:
        options = {**options, "sampler": options["sampler"](trainer.model)}
    if "tap" in options:
        options = {"method": fit.TAP(num_samples=3, **options["tap"]).tap_update}
    trainer.train(
        optimizer or adam(),
        epochs,
        verbose=False,
        checkpoint=path,
        resume=resume,
        **options,
    )
    return trainer


def same(a, b):
    """Whether two trees are equal to the last bit."""
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, list):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    return a == b


# --- the same bits


def adam():
    return optimizers.ADAM(schedules.PowerLawDecay(0.05, 2.0), max_norm=2.0)


def textbook_adam():
    return optimizers.ADAM(0.05, bias_correction=True)


def rmsprop():
    return optimizers.RMSProp(schedules.Linear(0.02, 0.001), tolerance=0.0)


def momentum():
    return optimizers.Momentum(0.05)


def plain():
    return optimizers.Gradient(schedules.Trapezoid(0.1, 5, 1, 3))


class Counting(optimizers.Gradient):
    """A rule of one's own, which remembers a number."""

    def __init__(self):
        super().__init__(0.1)
        self.seen = 0

    def _step(self, param, grad, *slots):
        self.seen += 1
        super()._step(param, grad / self.seen)


def tempering(model):
    return ParallelTempering.from_model(model, 12, betas=4)


def cooled(model):
    return SequentialMC.from_model(
        model, 12, schedule=schedules.Linear(0.9, 0.01), anneal=schedules.Linear(1.0, 0.001)
    )


def transitions(model):
    return TemperedTransitions.from_model(model, 12, betas=4)


CASES = {
    "rbm": ({}, adam, {}),
    "deep": (DEEP, momentum, {}),
    "centered": ({**DEEP, "center": True}, adam, {}),
    "gaussian": ({"kinds": "GB"}, rmsprop, {"method": fit.cd, "mcsteps": 2}),
    "onehot": ({"kinds": "BO"}, plain, {}),
    "textbook": ({}, textbook_adam, {}),
    "own rule": ({}, Counting, {}),
    "not shuffled": ({"shuffle": False}, adam, {}),
    "burn-in": ({}, adam, {"burn_in": 3}),
    "burn-in of cd": ({}, adam, {"burn_in": 3, "method": fit.cd}),
    "cd on few rows": ({"batch_size": 12}, adam, {"method": fit.cd}),
    "still": ({}, adam, {"beta_std": 0.0, "negative_phase_batch_size": 7}),
    "averaged": ({"center": True}, adam, {"average_last": 0.8}),
    "settled": (DEEP, adam, {"positive_phase": fit.MeanField(1e-4)}),
    "tap": ({}, adam, {"tap": {}}),
    "tempering": ({}, adam, {"sampler": tempering}),
    "cooled": ({}, adam, {"sampler": cooled}),
    "transitions": ({}, adam, {"sampler": transitions}),
    "drawn": ({"transform": preprocess.Transformation(preprocess.sample_color)}, adam, {}),
}


@pytest.mark.parametrize("case", CASES)
def test_a_killed_training_ends_at_the_bits_of_one_without_a_break(tmp_path, kill_after, case):
    made, optimizer, options = CASES[case]
    made = {**made, "metrics": [ReconstructionError()]}
    paths = [tmp_path / "whole.h5", tmp_path / "killed.h5"]
    whole = train(paths[0], make(**made), optimizer(), **options)
    for updates in (2 * STEPS + 3, 2 * STEPS - 1):  # in the third epoch, then in the fourth
        kill_after(updates)
        with pytest.raises(Killed):
            train(paths[1], make(**made), optimizer(), **options)
    killed = train(paths[1], make(**made), optimizer(), **options)
    first, second = map(fit.read_checkpoint, paths)
    place = {"epoch": EPOCHS, "minibatch": 0, "earlier": 0, "ended": False}
    assert first["position"] == second["position"] == {**first["position"], **place}
    assert same(first["memory"], second["memory"])
    assert same(whole.model.get_values(), killed.model.get_values())
    assert whole.monitor.memory == killed.monitor.memory and len(killed.monitor.memory) == EPOCHS


def test_generators_of_the_user_go_on_too(tmp_path, kill_after):
    class Noisy(ReconstructionError):
        def measure(self, assessment):
            return np.random.random() + np.random.standard_normal() + random.gauss(0.0, 1.0)

    whole = train(tmp_path / "whole.h5", make(metrics=[Noisy()]))
    kill_after(2 * STEPS)
    with pytest.raises(Killed):
        train(tmp_path / "run.h5", make(metrics=[Noisy()]))
    killed = train(tmp_path / "run.h5", make(metrics=[Noisy()]))
    assert killed.monitor.memory == whole.monitor.memory


def test_what_was_measured_and_saved_goes_on(tmp_path, kill_after):
    def trainer(place):
        (tmp_path / place).mkdir(exist_ok=True)
        made = make(metrics=[AISLogLikelihood(2, 5, 20), ReconstructionError()])
        made.monitor.save_best(tmp_path / place / "best.h5", "ReconstructionError")
        made.monitor.save_every(tmp_path / place / "model.h5", 2)
        return made

    whole = train(tmp_path / "run.h5", trainer("whole"))
    kill_after(3 * STEPS + 2)
    with pytest.raises(Killed):
        train(tmp_path / "killed.h5", trainer("killed"))
    killed = train(tmp_path / "killed.h5", trainer("killed"))
    assert killed.monitor.memory == whole.monitor.memory
    reports = [t.monitor.generator_metrics[0].reports for t in (whole, killed)]
    assert reports[0] == reports[1] and len(reports[0]) == 3
    files = [sorted((tmp_path / place).iterdir()) for place in ("whole", "killed")]
    assert [f.name for f in files[0]] == [f.name for f in files[1]] and len(files[0]) == 3
    assert all(a.read_bytes() == b.read_bytes() for a, b in zip(*files, strict=True))


def test_more_epochs_are_the_bits_of_as_many_at_once(tmp_path):
    whole = train(tmp_path / "whole.h5", make())
    train(tmp_path / "run.h5", make(), epochs=2)
    assert same(train(tmp_path / "run.h5", make()).model.get_values(), whole.model.get_values())
    # and what has ended stays as it is
    before = (tmp_path / "run.h5").read_bytes()
    again = train(tmp_path / "run.h5", make())
    assert same(again.model.get_values(), whole.model.get_values())
    assert (tmp_path / "run.h5").read_bytes() == before
    with pytest.raises(ConfigError, match="is after 5 epochs, got num_epochs=3"):
        train(tmp_path / "run.h5", make(), epochs=3)


def test_a_training_that_came_to_rest_stays_there(tmp_path):
    at_rest = {"optimizer": optimizers.Gradient(1e-9, tolerance=1.0), "average_last": 1.0}
    first = train(tmp_path / "run.h5", make(metrics=[ReconstructionError()]), **at_rest)
    again = train(tmp_path / "run.h5", make(metrics=[ReconstructionError()]), **at_rest)
    assert len(again.monitor.memory) == len(first.monitor.memory) == 1
    assert same(again.model.get_values(), first.model.get_values())


def test_a_second_training_goes_on_counting(tmp_path, kill_after):
    def second(trainer, kill=FOREVER):
        train(tmp_path / "first.h5", trainer, epochs=2)
        kill_after(kill)
        return train(tmp_path / "second.h5", trainer, optimizers.Gradient(0.1))

    with pytest.raises(Killed):
        second(make(metrics=[ReconstructionError()]), 3 * STEPS)
    assert second(make(metrics=[ReconstructionError()])).monitor.epochs == list(range(1, 8))


def test_it_is_written_every_so_often_and_at_the_end(tmp_path, monkeypatch):
    written, write = [], checkpoint.Checkpoint.write

    def spied(self, position, state):
        written.append(position.epoch)
        write(self, position, state)

    monkeypatch.setattr(checkpoint.Checkpoint, "write", spied)
    train(tmp_path / "run.h5", make(), every=2)
    assert written == [2, 4, 5]


def test_it_begins_where_there_is_no_file_or_nobody_asked(tmp_path, capsys):
    first = train(tmp_path / "run.h5", make(), epochs=2)
    anew = train(tmp_path / "run.h5", make(), epochs=2, resume=False)
    assert same(first.model.get_values(), anew.model.get_values())
    trainer = make(metrics=[ReconstructionError()])
    trainer.train(adam(), 2, checkpoint=tmp_path / "loud.h5", resume=True)
    assert capsys.readouterr().out.startswith("Before training:")
    trainer.train(adam(), 3, checkpoint=tmp_path / "loud.h5", resume=True)
    assert capsys.readouterr().out.startswith("Going on after epoch 2\n\nEnd of epoch 3:")


# --- what is refused, before anything is touched


@pytest.fixture
def stopped(tmp_path):
    train(tmp_path / "run.h5", make(metrics=[ReconstructionError()]), epochs=2)
    return tmp_path / "run.h5"


def refused(path, error, match, trainer=None, **options):
    """The resume is refused; model, generator, monitor and file are as they were."""
    trainer = trainer or make(metrics=[ReconstructionError()])
    if "sampler" in options:
        chains = options["sampler"](trainer.model)
        options["sampler"] = lambda model: chains
    content, values = path.read_bytes(), trainer.model.get_values()
    optimizer = options.pop("optimizer", None) or adam()
    state = trainer.generator.get_state(), be.get_random_state()
    with pytest.raises(error, match=match):
        train(path, trainer, optimizer, **options)
    assert same(values, trainer.model.get_values())
    assert (trainer.generator.get_state(), be.get_random_state()) == state
    assert trainer.monitor.memory == [] and optimizer.lr is None
    assert path.read_bytes() == content


@pytest.mark.parametrize(
    "options, told",
    [
        ({"optimizer": optimizers.Gradient(0.05)}, r"optimizer.name was 'ADAM', is 'Gradient'"),
        ({"optimizer": optimizers.ADAM(0.05)}, r"optimizer.max_norm was 2.0, is None"),
        ({"method": fit.cd}, "method.name was .*persistent_con.*, is 'paysage.fit.methods.contr"),
        ({"mcsteps": 2}, "mcsteps was 1, is 2"),
        ({"beta_std": 0.0}, "beta_std was 0.6, is 0.0"),
        ({"burn_in": 1}, "burn_in was 0, is 1"),
        ({"sampler": tempering}, "chains was 10, is 12; sampler was None, is 'ParallelTempering'"),
        ({"average_last": 0.5}, r"average_last\[0\] was 0.0, is 0.5"),
        ({"positive_phase": fit.MeanField()}, "positive_phase was None"),
        ({"update_method": "mean_field_iteration"}, "update_method was 'markov_chain'"),
    ],
)
def test_other_arguments_are_refused_by_name(stopped, options, told):
    refused(stopped, ConfigError, f"checkpoint of another training: .*{told}", **options)


@pytest.mark.parametrize(
    "made, told",
    [
        ({"sizes": (6, 5)}, r"model.connections\[0\].* was 4, is 5"),
        ({"kinds": "BO"}, "'BernoulliLayer', is 'OneHotLayer'"),
        ({"center": True}, r"center was False, is True"),
        ({"batch_size": 5}, "batch.train.batch_size was 10, is 5"),
        ({"transform": preprocess.Transformation(preprocess.binarize_color)}, "'binarize_color'"),
        ({"metrics": [EnergyCoefficient()]}, r"metrics\[0\].name was 'ReconstructionError'"),
    ],
)
def test_another_trainer_is_refused_by_name(stopped, made, told):
    trainer = make(**{"metrics": [ReconstructionError()], **made})
    refused(stopped, ConfigError, f"checkpoint of another training: .*{told}", trainer)


def test_a_file_that_is_cut_short_or_damaged_is_refused(stopped):
    whole = stopped.read_bytes()
    rng = np.random.default_rng(0)
    for length in (0, 5, *rng.integers(8, len(whole), 10)):
        stopped.write_bytes(whole[:length])
        refused(stopped, StorageError, "cut short|damaged")
    # of the content: HDF5 keeps unused bytes between its structures
    at = whole.index(b'{"format"')
    for place in (at + 20, at + 3000, whole.index(b'"sha256"'), len(whole) // 2):
        flipped = bytearray(whole)
        flipped[place] ^= 1 << int(rng.integers(8))
        stopped.write_bytes(flipped)
        refused(stopped, StorageError, "damaged")


@pytest.mark.parametrize("found", [0, 1, None, "2"])
def test_another_version_is_refused_by_name(stopped, found):
    tree = {**storage.read_tree(stopped, "checkpoint"), "version": found}
    storage.write_tree(stopped, tree, "checkpoint")
    refused(stopped, StorageError, f"version {found!r}; .* reads 2")


def test_what_is_no_checkpoint_is_refused(tmp_path):
    path = tmp_path / "model.h5"
    make().model.save(path)
    refused(path, StorageError, "holds a 'model'; expected a 'checkpoint'")
    with pytest.raises(ConfigError, match="resume=True needs the file"):
        make().train(adam(), 1, verbose=False, resume=True)
    with pytest.raises(ConfigError, match="every must be a whole number"):
        train(tmp_path / "run.h5", make(), every=0)
    with pytest.raises(StorageError, match="there is no folder"):
        train(tmp_path / "absent" / "run.h5", make())


class Bare(Chains):
    """Chains without a memory for files."""

    def __init__(self, model):
        self.model = model

    def set_state(self, state):
        self.state = state

    def get_state(self):
        return self.state


class Hoarding(optimizers.Gradient):
    """A rule that keeps what no file can hold."""

    def __init__(self):
        super().__init__(0.1)
        self.seen = []


class Method:
    def __call__(self, visible, phases):
        raise AssertionError


def test_what_could_not_be_stored_is_refused_before_any_work(tmp_path):
    def refusal(match, **options):
        trainer = make()
        values = trainer.model.get_values()
        with pytest.raises(ConfigError, match=match):
            train(tmp_path / "run.h5", trainer, **options)
        assert same(values, trainer.model.get_values()) and not list(tmp_path.iterdir())

    refusal("chains of Bare", sampler=lambda model: Bare.from_model(model, 3))
    refusal("Hoarding has seen, a list", optimizer=Hoarding())
    refusal("cannot hold what .*Method", method=Method())


# --- writing that fails, and other backends


@pytest.mark.parametrize("moment", ["replace", "fsync"])
def test_a_full_disk_leaves_the_checkpoint_before(tmp_path, monkeypatch, moment):
    def full(*_):
        raise OSError(28, "No space left on device")

    whole = train(tmp_path / "whole.h5", make())
    path = tmp_path / "run.h5"
    train(path, make(), epochs=2)
    before = path.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(os, moment, full)
        with pytest.raises(StorageError, match="No space left"):
            train(path, make())
    assert path.read_bytes() == before and not list(tmp_path.glob(".run*"))
    assert same(train(path, make()).model.get_values(), whole.model.get_values())


def test_a_file_that_could_be_written_half_only(tmp_path):
    """A limit of the system, which lets a write end in the middle as a full disk does."""
    resource = pytest.importorskip("resource", reason="the system has no such limits")
    path = tmp_path / "run.h5"
    train(path, make(), epochs=2)
    before, (soft, hard) = path.read_bytes(), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) // 2, hard))
    try:
        with pytest.raises(StorageError, match="cannot write"):
            train(path, make())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == before and not list(tmp_path.glob(".run*"))


def test_what_a_killed_process_left_behind_is_removed(tmp_path):
    (tmp_path / ".run.h5.0123456789ab.part").write_bytes(b"half")
    (tmp_path / ".other.h5.0123456789ab.part").write_bytes(b"half")
    train(tmp_path / "run.h5", make(), epochs=1)
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        ".other.h5.0123456789ab.part",
        "run.h5",
    ]


@pytest.mark.backend_free
@pytest.mark.parametrize("names", [("python", "pytorch"), ("pytorch", "python")])
def test_another_backend_goes_on_and_says_so(tmp_path, names):
    pytest.importorskip("torch", reason="PyTorch is not installed")
    made = {"metrics": [ReconstructionError()], "center": True, **DEEP}
    try:
        be.set_backend(names[0], "cpu")
        first = train(tmp_path / "run.h5", make(**made), epochs=2)
        values = first.model.get_values()
        be.set_backend(names[1], "cpu")
        with pytest.warns(UserWarning, match=f"backend {names[0]}, now {names[1]}"):
            again = train(tmp_path / "run.h5", make(**made), epochs=2)
        assert same(again.model.get_values(), values)
        with pytest.warns(UserWarning, match="not to the bits"):
            longer = train(tmp_path / "run.h5", make(**made), epochs=3)
        assert longer.monitor.epochs == [1, 2, 3]
        assert not same(longer.model.get_values(), values)
    finally:
        be.set_backend("python", "cpu")


@pytest.mark.filterwarnings("ignore:.*another installation")
@pytest.mark.backend_free
def test_a_training_continues_on_another_device(tmp_path, gpu_path):
    path = tmp_path / "run.h5"
    train(path, make(), epochs=1, capture=False)
    content = path.read_bytes()
    ends = []
    for processor in ("cpu", "gpu", "cpu", "gpu"):
        path.write_bytes(content)
        be.set_backend("pytorch", processor)
        ends.append(train(path, make(), epochs=2, capture=False).model.get_values())
    assert same(ends[0], ends[2]) and same(ends[1], ends[3])
    assert not same(ends[0], ends[1])


FORMS = {
    "the matrix": lambda m: m["model"]["values"]["weights"][0].update(matrix=np.zeros((2, 2))),
    "a rule of its own": lambda m: m["optimizer"]["settings"].update(update="x"),
    "a slot": lambda m: m["optimizer"]["slots"][0][2].__setitem__(0, np.zeros(7)),
    "the rate": lambda m: m["optimizer"].update(lr="fast"),
    "the chains": lambda m: m["phases"]["chains"].update(state=[np.zeros((2, 9))] * 2),
    "the temperatures": lambda m: m["phases"]["chains"].update(beta=np.ones((3, 1))),
    "the mean": lambda m: m["mean"].update(count=1, means=[]),
    "the metrics": lambda m: m["monitor"].update(memory=[{"x": "y"}] * len(m["monitor"]["epochs"])),
    "the generators": lambda m: m["generators"].update(numpy=3),
}


@pytest.mark.parametrize("change", FORMS.values(), ids=FORMS)
def test_a_memory_of_another_form_is_refused(stopped, change):
    tree = storage.read_tree(stopped, "checkpoint")
    change(tree["memory"])
    storage.write_tree(stopped, tree, "checkpoint")
    with pytest.raises(PaysageError):
        train(stopped, make(metrics=[ReconstructionError()]), epochs=3)


@pytest.mark.parametrize("part", ["written_by", "settings", "position", "memory"])
def test_a_checkpoint_without_a_part_is_refused(stopped, part):
    tree = storage.read_tree(stopped, "checkpoint")
    storage.write_tree(stopped, {**tree, part: [1]}, "checkpoint")
    with pytest.raises(StorageError, match=f"its {part} is"):
        train(stopped, make(metrics=[ReconstructionError()]), epochs=3)


def test_a_tree_that_no_training_made_is_refused(stopped):
    tree = storage.read_tree(stopped, "checkpoint")
    del tree["memory"]["mean"]["count"]
    storage.write_tree(stopped, tree, "checkpoint")
    with pytest.raises(StorageError, match="the memory of mean of the checkpoint"):
        train(stopped, make(metrics=[ReconstructionError()]))


@pytest.mark.backend_free
@pytest.mark.skipif(not hasattr(os, "fork"), reason="the script forks")
def test_processes_killed_at_any_moment():
    """A few of the kills of ``benchmarks/kills.py``, half of them while the file is written."""
    command = [sys.executable, KILLS, "--kills", "4"]
    ended = subprocess.run(command, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    found = dict(reversed(part.split(" ", 1)) for part in ended.stdout.strip().split(", "))
    assert found["kills"] == "4" and found["wrong ends"] == "0"
    assert int(found["runs"]) >= 1


# --- one writer, time, and the rows


@pytest.mark.skipif(files.fcntl is None, reason="the system has no such locks")
def test_two_trainings_cannot_write_one_file(tmp_path):
    class Second(fit.callbacks.Callback):
        def after_epoch(self, training):
            refused(path, StorageError, "run.h5 is being written by another training")
            told.append(training.epoch)

    path, told = tmp_path / "run.h5", []
    train(path, make(), epochs=1)
    train(path, make(), epochs=3, callbacks=[Second()])
    assert told == [2, 3] and os.listdir(tmp_path) == ["run.h5"]
    with pytest.raises(Killed):  # whatever ends a training lets go of its file
        train(path, make(), epochs=4, callbacks=[Dying()])
    train(path, make(), epochs=4)


class Dying(fit.callbacks.Callback):
    def after_batch(self, training):
        raise Killed


@pytest.mark.parametrize("case", ["rbm", "drawn", "averaged"])
def test_it_is_written_when_the_time_has_passed(tmp_path, kill_after, monkeypatch, case):
    """Each look at the clock is a minute: the file is written after every third step."""
    minutes = itertools.count()
    monkeypatch.setattr(checkpoint.time, "monotonic", lambda: 60.0 * next(minutes))
    made, optimizer, options = CASES[case]
    options = {**options, "every": datetime.timedelta(minutes=3)}
    paths = [tmp_path / "whole.h5", tmp_path / "killed.h5"]
    whole = train(paths[0], make(**made), optimizer(), **options)
    kill_after(2 * STEPS + 4)
    with pytest.raises(Killed):
        train(paths[1], make(**made), optimizer(), **options)
    place = fit.read_checkpoint(paths[1])["position"]
    assert place["epoch"] == 2 and 0 < place["minibatch"] < 4
    killed = train(paths[1], make(**made), optimizer(), **options)
    assert same(killed.model.get_values(), whole.model.get_values())
    assert same(*(fit.read_checkpoint(path)["memory"] for path in paths))


class Rows(fit.callbacks.Callback):
    """Writes down the order of the rows: the minibatches of each epoch, as they are given out."""

    def __init__(self, seen):
        self.seen = seen

    def begin(self, training):
        batch, iterate = training.batch, training.batch.iterate

        def noted(mode, *args, **kwargs):
            epoch = []
            self.seen.setdefault(training.epoch, []).append(epoch)
            for rows in iterate(mode, *args, **kwargs):
                epoch.append(array(rows).tobytes())
                yield rows

        batch.iterate = lambda mode="train", *args, **kwargs: (
            noted(mode, *args, **kwargs) if mode == "train" else iterate(mode, *args, **kwargs)
        )


@pytest.mark.parametrize("streamed", [False, True])
def test_a_shuffled_training_goes_on_with_the_same_rows(
    tmp_path, kill_after, monkeypatch, small_blocks, streamed
):
    minutes = itertools.count()
    monkeypatch.setattr(checkpoint.time, "monotonic", lambda: 60.0 * next(minutes))
    options = {"every": datetime.timedelta(minutes=3)}
    made = {"file": tmp_path / "rows.h5"} if streamed else {}
    whole_rows, rows = {}, {}
    whole = train(tmp_path / "whole.h5", make(**made), callbacks=[Rows(whole_rows)], **options)
    kill_after(2 * STEPS + 4)
    with pytest.raises(Killed):
        train(tmp_path / "killed.h5", make(**made), callbacks=[Rows({})], **options)
    place = fit.read_checkpoint(tmp_path / "killed.h5")["position"]
    assert place["epoch"] == 2 and 0 < place["minibatch"] < 4
    killed = train(tmp_path / "killed.h5", make(**made), callbacks=[Rows(rows)], **options)
    assert same(killed.model.get_values(), whole.model.get_values())
    assert rows == {epoch: whole_rows[epoch] for epoch in (2, 3, 4)}
    assert len({tuple(epoch[0]) for epoch in whole_rows.values()}) == EPOCHS


def test_an_epoch_that_is_repeated_has_the_same_order():
    class Diverging(fit.callbacks.Callback):
        """Makes the second epoch diverge the first time that it is run."""

        done = False

        def after_batch(self, training):
            if training.epoch == 1 and training.minibatch == 3 and not self.done:
                self.done = True
                training.model.layers[0].params.loc[0] = np.nan

    seen = {}
    called = [fit.callbacks.HalveOnDivergence(), Diverging(), Rows(seen)]
    make().train(adam(), 3, verbose=False, callbacks=called)
    assert [len(orders) for orders in seen.values()] == [1, 2, 1]
    assert seen[1][0] == seen[1][1]


@pytest.mark.backend_free
def test_a_time_must_be_above_zero(tmp_path):
    with pytest.raises(ConfigError, match="every must be a whole number or a time above zero"):
        train(tmp_path / "run.h5", make(), every=datetime.timedelta(0))


def test_parameters_that_are_not_finite_are_not_written_within_an_epoch(tmp_path):
    path = tmp_path / "run.h5"
    every = datetime.timedelta(microseconds=1)
    train(path, make(), epochs=1, every=every)
    before = path.read_bytes()
    with pytest.raises(DivergenceError):
        train(path, make(), epochs=2, every=every, callbacks=[Infinite()])
    assert path.read_bytes() == before


class Infinite(fit.callbacks.Callback):
    def after_batch(self, training):
        training.model.layers[0].params.loc[0] = np.inf


def of_rows(rows, folder=None):
    """A trainer on these rows, in memory or in a file."""
    be.set_seed(1)
    tables = {"train": rows[:-10], "validate": rows[-10:]}
    if folder is None:
        batch = Batch({mode: InMemoryTable(part, 10) for mode, part in tables.items()})
    else:
        for mode, part in tables.items():
            with h5py.File(folder / f"{mode}.h5", "w") as file:
                file["x"] = part
        batch = Batch({mode: HDFtable(folder / f"{mode}.h5", "x", 10) for mode in tables})
    return fit.SGD(build("BB", (6, 4), scale=0.1), batch, fantasy_steps=2)


@pytest.mark.parametrize("streamed", [False, True])
def test_other_rows_are_refused(tmp_path, streamed):
    folder = tmp_path if streamed else None
    rows = np.random.default_rng(3).integers(0, 2, (700, 6)).astype(np.float32)
    train(tmp_path / "run.h5", of_rows(rows, folder), epochs=1)
    for number, part in ((0, "train"), (689, "train"), (699, "validate")):
        other = rows.copy()
        other[number, 2] = 1 - other[number, 2]
        said = rf"batch.{part}.checksum_of_rows was '\w{{16}}', is '\w{{16}}'$"
        refused(tmp_path / "run.h5", ConfigError, said, of_rows(other, folder))
    # the same rows elsewhere are the same
    train(tmp_path / "run.h5", of_rows(rows, None if streamed else tmp_path), epochs=2)


def test_checksums_draw_nothing_and_older_files_have_none(stopped):
    trainer, state = make(metrics=[ReconstructionError()]), be.get_random_state()
    trainer.batch.tables["train"].checksum()
    assert be.get_random_state() == state
    tree = storage.read_tree(stopped, "checkpoint")
    for table in tree["settings"]["batch"].values():
        del table["checksum_of_rows"]
    storage.write_tree(stopped, tree, "checkpoint")
    assert train(stopped, trainer, epochs=3).monitor.epochs == [1, 2, 3]
