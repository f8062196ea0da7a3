"""Data on their way to the GPU: kept there where they fit, else copied while others are used."""

# ruff: noqa: D103 - the contract documents these functions

from collections import deque

import numpy as np
import torch

from paysage.backends.conversion import in_single, plain_array
from paysage.backends.pytorch_backend import device
from paysage.backends.pytorch_backend.tensor import Float, Tensor, float_tensor

#: part of the free memory of the GPU that a table may take
RESIDENT = 0.5

#: tensors whose work may be queued on the GPU: more would fill its memory
QUEUED = 2


def fits_device(num_bytes):
    return device.gpu_chosen() and num_bytes <= RESIDENT * free_memory()


def free_memory():
    """Bytes of the GPU that nobody uses."""
    return torch.cuda.mem_get_info()[0]


def pinned_memory(size):
    """Memory of the host for so many floats, from where the GPU copies by itself."""
    return torch.empty(size, dtype=Float, pin_memory=True)


def resident_tensor(x):
    there = isinstance(x, list | tuple) or (isinstance(x, Tensor) and device.on_gpu(x))
    if there or not device.gpu_chosen():  # a list is short, and may hold tensors
        return float_tensor(x)
    array = plain_array(x)
    if fits_device(array.size * np.dtype(np.float32).itemsize):
        return float_tensor(array)
    return in_single(array, copy=False)


def uploads(arrays):
    return _one_ahead(arrays, Copier()) if device.gpu_chosen() else map(float_tensor, arrays)


def _one_ahead(arrays, copier):
    """Begin to copy each array before the tensor of the one before is given out."""
    under_way = None
    for array in arrays:
        following = copier.begin(array)
        if under_way is not None:
            yield copier.end(under_way)
        under_way = following
    if under_way is not None:
        yield copier.end(under_way)


class Copier:
    """Copies arrays to the GPU by a stream of its own, through two pieces of pinned memory."""

    def __init__(self):
        self._stream = torch.cuda.Stream()
        self._pinned = deque((torch.empty(0), torch.cuda.Event()) for _ in range(2))
        self._given: deque = deque()

    def begin(self, array):
        """Queue a copy; gives the tensor, and the event after which it can be used."""
        memory, copied = self._pinned.popleft()
        copied.synchronize()  # of the array before the last, long ago
        if memory.numel() < array.size:
            memory = pinned_memory(array.size)
        self._pinned.append((memory, copied))
        pinned = memory[: array.size].view(array.shape)
        pinned.numpy()[...] = array
        self._wait_for_work()
        with torch.cuda.stream(self._stream):
            tensor = pinned.to(device.current(), non_blocking=True)
            copied.record()
        return tensor, copied

    def end(self, under_way):
        """The tensor, for use by the stream in use, which waits for the copy."""
        tensor, copied = under_way
        usual = torch.cuda.current_stream()
        usual.wait_event(copied)
        tensor.record_stream(usual)
        self._given.append(usual.record_event())
        return tensor

    def _wait_for_work(self):
        """Until the GPU has come to the last few tensors; Python may be far ahead of it."""
        while len(self._given) > QUEUED:
            self._given.popleft().synchronize()
