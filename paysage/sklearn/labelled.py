"""A restricted machine of rows and their labels, which tells the label of a row."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted

from paysage import backends as be
from paysage.checks import check_number, check_whole
from paysage.errors import ConfigError, DataError, ShapeError
from paysage.layers import BernoulliLayer, OneHotLayer, Weights
from paysage.models import BoltzmannMachine, Connection, State
from paysage.optimizers import ADAM
from paysage.schedules import Linear
from paysage.sklearn.estimator import FLOATS, start_at_moments
from paysage.sklearn.joint import JointTraining, class_logits
from paysage.sklearn.random_state import new_generator
from paysage.sklearn.rbm import own_array, tensor_like
from paysage.sklearn.rollback import unchanged_on_error
from paysage.sklearn.rows import checked_data, dense, over_blocks, warn_out_of_range
from paysage.sklearn.training import check_settings

Tensor = Any


class RBMClassifier(ClassifierMixin, BaseEstimator):
    """Restricted machine whose visible units are a row and its label, one unit a class.

    The hidden units are summed out in closed form, so that p(label | row) is exact (Larochelle &
    Bengio, ICML 2008). Trained on rows with their labels clamped, by persistent contrastive
    divergence with ADAM, whose learning rate falls to zero in a straight line.

    Parameters
    ----------
    n_components : int
        Number of hidden units.
    learning_rate : float
        At the start.
    batch_size : int
        Rows of a minibatch.
    n_iter : int
        Passes over the data.
    generative : float
        The part g of log p(row, label) in what is learned, which is g log p(row, label) +
        (1 - g) log p(label | row); above 0 and at most 1. The smaller it is, the fewer chains
        there are, about batch_size g / (1 - g).
    verbose : int
        Unless it is 0, print the accuracy on (up to about a thousand) rows after each pass.
    shuffle : bool, default True
        Visit the rows in a new random order in each pass.
    random_state : int, RandomState or None

    Attributes
    ----------
    classes_ : array (n_classes,)
    components_ : array (n_components, n_features)
    class_components_ : array (n_components, n_classes)
    intercept_visible_, intercept_hidden_, intercept_classes_ : arrays
    """

    def __init__(
        self,
        n_components: int = 1000,
        *,
        learning_rate: float = 0.005,
        batch_size: int = 100,
        n_iter: int = 30,
        generative: float = 0.1,
        verbose: int = 0,
        shuffle: bool = True,
        random_state: Any = None,
    ) -> None:
        self.n_components = n_components
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.n_iter = n_iter
        self.generative = generative
        self.verbose = verbose
        self.shuffle = shuffle
        self.random_state = random_state

    @unchanged_on_error
    def fit(self, X: Any, y: Any) -> RBMClassifier:
        """Learn from rows and their labels; earlier results are discarded.

        An exception leaves a fitted classifier as it was.

        Parameters
        ----------
        X : array or sparse matrix (n_samples, n_features)
        y : array (n_samples,)
            Labels, numbers or strings.

        Raises
        ------
        ConfigError, DataError
            If a setting or the labels cannot be used.
        DivergenceError
            If a parameter becomes NaN or infinite.
        """
        X, y = checked_data(self, X, y, dtype=FLOATS)
        check_settings(self)
        if not 0 < check_number("generative", self.generative) <= 1:
            raise ConfigError(f"generative is above 0, at most 1, got {self.generative!r}")
        check_classification_targets(y)
        self.classes_, labels = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise DataError("RBMClassifier needs labels of at least two classes, got one class")
        warn_out_of_range(X)
        with new_generator(self.random_state) as generator:
            model = self._new_machine(X, labels)
            rate = self.learning_rate
            decay = Linear(rate, rate / max(1, self.n_iter), maxval=None)
            training = JointTraining(
                model, ADAM(stepsize=decay, bias_correction=True), self.batch_size, self.generative
            )
            for epoch in range(1, int(self.n_iter) + 1):
                start = time.perf_counter()
                rows = np.arange(X.shape[0])
                order = generator.numpy.permutation(rows) if self.shuffle else rows
                training.epoch(X, labels, order)
                if self.verbose:
                    self._keep(model, X.dtype)
                    self._show(X, labels, epoch, time.perf_counter() - start)
            self._keep(model, X.dtype)
        self.generator_ = generator
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        """p(label | row), exactly: (n_samples, n_classes), in the order of ``classes_``.

        Parameters
        ----------
        X : array or sparse matrix (n_samples, n_features)
        """
        check_is_fitted(self)
        X = checked_data(self, X, dtype=FLOATS, reset=False)
        return over_blocks(lambda rows: be.softmax(self._logits(rows)), X)

    def predict(self, X: Any) -> np.ndarray:
        """The most probable label of each row, (n_samples,).

        Parameters
        ----------
        X : array or sparse matrix (n_samples, n_features)
        """
        check_is_fitted(self)
        return self.classes_[np.argmax(self.predict_proba(X), axis=1)]

    def sample(self, n_samples: int = 1, n_steps: int = 1000, label: Any = None) -> np.ndarray:
        """Draw rows by Gibbs sampling, of a label if one is given.

        Parameters
        ----------
        n_samples : int
            Each has a chain of its own, which starts with every unit drawn by itself.
        n_steps : int
            Sweeps of each chain.
        label : one of ``classes_``, or array (n_samples,) of them, optional
            Stays as it is: rows of p(row | label). Without it labels are drawn too: rows of p(row).

        Returns
        -------
        array (n_samples, n_features)

        Raises
        ------
        DataError, ShapeError
            If a label is none of ``classes_``, or there is not one for each sample.
        """
        check_is_fitted(self)
        n_samples = check_whole("n_samples", n_samples, 1)
        n_steps = check_whole("n_steps", n_steps)
        given = None if label is None else self._one_hot(label, n_samples)
        with self.generator_:
            model = self.machine()
            state = State.from_model(n_samples, model)
            if given is not None:
                state[2] = be.float_tensor(given)
            clamped = [] if given is None else [2]
            state = model.markov_chain(n_steps, state, clamped=clamped)
            return np.array(be.to_numpy_array(state[0]), dtype=self.components_.dtype)

    def machine(self) -> BoltzmannMachine:
        """The fitted machine, a copy on the backend in use: rows, hidden units, labels."""
        check_is_fitted(self)
        num_hidden, num_visible = self.components_.shape
        model = _joined(num_hidden, num_visible, len(self.classes_))
        biases = (self.intercept_visible_, self.intercept_hidden_, self.intercept_classes_)
        for layer, bias in zip(model.layers, biases, strict=True):
            layer.set_params([bias])
        for connection, matrix in zip(
            model.connections, (self.components_, self.class_components_), strict=True
        ):
            connection.weights.set_params([np.ascontiguousarray(matrix.T)])
        return model

    def _new_machine(self, X: Any, labels: np.ndarray) -> BoltzmannMachine:
        number = check_whole("n_components", self.n_components, 1)
        model = _joined(number, X.shape[1], len(self.classes_))
        start_at_moments(model, X)
        counts = np.bincount(labels, minlength=len(self.classes_))
        model.layers[2].params.loc[:] = be.float_tensor(np.log(counts / counts.sum()))
        return model

    def _keep(self, model: BoltzmannMachine, dtype: Any) -> None:
        biases = [own_array(layer.params.loc, dtype) for layer in model.layers]
        self.intercept_visible_, self.intercept_hidden_, self.intercept_classes_ = biases
        matrices = [own_array(c.weights.W(trans=True), dtype) for c in model.connections]
        self.components_, self.class_components_ = matrices

    def _logits(self, rows: Tensor) -> Tensor:
        field = be.dot(rows, be.transpose(tensor_like(self.components_, rows)))
        return class_logits(
            field + tensor_like(self.intercept_hidden_, rows),
            be.transpose(tensor_like(self.class_components_, rows)),
            tensor_like(self.intercept_classes_, rows),
        )

    def _one_hot(self, label: Any, number: int) -> np.ndarray:
        """A row (K,) for each of so many samples, of one label or of one each."""
        try:
            labels = np.asarray(label)
        except ValueError as error:  # lists of different lengths
            raise ShapeError(f"label is one for all samples or one for each: {error}") from error
        if labels.shape not in ((), (number,)):
            raise ShapeError(
                f"label is one for all {number} samples or one for each, got shape {labels.shape}"
            )
        known = self.classes_.tolist()
        unknown = [one for one in labels.reshape(-1).tolist() if one not in known]
        if unknown:
            raise DataError(f"got the label {unknown[0]!r}; the labels are {known}")
        places = [known.index(one) for one in labels.reshape(-1).tolist()]
        return np.broadcast_to(np.eye(len(known))[places], (number, len(known)))

    def _show(self, X: Any, labels: np.ndarray, epoch: int, seconds: float) -> None:
        step = max(1, X.shape[0] // 1000)
        logits = over_blocks(self._logits, dense(X[::step]))
        right = (logits.argmax(axis=1) == labels[::step]).mean()
        print(
            f"[{type(self).__name__}] Iteration {epoch}, accuracy = {right:.4f}, "
            f"time = {seconds:.2f}s",
            flush=True,
        )

    def __sklearn_tags__(self) -> Any:
        """Sparse data are taken; of rows that are not binary little can be learned."""
        tags = super().__sklearn_tags__()
        tags.classifier_tags.poor_score = True
        tags.input_tags.sparse = True
        return tags


def _joined(num_hidden: int, num_visible: int, num_classes: int) -> BoltzmannMachine:
    """Rows and labels, both connected to the hidden layer between them."""
    layers = [BernoulliLayer(num_visible), BernoulliLayer(num_hidden), OneHotLayer(num_classes)]
    connections = [
        Connection(0, 1, Weights((num_visible, num_hidden), scale=0.0)),
        Connection(2, 1, Weights((num_classes, num_hidden), scale=0.0)),
    ]
    return BoltzmannMachine(layers, connections)
