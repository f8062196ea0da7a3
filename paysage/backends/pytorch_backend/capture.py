"""Recording work as a CUDA graph, which is launched at once in the place of many kernels."""

# ruff: noqa: D103 - the contract documents these functions

from functools import cache, partial

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from paysage.backends.pytorch_backend.device import gpu_chosen
from paysage.backends.pytorch_backend.random import gpu_generator, renew_gpu_generator
from paysage.errors import BackendError

#: captures that are going on
_recording = 0


def can_capture():
    return gpu_chosen()


def warm_up(function):
    if not gpu_chosen():
        function()
        return
    side, usual = _side_stream(), torch.cuda.current_stream()
    side.wait_stream(usual)
    with torch.cuda.stream(side):
        function()
    usual.wait_stream(side)


def is_capturing():
    return _recording > 0


def capture(function):
    if not gpu_chosen():
        raise BackendError(f"the processor 'cpu' cannot capture {function!r}: only the GPU can")
    graph, used, usual = torch.cuda.CUDAGraph(), Outside(), torch.cuda.current_stream()
    random_state = gpu_generator().get_state()
    graph.register_generator_state(gpu_generator())
    # Other threads, which read data ahead, may allocate meanwhile.
    recording = torch.cuda.graph(graph, stream=_side_stream(), capture_error_mode="thread_local")
    global _recording
    try:
        _recording += 1
        with recording, used:
            function()
    except RuntimeError as error:
        torch.cuda.set_stream(usual)
        renew_gpu_generator(random_state)
        # ending a capture that has failed is an error too, which hides the first one
        raise BackendError(
            f"the work on the GPU cannot be captured as a CUDA graph: {error.__context__ or error}"
        ) from error
    finally:
        _recording -= 1
    return partial(_replay, graph, used.tensors)


def _replay(graph, tensors):
    """Launch a graph, which reads and writes at the addresses of the tensors."""
    graph.replay()


@cache
def _side_stream():
    return torch.cuda.Stream()


class Outside(TorchDispatchMode):
    """While open, collects the tensors that operations use and have not made themselves.

    A CUDA graph holds addresses, not tensors: what it was captured with must be kept alive.
    """

    def __init__(self):
        super().__init__()
        self._kept = {}
        self._made = set()

    @property
    def tensors(self):
        """One tensor of each piece of memory that came from outside."""
        return list(self._kept.values())

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        """Note the arguments, and which results lie in memory that is new."""
        kwargs = kwargs or {}
        for x in _tensors_in((args, kwargs)):
            if _memory(x) not in self._made:
                self._kept[_memory(x)] = x
        result = func(*args, **kwargs)
        self._made.update({_memory(x) for x in _tensors_in(result)} - self._kept.keys())
        return result


def _tensors_in(tree):
    return [x for x in tree_leaves(tree) if isinstance(x, torch.Tensor)]


def _memory(x):
    return x.untyped_storage()._cdata
