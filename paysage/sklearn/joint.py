"""Training of a machine of rows, hidden units and labels, with rows and labels clamped."""

from __future__ import annotations

from typing import Any

import numpy as np

from paysage import backends as be
from paysage.fit.checks import check_finite
from paysage.fit.step import room_for_steps
from paysage.models import BoltzmannMachine, State
from paysage.models.gradient import GradientBuilder
from paysage.optimizers import Optimizer
from paysage.samplers import SequentialMC
from paysage.sklearn.rows import dense

Tensor = Any


def class_logits(field: Tensor, matrix: Tensor, biases: Tensor) -> Tensor:
    """Log p(class | row) but for a number that all classes share, (B, K).

    d_k + Σ_j log(1 + exp(field_j + U_kj)), the hidden units summed out.

    Parameters
    ----------
    field : tensor (B, H)
        What hidden units receive from a row, biases included.
    matrix : tensor (K, H)
        Weights U between classes and hidden units.
    biases : tensor (K,)
    """
    columns = [be.tsum(be.softplus(field + row), axis=1) for row in matrix]
    return be.transpose(be.stack(columns)) + biases


class JointTraining:
    """Persistent contrastive divergence with the labels clamped in the positive phase.

    Parameters
    ----------
    model : BoltzmannMachine
        Of the rows, the hidden units and the labels.
    optimizer : Optimizer
    rows : int
        Of a minibatch.
    generative : float
        The part g of log p(row, label) in what is learned, g log p(row, label) + (1 - g)
        log p(label | row), above 0 and at most 1: so many rows of the negative phase are chains,
        the others are the minibatch itself, with the expectation over labels given the rows.
    """

    def __init__(
        self, model: BoltzmannMachine, optimizer: Optimizer, rows: int, generative: float
    ) -> None:
        self.model, self.optimizer, self.rows = model, optimizer, int(rows)
        self._hybrid = generative < 1
        chains = rows * generative / (1 - generative) if self._hybrid else rows
        self._chains = SequentialMC.from_model(model, max(1, round(chains)), beta_std=0.0)
        self._builder = GradientBuilder(model)

    def epoch(self, X: Any, labels: np.ndarray, order: np.ndarray) -> None:
        """Learn from all rows once.

        Parameters
        ----------
        X : array or CSR matrix (N, V)
        labels : array (N,)
            Numbers of classes from 0.
        order : array (N,)
            Of the rows.

        Raises
        ------
        DivergenceError
            If a parameter has become NaN or infinite.
        """
        one_hot = np.eye(self.model.layers[2].num_units, dtype=np.float32)[labels]
        self.optimizer.update_lr()
        with room_for_steps(), np.errstate(all="ignore"):
            for low in range(0, len(order), self.rows):
                some = order[low : low + self.rows]
                self._step(be.float_tensor(dense(X[some])), be.float_tensor(one_hot[some]))
        check_finite(self.model)

    def _step(self, visible: Tensor, labels: Tensor) -> None:
        data = self._with_hidden_means(visible, labels)
        self._chains.update_state(1)
        rows, _, classes = self._chains.get_state()
        sample = self._with_hidden_means(rows, classes)
        if not self._hybrid:
            self.optimizer.update(self.model, self._builder.compute(data, sample))
            return
        means, hidden, moments = self._conditional(visible)
        here = State([visible, hidden, means])
        sample = State(be.vstack([a, b]) for a, b in zip(sample, here, strict=True))
        gradient = self._builder.compute(data, sample)
        # labels and hidden units of a row are correlated: no product of their means
        gap = moments - be.dot(be.transpose(means), hidden)
        leaf = gradient.weights[1].matrix
        leaf += gap / float(sample.batch_size())
        self.optimizer.update(self.model, gradient)

    def _with_hidden_means(self, visible: Tensor, labels: Tensor) -> State:
        # hidden units are Bernoulli, with a linear energy: their means are exact in the gradient
        room = be.zeros((len(visible), self.model.layers[1].num_units))
        state = State([visible, room, labels])
        self.model.sweeps.update(state, 1, "mean")
        return state

    def _conditional(self, visible: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Expectations given each row, exactly.

        Returns
        -------
        p(class | row) (B, K); means of the hidden units (B, H); and the products of a class and a
        hidden unit, summed over rows, (K, H).
        """
        below, above = self.model.connections
        matrix, biases = above.weights.W(), self.model.layers[2].params.loc
        field = be.units_dot(visible, below.weights.W()) + self.model.layers[1].params.loc
        p = be.softmax(class_logits(field, matrix, biases))
        hidden, moments = be.zeros_like(field), []
        for k, row in enumerate(matrix):
            part = be.expit(field + row) * p[:, k : k + 1]
            hidden += part
            moments.append(be.tsum(part, axis=0))
        return p, hidden, be.stack(moments)
