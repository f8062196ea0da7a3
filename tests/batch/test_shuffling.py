"""Shuffled passes: every row once, in an order that the seed determines."""

from contextlib import closing

import h5py
import numpy as np
import pytest
from test_streaming import large_gpu, small_gpu  # noqa: F401

from paysage import backends as be
from paysage import fit, optimizers
from paysage.batch import Batch, HDFtable, InMemoryTable, hdf, in_memory_batch
from paysage.batch import table as table_module
from paysage.batch.order import shuffle_blocks
from paysage.errors import ConfigError, DataError
from paysage.layers import BernoulliLayer
from paysage.models import BoltzmannMachine
from paysage.preprocess import Transformation, binarize_color, scale

ROWS = 203


def numbers(rows=ROWS):
    """Rows that are known by their number."""
    return np.arange(2 * rows, dtype=np.float32).reshape(rows, 2)


def order_of(minibatches):
    """Numbers of the rows in some minibatches, after a look at the whole rows."""
    rows = np.concatenate([be.to_numpy_array(one) for one in minibatches])
    np.testing.assert_array_equal(rows[:, 1], rows[:, 0] + 1)
    return (rows[:, 0] / 2).astype(int).tolist()


def one_pass(source, *mode):
    """The minibatches that `get` returns until the end of a pass."""
    found = []
    while True:
        try:
            found.append(source.get(*mode))
        except StopIteration:
            return found


@pytest.fixture
def small_blocks(monkeypatch):
    """Blocks of 5 rows, pools of 8 blocks, chunks of at most 30 rows."""
    monkeypatch.setattr(hdf, "BLOCK_BYTES", 5 * 2 * 4)
    monkeypatch.setattr(hdf, "POOL_BLOCKS", 8)
    monkeypatch.setattr(table_module, "CHUNK_BYTES", 30 * 2 * 4)


@pytest.fixture(params=["memory", "file", "file in pools", "pieces"])
def make_table(request, tmp_path):
    """A function that makes a table of the numbers."""
    if request.param in ("file in pools", "pieces"):
        request.getfixturevalue("small_blocks")
    with h5py.File(tmp_path / "data.h5", "w") as file:
        pieces = {"chunks": (7, 1), "compression": "gzip"} if request.param == "pieces" else {}
        file.create_dataset("x", data=numbers(), **pieces)

    def make(batch_size=10, transform=None, **options):
        if request.param == "memory":
            return InMemoryTable(numbers(), batch_size, transform, **options)
        return HDFtable(tmp_path / "data.h5", "x", batch_size, transform, **options)

    return make


@pytest.mark.parametrize("batch_size", [1, 10, 29, 100, ROWS])
def test_every_row_is_returned_once_and_orders_differ(make_table, batch_size):
    be.set_seed(1)
    table = make_table(batch_size, shuffle=True)
    passes = [list(table.iterate()) for _ in range(2)] + [one_pass(table) for _ in range(2)]
    lengths = [batch_size] * (ROWS // batch_size) + [ROWS % batch_size] * (ROWS % batch_size > 0)
    for minibatches in passes:
        assert [len(one) for one in minibatches] == lengths
    orders = [order_of(minibatches) for minibatches in passes]
    assert all(sorted(order) == list(range(ROWS)) for order in orders)
    assert len({tuple(order) for order in [*orders, list(range(ROWS))]}) == 5
    assert all(be.is_tensor(one) and be.dtype(one) == be.Float for one in passes[0])


def test_a_seed_determines_the_order(make_table):
    table = make_table(shuffle=True)
    orders = [order_of(table.iterate(seed=seed)) for seed in (1, 2, (1, 1), (1, 2))]
    assert len(set(map(tuple, orders))) == 4
    assert order_of(table.iterate(seed=(1, 1))) == orders[2]
    assert order_of(make_table().iterate(shuffle=True, seed=(1, 1))) == orders[2]
    assert order_of(make_table().iterate(seed=(1, 1))) == list(range(ROWS))
    assert order_of(table.iterate(shuffle=False)) == list(range(ROWS))


def test_the_seed_of_the_backend_determines_orders(make_table):
    found = []
    for seed in (1, 1, 2):
        table = make_table(shuffle=True)
        be.set_seed(seed)
        found.append([order_of(one_pass(table)), order_of(table.iterate())])
    assert found[0] == found[1] and found[0][0] != found[2][0]
    before = be.get_random_state()
    order_of(table.iterate(seed=3)), order_of(table.iterate(shuffle=False))
    assert be.get_random_state() == before, "neither draws"


def test_get_and_iterate_do_not_disturb_each_other(make_table):
    be.set_seed(1)
    table = make_table(shuffle=True)
    first = [table.get() for _ in range(5)]
    order_of(table.iterate())
    rest = one_pass(table)
    assert sorted(order_of([*first, *rest])) == list(range(ROWS))
    table.get()
    table.reset_generator()
    assert sorted(order_of(one_pass(table))) == list(range(ROWS))


def test_minibatches_stay_valid(make_table):
    table = make_table(shuffle=True)
    kept, copies = [], []
    for rows in table.iterate(seed=1):
        kept.append(rows)
        copies.append(be.to_numpy_array(rows).copy())
    for rows, copy in zip(kept, copies, strict=True):
        np.testing.assert_array_equal(be.to_numpy_array(rows), copy)


def test_the_transform_is_applied_to_shuffled_rows(make_table):
    half = make_table(10, Transformation(scale, [0.5]))
    rows = np.concatenate([be.to_numpy_array(v) for v in half.iterate(shuffle=True, seed=1)])
    whole = np.concatenate([be.to_numpy_array(v) for v in make_table().iterate(True, 1)])
    np.testing.assert_array_equal(rows, 2 * whole)


@pytest.mark.parametrize("read_ahead", [0, 2])
def test_part_of_a_file_is_shuffled(tmp_path, small_blocks, read_ahead):
    with h5py.File(tmp_path / "data.h5", "w") as file:
        file["x"] = numbers()
    table = HDFtable(tmp_path / "data.h5", "x", 10, rows=(13, 150), read_ahead=read_ahead)
    assert sorted(order_of(table.iterate(True, 1))) == list(range(13, 150))


def test_rows_of_a_large_file_are_mixed_across_it(tmp_path, monkeypatch):
    """Ten pools of 64 blocks of 5 rows: each pool is a fair sample of the file."""
    monkeypatch.setattr(hdf, "BLOCK_BYTES", 5 * 2 * 4)
    with h5py.File(tmp_path / "data.h5", "w") as file:
        file["x"] = numbers(3200)
    order = np.array(order_of(HDFtable(tmp_path / "data.h5", "x", 10).iterate(True, 1)))
    for pool in order.reshape(10, 320):
        shares = np.bincount(pool // 800, minlength=4) / 320
        assert np.abs(shares - 0.25).max() < 0.2  # four standard deviations of 64 blocks
    assert np.mean(np.abs(np.diff(order)) == 1) < 0.02
    middle = np.sort(order[20:40])
    assert np.mean(np.diff(middle) == 1) < 0.5, "minibatches are not blocks"


@pytest.mark.backend_free
def test_a_pool_holds_no_more_rows_than_its_capacity():
    held, most = 0, 0

    def blocks():
        nonlocal held, most
        for start in range(0, 100, 7):
            rows = np.arange(start, min(start + 7, 100))
            held += len(rows)
            most = max(most, held)
            yield rows

    seen = []
    for chunk in shuffle_blocks(blocks(), 30, 10, 5, np.random.default_rng(0)):
        held -= len(chunk)
        seen.append(chunk)
    assert most <= 30 + 7, "one block more is waiting"
    assert all(len(chunk) % 5 == 0 and len(chunk) <= 10 for chunk in seen[:-1])
    assert sorted(np.concatenate(seen)) == list(range(100))


def test_bad_values_of_a_shuffled_file_are_reported_with_their_row(tmp_path, small_blocks):
    data = numbers()
    data[150, 1] = np.nan
    with h5py.File(tmp_path / "data.h5", "w") as file:
        file["x"] = data
    with closing(HDFtable(tmp_path / "data.h5", "x", 10, rows=(5, None))) as table:
        with pytest.raises(DataError, match="row 150, column 1"):
            list(table.iterate(shuffle=True, seed=1))
        table.set_transform(Transformation(binarize_color))
        with pytest.raises(DataError, match="row 128"):  # 256 is not a grey value
            list(table.iterate(shuffle=True, seed=1))


@pytest.mark.parametrize("seed", [-1, "a", 0.5, (1, -1)])
def test_impossible_seeds_are_refused(make_table, seed):
    with pytest.raises(ConfigError, match="seed is"):
        make_table(shuffle=True).iterate(seed=seed)


@pytest.mark.parametrize("kind", [InMemoryTable, in_memory_batch])
def test_shuffle_is_true_or_false(kind):
    with pytest.raises(ConfigError, match="shuffle must be True or False, got 'yes'"):
        kind(numbers(), 10, shuffle="yes")


# on a GPU, the order must not depend on where the rows are


@pytest.mark.backend_free
def test_the_order_does_not_depend_on_the_memory_of_the_gpu(small_gpu, tmp_path, request):  # noqa: F811
    with h5py.File(tmp_path / "data.h5", "w") as file:
        file["x"] = numbers()
    orders = []
    for _ in range(2):
        for make in (
            lambda: InMemoryTable(numbers(), 10),
            lambda: HDFtable(tmp_path / "data.h5", "x", 10),
        ):
            table = make()
            orders.append([order_of(table.iterate(True, seed)) for seed in (1, 1, 2)])
        request.getfixturevalue("large_gpu")
    assert orders[0] == orders[2] and orders[1] == orders[3]
    for first, again, other in orders:
        assert first == again != other
        assert sorted(first) == sorted(other) == list(range(ROWS))


# batches


def test_a_batch_shuffles_its_training_rows(make_table):
    batch = Batch({"train": make_table(), "validate": make_table()})
    assert batch.is_shuffled("train") and not batch.is_shuffled("validate")
    order = order_of(one_pass(batch, "train"))
    assert order != sorted(order) == list(range(ROWS))
    assert order_of(one_pass(batch, "train")) != order
    assert order_of(batch.iterate("train")) != list(range(ROWS))
    assert order_of(batch.iterate("train", seed=(1, 2))) == order_of(
        make_table().iterate(True, (1, 2))
    )
    assert order_of(batch.iterate("train", shuffle=False)) == list(range(ROWS))
    assert order_of(batch.iterate("validate")) == list(range(ROWS))
    assert order_of(one_pass(batch, "validate")) == list(range(ROWS))


def test_a_batch_without_shuffle_keeps_the_order_of_its_tables(make_table):
    batch = Batch({"train": make_table(), "validate": make_table(shuffle=True)}, shuffle=False)
    assert order_of(batch.iterate("train", seed=1)) == list(range(ROWS))
    assert order_of(one_pass(batch)) == list(range(ROWS))
    assert order_of(batch.iterate("validate", seed=1)) != list(range(ROWS))


@pytest.mark.parametrize("shuffle", [True, False])
def test_an_in_memory_batch_shuffles_training_rows_only(shuffle):
    batch = in_memory_batch(numbers(), 10, shuffle=shuffle)
    train = order_of(batch.iterate("train"))
    assert sorted(train) == list(range(183)) and (train != sorted(train)) == shuffle
    assert order_of(batch.iterate("validate")) == list(range(183, ROWS))


class Plain:
    """A table that knows nothing of shuffling."""

    nrows, ncols, batch_size, output_batch_size = 20, 2, 10, 10

    def __init__(self):
        self.table = InMemoryTable(np.tile([[0.0, 1.0], [1.0, 1.0]], (10, 1)), 10)

    def get(self):
        return self.table.get()

    def iterate(self):
        return self.table.iterate()

    def reset_generator(self):
        self.table.reset_generator()

    def get_transform(self):
        return self.table.get_transform()

    def set_transform(self, transform):
        self.table.set_transform(transform)


def test_tables_that_cannot_shuffle_keep_their_order_and_train():
    batch = Batch({"train": Plain(), "validate": Plain()})
    assert not batch.is_shuffled("train")
    rows = [np.concatenate(list(map(be.to_numpy_array, batch.iterate("train", seed=1))))]
    rows.append(np.concatenate(list(map(be.to_numpy_array, one_pass(batch)))))
    for found in rows:
        np.testing.assert_array_equal(found[:, 0], np.tile([0.0, 1.0], 10))
    model = BoltzmannMachine([BernoulliLayer(2), BernoulliLayer(2)])
    model.initialize(batch)
    trainer = fit.SGD(model, batch)
    trainer.monitor.generator_metrics = []
    trainer.train(optimizers.Gradient(0.1), 1, verbose=False)
