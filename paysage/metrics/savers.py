"""What the monitor does with a model after an epoch: keep the best one, or every so many."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from paysage.checks import check_whole, is_one_of
from paysage.errors import ConfigError


class SaveBest:
    """Writes the model whenever a metric is better than in every epoch before.

    Parameters
    ----------
    filename : str
        Overwritten at each improvement.
    metric : str
        Name of the metric.
    extremum : 'min' or 'max'
        Which value is best.
    """

    def __init__(self, filename: str, metric: str, extremum: str) -> None:
        if not is_one_of(extremum, ("min", "max")):
            raise ConfigError(f"save_best got extremum {extremum!r}, expected 'min' or 'max'")
        self.filename, self.metric = filename, metric
        self._sign = 1.0 if extremum == "min" else -1.0
        self._best = math.inf

    def __call__(self, epoch: int, metrics: Mapping[str, float | None], model: Any) -> None:
        """Write the model if this epoch is the best one so far."""
        if self.metric not in metrics:
            raise ConfigError(f"save_best expected metric '{self.metric}', got {list(metrics)}")
        value = metrics[self.metric]
        if value is None:  # not measured in this epoch
            return
        signed = self._sign * value
        if signed < self._best:
            model.save(self.filename)
            self._best = signed

    def forget(self) -> None:
        """Begin anew: the next model is the best one."""
        self._best = math.inf

    def get_memory(self) -> dict[str, Any]:
        """What is kept where, and the best value so far; None before the first."""
        best = None if self._best == math.inf else self._best
        return {**self._place(), "best": best}

    def set_memory(self, memory: dict[str, Any]) -> None:
        """Take over the best value, if it is one of the same metric and file."""
        if memory.items() >= self._place().items() and memory["best"] is not None:
            self._best = memory["best"]

    def _place(self) -> dict[str, Any]:
        return {"filename": self.filename, "metric": self.metric, "sign": self._sign}


class SaveEvery:
    """Writes the model every so many epochs, each time to a file of its own.

    Parameters
    ----------
    filename : str
        Where, see `epoch_filename`.
    period : int
        Number of epochs from one file to the next.
    """

    def __init__(self, filename: str, period: int) -> None:
        self.filename, self.period = filename, check_whole("epoch_period", period, 1)

    def __call__(self, epoch: int, metrics: Mapping[str, float | None], model: Any) -> None:
        """Write the model if the period is over; the untrained model is not an epoch's."""
        if epoch > 0 and epoch % self.period == 0:
            model.save(epoch_filename(self.filename, epoch))

    def get_memory(self) -> dict[str, Any]:
        """Nothing: the epoch alone decides."""
        return {}

    def set_memory(self, memory: dict[str, Any]) -> None:
        """Nothing to take over."""


def epoch_filename(filename: str, epoch: int) -> str:
    """`filename` with the epoch in it: at '{epoch}', or as '_epoch0005' before the suffix.

    A format may follow the name, as in '{epoch:03d}'.
    """
    with_epoch, places = re.subn(
        r"\{epoch(?::(0?\d*)d?)?\}", lambda found: format(epoch, f"{found[1] or ''}d"), filename
    )
    if places:
        return with_epoch
    path = Path(filename)
    return str(path.with_name(f"{path.stem}_epoch{epoch:04d}{path.suffix}"))
