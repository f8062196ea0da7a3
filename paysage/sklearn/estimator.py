"""What all estimators share: a machine that is trained, and what is asked of it afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from paysage import backends as be
from paysage.backends.generator import Generator
from paysage.checks import check_whole
from paysage.models import BoltzmannMachine, State
from paysage.optimizers import Optimizer
from paysage.sklearn.partition import log_partition
from paysage.sklearn.random_state import new_generator
from paysage.sklearn.rollback import unchanged_on_error
from paysage.sklearn.rows import (
    Minibatches,
    checked_data,
    dense,
    moments_of,
    over_blocks,
    warn_out_of_range,
)
from paysage.sklearn.training import Training, check_settings

Tensor = Any
FLOATS = (np.float64, np.float32)


class MachineEstimator(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Base of the estimators. Fitted attributes are NumPy arrays, whatever backend is in use.

    A subclass has the hooks ``_new_machine``, ``_optimizer``, ``_keep``, ``_build``, ``_means``,
    ``_visible_means`` and ``_log_weights``.
    """

    n_iter: int
    batch_size: int
    verbose: int
    shuffle: bool
    random_state: Any
    learning_rate: float
    n_features_in_: int
    chains_: list[np.ndarray]
    generator_: Generator

    #: whether visible units are binary
    _binary = True

    # hooks

    def _new_machine(self, num_visible: int) -> BoltzmannMachine:
        """A machine on the backend in use, with first values of its parameters."""
        raise NotImplementedError(f"{type(self).__name__} does not define _new_machine()")

    def _prepare(self, X: Any) -> None:
        """Set what ``_encode`` depends on, from the data of a fit."""

    def _encode(self, rows: Tensor) -> Tensor:
        """Return rows of features (B, V) as visible units of the model."""
        return rows

    def _decode(self, units: Tensor) -> Tensor:
        """Return visible units of the model (B, V) as rows of features."""
        return units

    def _log_volume(self) -> float:
        """Return the log of the volume of features per unit volume of visible units."""
        return 0.0

    def _initialize(self, model: BoltzmannMachine, X: Any) -> None:
        """Give the parameters first values that depend on the data."""

    def _optimizer(self) -> Optimizer:
        raise NotImplementedError(f"{type(self).__name__} does not define _optimizer()")

    def _keep(self, model: BoltzmannMachine, dtype: Any) -> None:
        """Store the parameters in attributes, arrays of this type."""
        raise NotImplementedError(f"{type(self).__name__} does not define _keep()")

    def _build(self) -> BoltzmannMachine:
        """The machine of the attributes, on the backend in use."""
        raise NotImplementedError(f"{type(self).__name__} does not define _build()")

    def _means(self, visible: Tensor) -> Tensor:
        """The representation of rows (B, V): means of the last layer, (B, n_components)."""
        raise NotImplementedError(f"{type(self).__name__} does not define _means()")

    def _visible_means(self, visible: Tensor) -> Tensor:
        """Means of the visible units given the means of the hidden ones given rows, (B, V)."""
        raise NotImplementedError(f"{type(self).__name__} does not define _visible_means()")

    def _log_weights(self, visible: Tensor) -> Tensor:
        """Log-likelihood of rows (B, V) without the partition function, or a bound on it, (B,)."""
        raise NotImplementedError(f"{type(self).__name__} does not define _log_weights()")

    def _report(self, X: Any) -> str:
        """How the training goes, for people to read."""
        name = type(self).__name__
        shown = X[:: max(1, X.shape[0] // 1000)]
        gap = np.square(over_blocks(self._reconstruct, shown) - dense(shown)).mean()
        return (
            f"[{name}] Iteration {{iteration}}, reconstruction error = {gap**0.5:.4f}, "
            "time = {seconds:.2f}s"
        )

    # what scikit-learn asks for

    @unchanged_on_error
    def fit(self, X: Any, y: Any = None) -> Any:
        """Learn from data; earlier results are discarded.

        An exception leaves a fitted estimator as it was.

        Parameters
        ----------
        X : array or sparse matrix (n_samples, n_features)
        y : ignored

        Raises
        ------
        ConfigError
            If a setting cannot be used; it is a ValueError, as all errors about input are.
        DivergenceError
            If a parameter becomes NaN or infinite.
        """
        X = self._checked(X, reset=True)
        check_settings(self)
        if self._binary:
            warn_out_of_range(X)
        with new_generator(self.random_state) as generator:
            self._prepare(X)
            model = self._new_machine(X.shape[1])
            self._initialize(model, X)
            training = Training(model, self._optimizer(), self.batch_size)
            rng = generator.numpy if self.shuffle else None
            minibatches = Minibatches(X, self.batch_size, rng, self._encode)

            def report() -> str:
                self._keep(model, X.dtype)
                return self._report(X)

            training.run(minibatches, self.n_iter, report if self.verbose else None)
            self._keep(model, X.dtype)
            visible, *hidden = training.chains()
            chains = [self._decode_array(visible), *hidden]
            self.chains_ = [units.astype(X.dtype) for units in chains]
        self.generator_ = generator
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Means of the hidden units given each row, (n_samples, n_components), as deep as they go.

        They are computed in the precision of the data.

        Parameters
        ----------
        X : array or sparse matrix (n_samples, n_features)
        """
        check_is_fitted(self)
        return over_blocks(lambda rows: self._means(self._encode(rows)), self._checked(X))

    def reconstruct(self, X: Any) -> np.ndarray:
        """Means of the visible units given the means of the hidden ones given each row.

        Parameters
        ----------
        X : array or sparse matrix (n_samples, n_features)

        Returns
        -------
        array (n_samples, n_features)
        """
        check_is_fitted(self)
        return over_blocks(self._reconstruct, self._checked(X))

    def sample(self, n_samples: int = 1, n_steps: int = 1000) -> np.ndarray:
        """Draw visible units by Gibbs sampling.

        Parameters
        ----------
        n_samples : int
            Each has a chain of its own, which starts where one of the training's chains is.
        n_steps : int
            Sweeps of each chain.

        Returns
        -------
        array (n_samples, n_features)
        """
        check_is_fitted(self)
        n_samples = check_whole("n_samples", n_samples, 1)
        with self._generator() as generator:
            chosen = generator.numpy.integers(len(self.chains_[0]), size=n_samples)
            visible, *hidden = (units[chosen] for units in self.chains_)
            start = self._encode(be.from_numpy_array(visible.astype(np.float64)))
            state = State([start, *hidden])
            state = self._build().markov_chain(check_whole("n_steps", n_steps), state)
            rows = self._decode_array(be.to_numpy_array(state[0]))
            return rows.astype(self.chains_[0].dtype)

    @unchanged_on_error
    def score(
        self, X: Any, y: Any = None, *, num_chains: int = 100, betas: int | Sequence = 1000
    ) -> float:
        """Mean log-likelihood of the rows in nats, by annealed importance sampling of log Z.

        Machines one half of whose layers has at most 14 binary units are summed exactly. What is
        found is in the attributes ``log_partition_``, ``log_partition_interval_`` and
        ``score_interval_``: three standard errors of log Z on either side.

        Parameters
        ----------
        X : array or sparse matrix (n_samples, n_features)
        y : ignored
        num_chains, betas
            See ``likelihood.AIS``.

        Warns
        -----
        LikelihoodWarning
            If the chains disagree too much for the interval to be trusted: take more `betas`.
        """
        check_is_fitted(self)
        X = self._checked(X)
        with new_generator(self.random_state):
            moments = moments_of(X, self._encode)
            found = log_partition(self._build(), moments, num_chains, betas)
        log_z, low, high = (number + self._log_volume() for number in found)
        double = X.astype(np.float64)
        mean = float(over_blocks(lambda v: self._log_weights(self._encode(v)), double).mean())
        self.log_partition_, self.log_partition_interval_ = log_z, (low, high)
        self.score_interval_ = (mean - high, mean - low)
        return mean - log_z

    def machine(self) -> BoltzmannMachine:
        """The fitted machine, on the backend in use: a copy, for everything else in the library."""
        check_is_fitted(self)
        return self._build()

    def _generator(self) -> Generator:
        """Return the generator of a fitted estimator, also where a user set the attributes."""
        if not hasattr(self, "generator_"):
            self.generator_ = new_generator(self.random_state)
        return self.generator_

    def _reconstruct(self, rows: Tensor) -> Tensor:
        return self._decode(self._visible_means(self._encode(rows)))

    def _decode_array(self, units: np.ndarray) -> np.ndarray:
        double = be.from_numpy_array(np.array(units, dtype=np.float64))
        return np.asarray(be.to_numpy_array(self._decode(double)))

    def _checked(self, X: Any, reset: bool = False) -> Any:
        """The data, dense or CSR, in single or double precision."""
        return checked_data(self, X, dtype=FLOATS, reset=reset)

    def __sklearn_tags__(self) -> Any:
        """Sparse data are taken; what comes out has the precision of what went in."""
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def start_at_moments(model: BoltzmannMachine, X: Any) -> None:
    """Visible units with the moments of the data; weights from N(0, 2/(V+H)) (Glorot 2010)."""
    moments = moments_of(X)
    visible = model.layers[0]
    visible.fit_marginal(moments)
    visible.reset_offset()
    fill_glorot(model)


def fill_glorot(model: BoltzmannMachine) -> None:
    """Sample all weights from N(0, 2/(V+H)) (Glorot 2010)."""
    for connection in model.connections:
        shape = connection.weights.shape
        connection.weights.params.matrix[:] = (2.0 / sum(shape)) ** 0.5 * be.randn(shape)
