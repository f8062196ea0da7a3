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
SCRIPTS = ("mnist_rbm", "mnist_hopfield", "mnist_dbm_layerwise")
PICTURES = {
    "fantasy_particles.png",
    "metrics.png",
    "reconstructions.png",
    "weight_norms.png",
    "weights.png",
}
PNG = b"\x89PNG\r\n\x1a\n"


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
    assert {path.name for path in pictures} == PICTURES
    assert all(path.read_bytes().startswith(PNG) for path in pictures)
    lines = capsys.readouterr().out.splitlines()
    assert "Before training:" in lines
    assert "End of epoch 1: " in lines
    assert lines[-len(PICTURES) - 9].split() == ["metric", "epoch", "1", "epoch", "1"]
    assert [line.split()[0] for line in lines[-len(PICTURES) :]] == ["wrote"] * len(PICTURES)


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
    rows = be.to_numpy_array(next(first.iterate("train")))
    assert np.array_equal(rows, be.to_numpy_array(next(second.iterate("train"))))
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


@pytest.mark.backend_free
def test_without_mnist_one_line_says_how_to_get_it(util, monkeypatch, capsys):
    monkeypatch.setattr(util.datasets, "find_mnist", lambda: None)
    assert util.find_images().name == "digits"
    (line,) = capsys.readouterr().out.splitlines()
    assert "download_mnist.py" in line


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
    assert {path.name for path in tmp_path.iterdir()} == PICTURES - {"metrics.png"}


@pytest.mark.backend_free
def test_a_folder_that_cannot_be_made_is_told_in_one_line(tmp_path):
    (tmp_path / "file").touch()
    result = run_script("--data", "digits", "--out", str(tmp_path / "file"))
    assert result.returncode == 1
    assert result.stderr.startswith("StorageError: cannot make the folder")
    assert "Traceback" not in result.stderr
