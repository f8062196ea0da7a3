import os

import numpy as np
import pandas as pd
import pytest

from paysage.batch import DataShuffler
from paysage.batch import shuffle as shuffle_module
from paysage.batch.shuffled import Tables
from paysage.errors import ConfigError, StorageError

pytestmark = pytest.mark.backend_free

ROWS = 500
# 500 labels of 8 bytes in an index, five copies: 20 kB, so seven buckets
FEW_BYTES = 3000 / 2**30


@pytest.fixture
def source(tmp_path):
    """Images whose first two columns number the rows, labels that repeat the number."""
    path = tmp_path / "data.h5"
    images = np.random.default_rng(1).integers(0, 256, (ROWS, 6), dtype=np.uint8)
    numbers = np.arange(ROWS)
    images[:, 0], images[:, 1] = numbers // 256, numbers % 256
    with pd.HDFStore(path, "w") as store:
        put(store, "train/images", pd.DataFrame(images))
        put(store, "train/labels", pd.Series(numbers.astype(np.int16), name="label"))
        put(store, "test/images", pd.DataFrame(images[:40]), format="table")
        put(store, "test/labels", pd.Series(numbers[:40].astype(np.int16)), format="table")
    return path


def put(store, key, table, **options):
    store.put(key, table, track_times=False, **options)


def shuffled(source, name="shuffled.h5", **options):
    path = source.with_name(name)
    DataShuffler(source, path, **options).shuffle()
    return path


def row_numbers(path, part="train"):
    images = pd.read_hdf(path, f"{part}/images").values.astype(int)
    return images[:, 0] * 256 + images[:, 1]


@pytest.mark.parametrize("allowed_mem", [1, FEW_BYTES])
@pytest.mark.parametrize("complevel", [0, 5])
def test_rows_are_moved_whole_and_labels_with_them(source, allowed_mem, complevel):
    path = shuffled(source, allowed_mem=allowed_mem, complevel=complevel)
    for part, rows in (("train", ROWS), ("test", 40)):
        order = row_numbers(path, part)
        assert sorted(order) == list(range(rows))
        labels = pd.read_hdf(path, f"{part}/labels")
        np.testing.assert_array_equal(labels.values, order)
        before = pd.read_hdf(source, f"{part}/images")
        after = pd.read_hdf(path, f"{part}/images")
        # the index says where a row stood
        pd.testing.assert_frame_equal(after, before.loc[after.index])
        assert after.values.dtype == np.uint8
        assert labels.dtype == np.int16


def test_small_memory_goes_through_buckets_on_disk(source, monkeypatch):
    dealt = []
    deal = DataShuffler._deal
    monkeypatch.setattr(
        DataShuffler, "_deal", lambda self, *args: dealt.append(args[2]) or deal(self, *args)
    )
    shuffled(source, allowed_mem=FEW_BYTES)
    assert {plan.num_rows for plan in dealt} == {ROWS}  # the 40 rows fit
    assert all(plan.num_buckets >= 5 for plan in dealt)
    assert all(plan.slice_rows < ROWS / 5 for plan in dealt)
    dealt.clear()
    shuffled(source)
    assert dealt == []


@pytest.mark.parametrize("num_buckets", [1, 4])
def test_a_permutation_is_uniform(num_buckets, tmp_path):
    """Where the first row ends, over 200 seeds, is uniform on 40 places.

    Chi-square over five bins of 40 expected counts has 4 degrees of freedom; 23.5 is exceeded
    with probability 1e-4.
    """
    places = []
    for seed in range(200):
        order = order_of(seed, num_buckets, tmp_path)
        assert sorted(order) == list(range(40))
        places.append(int(np.flatnonzero(order == 0)[0]))
    counts = np.histogram(places, bins=5, range=(0, 40))[0]
    assert ((counts - 40.0) ** 2 / 40).sum() < 23.5


class OneTable:
    """As much of a pandas store as rows are dealt from."""

    rows = np.arange(40)

    def select(self, key, start, stop):
        return self.rows[start:stop]


def order_of(seed, num_buckets, folder):
    shuffler = DataShuffler("in", "out", seed=seed)
    plan = shuffle_module._Plan(["table"], 40, num_buckets, 7)
    if num_buckets == 1:
        return shuffler._permuted(OneTable.rows, plan, 0)
    shuffler._deal(OneTable(), "table", plan, folder)
    buckets = shuffle_module._buckets(folder, plan, OneTable.rows[:0])
    return np.concatenate([shuffler._permuted(rows, plan, n) for n, rows in buckets])


@pytest.mark.parametrize("allowed_mem", [1, FEW_BYTES])
def test_the_seed_decides(source, allowed_mem):
    first = shuffled(source, "a.h5", allowed_mem=allowed_mem)
    again = shuffled(source, "b.h5", allowed_mem=allowed_mem)
    other = shuffled(source, "c.h5", allowed_mem=allowed_mem, seed=138)
    for key in ("train/images", "train/labels", "test/images", "test/labels"):
        one, two = pd.read_hdf(first, key), pd.read_hdf(again, key)
        assert one.equals(two)
        assert one.index.equals(two.index)
    assert not np.array_equal(row_numbers(first), row_numbers(other))


def test_numpys_global_generator_is_left_alone(source):
    np.random.seed(5)
    expected = np.random.random()
    np.random.seed(5)
    shuffled(source)
    assert np.random.random() == expected


@pytest.mark.parametrize("allowed_mem", [1, FEW_BYTES])
@pytest.mark.parametrize("complevel", [0, 5])
def test_formats_names_and_mixed_columns_are_kept(source, complevel, allowed_mem):
    mixed = pd.DataFrame(
        {
            "number": np.arange(30),
            "size": np.linspace(0, 1, 30),
            "odd": [True, False] * 15,
            "day": pd.date_range("2020-01-01", periods=30)[::-1],
        },
        index=pd.date_range("2021-01-01", periods=30),
    )
    queried = mixed.assign(word=[f"w{i}" for i in range(30)])
    queried["kind"] = pd.Categorical(list("abc") * 10)
    with pd.HDFStore(source, "a") as store:
        put(store, "mixed", mixed)
        put(store, "queried", queried, format="table", data_columns=["number"])
        put(store, "empty", pd.DataFrame({"x": np.zeros(0)}))
    path = shuffled(source, complevel=complevel, allowed_mem=allowed_mem)
    with pd.HDFStore(path, "r") as store:
        formats = {key: store.get_storer(key).format_type for key in store}
        assert formats["/mixed"] == formats["/train/images"] == "fixed"
        assert formats["/queried"] == formats["/test/images"] == "table"
        assert store.select("queried", where="number == 7")["word"].tolist() == ["w7"]
        after, found = store.select("mixed"), store.select("queried")
        assert store.select("train/labels").name == "label"
        assert len(store.select("empty")) == 0
    assert not after.index.equals(mixed.index)
    assert after.index.freq is None
    pd.testing.assert_frame_equal(after.sort_index(), mixed, check_freq=False)
    pd.testing.assert_frame_equal(found.sort_index(), queried, check_freq=False)


def test_a_shuffled_file_replaces_an_older_one(source):
    path = source.with_name("shuffled.h5")
    path.write_text("older")
    shuffled(source)
    assert len(row_numbers(path)) == ROWS


@pytest.mark.parametrize("allowed_mem", [1, FEW_BYTES])
@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError("disk full")])
def test_a_failure_leaves_nothing_behind(source, monkeypatch, allowed_mem, error):
    older = source.with_name("shuffled.h5")
    older.write_text("older")
    monkeypatch.setattr(Tables, "write", lambda *_, **options: raise_(error))
    with pytest.raises((KeyboardInterrupt, OSError)):
        shuffled(source, allowed_mem=allowed_mem)
    assert sorted(os.listdir(source.parent)) == ["data.h5", "shuffled.h5"]
    assert older.read_text() == "older"


def raise_(error):
    raise error


def test_success_leaves_the_two_files_only(source):
    shuffled(source, allowed_mem=FEW_BYTES)
    assert sorted(os.listdir(source.parent)) == ["data.h5", "shuffled.h5"]


@pytest.mark.parametrize("kind", ["str", "series of str"])
def test_text_is_shuffled_in_the_table_format_and_refused_in_the_other(source, kind):
    """A whole column of text is one pickle in pandas' 'fixed' format."""
    words = pd.DataFrame({"word": [f"w{i % 7}{i:03d}" for i in range(ROWS)]})
    table = words if kind == "str" else words["word"]
    with pd.HDFStore(source, "a") as store:
        put(store, "words", table, format="table")
    path = shuffled(source)
    order = row_numbers(path)  # of equal length, so of equal order
    np.testing.assert_array_equal(np.asarray(pd.read_hdf(path, "words")), np.asarray(table)[order])
    with pd.HDFStore(source, "a") as store:
        put(store, "words", table)
    with pytest.raises(StorageError, match=r"'words/.*values' holds .* of variable length"):
        shuffled(source)


@pytest.mark.parametrize("format", ["fixed", "table"])
def test_labels_of_several_levels_move_with_their_rows(source, format):
    frame = pd.DataFrame({"n": np.arange(ROWS)})
    frame.index = pd.MultiIndex.from_arrays(
        [np.arange(ROWS) % 7, np.arange(ROWS)], names=["a", "b"]
    )
    with pd.HDFStore(source, "a") as store:
        put(store, "frame", frame, format=format)
    path = shuffled(source)
    order = row_numbers(path)
    pd.testing.assert_frame_equal(pd.read_hdf(path, "frame"), frame.iloc[order])


def test_missing_input(tmp_path):
    with pytest.raises(StorageError, match="is not a file"):
        DataShuffler(tmp_path / "none.h5", tmp_path / "out.h5").shuffle()


def test_input_that_is_no_store(tmp_path):
    path = tmp_path / "text.h5"
    path.write_text("not HDF5")
    with pytest.raises(StorageError, match=r"text\.h5 is not an HDF5 file"):
        DataShuffler(path, tmp_path / "out.h5").shuffle()
    assert os.listdir(tmp_path) == ["text.h5"]


def test_input_without_tables(tmp_path):
    path = tmp_path / "empty.h5"
    pd.HDFStore(path, "w").close()
    with pytest.raises(StorageError, match="holds no table"):
        DataShuffler(path, tmp_path / "out.h5").shuffle()
    assert os.listdir(tmp_path) == ["empty.h5"]


def test_output_onto_the_input(source, monkeypatch):
    monkeypatch.chdir(source.parent)
    with pytest.raises(StorageError, match="onto itself"):
        DataShuffler(source, "./data.h5").shuffle()
    assert len(row_numbers(source)) == ROWS


@pytest.mark.parametrize("folder", ["missing", "data.h5"])
def test_output_that_cannot_be_written(source, folder):
    with pytest.raises(StorageError, match="there is no folder"):
        DataShuffler(source, source.parent / folder / "out.h5").shuffle()


@pytest.mark.parametrize(
    ("option", "value"),
    [
        *[("allowed_mem", value) for value in (0, float("nan"), float("inf"), "1", None)],
        *[("complevel", value) for value in (10, 5.0, "5", None)],
        *[("seed", value) for value in (-1, 1.5, "a", None)],
    ],
)
def test_settings_out_of_range(option, value):
    with pytest.raises(ConfigError, match=option):
        DataShuffler("a.h5", "b.h5", **{option: value})


@pytest.mark.parametrize("names", [(None, "b.h5"), ("a.h5", 3)])
def test_what_is_no_path(names):
    with pytest.raises(StorageError, match="expected the path of a file"):
        DataShuffler(*names)


def test_memory_for_less_than_is_sensible_is_refused_with_what_is_needed(source):
    with pytest.raises(ConfigError, match=r"allowed_mem is 1e-12 GiB, expected at least .* rows"):
        shuffled(source, allowed_mem=1e-12)
    assert os.listdir(source.parent) == [source.name]


def test_a_folder_in_the_place_of_the_output(source):
    (source.parent / "out.h5").mkdir()
    with pytest.raises(StorageError, match="it is a folder"):
        shuffled(source, "out.h5")


@pytest.mark.skipif(os.name == "nt", reason="Windows cannot limit the size of files")
@pytest.mark.parametrize("allowed_mem", [1, FEW_BYTES])
@pytest.mark.parametrize("complevel", [0, 5])
@pytest.mark.parametrize("limit", [600, 3000, 6000, 9000])
def test_a_full_disk_is_told(source, allowed_mem, complevel, limit):
    """A limit on the size of files stands in for the disk; PyTables does not tell of it."""
    import resource

    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limits[1]))
    try:
        with pytest.raises(StorageError):
            shuffled(source, allowed_mem=allowed_mem, complevel=complevel)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert os.listdir(source.parent) == [source.name]
