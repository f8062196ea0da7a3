"""The digits; MNIST is in tests/datasets/test_fetching.py."""

import h5py
import numpy as np
import pytest

from paysage import datasets

pytestmark = pytest.mark.backend_free


def test_digits_without_a_network(facts, paysage, here):
    assert facts("fetch digits")["new"]
    with h5py.File("digits.h5") as file:
        assert np.array_equal(file["images"], datasets.load_digits().images)
        assert np.array_equal(file["labels"], datasets.load_digits().labels)
    line = "train --data digits.h5 --transform binarize --epochs 0 --out m.h5"
    assert "BernoulliLayer(64)" in paysage(line).out


@pytest.mark.parametrize(
    "line, said",
    [
        ("digits --out d.npy", "ends with .h5"),
        ("digits --from .", "--from is for MNIST"),
        ("digits --out there.h5", "there.h5 is there already"),
        ("mnist --out there.h5", "is not MNIST: --force replaces it"),
        ("mnist --from .", "holds neither train-images-idx3-ubyte nor"),
        ("digits --out none/d.h5", "there is no folder"),
    ],
)
def test_what_cannot_be_is_said(error, here, line, said):
    (here / "there.h5").write_text("precious")
    assert said in error(f"fetch {line}")
    assert [p.name for p in here.iterdir()] == ["there.h5"]
