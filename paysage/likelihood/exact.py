"""The partition function as a sum over all states of one half of the layers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from paysage import backends as be
from paysage.errors import ConfigError
from paysage.layers import GaussianLayer, Layer
from paysage.likelihood.halves import Halves, double, two_halves
from paysage.likelihood.normalizable import (
    check_normalizable,
    checked_finite,
    deviations_of,
    precision_of,
)
from paysage.models import BoltzmannMachine, State
from paysage.threads import one_thread_each

Tensor = Any

#: more than 2 to the power of this many states are refused: beyond, a sum takes hours
MAX_BITS = 26

#: states that are summed at a time
CHUNK = 8192


def exact_log_partition(model: BoltzmannMachine) -> float:
    """Logarithm of the partition function, by summing over the half with fewer states.

    The other half is summed, or integrated, in closed form, layer by layer. A machine of 784 x 20
    binary units takes seconds. One of Gaussian layers alone is integrated as a whole.

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
    summer = Halves(model, keep_visible=best == 0)
    with one_thread_each(), np.errstate(all="ignore"):
        return checked_finite(_log_sum(summer, _num_states(model, halves[best])))


def _gaussian_integral(model: BoltzmannMachine) -> float:
    """Of Gaussian layers alone, whose energy is a quadratic form.

    With z = (x - loc) / σ and d what connections see of loc, they see d + z / σ, and minus the
    energy is c + hᵀz - zᵀPz / 2: c = Σ d_tᵀ W d_d, h_t = Σ W d_d / σ_t, P ones and -W / (σ_t σ_d).
    """
    deviations = [deviations_of(layer) for layer in model.layers]
    at_loc = [double(k.connected(be.unsqueeze(k.params.loc, axis=0)))[0] for k in model.layers]
    linear = [np.zeros_like(d) for d in at_loc]
    constant = 0.0
    for c in model.connections:
        t, d, weights = c.target_index, c.domain_index, double(c.weights.W())
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


def _log_sum(halves: Halves, count: int) -> float:
    """Log of the sum of the weights of all states of the kept half, a chunk at a time."""
    top, total = -math.inf, 0.0
    for low in range(0, count, CHUNK):
        state = _states(halves, low, min(count, low + CHUNK))
        weights = halves.log_weight(state, halves.inputs(state, halves.summed), beta=1.0)
        higher = max(top, float(weights.max()))
        total = total * math.exp(top - higher) + float(np.exp(weights - higher).sum())
        top = higher
    return top + math.log(total)


def _states(halves: Halves, low: int, high: int) -> State:
    """Joint states low, ..., high - 1 of the kept layers; zeros in the others."""
    number = np.arange(low, high)
    units: dict[int, Tensor] = {}
    for i in reversed(halves.kept):
        layer = halves.model.layers[i]
        number, own = np.divmod(number, int(layer.num_states() or 1))
        units[i] = _states_of(layer, own)
    return State(
        units[i] if i in units else be.zeros((high - low, layer.num_units))
        for i, layer in enumerate(halves.model.layers)
    )


def _states_of(layer: Layer, number: np.ndarray) -> Tensor:
    """States of a layer by their number, (B, n), without listing all of them where possible."""
    if layer.values is None:
        return be.float_tensor(be.to_numpy_array(layer.all_states())[number])
    values = np.asarray(layer.values, dtype=np.float32)
    places = len(values) ** np.arange(layer.num_units - 1, -1, -1)
    return be.float_tensor(values[number[:, None] // places % len(values)])
