"""A bar over the minibatches of an epoch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from paysage.fit.callbacks.base import Callback
from paysage.progress import progress_bar

if TYPE_CHECKING:
    from paysage.fit.training import Training


class ProgressBar(Callback):
    """A bar on standard error where that is a terminal, gone when the epoch ends.

    ``train(verbose=True)`` has one by itself.
    """

    def __init__(self) -> None:
        self._bar: Any = None

    def after_batch(self, training: Training) -> None:
        """Move on; the bar of an epoch begins with its first step and ends with its last."""
        total = training.num_minibatches
        if self._bar is None:
            done = training.minibatch - 1
            self._bar = progress_bar(total=total, initial=done, leave=False, unit="minibatch")
        self._bar.update()
        if training.minibatch == total:
            self._close()

    def end(self, training: Training) -> None:
        """Take away the bar of an epoch that has not ended."""
        self._close()

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None
