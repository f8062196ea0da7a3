import h5py
import numpy as np
import pandas as pd
import pytest
from cli_lines import TRAIN

from paysage import batch, storage
from paysage.layers import BernoulliLayer, GaussianLayer, OneHotLayer
from paysage.models import BoltzmannMachine


def test_a_model(paysage, facts, here):
    machine = BoltzmannMachine([BernoulliLayer(5, center=True), GaussianLayer(3), OneHotLayer(2)])
    machine.save("m.h5")
    said = paysage("info m.h5").out
    for words in ("a model", "BernoulliLayer(5): center True", "GaussianLayer(3)", "0-1, 1-2"):
        assert words in said
    found = facts("info m.h5")["trees"]["paysage"]
    assert (found["kind"], found["schema"]) == ("model", 1)
    assert found["connections"] == [[0, 1], [1, 2]]


def test_a_checkpoint(paysage, facts, rows):
    paysage(f"{TRAIN} --checkpoint run.h5 --quiet")
    assert "after 2 epochs and 0 minibatches" in paysage("info run.h5").out
    found = facts("info run.h5")["trees"]["paysage"]
    assert found["position"]["epoch"] == 2
    assert found["settings"]["mcsteps"] == 5
    assert "numpy" in found["written_by"]


@pytest.mark.backend_free
def test_shuffled_data(facts, here):
    frame = pd.DataFrame(np.arange(40, dtype=np.uint8).reshape(10, 4))
    mixed = pd.DataFrame({"a": np.arange(10), "b": np.arange(10) / 2, "c": np.arange(10) / 3})
    with pd.HDFStore("raw.h5", "w") as store:
        store.put("train/images", frame, track_times=False)
        store.put("train/labels", pd.Series(np.arange(10)), track_times=False)
        store.put("mixed", mixed, track_times=False)
        store.put("long", mixed, format="table", data_columns=["b"], track_times=False)
    with h5py.File("raw.h5", "a") as file:
        file["plain"] = np.zeros((10, 2), np.float32)
    batch.DataShuffler("raw.h5", "mixed.h5").shuffle()
    tables = {t["key"]: t for t in facts("info mixed.h5")["tables"]}
    shapes = {key: tuple(t["shape"]) for key, t in tables.items()}
    assert shapes == {
        "train/images": (10, 4),
        "train/labels": (10,),
        "mixed": (10, 3),
        "long": (10, 3),
        "plain": (10, 2),
    }
    assert tables["train/images"]["dtype"] == "uint8"
    assert set(tables["mixed"]["dtype"].split(", ")) == {"int64", "float64"}
    assert tables["plain"]["written_by"] == "h5py"


@pytest.mark.backend_free
def test_other_trees_and_other_files(paysage, facts, here):
    storage.write_tree("t.h5", {"x": [np.zeros((2, 3))]}, kind="notes")
    assert "/x/0: 2 x 3 of float64" in paysage("info t.h5").out
    storage.write_tree("t.h5", {"config": "none"}, kind="model")  # not as models are
    assert facts("info t.h5")["trees"]["paysage"]["arrays"] == {}
    with h5py.File("e.h5", "w"):
        pass
    assert "nothing that Paysage knows" in paysage("info e.h5").out
    np.save("a.npy", np.zeros((4, 2), np.int16))
    assert facts("info a.npy")["shape"] == [4, 2]


@pytest.mark.backend_free
def test_a_ring_of_groups_is_walked_once(facts, here):
    with h5py.File("ring.h5", "w") as file:
        group = file.create_group("a/b")
        group["up"] = file["a"]
        group["elsewhere"] = h5py.ExternalLink("other.h5", "/x")
        group["x"] = np.zeros(3)
    assert [t["key"] for t in facts("info ring.h5")["tables"]] == ["a/b/x"]


class Bomb:
    def __reduce__(self):
        return (open, ("exploded", "w"))


@pytest.mark.backend_free
def test_nothing_is_carried_out(paysage, error, here):
    np.save("p.npy", np.array([Bomb()], dtype=object), allow_pickle=True)
    assert "p.npy cannot be read" in error("info p.npy")
    import pickle

    with h5py.File("p.h5", "w") as file:
        file["x"] = np.zeros(3)
        file["x"].attrs["TITLE"] = np.void(pickle.dumps(Bomb()))
        file.create_group("g").attrs["pandas_type"] = np.bytes_(pickle.dumps(Bomb(), 0))
    assert "x: 3 of float64" in paysage("info p.h5").out
    assert not (here / "exploded").exists()


@pytest.mark.backend_free
@pytest.mark.parametrize("damage", ["cut", "flip", "text", "absent"])
def test_damage_is_named(error, here, damage):
    storage.write_tree("t.h5", {"x": np.arange(5000.0)}, kind="notes")
    content = bytearray((here / "t.h5").read_bytes())
    if damage == "cut":
        del content[len(content) // 2 :]
    elif damage == "flip":
        at = content.index(np.arange(5000.0).tobytes()) + 4000
        content[at] ^= 1
    elif damage == "text":
        content = b"Monday"
    (here / "t.h5").write_bytes(content)
    if damage == "absent":
        (here / "t.h5").unlink()
    said = {
        "cut": "cut short",
        "flip": "array 0 does not match its digest",
        "text": "is not an HDF5 file",
        "absent": "there is no file",
    }
    assert said[damage] in error("info t.h5")
