"""Machines written to files and read back, to the last bit."""

import json
import os
import stat
from typing import Any, NamedTuple

import numpy as np
import pytest
from machines import array, build, pair, random_state, skip

from paysage import backends as be
from paysage import constraints, penalties, storage
from paysage.errors import ConfigError, PaysageError, StorageError
from paysage.layers import BernoulliLayer, Layer
from paysage.layers.layer import LAYER_TYPES
from paysage.models import BoltzmannMachine


class ScaledParams(NamedTuple):
    loc: Any
    gain: Any


class ScaledLayer(Layer):
    """A user's own layer: a parameter of another shape, and an option of its own."""

    def __init__(self, num_units, center=False, sharpness=1.0):
        self.sharpness = sharpness
        super().__init__(num_units, center)

    def init_params(self):
        return ScaledParams(be.zeros((self.num_units,)), be.ones((2, self.num_units)))

    def energy(self, units):
        return -be.dot(units, self.params.loc) * self.sharpness

    def mean(self, field, beta=None, out=None):
        return be.expit(field + self.params.loc)

    def get_config(self):
        return {**super().get_config(), "sharpness": self.sharpness}

    @classmethod
    def from_config(cls, config):
        layer = cls(config["num_units"], config["center"], config["sharpness"])
        layer._set_options(config)
        return layer


def own_machine():
    model = BoltzmannMachine([BernoulliLayer(4), ScaledLayer(3, sharpness=2.5)])
    rng = np.random.default_rng(0)
    model.layers[1].params.loc[:] = be.float_tensor(rng.normal(size=3))
    model.layers[1].params.gain[:] = be.float_tensor(rng.normal(size=(2, 3)))
    return model


@pytest.mark.parametrize("way", ["copy", "file"])
def test_a_model_of_another_backend_can_be_taken_along(way, backend, tmp_path):
    pytest.importorskip("torch", reason="PyTorch is not installed")
    model = rich_machine()
    wanted = model.get_values()
    be.set_backend({"python": "pytorch", "pytorch": "python"}[backend])
    if way == "copy":
        found = model.copy()
    else:
        model.save(tmp_path / "model.h5")
        found = BoltzmannMachine.from_saved(tmp_path / "model.h5")
    assert all(be.is_tensor(p) for layer in found.layers for p in (*layer.params, layer.offset))
    assert json.dumps(found.get_values(), default=np.ndarray.tolist) == json.dumps(
        wanted, default=np.ndarray.tolist
    )
    assert found.markov_chain(1, random_state(found, 3)).batch_size() == 3


@pytest.mark.gpu
@pytest.mark.backend_free
@pytest.mark.parametrize("way", ["copy", "file"])
def test_gpu_models_can_be_taken_along(way, on_gpu, tmp_path):
    test_a_model_of_another_backend_can_be_taken_along(way, "pytorch", tmp_path)


def rich_machine():
    model = build("GBB", (4, 3, 2), [(0, 1), (1, 2), (2, 0)], center=True)
    model.layers[0].set_fixed_params(["log_var"])
    model.layers[1].add_penalty({"loc": penalties.l1_penalty(0.1) + penalties.l2_penalty(0.2)})
    model.connections[0].weights.add_constraint({"matrix": constraints.non_negative})
    return model


MACHINES = {
    **{kinds: (lambda kinds=kinds: pair(kinds, center=True)) for kinds in ("BB", "BG", "GG", "OB")},
    "skip": skip,
    "rich": rich_machine,
    "own": own_machine,
}


def assert_same(first, second):
    assert type(first) is type(second)
    assert first.get_config() == second.get_config()
    for a, b in zip(flat(first.get_values()), flat(second.get_values()), strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)


def flat(tree):
    if isinstance(tree, dict):
        return [x for key in sorted(tree) for x in flat(tree[key])]
    if isinstance(tree, list):
        return [x for part in tree for x in flat(part)]
    return [tree]


@pytest.mark.parametrize("as_text", [True, False])
@pytest.mark.parametrize("name", MACHINES)
def test_by_path(name, as_text, tmp_path):
    model = MACHINES[name]()
    path = tmp_path / "model.h5"
    model.save(str(path) if as_text else path)
    assert_same(BoltzmannMachine.from_saved(str(path) if as_text else path), model)
    assert [p.name for p in tmp_path.iterdir()] == ["model.h5"]


@pytest.mark.parametrize("name", MACHINES)
def test_by_open_store(name, tmp_path):
    pd = pytest.importorskip("pandas")
    model = MACHINES[name]()
    with pd.HDFStore(str(tmp_path / "model.h5"), mode="w") as store:
        model.save(store)
        assert_same(BoltzmannMachine.from_saved(store), model)
        assert store.is_open
    with pd.HDFStore(str(tmp_path / "model.h5"), mode="r") as store:
        assert_same(BoltzmannMachine.from_saved(store), model)


def test_extreme_values_survive(tmp_path):
    model = pair("GB")
    tiny = np.float32([1e-45, -0.0, np.float32(np.pi), 3.4e38])
    model.layers[0].params.loc[:] = be.float_tensor(tiny)
    model.save(tmp_path / "model.h5")
    loc = BoltzmannMachine.from_saved(tmp_path / "model.h5").layers[0].params.loc
    read = np.asarray(be.to_numpy_array(loc))
    assert read.dtype == np.float32
    assert read.tobytes() == tiny.tobytes()


def test_reloaded_machines_behave_alike(tmp_path):
    model = rich_machine()
    model.save(tmp_path / "model.h5")
    again = BoltzmannMachine.from_saved(tmp_path / "model.h5")
    start = random_state(model, 10)
    be.set_seed(1)
    first = model.markov_chain(3, start)
    be.set_seed(1)
    for a, b in zip(first, again.markov_chain(3, start), strict=True):
        np.testing.assert_array_equal(array(a), array(b))
    found, wanted = again.joint_energy(first), model.joint_energy(first)
    np.testing.assert_array_equal(array(found), array(wanted))
    assert again.layers[0].get_fixed_params() == ["log_var"]
    assert again.layers[1].penalty_values() == model.layers[1].penalty_values()


def test_one_backend_reads_what_the_other_wrote(tmp_path, backend):
    if backend != "python":
        pytest.skip("one direction is the mirror of the other")
    pytest.importorskip("torch")
    model = rich_machine()
    values, config = model.get_values(), model.get_config()
    model.save(tmp_path / "model.h5")
    be.set_backend("pytorch", "cpu")
    again = BoltzmannMachine.from_saved(tmp_path / "model.h5")
    assert again.get_config() == config
    for a, b in zip(flat(again.get_values()), flat(values), strict=True):
        np.testing.assert_array_equal(a, b)


def test_saving_again_replaces_the_file(tmp_path):
    path = tmp_path / "model.h5"
    pair("BB", seed=1).save(path)
    pair("BB", seed=2).save(path)
    assert_same(BoltzmannMachine.from_saved(path), pair("BB", seed=2))


def test_a_subclass_of_the_machine_is_read_as_itself(tmp_path):
    class OwnMachine(BoltzmannMachine):
        pass

    model = OwnMachine([BernoulliLayer(3), BernoulliLayer(2)])
    model.save(tmp_path / "model.h5")
    assert type(OwnMachine.from_saved(tmp_path / "model.h5")) is OwnMachine


def test_a_layer_class_that_is_not_known_is_named(tmp_path, monkeypatch):
    own_machine().save(tmp_path / "model.h5")
    monkeypatch.delitem(LAYER_TYPES.entries, "ScaledLayer")
    with pytest.raises(ConfigError, match=r"unknown layer type 'ScaledLayer'"):
        BoltzmannMachine.from_saved(tmp_path / "model.h5")


def test_files_that_are_absent_cut_short_or_not_ours(tmp_path):
    path = tmp_path / "model.h5"
    with pytest.raises(StorageError, match=r"model\.h5"):
        BoltzmannMachine.from_saved(path)
    pair("BB").save(path)
    whole = path.read_bytes()
    for bad in (whole[: len(whole) // 2], b"", b"not an HDF5 file"):
        path.write_bytes(bad)
        with pytest.raises(StorageError, match=r"model\.h5"):
            BoltzmannMachine.from_saved(path)


@pytest.mark.parametrize("where", ["absent/model.h5", "file/model.h5", "."])
def test_places_that_cannot_be_written(where, tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(StorageError):
        pair("BB").save(tmp_path / where)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_is_read_only(tmp_path):
    folder = tmp_path / "locked"
    folder.mkdir()
    folder.chmod(stat.S_IRUSR | stat.S_IXUSR)
    with pytest.raises(StorageError, match="locked"):
        pair("BB").save(folder / "model.h5")


def test_a_save_that_fails_leaves_the_former_file(tmp_path):
    path = tmp_path / "model.h5"
    pair("BB").save(path)
    before = path.read_bytes()
    model = pair("BB")
    model.layers[0].add_constraint({"loc": lambda tensor: None})
    with pytest.raises(PaysageError, match="constraint"):
        model.save(path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["model.h5"]


def test_saving_moves_no_random_number_and_no_parameter(tmp_path):
    model = rich_machine()
    before = flat(model.get_values())
    be.set_seed(1)
    wanted = array(be.rand((3,)))
    be.set_seed(1)
    model.save(tmp_path / "model.h5")
    BoltzmannMachine.from_saved(tmp_path / "model.h5")
    np.testing.assert_array_equal(array(be.rand((3,))), wanted)
    for a, b in zip(flat(model.get_values()), before, strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_file_holds_nothing_pickled(tmp_path):
    tables = pytest.importorskip("tables")
    path = tmp_path / "model.h5"
    rich_machine().save(path)
    with tables.open_file(str(path)) as file:
        for node in file.walk_nodes("/", "Leaf"):
            assert node.dtype.kind in "biuf"
        document = bytes(bytearray(file.get_node("/paysage/document")[:]))
    assert json.loads(document)["schema"] == 1


@pytest.mark.parametrize("tree", [{}, [1], {"config": {"layers": 3}}, {"config": None}])
def test_a_whole_file_that_describes_no_machine_is_refused(tmp_path, tree):
    path = tmp_path / "model.h5"
    storage.write_tree(path, tree, kind="model")
    with pytest.raises(StorageError, match="no machine"):
        BoltzmannMachine.from_saved(path)


def test_a_machine_without_its_values_is_refused(tmp_path):
    path = tmp_path / "model.h5"
    storage.write_tree(path, {"config": pair("BG").get_config(), "values": {}}, kind="model")
    with pytest.raises(StorageError, match="no machine"):
        BoltzmannMachine.from_saved(path)
