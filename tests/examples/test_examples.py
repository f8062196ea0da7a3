"""The scripts and the notebook of examples/mnist run on the small digits and leave pictures."""

import importlib
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from paysage import backends as be

pytest.importorskip("matplotlib", reason="matplotlib is not installed")
pytest.importorskip("sklearn", reason="scikit-learn, which has the digits, is not installed")

FOLDER = Path(__file__).resolve().parents[2] / "examples" / "mnist"
SCRIPTS = (
    "mnist_rbm",
    "mnist_rbm_onehot",
    "mnist_grbm",
    "mnist_hopfield",
    "mnist_dbm",
    "mnist_dbm_layerwise",
    "mnist_tap",
    "mnist_gtap",
)
PICTURES = {
    "fantasy_particles.png",
    "metrics.png",
    "reconstructions.png",
    "weight_norms.png",
    "weights.png",
}
MORE_PICTURES = {"mnist_rbm_onehot": {"templates.png"}}
PNG = b"\x89PNG\r\n\x1a\n"


def pictures_of(name):
    """The names of the pictures that a script leaves."""
    return PICTURES | MORE_PICTURES.get(name, set())


@pytest.fixture
def util(monkeypatch):
    """The module that the scripts share."""
    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module("mnist_util")


@pytest.fixture
def script(util, monkeypatch):
    """A function that imports a script, with fewer hidden units than people would take."""

    def load(name):
        module = importlib.import_module(name)
        small = module.SETTINGS["digits"]._replace(num_hidden=12, batch_size=100, mcsteps=1)
        monkeypatch.setitem(module.SETTINGS, "digits", small)
        return module

    return load


@pytest.mark.parametrize("name", SCRIPTS)
def test_script_trains_and_draws(script, tmp_path, capsys, name):
    model, monitor = script(name).run(num_epochs=1, data="digits", out=tmp_path / "new" / name)
    assert model.layers[0].num_units == 64
    assert len(monitor.memory) == 1
    assert all(map(math.isfinite, monitor.memory[0].values()))
    pictures = list((tmp_path / "new" / name).iterdir())
    expected = pictures_of(name)
    assert {path.name for path in pictures} == expected
    assert all(path.read_bytes().startswith(PNG) for path in pictures)
    lines = capsys.readouterr().out.splitlines()
    assert "Before training:" in lines
    assert "End of epoch 1: " in lines
    table = -len(expected) - len(monitor.memory[0]) - 2
    assert lines[table].split() == ["metric", "epoch", "1", "epoch", "1"]
    assert [line.split()[0] for line in lines[-len(expected) :]] == ["wrote"] * len(expected)


def test_table_shows_first_and_last_epoch(util, tmp_path, capsys):
    monitor = importlib.import_module("paysage.metrics").ProgressMonitor()
    for epoch, value in ((1, 0.5), (2, 0.75), (3, 0.125)):
        monitor.record(epoch, {"Some": value}, None)
    util.show_metrics(monitor, tmp_path)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["metric", "epoch", "1", "epoch", "3"]
    assert lines[1].split() == ["Some", "0.500000", "0.125000"]


def test_minibatches_are_black_and_white_and_always_the_same(util):
    first, second = (util.create_batch(50, data="digits") for _ in range(2))
    assert (first.ncols, first.nrows) == (64, 1797)
    rows = be.to_numpy_array(next(first.iterate("train", shuffle=False)))
    assert np.array_equal(rows, be.to_numpy_array(next(second.iterate("train", shuffle=False))))
    assert set(np.unique(rows)) == {0.0, 1.0}


def test_fantasy_particles_are_probabilities_or_draws(util):
    from paysage.layers import BernoulliLayer
    from paysage.models import BoltzmannMachine

    model = BoltzmannMachine([BernoulliLayer(9), BernoulliLayer(4)])
    means = util.compute_fantasy_particles(model, 6, 20)
    draws = util.compute_fantasy_particles(model, 6, 20, mean_field=False)
    assert means.shape == draws.shape == (6, 9)
    assert np.all((means > 0) & (means < 1))
    assert set(np.unique(draws)) <= {0.0, 1.0}


def test_samples_of_the_onehot_machine_are_exact(script):
    from paysage.layers import BernoulliLayer, OneHotLayer
    from paysage.models import BoltzmannMachine
    from paysage.testing import ExactMachine

    model = BoltzmannMachine([BernoulliLayer(4), OneHotLayer(3)])
    model.layers[0].params.loc[:] = be.randn((4,))
    model.layers[1].params.loc[:] = be.randn((3,))
    model.connections[0].weights.params.matrix[:] = 2 * be.randn((4, 3))
    exact = ExactMachine(model)
    num = 20_000
    images, means = script("mnist_rbm_onehot").draw(model, num)
    for row in np.eye(3):
        wanted = exact.probabilities[np.all(be.to_numpy_array(exact.states[1]) == row, axis=1)]
        got = be.to_numpy_array(means)[:, row == 1].mean()
        assert abs(got - wanted.sum()) < 4 * (0.25 / num) ** 0.5
    on = exact.expectation(be.to_numpy_array(exact.states[0]))
    assert np.all(abs(be.to_numpy_array(images).mean(axis=0) - on) < 4 * (0.25 / num) ** 0.5)


def test_templates_start_at_images_and_are_equally_probable(script):
    from paysage.layers import BernoulliLayer, OneHotLayer
    from paysage.models import BoltzmannMachine

    onehot = script("mnist_rbm_onehot")
    images = be.float_tensor(np.eye(5)[:4])
    model = BoltzmannMachine([BernoulliLayer(5), OneHotLayer(3)])
    onehot.start_at_images(model, images)
    # pixels start at the mean 1/2
    assert np.allclose(onehot.templates(model), 0.25 + 0.5 * np.eye(5)[:3], atol=1e-6)
    _, means = onehot.draw(model, 4000)
    assert np.allclose(be.to_numpy_array(means).mean(axis=0), 1 / 3, atol=4 * (0.25 / 4000) ** 0.5)


def test_gaussian_pixels_keep_their_noise(script, tmp_path):
    module = script("mnist_grbm")
    model, _ = module.run(num_epochs=1, data="digits", out=tmp_path, verbose=False)
    log_var = be.to_numpy_array(model.layers[0].params.log_var)
    assert np.allclose(log_var, 2 * math.log(module.SETTINGS["digits"].noise), atol=1e-6)


@pytest.mark.backend_free
def test_without_mnist_one_line_says_how_to_get_it(util, monkeypatch, capsys):
    monkeypatch.setattr(util.datasets, "find_mnist", lambda: None)
    assert util.find_images().name == "digits"
    (line,) = capsys.readouterr().out.splitlines()
    assert "paysage fetch mnist" in line


def run_script(*arguments):
    command = [sys.executable, str(FOLDER / "mnist_rbm.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


@pytest.mark.backend_free
def test_command_line_has_help():
    result = run_script("--help")
    assert result.returncode == 0
    for option in ("--epochs", "--data", "--out", "--seed", "--backend", "--quiet"):
        assert option in result.stdout


@pytest.mark.backend_free
def test_command_line_trains(tmp_path):
    result = run_script("--epochs", "1", "--data", "digits", "--out", str(tmp_path), "--quiet")
    assert result.returncode == 0, result.stderr
    assert "End of epoch" not in result.stdout
    assert {path.name for path in tmp_path.iterdir()} == PICTURES


@pytest.mark.backend_free
def test_command_line_names_an_error_in_one_line(tmp_path):
    result = run_script("--data", str(tmp_path / "absent.h5"), "--out", str(tmp_path))
    assert result.returncode == 1
    assert result.stderr.startswith("StorageError: ")
    assert "Traceback" not in result.stderr


def test_notebook_runs(util, monkeypatch):
    nbformat = pytest.importorskip("nbformat", reason="nbformat is not installed")
    import matplotlib

    matplotlib.use("Agg")
    notebook = nbformat.read(FOLDER / "notebook17.ipynb", as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(not cell.outputs and cell.execution_count is None for cell in code)

    monkeypatch.setenv("NUM_EPOCHS", "1")
    monkeypatch.setattr(util.datasets, "find_mnist", lambda: None)
    namespace = {"__name__": "__main__"}
    for number, cell in enumerate(code):
        lines = [line for line in cell.source.splitlines() if not line.startswith("%")]
        exec(compile("\n".join(lines), f"cell {number}", "exec", dont_inherit=True), namespace)
    for name, model in namespace["models"].items():
        for connection in model.connections:
            assert np.isfinite(be.to_numpy_array(connection.weights.W())).all(), name


@pytest.mark.parametrize("name", SCRIPTS)
def test_ctrl_c_ends_the_training_and_the_pictures_are_drawn(
    script, tmp_path, capsys, monkeypatch, name
):
    from paysage import optimizers

    def interrupted(*_):
        raise KeyboardInterrupt

    module = script(name)
    monkeypatch.setattr(optimizers.ADAM, "update", interrupted)
    module.run(num_epochs=1, data="digits", out=tmp_path)
    assert "interrupted: going on" in capsys.readouterr().out
    assert {path.name for path in tmp_path.iterdir()} == pictures_of(name) - {"metrics.png"}


@pytest.mark.backend_free
def test_a_folder_that_cannot_be_made_is_told_in_one_line(tmp_path):
    (tmp_path / "file").touch()
    result = run_script("--data", "digits", "--out", str(tmp_path / "file"))
    assert result.returncode == 1
    assert result.stderr.startswith("StorageError: cannot make the folder")
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("name", ["mnist_tap", "mnist_gtap"])
def test_tap_raises_its_likelihood(script, tmp_path, monkeypatch, name):
    module = script(name)
    faster = module.SETTINGS["digits"]._replace(batch_size=50, learning_rate=5e-3)
    monkeypatch.setitem(module.SETTINGS, "digits", faster)
    _, monitor = module.run(num_epochs=5, data="digits", out=tmp_path, verbose=False)
    assert monitor.memory[-1]["TAPLogLikelihood"] > monitor.memory[0]["TAPLogLikelihood"]
