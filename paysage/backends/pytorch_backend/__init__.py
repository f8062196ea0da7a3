"""The backend on PyTorch: tensors live in the memory of the CPU or of an NVIDIA GPU.

On the CPU the fused primitives and the random numbers are those of the Python backend, on views
of the tensors' memory. On the GPU they are PyTorch's, and no function of `fused` waits for the
device. Tensors never require gradients: the library computes its gradients itself.
"""

from paysage.backends.pytorch_backend import device
from paysage.errors import BackendError


def use(processor: str) -> None:
    """Make new tensors on a processor, 'cpu' or 'gpu', from now on.

    Raises
    ------
    BackendError
        If there is no such processor.
    """
    if processor not in device.DEVICES:
        raise BackendError(f"got processor {processor!r}, expected 'cpu' or 'gpu'")
    if processor == "gpu" and not device.has_gpu():
        raise BackendError(
            "the processor 'gpu' needs an NVIDIA GPU that PyTorch can use, and torch.cuda finds "
            "none: install PyTorch with CUDA and a driver, or choose the processor 'cpu'"
        )
    device.choose(processor)
