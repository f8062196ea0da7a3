"""`paysage convert`: files of version 0.2 to the current format."""

import os

import numpy as np
import pandas as pd
import pytest
from legacy_files import column, model_frames, plant_bomb, put

from paysage import backends as be
from paysage import storage
from paysage.factorization import PCA
from paysage.layers import BernoulliLayer, GaussianLayer, OneHotLayer
from paysage.models import BoltzmannMachine

WEIGHTS = np.arange(12, dtype=np.float32).reshape(4, 3) / 7
LOC = np.linspace(-1, 1, 4, dtype=np.float32)


@pytest.fixture
def old(here):
    layers = [[LOC, LOC / 2], [LOC[:3]]]
    return put(here / "old.h5", model_frames(layers, [WEIGHTS]))


def pca_frames():
    return {
        "PCA/W": pd.DataFrame(np.eye(4, 2)),
        "PCA/var": column([2.0, 1.0]),
        "PCA/mean": column(LOC),
    }


def test_model_is_converted(paysage, here, old):
    before = old.read_bytes()
    assert "new.h5: BoltzmannMachine([GaussianLayer(4)" in paysage("convert old.h5 new.h5").out
    assert list(storage.read_all("new.h5")) == ["paysage"]
    model = BoltzmannMachine.from_saved("new.h5")
    assert [type(layer) for layer in model.layers] == [GaussianLayer, BernoulliLayer]
    np.testing.assert_array_equal(be.to_numpy_array(model.connections[0].weights.W()), WEIGHTS)
    np.testing.assert_array_equal(be.to_numpy_array(model.layers[0].params.log_var), LOC / 2)
    assert old.read_bytes() == before
    assert sorted(p.name for p in here.iterdir()) == ["new.h5", "old.h5"]


@pytest.mark.backend_free
def test_layer_types_are_an_option(facts, old):
    found = facts("convert old.h5 new.h5 --layers gaussian,onehot")
    assert found["kind"] == "model"
    assert type(BoltzmannMachine.from_saved("new.h5").layers[1]) is OneHotLayer


@pytest.mark.backend_free
@pytest.mark.parametrize("kind", ["", " --kind pca"])
def test_pca_is_converted(paysage, here, kind):
    put(here / "old.h5", pca_frames())
    assert "PCA(2 components of 4 columns)" in paysage(f"convert old.h5 new.h5{kind}").out
    np.testing.assert_array_equal(be.to_numpy_array(PCA.from_saved("new.h5").mean), LOC)


@pytest.mark.backend_free
def test_nothing_is_unpickled(paysage, here, old):
    plant_bomb(old, here / "exploded")
    paysage("convert old.h5 new.h5")
    paysage("info old.h5")
    assert not (here / "exploded").exists()


@pytest.mark.backend_free
@pytest.mark.parametrize("new", ["old.h5", "./old.h5", "link.h5", "hard.h5"])
def test_input_is_never_overwritten(error, here, old, new):
    os.symlink("old.h5", here / "link.h5")
    os.link(old, here / "hard.h5")
    before = old.read_bytes()
    assert "choose another name" in error(f"convert old.h5 {new} --force")
    assert old.read_bytes() == before


@pytest.mark.backend_free
def test_output_is_replaced_with_force_only(paysage, error, here, old):
    (here / "new.h5").write_text("precious")
    assert "--force replaces it" in error("convert old.h5 new.h5")
    assert (here / "new.h5").read_text() == "precious"
    paysage("convert old.h5 new.h5 --force")
    assert list(storage.read_all("new.h5")) == ["paysage"]


@pytest.mark.backend_free
@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("none.h5 new.h5", "there is no file none.h5"),
        ("new_format.h5 new.h5", "holds a model of version"),
        ("alien.h5 new.h5", "does not hold a model of version 0.2, and alien.h5 does not hold"),
        ("alien.h5 new.h5 --kind model", "does not hold a model of version 0.2; `paysage info`"),
        ("alien.h5 new.h5 --kind pca", "expected arrays W and var, found train/images"),
        ("pca.h5 new.h5 --layers bernoulli", "--layers is for models"),
        ("old.h5 new.h5 --layers bernoulli", "one type for each of the 2 layers"),
        ("old.h5 new.h5 --layers gaussian,potato", "unknown layer type 'potato'"),
        ("old.h5 nowhere/new.h5", "there is no folder"),
        ("text.h5 new.h5", "is not an HDF5 file"),
    ],
)
def test_errors_leave_no_output(error, here, old, line, words):
    BoltzmannMachine([BernoulliLayer(2), BernoulliLayer(2)]).save("new_format.h5")
    put(here / "alien.h5", {"train/images": pd.DataFrame(np.eye(3))})
    put(here / "pca.h5", pca_frames())
    (here / "text.h5").write_text("not HDF5")
    assert words in error(f"convert {line}")
    assert not (here / "new.h5").exists()


@pytest.mark.backend_free
def test_old_model_can_be_used_by_other_commands(paysage, here, old):
    paysage("sample old.h5 -n 3 --steps 5 --out samples.npy")
    assert np.load("samples.npy").shape == (3, 4)
    assert "a model of version 0.2" in paysage("info old.h5").out
