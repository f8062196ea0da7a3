"""Random numbers of the PyTorch backend: the CPU's stream, or a generator on the GPU."""

# ruff: noqa: D103 - the contract documents these functions

from contextlib import nullcontext

import numpy as np
import torch

from paysage.backends.cpu import draws
from paysage.backends.cpu.stream import Stream
from paysage.backends.pytorch_backend import device
from paysage.backends.pytorch_backend.tensor import Float, Long, lengths
from paysage.errors import ConfigError

_KIND = "torch cuda generator 1"
_SMALLEST = 2.0**-25  # half of the step of torch.rand: what stands for its zero

# From fresh entropy, until somebody sets a seed.
stream = Stream()
_on_gpu = None


def gpu_generator():
    """The generator on the GPU; whoever captures a CUDA graph registers it there."""
    global _on_gpu
    if _on_gpu is None:
        _on_gpu = torch.Generator(device=device.DEVICES["gpu"])
        _on_gpu.seed()
    return _on_gpu


def renew_gpu_generator(state):
    """Go on from a state with a new generator: one that was in a failed capture stays in it."""
    global _on_gpu
    _on_gpu = torch.Generator(device=device.DEVICES["gpu"])
    _on_gpu.set_state(state)


def set_seed(seed=137):
    stream.seed(seed)
    if device.gpu_chosen():
        gpu_generator().manual_seed(int(seed) % 2**63)


def get_random_state():
    if not device.gpu_chosen():
        return stream.get_state()
    return {"kind": _KIND, "state": gpu_generator().get_state().numpy().tobytes().hex()}


def set_random_state(state):
    if not device.gpu_chosen():
        stream.set_state(state)
        return
    try:
        if state["kind"] != _KIND:
            raise ValueError(f"it is of the kind {state['kind']!r}")
        raw = np.frombuffer(bytes.fromhex(state["state"]), np.uint8).copy()
        gpu_generator().set_state(torch.from_numpy(raw))
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise ConfigError(
            f"expected a random state of the kind {_KIND!r}, got one that cannot be used: {error!r}"
        ) from error


def separate_draws(number):
    if not device.gpu_chosen():
        return stream.parts(number)
    # there, tasks are queued one after the other
    return [nullcontext() for _ in range(number)]


def draws_of_rows(first, count, total):
    return nullcontext() if device.gpu_chosen() else stream.rows(first, count, total)


def rand(shape):
    return _uniform(shape, device.current())


def rand_like(x):
    return _uniform(x.shape, x.device)


def randn(shape):
    return _normal(shape, device.current())


def randn_like(x):
    return _normal(x.shape, x.device)


def rand_bernoulli(x, top=1.0):
    if not device.on_gpu(x):
        return torch.from_numpy(draws.below(stream, x.detach().numpy(), top))
    return torch.lt(_uniform(x.shape, x.device).mul_(top), x).to(Float)


def rand_int(a, b, shape):
    if not device.gpu_chosen():
        return torch.from_numpy(draws.integers(stream, a, b, lengths(shape)))
    draws.check_range(a, b)
    return torch.randint(a, b, lengths(shape), **_gpu(Long))


def rand_samples(x, n):
    if not device.on_gpu(x):
        return x.reshape(-1)[torch.from_numpy(draws.positions(stream, x.numel(), n))]
    return x.reshape(-1)[torch.randint(0, x.numel(), (n,), **_gpu(Long))]


def shuffle_(x):
    if device.on_gpu(x):
        order = torch.randperm(len(x), **_gpu(Long))
    else:
        order = torch.from_numpy(draws.permutation(stream, len(x)))
    return x.copy_(x[order])


def rand_softmax_units(phi):
    return _softmax_units(phi)[0]


def rand_softmax(phi):
    units, ones = _softmax_units(phi)
    out = torch.zeros(phi.shape, dtype=Float, device=phi.device)
    return out.scatter_(1, units.unsqueeze(1), ones.unsqueeze(1))


def _gpu(dtype):
    """The keywords of PyTorch's random functions on the GPU."""
    return {"generator": gpu_generator(), "dtype": dtype, "device": device.DEVICES["gpu"]}


def _uniform(shape, where):
    """Numbers in (0, 1) on a device."""
    if where.type != device.DEVICES["gpu"].type:
        return torch.from_numpy(stream.uniform(lengths(shape)))
    return torch.rand(lengths(shape), **_gpu(Float)).clamp_(min=_SMALLEST)


def _normal(shape, where):
    """Standard normal numbers on a device."""
    if where.type != device.DEVICES["gpu"].type:
        return torch.from_numpy(stream.normal(lengths(shape)))
    return torch.randn(lengths(shape), **_gpu(Float))


def _softmax_units(phi):
    """The drawn units, and ones that are NaN where a row has no softmax; see `cpu.draws`."""
    if not device.on_gpu(phi):
        units, ones = draws.softmax_units(stream, phi.detach().numpy())
        return torch.from_numpy(units), torch.from_numpy(ones)
    steps = torch.cumsum(torch.softmax(phi, 1), 1, dtype=torch.float64)
    total = steps[:, -1:]
    level = _uniform((len(phi), 1), phi.device) * total
    # what a NaN leaves over is no index
    units = (steps <= level).sum(1).clamp_(max=phi.shape[1] - 1)
    return units, (total / total).reshape(-1).to(Float)
