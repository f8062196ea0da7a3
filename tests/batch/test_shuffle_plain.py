"""Shuffling of datasets that pandas did not write, alone and beside frames."""

import os
import signal

import h5py
import numpy as np
import pandas as pd
import pytest
import tables

from paysage import storage
from paysage.batch import DataShuffler, HDFtable
from paysage.batch import shuffle as shuffle_module
from paysage.batch import shuffled as shuffled_module
from paysage.batch.shuffled import Tables
from paysage.errors import StorageError

pytestmark = pytest.mark.backend_free

ROWS = 500
# 500 rows of 64 bytes and more, five copies: 160 kB, so eight buckets and more
FEW_BYTES = 20000 / 2**30


def images():
    """Rows whose first column is their number."""
    data = np.random.default_rng(1).normal(size=(ROWS, 10)).astype(np.float32)
    data[:, 0] = np.arange(ROWS)
    return data


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "data.h5"
    with h5py.File(path, "w") as file:
        file.attrs["title"] = np.bytes_("all")
        file.create_dataset("train/images", data=images())
        file["train/images"].attrs["unit"] = np.bytes_("mV")
        file["train/images"].attrs["note"] = "of variable length"
        file["train"].attrs["year"] = 2020
        file.create_dataset("train/labels", data=np.arange(ROWS, dtype=np.int16), chunks=(64,))
        file.create_dataset("train/cubes", data=np.arange(ROWS * 8).reshape(ROWS, 2, 4))
        file.create_dataset("test/images", data=images()[:20], compression="gzip")
        file["train/words"] = np.array([f"w{n}" for n in range(ROWS)], dtype="S4")
        file["scale"] = 255.0
        file["none"] = np.zeros((0, 3))
    return path


def shuffled(source, name="shuffled.h5", **options):
    path = source.with_name(name)
    DataShuffler(source, path, **options).shuffle()
    return path


def read(path):
    found = {}

    def keep(name, node):
        if isinstance(node, h5py.Dataset):
            found[name] = node[()]

    with h5py.File(path, "r") as file:
        file.visititems(keep)
    return found


@pytest.mark.parametrize("allowed_mem", [1, FEW_BYTES])
@pytest.mark.parametrize("complevel", [0, 5])
def test_rows_of_one_length_move_together(source, allowed_mem, complevel):
    before, after = (
        read(source),
        read(shuffled(source, allowed_mem=allowed_mem, complevel=complevel)),
    )
    order = after["train/labels"].astype(int)
    assert sorted(order) == list(range(ROWS))
    assert not np.array_equal(order, np.arange(ROWS))
    for name, data in before.items():
        expected = data
        if name.startswith("train"):
            expected = data[order]
        elif name == "test/images":
            expected = data[after[name][:, 0].astype(int)]
        np.testing.assert_array_equal(after[name], expected)
        assert after[name].dtype == data.dtype
    assert sorted(after["test/images"][:, 0]) == list(range(20))
    assert after.keys() == before.keys()


def test_small_memory_goes_through_buckets_on_disk(source, monkeypatch):
    dealt = []
    deal = DataShuffler._deal
    monkeypatch.setattr(
        DataShuffler, "_deal", lambda self, *args: dealt.append(args[1]) or deal(self, *args)
    )
    shuffled(source, allowed_mem=FEW_BYTES)
    assert sorted(dealt) == ["train/cubes", "train/images", "train/labels", "train/words"]
    assert sorted(os.listdir(source.parent)) == ["data.h5", "shuffled.h5"]


@pytest.mark.parametrize("allowed_mem", [1, FEW_BYTES])
def test_the_seed_decides(source, allowed_mem):
    first = read(shuffled(source, "a.h5", allowed_mem=allowed_mem))
    again = read(shuffled(source, "b.h5", allowed_mem=allowed_mem))
    other = read(shuffled(source, "c.h5", allowed_mem=allowed_mem, seed=138))
    for name in first:
        np.testing.assert_array_equal(first[name], again[name])
    assert not np.array_equal(first["train/labels"], other["train/labels"])


def test_attributes_and_layout_are_kept(source):
    with h5py.File(shuffled(source, complevel=0), "r") as file:
        assert file.attrs["title"] == b"all"
        assert file["train"].attrs["year"] == 2020
        assert file["train/images"].attrs["unit"] == b"mV"
        assert "note" not in file["train/images"].attrs
        assert file["train/images"].chunks is None
        assert file["train/images"].compression is None
    with h5py.File(shuffled(source, complevel=3), "r") as file:
        assert file["train/images"].compression_opts == 3
        assert file["train/images"].chunks[1:] == (10,)


@pytest.mark.parametrize("allowed_mem", [1, FEW_BYTES])
def test_frames_and_datasets_of_one_length_move_together(source, allowed_mem):
    with pd.HDFStore(source, "a") as store:
        store.put("frame", pd.DataFrame(images()), track_times=False)
    path = shuffled(source, allowed_mem=allowed_mem)
    frame = pd.read_hdf(path, "frame")
    order = read(path)["train/labels"]
    np.testing.assert_array_equal(frame.index, order)
    np.testing.assert_array_equal(frame.to_numpy(), read(path)["train/images"])


@pytest.mark.parametrize("allowed_mem", [1, FEW_BYTES])
@pytest.mark.filterwarnings("ignore::tables.NaturalNameWarning")
def test_frames_to_be_combined_stay_in_step(source, allowed_mem):
    data = images()
    with pd.HDFStore(source, "a") as store:
        store.put("wide/0", pd.DataFrame(data[:, :3]), track_times=False)
        store.put("wide/2", pd.DataFrame(data[:, 3:7]), format="table", track_times=False)
    with h5py.File(source, "a") as file:
        file["wide/10"] = data[:, 7:]
    path = shuffled(source, allowed_mem=allowed_mem)
    order = read(path)["train/labels"].astype(int)
    table = HDFtable(path, "wide", ROWS, combine_frames=True, read_ahead=0)
    np.testing.assert_array_equal(np.asarray(table.get()), data[order])


def test_what_pytables_wrote_can_be_read_by_it(tmp_path):
    path = tmp_path / "data.h5"
    with tables.open_file(str(path), "w") as file:
        file.create_array("/", "plain", np.arange(ROWS))
        file.create_table("/", "rows", np.array([(1, 2.0)] * ROWS, dtype="i4,f8"))
        file.create_earray("/", "longer", obj=images())
    after = shuffled(path)
    with tables.open_file(str(after), "r") as file:
        order = file.root.plain[:]
        assert sorted(order) == list(range(ROWS))
        np.testing.assert_array_equal(file.root.longer[:], images()[order])
        assert len(file.root.rows[:]) == ROWS


def test_models_in_the_file_are_left_out(source):
    storage.write_tree(source.with_name("model.h5"), {"W": np.ones((ROWS, 2))})
    with h5py.File(source.with_name("model.h5")) as model, h5py.File(source, "a") as file:
        model.copy("paysage", file)
    with h5py.File(shuffled(source), "r") as file:
        assert "paysage" not in file


@pytest.mark.parametrize("allowed_mem", [1, FEW_BYTES])
@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError("disk full")])
def test_a_failure_leaves_nothing_behind(source, monkeypatch, allowed_mem, error):
    def fail(*_, **options):
        raise error

    monkeypatch.setattr(Tables, "write", fail)
    with pytest.raises((KeyboardInterrupt, StorageError)):
        shuffled(source, allowed_mem=allowed_mem)
    assert os.listdir(source.parent) == ["data.h5"]


@pytest.mark.skipif(os.name == "nt", reason="Windows cannot limit the size of files")
@pytest.mark.parametrize("allowed_mem", [1, FEW_BYTES])
@pytest.mark.parametrize("complevel", [0, 5])
@pytest.mark.parametrize("limit", [600, 3000, 9000, 20000])
def test_a_full_disk_is_told(source, allowed_mem, complevel, limit):
    """HDF5 itself would end the process."""
    import resource

    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limits[1]))
    try:
        with pytest.raises(StorageError, match=r"cannot write .*shuffled\.h5"):
            shuffled(source, allowed_mem=allowed_mem, complevel=complevel)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert os.listdir(source.parent) == [source.name]


def test_damaged_data_are_told(source):
    with h5py.File(source, "r") as file:
        chunk = file["test/images"].id.get_chunk_info(0)
    with open(source, "r+b") as file:
        file.seek(chunk.byte_offset)
        file.write(b"\0" * chunk.size)
    with pytest.raises(StorageError, match="'test/images' cannot be read"):
        shuffled(source)
    assert os.listdir(source.parent) == [source.name]


def test_dealing_is_what_it_is_for_frames():
    """The plan decides the draws, not the make of the table."""
    plan = shuffle_module._Plan(["x"], 40, 1, 7)
    shuffler = DataShuffler("in", "out")
    np.testing.assert_array_equal(
        shuffler._permuted(np.arange(40), plan, 0),
        shuffler._permuted(pd.Series(range(40)), plan, 0),
    )


@pytest.mark.parametrize("allowed_mem", [1, FEW_BYTES])
def test_an_interrupt_while_a_piece_is_written_is_not_swallowed(source, monkeypatch, allowed_mem):
    plain = shuffled_module._File.write

    def write(self, data):
        signal.raise_signal(signal.SIGINT)
        return plain(self, data)

    monkeypatch.setattr(shuffled_module._File, "write", write)
    with pytest.raises(KeyboardInterrupt):
        DataShuffler(source, source.with_name("out.h5"), allowed_mem=allowed_mem).shuffle()
    assert [path.name for path in source.parent.iterdir()] == [source.name]
    assert signal.getsignal(signal.SIGINT) == signal.default_int_handler
