"""Restricted machines: one visible and one hidden layer, with scikit-learn's names."""

from __future__ import annotations

from typing import Any

import numpy as np

from paysage import backends as be
from paysage.checks import check_whole
from paysage.layers import Layer, Weights
from paysage.models import BoltzmannMachine, Connection
from paysage.optimizers import ADAM, Optimizer
from paysage.sklearn.estimator import MachineEstimator, start_at_moments

Tensor = Any


class RestrictedEstimator(MachineEstimator):
    """Base of the restricted machines: parameters as scikit-learn's ``BernoulliRBM`` names them.

    A subclass has the hook ``_layers(num_visible, num_hidden)``, and those of means.
    """

    components_: np.ndarray
    intercept_visible_: np.ndarray
    intercept_hidden_: np.ndarray

    def __init__(
        self,
        n_components: int = 256,
        *,
        learning_rate: float = 0.001,
        batch_size: int = 100,
        n_iter: int = 10,
        verbose: int = 0,
        shuffle: bool = True,
        random_state: Any = None,
    ) -> None:
        self.n_components = n_components
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.n_iter = n_iter
        self.verbose = verbose
        self.shuffle = shuffle
        self.random_state = random_state

    def _layers(self, num_visible: int, num_hidden: int) -> tuple[Layer, Layer]:
        raise NotImplementedError(f"{type(self).__name__} does not define _layers()")

    def _new_machine(self, num_visible: int) -> BoltzmannMachine:
        number = check_whole("n_components", self.n_components, 1)
        visible, hidden = self._layers(num_visible, number)
        return joined(visible, hidden, Weights((num_visible, number)))

    def _initialize(self, model: BoltzmannMachine, X: Any) -> None:
        start_at_moments(model, X)

    def _optimizer(self) -> Optimizer:
        return ADAM(stepsize=float(self.learning_rate))

    def _keep(self, model: BoltzmannMachine, dtype: Any) -> None:
        visible, hidden = model.layers
        self.components_ = own_array(model.connections[0].weights.W(trans=True), dtype)
        self.intercept_visible_ = own_array(visible.params.loc, dtype)
        self.intercept_hidden_ = own_array(hidden.params.loc, dtype)

    def _build(self) -> BoltzmannMachine:
        number, num_visible = self.components_.shape
        visible, hidden = self._layers(num_visible, number)
        weights = Weights((num_visible, number), scale=0.0)
        weights.set_params([np.ascontiguousarray(self.components_.T)])
        visible.params.loc[:] = be.float_tensor(self.intercept_visible_)
        hidden.params.loc[:] = be.float_tensor(self.intercept_hidden_)
        return joined(visible, hidden, weights)

    @property
    def _n_features_out(self) -> int:
        return len(self.components_)

    def _fields(self, seen: Tensor) -> Tensor:
        """What the hidden units receive from what connections see of the rows, biases included."""
        field = be.dot(seen, be.transpose(tensor_like(self.components_, seen)))
        return field + tensor_like(self.intercept_hidden_, seen)

    def _visible_fields(self, hidden: Tensor) -> Tensor:
        """What the visible units receive from hidden ones, biases included."""
        field = be.dot(hidden, tensor_like(self.components_, hidden))
        return field + tensor_like(self.intercept_visible_, hidden)


def joined(visible: Layer, hidden: Layer, weights: Weights) -> BoltzmannMachine:
    """The machine of two layers."""
    return BoltzmannMachine([visible, hidden], [Connection(0, 1, weights)])


def own_array(tensor: Tensor, dtype: Any) -> np.ndarray:
    """A copy of a tensor as an array."""
    return np.array(be.to_numpy_array(tensor), dtype=dtype, order="C")


def tensor_like(array: np.ndarray, rows: Tensor) -> Tensor:
    """An array as a tensor of the precision of some rows."""
    double = be.dtype(rows) == be.Double
    return be.from_numpy_array(np.asarray(array, np.float64 if double else np.float32))
