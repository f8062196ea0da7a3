"""Data on their way to the GPU: what stays with the host, and what is copied when."""

import numpy as np
import pytest
from cuda_double import cuda  # noqa: F401

from paysage import backends as be


def chunks(number=5, rows=3):
    return [np.full((rows, 2), k, np.float32) for k in range(number)]


def test_on_the_cpu_there_is_no_other_memory():
    assert not be.fits_device(1)
    data = np.ones((3, 2), np.float32)
    tensor = be.resident_tensor(data)
    assert be.is_tensor(tensor) and tensor.shape == (3, 2)
    got = list(be.uploads(iter(chunks())))
    assert all(map(be.is_tensor, got))
    np.testing.assert_array_equal([be.to_numpy_array(x) for x in got], chunks())


@pytest.mark.backend_free
def test_half_of_the_free_memory_may_be_taken(gpu_path, monkeypatch):
    from paysage.backends.pytorch_backend import transfer

    data = np.ones((4, 5))
    for free, fits in ((160, True), (159, False)):
        monkeypatch.setattr(transfer, "free_memory", lambda free=free: free)
        assert be.fits_device(80) is fits
        kept = be.resident_tensor(data)
        assert be.is_tensor(kept) is fits
        np.testing.assert_array_equal(be.to_numpy_array(kept), data)
        assert be.resident_tensor(be.ones((9, 9))).shape == (9, 9), "it is there already"
    assert kept.dtype == np.float32 and kept.flags["C_CONTIGUOUS"]


@pytest.mark.backend_free
def test_each_copy_begins_before_the_tensor_before_is_used():
    pytest.importorskip("torch")
    from paysage.backends.pytorch_backend.transfer import _one_ahead

    told = []

    class Told:
        def begin(self, array):
            told.append(f"begin {array}")
            return array

        def end(self, array):
            told.append(f"end {array}")
            return array

    for k in _one_ahead(iter(range(3)), Told()):
        told.append(f"use {k}")
    wanted = ["begin 0", "begin 1", "end 0", "use 0", "begin 2", "end 1", "use 1", "end 2", "use 2"]
    assert told == wanted
    assert list(_one_ahead(iter([]), Told())) == []


@pytest.mark.backend_free
def test_copies_go_by_a_stream_of_their_own(cuda):  # noqa: F811
    for chunk in be.uploads(iter([*chunks(4), np.zeros((1, 2), np.float32)])):
        cuda.tell("use", float(chunk[0, 0]))
    text = " | ".join(cuda.told)
    start = "copy 0 | copy 1 | usual waits for copy 0 | used by usual | use 0.0 | host waits for 0"
    assert text.startswith(f"{start} | copy 2 | usual waits for copy 1 | used by usual | use 1.0")
    assert text.endswith("use 3.0 | usual waits for copy 4 | used by usual | use 0.0")
    assert "host waits for use" in text, "Python is not more than a few chunks ahead of the GPU"
    assert cuda.stream_in_use == "usual"


@pytest.mark.gpu
@pytest.mark.backend_free
def test_gpu_gets_every_chunk(on_gpu):
    """Large ones, of which many are under way, and the last one smaller."""
    arrays = [np.full((rows, 1000), k, np.float32) for k, rows in enumerate([2000] * 20 + [3])]
    slow = be.ones((2000, 2000))
    sums = []
    for chunk in be.uploads(iter(arrays)):
        for _ in range(20):  # the GPU is behind
            slow = be.dot(slow, slow) * 1e-4
        sums.append(be.tsum(chunk * 1.0))
    assert [float(x) for x in sums] == [float(x.sum()) for x in arrays]
