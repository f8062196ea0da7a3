"""Model and PCA files of version 0.2 are read, and nothing in them is unpickled."""

import itertools
import re

import h5py
import numpy as np
import pandas as pd
import pytest
from legacy_files import Bomb, column, model_frames, plant_bomb, put, row

from paysage import backends as be
from paysage import storage
from paysage.errors import ConfigError, PaysageError, StorageError
from paysage.factorization import PCA
from paysage.layers import BernoulliLayer, GaussianLayer, Layer, OneHotLayer
from paysage.models import BoltzmannMachine, State


@pytest.fixture
def path(tmp_path):
    return tmp_path / "old.h5"


def parameters(sizes, counts, seed=0):
    """Random parameters of layers, and weights of a chain."""
    rng = np.random.default_rng(seed)
    layers = [
        [rng.normal(size=n).astype(np.float32) for _ in range(count)]
        for n, count in zip(sizes, counts, strict=True)
    ]
    weights = [rng.normal(size=shape).astype(np.float32) for shape in itertools.pairwise(sizes)]
    return layers, weights


def assert_holds(model, layers, weights):
    assert len(model.layers) == len(layers)
    assert len(model.connections) == len(weights)
    for layer, params in zip(model.layers, layers, strict=True):
        for found, expected in zip(layer.params, params, strict=True):
            np.testing.assert_array_equal(be.to_numpy_array(found), expected)
    for i, (connection, matrix) in enumerate(zip(model.connections, weights, strict=True)):
        assert (connection.target_index, connection.domain_index) == (i, i + 1)
        np.testing.assert_array_equal(be.to_numpy_array(connection.weights.W()), matrix)


@pytest.mark.parametrize("as_frame", [column, row, pd.Series], ids=["column", "row", "series"])
@pytest.mark.parametrize(
    ("sizes", "counts", "types"),
    [
        ((5, 3), (1, 1), (BernoulliLayer, BernoulliLayer)),
        ((5, 3), (2, 1), (GaussianLayer, BernoulliLayer)),
        ((1, 4, 2), (1, 2, 1), (BernoulliLayer, GaussianLayer, BernoulliLayer)),
    ],
)
def test_model_is_read_with_default_layer_types(path, sizes, counts, types, as_frame):
    layers, weights = parameters(sizes, counts)
    put(path, model_frames(layers, weights, as_frame))
    model = BoltzmannMachine.from_saved(path)
    assert tuple(map(type, model.layers)) == types
    assert_holds(model, layers, weights)


def test_energy_of_a_read_model_matches_the_formula(path):
    (b, (c,)), (w,) = parameters((4, 3), (2, 1))
    put(path, model_frames([b, [c]], [w]))
    rng = np.random.default_rng(1)
    v, h = rng.normal(size=(6, 4)), rng.integers(0, 2, size=(6, 3))
    variance = np.exp(b[1])
    expected = ((v - b[0]) ** 2 / (2 * variance)).sum(1) - h @ c - ((v / variance) @ w * h).sum(1)
    state = State([be.float_tensor(v), be.float_tensor(h)])
    energy = BoltzmannMachine.from_saved(path).joint_energy(state)
    np.testing.assert_allclose(be.to_numpy_array(energy), expected, rtol=1e-5, atol=1e-5)


def test_more_than_ten_layers_keep_their_order(path):
    layers, weights = parameters(range(2, 14), [1] * 12)
    put(path, model_frames(layers, weights))
    assert_holds(BoltzmannMachine.from_saved(path), layers, weights)


@pytest.mark.parametrize("mode", ["a", "r"])
def test_open_store_is_read(path, mode):
    layers, weights = parameters((5, 3), (1, 1))
    put(path, model_frames(layers, weights))
    with pd.HDFStore(path, mode) as store:
        assert_holds(BoltzmannMachine.from_saved(store), layers, weights)
        assert store.is_open


@pytest.mark.parametrize("complib", ["zlib", "blosc", "bzip2"])
def test_compressed_file_is_read(path, complib):
    layers, weights = parameters((50, 30), (1, 1))
    put(path, model_frames(layers, weights), complevel=5, complib=complib)
    assert_holds(BoltzmannMachine.from_saved(path), layers, weights)


@pytest.mark.parametrize(
    "types",
    [("onehot", None), ("OneHotLayer", "bernoulli"), (OneHotLayer, BernoulliLayer)],
)
def test_layer_types_can_be_given(path, types):
    layers, weights = parameters((5, 3), (1, 1))
    put(path, model_frames(layers, weights))
    model = BoltzmannMachine.from_saved(path, layer_types=types)
    assert tuple(map(type, model.layers)) == (OneHotLayer, BernoulliLayer)
    assert_holds(model, layers, weights)


def test_layer_type_of_a_user_can_be_given(path):
    class LegacyBernoulliLayer(BernoulliLayer):
        pass

    layers, weights = parameters((5, 3), (1, 1))
    put(path, model_frames(layers, weights))
    model = BoltzmannMachine.from_saved(path, ["LegacyBernoulliLayer", None])
    assert type(model.layers[0]) is LegacyBernoulliLayer


def test_saving_again_writes_the_current_format(path):
    layers, weights = parameters((5, 3), (2, 1))
    put(path, model_frames(layers, weights))
    BoltzmannMachine.from_saved(path).save(path)
    assert list(storage.read_all(path)) == ["paysage"]
    assert_holds(BoltzmannMachine.from_saved(path), layers, weights)


# nothing is unpickled


def test_planted_pickles_would_run_if_they_were_unpickled(path, tmp_path):
    """The files of the tests below are harmful to a reader that unpickles."""
    put(path, model_frames(*parameters((5, 3), (1, 1))))
    plant_bomb(path, tmp_path / "exploded")
    with pd.HDFStore(path, "r") as store:
        _ = store.root.layers._v_attrs.config
    assert (tmp_path / "exploded").exists()


def test_model_file_is_not_unpickled(path, tmp_path):
    layers, weights = parameters((5, 3), (2, 1))
    put(path, model_frames(layers, weights))
    plant_bomb(path, tmp_path / "exploded")
    assert_holds(BoltzmannMachine.from_saved(path), layers, weights)
    assert not (tmp_path / "exploded").exists()


def test_pca_file_is_not_unpickled(path, tmp_path):
    put(path, {"PCA/W": pd.DataFrame(np.eye(4, 2)), "PCA/var": pd.Series([2.0, 1.0])})
    plant_bomb(path, tmp_path / "exploded")
    with pytest.warns(UserWarning, match="does not hold the mean"):
        assert PCA.from_saved(path).num_components == 2
    assert not (tmp_path / "exploded").exists()


@pytest.mark.backend_free
@pytest.mark.filterwarnings("ignore::pandas.errors.PerformanceWarning")
def test_pickled_parameters_are_refused(path, tmp_path):
    frames = model_frames(*parameters((5, 3), (1, 1)))
    bombs = [Bomb(tmp_path / "exploded") for _ in range(5)]
    put(path, {**frames, "layers/layers_0/parameters/params0": pd.Series(bombs)})
    with pytest.raises(StorageError, match=r"'layers/layers_0/parameters/params0' .* numbers"):
        BoltzmannMachine.from_saved(path)
    assert not (tmp_path / "exploded").exists()


# files that do not fit


def without(frames, *keys):
    return {key: frame for key, frame in frames.items() if not key.startswith(keys)}


def refusals():
    """(frames, words of the error) of files that are refused."""
    good = model_frames(*parameters((5, 3, 2), (1, 1, 1)))
    loc, key = "layers/layers_1/parameters/params0", "connections/weights_1/parameters/key0"
    mixed = pd.DataFrame({"a": [1.0, 2.0], "b": [1, 2]})
    nan = np.array([0.0, np.nan, 0.0])
    return {
        "no weights": (without(good, "connections"), "expected weights_0"),
        "too few weights": (without(good, key), "do not form a chain"),
        "a shape that does not fit": (
            {**good, key: pd.DataFrame(np.eye(3))},
            "do not form a chain",
        ),
        "a gap in the layers": (without(good, "layers/layers_1"), r"found layers_0, layers_2"),
        "no parameters": (
            {**without(good, loc), "layers/layers_1/parameters/x": column([1.0])},
            "expected params0",
        ),
        "a table of several types": ({**good, loc: mixed}, "not a frame of numbers of one type"),
        "text": ({**good, loc: pd.Series(["a", "b", "c"])}, "expected numbers"),
        "a matrix of biases": ({**good, loc: pd.DataFrame(np.eye(3))}, r"has shape \(3, 3\)"),
        "values that are not finite": ({**good, loc: column(nan)}, "NaN or infinite"),
        "an empty frame": ({**good, loc: pd.DataFrame()}, "not a frame of numbers"),
        "parameters of different lengths": (
            {**good, "layers/layers_1/parameters/params1": column([1.0, 2.0])},
            "different lengths",
        ),
    }


@pytest.mark.filterwarnings("ignore::pandas.errors.PerformanceWarning")
@pytest.mark.parametrize("case", refusals())
def test_model_file_that_does_not_fit_is_refused(path, case):
    frames, words = refusals()[case]
    put(path, frames)
    with pytest.raises(StorageError, match=words):
        BoltzmannMachine.from_saved(path)


@pytest.mark.backend_free
def test_table_format_is_refused(path):
    put(path, model_frames(*parameters((5, 3), (1, 1))))
    with pd.HDFStore(path) as store:
        key = "layers/layers_0/parameters/params0"
        store.put(key, column(np.zeros(5)), format="table", track_times=False)
    with pytest.raises(StorageError, match="'frame_table'"):
        BoltzmannMachine.from_saved(path)


@pytest.mark.parametrize(
    ("counts", "types", "words"),
    [
        ((1, 1), ["bernoulli"], "one type for each of the 2 layers"),
        ((1, 1), "bernoulli", "one type for each of the 2 layers"),
        ((1, 1), 3, "one type for each of the 2 layers"),
        ((1, 1), ["bernouli", None], "unknown layer type 'bernouli'"),
        ((1, 1), [None, State], "expected a subclass of Layer"),
        ((1, 1), [None, "gaussian"], "do not fit a GaussianLayer"),
        ((2, 1), ["bernoulli", None], "do not fit a BernoulliLayer"),
        ((3, 1), None, "has 3 parameters, is unknown"),
        ((1, 1), [Layer, None], "Layer"),
    ],
)
def test_layer_types_that_do_not_fit_are_refused(path, counts, types, words):
    put(path, model_frames(*parameters((5, 3), counts)))
    with pytest.raises(PaysageError, match=words):
        BoltzmannMachine.from_saved(path, types)


def test_layer_types_are_refused_for_current_files(path):
    BoltzmannMachine([BernoulliLayer(3), BernoulliLayer(2)]).save(path)
    with pytest.raises(ConfigError, match=r"layer_types is for model files of version 0\.2"):
        BoltzmannMachine.from_saved(path, ["bernoulli", "bernoulli"])


@pytest.mark.backend_free
def test_other_files_are_refused(path):
    put(path, {"train/images": pd.DataFrame(np.eye(3))})
    with pytest.raises(StorageError, match="its root holds train"):
        BoltzmannMachine.from_saved(path)
    with pytest.raises(StorageError, match=r"expected arrays W and var, found train/images"):
        PCA.from_saved(path)


@pytest.mark.backend_free
def test_links_are_not_followed(path):
    put(path, model_frames(*parameters((5, 3), (1, 1))))
    with h5py.File(path, "a") as file:
        del file["layers/layers_0"]
        file["layers/layers_0"] = h5py.ExternalLink("other.h5", "/layers/layers_0")
    with pytest.raises(StorageError, match="found layers_1"):
        BoltzmannMachine.from_saved(path)


@pytest.mark.backend_free
def test_declared_sizes_are_bounded(path):
    put(path, model_frames(*parameters((5, 3), (1, 1))))
    with h5py.File(path, "a") as file:
        group = file["connections/weights_0/parameters/key0"]
        del group["block0_values"]
        group.create_dataset("block0_values", (2**17, 2**17), "f4", chunks=(2**10, 2**10))
    with pytest.raises(StorageError, match="declares 68719476736 bytes"):
        BoltzmannMachine.from_saved(path)


@pytest.mark.backend_free
def test_damaged_files_raise_named_errors_only(path):
    """Flip bytes all over a file: it is read, or refused by a PaysageError."""
    put(path, model_frames(*parameters((5, 3), (2, 1))))
    content = path.read_bytes()
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(150):
        broken = bytearray(content)
        for place in rng.integers(0, len(content), size=40):
            broken[place] ^= int(rng.integers(1, 256))
        path.write_bytes(broken)
        try:
            BoltzmannMachine.from_saved(path)
        except PaysageError:
            refused += 1
    assert refused > 20


# principal components


def components(n=6, k=2):
    rng = np.random.default_rng(2)
    return np.linalg.qr(rng.normal(size=(n, k)))[0], np.array([3.0, 1.0]), rng.normal(size=n)


@pytest.mark.parametrize("as_frame", [column, row, pd.Series], ids=["column", "row", "series"])
@pytest.mark.parametrize(
    "names",
    [
        ("PCA/W", "PCA/var", "PCA/mean"),
        ("pca/parameters/W", "pca/parameters/variance", "pca/parameters/center"),
        ("W", "var", "mean"),
        ("pca_W", "pca_var", "pca_mean"),
        ("pca/components", "pca/variances", "pca/mean"),
    ],
    ids=str,
)
def test_pca_is_read(path, names, as_frame):
    w, var, mean = components()
    frames = (pd.DataFrame(w), as_frame(var), as_frame(mean))
    put(path, dict(zip(names, frames, strict=True)))
    pca = PCA.from_saved(path)
    rows = np.random.default_rng(3).normal(size=(4, 6))
    expected = (rows - mean) @ w
    found = be.to_numpy_array(pca.transform(be.float_tensor(rows)))
    np.testing.assert_allclose(found, expected, atol=1e-5)
    np.testing.assert_allclose(be.to_numpy_array(pca.var), var)


def test_pca_without_mean_warns_and_uses_zero(path):
    w, var, _ = components()
    put(path, {"PCA/W": pd.DataFrame(w), "PCA/var": column(var)})
    with pytest.warns(UserWarning, match="does not hold the mean of the data"):
        pca = PCA.from_saved(path)
    assert not be.to_numpy_array(pca.mean).any()


def test_pca_is_read_from_a_file_with_other_tables(path):
    w, var, mean = components()
    frames = {"PCA/W": pd.DataFrame(w), "PCA/var": column(var), "PCA/mean": column(mean)}
    put(path, {"train/images": pd.DataFrame(np.eye(3)), **frames})
    assert PCA.from_saved(path).num_components == 2


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"PCA/var": None}, "expected arrays W and var, found PCA/W, PCA/mean"),
        ({"PCA/var": pd.Series([1.0])}, "does not hold principal components"),
        ({"PCA/var": pd.DataFrame(np.eye(2))}, "expected one row or column"),
        ({"other/W": pd.DataFrame(np.eye(2))}, "two arrays for 'W'"),
        ({"PCA/mean": pd.Series(["a", "b"])}, "expected numbers"),
    ],
    ids=["no var", "length", "matrix", "twice", "text"],
)
@pytest.mark.filterwarnings("ignore::pandas.errors.PerformanceWarning")
def test_pca_file_that_does_not_fit_is_refused(path, change, words):
    w, var, mean = components()
    frames = {"PCA/W": pd.DataFrame(w), "PCA/var": column(var), "PCA/mean": column(mean), **change}
    put(path, {key: frame for key, frame in frames.items() if frame is not None})
    with pytest.raises(StorageError, match=re.escape(words) if "(" in words else words):
        PCA.from_saved(path)
