"""A rate that was too high is halved, and the epoch done again."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from paysage.checks import check_number, check_whole
from paysage.errors import ConfigError
from paysage.fit.callbacks.base import Callback

if TYPE_CHECKING:
    from paysage.fit.training import Training

log = logging.getLogger(__name__)


class HalveOnDivergence(Callback):
    """Goes back to the start of an epoch that diverged, and lowers the learning rate.

    Everything goes back: parameters, optimizer, chains, random numbers. The present value of the
    learning-rate schedule is multiplied by a factor, and the schedule continues from there.

    Parameters
    ----------
    factor : float
        Above 0 and below 1.
    at_most : int
        Epochs to reject in all; the next one raises its DivergenceError.

    Attributes
    ----------
    rejected : int
        Epochs that were begun again.
    """

    decides = True
    goes_back = True

    def __init__(self, factor: float = 0.5, at_most: int = 10) -> None:
        self.factor = check_number("factor", factor)
        if not 0 < self.factor < 1:
            raise ConfigError(f"factor must be above 0 and below 1, got {factor!r}")
        self.at_most = check_whole("at_most", at_most, 1)
        self.rejected = 0

    def begin(self, training: Training) -> None:
        """Forget the training before, if this one begins."""
        if not training.resumed:
            self.rejected = 0

    def diverged(self, training: Training) -> bool:
        """Whether one more epoch may be rejected."""
        self.rejected += 1
        return self.rejected <= self.at_most

    def retry(self, training: Training) -> None:
        """Lower the learning rate."""
        training.optimizer.scale_lr(self.factor)
        rate = training.optimizer.stepsize.value  # of the epoch that is about to start again
        log.warning("epoch %d diverged: again, at the rate %.3g", training.epoch + 1, rate)

    def get_config(self) -> dict[str, Any]:
        """Name and options, as JSON values."""
        return {**super().get_config(), "factor": self.factor, "at_most": self.at_most}

    def get_memory(self) -> int:
        """How many were rejected."""
        return self.rejected

    def set_memory(self, memory: int) -> None:
        """Go on counting."""
        self.rejected = memory
