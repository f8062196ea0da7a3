"""The pictures of the gallery are drawn from saved machines and logs."""

import importlib
from pathlib import Path

import numpy as np
import pytest
from machines import build

from paysage import backends as be
from paysage.models import State

pytest.importorskip("matplotlib", reason="matplotlib is not installed")
pytest.importorskip("sklearn", reason="scikit-learn, which has the digits, is not installed")

FOLDER = Path(__file__).resolve().parents[2] / "examples" / "mnist"
PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture
def gallery(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module("gallery")


def test_machines_and_logs_give_their_pictures(gallery, tmp_path, capsys):
    for kinds in ("BB", "GB", "BBB"):
        sizes = (64, 6, 4)[: len(kinds)]
        build(kinds, sizes, scale=0.1).save(tmp_path / f"{kinds}.h5")
    (tmp_path / "log.csv").write_text("epoch,AISLogLikelihood\n0,-40\n1,\n2,-30.5\n")
    out = tmp_path / "new"
    files = [str(path) for path in sorted(tmp_path.iterdir())]
    options = [f"--out={out}", "--sweeps=40", "--pace=1"]
    gallery.run(gallery.make_parser().parse_args([*files, *options]))
    wanted = {"autocorrelation.png", "likelihood.png"}
    for kinds in ("BB", "GB", "BBB"):
        for name in ("samples", "chain", "weights", "reconstructions"):
            wanted.add(f"{kinds}/{name}.png")
    found = {str(path.relative_to(out)) for path in out.rglob("*.png")}
    assert found == wanted
    assert all((out / name).read_bytes().startswith(PNG) for name in found)
    assert len(capsys.readouterr().out.splitlines()) == len(wanted)


def test_classes_are_clamped(gallery):
    model = build("BBO", (64, 6, 3), scale=0.0)
    # the third class alone switches the hidden units on, and they the first two pixels
    labels, pixels = np.zeros((6, 3)), np.zeros((64, 6))
    labels[:, 2], pixels[:2] = 8.0, 2.0
    model.connections[1].weights.set_params([labels])
    model.connections[0].weights.set_params([pixels])
    for layer, bias in zip(model.layers, (-6.0, -4.0), strict=False):
        layer.params.loc[:] = bias
    images = gallery.classes(model, 20)
    assert images.shape == (30, 64)
    assert images[20:, :2].min() > 0.9 and images[:20].max() < 0.2 > images[20:, 2:].max()


def test_curves_are_what_they_are_called(gallery, tmp_path):
    log = tmp_path / "log.csv"
    log.write_text("epoch,seconds,AISLogLikelihood\n0,,-40\n1,1,\n2,1,-30.5\n")
    assert gallery.likelihoods(log) == ([0, 2], [-40, -30.5])
    lags, values = gallery.forgetting(build("BB", (64, 6), scale=0.0), 400)
    assert values[0] == 1 and len(lags) == len(values)
    # without couplings every sweep is a new draw; 40,000 of them, five standard errors
    assert np.abs(values[1:]).max() < 5 / np.sqrt(400 * gallery.CHAINS)


def test_a_film_is_one_chain(gallery):
    model = build("BB", (64, 6), scale=0.0)
    frames = gallery.film(model, State.from_model(3, model), 1)
    assert frames.shape == (gallery.SHOWN, 64)
    means = 1 / (1 + np.exp(-be.to_numpy_array(model.layers[0].params.loc)))
    np.testing.assert_allclose(frames, np.tile(means, (gallery.SHOWN, 1)), atol=1e-6)
