"""What a CUDA graph does, on the CPU: it records operations, undoes them, and replays them.

As a CUDA graph, `Recorder` knows tensors, operations and the Python numbers that these were given:
whatever Python computed from step to step is the same in each replay.
"""

from __future__ import annotations

import pytest

from paysage import backends as be

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from purity import purely  # noqa: E402
from torch.utils._python_dispatch import TorchDispatchMode  # noqa: E402
from torch.utils._pytree import tree_flatten, tree_leaves  # noqa: E402

from paysage.backends.pytorch_backend import capture as module  # noqa: E402
from paysage.backends.pytorch_backend.capture import Outside  # noqa: E402
from paysage.backends.pytorch_backend.random import gpu_generator  # noqa: E402


class Recorder(TorchDispatchMode):
    """While open, records every operation with its arguments and its results."""

    def __init__(self):
        super().__init__()
        self.operations = []
        self._before = {}

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        for x in tree_leaves((args, kwargs)):
            if isinstance(x, torch.Tensor):
                memory = x.untyped_storage()
                self._before.setdefault(memory._cdata, (memory, memory.clone()))
        result = func(*args, **kwargs)
        self.operations.append((func, args, kwargs, result))
        return result

    def undo(self):
        """Put back what was in memory before its first use."""
        for memory, before in self._before.values():
            memory.copy_(before)

    def replay(self):
        for func, args, kwargs, result in self.operations:
            if func.is_view:
                continue
            again, _ = tree_flatten(func(*args, **kwargs))
            for old, new in zip(tree_flatten(result)[0], again, strict=True):
                if isinstance(old, torch.Tensor) and old is not new:
                    old.copy_(new)


def capture(function):
    """In the place of `be.capture`: nothing is done but recorded."""
    recorder, outside = Recorder(), Outside()
    state = gpu_generator().get_state()
    module._recording += 1  # the function can see that it is recorded, as it does on the GPU
    try:
        with recorder, outside:
            purely(function)
    finally:
        module._recording -= 1
    recorder.undo()
    gpu_generator().set_state(state)
    return recorder.replay


@pytest.fixture
def recorded(gpu_path, monkeypatch):
    """The code for the GPU with graphs that are recorded on the CPU; gives a list of them."""
    graphs = []
    monkeypatch.setattr(be, "warm_up", lambda function: function())

    def counted(function):
        graphs.append(capture(function))
        return graphs[-1]

    monkeypatch.setattr(be, "capture", counted)
    return graphs
