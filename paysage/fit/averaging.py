"""The mean of the parameters over the last updates of a training."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

from paysage import backends as be
from paysage.checks import check_whole, is_real
from paysage.errors import ConfigError
from paysage.models import BoltzmannMachine
from paysage.threads import side_by_side

Tensor = Any


class ParameterMean:
    """Running mean of what training changes in a model (Polyak & Juditsky 1992).

    Parameters
    ----------
    model : BoltzmannMachine
    """

    def __init__(self, model: BoltzmannMachine) -> None:
        self.model = model
        self.count = 0
        self._means: list[Tensor] = []

    def add(self) -> None:
        """Let the present parameters count too."""
        self.count += 1
        values = list(_moving(self.model))
        if self.count == 1:
            self._means = [be.copy_tensor(value) for value in values]
            return
        keep = 1.0 - 1.0 / self.count
        pairs = zip(self._means, values, strict=True)
        side_by_side(*(partial(be.mix_, keep, mean, value) for mean, value in pairs))

    def write(self) -> None:
        """Give the model the mean, if there is one, and begin another."""
        if self.count == 0:
            return
        for value, mean in zip(_moving(self.model), self._means, strict=True):
            value[:] = mean
        self.model.enforce_constraints()
        self.count, self._means = 0, []

    def get_memory(self) -> dict[str, Any]:
        """The mean so far, as arrays."""
        return {"count": self.count, "means": [be.to_numpy_array(mean) for mean in self._means]}

    def set_memory(self, memory: dict[str, Any]) -> None:
        """Go on from what ``get_memory`` gave."""
        means = [be.float_tensor(mean) for mean in memory["means"]]
        own = list(_moving(self.model)) if memory["count"] else []
        if [be.shape(mean) for mean in means] != [be.shape(value) for value in own]:
            raise ValueError("a mean of parameters has not their shapes")
        self.count, self._means = check_whole("count", memory["count"]), means


def _moving(model: BoltzmannMachine) -> Any:
    """All tensors that training changes: parameters that are not fixed, and offsets."""
    for owner in (*(c.weights for c in model.connections), *model.layers):
        yield from (getattr(owner.params, name) for name in owner.trainable())
    yield from (layer.offset for layer in model.layers if layer.center)


def first_averaged(average_last: Any, num_epochs: int) -> int:
    """The number of the first epoch to average over, counted from 1.

    Parameters
    ----------
    average_last : float
        Part of the epochs, rounded up to whole ones; zero is none of them.

    Raises
    ------
    ConfigError
        For anything else than a number from 0 to 1.
    """
    if not is_real(average_last) or not 0 <= float(average_last) <= 1:
        raise ConfigError(
            f"average_last is the part of the epochs to average over, from 0 to 1, got "
            f"{average_last!r}"
        )
    # rounded first, so that a tenth of 30 epochs is 3
    return num_epochs + 1 - math.ceil(round(float(average_last) * num_epochs, 9))
