"""Likelihoods of data, given the partition function or an estimate of it."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from paysage import backends as be
from paysage.checks import check_number
from paysage.errors import ConfigError
from paysage.likelihood.halves import Halves, double, two_halves
from paysage.models import BoltzmannMachine, State
from paysage.models.sweep import Sweeps

Tensor = Any

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
    """Log-likelihood of each row in nats, exact but for the partition function.

    Parameters
    ----------
    model : BoltzmannMachine
        All layers but the visible one are neighbours of it and of it alone.
    data : tensor (B, V)
    log_partition : float
        From ``exact_log_partition``, ``AIS`` or ``sandwich``.

    Raises
    ------
    ConfigError
        For deeper machines: see ``variational_bound``.
    """
    log_partition = check_number("log_partition", log_partition, -math.inf)
    first, _ = two_halves(model)
    if first != [0]:
        raise ConfigError(
            f"the hidden layers of {model!r} cannot all be summed out: use variational_bound"
        )
    state = State.from_visible(data, model)
    halves = Halves(model)
    weights = halves.log_weight(state, halves.inputs(state, halves.summed), beta=1.0)
    return over_rows(weights - log_partition)


def variational_bound(model: BoltzmannMachine, data: Tensor, log_partition: float) -> LogLikelihood:
    """Lower bound on the log-likelihood of each row in nats (Salakhutdinov & Hinton 2009).

    The posterior of the hidden layers is approximated by independent units in mean fields, iterated
    until they settle. With their fields h and the means a of what connections see of them, the
    bound is -E_visible + Σ_layers (log Z_layer(h) - h·a) + Σ_connections aᵀ W a - log Z; it holds
    for any fields.

    Parameters
    ----------
    model : BoltzmannMachine
    data : tensor (B, V)
    log_partition : float
    """
    log_partition = check_number("log_partition", log_partition, -math.inf)
    two_halves(model)  # refuses what has no energy
    state = _settled(model, State.from_visible(data, model))
    sweeps = Sweeps(model.layers, model.connections)
    fields = [be.copy_tensor(sweeps.field(state, i)) for i in range(1, len(state))]
    seen = [model.layers[0].connected(state[0])]
    total = -double(model.layers[0].energy(state[0])) - log_partition
    for layer, field in zip(model.layers[1:], fields, strict=True):
        a = layer.connected(layer.mean(field))
        total += double(layer.conditional_log_partition(field)) - double(be.tsum(field * a, axis=1))
        seen.append(a)
    for c in model.connections:
        total -= double(c.weights.energy(seen[c.target_index], seen[c.domain_index]))
    return over_rows(total)


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
    """The mean of numbers (B,), with its standard error."""
    spread = float(rows.std(ddof=1)) if len(rows) > 1 else math.nan
    return LogLikelihood(float(rows.mean()), spread / math.sqrt(len(rows)), rows)
