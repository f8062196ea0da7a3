"""First guesses of a machine's parameters, from the moments of the data.

All of them start the layers anew (fixed parameters stay), give the visible layer the moments of
the data, and differ in the weights.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from paysage import backends as be
from paysage.checks import is_one_of, is_whole
from paysage.errors import ConfigError, DataWarning
from paysage.factorization import PCA
from paysage.layers import GaussianLayer, Layer
from paysage.layers.gaussian import as_array, initial_variance
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
    for visible in batch.iterate("train", shuffle=False):
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
            if isinstance(layer, GaussianLayer):
                mean, var = as_array(moments.mean), as_array(moments.var)
                warn_of_constant_columns(initial_variance(mean, var)[1])
        _restore(layer, layer.fixed_params, before)
        layer.reset_offset()
        layer.enforce_constraints()


def _fill_weights(model: BoltzmannMachine, std: Callable[[tuple[int, int]], float]) -> None:
    for connection in model.connections:
        weights = connection.weights
        if "matrix" in weights.trainable():
            weights.params.matrix[:] = std(weights.shape) * be.randn(weights.shape)
            scale_by_units_(model, connection)
        weights.enforce_constraints()


def scale_by_units_(model: BoltzmannMachine, connection: Any) -> None:
    """Multiply a weight matrix by the scales of the units that it connects.

    Couplings see Gaussian units as x / variance: very wide or narrow ones would get fields that are
    far too small or too large.
    """
    matrix = connection.weights.params.matrix
    target = model.layers[connection.target_index].unit_scale()
    domain = model.layers[connection.domain_index].unit_scale()
    if target is not None:
        matrix *= be.unsqueeze(target, axis=1)
    if domain is not None:
        matrix *= be.unsqueeze(domain, axis=0)


def warn_of_constant_columns(constant: np.ndarray) -> None:
    """Issue a DataWarning if columns for Gaussian units are constant."""
    if constant.any():
        warnings.warn(
            f"{constant.sum()} of {len(constant)} columns are constant (the first is column "
            f"{int(np.argmax(constant))}); their Gaussian units get 1% of the mean variance. "
            "Remove the columns if they carry no information",
            DataWarning,
            stacklevel=6,
        )


def _glorot_std(shape: tuple[int, int]) -> float:
    return math.sqrt(2.0 / sum(shape))


#: settings of the gradient descent by which version 0.2 found principal components
_IGNORED = (
    "convergence",
    "epochs",
    "grad_steps_per_minibatch",
    "minimum_stepsize",
    "orthogonalize_rate",
    "stepsize",
    "verbose",
)


def _check_keywords(method: str, kwargs: dict[str, Any], known: str = "") -> None:
    """Raise a ConfigError for keywords other than those that version 0.2 accepted."""
    unknown = sorted(kwargs.keys() - set(_IGNORED))
    if unknown:
        raise ConfigError(
            f"the initializer {method!r} got the unknown keyword(s) {', '.join(unknown)}; expected "
            f"{known}keywords of version 0.2, which are ignored: {', '.join(_IGNORED)}"
        )


def hinton(batch: Any, model: BoltzmannMachine, **kwargs: Any) -> None:
    """Draw weights from N(0, 0.01²); Hinton, A practical guide to training RBMs (2010).

    Keywords of version 0.2, such as `epochs` and `stepsize`, are ignored.
    """
    _check_keywords("hinton", kwargs)
    _fit_layers(model, _data_moments(batch, model.layers[0]))
    _fill_weights(model, lambda shape: 0.01)


def glorot_normal(batch: Any, model: BoltzmannMachine, **kwargs: Any) -> None:
    """Draw weights from N(0, 2/(V+H)); Glorot & Bengio, AISTATS (2010).

    Keywords of version 0.2, such as `epochs` and `stepsize`, are ignored.
    """
    _check_keywords("glorot_normal", kwargs)
    _fit_layers(model, _data_moments(batch, model.layers[0]))
    _fill_weights(model, _glorot_std)


def stddev(batch: Any, model: BoltzmannMachine, **kwargs: Any) -> None:
    """Do as ``glorot_normal``, then scale rows of visible weights by the data's deviations.

    Rows that ``glorot_normal`` has scaled already, by ``Layer.unit_scale``, are divided by it.
    Keywords of version 0.2, such as `epochs` and `stepsize`, are ignored.
    """
    _check_keywords("stddev", kwargs)
    moments = _data_moments(batch, model.layers[0])
    _fit_layers(model, moments)
    _fill_weights(model, _glorot_std)
    scale = be.sqrt(moments.var)
    if (units := model.layers[0].unit_scale()) is not None:
        scale = scale / units
    for connection in model.connections:
        weights = connection.weights
        if "matrix" not in weights.trainable():
            continue
        if connection.target_index == 0:
            weights.params.matrix[:] = weights.params.matrix * be.unsqueeze(scale, axis=1)
        elif connection.domain_index == 0:
            weights.params.matrix[:] = weights.params.matrix * be.unsqueeze(scale, axis=0)
        weights.enforce_constraints()


#: components of less than this part of the first one's variance have no direction of their own
_LEAST_VARIANCE = 1e-6


def pca(
    batch: Any, model: BoltzmannMachine, num_components: int | None = None, **kwargs: Any
) -> None:
    """Set the first columns of visible weights along the principal components of the data.

    Column j of the matrix between the visible layer and one of H units is
    sqrt(2V/(V+H)) · std_j/‖std‖ times the j-th principal direction of the training data, where
    std_j is their standard deviation along it, and ‖std‖ the norm of these over the directions
    used. Rows of Gaussian units whose ``unit_scale`` is below 1 are multiplied by it: their fields
    would be far too large otherwise. Columns beyond the number of components, and other matrices,
    are filled as by ``glorot_normal``.

    Parameters
    ----------
    batch : Batch
        Its training rows are read twice, and more often beyond 2048 columns, see ``PCA``.
    model : BoltzmannMachine
    num_components : int, optional
        Columns to set; by default as many as there are directions along which the data vary, at
        most H.
    **kwargs
        Keywords of version 0.2, such as `epochs` and `stepsize`, are ignored.

    Raises
    ------
    ConfigError
        If `num_components` is not between 1 and H, or another keyword is unknown.
    """
    _check_keywords("pca", kwargs, "num_components, or ")
    connections = [c for c in model.connections if 0 in (c.target_index, c.domain_index)]
    most = max(be.shape(_from_visible(c))[1] for c in connections)
    if num_components is not None and not (is_whole(num_components, 1) and num_components <= most):
        raise ConfigError(f"num_components is {num_components!r}, expected from 1 to {most}")
    moments = _data_moments(batch, model.layers[0])
    _fit_layers(model, moments)
    _fill_weights(model, _glorot_std)
    count = min(num_components or most, moments.num, batch.ncols)
    components = PCA.from_batch(batch, count)
    for connection in connections:
        if "matrix" in connection.weights.trainable():
            _lay_along(_from_visible(connection), components, model.layers[0].unit_scale())
        connection.weights.enforce_constraints()


def _lay_along(matrix: Any, components: PCA, unit_scale: Any) -> None:
    """Write the components along which the data vary into the first columns of (V, H).

    Rows are multiplied by `unit_scale` (V,) where it is below 1; None stands for ones.
    """
    visible, hidden = be.shape(matrix)
    varying = be.greater(components.var, _LEAST_VARIANCE * components.var[0])
    width = min(hidden, be.tsum(varying))
    std = be.sqrt(components.var[:width])
    length = _glorot_std((visible, hidden)) * math.sqrt(visible)
    matrix[:, :width] = components.W[:, :width] * (std * (length / max(be.norm(std), be.EPSILON)))
    if unit_scale is not None:
        matrix[:, :width] *= be.unsqueeze(be.clip(unit_scale, a_max=1.0), axis=1)


def _from_visible(connection: Any) -> Any:
    """A view of a connection's matrix with the visible units along its rows."""
    matrix = connection.weights.params.matrix
    return matrix if connection.target_index == 0 else be.transpose(matrix)


INITIALIZERS: dict[str, Callable[..., None]] = {
    "hinton": hinton,
    "glorot_normal": glorot_normal,
    "stddev": stddev,
    "pca": pca,
}


def initializer(name: str) -> Callable[..., None]:
    """The initializer of that name; a ConfigError for an unknown one."""
    if not is_one_of(name, INITIALIZERS):
        raise ConfigError(f"unknown initializer {name!r}; known: {', '.join(INITIALIZERS)}")
    return INITIALIZERS[name]
