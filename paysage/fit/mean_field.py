"""A positive phase of mean fields, for deep machines."""

from __future__ import annotations

from typing import Any

from paysage import backends as be
from paysage.capturable import Capturable
from paysage.checks import check_number, check_whole
from paysage.models import State
from paysage.models.sweep import Sweeps


class MeanField(Capturable):
    """Means of the hidden layers given the data, iterated until they settle.

    The posterior of the hidden layers is approximated by independent layers, each distributed as
    its units are in the field that it receives from the means of its neighbours. With the negative
    phase of persistent chains the gradient is then that of a lower bound on the likelihood
    (Salakhutdinov & Hinton 2009). For a layer's own parameters it is ``Layer.field_gradient``; a
    layer that does not define it is sampled in its settled field. In a model of two layers the
    posterior is exact.

    Parameters
    ----------
    tolerance : float
        The means have settled when a sweep changes none by more than this; at 0 there are always
        ``max_sweeps``, which lets a step on the GPU be captured.
    max_sweeps : int
        Sweeps at most.
    """

    capturable = True

    def __init__(self, tolerance: float = 1e-3, max_sweeps: int = 30) -> None:
        self.tolerance = check_number("tolerance", tolerance)
        self.max_sweeps = check_whole("max_sweeps", max_sweeps, 1)

    def __repr__(self) -> str:
        return f"MeanField(tolerance={self.tolerance:g}, max_sweeps={self.max_sweeps})"

    def is_capturable(self) -> bool:
        """Whether the number of sweeps depends on nothing."""
        return self.capturable and self.tolerance == 0

    def settle(self, sweeps: Sweeps, state: State) -> Any:
        """Pass up from the visible units of a state, then sweep, in place.

        Returns
        -------
        tensor (B, n)
            Field of the layer that was updated last, in scratch memory.
        """
        sweeps.pass_up(state)
        field = None
        for _ in range(self.max_sweeps):
            before = [be.copy_tensor(units) for units in state.units[1:]] if self.tolerance else []
            field = sweeps.run(1, state, "mean", clamped=(0,))
            if before and self._settled(before, state):
                break
        return field

    def _settled(self, before: list, state: State) -> bool:
        changes = zip(state.units[1:], before, strict=True)
        return all(be.item(be.tmax(be.tabs(new - old))) <= self.tolerance for new, old in changes)
