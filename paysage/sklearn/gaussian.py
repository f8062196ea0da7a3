"""The restricted Boltzmann machine of real visible units."""

from __future__ import annotations

from typing import Any

import numpy as np

from paysage import backends as be
from paysage.layers import BernoulliLayer, GaussianLayer, Layer
from paysage.models import BoltzmannMachine
from paysage.sklearn.rbm import RestrictedEstimator, own_array, tensor_like

Tensor = Any


class GaussianRBM(RestrictedEstimator):
    """Restricted Boltzmann machine of real visible and binary hidden units.

    The visible units keep the variances of the data, of which 1% is replaced by one, so that
    features that never vary are allowed. Trained by persistent contrastive divergence with ADAM.

    Parameters
    ----------
    n_components : int
        Number of hidden units.
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
    components_ : array (n_components, n_features)
        Weights between the hidden units and the visible ones divided by their variances.
    intercept_visible_, variance_visible_ : arrays (n_features,)
    intercept_hidden_ : array (n_components,)
    chains_ : list of arrays
        Visible and hidden units of the persistent chains.
    log_partition_, log_partition_interval_, score_interval_
        After ``score``.
    """

    _binary = False
    variance_visible_: np.ndarray

    def _layers(self, num_visible: int, num_hidden: int) -> tuple[Layer, Layer]:
        visible = GaussianLayer(num_visible)
        visible.set_fixed_params(["log_var"])
        return visible, BernoulliLayer(num_hidden)

    def _keep(self, model: BoltzmannMachine, dtype: Any) -> None:
        super()._keep(model, dtype)
        self.variance_visible_ = own_array(be.exp(model.layers[0].params.log_var), dtype)

    def _build(self) -> BoltzmannMachine:
        model = super()._build()
        log_var = np.log(np.asarray(self.variance_visible_, np.float64))
        model.layers[0].params.log_var[:] = be.float_tensor(log_var)
        return model

    def _hidden_fields(self, visible: Tensor) -> Tensor:
        return self._fields(visible / tensor_like(self.variance_visible_, visible))

    def _means(self, visible: Tensor) -> Tensor:
        return be.expit(self._hidden_fields(visible))

    def _visible_means(self, visible: Tensor) -> Tensor:
        return self._visible_fields(self._means(visible))

    def _log_weights(self, visible: Tensor) -> Tensor:
        away = visible - tensor_like(self.intercept_visible_, visible)
        own = be.square(away) / tensor_like(self.variance_visible_, visible)
        hidden = be.softplus(self._hidden_fields(visible))
        return be.tsum(hidden, axis=1) - 0.5 * be.tsum(own, axis=1)
