"""Files that others wrote: nothing is unpickled, and nothing is read that is not there."""

import h5py
import numpy as np
import pandas as pd
import pytest

from paysage import datasets, storage
from paysage.batch import DataShuffler, HDFtable
from paysage.batch.contents import contents
from paysage.errors import DataError, StorageError
from paysage.storage.pickles import read_plain

pytestmark = pytest.mark.backend_free

HARMFUL = b"cbuiltins\nexit\n(tR."
HUGE = 10**12


@pytest.fixture
def path(tmp_path):
    return tmp_path / "data.h5"


def frame():
    return pd.DataFrame({"a": np.arange(20), "b": np.linspace(0, 1, 20), "c": [True, False] * 10})


def put(path, table, **options):
    with pd.HDFStore(path, "a") as store:
        store.put("x", table, track_times=False, **options)


def edit(path, name, **attributes):
    with h5py.File(path, "a") as file:
        for key, value in attributes.items():
            file[name].attrs[key] = np.bytes_(value)


def shuffle(path):
    target = path.with_name("shuffled.h5")
    DataShuffler(path, target).shuffle()
    return target


# pickles


@pytest.mark.parametrize("value", [None, 3, -(2**70), 1.5, "Grüße\n", [], (), {}, [(1, ["a", 2])]])
def test_pickles_of_plain_values_are_understood(value):
    import pickle

    assert read_plain(pickle.dumps(value, 0), "it") == value


@pytest.mark.parametrize(
    "raw",
    [
        HARMFUL,
        b"(lp0\n" + HARMFUL,
        b"",
        b"N",
        b"I0x10\n" + HARMFUL,
        b"(ibuiltins\nexit\n.",
        b"g7\n.",
    ],
)
def test_other_pickles_are_refused_and_nothing_is_done(raw):
    with pytest.raises(StorageError, match="it is a pickle"):
        read_plain(raw, "it")


ATTRIBUTES = ("non_index_axes", "values_cols", "levels", "info", "pandas_version", "TITLE")


@pytest.mark.parametrize("name", ATTRIBUTES)
@pytest.mark.parametrize("format", ["fixed", "table"])
def test_no_attribute_of_a_frame_is_executed(path, name, format):
    put(path, frame(), format=format)
    edit(path, "x", **{name: HARMFUL})
    try:
        HDFtable(path, "x", 5, read_ahead=0).get()
    except StorageError as error:
        assert "not read" in str(error)
    with h5py.File(shuffle(path), "r") as file:
        assert file["x"].attrs[name] == HARMFUL  # copied, and not looked into


@pytest.mark.parametrize("place", ["x", "x/table", "x/_i_table", "x/_i_table/index"])
def test_what_pytables_would_unpickle_on_its_way_is_not_looked_at(path, place):
    """PyTables could read what h5py lacks a filter for, and would open all of these."""
    with pd.HDFStore(path, "w", complib="blosc", complevel=5) as store:
        store.put("x", frame(), format="table", track_times=False)
    edit(path, place, FIELD_0_FILL=HARMFUL, CLASS=HARMFUL)
    table = HDFtable(path, "x", 20)
    np.testing.assert_array_equal(np.asarray(table.get()), frame().to_numpy(np.float32))
    table.close()


def test_columns_of_objects_are_refused_unread(path):
    put(path, frame().assign(word="w"))
    with pytest.raises(DataError, match=r"column 'word' .* expected numbers"):
        HDFtable(path, "x", 5)
    with pytest.raises(StorageError, match="of variable length, a pickle perhaps"):
        shuffle(path)


@pytest.mark.filterwarnings("ignore::pandas.errors.PerformanceWarning")
def test_names_of_columns_that_are_objects_are_needed_for_several_types_only(path):
    odd = pd.DataFrame(np.arange(40.0).reshape(20, 2), columns=["a", 3])
    put(path, odd)
    table = HDFtable(path, "x", 20)
    np.testing.assert_array_equal(np.asarray(table.get()), odd.to_numpy())
    table.close()
    put(path, odd.astype({3: int}))
    with pytest.raises(StorageError, match="name all columns by text"):
        HDFtable(path, "x", 5)


# sizes


def declare(path, shape, **options):
    with h5py.File(path, "w") as file:
        for name in ("x", "train/images"):
            file.create_dataset(name, shape, "f4", **options)


@pytest.mark.parametrize(
    ("shape", "chunks"),
    [((HUGE, 6), None), ((HUGE, 6), (1000, 6)), ((3, HUGE), (1, 1000)), ((HUGE, HUGE), (100, 100))],
)
def test_rows_that_were_never_written_are_refused(path, shape, chunks):
    declare(path, shape, chunks=chunks)
    for read in (lambda p: HDFtable(p, "x", 1), shuffle, datasets.load_mnist):
        with pytest.raises(StorageError, match="declares"):
            read(path)


def test_pieces_beyond_all_measure_are_refused(path):
    """One piece of half a gigabyte, which takes half a megabyte in the file."""
    with h5py.File(path, "w") as file:
        huge = (2**15, 2**12)
        made = file.create_dataset("x", huge, "f4", chunks=huge, compression="gzip")
        made.id.write_direct_chunk((0, 0), b"nothing that can be unpacked")
    with pytest.raises(StorageError, match=r"a piece of 'x' .* takes 536870912 bytes"):
        HDFtable(path, "x", 1)


@pytest.mark.parametrize("kind", ["soft", "external", "virtual", "outside"])
def test_numbers_in_other_places_are_not_followed(path, kind):
    (path.parent / "raw.bin").write_bytes(np.zeros(20, "f4").tobytes())
    with h5py.File(path, "w") as file:
        file["y"] = np.zeros((10, 2), "f4")
        if kind == "virtual":
            layout = h5py.VirtualLayout((10, 2), "f4")
            layout[:] = h5py.VirtualSource(path.parent / "other.h5", "x", (10, 2))
            file.create_virtual_dataset("x", layout)
        elif kind == "outside":
            file.create_dataset("x", (10, 2), "f4", external=[(path.parent / "raw.bin", 0, 80)])
        else:
            soft = h5py.SoftLink("/y")
            file["x"] = soft if kind == "soft" else h5py.ExternalLink("other.h5", "/x")
    with pytest.raises(StorageError, match=r"other files|over a link"):
        HDFtable(path, "x", 5)


def test_a_group_that_holds_itself(path):
    with h5py.File(path, "w") as file:
        file["y"] = np.zeros((10, 2))
        file["loop"] = file["/"]
    with pytest.raises(StorageError, match="holds no 'x'"):
        HDFtable(path, "x", 5)
    with pytest.raises(StorageError, match="holds itself"):
        shuffle(path)


# names


@pytest.mark.parametrize("kind", ["group", "table", "tree"])
def test_names_that_are_no_text(path, kind):
    """h5py gives them as bytes."""
    name = b"\xff\xfe"
    with h5py.File(path, "w") as file:
        if kind == "table":
            file[name] = np.zeros((3, 2))
        else:
            group = file.create_group(name)
            group["document"] = group["digest" if kind == "tree" else "other"] = np.zeros(3)
    with pytest.raises(StorageError, match="is no UTF-8"):
        contents(path)
    for read in (shuffle, lambda path: HDFtable(path, "x", 2)):
        with pytest.raises(StorageError):
            read(path)
    if kind == "tree":
        with pytest.raises(StorageError, match="is no UTF-8"):
            storage.read_all(path)
    else:
        assert storage.read_all(path) == {}
