"""The recipes of examples/mnist/recipes train, estimate, save and print a line, in small."""

import importlib
import math
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from paysage import backends as be
from paysage.errors import ConfigError
from paysage.likelihood import exact_log_partition, log_likelihood, variational_bound
from paysage.models import BoltzmannMachine

pytest.importorskip("sklearn", reason="scikit-learn, which has the digits, is not installed")

FOLDER = Path(__file__).resolve().parents[2] / "examples" / "mnist" / "recipes"
RECIPES = {path.stem for path in FOLDER.glob("*.py")} - {"recipe", "estimates", "samples", "moved"}
MORE = {"rbm_clock": ["--goal=-90"], "rbm_exact": ["--flip"]}


@pytest.fixture
def load(monkeypatch):
    """A function that imports a module of the folder."""
    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module


def options_of(module, load, *arguments):
    parser = module.make_parser() if hasattr(module, "make_parser") else None
    return (parser or load("estimates").make_parser("")).parse_args(["--quick", *arguments])


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_a_recipe_prints_its_line_and_saves_its_model(load, name, tmp_path, capsys):
    module = load(name)
    out = f"--out={tmp_path / 'new'}"
    found = module.run(options_of(module, load, out, "--seed=5", *MORE.get(name, ())))
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith(f"| {name}") and "| seed 5 |" in line and "trained in" in line
    assert all(map(math.isfinite, found))
    for path in (tmp_path / "new").iterdir():
        assert re.fullmatch(r".*-5\.h5", path.name)
        assert BoltzmannMachine.from_saved(path).layers[0].num_units == 64
    assert len(list((tmp_path / "new").iterdir())) == 1 + (name == "dbm")


def test_the_estimate_is_the_likelihood(load, tmp_path):
    recipe, module = load("recipe"), load("rbm_threshold")
    options = options_of(module, load, f"--out={tmp_path}", "--epochs=5")
    found = module.run(options)
    (path,) = tmp_path.iterdir()
    model = BoltzmannMachine.from_saved(path)
    images = recipe.find_images(options)
    test = recipe.THRESHOLD.compute(be.float_tensor(images.test))
    exact = log_likelihood(model, test, exact_log_partition(model)).mean
    # weights that are still small: a hundred temperatures leave a few hundredths
    assert abs(found.mean - exact) < 0.1
    assert found.low - 0.1 < exact < found.high + 0.1


@pytest.mark.parametrize("name", ["rbm_threshold", "dbm"])
def test_a_saved_machine_is_estimated_instead_of_trained(load, name, tmp_path, capsys):
    module = load(name)
    module.run(options_of(module, load, f"--out={tmp_path}"))
    (path,) = tmp_path.glob(f"{name}-*.h5")
    written = path.stat().st_mtime_ns
    found = module.run(options_of(module, load, f"--model={path}", "--betas=50"))
    assert math.isfinite(found.mean) and path.stat().st_mtime_ns == written
    assert "trained in 0 s" in capsys.readouterr().out.splitlines()[-1]


def test_a_picture_of_samples_and_their_autocorrelation_time(load, tmp_path, capsys):
    module = load("rbm_exact")
    module.run(options_of(module, load, f"--out={tmp_path}"))
    (path,), picture = tmp_path.glob("*.h5"), tmp_path / "samples.png"
    capsys.readouterr()
    samples = load("samples")
    arguments = [str(path), f"--out={picture}", "--sweeps=200"]
    times = samples.run(samples.make_parser().parse_args(arguments))
    # a machine that has hardly learned: its chains forget within a few sweeps
    assert all(0.5 < time < 20 for time in times)
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert capsys.readouterr().out.startswith(f"| {path.stem} | autocorrelation time")
    assert samples.powers(5000) == [1, 10, 100, 1000, 5000]


def test_a_deep_machine_starts_as_the_restricted_one_that_it_was_grown_from(load, tmp_path):
    module, recipe = load("dbm"), load("recipe")
    options = options_of(module, load, f"--out={tmp_path}")
    below, _ = module.first_layers(options)
    (path,) = tmp_path.iterdir()
    again, taken = module.first_layers(options_of(module, load, f"--start={path}"))
    assert taken == (0.0, 0.0)
    data = recipe.make_batch(recipe.find_images(options), recipe.SAMPLED, 100)
    model = module.grown(again, 4, data)
    model.connections[1].weights.params.matrix[:] = 0.0
    visible = next(data.iterate("validate"))
    for machine in (below, again):
        state = model.compute_reconstructions(visible, "mean_field_iteration")
        wanted = machine.compute_reconstructions(visible, "mean_field_iteration")
        for a, b in zip(state.units[:2], wanted.units, strict=True):
            np.testing.assert_allclose(
                be.to_numpy_array(a), be.to_numpy_array(b), rtol=1e-5, atol=1e-6
            )


def test_a_machine_that_is_not_centered_is_a_start_too(load):
    module, recipe = load("dbm"), load("recipe")
    data = recipe.make_batch(recipe.find_images(options_of(module, load)), recipe.SAMPLED, 100)
    plain = recipe.centered_machine([64, 5], center=False)
    plain.initialize(data, method="glorot_normal")
    model = module.grown(plain, 4, data)
    model.connections[1].weights.params.matrix[:] = 0.0
    visible = next(data.iterate("validate"))
    wanted = log_likelihood(plain, visible, exact_log_partition(plain))
    found = variational_bound(model, visible, exact_log_partition(model))
    np.testing.assert_allclose(found.rows, wanted.rows, atol=1e-3)  # sums of a hundred in float32
    assert all(layer.center for layer in model.layers)


def test_a_machine_that_is_deep_already_is_no_start(load, tmp_path):
    module = load("dbm")
    module.run(options_of(module, load, f"--out={tmp_path}"))
    again = options_of(module, load, f"--start={tmp_path / 'dbm-137.h5'}", f"--out={tmp_path}")
    with pytest.raises(ConfigError, match="two layers"):
        module.run(again)


@pytest.mark.backend_free
@pytest.mark.parametrize(
    "option",
    ["--chains=1", "--chains=0", "--betas=0", "--epochs=-2", "--epochs=0", "--seeds=-1", "--out="],
)
def test_options_that_cannot_be_meant_are_refused_before_a_machine_is_trained(
    load, option, tmp_path, capsys
):
    (tmp_path / "file").touch()
    option = f"--out={tmp_path / 'file'}" if option == "--out=" else option
    with pytest.raises(SystemExit):
        load("estimates").make_parser("").parse_args([option])
    assert option.split("=")[0] in capsys.readouterr().err


@pytest.mark.backend_free
def test_digits_move_by_one_pixel(load):
    image = np.arange(64.0).reshape(1, 64)
    whole, down, up, left, right = load("digits_features").moved(image).reshape(5, 8, 8)
    square = image.reshape(8, 8)
    np.testing.assert_array_equal(whole, square)
    np.testing.assert_array_equal(up[1:], square[:-1])
    np.testing.assert_array_equal(down[:-1], square[1:])
    np.testing.assert_array_equal(left[:, :-1], square[:, 1:])
    np.testing.assert_array_equal(right[:, 1:], square[:, :-1])
    assert up[0].max() == right[:, 0].max() == 0


@pytest.mark.backend_free
def test_command_line(tmp_path):
    command = [sys.executable, str(FOLDER / "rbm_exact.py"), "--quick", "--plain"]
    result = subprocess.run(
        [*command, "--seeds", "1", "2", "--out", str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert result.returncode == 0, result.stderr
    *lines, mean = result.stdout.splitlines()
    assert [line[:28] for line in lines] == [f"| rbm_exact-plain | seed {n} |" for n in (1, 2)]
    numbers = [float(line.split("|")[3]) for line in lines]
    found = re.match(r"\| rbm_exact \| seeds 1 2 \| mean (\S+) ± (\S+) \|", mean)
    assert abs(float(found[1]) - np.mean(numbers)) < 0.011
    assert abs(float(found[2]) - abs(numbers[0] - numbers[1]) / 2) < 0.011
    (tmp_path / "file").touch()
    result = subprocess.run(
        [*command[:2], "--data", str(tmp_path / "absent.h5")], capture_output=True, text=True
    )
    assert result.returncode == 1
    assert result.stderr.startswith("StorageError: ")


def test_images_are_moved_by_parts_of_a_pixel(load):
    moved = load("moved")
    image = np.zeros((3, 5, 5), np.float32)
    image[:, 2, 1:3] = 1.0, 0.4
    flat, parts = be.float_tensor(image.reshape(3, 25)), be.float_tensor([[0.0], [0.25], [-0.25]])
    along, down = (
        be.to_numpy_array(moved.moved(flat, parts, step)).reshape(3, 5, 5) for step in (1, 5)
    )
    close = {"rtol": 1e-6, "atol": 1e-6}
    np.testing.assert_array_equal(along[0], image[0])
    np.testing.assert_allclose(
        along[1:, 2], [[0, 0.75, 0.55, 0.1, 0], [0.25, 0.85, 0.3, 0, 0]], **close
    )
    np.testing.assert_allclose(down[1:, 1:4, 1], [[0, 0.75, 0.25], [0.25, 0.75, 0]], **close)


def test_images_are_moved_and_cut_as_the_draws_say(load):
    """Beside shifts of whole images by plain arrays; no ink stands at the border."""
    moved = load("moved")
    images = np.zeros((40, 8, 8))
    images[:, 1:7, 1:7] = 255 * np.random.default_rng(1).random((40, 6, 6))
    be.set_seed(5)
    draws = 2.0 * np.float64(be.to_numpy_array(be.rand((40, 3)))) - 1.0
    wanted = []
    for image, (right, down, above) in zip(images, draws, strict=True):
        for axis, part in ((1, moved.PIXELS * right), (0, moved.PIXELS * down)):
            image = (1 - abs(part)) * image + abs(part) * np.roll(image, np.sign(part), axis)
        wanted.append(image > 255 * (0.5 + moved.SLACK * above))
    be.set_seed(5)
    found = moved.move_and_cut(be.float_tensor(images.reshape(40, 64)))
    np.testing.assert_array_equal(be.to_numpy_array(found).reshape(40, 8, 8), wanted)


def test_the_recipe_for_thresholded_pixels_learns_images_that_are_moved(load, monkeypatch):
    recipe, module, moved = load("recipe"), load("rbm_threshold"), load("moved")
    seen = []

    def trained(name, options, settings, transform):
        seen.append(transform)
        raise KeyboardInterrupt

    monkeypatch.setattr(recipe, "trained_rbm", trained)
    with pytest.raises(KeyboardInterrupt):
        module.run(options_of(module, load))
    assert seen == [moved.MOVED] and moved.MOVED.function is moved.move_and_cut
