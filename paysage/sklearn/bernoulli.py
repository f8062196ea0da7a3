"""The restricted Boltzmann machine of binary units: scikit-learn's, faster."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from paysage import backends as be
from paysage.checks import is_one_of
from paysage.errors import ConfigError
from paysage.layers import BernoulliLayer, Layer
from paysage.likelihood.pseudo import BLOCK, Conditionals
from paysage.models import BoltzmannMachine, State
from paysage.optimizers import Gradient
from paysage.sklearn.rbm import RestrictedEstimator, tensor_like
from paysage.sklearn.rollback import unchanged_on_error
from paysage.sklearn.rows import (
    Minibatches,
    dense,
    moments_of,
    over_blocks,
    warn_out_of_range,
)
from paysage.sklearn.training import Training, check_settings
from paysage.threads import one_thread_each, side_by_side

Tensor = Any


class BernoulliRBM(RestrictedEstimator):
    """Restricted Boltzmann machine of binary units: takes the place of scikit-learn's.

    Trained by persistent contrastive divergence (Tieleman 2008), a sweep a minibatch, with plain
    gradient steps. Rows are visited in a new random order in each pass; scikit-learn's estimator
    visits them in their own order, as this one does with ``shuffle=False``.

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
        Unless it is 0, print the mean pseudo-likelihood of (up to about a thousand) rows after
        each pass.
    shuffle : bool, default True
        Visit the rows in a new random order in each pass.
    visible_init : {"means", "zeros"}, default "means"
        Initial visible biases: the log odds of the means of the columns (Hinton 2010), or zeros, as
        in scikit-learn. From zeros, wide sparse data switch all hidden units on.
    random_state : int, RandomState or None
        Where all random numbers come from; generators of the backend are not moved.

    Attributes
    ----------
    components_ : array (n_components, n_features)
        Weights.
    intercept_visible_ : array (n_features,)
    intercept_hidden_ : array (n_components,)
    chains_ : list of arrays
        Visible and hidden units of the persistent chains, ``batch_size`` rows each.
    h_samples_ : array (batch_size, n_components)
        The hidden ones.
    n_features_in_ : int
    feature_names_in_ : array of names, if the data had such
    log_partition_, log_partition_interval_, score_interval_
        After ``score``.
    """

    def __init__(
        self,
        n_components: int = 256,
        *,
        learning_rate: float = 0.1,
        batch_size: int = 10,
        n_iter: int = 10,
        verbose: int = 0,
        shuffle: bool = True,
        visible_init: str = "means",
        random_state: Any = None,
    ) -> None:
        super().__init__(
            n_components,
            learning_rate=learning_rate,
            batch_size=batch_size,
            n_iter=n_iter,
            verbose=verbose,
            shuffle=shuffle,
            random_state=random_state,
        )
        self.visible_init = visible_init

    @property
    def h_samples_(self) -> np.ndarray:
        """Hidden units of the persistent chains, (batch_size, n_components)."""
        check_is_fitted(self)
        return self.chains_[1]

    @unchanged_on_error
    def partial_fit(self, X: Any, y: Any = None) -> BernoulliRBM:
        """One gradient step on all rows given, with the chains where they were.

        Parameters
        ----------
        X : array or sparse matrix (n_samples, n_features)
        y : ignored
        """
        first = not hasattr(self, "components_")
        X = self._checked(X, reset=first)
        check_settings(self)
        warn_out_of_range(X)
        with self._generator():
            model = self._new_machine(X.shape[1]) if first else self._build()
            if first:
                self._initialize(model, X)
            chains = None if first else self.chains_
            training = Training(model, self._optimizer(), self.batch_size, chains)
            training.run(Minibatches(X, X.shape[0]), 1)
            dtype = X.dtype if first else self.components_.dtype
            self._keep(model, dtype)
            self.chains_ = [units.astype(dtype) for units in training.chains()]
        return self

    def score_samples(self, X: Any) -> np.ndarray:
        """Return the pseudo-likelihood of each row in nats, Σ_i log p(v_i | the other v).

        Exact and in double precision, see ``likelihood.pseudo_log_likelihood``. scikit-learn
        estimates the same number from one unit per row, chosen at random.

        Parameters
        ----------
        X : array or sparse matrix (n_samples, n_features)
            Rows of zeros and ones. Other values are compared with 1 - v, as in scikit-learn.

        Returns
        -------
        array (n_samples,)
        """
        check_is_fitted(self)
        X = self._checked(X)
        conditionals = Conditionals(self._build())

        def of_rows(low: int) -> np.ndarray:
            rows = dense(X[low : low + BLOCK]).astype(np.float64)
            return conditionals.sum_over_variables(rows)

        starts = range(0, X.shape[0], BLOCK)
        with one_thread_each(), np.errstate(all="ignore"):
            return np.concatenate(side_by_side(*(partial(of_rows, low) for low in starts)))

    def gibbs(self, v: Any) -> np.ndarray:
        """One step of Gibbs sampling: hidden units, then visible ones.

        Parameters
        ----------
        v : array or sparse matrix (n_samples, n_features)

        Returns
        -------
        array of booleans (n_samples, n_features)
        """
        check_is_fitted(self)
        v = self._checked(v)
        with self._generator():
            model = self._build()

            def sweep(rows: Tensor) -> Tensor:
                units = be.copy_tensor(be.cast_float(rows))
                room = be.zeros((len(units), model.layers[1].num_units))
                return model.update_state_(1, State([units, room]))[0] > 0.5

            return over_blocks(sweep, v)

    # hooks

    def _layers(self, num_visible: int, num_hidden: int) -> tuple[Layer, Layer]:
        return BernoulliLayer(num_visible), BernoulliLayer(num_hidden)

    def _initialize(self, model: BoltzmannMachine, X: Any) -> None:
        """Set the visible biases; weights are N(0, 0.01²) and hidden biases zero already."""
        if not is_one_of(self.visible_init, ("means", "zeros")):
            raise ConfigError(f"visible_init must be 'means' or 'zeros', got {self.visible_init!r}")
        if self.visible_init == "means":
            # half a row more of ones and of zeros: a column without ones has a finite bias
            means = np.clip(be.to_numpy_array(moments_of(X).mean).astype(np.float64), 0.0, 1.0)
            means = (X.shape[0] * means + 0.5) / (X.shape[0] + 1.0)
            model.layers[0].params.loc[:] = be.float_tensor(np.log(means / (1.0 - means)))

    def _optimizer(self) -> Gradient:
        return Gradient(stepsize=float(self.learning_rate))

    def _means(self, visible: Tensor) -> Tensor:
        return be.expit(self._fields(visible))

    def _visible_means(self, visible: Tensor) -> Tensor:
        return be.expit(self._visible_fields(self._means(visible)))

    def _log_weights(self, visible: Tensor) -> Tensor:
        own = be.dot(visible, tensor_like(self.intercept_visible_, visible))
        return own + be.tsum(be.softplus(self._fields(visible)), axis=1)

    def _report(self, X: Any) -> str:
        shown = X[:: max(1, X.shape[0] // 1000)]
        return (
            f"[{type(self).__name__}] Iteration {{iteration}}, pseudo-likelihood = "
            f"{self.score_samples(shown).mean():.2f}, time = {{seconds:.2f}}s"
        )
