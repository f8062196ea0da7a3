"""Training by extended mean field: the model's phase is a free energy, no chain is run."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

from paysage import backends as be
from paysage.checks import check_whole
from paysage.fit.phases import Phases
from paysage.models import BoltzmannMachine, ModelGradient, State, StateTAP
from paysage.models.gradient import mean_energy_gradient
from paysage.models.tap import GibbsFreeEnergy, check_order
from paysage.models.tap_descent import Minimizer, TAPReport, warn_unconverged

Tensor = Any


class TAP:
    """Training with -log Z replaced by its expansion (Gabrié, Tramel & Krzakala 2015).

    ``trainer.train(optimizer, n, method=fit.TAP(...).tap_update)``. The means of the model are
    found anew in each step, starting from those of the step before; the data's phase is that of
    ``fit.pcd``. Samples of the means may sit at different stationary points, whose gradients are
    averaged. A search that does not converge is no error: the first one of a training is logged
    as a warning, ``report`` tells of the last.

    Parameters
    ----------
    use_GD, init_lr, tolerance, max_iters, ratchet, decrease_on_neg, mean_weight, \
mean_square_weight, damping
        See ``models.tap_descent.Minimizer``. ``use_GD=False`` is the self-consistent iteration.
    order : 1, 2 or 3
        Of the expansion in the couplings.
    num_samples : int
        Number of means that are kept, with random starts of their own.

    Attributes
    ----------
    report : TAPReport or None
        How the last search ended.
    unconverged : int
        Searches that have not converged, of this model.
    """

    def __init__(
        self,
        use_GD: bool = True,
        init_lr: float = 0.1,
        tolerance: float = 0.01,
        max_iters: int = 25,
        ratchet: bool = False,
        decrease_on_neg: float = 0.9,
        mean_weight: float = 0.9,
        mean_square_weight: float = 0.999,
        *,
        order: int = 2,
        num_samples: int = 10,
        damping: float = 0.5,
    ) -> None:
        check_order(order)
        self.rule = Minimizer(
            use_GD,
            init_lr,
            tolerance,
            max_iters,
            ratchet,
            decrease_on_neg,
            mean_weight,
            mean_square_weight,
            damping,
        )
        self.order = order
        self.num_samples = check_whole("num_samples", num_samples, 1)
        self.report: TAPReport | None = None
        self.unconverged = 0
        self._state: StateTAP | None = None
        # a reference to the model of the means; None: they belong to the next model that they fit
        self._model: Callable[[], Any] | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Return what is pickled: means without the reference to their model."""
        return {**vars(self), "_model": None}

    def tap_update(self, visible: Tensor, phases: Phases) -> ModelGradient:
        """The gradient of a minibatch (B, V): ⟨∂E/∂θ⟩_data - ∂G/∂θ, plus penalties."""
        model = phases.model
        energy = GibbsFreeEnergy(model, self.order)
        gradient = energy.parameter_gradient(self.model_state(energy))
        data = phases.positive_state(visible)
        phases.data = data
        _subtract_from(gradient, model, data)
        return gradient

    def model_state(self, energy: GibbsFreeEnergy) -> StateTAP:
        """Means of the model, found from where they were; what is kept belongs to one model."""
        model = energy.model
        if not self._remembers(model):
            self._state, self.unconverged = None, 0
        if self._model is None or self._model() is not model:
            self._model = weakref.ref(model)
        if self._state is None or not all(map(be.is_finite_all, self._state)):
            self._state = StateTAP.from_model(self.num_samples, model)
        self._state, self.report = self.rule.run(energy, self._state)
        if not self.report.converged:
            self.unconverged += 1
            if self.unconverged == 1:
                warn_unconverged(self.report, self.rule.tolerance)
        return self._state

    def _remembers(self, model: BoltzmannMachine) -> bool:
        """Return True if the means belong to this model, or fit it after unpickling."""
        if self._model is not None:
            return self._model() is model
        if self._state is None:
            return False
        widths = [int(units.shape[1]) for units in self._state]
        return widths == [layer.num_units for layer in model.layers]

    def get_memory(self, model: BoltzmannMachine) -> dict[str, Any]:
        """The means found last, as arrays; None where they are of another model."""
        state = self._state if self._remembers(model) else None
        means = None if state is None else [be.to_numpy_array(units) for units in state]
        return {"means": means, "unconverged": self.unconverged}

    def set_memory(self, memory: dict[str, Any], model: BoltzmannMachine) -> None:
        """Go on from what ``get_memory`` gave."""
        means = memory["means"]
        self._state = None if means is None else StateTAP(map(be.from_numpy_array, means))
        self._model, self.unconverged = weakref.ref(model), memory["unconverged"]


def _subtract_from(gradient: ModelGradient, model: BoltzmannMachine, data: State) -> None:
    """Replace the model's part by ⟨∂E/∂θ⟩_data minus it, plus penalties, in place."""
    rows = data.batch_size()
    seen = [layer.connected(u) for layer, u in zip(model.layers, data, strict=True)]
    for i, (layer, part) in enumerate(zip(model.layers, gradient.layers, strict=True)):
        _replace(layer, part, mean_energy_gradient(model, data, i))
    for c, part in zip(model.connections, gradient.weights, strict=True):
        pull = be.batch_outer(seen[c.target_index], seen[c.domain_index]) / rows
        _replace(c.weights, part, [-pull])


def _replace(owner: Any, part: Any, positive: Any) -> None:
    for name, leaf, term in zip(owner.params._fields, part, positive, strict=True):
        leaf[:] = 0.0 if name in owner.fixed_params else term - leaf
    owner.add_penalty_gradients_(part)
