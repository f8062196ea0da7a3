"""The partition function as a sum over all states of one half of the layers."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np

from paysage import backends as be
from paysage.errors import ConfigError
from paysage.layers import GaussianLayer
from paysage.likelihood.double_precision import PreciseModel, as_double
from paysage.likelihood.halves import two_halves
from paysage.likelihood.normalizable import (
    check_normalizable,
    checked_finite,
    deviations_of,
    precision_of,
)
from paysage.models import BoltzmannMachine
from paysage.threads import one_thread_each, side_by_side

Tensor = Any

#: more than 2 to the power of this many states are refused: beyond, a sum takes hours
MAX_BITS = 26

#: states that are summed at a time
CHUNK = 4096

#: chunks that may be summed in parallel at a time
ROUND = 64


def exact_log_partition(model: BoltzmannMachine) -> float:
    """Logarithm of the partition function, by summing over the half with fewer states.

    The other half is summed, or integrated, in closed form, layer by layer, in double precision. A
    model of 784 x 20 binary units takes seconds. One of Gaussian layers alone is integrated as a
    whole.

    Raises
    ------
    ConfigError
        If the graph has a ring of an odd number of layers, or neither half has a number of
        states up to 2²⁶ and not all layers are Gaussian.
    DivergenceError
        If a parameter is NaN or infinite, or energies are.
    """
    check_normalizable(model)
    halves = two_halves(model)
    if all(type(layer) is GaussianLayer for layer in model.layers):
        with np.errstate(all="ignore"):
            return checked_finite(_gaussian_integral(model))
    bits = [_bits(model, half) for half in halves]
    best = 0 if bits[0] <= bits[1] else 1
    if bits[best] > MAX_BITS:
        raise ConfigError(
            f"{model!r} has halves of {_power(bits[0])} and {_power(bits[1])} states, one must "
            f"have at most 2^{MAX_BITS} to be summed: estimate by AIS(model) instead"
        )
    with one_thread_each(), np.errstate(all="ignore"):
        return checked_finite(
            _log_sum(PreciseModel(model), halves[best], _num_states(model, halves[best]))
        )


def _gaussian_integral(model: BoltzmannMachine) -> float:
    """Of Gaussian layers alone, whose energy is a quadratic form.

    With z = (x - loc) / σ and d what connections see of loc, they see d + z / σ, and minus the
    energy is c + hᵀz - zᵀPz / 2: c = Σ d_tᵀ W d_d, h_t = Σ W d_d / σ_t, P ones and -W / (σ_t σ_d).
    """
    deviations = [deviations_of(layer) for layer in model.layers]
    at_loc = [
        as_double(k.connected(be.unsqueeze(k.params.loc, axis=0)))[0]
        for k in PreciseModel(model).layers
    ]
    linear = [np.zeros_like(d) for d in at_loc]
    constant = 0.0
    for c in model.connections:
        t, d, weights = c.target_index, c.domain_index, as_double(c.weights.W())
        linear[t] += weights @ at_loc[d] / deviations[t]
        linear[d] += at_loc[t] @ weights / deviations[d]
        constant += at_loc[t] @ weights @ at_loc[d]
    h, precision = np.concatenate(linear), precision_of(model)
    volume = 0.5 * len(h) * math.log(2.0 * math.pi) + float(
        np.log(np.concatenate(deviations)).sum()
    )
    volume -= 0.5 * float(np.linalg.slogdet(precision)[1])
    return float(constant + 0.5 * h @ np.linalg.solve(precision, h)) + volume


def fewest_bits(model: BoltzmannMachine) -> float:
    """Binary logarithm of the number of states of the half that has fewer; infinity if none has.

    Raises
    ------
    ConfigError
        If the graph has a ring of an odd number of layers.
    """
    return min(_bits(model, half) for half in two_halves(model))


def _bits(model: BoltzmannMachine, half: list[int]) -> float:
    """Binary logarithm of the number of joint states, infinity if they cannot be listed."""
    counts = [model.layers[i].num_states() for i in half]
    return sum(math.inf if count is None else math.log2(count) for count in counts)


def _num_states(model: BoltzmannMachine, half: list[int]) -> int:
    return math.prod(int(model.layers[i].num_states() or 1) for i in half)


def _power(bits: float) -> str:
    return "infinitely many" if math.isinf(bits) else f"2^{bits:.0f}"


def _log_sum(model: PreciseModel, kept: list[int], count: int) -> float:
    """Return the log of the sum of the weights of all states of the kept layers."""

    def part(low: int) -> tuple[float, float]:
        units = _states(model, kept, low, min(count, low + CHUNK))
        weights = model.log_weight(units, kept)
        top = float(weights.max())
        return top, float(np.exp(weights - top).sum())

    top, total = -math.inf, 0.0
    for first in range(0, count, ROUND * CHUNK):
        last = min(count, first + ROUND * CHUNK)
        for own, sum_ in side_by_side(*(partial(part, low) for low in range(first, last, CHUNK))):
            higher = max(top, own)
            total = total * math.exp(top - higher) + sum_ * math.exp(own - higher)
            top = higher
    return top + math.log(total)


def _states(model: PreciseModel, kept: list[int], low: int, high: int) -> list[Tensor | None]:
    """Return joint states low, ..., high - 1 of the kept layers; None for the others."""
    number = np.arange(low, high)
    units: list[Tensor | None] = [None] * len(model.layers)
    for i in reversed(kept):
        layer = model.layers[i]
        number, own = np.divmod(number, int(layer.num_states() or 1))
        units[i] = model.tensor(layer.states_at(own))
    return units
