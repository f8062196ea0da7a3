"""The restricted Boltzmann machine of real visible units."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from paysage import backends as be
from paysage.layers import BernoulliLayer, GaussianLayer, Layer, Weights
from paysage.layers.gaussian import initial_variance
from paysage.likelihood.double_precision import double_tensor
from paysage.models import BoltzmannMachine
from paysage.models.initialize import warn_of_constant_columns
from paysage.sklearn.estimator import fill_glorot
from paysage.sklearn.rbm import RestrictedEstimator, joined, own_array, tensor_like
from paysage.sklearn.rows import moments_in_double

Tensor = Any


class GaussianRBM(RestrictedEstimator):
    """Restricted Boltzmann machine of real visible and binary hidden units.

    Features are standardized in double precision during training, and parameters are mapped back,
    so that neither the scale of a feature nor a large mean matters. The visible units keep their
    initial variances: those of the data, shrunk by 1% towards their mean; see
    ``layers.gaussian.initial_variance``. A DataWarning names constant features. Trained by
    persistent contrastive divergence with ADAM.

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
    mean_, scale_ : arrays (n_features,)
        By which features are standardized. These six are in double precision for any data.
    chains_ : list of arrays
        Visible and hidden units of the persistent chains.
    log_partition_, log_partition_interval_, score_interval_
        After ``score``.
    """

    _binary = False
    variance_visible_: np.ndarray
    mean_: np.ndarray
    scale_: np.ndarray

    def machine(self) -> BoltzmannMachine:
        """Return a copy of the fitted model, on the backend in use.

        Its visible layer is centered at ``intercept_visible_``, which leaves all energies as they
        are and reduces rounding for features with a large mean. Its parameters are in single
        precision all the same: where means exceed deviations more than 10,000 times, use the
        methods of the estimator, such as ``score``, instead.
        """
        check_is_fitted(self)
        loc, variance = self.intercept_visible_, self.variance_visible_
        visible = GaussianLayer(len(loc), center=True)
        visible.set_fixed_params(["log_var"])
        visible.set_params([loc, np.log(variance)])
        visible.set_offset(loc)
        offset = np.asarray(be.to_numpy_array(visible.offset), np.float64)
        hidden = BernoulliLayer(len(self.components_))
        hidden.set_params([self.intercept_hidden_ + self.components_ @ (offset / variance)])
        weights = Weights(self.components_.T.shape, scale=0.0)
        weights.set_params([np.ascontiguousarray(self.components_.T)])
        return joined(visible, hidden, weights)

    # hooks

    def _layers(self, num_visible: int, num_hidden: int) -> tuple[Layer, Layer]:
        visible = GaussianLayer(num_visible)
        visible.set_fixed_params(["log_var"])
        return visible, BernoulliLayer(num_hidden)

    def _prepare(self, X: Any) -> None:
        mean, variance = moments_in_double(X)
        resolution = 8.0 * float(np.finfo(X.dtype).eps) if X.dtype == np.float64 else 2.0**-24
        variance, constant = initial_variance(mean, variance, resolution)
        warn_of_constant_columns(constant)
        self.mean_, self.scale_ = mean, np.sqrt(variance)

    def _encode(self, rows: Tensor) -> Tensor:
        found = (rows - double_tensor(self.mean_)) / double_tensor(self.scale_)
        return found if be.dtype(rows) == be.Double else be.cast_float(found)

    def _decode(self, units: Tensor) -> Tensor:
        found = units * double_tensor(self.scale_) + double_tensor(self.mean_)
        return found if be.dtype(units) == be.Double else be.cast_float(found)

    def _log_volume(self) -> float:
        return float(np.log(self.scale_).sum())

    def _initialize(self, model: BoltzmannMachine, X: Any) -> None:
        """Set the weights; standardized features have mean zero and variance one already."""
        fill_glorot(model)

    def _keep(self, model: BoltzmannMachine, dtype: Any) -> None:
        visible, hidden = model.layers
        weights = own_array(model.connections[0].weights.W(trans=True), np.float64)
        variance = np.exp(own_array(visible.params.log_var, np.float64))
        self.components_ = weights * self.scale_
        self.variance_visible_ = variance * self.scale_**2
        self.intercept_visible_ = (
            self.mean_ + own_array(visible.params.loc, np.float64) * self.scale_
        )
        offset = self.components_ @ (self.mean_ / self.variance_visible_)
        self.intercept_hidden_ = own_array(hidden.params.loc, np.float64) - offset

    def _build(self) -> BoltzmannMachine:
        """Return the model of standardized features."""
        weights, biases, loc, variance = self._standardized()
        model = self._new_machine(len(loc))
        visible, hidden = model.layers
        visible.set_params([loc, np.log(variance)])
        hidden.set_params([biases])
        model.connections[0].weights.set_params([np.ascontiguousarray(weights.T)])
        return model

    def _standardized(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Return weights (H, V), hidden biases, and visible means and variances.

        All are parameters of the model of standardized features.
        """
        variance = self.variance_visible_ / self.scale_**2
        loc = (self.intercept_visible_ - self.mean_) / self.scale_
        offset = self.components_ @ (self.mean_ / self.variance_visible_)
        return self.components_ / self.scale_, self.intercept_hidden_ + offset, loc, variance

    def _means(self, visible: Tensor) -> Tensor:
        return be.expit(self._hidden_fields(visible))

    def _hidden_fields(self, visible: Tensor) -> Tensor:
        weights, biases, _, variance = (tensor_like(p, visible) for p in self._standardized())
        return be.dot(visible / variance, be.transpose(weights)) + biases

    def _visible_means(self, visible: Tensor) -> Tensor:
        weights, _, loc, _ = (tensor_like(p, visible) for p in self._standardized())
        return be.dot(self._means(visible), weights) + loc

    def _log_weights(self, visible: Tensor) -> Tensor:
        _, _, loc, variance = (tensor_like(p, visible) for p in self._standardized())
        own = be.square(visible - loc) / variance
        hidden = be.softplus(self._hidden_fields(visible))
        return be.tsum(hidden, axis=1) - 0.5 * be.tsum(own, axis=1)
