"""Where new tensors are made: the CPU or the GPU."""

import torch

DEVICES = {"cpu": torch.device("cpu"), "gpu": torch.device("cuda")}

_current = DEVICES["cpu"]


def has_gpu() -> bool:
    """Whether PyTorch can use an NVIDIA GPU."""
    return torch.cuda.is_available()


def choose(processor: str) -> None:
    """Make new tensors on 'cpu' or 'gpu'."""
    global _current
    _current = DEVICES[processor]


def current():
    """The device of new tensors."""
    return _current
