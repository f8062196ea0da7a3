"""The Ising example: its generator is exact, its script runs, and notebook cells of its kind do."""

import importlib
import pickle
from pathlib import Path

import numpy as np
import pytest

from paysage import backends as be
from paysage import batch, fit, optimizers, penalties, samplers, schedules
from paysage.layers import BernoulliLayer
from paysage.models import BoltzmannMachine, State

FOLDER = Path(__file__).resolve().parents[2] / "examples" / "ising"
TEMPERATURES = (1.75, 2.25, 2.75)


@pytest.fixture
def ising(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module("ising")


def standard_error(values, parts=20):
    """Of the mean of a chain's values, from the means of blocks."""
    means = values[: len(values) // parts * parts].reshape(parts, -1).mean(axis=1)
    return means.std(ddof=1) / parts**0.5


@pytest.mark.backend_free
@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_exact_energy_matches_enumeration(ising, temperature):
    states = (np.arange(2**16)[:, None] >> np.arange(16)) & 1
    energy = 16 * ising.energy_per_spin(states)
    weight = np.exp(-energy / temperature)
    expected = (weight @ energy) / weight.sum() / 16
    assert ising.exact_energy(temperature, size=4) == pytest.approx(expected, abs=1e-6)


@pytest.mark.backend_free
@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_configurations_have_the_exact_energy(ising, temperature):
    rows = ising.sample_configurations(400, temperature, seed=1)
    assert rows.shape == (400, 1600) and set(np.unique(rows)) == {0, 1}
    energy = ising.energy_per_spin(rows)
    off = energy.mean() - ising.exact_energy(temperature)
    assert abs(off) < 5 * standard_error(energy)
    assert standard_error(energy) < 0.01


@pytest.mark.backend_free
def test_configurations_are_magnetized_below_the_critical_temperature_only(ising):
    spin = ising.magnetization(ising.sample_configurations(400, 1.75, seed=1))
    size = np.abs(spin)
    assert abs(size.mean() - ising.exact_magnetization(1.75)) < 5 * standard_error(size)
    assert abs((spin > 0).mean() - 0.5) < 5 * 0.5 / 400**0.5  # both signs are equally likely
    hot = ising.magnetization(ising.sample_configurations(400, 2.75, seed=1))
    assert ising.exact_magnetization(2.75) == 0.0
    assert abs(hot.mean()) < 5 * standard_error(hot)
    assert np.abs(hot).mean() < 0.2


@pytest.mark.backend_free
def test_configurations_depend_on_the_seed_alone(ising):
    first, again, other = (ising.sample_configurations(5, 2.0, 8, seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_the_script_learns_and_leaves_pictures_and_models(ising, monkeypatch, tmp_path, capsys):
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    script = importlib.import_module("ising_dbm")
    monkeypatch.setattr(script, "NUM_FANTASY", 100)
    monkeypatch.setattr(script, "BATCH_SIZE", 20)
    results = script.run(
        num_epochs=8,
        num_configurations=600,
        size=10,
        num_hidden=(12, 4),
        temperatures=(1.75, 2.75),
        out=tmp_path,
        verbose=False,
    )
    cold, hot = results
    # the model of the ordered phase makes ordered samples, that of the disordered phase does not
    assert cold.fantasy[1] > 0.75 and hot.fantasy[1] < 0.6
    assert cold.fantasy[0] < -1.2
    for temperature in ("T1.75", "T2.75"):
        names = {path.name for path in (tmp_path / temperature).iterdir()}
        assert names == {
            "data.png",
            "fantasy_particles.png",
            "reconstructions.png",
            "weights.png",
        }
    assert (tmp_path / "energies.png").exists()
    models = pickle.loads((tmp_path / "models.pkl").read_bytes())
    assert [model.num_layers for model in models.values()] == [3, 3]
    assert "exact e" in capsys.readouterr().out


# what cells of a notebook on this example do


def adam_optimizer(initial, coefficient):
    return optimizers.ADAM(
        stepsize=schedules.PowerLawDecay(initial=initial, coefficient=coefficient)
    )


def train_model(model, data, num_epochs, monte_carlo_steps):
    is_deep = model.num_layers > 2
    model.initialize(data, method="glorot_normal")
    if is_deep:
        pretrainer = fit.LayerwisePretrain(model, data)
        pretrainer.train(
            adam_optimizer(1e-2, 1.0),
            num_epochs,
            method=fit.pcd,
            mcsteps=monte_carlo_steps,
            init_method="glorot_normal",
        )
    trainer = fit.SGD(model, data)
    trainer.train(adam_optimizer(1e-3, 1.0), num_epochs, method=fit.pcd, mcsteps=monte_carlo_steps)


@pytest.mark.parametrize("dtype", [int, np.int8, np.uint8, bool])
@pytest.mark.parametrize("as_tensor", [True, False], ids=["tensor", "array"])
def test_integer_configurations_make_batches(ising, dtype, as_tensor):
    rows = ising.sample_configurations(60, 2.25, size=8).astype(dtype)
    given = be.float_tensor(rows) if as_tensor else rows
    data = batch.in_memory_batch(given, 10, train_fraction=0.8)
    examples = data.get(mode="train")
    assert tuple(be.shape(examples)) == (10, 64) and be.dtype(examples) == be.Float


def test_cells(ising, tmp_path, capsys):
    np.random.seed(137)
    be.set_seed()
    rows = {T: ising.sample_configurations(200, T, size=8).astype(int) for T in TEMPERATURES}
    models = {}
    for temperature, configurations in rows.items():
        data = batch.in_memory_batch(be.float_tensor(configurations), 20, train_fraction=0.8)
        data.reset_generator(mode="train")
        model = BoltzmannMachine([BernoulliLayer(data.ncols), BernoulliLayer(8), BernoulliLayer(3)])
        names = [model.layers[i].get_param_names() for i in range(model.num_layers)]
        assert names == [["loc"]] * 3
        for connection in model.connections:
            connection.weights.add_penalty({"matrix": penalties.l1_penalty(1e-3)})
        train_model(model, data, 2, 1)
        models[temperature] = model
    printed = capsys.readouterr().out
    assert printed.count("training model 1") == 3 and printed.count("End of epoch 2") == 9

    with open(tmp_path / "models.pkl", "wb") as file:
        pickle.dump(models, file)
    with open(tmp_path / "models.pkl", "rb") as file:
        models = pickle.load(file)

    for temperature, model in models.items():
        examples = be.float_tensor(rows[temperature][-10:])
        state = State.from_visible(examples, model)
        assert state.number_of_layers() == 3 and be.allclose(state.get_visible(), examples)
        up = model.deterministic_iteration(1, state, clamped=[0])
        assert tuple(be.shape(up[1])) == (10, 8)
        reconstructions = model.compute_reconstructions(examples).get_visible()
        fantasy = samplers.SequentialMC.generate_fantasy_state(
            model,
            10,
            20,
            schedule=schedules.Linear(initial=1.0, delta=1 / 19),
            beta_std=0.0,
            beta_momentum=0.0,
        )
        fantasy = model.mean_field_iteration(1, fantasy).get_visible()
        for images in (reconstructions, fantasy):
            array = be.to_numpy_array(images)
            assert array.shape == (10, 64) and array.min() >= 0 and array.max() <= 1
        weights = be.reshape(model.connections[0].weights.W(trans=True)[:4], (2, 2, 64))
        assert be.tmin(weights) <= be.tmax(weights)
