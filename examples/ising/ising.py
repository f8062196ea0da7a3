"""Configurations of the two-dimensional Ising model, and exact results to compare them with.

The model has spins ±1 on a square lattice with periodic boundaries and the energy
E = -Σ s_i s_j over pairs of neighbours; configurations have probability ∝ exp(-E / T). Below the
critical temperature, T = 2.269, most spins are aligned.
"""

from __future__ import annotations

import math

import numba
import numpy as np

SIZE = 40
CRITICAL_TEMPERATURE = 2 / math.log(1 + math.sqrt(2))


def sample_configurations(
    number: int, temperature: float, size: int = SIZE, seed: int = 137
) -> np.ndarray:
    """Sample configurations by Wolff's cluster algorithm.

    Clusters of aligned spins are flipped as a whole, so that successive configurations are nearly
    independent even at the critical temperature (Wolff, Phys. Rev. Lett. 62, 361, 1989). Each
    configuration is recorded after a fixed number of cluster flips, chosen such that every spin is
    flipped ``FLIPS`` times on average. Then all spins are flipped together with probability 1/2,
    which leaves their distribution unchanged.

    Parameters
    ----------
    number : int
        Number of configurations.
    temperature : float
        Temperature T in units of the coupling.
    size : int
        Number of spins along each side of the lattice.
    seed : int
        Seed of the random numbers.

    Returns
    -------
    int8 array (number, size * size)
        1 for a spin up, 0 for a spin down.
    """
    rng = np.random.default_rng(seed)
    join = 1 - math.exp(-2 / temperature)
    spins = np.ones((size, size), np.int8)
    # the mean size of a cluster, measured while the chain relaxes, fixes the number of flips
    _flip_clusters(spins, join, BURN_IN, rng)
    flipped = _flip_clusters(spins, join, BURN_IN, rng)
    per_configuration = math.ceil(FLIPS * size**2 * BURN_IN / flipped)
    _flip_clusters(spins, join, 20 * per_configuration, rng)
    found = np.empty((number, size * size), np.int8)
    for row in found:
        _flip_clusters(spins, join, per_configuration, rng)
        up = 1 if rng.random() < 0.5 else -1
        row[:] = spins.reshape(-1) == up
    return found


#: mean number of flips of a spin between two configurations
FLIPS = 3
#: cluster flips before the mean size of a cluster is measured
BURN_IN = 2000


@numba.njit(cache=True)
def _flip_clusters(spins, join, count, rng):  # type: ignore[no-untyped-def]
    """Flip a number of Wolff clusters in place; return the number of spins that were flipped."""
    size = spins.shape[0]
    stack = np.empty(size * size, np.int64)
    flipped = 0
    for _ in range(count):
        stack[0] = int(rng.random() * size * size)
        depth = 1
        spin = spins[stack[0] // size, stack[0] % size]
        spins[stack[0] // size, stack[0] % size] = -spin
        while depth:
            depth -= 1
            i, j = stack[depth] // size, stack[depth] % size
            flipped += 1
            for di, dj in ((1, 0), (-1, 0), (0, 1), (0, -1)):
                k, m = (i + di) % size, (j + dj) % size
                if spins[k, m] == spin and rng.random() < join:
                    spins[k, m] = -spin
                    stack[depth] = k * size + m
                    depth += 1
    return flipped


def energy_per_spin(rows: np.ndarray) -> np.ndarray:
    """Return the energy per spin of configurations of zeros and ones, (N, size * size) → (N,)."""
    size = math.isqrt(rows.shape[1])
    spins = 2.0 * np.asarray(rows, np.float64).reshape(-1, size, size) - 1
    bonds = spins * (np.roll(spins, 1, axis=1) + np.roll(spins, 1, axis=2))
    return -bonds.mean(axis=(1, 2))


def magnetization(rows: np.ndarray) -> np.ndarray:
    """Return the mean spin, from -1 to 1, of configurations of zeros and ones, (N,)."""
    return 2.0 * np.asarray(rows, np.float64).mean(axis=1) - 1


def exact_energy(temperature: float, size: int = SIZE) -> float:
    """Return the exact mean energy per spin of a periodic lattice (Kaufman, Phys. Rev. 76, 1949).

    It is -d(log Z)/dβ / N, by central differences of the exact partition function.
    """
    beta, step = 1 / temperature, 1e-4
    slope = _log_partition(beta + step, size) - _log_partition(beta - step, size)
    return -slope / (2 * step) / size**2


def exact_magnetization(temperature: float) -> float:
    """Return the spontaneous magnetization of the infinite lattice (Yang, Phys. Rev. 85, 1952)."""
    if temperature >= CRITICAL_TEMPERATURE:
        return 0.0
    return (1 - math.sinh(2 / temperature) ** -4) ** 0.125


def _log_partition(beta: float, size: int) -> float:
    """Return log Z of a periodic lattice: Kaufman's sum of four products."""
    steps = np.arange(2 * size) * math.pi / size
    half = 0.5 * size * np.arccosh(math.cosh(2 * beta) / math.tanh(2 * beta) - np.cos(steps))
    half[0] = 0.5 * size * (2 * beta + math.log(math.tanh(beta)))  # negative above T_c
    terms, signs = [], []
    for part in (half[1::2], half[::2]):
        for function in (np.cosh, np.sinh):
            # log of 2 cosh(x) or 2 |sinh(x)| without overflow
            end = 1 if function is np.cosh else -1
            size_of = np.abs(part) + np.log1p(end * np.exp(-2 * np.abs(part)))
            terms.append(size_of.sum())
            signs.append(1 if end == 1 else np.prod(np.sign(part)))
    top = max(terms)
    total = sum(sign * math.exp(term - top) for sign, term in zip(signs, terms, strict=True))
    volume = 0.5 * size**2 * math.log(2 * math.sinh(2 * beta))
    return volume - math.log(2) + top + math.log(total)
