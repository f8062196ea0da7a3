"""Random numbers of the PyTorch backend, from the active generator, on the CPU or on the GPU."""

# ruff: noqa: D103 - the contract documents these functions

from contextlib import nullcontext

import torch

from paysage.backends.cpu import draws
from paysage.backends.generator import GLOBAL, active_generator
from paysage.backends.pytorch_backend import device
from paysage.backends.pytorch_backend.tensor import Float, Long, lengths

_SMALLEST = 2.0**-25  # half of the step of torch.rand: what stands for its zero


def gpu_generator():
    """Return the active generator's `torch.Generator`; a captured CUDA graph registers it."""
    owner = active_generator()
    if owner.gpu is None:
        generator = torch.Generator(device=device.DEVICES["gpu"])
        state = owner.take_gpu_state()
        if state is None:
            generator.manual_seed(owner.seed_on_gpu)
        else:
            generator.set_state(state)
        owner.gpu = generator
    return owner.gpu


def renew_gpu_generator(state):
    """Continue from a state with a new generator: one that was in a failed capture stays in it."""
    generator = torch.Generator(device=device.DEVICES["gpu"])
    generator.set_state(state)
    active_generator().gpu = generator


def set_seed(seed=137):
    GLOBAL.seed(seed)


def get_random_state():
    return GLOBAL.get_state()


def set_random_state(state):
    GLOBAL.set_state(state)
    GLOBAL.renew_lineage()


def separate_draws(number):
    if not device.gpu_chosen():
        return active_generator().spawn(number)
    # there, tasks are queued one after the other
    return [nullcontext() for _ in range(number)]


def draws_of_rows(first, count, total):
    return nullcontext() if device.gpu_chosen() else active_generator().rows(first, count, total)


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
        return torch.from_numpy(draws.below(active_generator(), x.detach().numpy(), top))
    return torch.lt(_uniform(x.shape, x.device).mul_(top), x).to(Float)


def rand_int(a, b, shape):
    if not device.gpu_chosen():
        return torch.from_numpy(draws.integers(active_generator(), a, b, lengths(shape)))
    draws.check_range(a, b)
    return torch.randint(a, b, lengths(shape), **_gpu(Long))


def rand_samples(x, n):
    if not device.on_gpu(x):
        return x.reshape(-1)[torch.from_numpy(draws.positions(active_generator(), x.numel(), n))]
    return x.reshape(-1)[torch.randint(0, x.numel(), (n,), **_gpu(Long))]


def shuffle_(x):
    if device.on_gpu(x):
        order = torch.randperm(len(x), **_gpu(Long))
    else:
        order = torch.from_numpy(draws.permutation(active_generator(), len(x)))
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
        return torch.from_numpy(active_generator().uniform(lengths(shape)))
    return torch.rand(lengths(shape), **_gpu(Float)).clamp_(min=_SMALLEST)


def _normal(shape, where):
    """Standard normal numbers on a device."""
    if where.type != device.DEVICES["gpu"].type:
        return torch.from_numpy(active_generator().normal(lengths(shape)))
    return torch.randn(lengths(shape), **_gpu(Float))


def _softmax_units(phi):
    """The drawn units, and ones that are NaN where a row has no softmax; see `cpu.draws`."""
    if not device.on_gpu(phi):
        units, ones = draws.softmax_units(active_generator(), phi.detach().numpy())
        return torch.from_numpy(units), torch.from_numpy(ones)
    steps = torch.cumsum(torch.softmax(phi, 1), 1, dtype=torch.float64)
    total = steps[:, -1:]
    level = _uniform((len(phi), 1), phi.device) * total
    # what a NaN leaves over is no index
    units = (steps <= level).sum(1).clamp_(max=phi.shape[1] - 1)
    return units, (total / total).reshape(-1).to(Float)
