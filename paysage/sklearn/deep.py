"""The deep Boltzmann machine of binary units."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from paysage import backends as be
from paysage.checks import check_whole
from paysage.errors import ConfigError
from paysage.layers import BernoulliLayer, Weights
from paysage.models import BoltzmannMachine, Connection
from paysage.optimizers import ADAM, Optimizer
from paysage.sklearn.estimator import MachineEstimator, start_at_moments
from paysage.sklearn.rbm import own_array, tensor_like

Tensor = Any

#: sweeps of the mean fields of the hidden layers
MEAN_FIELD_SWEEPS = 30


class DeepBoltzmannMachine(MachineEstimator):
    """Deep Boltzmann machine of binary units.

    All layers are trained together by persistent contrastive divergence with ADAM, without a
    pretraining, which centering makes possible (Montavon & Müller 2012). ``transform`` gives mean
    fields of the last layer; ``score`` is a lower bound on the log-likelihood, by the mean fields
    of all of them (Salakhutdinov & Hinton 2009).

    Parameters
    ----------
    hidden_layer_sizes : sequence of int
        Units of each hidden layer, from the bottom up.
    learning_rate : float
    batch_size : int
        Rows of a minibatch, and number of persistent chains.
    n_iter : int
        Passes over the data.
    verbose : int
        Unless it is 0, print the error of reconstructions after each pass.
    shuffle : bool, default True
        Visit the rows in a new random order in each pass.
    random_state : int, RandomState or None

    Attributes
    ----------
    coefs_ : list of arrays (n_below, n_above)
        Weights of each pair of layers.
    intercepts_ : list of arrays (n,)
        Biases of each layer, the visible one first.
    chains_ : list of arrays
        Units of each layer of the persistent chains.
    log_partition_, log_partition_interval_, score_interval_
        After ``score``.
    """

    coefs_: list[np.ndarray]
    intercepts_: list[np.ndarray]

    def __init__(
        self,
        hidden_layer_sizes: Sequence[int] = (256, 256),
        *,
        learning_rate: float = 0.001,
        batch_size: int = 100,
        n_iter: int = 10,
        verbose: int = 0,
        shuffle: bool = True,
        random_state: Any = None,
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.n_iter = n_iter
        self.verbose = verbose
        self.shuffle = shuffle
        self.random_state = random_state

    @property
    def _n_features_out(self) -> int:
        return len(self.intercepts_[-1])

    def _new_machine(self, num_visible: int) -> BoltzmannMachine:
        sizes = self.hidden_layer_sizes
        if not isinstance(sizes, (list, tuple)) or not sizes:
            raise ConfigError(f"hidden_layer_sizes takes a sequence of numbers, got {sizes!r}")
        sizes = [check_whole("hidden_layer_sizes", size, 1) for size in sizes]
        return BoltzmannMachine([BernoulliLayer(n, center=True) for n in (num_visible, *sizes)])

    def _initialize(self, model: BoltzmannMachine, X: Any) -> None:
        start_at_moments(model, X)

    def _optimizer(self) -> Optimizer:
        return ADAM(stepsize=float(self.learning_rate))

    def _keep(self, model: BoltzmannMachine, dtype: Any) -> None:
        plain = model.uncentered()
        self.coefs_ = [own_array(c.weights.W(), dtype) for c in plain.connections]
        self.intercepts_ = [own_array(layer.params.loc, dtype) for layer in plain.layers]

    def _build(self) -> BoltzmannMachine:
        layers = [BernoulliLayer(len(b)) for b in self.intercepts_]
        connections = [
            Connection(i, i + 1, Weights(w.shape, scale=0.0)) for i, w in enumerate(self.coefs_)
        ]
        for layer, bias in zip(layers, self.intercepts_, strict=True):
            layer.set_params([bias])
        for connection, matrix in zip(connections, self.coefs_, strict=True):
            connection.weights.set_params([matrix])
        return BoltzmannMachine(layers, connections)

    def _parameters(self, rows: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        weights = [tensor_like(w, rows) for w in self.coefs_]
        return weights, [tensor_like(b, rows) for b in self.intercepts_]

    def _fields(self, units: list[Tensor], i: int, weights: Any, biases: Any) -> Tensor:
        field = be.dot(units[i - 1], weights[i - 1]) + biases[i] if i > 0 else biases[0]
        if i < len(weights):
            field = field + be.dot(units[i + 1], be.transpose(weights[i]))
        return field

    def _mean_fields(self, visible: Tensor) -> list[Tensor]:
        """Units of all layers: rows as they are, and the mean fields of the hidden layers."""
        weights, biases = self._parameters(visible)
        units, top = [visible], len(weights)
        for i in range(1, top + 1):
            # what comes from below stands in for what the layer above is going to send
            gain = 1.0 if i == top else 2.0
            units.append(be.expit(gain * be.dot(units[-1], weights[i - 1]) + biases[i]))
        for _ in range(MEAN_FIELD_SWEEPS if top > 1 else 0):
            for i in itertools.chain(range(1, top + 1, 2), range(2, top + 1, 2)):
                units[i] = be.expit(self._fields(units, i, weights, biases))
        return units

    def _means(self, visible: Tensor) -> Tensor:
        return self._mean_fields(visible)[-1]

    def _visible_means(self, visible: Tensor) -> Tensor:
        units = self._mean_fields(visible)
        return be.expit(self._fields(units, 0, *self._parameters(visible)))

    def _log_weights(self, visible: Tensor) -> Tensor:
        """The variational bound, which holds for any fields, here those of one more sweep."""
        units = self._mean_fields(visible)
        weights, biases = self._parameters(visible)
        fields = [self._fields(units, i, weights, biases) for i in range(1, len(units))]
        means = [visible, *map(be.expit, fields)]
        total = be.dot(visible, biases[0])
        for mean, field, bias in zip(means[1:], fields, biases[1:], strict=True):
            entropy = be.softplus(field) - field * mean
            total = total + be.tsum(entropy + mean * bias, axis=1)
        for below, above, matrix in zip(means, means[1:], weights, strict=False):
            total = total + be.tsum(be.dot(below, matrix) * above, axis=1)
        return total
