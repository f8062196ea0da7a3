"""Check the gradients that training computes, with the layer in each position of a small model."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import numpy as np

from paysage import backends as be
from paysage import fit
from paysage.layers import BernoulliLayer, Layer
from paysage.models import BoltzmannMachine, State
from paysage.testing.energies import SLOPE, STEP, slopes
from paysage.testing.enumeration import all_states, log_weights
from paysage.testing.subject import Subject, array, expect_close

Tensor = Any

#: standard errors by which a correct mean over the batches may be off: Student's t with 19 degrees
#: of freedom exceeds 8 once in 6·10⁶ comparisons
SIGMAS = 8.0
#: independent batches, and rows of each
BATCHES, ROWS = 20, 500
#: Gibbs sweeps after which the chains of the small models have converged
SWEEPS = 20
#: units of the other layers
PARTNERS = 2
#: typical size of the field that the units of a partner receive from the layer
COUPLING = 1.0
#: different rows of data
DATA = 5


def training(subject: Subject) -> None:
    """`pcd`, `cd` and `MeanField` compute the gradient of the exact likelihood (or of its bound).

    The layer is a visible layer, a hidden layer, or between two layers; the others are Bernoulli.
    """
    for center, position in product((False, True), ("visible", "hidden", "middle")):
        small = SmallModel(subject, position, center)
        if small.deep:
            _check_methods(small, ["MeanField"], small.bound())
        # chains that must converge first take longest: once in each position is enough
        if center is not small.deep:
            _check_methods(small, ["pcd", "cd"], small.log_likelihood)
        elif not small.deep:
            _check_methods(small, ["pcd"], small.log_likelihood)


class SmallModel:
    """The layer in a model that is small enough for exact likelihoods.

    The other layers are enumerated, and the layer is summed out by its log partition function.
    """

    def __init__(self, subject: Subject, position: str, center: bool) -> None:
        self.subject, self.position = subject, position
        self.layer = subject.new(center)
        self.layer.set_fixed_params([])
        self.layer.penalties.clear()
        self.index = 0 if position == "visible" else 1
        layers: list[Layer] = [BernoulliLayer(PARTNERS) for _ in range(3 if self.deep else 2)]
        layers[self.index] = self.layer
        self.model = BoltzmannMachine(layers)
        self._set_parameters()
        #: of the parameters whose gradients are checked
        self.owners = [self.layer, *(c.weights for c in self.model.connections)]
        self.partners = [i for i in range(len(layers)) if i != self.index]
        self.data = layers[0].sample(
            be.float_tensor(subject.rng.uniform(-1, 1, (DATA, layers[0].num_units)))
        )
        self._states, self._states_at_data = self._enumerate(), self._enumerate(self.data)

    @property
    def deep(self) -> bool:
        """Whether the layer is between two others."""
        return self.position == "middle"

    def _set_parameters(self) -> None:
        rng = self.subject.rng
        seen = array(self.layer.rescaled(self.layer.random(1000)))
        scale = max(1.0, float(seen.std())) * np.sqrt(self.layer.num_units)
        for layer in self.model.layers:
            if layer is not self.layer:
                layer.set_params([rng.normal(0, 0.5, PARTNERS)])
        for connection in self.model.connections:
            weights = connection.weights
            weights.set_params([rng.normal(0, COUPLING / scale, weights.shape)])

    def _enumerate(self, visible: Tensor | None = None) -> tuple[State, list[int]]:
        """Return all states of the partners, for each row of visible units if these are given.

        Returns
        -------
        State, and the layers whose units it holds; the layer is zero unless it is visible and given
        """
        layers = self.model.layers
        rows = {i: all_states(layers[i]) for i in self.partners}
        if visible is not None:
            rows = {**rows, 0: array(visible)}
        known = sorted(rows)
        picks = np.indices([len(rows[i]) for i in known]).reshape(len(known), -1)
        tensors = [np.zeros((picks.shape[1], layer.num_units)) for layer in layers]
        for i, pick in zip(known, picks, strict=True):
            tensors[i] = rows[i][pick]
        return State(map(be.float_tensor, tensors)), known

    def log_likelihood(self) -> float:
        """Return the exact mean log-likelihood of the data."""
        joint = log_weights(self.model, *self._states_at_data).reshape(DATA, -1)
        return float(np.logaddexp.reduce(joint, axis=1).mean()) - self.log_partition()

    def log_partition(self) -> float:
        """Return the exact log Z."""
        return float(np.logaddexp.reduce(log_weights(self.model, *self._states)))

    def bound(self) -> Callable[[], float]:
        """Return the function that computes the mean-field bound on the mean log-likelihood.

        The bound is stationary in the fields of the hidden layers at their fixed point, so its
        derivative by the parameters may be taken at the present fields.
        """
        model = self.model
        start = State.from_visible_means(self.data, model)
        means = model.mean_field_iteration(500, start, clamped=[0])
        fields = {i: be.copy_tensor(model.sweeps.field(means, i)) for i in range(1, len(means))}

        def function() -> float:
            seen = [model.layers[0].connected(self.data)]
            total = -array(model.layers[0].energy(self.data))
            for i, field in fields.items():
                layer = model.layers[i]
                seen.append(layer.connected(layer.mean(field)))
                entropy = array(layer.conditional_log_partition(field))
                total += entropy - (array(field) * array(seen[i])).sum(axis=1)
            for c in model.connections:
                total -= array(c.weights.energy(seen[c.target_index], seen[c.domain_index]))
            return float(total.mean()) - self.log_partition()

        return function

    def sample(self, number: int) -> State:
        """Return independent exact samples of the model."""
        state, known = self._states
        weights = log_weights(self.model, state, known)
        probabilities = np.exp(weights - np.logaddexp.reduce(weights))
        rows = self.subject.rng.choice(len(weights), number, p=probabilities / probabilities.sum())
        drawn = State(be.float_tensor(array(units)[rows]) for units in state)
        self.model.sweeps.update(drawn, self.index, "sample")
        return drawn


def _check_methods(small: SmallModel, methods: list[str], objective: Callable[[], float]) -> None:
    """Compare the mean of independent gradients by each method with finite differences."""
    places = {
        (p, name): small.subject.some(int(be.num_elements(param)))
        for p, owner in enumerate(small.owners)
        for name, param in owner.params._asdict().items()
    }
    wanted = {
        (p, name): -slopes(objective, getattr(small.owners[p].params, name), chosen)
        for (p, name), chosen in places.items()
    }
    rounding = 3 * 2.0**-23 * abs(objective()) / STEP
    for method in methods:
        found = list(_gradients(small, method, places))
        for (p, name), truth in wanted.items():
            got = np.array([gradient[p, name] for gradient in found])
            error = SIGMAS * got.std(axis=0, ddof=1) / np.sqrt(BATCHES)
            expect_close(
                f"d(-log likelihood)/d{name} by {method}, {small.position} layer"
                f"{', centered' if small.layer.center else ''}",
                got.mean(axis=0),
                truth,
                error + SLOPE * (0.1 + np.abs(truth)) + rounding,
            )


def _gradients(small: SmallModel, method: str, places: dict) -> Iterator[dict]:
    """Return some elements of independent gradients, whose negative chains start at samples."""
    # negative chains of `pcd` start at exact samples; all other chains must converge first
    converged = method == "MeanField" or (method == "pcd" and not small.deep)
    phases = fit.Phases(
        small.model,
        ROWS,
        1 if converged else SWEEPS,
        beta_std=0.0,
        positive_phase=fit.MeanField(1e-6, 500) if method == "MeanField" else None,
    )
    visible = be.float_tensor(np.tile(array(small.data), (ROWS // DATA, 1)))
    samples = small.sample(BATCHES * ROWS)
    for k in range(BATCHES):
        phases.negative.set_state(samples.rows(slice(k * ROWS, (k + 1) * ROWS)))
        gradient = (fit.cd if method == "cd" else fit.pcd)(visible, phases)
        parts = [gradient.layers[small.index], *gradient.weights]
        yield {
            (p, name): array(getattr(parts[p], name)).reshape(-1)[chosen]
            for (p, name), chosen in places.items()
        }
