"""What must not happen inside of a captured step fails here, without a GPU.

Two views of the same code: what Python asks of PyTorch (conversions to Python or NumPy, tensors
made of host data), and the operations that run below (numbers read from a tensor, results whose
shape depends on values). That a step works on the same memory as the one before is for
`capture.Outside` to tell.
"""

from __future__ import annotations

from unittest import mock

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from torch.overrides import TorchFunctionMode  # noqa: E402
from torch.utils._python_dispatch import TorchDispatchMode  # noqa: E402


class Impure(AssertionError):
    """The step cannot be captured."""


#: what reads numbers into Python, or copies between the host and the device
TRANSFERS = {
    *("item", "tolist", "numpy", "cpu", "cuda", "__bool__", "__float__", "__int__", "__index__"),
    *("__array__", "__contains__", "is_nonzero", "equal", "allclose", "pin_memory"),
    *(
        "tensor",
        "new_tensor",
        "as_tensor",
        "asarray",
        "from_numpy",
        "frombuffer",
        "sparse_coo_tensor",
    ),
}

#: operations that wait for the device, or whose result has a shape that depends on values
WAITING = {
    *("_local_scalar_dense", "is_nonzero", "equal", "nonzero", "masked_select", "unique"),
    *("_unique2", "unique_dim", "unique_consecutive", "bincount", "histc", "allclose"),
    *("linalg_inv_ex", "_linalg_check_errors", "linalg_eigh", "_linalg_eigh", "_linalg_svd"),
    *("linalg_qr", "_linalg_slogdet", "linalg_lu_factor_ex", "repeat_interleave"),
}


class PurePython(TorchFunctionMode):
    """While open, Python gets no number out of a tensor and puts no host data into one."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        name = getattr(func, "__name__", "")
        if name in TRANSFERS:
            raise Impure(f"{name} of {args!r}")
        if name in ("__getitem__", "__setitem__") and _has_host_index(args[1]):
            raise Impure(f"the index {args[1]!r} is copied from the host")
        if name == "__setitem__" and _has_tensor(args[1]) and not _has_tensor(args[2]):
            raise Impure(f"the number {args[2]!r} is copied from the host to where an index says")
        return func(*args, **(kwargs or {}))


class PureOperations(TorchDispatchMode):
    """While open, no operation waits for the device or gives a shape that depends on values."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func._schema.name.split("::")[1]
        if name in WAITING:
            raise Impure(f"{func} reads what is in a tensor")
        if name in ("index", "index_put", "index_put_"):
            for x in args[1]:
                if x is not None and x.dtype in (torch.bool, torch.uint8):
                    raise Impure(f"{func} has a mask for an index")
        return func(*args, **(kwargs or {}))


def _has_host_index(index):
    parts = index if isinstance(index, tuple) else (index,)
    return any(isinstance(part, list | np.ndarray) for part in parts)


def _has_tensor(index):
    parts = index if isinstance(index, tuple) else (index,)
    return any(isinstance(part, torch.Tensor) for part in parts)


def _from_host(*args):
    raise Impure(f"a tensor is made of host data: {args!r}")


def purely(function):
    """Call a function that must be pure."""
    # PyTorch shows its modes all functions but this one
    with mock.patch.object(torch, "from_numpy", _from_host), PurePython(), PureOperations():
        return function()
