"""The gradient of a machine: one tensor for each parameter, in the shape of the graph."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from paysage import backends as be
from paysage.layers import Layer
from paysage.models.graph import Connection
from paysage.models.state import PhaseState, State
from paysage.threads import pieces, side_by_side

if TYPE_CHECKING:
    from paysage.models.boltzmann import BoltzmannMachine

Tensor = Any
Task = Callable[[], Any]


class ModelGradient:
    """Descent direction of -log likelihood plus penalties.

    Attributes
    ----------
    layers : list of named tuples
        Like ``model.layers[i].params``.
    weights : list of named tuples
        Like ``model.connections[c].weights.params``.
    """

    def __init__(self, layers: list[Any], weights: list[Any]) -> None:
        self.layers = layers
        self.weights = weights

    @classmethod
    def zeros(cls, model: BoltzmannMachine) -> ModelGradient:
        """A gradient of zeros."""
        return cls(
            [layer.zero_gradient() for layer in model.layers],
            [c.weights.zero_gradient() for c in model.connections],
        )

    def leaves(self) -> Iterator[Tensor]:
        """All tensors, layers first."""
        for part in (*self.layers, *self.weights):
            yield from part


class GradientBuilder:
    """Computes gradients from the states of the two phases, into memory of its own.

    Parameters
    ----------
    model : BoltzmannMachine
    bfloat16 : bool
        Whether the units of the domain layers, which often are means, are rounded to bfloat16 where
        they enter the gradient by weights.
    """

    def __init__(self, model: BoltzmannMachine, bfloat16: bool = False) -> None:
        self.model = model
        self._bfloat16 = bfloat16
        self._rounded: dict[tuple[int, int, int], Any] = {}
        self.result = ModelGradient.zeros(model)
        self._scratch = [be.zeros(c.weights.shape) for c in model.connections]

    def compute(self, data: State, sample: State, weight: float = 1.0) -> ModelGradient:
        """⟨∂E/∂θ⟩_data - ⟨∂E/∂θ⟩_sample plus penalties; the result is overwritten by the next call.

        Parameters
        ----------
        data, sample : State
            States of the positive and of the negative phase; their numbers of rows may differ.
            Layers that a ``PhaseState`` sums out enter by their conditional expectations.
        weight : float
            Of the mean over the sample.
        """
        self._zero_fixed()
        rows = len(data[0]) + len(sample[0])
        tasks = self._tasks(data, sample, weight)
        side_by_side(*tasks, operations=rows * self.model.num_weights())
        for connection, part in zip(self.model.connections, self.result.weights, strict=True):
            connection.weights.add_penalty_gradients_(part)
        return self.result

    def _tasks(self, data: State, sample: State, weight: float) -> Iterator[Task]:
        """What can be computed at once: the weights, which take longest, in pieces and first."""
        for c, connection in enumerate(self.model.connections):
            if connection.weights.trainable():
                ends = (connection.target_index, connection.domain_index)
                layers = [self.model.layers[i] for i in ends]
                seen = [self.model.layers[i].rescaled(s[i]) for s in (data, sample) for i in ends]
                corrections = _centering(layers, seen, weight)
                if weight != 1.0:
                    seen[2] = weight * seen[2]
                if self._bfloat16:
                    seen[1], seen[3] = self._round(c, 0, seen[1]), self._round(c, 1, seen[3])
                for part in self._parts(connection, len(data[0]) + len(sample[0])):
                    yield partial(self._weights, c, seen, corrections, part)
        for i, layer in enumerate(self.model.layers):
            if layer.trainable():
                yield partial(self._layer, i, layer, data, sample, weight)

    def _round(self, c: int, phase: int, units: Tensor) -> Any:
        """The units in bfloat16, in memory kept for this connection and phase."""
        key = (c, phase, len(units))
        if key not in self._rounded:
            self._rounded[key] = be.bfloat16_zeros(units.shape)
        return be.to_bfloat16_(self._rounded[key], units)

    def _parts(self, connection: Connection, rows: int) -> list[slice]:
        height, width = connection.weights.shape
        on_gpu = be.get_backend().processor == "gpu"
        return pieces(height, 0 if on_gpu else rows * height * width)

    def _zero_fixed(self) -> None:
        """A parameter that was fixed since the last call keeps no trace of an older gradient."""
        owners = [*self.model.layers, *(c.weights for c in self.model.connections)]
        for owner, part in zip(owners, [*self.result.layers, *self.result.weights], strict=True):
            for name in owner.fixed_params:
                getattr(part, name)[:] = 0.0

    def _layer(self, i: int, layer: Layer, data: State, sample: State, weight: float) -> None:
        gradient = self.result.layers[i]
        positive, negative = (mean_energy_gradient(self.model, s, i) for s in (data, sample))
        for name in layer.trainable():
            leaf = getattr(gradient, name)
            leaf[:] = getattr(positive, name)
            leaf -= weight * getattr(negative, name)
        layer.add_penalty_gradients_(gradient)

    def _weights(
        self, c: int, seen: list[Tensor], corrections: list[tuple[Tensor, Tensor]], part: slice
    ) -> None:
        """Some rows of a gradient by weights.

        The energy's derivative by W is -r rᵀ, so that of data minus sample is the gap of r rᵀ.
        """
        out, scratch = self.result.weights[c].matrix, self._scratch[c]
        data_t, data_d, sample_t, sample_d = seen
        be.moment_gap(data_t, data_d, sample_t, sample_d, out=out, scratch=scratch, part=part)
        for a, b in corrections:
            be.add_outer_(out, a, b, -1.0, part)


def mean_energy_gradient(model: BoltzmannMachine, state: State, i: int) -> Any:
    """Return the mean over rows of ∂E/∂θ, as a named tuple, for the parameters of layer i.

    If the state sums the layer out, it is the conditional expectation given the layer's field.
    """
    layer = model.layers[i]
    if isinstance(state, PhaseState) and i in state.fields:
        return layer.field_gradient(state.fields[i])
    field = model.sweeps.field(state, i) if layer.gradient_needs_field else None
    return layer.energy_gradient(state[i], field)


def _centering(
    layers: list[Layer], seen: list[Tensor], weight: float
) -> list[tuple[Tensor, Tensor]]:
    """Outer products by which moments of centered layers differ from those of the units.

    With the gap Δ between sample and data, and running means c and d,
    Δ⟨(x - c)(y - d)ᵀ⟩ = Δ⟨x yᵀ⟩ - Δ⟨x⟩ dᵀ - c Δ⟨y⟩ᵀ. Zeros of x can be skipped on the right only.
    """
    found = []
    (target, domain), (data_t, data_d, sample_t, sample_d) = layers, seen
    if domain.center:
        gap = weight * be.mean(sample_t, axis=0) - be.mean(data_t, axis=0)
        found.append((gap, domain.rescaled(domain.offset)))
    if target.center:
        gap = weight * be.mean(sample_d, axis=0) - be.mean(data_d, axis=0)
        found.append((target.rescaled(target.offset), gap))
    return found
