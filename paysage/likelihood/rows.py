"""Likelihoods of data, given the partition function or an estimate of it."""

from __future__ import annotations

import math
import warnings
from typing import Any, NamedTuple

import numpy as np

from paysage import backends as be
from paysage.backends.conversion import plain_array
from paysage.checks import check_number
from paysage.errors import ConfigError, DivergenceError
from paysage.likelihood.double_precision import PreciseModel, as_double
from paysage.likelihood.halves import two_halves
from paysage.likelihood.normalizable import are_states, check_normalizable
from paysage.likelihood.warning import LikelihoodWarning
from paysage.models import BoltzmannMachine, State

Tensor = Any

#: rows whose energies are computed together
BLOCK = 4096

#: greatest change of a mean at which the means of the posterior count as converged
TOLERANCE = 1e-4
MAX_SWEEPS = 500


class LogLikelihood(NamedTuple):
    """Mean over rows of the log-likelihood, or of a lower bound on it, in nats."""

    mean: float
    standard_error: float
    """of the mean over rows; that of the partition function comes on top"""
    rows: np.ndarray
    """of each row, (B,)"""


def log_likelihood(model: BoltzmannMachine, data: Tensor, log_partition: float) -> LogLikelihood:
    """Return the log-likelihood of each row in nats, exact but for the partition function.

    Energies are computed in double precision, also from data in double precision.

    Parameters
    ----------
    model : BoltzmannMachine
        All layers but the visible one are neighbours of it and of it alone.
    data : tensor or array (B, V)
    log_partition : float
        From ``exact_log_partition``, ``AIS`` or ``sandwich``.

    Raises
    ------
    ConfigError
        For deeper machines: see ``variational_bound``; for those without a partition function.
    ShapeError, DataError
        If the visible layer cannot have such units.
    DivergenceError
        If a parameter is NaN or infinite.

    Warns
    -----
    LikelihoodWarning
        If binary units have values between 0 and 1.
    """
    log_partition = check_number("log_partition", log_partition, -math.inf)
    check_normalizable(model)
    first, _ = two_halves(model)
    if first != [0]:
        raise ConfigError(
            f"the hidden layers of {model!r} cannot all be summed out: use variational_bound"
        )
    _check_data(data, model)
    precise = PreciseModel(model)
    rows = be.to_numpy_array(data) if be.is_tensor(data) else plain_array(data)
    others = [None] * (len(model.layers) - 1)
    with np.errstate(all="ignore"):  # over_rows checks that the result is finite
        weights = [
            precise.log_weight([precise.tensor(rows[low : low + BLOCK]), *others], [0])
            for low in range(0, len(rows), BLOCK)
        ]
    return over_rows(np.concatenate(weights) - log_partition)


def variational_bound(model: BoltzmannMachine, data: Tensor, log_partition: float) -> LogLikelihood:
    """Lower bound on the log-likelihood of each row in nats (Salakhutdinov & Hinton 2009).

    The posterior of the hidden layers is approximated by independent units in mean fields, iterated
    until they settle. With their fields h and the means a of what connections see of them, the
    bound is -E_visible + Σ_layers (log Z_layer(h) - h·a) + Σ_connections aᵀ W a - log Z; it holds
    for any fields. Where they could settle in several ways, as strongly coupled one-hot or Gaussian
    layers can, it is of the one found from a pass up; another one may give a higher bound.

    Parameters
    ----------
    model : BoltzmannMachine
    data : tensor (B, V)
    log_partition : float
    """
    log_partition = check_number("log_partition", log_partition, -math.inf)
    check_normalizable(model)
    two_halves(model)  # refuses what has no energy
    state = _settled(model, _check_data(data, model))
    precise = PreciseModel(model)
    with np.errstate(all="ignore"):  # over_rows checks that the result is finite
        return over_rows(
            _bound(precise, [precise.tensor(units) for units in state]) - log_partition
        )


def _bound(model: PreciseModel, units: list[Tensor]) -> np.ndarray:
    """Return the bound on the log of the unnormalized probability of the visible units, (B,)."""
    seen = [model.layers[0].connected(units[0])]
    total = -as_double(model.layers[0].energy(units[0]))
    for i, layer in enumerate(model.layers[1:], start=1):
        field = model.field(units, i)
        mean = layer.connected(model.mean(i, field))
        total += as_double(layer.conditional_log_partition(field))
        total -= as_double(be.tsum(field * mean, axis=1))
        seen.append(mean)
    for c in model.connections:
        total -= as_double(c.weights.energy(seen[c.target_index], seen[c.domain_index]))
    return total


def _check_data(data: Tensor, model: BoltzmannMachine) -> State:
    """Return the state that starts from the data; a named error if the data cannot be used."""
    state = State.from_visible_means(data, model)
    if not are_states(model.layers[0], state[0]):
        warnings.warn(
            f"the data have values between those of {model.layers[0]!r}: what is computed at them "
            "is the logarithm of no probability. Binarize the data",
            LikelihoodWarning,
            stacklevel=3,
        )
    return state


def _settled(model: BoltzmannMachine, state: State) -> State:
    """Mean fields given the visible units; a start by a pass up, then sweeps."""
    for _ in range(MAX_SWEEPS):
        new = model.mean_field_iteration(1, state, clamped=[0])
        changes = [be.item(be.tmax(be.tabs(a - b))) for a, b in zip(new, state, strict=True)]
        state = new
        if max(changes) < TOLERANCE:
            break
    return state


def over_rows(rows: np.ndarray) -> LogLikelihood:
    """The mean of numbers (B,), with its standard error; a DivergenceError if one is none."""
    if not np.isfinite(rows).all():
        raise DivergenceError("log-likelihoods are NaN or infinite: energies are beyond floats")
    spread = float(rows.std(ddof=1)) if len(rows) > 1 else math.nan
    return LogLikelihood(float(rows.mean()), spread / math.sqrt(len(rows)), rows)
