"""The base of callbacks: hooks that do nothing."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, ClassVar

from paysage.errors import ConfigError

if TYPE_CHECKING:
    from paysage.fit.training import Training
    from paysage.metrics import ProgressMonitor


class Callback:
    """Somebody who is told of a training, a ``fit.Training``.

    A callback is a subclass with some of the hooks. What it draws, and what it changes in the
    model, changes the training.
    """

    #: whether it decides how training goes, so that a checkpoint goes on with the same one only
    decides: ClassVar[bool] = False
    #: whether ``diverged`` may ask to begin an epoch again
    goes_back: ClassVar[bool] = False
    #: whether each of several processes has it, not the first one alone
    everywhere: ClassVar[bool] = False

    def check(self, monitor: ProgressMonitor) -> None:
        """Raise, before any work, what would go wrong later."""

    def begin(self, training: Training) -> None:
        """Before the first step; ``training.epoch`` epochs are behind one that was resumed."""

    def after_batch(self, training: Training) -> None:
        """After each step."""

    def after_epoch(self, training: Training) -> None:
        """After each epoch, when it was measured and before a checkpoint is written."""

    def end(self, training: Training) -> None:
        """At the end, also that by an error, of callbacks that have begun: the last one first."""

    def diverged(self, training: Training) -> bool:
        """Whether an epoch in which parameters or metrics became infinite is to begin again."""
        return False

    def retry(self, training: Training) -> None:
        """Change what is to be changed, when all is back at the start of that epoch."""

    def get_config(self) -> dict[str, Any]:
        """Name and options, as JSON values."""
        return {"name": type(self).__name__}

    def get_memory(self) -> Any:
        """What a checkpoint must hold, as JSON values or arrays; None for nothing."""
        return None

    def set_memory(self, memory: Any) -> None:
        """Go on from what ``get_memory`` gave."""


def check_callbacks(callbacks: Any, monitor: ProgressMonitor) -> list[Callback]:
    """The callbacks as a list; a named error if one is none, or could not do its work."""
    found = list(callbacks) if isinstance(callbacks, Iterable) else [callbacks]
    for callback in found:
        if not isinstance(callback, Callback):
            raise ConfigError(f"callbacks takes a list of fit.callbacks, got {callback!r}")
        callback.check(monitor)
    return found
