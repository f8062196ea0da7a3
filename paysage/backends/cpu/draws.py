"""Random tensors on the CPU, for both backends: NumPy arrays from a generator."""

from typing import Any

import numpy as np

from paysage.backends.generator import Generator
from paysage.errors import ConfigError, ShapeError


def below(generator: Generator, x: np.ndarray, top: float) -> np.ndarray:
    """Zeros, and ones where a uniform number times `top` is below x; float32, in the shape of x."""
    from paysage.backends.cpu import kernels

    out = np.empty(x.shape, np.float32)
    limits = np.ascontiguousarray(x, np.float32).reshape(-1)
    kernels.fill_below(*generator.take(out.size), limits, np.float32(top), out.reshape(-1))
    return out


def integers(generator: Generator, a: int, b: int, shape: Any) -> np.ndarray:
    """Integers from a, ..., b - 1, int64."""
    check_range(a, b)
    return generator.numpy.integers(a, b, size=shape, dtype=np.int64)


def positions(generator: Generator, size: int, n: int) -> np.ndarray:
    """Some n positions among `size`, with replacement, int64 (n,)."""
    if size == 0:
        raise ShapeError("rand_samples got an empty tensor, expected at least one element")
    return generator.numpy.integers(0, size, size=n, dtype=np.int64)


def permutation(generator: Generator, size: int) -> np.ndarray:
    """A random order of 0, ..., size - 1, int64."""
    return generator.numpy.permutation(size)


def softmax_units(generator: Generator, phi: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each row of phi (B, n) an index with probability softmax(phi), int64 (B,).

    The second array (B,) holds ones, and NaN where the row has no softmax because it holds NaN
    or plus infinity.
    """
    if phi.ndim != 2 or phi.shape[1] == 0:
        raise ShapeError(f"softmax units got phi of shape {phi.shape}, expected (B, n) with n > 0")
    with np.errstate(all="ignore"):
        weights = np.exp(phi - phi.max(axis=1, keepdims=True))
    return weighted_units(generator, weights)


def weighted_units(generator: Generator, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The same for rows of weights (B, n), not negative, that need not add up to one."""
    with np.errstate(all="ignore"):
        steps = np.cumsum(weights, axis=1, dtype=np.float64)
        level = generator.uniform((len(weights), 1)) * steps[:, -1:]
        # the unit whose step the level falls on; level < total, so that the last one is the limit
        units = np.count_nonzero(steps <= level, axis=1)
        valid = (steps[:, -1] / steps[:, -1]).astype(np.float32)
    return units, valid


def gamma_start(generator: Generator, num: int, std: float) -> np.ndarray:
    """Start of the autoregressive Gamma process: (num, 1), mean 1, standard deviation std."""
    check_process(0.0, std)
    if std == 0:
        return np.ones((num, 1), np.float32)
    beta = generator.numpy.gamma(1 / std**2, std**2, size=(num, 1))
    return beta.astype(np.float32)


def gamma_step(generator: Generator, beta: np.ndarray, momentum: float, std: float) -> np.ndarray:
    """One step of the autoregressive Gamma process (Gourieroux and Jasiak 2006), a new array.

    With c = (1 - momentum) std^2: z ~ Poisson(momentum beta / c), beta' ~ Gamma(1/std^2 + z, c).
    That is c/2 times a noncentral chi-squared number of 2/std^2 degrees of freedom.
    """
    check_process(momentum, std)
    if std == 0:
        return np.ones_like(beta)
    c, degrees = (1 - momentum) * std**2, 2 / std**2
    if degrees <= 1:  # no normal number to split off
        z = generator.numpy.poisson(beta * (momentum / c))
        return generator.numpy.gamma(1 / std**2 + z, c).astype(beta.dtype)
    from paysage.backends.cpu import kernels

    key, counter = generator.take(2 * beta.size, spare=2)  # two elements a word
    first = (int(counter) + 1) // 2
    new = beta.astype(np.float32)
    kernels.beta_step(key, np.uint64(first), new.reshape(-1), momentum, c, degrees)
    return new.astype(beta.dtype, copy=False)


def check_process(momentum: float, std: float) -> None:
    """Refuse parameters for which there is no such process."""
    if not (0 <= momentum < 1 and (std == 0 or 1e-6 <= std <= 1e6)):
        raise ConfigError(
            f"the process of inverse temperatures got momentum = {momentum} and std = {std}, "
            "expected 0 <= momentum < 1 and std 0 or between 1e-6 and 1e6"
        )


def check_range(a: int, b: int) -> None:
    """Refuse a range that holds no integer."""
    if b <= a:
        raise ConfigError(f"rand_int got a = {a} and b = {b}, expected a < b")
