"""The Hopfield network, as a machine whose hidden units are real numbers."""

from __future__ import annotations

import math
from typing import Any

from paysage import backends as be
from paysage.layers import BernoulliLayer, GaussianLayer, Layer
from paysage.sklearn.rbm import RestrictedEstimator, tensor_like

Tensor = Any


class HopfieldNetwork(RestrictedEstimator):
    """Hopfield network of binary units: the hidden units are standard normal numbers.

    Summed over them the energy is -b·v - |W v|²/2: the rows of ``components_`` are the patterns
    (Barra, Bernacchia, Santucci & Contucci, Neural Networks 34, 2012). Trained by persistent
    contrastive divergence with ADAM.

    Parameters
    ----------
    n_components : int
        Number of patterns.
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
    intercept_visible_ : array (n_features,)
    intercept_hidden_ : array (n_components,)
        Zeros.
    chains_ : list of arrays
        Visible and hidden units of the persistent chains.
    log_partition_, log_partition_interval_, score_interval_
        After ``score``.
    """

    def _layers(self, num_visible: int, num_hidden: int) -> tuple[Layer, Layer]:
        hidden = GaussianLayer(num_hidden)
        hidden.set_fixed_params(["loc", "log_var"])
        return BernoulliLayer(num_visible), hidden

    def _means(self, visible: Tensor) -> Tensor:
        return self._fields(visible)

    def _visible_means(self, visible: Tensor) -> Tensor:
        return be.expit(self._visible_fields(self._means(visible)))

    def _log_weights(self, visible: Tensor) -> Tensor:
        own = be.dot(visible, tensor_like(self.intercept_visible_, visible))
        squares = be.square(self._fields(visible)) + math.log(2 * math.pi)
        return own + 0.5 * be.tsum(squares, axis=1)
