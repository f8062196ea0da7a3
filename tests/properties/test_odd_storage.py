"""Trees that are written come back as they were; what cannot be written leaves no file."""

import math

import numpy as np
import pytest
from hypothesis import example
from hypothesis import strategies as st
from odd import REFUSED, attempt, given, handed, things

from paysage import datasets, storage
from paysage.errors import StorageError

pytestmark = pytest.mark.backend_free

LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63),
    st.floats(),
    st.text(max_size=5),
    handed().map(lambda h: h.what if isinstance(h.what, np.ndarray) else 0),
)
KEYS = st.text(max_size=4)
TREES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(KEYS, inner, max_size=3),
        st.tuples(inner, inner),
    ),
    max_leaves=6,
)


def is_storable(tree):
    if isinstance(tree, dict):
        return "__array__" not in tree and all(map(is_storable, tree.values()))
    if isinstance(tree, list | tuple):
        return all(map(is_storable, tree))
    if isinstance(tree, np.ndarray):
        good = isinstance(tree, np.ndarray) and tree.dtype.kind in "biuf"
        return good and tree.dtype.itemsize <= 8 and not np.ma.is_masked(tree)
    return not isinstance(tree, float) or math.isfinite(tree)


def assert_same(tree, again):
    if isinstance(tree, dict):
        assert tree.keys() == again.keys()
        for key, value in tree.items():
            assert_same(value, again[key])
    elif isinstance(tree, list | tuple):
        assert len(tree) == len(again)
        for pair in zip(tree, again, strict=True):
            assert_same(*pair)
    elif isinstance(tree, np.ndarray):
        assert again.dtype.newbyteorder("=") == tree.dtype.newbyteorder("=")
        np.testing.assert_array_equal(np.asarray(tree), again)
    else:
        assert type(again) is type(tree) and again == tree


@given(TREES)
@example({"x": [np.arange(6).reshape(2, 3), np.zeros((0, 2), ">f4")], "y": 0.5})
@example([np.array([True, False]), np.ma.masked_array([1.0], mask=[True])])
@example([float("nan")])
def test_trees(tmp_path_factory, tree):
    path = tmp_path_factory.mktemp("odd") / "tree.h5"
    done = attempt(storage.write_tree, path, tree)
    assert (done is REFUSED) == (not is_storable(tree))
    if done is REFUSED:
        assert not list(path.parent.iterdir())
    else:
        assert_same(tree, storage.read_tree(path))


@given(st.one_of(st.text(max_size=8), things()), st.one_of(st.text(max_size=3), things()))
@example("first", "notes")
def test_keys_and_kinds(tmp_path_factory, key, kind):
    path = tmp_path_factory.mktemp("odd") / "tree.h5"
    done = attempt(storage.write_tree, path, {"a": 1}, kind, key)
    if done is REFUSED:
        assert not list(path.parent.iterdir())
        assert not (
            isinstance(key, str) and key.isalpha() and key.isascii() and isinstance(kind, str)
        )
    else:
        assert storage.read_tree(path, kind, key) == {"a": 1}
        assert list(storage.read_all(path)) == [key]


@given(things())
def test_paths(thing):
    for act in (
        lambda path: storage.write_tree(path, {}),
        storage.read_tree,
        storage.read_all,
        datasets.load_mnist,
        lambda path: datasets.mnist_from_folder(path, "out.h5"),
        lambda path: datasets.mnist_from_folder("nowhere", path),
    ):
        if isinstance(thing, str) and thing:
            continue
        if thing is None and act is datasets.load_mnist:  # looked for where it may be
            continue
        assert attempt(act, thing) is REFUSED


@given(st.binary(max_size=64), st.booleans())
def test_files_of_anything(tmp_path_factory, content, signed):
    path = tmp_path_factory.mktemp("odd") / "tree.h5"
    path.write_bytes((b"\x89HDF\r\n\x1a\n" if signed else b"") + content)
    for act in (storage.read_tree, storage.read_all, datasets.load_mnist):
        with pytest.raises(StorageError):
            act(path)
