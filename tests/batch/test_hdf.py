"""Tables in files against the same rows in memory."""

import gc
import os
import threading
from contextlib import closing

import h5py
import numpy as np
import pandas as pd
import pytest
import tables

from paysage import backends as be
from paysage import fit, optimizers
from paysage import preprocess as pre
from paysage.batch import Batch, HDFtable, InMemoryTable
from paysage.batch import layout as layout_module
from paysage.batch import table as table_module
from paysage.batch.ahead import THREAD_NAME
from paysage.errors import ConfigError, DataError, ShapeError, StorageError
from paysage.layers import BernoulliLayer
from paysage.models import BoltzmannMachine
from paysage.storage import hdf5_lock

# PyTables would rather have frames named like variables; 'key/0' is what scripts have
pytestmark = pytest.mark.filterwarnings("ignore::tables.NaturalNameWarning")

ROWS, COLUMNS = 103, 6
WAYS = ("fixed", "table", "data columns", "multi-index", "dataset", "chunked", "array")
PACKED = ("blosc", "blosc:lz4", "blosc:zstd", "blosc:zlib", "bzip2")
WAYS += tuple(f"{library} {form}" for library in PACKED for form in ("fixed", "table"))


def numbers(rows=ROWS, columns=COLUMNS):
    return np.arange(rows * columns, dtype=np.float32).reshape(rows, columns)


def put(path, key, frame, **options):
    with pd.HDFStore(path, "a", **options.pop("store", {})) as store:
        store.put(key, frame, track_times=False, **options)


def write(path, data, way, key="data"):
    frame = pd.DataFrame(data, columns=[f"c{n}" for n in range(data.shape[1])])
    if way == "multi-index":
        put(path, key, frame.assign(u=1, v=2.0).set_index(["u", "v"]), format="table")
    elif way == "data columns":
        put(path, key, frame, format="table", data_columns=["c3", "c1"])
    elif way.startswith(PACKED):
        library, form = way.split()
        put(path, key, frame, format=form, store={"complib": library, "complevel": 5})
    elif way in ("fixed", "table"):
        put(path, key, frame, format=way)
    elif way == "array":
        with tables.open_file(str(path), "a") as file:
            file.create_array("/", key, data)
    else:
        with h5py.File(path, "a") as file:
            chunks = (7, 4) if way == "chunked" else None
            file.create_dataset(key, data=data, chunks=chunks, compression=chunks and "gzip")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "data.h5"


@pytest.fixture
def stored(path):
    write(path, numbers(), "dataset")
    return path


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    """Chunks of three minibatches of ten rows, so that a pass has several."""
    monkeypatch.setattr(table_module, "CHUNK_BYTES", 3 * 10 * COLUMNS * 4)


def blocks(minibatches):
    return [be.to_numpy_array(rows) for rows in minibatches]


def whole(minibatches):
    return np.concatenate(blocks(minibatches))


def one_pass(table):
    got = []
    while True:
        try:
            got.append(be.to_numpy_array(table.get()))
        except StopIteration:
            return got


@pytest.mark.parametrize("way", WAYS)
def test_minibatches_are_those_of_a_table_in_memory(path, way):
    write(path, numbers(), way)
    table, twin = HDFtable(path, "data", 10), InMemoryTable(numbers(), 10)
    for _ in range(2):
        for got, expected in zip(one_pass(table), one_pass(twin), strict=True):
            np.testing.assert_array_equal(got, expected)
    names = ("ncols", "nrows", "batch_size", "output_batch_size")
    assert [getattr(table, n) for n in names] == [getattr(twin, n) for n in names]
    rows = table.get()
    assert be.is_tensor(rows)
    assert be.dtype(rows) == be.Float
    table.close()


@pytest.mark.parametrize("dtype", ["u1", "i2", "i8", "f2", "f8", "?"])
@pytest.mark.parametrize("way", ["fixed", "table", "dataset"])
def test_all_numbers_become_floats(path, way, dtype):
    data = (numbers() % 2).astype(dtype)
    write(path, data, way)
    np.testing.assert_array_equal(whole(HDFtable(path, "data", 10).iterate()), data.astype("f4"))


@pytest.mark.parametrize("options", [{"format": "fixed"}, {"format": "table"}])
def test_columns_of_many_types_keep_their_order(path, options):
    frame = pd.DataFrame(
        {"a": np.arange(20), "b": np.linspace(0, 1, 20), "c": [True, False] * 10, 3: range(20)}
    )
    frame.columns = frame.columns.astype(str)
    put(path, "data", frame, **options)
    expected = frame.to_numpy(np.float32)
    np.testing.assert_array_equal(whole(HDFtable(path, "data", 7).iterate()), expected)


@pytest.mark.parametrize("read_ahead", [0, 1, 5])
@pytest.mark.parametrize("size", [1, 10, 30, 31, ROWS])
def test_chunks_do_not_show(stored, size, read_ahead):
    table = HDFtable(stored, "data", size, read_ahead=read_ahead)
    got = blocks(table.iterate())
    lengths = [len(block) for block in blocks(InMemoryTable(numbers(), size).iterate())]
    assert [len(block) for block in got] == lengths
    np.testing.assert_array_equal(np.concatenate(got), numbers())


def test_a_part_of_the_rows(stored):
    table = HDFtable(stored, "data", 10, rows=(25, 70))
    assert table.nrows == 45
    np.testing.assert_array_equal(whole(table.iterate()), numbers()[25:70])
    rest = HDFtable(stored, "data", 10, rows=(70, None))
    np.testing.assert_array_equal(whole(rest.iterate()), numbers()[70:])


def test_get_and_iterate_do_not_disturb_each_other(stored):
    table = HDFtable(stored, "data", 10)
    table.get()
    np.testing.assert_array_equal(whole(table.iterate()), numbers())
    np.testing.assert_array_equal(be.to_numpy_array(table.get()), numbers()[10:20])
    table.reset_generator()
    np.testing.assert_array_equal(be.to_numpy_array(table.get()), numbers()[:10])
    table.close()


def test_the_transform_is_applied_and_replaced(stored):
    half = pre.Transformation(pre.scale, [2.0])
    table = HDFtable(stored, "data", 10, half)
    np.testing.assert_array_equal(whole(table.iterate()), numbers() / 2)
    table.set_transform(pre.Transformation(lambda x: be.hstack([x, x])))
    assert table.ncols == 2 * COLUMNS
    np.testing.assert_array_equal(whole(table.iterate()), np.hstack([numbers(), numbers()]))
    assert table.get_transform() is not half


# frames side by side


@pytest.mark.parametrize("way", ["fixed", "table", "dataset"])
def test_frames_are_combined_in_natural_order(path, way):
    data = numbers(columns=24)
    for n in (0, 10, 2, 1):
        place = (0, 1, 2, 10).index(n)
        write(path, data[:, 6 * place : 6 * place + 6], way, f"wide/{n}")
    table = HDFtable(path, "wide", 10, combine_frames=True)
    assert table.ncols == 24
    np.testing.assert_array_equal(whole(table.iterate()), data)


def test_frames_of_different_make_are_combined(path):
    data = numbers(columns=12)
    write(path, data[:, :6], "data columns", "wide/a")
    write(path, data[:, 6:], "chunked", "wide/b")
    np.testing.assert_array_equal(
        whole(HDFtable(path, "wide", 10, combine_frames=True).iterate()), data
    )


def test_a_single_frame_is_combined_with_nothing(stored):
    np.testing.assert_array_equal(
        whole(HDFtable(stored, "data", 10, combine_frames=True).iterate()), numbers()
    )


def test_frames_of_different_lengths_are_told(path):
    write(path, numbers(), "fixed", "wide/0")
    write(path, numbers(rows=20), "fixed", "wide/1")
    with pytest.raises(ShapeError, match="'wide/0' 103, 'wide/1' 20"):
        HDFtable(path, "wide", 10, combine_frames=True)


def test_a_group_is_told_with_what_is_in_it(path):
    write(path, numbers(), "dataset", "wide/0")
    with pytest.raises(StorageError, match=r"'wide' .* is a group.*combine_frames=True .* 0$"):
        HDFtable(path, "wide", 10)
    with h5py.File(path, "a") as file:
        file.create_group("empty")
    with pytest.raises(StorageError, match=r"'empty' .* holds no frames"):
        HDFtable(path, "empty", 10, combine_frames=True)


# what is refused


@pytest.mark.parametrize("key", ["no", "data/no", "other/data"])
def test_a_missing_table_is_told_with_those_that_are_there(stored, key):
    write(stored, numbers(), "fixed", "train/images")
    with pytest.raises(StorageError, match=rf"holds no '{key}'; it holds data, train/images"):
        HDFtable(stored, key, 10)


def test_a_missing_file_and_one_that_is_none(tmp_path):
    with pytest.raises(StorageError, match="there is no file"):
        HDFtable(tmp_path / "none.h5", "data", 10)
    (tmp_path / "text.h5").write_text("not of HDF5")
    with pytest.raises(StorageError, match="not an HDF5 file"):
        HDFtable(tmp_path / "text.h5", "data", 10)
    with pytest.raises(StorageError, match="expected the path"):
        HDFtable(None, "data", 10)


@pytest.mark.parametrize(
    ("column", "told"),
    [
        (["a"] * 5, "holds"),
        (pd.date_range("2020", periods=5), "datetime64"),
        ([1j] * 5, "complex"),
    ],
)
@pytest.mark.parametrize("format", ["fixed", "table"])
def test_columns_that_are_not_numeric(path, column, told, format):
    frame = pd.DataFrame({"x": range(5), "y": column})
    put(path, "data", frame, format=format)
    with pytest.raises(DataError, match=f"column 'y' of 'data' .*{told}.*expected numbers"):
        HDFtable(path, "data", 2)


def test_datasets_that_are_no_tables_of_numbers(path):
    with h5py.File(path, "w") as file:
        file["words"] = [b"a", b"b"]
        file["flat"] = np.ones(5)
        file["cube"] = np.ones((5, 2, 2))
        file["none"] = np.ones((0, 3))
        file["scalar"] = 1.0
    for key, error in (
        ("words", DataError),
        ("flat", ShapeError),
        ("cube", ShapeError),
        ("none", DataError),
        ("scalar", ShapeError),
    ):
        with pytest.raises(error, match=f"'{key}' of"):
            HDFtable(path, key, 2)
    put(path, "series", pd.Series([1.0]))
    with pytest.raises(ShapeError, match="series of pandas"):
        HDFtable(path, "series", 1)


def test_too_few_rows(stored):
    with pytest.raises(DataError, match="104 but there are only 103 rows"):
        HDFtable(stored, "data", 104)
    with pytest.raises(DataError, match="11 but there are only 10 rows"):
        HDFtable(stored, "data", 11, rows=(0, 10))


@pytest.mark.parametrize("rows", [(0, 104), (-1, 5), (5, 5), (103, None)])
def test_rows_that_are_not_there(stored, rows):
    with pytest.raises(DataError, match="<= 103, the table's rows"):
        HDFtable(stored, "data", 1, rows=rows)


@pytest.mark.parametrize("rows", [5, (1, 2, 3), (0.5, 3), "ab"])
def test_rows_that_are_no_range(stored, rows):
    with pytest.raises(ConfigError, match=r"expected \(start, stop\)"):
        HDFtable(stored, "data", 1, rows=rows)


@pytest.mark.parametrize(
    ("name", "value"), [("batch_size", 0), ("read_ahead", -1), ("read_ahead", 1.5), ("key", 3)]
)
def test_settings_that_are_impossible(stored, name, value):
    with pytest.raises(ConfigError, match=name):
        HDFtable(**{"filename": stored, "key": "data", "batch_size": 5, name: value})


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e300])
@pytest.mark.parametrize("read_ahead", [0, 2])
def test_a_value_that_is_not_finite_is_told_with_its_row(path, bad, read_ahead):
    data = numbers().astype(np.float64)
    data[90, 4] = bad
    write(path, data, "dataset")
    table = HDFtable(path, "data", 10, rows=(15, None), read_ahead=read_ahead)
    for _ in range(2):
        for _ in range(6):  # the two chunks before
            table.get()
        with pytest.raises(DataError, match="row 90, column 4"):
            table.get()
    with pytest.raises(DataError, match="row 90, column 4"):
        HDFtable(path, "data", 10, rows=(85, None))


def test_a_value_that_the_transform_cannot_take_is_told_with_its_row(stored):
    grey = pre.Transformation(pre.binarize_color)
    with pytest.raises(DataError, match=r"binarize_color got the value .* in row 42"):
        list(HDFtable(stored, "data", 10, grey).iterate())
    with pytest.raises(ConfigError, match="Transformation"):
        HDFtable(stored, "data", 10, pre.binarize_color)


def test_values_are_checked_anew_for_another_transform(stored):
    table = HDFtable(stored, "data", 10)
    list(table.iterate())
    table.set_transform(pre.Transformation(pre.binarize_color))
    with pytest.raises(DataError, match="row 42"):
        list(table.iterate())


def test_a_file_that_changes_between_passes(stored):
    table = HDFtable(stored, "data", 10)
    list(table.iterate())
    with h5py.File(stored, "a") as file:
        del file["data"]
    with pytest.raises(StorageError, match="no longer as it was"):
        table.get()
    write(stored, numbers(rows=50), "dataset")
    with pytest.raises(StorageError, match="no longer has 103 rows"):
        table.get()
    os.unlink(stored)
    with pytest.raises(StorageError, match="there is no file"):
        table.get()


def test_damage_within_a_pass_reaches_the_caller(path):
    write(path, np.random.default_rng(0).normal(size=(ROWS, COLUMNS)), "chunked")
    with h5py.File(path, "r") as file:
        chunk = file["data"].id.get_chunk_info_by_coord((77, 0))
    with open(path, "r+b") as file:
        file.seek(chunk.byte_offset)
        file.write(b"\0" * chunk.size)
    table = HDFtable(path, "data", 10)
    with pytest.raises(StorageError, match=r"rows 60 to 90 of 'data' of .* cannot be read"):
        one_pass(table)


# threads and ends


def readers():
    return [t for t in threading.enumerate() if t.name == THREAD_NAME]


def all_end():
    for thread in readers():
        thread.join(60.0)
    return not readers()


def test_closing(stored):
    table = HDFtable(stored, "data", 10, read_ahead=1)
    table.get()
    running = table.iterate()
    next(running)
    next(table.iterate())  # broken off
    assert readers()
    table.close()
    table.close()
    assert not readers()
    for call in (table.get, table.iterate, table.reset_generator, lambda: next(running)):
        with pytest.raises(StorageError, match=r"the table 'data' .* is closed"):
            call()
    with h5py.File(stored, "a"):  # nobody holds the file any more
        pass


@pytest.mark.parametrize("read_ahead", [0, 1])
def test_a_pass_that_is_broken_off_lets_go_of_the_file(stored, read_ahead):
    table = HDFtable(stored, "data", 10, read_ahead=read_ahead)
    for _ in table.iterate():
        break
    gc.collect()
    assert all_end()
    with h5py.File(stored, "a"):
        pass


def test_a_table_that_is_forgotten_lets_go_of_the_file(stored):
    table = HDFtable(stored, "data", 10, read_ahead=1)
    table.get()
    del table
    gc.collect()
    assert all_end()
    with h5py.File(stored, "a"):
        pass


@pytest.mark.backend_free
@pytest.mark.parametrize("library", PACKED)
@pytest.mark.parametrize("form", ["fixed", "table"])
def test_many_packed_pieces_of_several_types(path, library, form):
    whole, narrow = numbers(7000, 130), numbers(7000, 2) / 2
    frame = pd.DataFrame(whole.astype(int)).add_prefix("c")
    frame.insert(3, "half", narrow[:, 0])
    put(path, "data", frame, format=form, store={"complib": library, "complevel": 1})
    with closing(HDFtable(path, "data", 999, rows=(501, 6003))) as table:
        found = np.concatenate([be.to_numpy_array(rows) for rows in table.iterate()])
    np.testing.assert_array_equal(found, frame.to_numpy(np.float32)[501:6003])


@pytest.mark.backend_free
def test_packed_pieces_that_lie(path):
    write(path, numbers(), "blosc table")
    with h5py.File(path, "r+") as file:
        dataset = file["data/table"]
        mask, content = dataset.id.read_direct_chunk((0,))
        for at in (4, 12):
            forged = content[:at] + (10**9).to_bytes(4, "little") + content[at + 4 :]
            dataset.id.write_direct_chunk((0,), forged, mask)
            file.flush()
            with pytest.raises(StorageError, match="packed by blosc is damaged"):
                HDFtable(path, "data", 10)


@pytest.mark.backend_free
def test_packed_pieces_that_would_have_modules_imported(path, tmp_path, monkeypatch):
    """Blosc2 looks for its codec 37 in a module, by a Python that starts in this folder."""
    (tmp_path / "blosc2_grok.py").write_text("open('executed', 'w').close()")
    monkeypatch.chdir(tmp_path)
    write(path, numbers(), "blosc table")
    with h5py.File(path, "r+") as file:
        dataset = file["data/table"]
        mask, stored = dataset.id.read_direct_chunk((0,))
        for kind, flags in ((5, stored[2]), (2, 0b101), (2, 6 << 5), (5, 6 << 5 | 0b101)):
            forged = bytearray(stored)
            forged[0], forged[2], forged[22] = kind, flags, 37
            dataset.id.write_direct_chunk((0,), bytes(forged), mask)
            file.flush()
            with pytest.raises(StorageError, match="is not packed by blosc: it is of kind"):
                HDFtable(path, "data", 10)
    assert not (tmp_path / "executed").exists()


@pytest.mark.backend_free
def test_other_filters_are_named(path):
    write(path, numbers(), "blosc table")
    content = path.read_bytes()
    code = (32001).to_bytes(2, "little") + b"\x08\x00"
    assert content.count(code) >= 1
    path.write_bytes(content.replace(code, (32015).to_bytes(2, "little") + b"\x08\x00"))
    with pytest.raises(StorageError, match=r"filters \[32015\] of HDF5, .* zlib, blosc or bzip2"):
        HDFtable(path, "data", 10)


def test_many_passes_at_once(stored):
    table = HDFtable(stored, "data", 10)
    passes = [table.iterate() for _ in range(4)]
    for rows in zip(*passes, strict=True):
        for other in rows[1:]:
            np.testing.assert_array_equal(be.to_numpy_array(rows[0]), be.to_numpy_array(other))
    assert all_end()


def test_files_are_written_by_pytables_and_h5py_while_one_is_read(path, tmp_path):
    """The reader shares a lock with the writers: the rows stay right, and so does what is saved."""
    write(path, numbers(), "chunked")
    model = BoltzmannMachine([BernoulliLayer(COLUMNS), BernoulliLayer(3)])
    table = HDFtable(path, "data", 1)
    with pd.HDFStore(tmp_path / "store.h5", "w") as store:
        for n, rows in enumerate(table.iterate()):
            np.testing.assert_array_equal(be.to_numpy_array(rows), numbers()[n : n + 1])
            if n % 5 == 0:
                model.save(store)
                BoltzmannMachine.from_saved(store)
            if n % 5 == 2:
                model.save(tmp_path / "model.h5")
                BoltzmannMachine.from_saved(tmp_path / "model.h5")
            if n % 25 == 4:
                store.put("frame", pd.DataFrame(numbers()), track_times=False)
    assert n == ROWS - 1


def test_training_is_that_from_memory(path, tmp_path):
    rng = np.random.default_rng(1)
    data = (rng.random((400, COLUMNS)) < 0.3).astype(np.uint8)
    write(path, data, "table", "train/images")
    found = []
    for source in ("file", "memory"):
        be.set_seed(3)
        with batch_from(source, path, data) as batch:
            model = BoltzmannMachine([BernoulliLayer(COLUMNS), BernoulliLayer(4)])
            model.initialize(batch, method="pca")
            trainer = fit.SGD(model, batch)
            trainer.monitor.save_every(tmp_path / f"{source}.h5", 1)
            trainer.train(optimizers.ADAM(stepsize=0.01), 2, verbose=False)
        found.append((model.get_values(), trainer.monitor.memory))
    np.testing.assert_equal(found[0], found[1])
    assert all_end()


def batch_from(source, path, data):
    if source == "memory":
        return Batch(
            {"train": InMemoryTable(data[:300], 50), "validate": InMemoryTable(data[300:], 50)}
        )
    return Batch(
        {
            "train": HDFtable(path, "train/images", 50, rows=(0, 300)),
            "validate": HDFtable(path, "train/images", 50, rows=(300, None)),
        }
    )


def test_the_reader_opens_its_file_as_the_only_user_of_hdf5(tmp_path, monkeypatch):
    path = tmp_path / "data.h5"
    with h5py.File(path, "w") as file:
        file["x"] = numbers()
    table = HDFtable(path, "x", 10)
    plain, free = layout_module.open_source, []

    def ask():
        free.append(hdf5_lock().acquire(blocking=False))
        if free[-1]:
            hdf5_lock().release()

    def open_source(source):
        asking = threading.Thread(target=ask)
        asking.start()
        asking.join()
        return plain(source)

    monkeypatch.setattr(layout_module, "open_source", open_source)
    assert len(list(table.iterate())) == 11
    assert free == [False]
