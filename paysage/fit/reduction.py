"""What several processes have learned from their rows, added up by one message a step."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate, pairwise
from typing import Any

from paysage import backends as be
from paysage.fit.processes import Processes
from paysage.models import BoltzmannMachine, ModelGradient

Tensor = Any


class Reduction:
    """Weighted sums over processes of gradients, and of the means of centered layers.

    All are sent as one vector, together with whether somebody wishes to pause, of which all hear
    in the same step.

    Parameters
    ----------
    model : BoltzmannMachine
    processes : Processes

    Attributes
    ----------
    gradient : ModelGradient
        The sum; the next one overwrites it.
    means : dict
        Sums by the number of the layer, (n,).
    pause : bool
        Whether some process wishes to.
    """

    def __init__(self, model: BoltzmannMachine, processes: Processes) -> None:
        self._processes = processes
        like = ModelGradient.zeros(model)
        centered = {i: layer.offset for i, layer in enumerate(model.layers) if layer.center}
        tensors = [*like.leaves(), *centered.values()]
        self._vector = be.zeros((sum(map(be.num_elements, tensors)) + 1,))
        views = iter(_views(self._vector, tensors))
        self.gradient = ModelGradient(_filled(like.layers, views), _filled(like.weights, views))
        self.means: dict[int, Tensor] = dict(zip(centered, views, strict=True))
        self.pause = False

    def __call__(
        self, gradient: ModelGradient, means: dict[int, Tensor], share: float, pause: bool
    ) -> None:
        """Add up.

        Parameters
        ----------
        gradient : ModelGradient
        means : dict
            Of centered layers, by their number; those that are left out are not to be used.
        share : float
            The weight of this process; those of all add up to one.
        pause : bool
            Whether this process wishes to pause.
        """
        pairs = list(zip(self.gradient.leaves(), gradient.leaves(), strict=True))
        pairs += [(self.means[i], mean) for i, mean in means.items()]
        for view, tensor in pairs:
            view[:] = tensor
        self._vector[-1] = 0.0
        self._vector *= share
        self._vector[-1] = float(pause)
        self._processes.add_up_(self._vector)
        self.pause = float(self._vector[-1]) > 0


def _views(vector: Tensor, tensors: list[Tensor]) -> list[Tensor]:
    """The vector's memory, in the shapes of the tensors."""
    ends = accumulate(map(be.num_elements, tensors), initial=0)
    return [
        be.reshape(vector[low:high], be.shape(tensor))
        for (low, high), tensor in zip(pairwise(ends), tensors, strict=True)
    ]


def _filled(parts: list[Any], views: Iterator[Tensor]) -> list[Any]:
    """The named tuples with the next views in them."""
    return [type(part)(*(next(views) for _ in part)) for part in parts]
