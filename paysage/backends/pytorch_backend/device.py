"""Where new tensors are made: the CPU or the GPU."""

import torch

#: device of each processor; all code asks this table, so that a test may put 'gpu' on the CPU
DEVICES = {"cpu": torch.device("cpu"), "gpu": torch.device("cuda")}

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
    """Whether a tensor is on the GPU."""
    return x.device.type == DEVICES["gpu"].type
