"""Build models from the parameters that version 0.2 stored."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from paysage import backends as be
from paysage.checks import check_list
from paysage.errors import ConfigError, ShapeError, StorageError
from paysage.layers import BernoulliLayer, GaussianLayer, Layer, OneHotLayer, Weights
from paysage.layers.layer import LAYER_TYPES
from paysage.models.graph import Connection
from paysage.registry import configuring
from paysage.storage.legacy import LegacyModel

LAYER_NAMES = {"bernoulli": BernoulliLayer, "gaussian": GaussianLayer, "onehot": OneHotLayer}


def legacy_parts(
    stored: LegacyModel, layer_types: Sequence[Any] | None
) -> tuple[list[Layer], list[Connection]]:
    """Return layers and connections with the parameters of a file of version 0.2.

    Parameters
    ----------
    stored : LegacyModel
    layer_types : sequence, optional
        One type a layer: a subclass of Layer, its name, 'bernoulli', 'gaussian' or 'onehot', or
        None for the default. By default a layer with one parameter is a BernoulliLayer and one
        with two parameters a GaussianLayer.

    Raises
    ------
    StorageError
        If the layers and weights do not form a chain, or a parameter is not finite.
    ConfigError
        If a layer type is unknown or does not fit the stored parameters.
    """
    _check_chain(stored)
    number = len(stored.layers)
    types: list[Any] = [None] * number
    if layer_types is not None:
        expected = f"layer_types must list one type for each of the {number} layers"
        types = [layer_types] if isinstance(layer_types, str) else check_list(expected, layer_types)
        if len(types) != number:
            raise ConfigError(f"{expected}, got {layer_types!r}")
    layers = [
        _layer(kind, params, f"layer {i} of {stored.name}")
        for i, (kind, params) in enumerate(zip(types, stored.layers, strict=True))
    ]
    connections = [Connection(i, i + 1, Weights(w.shape)) for i, w in enumerate(stored.weights)]
    for connection, matrix in zip(connections, stored.weights, strict=True):
        connection.weights.set_params([matrix])
    return layers, connections


def _check_chain(stored: LegacyModel) -> None:
    """Refuse parameters that are not finite, and weights that do not join each layer to the next.

    The file names the ends of a connection in its pickled configuration only.
    """
    arrays = [*(array for params in stored.layers for array in params), *stored.weights]
    if not all(np.isfinite(array).all() for array in arrays):
        raise StorageError(f"{stored.name} has parameters that are NaN or infinite")
    for i, params in enumerate(stored.layers):
        if len({array.shape for array in params}) > 1:
            raise StorageError(
                f"the parameters of layer {i} of {stored.name} have different lengths: "
                f"{[len(array) for array in params]}"
            )
    sizes = [len(params[0]) for params in stored.layers]
    chain = list(itertools.pairwise(sizes))
    shapes = [matrix.shape for matrix in stored.weights]
    if shapes != chain:
        raise StorageError(
            f"the weights of {stored.name} do not form a chain: layers of {sizes} units need "
            f"weights of shapes {chain}, found {shapes}. For another graph, build the model with "
            "conn_list, read the arrays with storage.read_legacy_model and pass them to set_params"
        )


def _layer(kind: Any, params: list[np.ndarray], where: str) -> Layer:
    if kind is None and len(params) <= 2:
        kind = (BernoulliLayer, GaussianLayer)[len(params) - 1]
    elif isinstance(kind, str):
        kind = LAYER_NAMES.get(kind.lower()) or LAYER_TYPES.get(kind)
    if not (isinstance(kind, type) and issubclass(kind, Layer)):
        raise ConfigError(
            f"the type of {where}, which has {len(params)} parameters, is unknown: expected a "
            f"subclass of Layer, its name, or one of {', '.join(LAYER_NAMES)} in layer_types, "
            f"got {kind!r}"
        )
    with configuring(kind.__name__):
        layer = kind(len(params[0]))
    try:
        layer.set_params([be.float_tensor(array) for array in params])
    except ShapeError as error:
        raise ConfigError(
            f"{where} has {len(params)} parameters of {len(params[0])} numbers, which do not fit "
            f"a {kind.__name__} ({', '.join(layer.get_param_names())}); choose another type in "
            "layer_types"
        ) from error
    layer.reset_offset()
    return layer
