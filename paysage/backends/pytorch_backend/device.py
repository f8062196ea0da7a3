"""Where new tensors are made: the CPU or the GPU."""

import torch

_CUDA = torch.device("cuda")

#: device of each processor; all code asks this table, so that a test may put 'gpu' elsewhere
DEVICES = {"cpu": torch.device("cpu"), "gpu": _CUDA}

_processor = "cpu"


def has_gpu() -> bool:
    """Whether PyTorch can use an NVIDIA GPU."""
    return torch.cuda.is_available()


def choose(processor: str) -> None:
    """Make new tensors on 'cpu' or 'gpu'."""
    global _processor
    _processor = processor


def current():
    """The device of new tensors."""
    return DEVICES[_processor]


def gpu_chosen() -> bool:
    """Whether new tensors are made on the GPU."""
    return _processor == "gpu"


def on_gpu(x: torch.Tensor) -> bool:
    """Whether a tensor is on the GPU; where a test has put that elsewhere, all tensors are."""
    return x.is_cuda or DEVICES["gpu"] is not _CUDA
