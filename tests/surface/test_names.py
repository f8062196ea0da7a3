"""Names and argument positions that scripts written for version 0.2 use."""

import itertools

import numpy as np
import pytest
from machines import array, arrays, build, pair, random_state

from paysage import backends as be
from paysage import batch, fit, layers, metrics, models, optimizers
from paysage.errors import ConfigError, ShapeError, StorageError
from paysage.metrics import KLDivergence, ModelAssessment, ProgressMonitor, ReconstructionError
from paysage.models import BoltzmannMachine, State, state_allclose
from paysage.samplers import SequentialMC


def binary_rows(rows=60, columns=4, seed=0):
    return np.random.default_rng(seed).integers(0, 2, (rows, columns)).astype(np.float32)


def data_batch(**options):
    return batch.in_memory_batch(binary_rows(), 10, train_fraction=0.5, **options)


# batch


def test_split_tensor_by_a_fraction_returns_two_tensors():
    rows = be.float_tensor(binary_rows(20))
    for fraction in (0.9, np.float32(0.9)):
        first, second = batch.split_tensor(rows, fraction)
        np.testing.assert_array_equal(array(first), array(rows)[:18])
        np.testing.assert_array_equal(array(second), array(rows)[18:])
    assert [len(block) for block in batch.split_tensor(rows, 8)] == [8, 8, 4]
    for wrong in (0.0, 1.0, 1.5, -0.1, float("nan")):
        with pytest.raises(ConfigError, match="between 0 and 1"):
            batch.split_tensor(rows, wrong)


def test_one_mode_of_a_batch_can_be_closed():
    data = data_batch()
    data.close(mode="validate")
    assert len(list(data.iterate("train"))) == 3
    data.reset_generator()
    assert list(data.get_transforms()) == ["train"]
    data.set_transforms(data.get_transforms()["train"])
    with pytest.raises(StorageError, match="validate"):
        data.get("validate")
    with pytest.raises(ConfigError, match="unknown mode"):
        data.close("test")
    data.close()
    data.close("train")
    with pytest.raises(StorageError, match="train"):
        data.get("train")


def test_tables_in_memory_can_be_closed():
    table = batch.InMemoryTable(binary_rows(), 10)
    table.close()
    batch.Batch({"train": table}).close()


# layers and connections


def test_random_takes_rows_shapes_and_arrays():
    model = build("BGO", (4, 3, 5))
    for layer in model.layers:
        n = layer.num_units
        assert layer.len == n
        for given in (6, (6, n), [6, n], be.zeros((6, n)), np.zeros((6, n))):
            assert tuple(be.shape(layer.random(given))) == (6, n)
        with pytest.raises(ShapeError, match=rf"\(rows, {n}\), got \(6, {n + 1}\)"):
            layer.random((6, n + 1))


def test_named_tuples_of_parameters_are_constructed_by_their_old_names():
    model = build("BGO", (4, 3, 5))
    loc, log_var = be.ones((3,)), be.zeros((3,))
    model.layers[0].set_params(layers.ParamsBernoulli(be.ones((4,))))
    model.layers[1].set_params(layers.ParamsGaussian(loc, log_var))
    model.layers[2].set_params(layers.ParamsOneHot(loc=be.ones((5,))))
    matrix = be.float_tensor(np.arange(12).reshape(4, 3))
    model.connections[0].weights.set_params(layers.ParamsWeights(matrix))
    assert be.allclose(model.connections[0].weights.get_params().matrix, matrix)
    found = model.layers[1].get_params()
    assert isinstance(found, layers.ParamsGaussian) and be.allclose(found.loc, loc)
    found.loc[:] = 3.0
    assert array(model.layers[1].params.loc).tolist() == [3.0] * 3


def test_connections_have_a_shape_and_a_matrix():
    model = build("BBB", (4, 3, 2))
    assert model.num_connections == 2
    connection = model.connections[0]
    assert connection.shape == (4, 3)
    assert be.allclose(connection.W(), connection.weights.W())
    assert be.allclose(connection.W(trans=True), be.transpose(connection.W()))


# models and states


def test_copy_params_copies_values_and_shares_nothing():
    one, other = build("BG", (4, 3), seed=1), build("BG", (4, 3), seed=2)
    one.copy_params(other)
    visible = random_state(one, 5)[0]
    for a, b in zip(
        arrays(State.from_visible_means(visible, one)),
        arrays(State.from_visible_means(visible, other)),
        strict=True,
    ):
        np.testing.assert_array_equal(a, b)
    other.layers[0].params.loc[:] = 9.0
    assert array(one.layers[0].params.loc).max() < 9.0
    for different in (build("BB", (4, 3)), build("BG", (4, 2)), build("BGB", (4, 3, 2))):
        before = array(one.connections[0].W())
        with pytest.raises(ConfigError, match="copy_params expected"):
            one.copy_params(different)
        np.testing.assert_array_equal(array(one.connections[0].W()), before)


def test_states_copy_rows_and_count_layers():
    state = random_state(build("BGB", (4, 3, 2)), 6)
    assert state.len == state.number_of_layers() == len(state) == 3
    assert [state.number_of_units(i) for i in range(3)] == [4, 3, 2]
    for rows in ([4, 0, 4], np.array([4, 0, -2]), be.long_tensor([4, 0, 4])):
        some = State.from_state(state, rows)
        for a, b in zip(arrays(some), arrays(state), strict=True):
            np.testing.assert_array_equal(a, b[[4, 0, 4]])
    some[0][:] = 7.0
    assert array(state[0]).max() < 7.0
    for wrong in ([6], [-7], [0.5], 3, [[1]]):
        with pytest.raises(ShapeError, match="sample_indices"):
            State.from_state(state, wrong)
    assert State.from_state(state, []).batch_size() == 0


def test_state_allclose_compares_shapes_and_units():
    state = random_state(pair("BG"), 6)
    near, far = State.from_state(state), State.from_state(state)
    near[1][:] = state[1] + 1e-7
    far[1][:] = state[1] + 1e-2
    assert state_allclose(state, near)
    assert not state_allclose(state, far)
    assert state_allclose(state, far, atol=0.1)
    assert not state_allclose(state, State.from_state(state, [0]))
    assert not state_allclose(state, State(state.units[:1]))


def test_states_of_means_are_exported_beside_states():
    from paysage.models.state import StateTAP

    assert StateTAP is models.StateTAP


# metrics


@pytest.mark.parametrize("name", metrics.__all__)
def test_every_metric_takes_a_name(name):
    kind = getattr(metrics, name)
    if not (isinstance(kind, type) and issubclass(kind, metrics.Metric)) or kind is metrics.Metric:
        pytest.skip("not a metric")
    assert kind().name == name
    metric = kind(name="mine")
    assert metric.name == "mine" and "name='mine'" in repr(metric)
    twin = kind.from_config(metric.get_config())
    assert twin.name == "mine" and twin.get_config() == metric.get_config()
    with pytest.raises(ConfigError, match="must be a string"):
        kind(name=True)


def test_names_stand_where_version_0_2_has_them():
    assert KLDivergence(3, "near", False).get_config() == {
        "name": "KLDivergence",
        "label": "near",
        "k": 3,
        "divide_dimension": False,
    }
    assert metrics.TAPFreeEnergy(4, "tap").num_samples == 4
    assert ReconstructionError("error").name == "error"


def test_two_metrics_of_one_kind_are_measured_under_their_names():
    monitor = ProgressMonitor([ReconstructionError(), ReconstructionError(name="again")])
    assert list(monitor.evaluate(data_batch(), pair("BB"))) == ["ReconstructionError", "again"]


def test_assessments_take_the_arguments_of_version_0_2():
    model = pair("BB")
    rows = binary_rows(8)
    seen = ModelAssessment(rows, model, 2, 50, 0.0)
    assert seen.model_state.batch_size() == 50
    with pytest.raises(ConfigError, match="beta_std"):
        ModelAssessment(rows, model, beta_std=-1)


def test_beta_std_of_an_assessment_widens_the_inverse_temperature():
    """With weights zero, P(on) = E[expit(beta loc)], here well below its value at beta = 1."""
    model = BoltzmannMachine([layers.BernoulliLayer(1), layers.BernoulliLayer(1)])
    model.connections[0].weights.params.matrix[:] = 0.0
    model.layers[0].params.loc[:] = 3.0
    on = [
        array(ModelAssessment(np.ones((1, 1)), model, 3, 40_000, std).model_state[0]).mean()
        for std in (0.0, 1.0)
    ]
    assert on[0] == pytest.approx(1 / (1 + np.exp(-3.0)), abs=0.006)
    beta = np.random.default_rng(0).exponential(size=10**6)  # Gamma of mean and variance 1
    assert on[1] == pytest.approx((1 / (1 + np.exp(-3.0 * beta))).mean(), abs=0.012)


@pytest.mark.parametrize("kinds", ["BB", "BBB"])
def test_data_state_samples_hidden_units_given_the_data(kinds):
    model = build(kinds, (4, 3, 2)[: len(kinds)])
    row = np.array([[1, 0, 0, 1]], np.float32)
    seen = ModelAssessment(np.repeat(row, 20_000, axis=0), model, fantasy_steps=30)
    state = seen.data_state
    assert isinstance(state, State) and isinstance(seen.reconstructions, State)
    np.testing.assert_array_equal(array(state[0]), np.repeat(row, 20_000, axis=0))
    np.testing.assert_allclose(
        array(state[1]).mean(axis=0), exact_hidden_means(model, row), atol=5 * 0.5 / 20_000**0.5
    )


def exact_hidden_means(model, row):
    """Means of the first hidden layer given a row of visible units, by enumeration."""
    states = [array(layer.all_states()) for layer in model.layers[1:]]
    grids = np.meshgrid(*(np.arange(len(s)) for s in states), indexing="ij")
    hidden = [s[g.reshape(-1)] for s, g in zip(states, grids, strict=True)]
    visible = np.repeat(row, len(hidden[0]), axis=0)
    joint = State([be.float_tensor(units) for units in (visible, *hidden)])
    weight = np.exp(-array(model.joint_energy(joint)))
    return weight @ hidden[0] / weight.sum()


class Gap(metrics.Metric):
    """A metric of a user, which reads states."""

    def measure(self, assessment):
        states = (assessment.data_state, assessment.model_state, assessment.reconstructions)
        energies = [float(be.mean(assessment.model.joint_energy(state))) for state in states]
        return energies[1] - energies[0]


def test_metrics_of_a_user_read_states():
    trainer = fit.SGD(pair("BB"), data_batch())
    trainer.monitor.generator_metrics.append(Gap(name="gap"))
    trainer.train(optimizers.ADAM(stepsize=0.01), 2, verbose=False)
    assert all(np.isfinite(measured["gap"]) for measured in trainer.monitor.memory)


def test_epoch_update_measures_stores_and_shows(capsys):
    monitor = ProgressMonitor([ReconstructionError()])
    data, model = data_batch(), pair("BB")
    found = monitor.epoch_update(data, model)
    assert list(found) == ["ReconstructionError"] and monitor.memory == []
    assert capsys.readouterr().out == ""
    stored = monitor.epoch_update(data, model, store=True, show=True)
    assert monitor.memory == [stored] and monitor.epochs == [1]
    assert capsys.readouterr().out == f"-ReconstructionError: {stored['ReconstructionError']:.6f}\n"
    monitor.epoch_update(data, model, store=True)
    assert monitor.epochs == [1, 2]


# training


def test_a_trainer_without_a_monitor_trains_and_prints_times(capsys, tmp_path):
    model, twin = pair("BB"), pair("BB")
    trainer = fit.SGD(model, data_batch())
    trainer.monitor = None
    be.set_seed(3)
    path = tmp_path / "run.h5"
    trainer.train(optimizers.ADAM(stepsize=0.01), 2, checkpoint=path)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(" ")[0] for line in lines if line] == [
        "Before",
        "End",
        "Time",
        "End",
        "Time",
    ]
    assert trainer.monitor is None and path.exists()
    empty = fit.SGD(twin, data_batch())
    empty.monitor.generator_metrics.clear()
    be.set_seed(3)
    empty.train(optimizers.ADAM(stepsize=0.01), 2, verbose=False)
    np.testing.assert_array_equal(array(model.connections[0].W()), array(twin.connections[0].W()))


def pcd_of_a_user(visible, model, positive, negative):
    positive.set_state_from_visible(visible)
    positive.update_state()
    negative.update_state()
    return model.gradient(positive.state, negative.state)


def cd_of_a_user(visible, model, positive_phase, negative_phase=None):
    positive_phase.set_state(State.from_visible(visible, model))
    positive_phase.update_state()
    negative_phase.set_state(positive_phase.get_state())
    negative_phase.update_state(2)
    return model.gradient(positive_phase.get_state(), negative_phase.get_state())


@pytest.mark.parametrize("method", [pcd_of_a_user, cd_of_a_user])
@pytest.mark.parametrize("kinds", ["BB", "BBB"])
def test_methods_of_four_arguments_train(method, kinds, tmp_path):
    """A model learns that all units are on, and its offsets follow the positive phase."""
    model = build(kinds, (4, 3, 2)[: len(kinds)], center=True)
    data = batch.in_memory_batch(np.ones((60, 4), np.float32), 10)
    before = array(model.layers[0].offset)
    trainer = fit.SGD(model, data)
    trainer.monitor = None
    trainer.train(
        optimizers.ADAM(stepsize=0.05),
        60,
        method=method,
        mcsteps=2,
        verbose=False,
        checkpoint=tmp_path / "run.h5",
        every=60,
    )
    fantasy = SequentialMC.generate_fantasy_state(model, 500, 50, beta_std=0.0)
    assert array(fantasy.get_visible()).mean() > 0.9
    assert np.abs(array(model.layers[0].offset) - 1.0).max() < np.abs(before - 1.0).max()


def test_the_samplers_of_four_argument_methods(capsys):
    """The visible layer of the positive one is clamped; the negative one keeps its chains."""
    seen = []

    def method(visible, model, positive, negative):
        start = array(negative.state[0])
        positive.set_state(State.from_visible(visible, model))
        positive.update_state()
        negative.update_state()
        seen.append((array(positive.state[0]) - array(visible), start, array(negative.state[0])))
        return model.gradient(positive.state, negative.state)

    trainer = fit.SGD(pair("BB"), data_batch())
    trainer.train(
        optimizers.ADAM(stepsize=0.01),
        2,
        method=method,
        negative_phase_batch_size=7,
        verbose=False,
    )
    assert len(seen) == 6 and all((gap == 0).all() for gap, _, _ in seen)
    for (_, _, end), (_, start, _) in itertools.pairwise(seen):
        np.testing.assert_array_equal(start, end)
    assert seen[0][1].shape == (7, 4)


@pytest.mark.parametrize("method", [lambda v: None, lambda a, b, c, d, e: None])
def test_methods_of_other_numbers_of_arguments_are_refused(method):
    trainer = fit.SGD(pair("BB"), data_batch())
    with pytest.raises(ConfigError, match=r"\(visible, model, positive, negative\)"):
        trainer.train(optimizers.ADAM(stepsize=0.01), 1, method=method, verbose=False)


def test_methods_of_the_library_are_accepted():
    for method in (fit.cd, fit.pcd, fit.TAP().tap_update):
        trainer = fit.SGD(pair("BB"), data_batch())
        trainer.train(optimizers.ADAM(stepsize=0.01), 1, method=method, verbose=False)
