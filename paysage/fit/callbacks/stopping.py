"""Ending a training that gets no better, and keeping its best model."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from paysage.checks import check_number, check_whole, is_one_of
from paysage.errors import ConfigError
from paysage.files import check_writable, checked_path
from paysage.fit.callbacks.base import Callback
from paysage.metrics.savers import SaveBest as Saver

if TYPE_CHECKING:
    from paysage.fit.training import Training
    from paysage.metrics import ProgressMonitor


class EarlyStopping(Callback):
    """Ends the training when a metric has not become better for some epochs.

    The model stays that of the last epoch; ``SaveBest`` keeps the best one.

    Parameters
    ----------
    metric : str or Metric
        The metric, or its name.
    patience : int
        Epochs in which it was measured and not better, after which training ends.
    extremum : 'min' or 'max'
        Which value is best.
    least : float
        What is better by no more than this is not better.
    """

    decides = True

    def __init__(
        self, metric: Any, patience: int = 5, extremum: str = "min", least: float = 0.0
    ) -> None:
        if not is_one_of(extremum, ("min", "max")):
            raise ConfigError(f"EarlyStopping got extremum {extremum!r}, expected 'min' or 'max'")
        self.metric = metric
        self.patience = check_whole("patience", patience, 1)
        self.extremum = extremum
        self.least = check_number("least", least)
        self._sign = 1.0 if extremum == "min" else -1.0
        self._best, self._waited = math.inf, 0

    def check(self, monitor: ProgressMonitor) -> None:
        """Raise a ConfigError unless there is such a metric."""
        self.metric = monitor.name_of(self.metric, "EarlyStopping")

    def begin(self, training: Training) -> None:
        """Forget the training before, if this one begins."""
        if not training.resumed:
            self._best, self._waited = math.inf, 0

    def after_epoch(self, training: Training) -> None:
        """Count, and stop."""
        value = training.metrics[self.metric]
        if value is None:  # not measured in this epoch
            return
        signed = self._sign * value
        self._waited = 0 if signed < self._best - self.least else self._waited + 1
        self._best = self._best if self._waited else signed
        if self._waited >= self.patience:
            training.stop()

    def get_config(self) -> dict[str, Any]:
        """Name and options, as JSON values."""
        names = ("metric", "patience", "extremum", "least")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}

    def get_memory(self) -> list[Any]:
        """The best value, and the epochs since."""
        return [None if math.isinf(self._best) else self._best, self._waited]

    def set_memory(self, memory: list[Any]) -> None:
        """Go on from there."""
        best, self._waited = memory
        self._best = math.inf if best is None else best


class SaveBest(Callback):
    """Keeps in a file the model of the epoch with the best value of a metric.

    Parameters
    ----------
    filename : path
        Overwritten at each improvement.
    metric : str or Metric
        The metric, or its name.
    extremum : 'min' or 'max'
        Which value is best.
    """

    def __init__(self, filename: str | Path, metric: Any, extremum: str = "min") -> None:
        self._saver = Saver(str(checked_path(filename)), metric, extremum)

    def check(self, monitor: ProgressMonitor) -> None:
        """Raise a named error unless there is such a metric, and the file can be written."""
        self._saver.metric = monitor.name_of(self._saver.metric, "SaveBest")
        check_writable(self._saver.filename)

    def begin(self, training: Training) -> None:
        """Forget the best value of another trainer's; a second training of one goes on with it."""
        if not (training.resumed or training.earlier):
            self._saver.forget()

    def after_epoch(self, training: Training) -> None:
        """Write the model if this epoch is the best one so far."""
        self._saver(training.epoch, training.metrics, training.model)

    def get_memory(self) -> dict[str, Any]:
        """The best value, of which metric, and where."""
        return self._saver.get_memory()

    def set_memory(self, memory: dict[str, Any]) -> None:
        """Go on from there, if metric and file are the same."""
        self._saver.set_memory(memory)
