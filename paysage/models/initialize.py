"""First guesses of a machine's parameters, from the moments of the data.

All of them start the layers anew (fixed parameters stay), give the visible layer the moments of
the data, and differ in the weights.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from paysage import backends as be
from paysage.errors import ConfigError
from paysage.layers import Layer
from paysage.math_utils import MeanVarianceArrayCalculator

if TYPE_CHECKING:
    from paysage.models.boltzmann import BoltzmannMachine


def check_batch(batch: Any) -> None:
    """Raise a ConfigError unless the object delivers minibatches."""
    if not hasattr(batch, "iterate"):
        raise ConfigError(
            f"got a {type(batch).__name__} for a batch: make one of an array by "
            "batch.in_memory_batch(array, batch_size)"
        )


def _data_moments(batch: Any, layer: Layer) -> MeanVarianceArrayCalculator:
    """Mean and variance of each visible unit over a pass of the training data."""
    moments = MeanVarianceArrayCalculator()
    for visible in batch.iterate("train"):
        layer.check_values(visible)
        moments.update(visible)
    return moments


def _restore(owner: Any, names: list[str], values: Any) -> None:
    """Put fixed parameters back after something has set all of them."""
    for name in names:
        getattr(owner.params, name)[:] = getattr(values, name)


def _fit_layers(model: BoltzmannMachine, moments: MeanVarianceArrayCalculator) -> None:
    for i, layer in enumerate(model.layers):
        before = type(layer.params)(*(be.copy_tensor(p) for p in layer.params))
        layer.set_params(layer.init_params())
        if i == 0:
            layer.fit_marginal(moments)
        _restore(layer, layer.fixed_params, before)
        layer.reset_offset()
        layer.enforce_constraints()


def _fill_weights(model: BoltzmannMachine, std: Callable[[tuple[int, int]], float]) -> None:
    for connection in model.connections:
        weights = connection.weights
        if "matrix" in weights.trainable():
            weights.params.matrix[:] = std(weights.shape) * be.randn(weights.shape)
        weights.enforce_constraints()


def _glorot_std(shape: tuple[int, int]) -> float:
    return math.sqrt(2.0 / sum(shape))


def hinton(batch: Any, model: BoltzmannMachine) -> None:
    """Weights from N(0, 0.01²); Hinton, A practical guide to training RBMs (2010)."""
    _fit_layers(model, _data_moments(batch, model.layers[0]))
    _fill_weights(model, lambda shape: 0.01)


def glorot_normal(batch: Any, model: BoltzmannMachine) -> None:
    """Weights from N(0, 2/(V+H)); Glorot & Bengio, AISTATS (2010)."""
    _fit_layers(model, _data_moments(batch, model.layers[0]))
    _fill_weights(model, _glorot_std)


def stddev(batch: Any, model: BoltzmannMachine) -> None:
    """As ``glorot_normal``, rows of the visible weights times the data's standard deviation."""
    moments = _data_moments(batch, model.layers[0])
    _fit_layers(model, moments)
    _fill_weights(model, _glorot_std)
    scale = be.sqrt(moments.var)
    for connection in model.connections:
        weights = connection.weights
        if "matrix" not in weights.trainable():
            continue
        if connection.target_index == 0:
            weights.params.matrix[:] = weights.params.matrix * be.unsqueeze(scale, axis=1)
        elif connection.domain_index == 0:
            weights.params.matrix[:] = weights.params.matrix * be.unsqueeze(scale, axis=0)
        weights.enforce_constraints()


INITIALIZERS: dict[str, Callable[..., None]] = {
    "hinton": hinton,
    "glorot_normal": glorot_normal,
    "stddev": stddev,
}


def initializer(name: str) -> Callable[..., None]:
    """The initializer of that name; a ConfigError for an unknown one."""
    if name not in INITIALIZERS:
        raise ConfigError(f"unknown initializer {name!r}; known: {', '.join(INITIALIZERS)}")
    return INITIALIZERS[name]
