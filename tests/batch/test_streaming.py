"""Tables on a GPU: kept there where they fit, else copied in chunks ahead of their use."""

import numpy as np
import pytest
from purity import purely

from paysage import backends as be
from paysage.batch import HDFtable, InMemoryTable, in_memory_batch
from paysage.batch import table as table_module
from paysage.preprocess import (
    Transformation,
    binarize_color,
    l1_normalize,
    l2_normalize,
    scale,
)

pytestmark = pytest.mark.backend_free

ROWS = 103


class Copier:
    """In the place of the one for the GPU: counts the copies."""

    copies = 0

    def begin(self, array):
        assert not be.is_tensor(array)
        Copier.copies += 1
        return be.float_tensor(array)

    def end(self, tensor):
        return tensor


@pytest.fixture
def small_gpu(gpu_path, monkeypatch):
    """A GPU that has no room for the data."""
    from paysage.backends.pytorch_backend import transfer

    monkeypatch.setattr(transfer, "free_memory", lambda: 2 * 10 * 4)
    monkeypatch.setattr(transfer, "Copier", Copier)
    monkeypatch.setattr(Copier, "copies", 0)
    monkeypatch.setattr(table_module, "CHUNK_BYTES", 3 * 10 * 4 * 4)  # of three minibatches


@pytest.fixture
def large_gpu(small_gpu, monkeypatch):
    from paysage.backends.pytorch_backend import transfer

    monkeypatch.setattr(transfer, "free_memory", lambda: 2**30)


@pytest.fixture
def data():
    return np.arange(ROWS * 4, dtype=np.float32).reshape(ROWS, 4)


@pytest.fixture
def path(data, tmp_path):
    import h5py

    with h5py.File(tmp_path / "data.h5", "w") as file:
        file["data"] = data
    return tmp_path / "data.h5"


HALF = Transformation(scale, kwargs={"denominator": 2})


def passes(table, number=2):
    for _ in range(number):
        got = [be.to_numpy_array(rows) for rows in table.iterate()]
        assert [len(rows) for rows in got] == [10] * 10 + [3]
        yield np.concatenate(got)


def test_data_in_memory_that_do_not_fit_are_streamed(small_gpu, data):
    table = InMemoryTable(data, 10, HALF)
    assert not be.is_tensor(table.tensor)
    for got in passes(table):
        np.testing.assert_array_equal(got, data / 2)
    assert Copier.copies == 2 * 4, "in chunks of three minibatches"
    first = table.get()
    assert be.is_tensor(first)
    np.testing.assert_array_equal(be.to_numpy_array(first), data[:10] / 2)


def test_data_in_memory_that_fit_are_copied_once(large_gpu, data):
    batch = in_memory_batch(data, 10, 0.5, HALF, shuffle=False)
    assert be.is_tensor(batch.tables["train"].tensor)
    got = np.concatenate([be.to_numpy_array(rows) for rows in batch.iterate("train")])
    np.testing.assert_array_equal(got, data[:52] / 2)
    assert Copier.copies == 0


def test_a_file_that_does_not_fit_is_read_in_every_pass(small_gpu, path, data):
    for got in passes(HDFtable(path, "data", 10, HALF)):
        np.testing.assert_array_equal(got, data / 2)
    assert Copier.copies == 2 * 4


def test_a_file_that_fits_is_read_once(large_gpu, path, data):
    table = HDFtable(path, "data", 10, HALF)
    assert len(next(table.iterate())) == 10
    for got in passes(table, 3):
        np.testing.assert_array_equal(got, data / 2)
    assert Copier.copies == 4
    table.set_transform(Transformation(scale, kwargs={"denominator": 4}))
    for got in passes(table, 1):
        np.testing.assert_array_equal(got, data / 4)
    table.close()


@pytest.mark.parametrize(
    "transform",
    [HALF, *map(Transformation, (binarize_color, l1_normalize, l2_normalize))],
    ids=lambda transform: transform.name,
)
def test_minibatches_of_a_table_that_fits_wait_for_nothing(large_gpu, data, transform):
    table = InMemoryTable(data % 256, 10, transform)
    assert len(purely(lambda: list(table.iterate()))) == 11


@pytest.mark.gpu
def test_gpu_streams_what_does_not_fit(on_gpu, path, data, monkeypatch):
    from paysage.backends.pytorch_backend import transfer

    for free in (80, 2**30):
        monkeypatch.setattr(transfer, "free_memory", lambda free=free: free)
        for table in (InMemoryTable(data, 10, HALF), HDFtable(path, "data", 10, HALF)):
            for got in passes(table):
                np.testing.assert_array_equal(got, data / 2)
