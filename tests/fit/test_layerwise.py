"""Layerwise pretraining: what each machine sees and sends, and how the stack is put together."""

import re
from functools import partial

import numpy as np
import pytest
from machines import array, build, twin
from test_resume import same

from paysage import backends as be
from paysage import constraints, fit, optimizers, schedules
from paysage.batch import in_memory_batch
from paysage.errors import (
    ConfigError,
    DataError,
    DivergenceError,
    PaysageError,
    ShapeError,
    StorageError,
)
from paysage.fit import layerwise
from paysage.fit.callbacks import Callback, CSVLog
from paysage.models import State
from paysage.preprocess import Transformation

SIZES = {2: (6, 4), 3: (6, 4, 3), 4: (6, 5, 4, 3)}


def stack(depth, kinds=None):
    return build(kinds or "B" * depth, SIZES[depth], seed=depth)


def data_batch(transform=None, rows=200):
    data = np.random.default_rng(0).integers(0, 2, (rows, 6)).astype(np.float32)
    return data, in_memory_batch(data, 20, train_fraction=0.8, transform=transform)


def expit(x):
    return 1 / (1 + np.exp(-x))


class Spied:
    """Everything that the trainers inside of the pretraining were given."""

    def __init__(self, monkeypatch, before=None):
        self.machines, self.rows, self.optimizers, self.starts = [], [], [], []
        spy = self

        class Trainer(fit.StochasticGradientDescent):
            def train(self, optimizer, *args, **kwargs):
                spy.machines.append(self.model)
                spy.optimizers.append(optimizer)
                spy.starts.append(self.model.copy())
                rows = self.batch.iterate("train", shuffle=False)
                spy.rows.append(np.vstack([array(v) for v in rows]))
                self.monitor.generator_metrics = []
                if before:
                    before(len(spy.machines) - 1, self.model)
                super().train(optimizer, *args, **kwargs)

        monkeypatch.setattr(layerwise, "StochasticGradientDescent", Trainer)


def pretrain(model, batch, optimizer=None, epochs=2, **kwargs):
    trainer = fit.LayerwisePretrain(model, batch)
    trainer.train(optimizer or optimizers.ADAM(0.05), epochs, verbose=False, **kwargs)
    return trainer


@pytest.mark.parametrize(
    "depth, gains",
    [(2, [(1, 1)]), (3, [(1, 2), (2, 1)]), (4, [(1, 2), (1, 1), (2, 1)])],
)
def test_the_bottom_doubles_what_goes_up_and_the_top_what_goes_down(depth, gains, monkeypatch):
    spied = Spied(monkeypatch)
    model = stack(depth)
    pretrain(model, data_batch()[1])
    assert [len(m.layers) for m in spied.machines] == [2] * (depth - 1)
    rng = np.random.default_rng(1)
    for k, (machine, (down, up)) in enumerate(zip(spied.machines, gains, strict=True)):
        below, above = SIZES[depth][k : k + 2]
        rows = [be.float_tensor(rng.random((5, n))) for n in (below, above)]
        w, a, b = (
            array(machine.connections[0].weights.W()),
            array(machine.layers[0].params.loc),
            array(machine.layers[1].params.loc),
        )
        state = State(rows)
        hidden = machine.mean_field_iteration(1, state, clamped=[0])[1]
        visible = machine.mean_field_iteration(1, state, clamped=[1])[0]
        np.testing.assert_allclose(array(hidden), expit(b + up * array(rows[0]) @ w), atol=1e-5)
        wanted = expit(a + down * array(rows[1]) @ w.T)
        np.testing.assert_allclose(array(visible), wanted, atol=1e-5)
    assert [(c.target_gain, c.domain_gain) for c in model.connections] == [(1, 1)] * (depth - 1)


@pytest.mark.parametrize("depth", [3, 4])
def test_each_machine_learns_on_the_mean_field_output_of_the_one_below(depth, monkeypatch):
    spied = Spied(monkeypatch)
    data, batch = data_batch()
    pretrain(stack(depth), batch)
    rows = data[:160].astype(np.float64)
    for k, machine in enumerate(spied.machines):
        # each pass adds roundings of a few 1e-7
        np.testing.assert_allclose(spied.rows[k], rows, atol=1e-5)
        w, b = array(machine.connections[0].weights.W()), array(machine.layers[1].params.loc)
        rows = expit(b + (2 if k == 0 else 1) * rows @ w)


@pytest.mark.parametrize("depth", [2, 3, 4])
def test_inner_weights_are_halved_and_biases_of_twins_averaged(depth, monkeypatch):
    spied = Spied(monkeypatch)
    model = stack(depth, {2: "BB", 3: "GBB", 4: "BGBB"}[depth])
    held = [c.weights.W() for c in model.connections] + [layer.params.loc for layer in model.layers]
    pretrain(model, data_batch()[1])
    machines = spied.machines
    for k, (c, machine) in enumerate(zip(model.connections, machines, strict=True)):
        factor = 0.5 if 0 < k < depth - 2 else 1.0
        wanted = factor * array(machine.connections[0].weights.W())
        np.testing.assert_array_equal(array(c.weights.W()), wanted.astype(np.float32))
    for i, layer in enumerate(model.layers):
        twins = ([machines[i - 1].layers[1]] if i > 0 else []) + (
            [machines[i].layers[0]] if i < depth - 1 else []
        )
        for name in layer.get_param_names():
            mean = np.mean([array(getattr(t.params, name)) for t in twins], axis=0)
            np.testing.assert_allclose(array(getattr(layer.params, name)), mean, atol=1e-6)
    now = [c.weights.W() for c in model.connections] + [layer.params.loc for layer in model.layers]
    for a, b in zip(held, now, strict=True):  # written in place
        np.testing.assert_array_equal(array(a), array(b))


def test_two_layers_are_trained_as_by_sgd():
    _, batch = data_batch()
    be.set_seed(3)
    model = stack(2)
    pretrain(model, batch)
    be.set_seed(3)
    wanted = stack(2)
    wanted.initialize(batch)
    fit.SGD(wanted, batch).train(optimizers.ADAM(0.05), 2, verbose=False)
    np.testing.assert_array_equal(
        array(model.connections[0].weights.W()), array(wanted.connections[0].weights.W())
    )


def test_learning_rate_restarts_for_each_rbm(monkeypatch):
    Spied(monkeypatch)
    rates = []

    class Recording(optimizers.ADAM):
        def update_lr(self):
            super().update_lr()
            rates.append(self.lr)

    optimizer = Recording(schedules.PowerLawDecay(initial=0.1, coefficient=10.0))
    pretrain(stack(4), data_batch()[1], optimizer, epochs=2)
    assert rates == pytest.approx([0.1, 0.05] * 3)
    assert optimizer.lr is None
    assert next(optimizer.stepsize) == 0.1


@pytest.mark.parametrize("method", ["hinton", "glorot_normal"])
def test_each_machine_is_initialized_on_what_it_sees(method, monkeypatch):
    spied = Spied(monkeypatch)
    pretrain(stack(3), data_batch()[1], init_method=method)
    for start, rows in zip(spied.starts, spied.rows, strict=True):
        w = array(start.connections[0].weights.W())
        deviation = 0.01 if method == "hinton" else np.sqrt(2 / sum(w.shape))
        # of 24 or 12 numbers the deviation is known to 15 or 20 percent
        assert 0.4 < w.std() / deviation < 1.7
        loc = array(start.layers[0].params.loc)
        np.testing.assert_allclose(expit(loc), rows.mean(axis=0), atol=1e-5)


def double(rows):
    return be.float_tensor(rows) * 0.5


def test_transforms_are_seen_through_and_put_back(monkeypatch):
    spied = Spied(monkeypatch)
    data, batch = data_batch(Transformation(double))
    before = batch.get_transforms()
    pretrain(stack(3), batch)
    np.testing.assert_allclose(spied.rows[0], data[:160] * 0.5)
    assert spied.rows[1].shape == (160, 4)
    assert_put_back(batch, before, data)


def assert_put_back(batch, before, data):
    after = batch.get_transforms()
    assert after.keys() == before.keys()
    assert all(after[mode] is before[mode] for mode in before)
    assert batch.ncols == 6
    np.testing.assert_allclose(array(next(batch.iterate("train", shuffle=False))), data[:20] * 0.5)


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, DivergenceError])
@pytest.mark.parametrize("which", [0, 1, 2])
def test_after_an_exception_transforms_are_put_back_and_the_model_is_untouched(
    which, error, monkeypatch
):
    def fail(k, machine):
        if k == which:
            raise error("on purpose")

    Spied(monkeypatch, before=fail)
    data, batch = data_batch(Transformation(double))
    before = batch.get_transforms()
    model = stack(4)
    weights = [array(c.weights.W()) for c in model.connections]
    with pytest.raises(error, match="on purpose"):
        pretrain(model, batch)
    assert_put_back(batch, before, data)
    for c, w in zip(model.connections, weights, strict=True):
        np.testing.assert_array_equal(array(c.weights.W()), w)


def test_after_an_interrupt_the_machines_trained_so_far_are_still_there(monkeypatch):
    def interrupt(k, machine):
        if k == 1:
            raise KeyboardInterrupt

    spied = Spied(monkeypatch, before=interrupt)
    trainer = fit.LayerwisePretrain(stack(4), data_batch()[1])
    with pytest.raises(KeyboardInterrupt):
        trainer.train(optimizers.ADAM(0.05), 2, verbose=False)
    assert [m is n for m, n in zip(trainer.machines, spied.machines, strict=True)] == [True] * 2
    learned = array(trainer.machines[0].connections[0].weights.W())
    assert not np.array_equal(learned, array(spied.starts[0].connections[0].weights.W()))


def test_fixed_parameters_come_out_as_they_went_in():
    model = stack(4)
    model.connections[1].weights.set_fixed_params(["matrix"])
    model.layers[0].set_fixed_params(["loc"])
    model.layers[2].set_fixed_params(["loc"])
    before = model.get_values()
    pretrain(model, data_batch()[1])
    after = model.get_values()
    np.testing.assert_array_equal(after["layers"][0]["loc"], before["layers"][0]["loc"])
    np.testing.assert_array_equal(after["layers"][2]["loc"], before["layers"][2]["loc"])
    np.testing.assert_array_equal(after["weights"][1]["matrix"], before["weights"][1]["matrix"])
    assert not np.array_equal(after["weights"][0]["matrix"], before["weights"][0]["matrix"])


def test_constraints_hold_afterwards():
    model = stack(4)
    for c in model.connections:
        c.weights.add_constraint({"matrix": partial(constraints.fixed_column_norm, norm=0.7)})
    pretrain(model, data_batch()[1])
    for c in model.connections:
        norms = np.linalg.norm(array(c.weights.W()), axis=0)
        np.testing.assert_allclose(norms, 0.7, rtol=1e-5)


def test_the_same_seed_gives_the_same_stack():
    results = []
    for seed in (4, 4, 5):
        be.set_seed(seed)
        model = stack(3)
        pretrain(model, data_batch()[1], method=fit.cd, mcsteps=2)
        results.append([array(c.weights.W()) for c in model.connections])
    assert all(np.array_equal(a, b) for a, b in zip(results[0], results[1], strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(results[0], results[2], strict=True))


def test_pretraining_alone_learns_two_clusters():
    """Independent units know 6 log(1/2) = -4.16 of them, the clusters themselves -2.65."""
    rng = np.random.default_rng(3)
    clusters = np.array([[1, 1, 1, 0, 0, 0], [0, 0, 0, 1, 1, 1]])
    data = clusters[rng.integers(0, 2, 600)]
    data = np.where(rng.random(data.shape) < 0.1, 1 - data, data).astype(np.float32)
    model = stack(3)
    optimizer = optimizers.ADAM(0.02)
    batch = in_memory_batch(data, 20)
    pretrain(model, batch, optimizer, 20, mcsteps=5, init_method="glorot_normal", beta_std=0.0)
    # half of the way; of ten seeds the worst came to -3.04
    assert twin(model).log_likelihood(data[:200].astype(np.float64)) > -3.4


def test_what_is_printed_has_the_notebooks_format(capfd):
    model = stack(3)
    fit.LayerwisePretrain(model, data_batch()[1]).train(optimizers.ADAM(), 1)
    out, err = capfd.readouterr()
    shown = r"(-\w+: -?\d+\.\d{6}\n){7}\n"
    part = rf"Before training:\n{shown}End of epoch 1: \nTime elapsed \d+\.\d{{1,3}}s\n{shown}"
    assert re.fullmatch(rf"training model 0\n\n{part}training model 1\n\n{part}", out), out
    assert err == ""
    fit.LayerwisePretrain(model, data_batch()[1]).train(optimizers.ADAM(), 1, verbose=False)
    assert capfd.readouterr() == ("", "")


def test_there_is_a_monitor_for_each_machine():
    trainer = pretrain(stack(4), data_batch()[1], epochs=2)
    assert [len(m.memory) for m in trainer.monitors] == [2, 2, 2]
    assert len({id(m) for m in trainer.monitors}) == 3


BAD = {
    "epochs": ({"num_epochs": -1}, ConfigError, "num_epochs"),
    "steps": ({"mcsteps": 0}, ConfigError, "mcsteps"),
    "chains": ({"negative_phase_batch_size": 0}, ConfigError, "negative_phase_batch_size"),
    "beta": ({"beta_std": -1.0}, ConfigError, "beta_std"),
    "method": ({"method": "pcd"}, ConfigError, "pcd"),
    "initializer": ({"init_method": "xavier"}, ConfigError, "xavier"),
    "optimizer": ({"optimizer": optimizers.ADAM}, ConfigError, "optimizer"),
}


def assert_refused(trainer, arguments, error, message, capfd):
    before = [array(c.weights.W()) for c in trainer.model.connections]
    generator = trainer.model.generator  # which is spawned from the global one here
    states = generator.get_state(), be.get_random_state()
    with pytest.raises(error, match=message):
        trainer.train(**{"optimizer": optimizers.ADAM(), "num_epochs": 1, **arguments})
    assert capfd.readouterr() == ("", "")
    assert (generator.get_state(), be.get_random_state()) == states
    for c, w in zip(trainer.model.connections, before, strict=True):
        np.testing.assert_array_equal(array(c.weights.W()), w)


@pytest.mark.parametrize("name", BAD)
def test_arguments_are_checked_before_any_work(name, capfd):
    trainer = fit.LayerwisePretrain(stack(3), data_batch()[1])
    assert_refused(trainer, *BAD[name], capfd)


def test_data_are_checked_before_any_work(capfd):
    data, _ = data_batch()
    outside = fit.LayerwisePretrain(stack(3), in_memory_batch(3 * data, 20))
    assert_refused(outside, {}, DataError, "0 to 3", capfd)
    narrow = fit.LayerwisePretrain(stack(3), in_memory_batch(data[:, :5], 20))
    assert_refused(narrow, {}, ShapeError, "5 columns", capfd)


def test_only_chains_can_be_pretrained():
    model = build("BBB", (6, 4, 3), [(0, 1), (1, 2), (2, 0)])
    with pytest.raises(PaysageError, match="chain"):
        fit.LayerwisePretrain(model, data_batch()[1])


def test_an_inner_layer_of_categories_hands_up_its_means():
    model = build("BOB", SIZES[3], seed=1)
    trainer = pretrain(model, data_batch()[1])
    assert not model.layers[1].takes_means
    state = State.from_visible_means(data_batch()[0], trainer.machines[0])
    np.testing.assert_allclose(array(state[1]).sum(axis=1), 1, atol=1e-6)


# --- checkpoints and callbacks

STEPS = 8  # of an epoch


class Stopped(BaseException):
    """Ends a training as nothing in it does."""


class At(Callback):
    """Does something after a number of steps."""

    def __init__(self, steps, what):
        self.left, self.what = steps, what

    def after_batch(self, training):
        self.left -= 1
        if self.left == 0:
            self.what(training)


def stop(training):
    raise Stopped


def rested(path, callbacks=(), resume=True, epochs=3):
    """A pretraining of three machines with checkpoints."""
    be.set_seed(11)
    model = stack(4)
    trainer = fit.LayerwisePretrain(model, data_batch()[1])
    trainer.train(
        optimizers.ADAM(schedules.PowerLawDecay(0.05, 2.0)),
        epochs,
        verbose=False,
        checkpoint=path,
        resume=resume,
        callbacks=callbacks,
    )
    return trainer


def end_of(trainer):
    measured = [m.memory for m in trainer.monitors]
    return [trainer.model.get_values(), measured, trainer.generator.get_state()]


@pytest.mark.parametrize("steps", [STEPS + 3, 3 * STEPS + 1, 4 * STEPS + 2, 8 * STEPS])
def test_a_pretraining_goes_on_to_the_same_bits(tmp_path, steps):
    whole = end_of(rested(tmp_path / "whole.h5"))
    with pytest.raises(Stopped):
        rested(tmp_path / "run.h5", [At(steps, stop)])
    again = rested(tmp_path / "run.h5")
    assert same(end_of(again), whole)
    assert sorted(p.name for p in tmp_path.glob("run*")) == [f"run_{k}.h5" for k in range(3)]
    # one that has ended stays as it is
    assert same(end_of(rested(tmp_path / "run.h5", [At(1, stop)])), whole)


def test_a_pause_assembles_nothing_and_goes_on(tmp_path):
    whole = end_of(rested(tmp_path / "whole.h5"))
    paused = rested(tmp_path / "run.h5", [At(4 * STEPS + 2, lambda training: training.pause())])
    assert paused.paused and len(paused.machines) == 2
    assert same(paused.model.get_values(), stack(4).get_values())
    again = rested(tmp_path / "run.h5")
    assert same(end_of(again), whole) and not again.paused


def test_a_pretraining_that_begins_anew_leaves_no_files_of_the_one_before(tmp_path):
    rested(tmp_path / "run.h5")
    first = (tmp_path / "run_0.h5").read_bytes()
    with pytest.raises(Stopped):
        rested(tmp_path / "run.h5", [At(1, stop)], resume=False)
    assert [p.name for p in tmp_path.iterdir()] == ["run_0.h5"]
    assert (tmp_path / "run_0.h5").read_bytes() == first


def test_callbacks_are_for_all_machines_or_for_each(tmp_path):
    counting = At(10**6, stop)
    pretrain(stack(3), data_batch()[1], callbacks=iter([counting]))
    assert 10**6 - counting.left == 2 * 2 * STEPS
    pretrain(stack(3), data_batch()[1], callbacks=lambda k: [CSVLog(tmp_path / f"machine{k}.csv")])
    for k in range(2):
        assert len((tmp_path / f"machine{k}.csv").read_text().splitlines()) == 4


@pytest.mark.parametrize(
    "options, error, match",
    [
        ({"resume": True}, ConfigError, "resume=True needs the file"),
        ({"checkpoint": "absent/run.h5"}, StorageError, "there is no folder"),
        ({"callbacks": At}, ConfigError, "takes a list of fit.callbacks"),
    ],
)
def test_what_pretraining_cannot_do_is_refused_before_any_work(options, error, match):
    model = stack(3)
    before = model.get_values()
    with pytest.raises(error, match=match):
        pretrain(model, data_batch()[1], **options)
    assert same(model.get_values(), before)


def test_a_machine_does_not_go_on_below_one_that_has_learned_on_it(tmp_path):
    def run(epochs):
        options = {"epochs": epochs, "checkpoint": tmp_path / "run.h5", "resume": True}
        pretrain(stack(3), data_batch()[1], **options)

    run(2)
    with pytest.raises(ConfigError, match=r"run_1.h5 .*learned on .*run_0.h5 after 2 epochs, got"):
        run(3)
    (tmp_path / "run_1.h5").unlink()
    run(3)
    assert fit.read_checkpoint(tmp_path / "run_1.h5")["position"]["epoch"] == 3


def test_files_above_one_that_is_missing_are_of_another_pretraining(tmp_path):
    rested(tmp_path / "run.h5")
    (tmp_path / "run_1.h5").unlink()
    with pytest.raises(Stopped):
        rested(tmp_path / "run.h5", [At(1, stop)])
    assert [p.name for p in tmp_path.iterdir()] == ["run_0.h5"]
