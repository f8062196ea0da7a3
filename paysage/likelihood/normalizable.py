"""Whether there is a partition function to be estimated."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from paysage import backends as be
from paysage.errors import ConfigError, DataError, DivergenceError
from paysage.layers import GaussianLayer, Layer
from paysage.models import BoltzmannMachine
from paysage.models.finite import not_finite
from paysage.models.graph import check_machine

Tensor = Any

#: relative error of some operations in double precision
ROUNDING = 2.0**-50


def check_normalizable(model: BoltzmannMachine) -> None:
    """Raise a named error unless exp(-energy) can be summed and integrated.

    Units that take finitely many values always can, and so can Gaussian ones beside them. Between
    connected Gaussian layers the energy is a quadratic form, whose matrix has to be positive
    definite. Of other types of unbounded units nothing is known.

    Raises
    ------
    ConfigError
        If it is no machine, or one of Gaussian layers whose couplings outweigh their variances.
    DivergenceError
        If a parameter is NaN or infinite.
    """
    check_machine(model)
    found = not_finite(model)
    if found:
        raise DivergenceError(f"{found}: there is no likelihood")
    if not _is_positive_definite(precision_of(model)):
        raise ConfigError(
            f"{model!r} has no partition function: its Gaussian layers are coupled so strongly "
            "that the energy falls without end in some direction"
        )


def checked_finite(log_partition: float) -> float:
    """The number; a DivergenceError unless it is one."""
    if not math.isfinite(log_partition):
        raise DivergenceError(
            f"log Z came out as {log_partition}: energies are beyond the range of floats"
        )
    return log_partition


def check_states(layer: Layer, units: Tensor) -> None:
    """Raise a DataError unless the units (B, n) are states that the layer can be in."""
    layer.check_values(units)
    if not are_states(layer, units):
        raise DataError(
            f"{layer!r} has units with one of the values {layer.values}, got others between them: "
            "these are means, not samples"
        )


def are_states(layer: Layer, units: Tensor) -> bool:
    """Whether units (B, n) have no value between those that the layer lists."""
    return layer.values is None or be.tall(sum(units == value for value in layer.values))


def precision_of(model: BoltzmannMachine) -> np.ndarray:
    """Of all coupled Gaussian units in the scale of their deviations, (n, n), double precision."""
    layers = [i for i, k in enumerate(model.layers) if isinstance(k, GaussianLayer)]
    pairs = [c for c in model.connections if {c.target_index, c.domain_index} <= set(layers)]
    layers = sorted({i for c in pairs for i in (c.target_index, c.domain_index)})
    ends = np.cumsum([0, *(model.layers[i].num_units for i in layers)])
    where = {i: slice(ends[k], ends[k + 1]) for k, i in enumerate(layers)}
    precision = np.eye(int(ends[-1]))
    for c in pairs:
        rows, columns = where[c.target_index], where[c.domain_index]
        scale = [deviations_of(model.layers[i]) for i in (c.target_index, c.domain_index)]
        weights = np.asarray(be.to_numpy_array(c.weights.W()), np.float64)
        precision[rows, columns] = -weights / np.outer(*scale)
        precision[columns, rows] = precision[rows, columns].T
    return precision


def deviations_of(layer: Any) -> np.ndarray:
    """Standard deviations of the units of a Gaussian layer given their field, (n,)."""
    return np.exp(0.5 * np.asarray(be.to_numpy_array(layer.params.log_var), np.float64))


def _is_positive_definite(matrix: np.ndarray) -> bool:
    """Of a matrix with ones in its diagonal; at the border, as far as can be told, it is not."""
    # factors are rounded by about n units in the last place, which may lift an eigenvalue of zero
    margin = ROUNDING * len(matrix)
    try:
        np.linalg.cholesky(matrix - margin * np.eye(len(matrix)))
    except np.linalg.LinAlgError:
        return False
    return True
