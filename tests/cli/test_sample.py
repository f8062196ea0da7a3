import h5py
import numpy as np
import pytest

from paysage.layers import BernoulliLayer, GaussianLayer
from paysage.models import BoltzmannMachine


@pytest.fixture
def model(here):
    machine = BoltzmannMachine([BernoulliLayer(9), BernoulliLayer(4)])
    machine.layers[0].params.loc[:] = 40.0  # units that are on
    machine.layers[0].params.loc[:3] = -40.0
    machine.save("m.h5")
    return machine


def test_numbers_are_draws(paysage, facts, model):
    assert facts("sample m.h5 --out s.npy -n 7 --steps 5")["number"] == 7
    found = np.load("s.npy")
    assert np.array_equal(found, np.tile([0] * 3 + [1] * 6, (7, 1)))
    paysage("sample m.h5 --out s.h5 -n 7 --steps 5")
    with h5py.File("s.h5") as file:
        assert np.array_equal(file["samples"], found)


def test_the_seed_governs_draws(paysage, model):
    model.layers[0].params.loc[:] = 0.0
    model.save("m.h5")
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        paysage(f"sample m.h5 --out {name}.npy --steps 3 --seed {seed}")
    a, b, c = (np.load(f"{name}.npy") for name in "abc")
    assert np.array_equal(a, b)
    assert not np.array_equal(a, c)
    assert set(np.unique(a)) == {0.0, 1.0}


def test_means_are_of_the_units(paysage, model):
    model.layers[0].params.loc[:] = 0.0
    model.save("m.h5")
    paysage("sample m.h5 --out s.npy --means --steps 3")
    found = np.load("s.npy")
    assert ((found > 0) & (found < 1)).all()


@pytest.mark.parametrize("flags", ["", "--shape 1x9 --draws", "-n 1 --steps 1"])
def test_a_picture(paysage, model, here, flags):
    paysage(f"sample m.h5 --out s.png --steps 3 {flags}")
    assert (here / "s.png").read_bytes().startswith(b"\x89PNG")


def test_a_picture_of_real_numbers(paysage, here):
    BoltzmannMachine([GaussianLayer(4), BernoulliLayer(2)]).save("m.h5")
    paysage("sample m.h5 --out s.png --steps 3")
    assert (here / "s.png").exists()


@pytest.mark.parametrize(
    "flags, said",
    [
        ("--out s.txt", "ends with .png, .npy, .h5"),
        ("--out s.png --shape 2x4", "does not fit 9 pixels"),
        ("--out s.png --shape big", "does not fit 9 pixels"),
        ("--out s.npy -n 0", "--number must be a whole number, at least 1"),
        ("--out s.npy --steps 0", "--steps must be a whole number, at least 1"),
        ("--out none/s.npy", "there is no folder"),
        ("--out m.h5", "m.h5 is there already"),
    ],
)
def test_what_cannot_be_is_said(error, model, here, flags, said):
    assert said in error(f"sample m.h5 {flags}")
    assert [p.name for p in here.iterdir()] == ["m.h5"]


def test_no_square_no_shape(error, here):
    BoltzmannMachine([BernoulliLayer(5), BernoulliLayer(2)]).save("m.h5")
    assert "5 pixels are no square" in error("sample m.h5 --out s.png")


def test_another_file_is_refused(error, here):
    (here / "m.h5").write_text("no")
    assert "m.h5 is not an HDF5 file" in error("sample m.h5 --out s.npy")
