"""What was written comes back; what was damaged is refused; what was there survives a failure."""

import hashlib
import json
import math
import os

import h5py
import numpy as np
import pandas as pd
import pytest

from paysage import storage
from paysage.errors import StorageError
from paysage.files import check_writable
from paysage.storage import document

pytestmark = pytest.mark.backend_free

DTYPES = "?bBhHiIqQefd"


def make_tree(seed=0):
    rng = np.random.default_rng(seed)
    return {
        "name": "Grüße",
        "layers": [{"loc": rng.normal(size=5).astype(np.float32), "center": False}, None],
        "matrix": rng.normal(size=(4, 3)),
        "odd": np.array([np.nan, np.inf, -np.inf, -0.0]),
        "scalar": np.array(2.5, dtype=np.float32),
        "empty": np.zeros((0, 7), dtype=np.int32),
        "mask": np.array([[True, False], [False, True]]),
        "rate": 1e-3,
        "large": 2**63 + 1,
    }


def assert_same(got, expected):
    assert type(got) is type(expected)
    if isinstance(expected, dict):
        assert list(got) == list(expected)
        for key, value in expected.items():
            assert_same(got[key], value)
    elif isinstance(expected, list):
        assert len(got) == len(expected)
        for one, other in zip(got, expected, strict=True):
            assert_same(one, other)
    elif isinstance(expected, np.ndarray):
        assert (got.dtype, got.shape) == (expected.dtype, expected.shape)
        assert got.tobytes() == expected.tobytes()
    else:
        assert got == expected


@pytest.fixture
def path(tmp_path):
    return tmp_path / "tree.h5"


# --- round trips


def test_path_to_path(path):
    storage.write_tree(path, make_tree())
    assert_same(storage.read_tree(str(path)), make_tree())


def test_store_to_store(path):
    with pd.HDFStore(str(path), "w") as store:
        storage.write_tree(store, make_tree())
        assert_same(storage.read_tree(store), make_tree())


def test_store_to_path(path):
    with pd.HDFStore(str(path), "w") as store:
        storage.write_tree(store, make_tree())
    assert_same(storage.read_tree(path), make_tree())


@pytest.mark.parametrize("mode", ["r", "a"])
def test_path_to_store(path, mode):
    storage.write_tree(path, make_tree())
    with pd.HDFStore(str(path), mode) as store:
        assert_same(storage.read_tree(store), make_tree())


def test_store_that_lives_in_memory(path):
    options = {"driver": "H5FD_CORE", "driver_core_backing_store": 0}
    with pd.HDFStore(str(path), "w", **options) as store:
        storage.write_tree(store, make_tree())
        assert_same(storage.read_tree(store), make_tree())
    assert not path.exists()


@pytest.mark.parametrize("code", DTYPES)
@pytest.mark.parametrize("through", ["path", "store"])
def test_every_dtype(path, code, through):
    array = np.arange(6).reshape(2, 3).astype(code)
    if through == "path":
        storage.write_tree(path, [array])
    else:
        with pd.HDFStore(str(path), "w") as store:
            storage.write_tree(store, [array])
    assert_same(storage.read_tree(path), [array])


def test_views_and_foreign_byte_order_come_back_as_values(path):
    base = np.arange(12, dtype=">f4").reshape(3, 4)
    storage.write_tree(path, {"turned": base.T, "strided": base[:, ::2]})
    tree = storage.read_tree(path)
    np.testing.assert_array_equal(tree["turned"], base.T)
    np.testing.assert_array_equal(tree["strided"], base[:, ::2])
    assert tree["turned"].dtype == np.dtype("<f4")


def test_tuples_become_lists_and_numpy_scalars_become_numbers(path):
    storage.write_tree(path, {"shape": (2, 3), "n": np.int64(4), "on": np.bool_(True)})
    assert_same(storage.read_tree(path), {"shape": [2, 3], "n": 4, "on": True})


def test_arrays_that_are_read_can_be_written_to(path):
    storage.write_tree(path, make_tree())
    tree = storage.read_tree(path)
    tree["matrix"][:] = 0
    tree["mask"][:] = True


# --- several trees in one store


def test_keys_live_beside_each_other_and_beside_data(path):
    frame = pd.DataFrame({"a": [1.0, 2.0]})
    with pd.HDFStore(str(path), "w") as store:
        store.put("data", frame, track_times=False)
        storage.write_tree(store, [1], key="first")
        storage.write_tree(store, [2], key="models/second")
        storage.write_tree(store, [3], key="models/third", kind="pca")
    with pd.HDFStore(str(path), "r") as store:
        pd.testing.assert_frame_equal(store.get("data"), frame)
        assert storage.read_tree(store, key="first") == [1]
        assert storage.read_tree(store, key="/models/second") == [2]
        assert storage.read_tree(store, key="models/third", kind="pca") == [3]
    assert storage.read_tree(path, key="models/second") == [2]


def test_a_key_in_a_store_is_replaced(path):
    with pd.HDFStore(str(path), "w") as store:
        storage.write_tree(store, make_tree(0))
        storage.write_tree(store, make_tree(1))
        assert_same(storage.read_tree(store), make_tree(1))
        assert set(store.root._v_children) == {"paysage"}


def test_a_failed_write_to_a_store_leaves_the_tree_that_was_there(path, monkeypatch):
    import tables

    with pd.HDFStore(str(path), "w") as store:
        storage.write_tree(store, make_tree(0))
        with monkeypatch.context() as patch:
            patch.setattr(tables.File, "create_array", raiser(RuntimeError("disk full")))
            with pytest.raises(StorageError, match="disk full"):
                storage.write_tree(store, make_tree(1))
        assert_same(storage.read_tree(store), make_tree(0))
        storage.write_tree(store, make_tree(2))
        assert_same(storage.read_tree(store), make_tree(2))


def test_stores_that_cannot_serve(path):
    storage.write_tree(path, [1])
    with (
        pd.HDFStore(str(path), "r") as store,
        pytest.raises(StorageError, match="open for reading only"),
    ):
        storage.write_tree(store, [2])
    with pytest.raises(StorageError, match="closed"):
        storage.write_tree(store, [2])
    with pytest.raises(StorageError, match="closed"):
        storage.read_tree(store)


@pytest.mark.parametrize("key", ["", "a b", "a//b", "../x", "_v_x", "1st", "a/.."])
def test_keys_that_are_no_names(path, key):
    with pytest.raises(StorageError, match="key"):
        storage.write_tree(path, [1], key=key)


# --- what cannot be written


def raiser(error):
    def raise_it(*args, **kwargs):
        raise error

    return raise_it


def nested(depth):
    tree = []
    for _ in range(depth):
        tree = [tree]
    return tree


@pytest.mark.parametrize(
    ("tree", "words"),
    [
        ({"a": {"b": math.nan}}, r"tree\.a\.b is nan"),
        ([1.0, math.inf], r"tree\[1\] is inf"),
        ([np.float32("nan")], r"tree\[0\] is nan"),
        ({"a": {1, 2}}, r"tree\.a is a set"),
        ({1: "a"}, "key 1"),
        ({"__array__": 0}, "__array__"),
        ({"a": np.array([None])}, "array of object"),
        ({"a": np.array(["x"])}, "array of <U1"),
        ({"a": np.array([1j])}, "array of complex128"),
        (nested(100_000), "nested too deeply"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_tree_of_other_things_is_refused_and_no_file_appears(tmp_path, tree, words):
    with pytest.raises(StorageError, match=words):
        storage.write_tree(tmp_path / "x.h5", tree)
    assert list(tmp_path.iterdir()) == []


def test_places_that_cannot_be_written(tmp_path):
    with pytest.raises(StorageError, match=r"there is no folder .*absent"):
        storage.write_tree(tmp_path / "absent" / "x.h5", [1])
    with pytest.raises(StorageError, match="it is a folder"):
        check_writable(tmp_path)
    with pytest.raises(StorageError, match="device or a pipe"):
        check_writable(os.devnull)
    check_writable(tmp_path / "x.h5")
    assert list(tmp_path.iterdir()) == []


def test_permissions_are_asked_before(tmp_path, monkeypatch):
    """Through `os.access`, because the superuser may write everywhere."""
    target = tmp_path / "x.h5"
    target.write_bytes(b"")
    monkeypatch.setattr(os, "access", lambda where, mode: where != tmp_path)
    with pytest.raises(StorageError, match=r"folder .* is not writable"):
        check_writable(target)
    monkeypatch.setattr(os, "access", lambda where, mode: where != target)
    with pytest.raises(StorageError, match="read-only"):
        check_writable(target)


@pytest.mark.parametrize("error", [OSError("no space left"), KeyboardInterrupt()])
@pytest.mark.parametrize("moment", ["replace", "fsync", "write"])
def test_a_crash_leaves_the_old_file_and_nothing_else(path, monkeypatch, moment, error):
    storage.write_tree(path, make_tree(0))
    before = path.read_bytes()
    with monkeypatch.context() as patch:
        if moment == "write":
            patch.setattr(h5py.Group, "create_dataset", raiser(error))
        else:
            patch.setattr(os, moment, raiser(error))
        with pytest.raises(StorageError if isinstance(error, OSError) else KeyboardInterrupt):
            storage.write_tree(path, make_tree(1))
    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_a_path_is_replaced_keeping_its_mode_and_its_link(path):
    storage.write_tree(path, make_tree(0))
    path.chmod(0o640)
    link = path.with_name("link.h5")
    link.symlink_to(path)
    storage.write_tree(link, make_tree(1))
    assert link.is_symlink()
    assert path.stat().st_mode & 0o777 == 0o640
    assert_same(storage.read_tree(path), make_tree(1))


# --- what cannot be read


def test_no_file(path):
    with pytest.raises(StorageError, match="there is no file"):
        storage.read_tree(path)
    with pytest.raises(StorageError, match="not a plain file"):
        storage.read_tree(path.parent)


def test_not_hdf5(path):
    path.write_bytes(b"PK\x03\x04 and so on")
    with pytest.raises(StorageError, match="is not an HDF5 file"):
        storage.read_tree(path)


def test_hdf5_but_not_ours(path):
    with pd.HDFStore(str(path), "w") as store:
        store.put("train", pd.DataFrame({"a": [1]}), track_times=False)
    with pytest.raises(StorageError, match=r"no group 'paysage' \(its root holds train\)"):
        storage.read_tree(path)
    with pytest.raises(StorageError, match="'train' holds no document"):
        storage.read_tree(path, key="train")


def test_another_kind(path):
    storage.write_tree(path, [1], kind="pca")
    with pytest.raises(StorageError, match="holds a 'pca'; expected a 'model'"):
        storage.read_tree(path)


def test_open_for_writing_elsewhere(path):
    with pd.HDFStore(str(path), "w") as store:
        storage.write_tree(store, [1])
        with pytest.raises(StorageError, match=r"open for writing elsewhere|unable to lock"):
            storage.read_tree(path)


def test_truncated_at_every_size(path):
    storage.write_tree(path, make_tree())
    content = path.read_bytes()
    for size in [*range(0, 64), *range(64, len(content), 41), len(content) - 1]:
        path.write_bytes(content[:size])
        with pytest.raises(StorageError, match=r"cut short|damaged"):
            storage.read_tree(path)


def test_flipped_bytes_give_an_error_or_the_same_tree(path):
    """Unused bytes may change; nothing that is read may come back as something else."""
    storage.write_tree(path, make_tree())
    content = path.read_bytes()
    refused = 0
    for place in range(0, len(content), 7):
        damaged = bytearray(content)
        damaged[place] ^= 0xFF if place % 2 else 1 << (place % 8)
        path.write_bytes(damaged)
        try:
            tree = storage.read_tree(path)
        except StorageError:
            refused += 1
        else:
            assert_same(tree, make_tree())
    assert refused > 100


def forge(path, change=None, **arrays):
    """A file whose document was changed and signed again, with other arrays where given."""
    storage.write_tree(path, {"x": np.arange(6.0)})
    with h5py.File(path, "a") as file:
        group = file["paysage"]
        content = json.loads(group["document"][:].tobytes())
        if change:
            change(content)
        text = np.frombuffer(json.dumps(content).encode(), dtype=np.uint8)
        signature = np.frombuffer(hashlib.sha256(text).digest(), dtype=np.uint8)
        for name, value in {"document": text, "digest": signature, **arrays}.items():
            del group[name]
            if isinstance(value, h5py.SoftLink | h5py.ExternalLink):
                group[name] = value
            elif isinstance(value, dict):
                group.create_dataset(name, **value)
            else:
                group.create_dataset(name, data=value)


def entry(**changes):
    return lambda content: content["arrays"][0].update(changes)


def test_a_forged_file_that_changes_nothing_is_read(path):
    forge(path)
    assert_same(storage.read_tree(path), {"x": np.arange(6.0)})


def test_a_newer_schema(path):
    forge(path, lambda content: content.update(schema=2, library="9.1"))
    with pytest.raises(StorageError, match=r"newer Paysage \(9\.1, schema 2\)"):
        storage.read_tree(path)


@pytest.mark.parametrize(
    "change",
    [
        entry(shape=[2, 3]),
        entry(shape=[7]),
        entry(shape=[-6]),
        entry(shape=[6.0]),
        entry(shape=["6"]),
        entry(shape=[10**12]),
        entry(shape=[0, 10**30]),
        entry(shape=[1] * 40),
        entry(dtype="<f4"),
        entry(dtype="|O"),
        entry(dtype=8),
        entry(sha256="0" * 64),
        entry(sha256=None),
        lambda content: content.update(format="other"),
        lambda content: content.update(schema="1"),
        lambda content: content.update(schema=0),
        lambda content: content.pop("arrays"),
        lambda content: content.update(arrays=[]),
        lambda content: content.update(arrays=3),
        lambda content: content["tree"].update(x={"__array__": 1}),
        lambda content: content["tree"].update(x={"__array__": -1}),
        lambda content: content["tree"].update(x={"__array__": "0"}),
        lambda content: content["tree"].update(x=math.nan),
    ],
)
def test_a_document_that_contradicts_its_file(path, change):
    forge(path, change)
    with pytest.raises(StorageError, match=r"damaged|not one of ours"):
        storage.read_tree(path)


@pytest.mark.parametrize(
    "value",
    [
        np.arange(6.0) + 1,
        np.arange(7.0),
        np.arange(6.0).astype("f4"),
        np.arange(6.0).astype(">f8"),
        h5py.SoftLink("/paysage/document"),
        h5py.ExternalLink("other.h5", "/x"),
        {"data": np.arange(6.0), "chunks": (3,), "compression": "gzip"},
        {"shape": (6,), "dtype": "<f8"},
        {"shape": (6,), "dtype": "<f8", "external": [("other.bin", 0, 48)]},
        {"data": h5py.Empty("<f8")},
    ],
    ids=["values", "shape", "dtype", "order", "soft", "link", "chunks", "hole", "outside", "null"],
)
def test_an_array_that_is_not_what_was_written(path, value):
    (path.parent / "other.bin").write_bytes(np.arange(6.0).tobytes())
    forge(path, a0=value)
    with pytest.raises(StorageError, match="damaged"):
        storage.read_tree(path)


def test_a_huge_array_is_refused_before_memory_is_taken(path):
    """The dataset and the document agree on a terabyte that was never written."""
    forge(path, entry(shape=[2**37]), a0={"shape": (2**37,), "dtype": "<f8"})
    with pytest.raises(StorageError, match="declares 1099511627776 bytes"):
        storage.read_tree(path)


def test_a_document_nested_beyond_all_measure(path):
    text = b'{"format":"paysage","schema":1,"kind":"model","arrays":[],"tree":'
    text += b"[" * 200_000 + b"]" * 200_000 + b"}"
    content = np.frombuffer(text, dtype=np.uint8)
    with h5py.File(path, "w") as file:
        file["paysage/document"] = content
        file["paysage/digest"] = document.digest(content)
    with pytest.raises(StorageError, match="damaged"):
        storage.read_tree(path)


def test_nothing_is_unpickled(path):
    """A store's node attributes may hold pickles; they are never looked at."""
    storage.write_tree(path, make_tree())
    harmful = np.bytes_(b"cbuiltins\nexit\n(tR.")
    with h5py.File(path, "a") as file:
        for node in (file["paysage"], file["paysage/document"], file["paysage/a0"]):
            for name in ("FLAVOR", "TITLE", "config"):
                node.attrs[name] = harmful
    assert_same(storage.read_tree(path), make_tree())
    with pd.HDFStore(str(path), "r") as store:
        assert_same(storage.read_tree(store), make_tree())


@pytest.mark.skipif(os.name == "nt", reason="Windows cannot limit the size of files")
@pytest.mark.parametrize("limit", range(0, 40_000, 2000))
@pytest.mark.parametrize("through", ["path", "store"])
def test_a_full_disk_is_told_and_costs_neither_the_process_nor_the_file(tmp_path, limit, through):
    """A limit on the size of files stands in for the disk; HDF5 does not tell of it, or crashes."""
    import resource

    path = tmp_path / "tree.h5"
    old, new = {"a": np.arange(100)}, {"a": np.arange(3000)}
    storage.write_tree(path, old)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    size = path.stat().st_size + limit if through == "store" else limit
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        if through == "path":
            storage.write_tree(path, new)
        else:
            with pd.HDFStore(str(path), "a") as store:
                storage.write_tree(store, new)
        written = True
    except StorageError:
        written = False
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert_same(storage.read_tree(path), new if written else old)
    assert written == (limit > 34_000) or 24_000 <= limit <= 34_000
    assert os.listdir(tmp_path) == [path.name]


@pytest.mark.parametrize(
    "place", [None, 3, b"tree.h5", "a\0b", "a" * 300], ids=lambda place: repr(place)[:9]
)
def test_what_is_no_path(tmp_path, monkeypatch, place):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(StorageError, match="cannot write"):
        storage.write_tree(place, [1])
    with pytest.raises(StorageError):
        storage.read_tree(place)
    assert os.listdir(tmp_path) == []


def test_a_file_that_is_replaced_while_it_is_read(path, monkeypatch):
    """What was opened is read whole, whatever stands under its name by then."""
    from paysage.storage import opening

    def opened_and_replaced(*arguments, opened=opening._open_file, **options):
        file = opened(*arguments, **options)
        storage.write_tree(path, [1])
        return file

    storage.write_tree(path, make_tree())
    monkeypatch.setattr(opening, "_open_file", opened_and_replaced)
    assert_same(storage.read_tree(path), make_tree())
