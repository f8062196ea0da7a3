"""The monitor of a training: measures, remembers, shows, and saves the models worth keeping."""

from __future__ import annotations

import math
import warnings
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from numbers import Real
from pathlib import Path
from typing import Any

from paysage import backends as be
from paysage import plotting
from paysage.checks import check_whole, is_one_of
from paysage.errors import (
    ConfigError,
    DataError,
    DataWarning,
    DivergenceError,
    PaysageError,
)
from paysage.files import check_writable
from paysage.metrics.assessment import ModelAssessment
from paysage.metrics.base import Metric
from paysage.metrics.divergence import KLDivergence, ReverseKLDivergence
from paysage.metrics.energy import EnergyCoefficient, HeatCapacity
from paysage.metrics.reconstruction import ReconstructionError
from paysage.metrics.savers import SaveBest, SaveEvery, epoch_filename
from paysage.metrics.weights import WeightSparsity, WeightSquare
from paysage.models.initialize import check_batch

#: what was measured, by name
Metrics = OrderedDict[str, float | None]

#: numbers in the minibatches that are measured together, 2 MiB of them
AT_ONCE = 2**19


def default_metrics() -> list[Metric]:
    """The seven metrics of a training that names none, fresh ones at each call."""
    return [
        ReconstructionError(),
        EnergyCoefficient(),
        HeatCapacity(),
        WeightSparsity(),
        WeightSquare(),
        KLDivergence(),
        ReverseKLDivergence(),
    ]


class ProgressMonitor:
    """Measures a model on the validation data and keeps what it measured.

    Parameters
    ----------
    generator_metrics : list of Metric, optional
        What is measured, in the order in which it is shown; by default the seven of
        `default_metrics`. The attribute of the same name is a plain list to append to. A default
        metric that cannot be computed from the validation data, such as a nearest-neighbor
        divergence of two rows, is skipped with one DataWarning. Metrics from the caller raise.

    Attributes
    ----------
    memory : list of OrderedDict
        The metrics of each epoch that was recorded, by name; None where it was not measured.
    epochs : list of int
        The epochs they belong to.
    """

    def __init__(self, generator_metrics: Sequence[Metric] | None = None) -> None:
        self._defaults = default_metrics() if generator_metrics is None else []
        self.generator_metrics: list[Any] = (
            list(self._defaults) if generator_metrics is None else _listed(generator_metrics)
        )
        self._warned: set[str] = set()
        self.memory: list[Metrics] = []
        self.epochs: list[int] = []
        self._savers: list[SaveBest | SaveEvery] = []

    def metric_names(self) -> list[str]:
        """Names of the metrics, in order.

        Raises
        ------
        ConfigError
            Something in the list is not a metric, or two metrics have one name.
        """
        names: list[str] = []
        for metric in _listed(self.generator_metrics):
            _check_metric(metric)
            if metric.name in names:
                raise ConfigError(f"two metrics are named {metric.name}, expected different names")
            names.append(metric.name)
        return names

    def evaluate(
        self, batch: Any, model: Any, fantasy_steps: int = 10, epoch: int | None = None
    ) -> Metrics:
        """Measure the model on the validation minibatches.

        A minibatch with fewer rows than the first is left out: metrics that compare samples
        depend on how many rows there are, and their mean would mix two meanings.

        Parameters
        ----------
        batch : Batch
            Where the minibatches come from.
        model : BoltzmannMachine
            The model that is measured.
        fantasy_steps : int
            Sweeps of the model's own chains.
        epoch : int, optional
            By which metrics with `every` above 1 are measured or not; all are unless it is given.

        Returns
        -------
        OrderedDict
            The mean of each metric over the minibatches, by name; None where it was not measured
            and where a default metric was skipped.

        Raises
        ------
        PaysageError
            A metric failed; the message has its name, the cause is chained, and an error of the
            library keeps its kind.
        DivergenceError
            A metric is NaN or infinite.
        DataError
            There are no validation data.
        """
        check_batch(batch)
        fantasy_steps = check_whole("fantasy_steps", fantasy_steps)
        names = self.metric_names()
        if not names:
            return OrderedDict()
        due = [m for m in self.generator_metrics if epoch is None or epoch % _period(m) == 0]
        for metric in due:
            metric.reset()
        optional = [m for m in due if any(m is default for default in self._defaults)]
        measured, skipped = _measure_minibatches(due, optional, batch, model, fantasy_steps)
        if due and measured == 0:
            raise DataError("no validation minibatch to measure, expected at least 1")
        due = [metric for metric in due if metric.name not in skipped]
        self._warn_of_skipped(skipped)
        return OrderedDict(
            (name, _finite_value(metric) if metric in due else None)
            for name, metric in zip(names, self.generator_metrics, strict=True)
        )

    def epoch_update(
        self, batch: Any, model: Any, store: bool = False, show: bool = False
    ) -> Metrics:
        """Measure a model outside of a training.

        Parameters
        ----------
        batch : Batch
        model : BoltzmannMachine
        store : bool
            Append the metrics to `memory` as those of the next epoch, and save the model where
            `save_best` or `save_every` asked for it.
        show : bool
            Print one line per metric.

        Returns
        -------
        OrderedDict
            The mean of each metric over the validation minibatches, by name.

        Raises
        ------
        PaysageError
            As ``evaluate``.
        """
        metrics = self.evaluate(batch, model)
        if show:
            self.show(metrics)
        if store:
            self.record(max(self.epochs, default=0) + 1, metrics, model)
        return metrics

    def _warn_of_skipped(self, skipped: dict[str, DataError]) -> None:
        new = {name: error for name, error in skipped.items() if name not in self._warned}
        self._warned.update(new)
        if new:
            reasons = "; ".join(str(error.__cause__) for error in new.values())
            warnings.warn(
                f"skipped {', '.join(new)}: {reasons}; or set `monitor.generator_metrics`",
                DataWarning,
                stacklevel=3,
            )

    def check_saving(self, model: Any) -> None:
        """Raise now what would keep the model from being saved after an epoch.

        Raises
        ------
        ConfigError
            If it has a part that cannot be stored, such as a constraint that is not registered.
        """
        if self._savers:
            model.get_config()

    def record(self, epoch: int, metrics: Metrics, model: Any) -> None:
        """Remember the metrics of an epoch, and save the model where that was asked for.

        A file that cannot be written keeps the others from nothing; its error is raised at the end.
        """
        self.memory.append(OrderedDict(metrics))
        self.epochs.append(epoch)
        errors = []
        for save in self._savers:
            try:
                save(epoch, metrics, model)
            except PaysageError as error:
                errors.append(error)
        if errors:
            raise errors[0]

    def get_memory(self) -> dict[str, Any]:
        """What was measured, the best values, and what metrics keep, as JSON values."""
        return {
            "epochs": list(self.epochs),
            "memory": list(self.memory),
            "savers": [saver.get_memory() for saver in self._savers],
            "metrics": [m.get_memory() if _keeps(m) else None for m in self.generator_metrics],
        }

    def set_memory(self, memory: dict[str, Any]) -> None:
        """Go on from what ``get_memory`` gave; the metrics are the same as then.

        A saver that was there goes on from its best value, another one starts anew.
        """
        self.epochs = [check_whole("an epoch", epoch) for epoch in memory["epochs"]]
        self.memory = [OrderedDict(metrics) for metrics in memory["memory"]]
        values = [value for metrics in self.memory for value in metrics.values()]
        if len(self.memory) != len(self.epochs) or not all(
            isinstance(v, Real | None) for v in values
        ):
            raise ValueError("the metrics of an epoch are not numbers")
        for saver in self._savers:
            for kept in memory["savers"]:
                saver.set_memory(kept)
        for metric, kept in zip(self.generator_metrics, memory["metrics"], strict=True):
            if _keeps(metric):
                metric.set_memory(kept)

    def save_best(self, filename: str | Path, metric: str, extremum: str = "min") -> None:
        """From now on, keep in `filename` the model of the epoch with the best value of a metric.

        Parameters
        ----------
        filename : path
            Overwritten at each improvement.
        metric : str or Metric
            The metric, or its name.
        extremum : 'min' or 'max'
            Which value is best.

        Raises
        ------
        ConfigError
            There is no such metric, or `extremum` is neither of the two.
        StorageError
            The folder cannot be written to.
        """
        name = self.name_of(metric, "save_best")
        check_writable(filename)
        saver = SaveBest(str(filename), name, extremum)
        self._savers.append(saver)

    def name_of(self, metric: Any, who: str) -> str:
        """The name of a metric that is measured, given by itself, by its class or by its name.

        Raises
        ------
        ConfigError
            There is no such metric; `who` asked for it.
        """
        kind = "__name__" if isinstance(metric, type) else "name"
        name = metric if isinstance(metric, str) else getattr(metric, kind, metric)
        if not is_one_of(name, self.metric_names()):
            raise ConfigError(f"{who} got metric {name!r}, expected one of {self.metric_names()}")
        return name

    def save_every(self, filename: str | Path, epoch_period: int = 1) -> None:
        """From now on, keep the model of every `epoch_period`-th epoch in a file of its own.

        Parameters
        ----------
        filename : path
            '{epoch}' or, say, '{epoch:03d}' in it stands for the epoch; without it, '_epoch0005'
            is put before the suffix.
        epoch_period : int
            Number of epochs from one file to the next.

        Raises
        ------
        ConfigError
            The period is not a positive integer.
        StorageError
            The folder cannot be written to.
        """
        check_writable(filename)  # as a name without the epoch: a folder is none
        saver = SaveEvery(str(filename), epoch_period)
        check_writable(epoch_filename(str(filename), epoch_period))
        self._savers.append(saver)

    def show(self, metrics: Metrics) -> None:
        """Print one line a metric that was measured: '-ReconstructionError: 0.883955'."""
        for name, value in metrics.items():
            if value is not None:
                print(f"-{name}: {value:.6f}")

    def plot_metrics(self, filename: str | Path | None = None, show: bool = True) -> Any:
        """Draw each metric against the epoch.

        Parameters
        ----------
        filename : path, optional
            Where the picture is written, if anywhere.
        show : bool
            Whether it is put on the screen.

        Returns
        -------
        matplotlib.figure.Figure
        """
        return plotting.metric_curves(self.memory, epochs=self.epochs, filename=filename, show=show)


def _keeps(metric: Any) -> bool:
    return hasattr(metric, "get_memory")


def _period(metric: Any) -> int:
    return getattr(metric, "every", 1)


def _measure_minibatches(
    metrics: list[Any], optional: list[Any], batch: Any, model: Any, fantasy_steps: int
) -> tuple[int, dict[str, DataError]]:
    """Update the metrics with every full minibatch.

    Parameters
    ----------
    metrics : list of Metric
    optional : list of Metric
        Those that are skipped where the data do not suffice.
    batch, model, fantasy_steps
        See ``ProgressMonitor.evaluate``.

    Returns
    -------
    The number of minibatches, and the errors of the metrics that were skipped, by name.
    """
    measured, skipped = 0, {}
    first: list[ModelAssessment] = []
    for group in _groups(_full_minibatches(batch)) if metrics else ():
        # chains cost most: those of the first minibatches serve for all, at equal expectation
        assessments = ModelAssessment.of_minibatches(group, model, fantasy_steps, first)
        first = first or assessments
        for assessment in assessments:
            for metric in metrics:
                if metric.name in skipped:
                    continue
                try:
                    _update(metric, assessment)
                except DataError as error:
                    if not any(metric is one for one in optional):
                        raise
                    skipped[metric.name] = error
        measured += len(group)
    return measured, skipped


def _full_minibatches(batch: Any) -> Iterator[Any]:
    """Validation minibatches with as many rows as the first."""
    rows = 0
    for visible in batch.iterate("validate"):
        rows = rows or be.shape(visible)[0]
        if be.shape(visible)[0] == rows:
            yield visible


def _groups(minibatches: Iterable[Any]) -> Iterator[list[Any]]:
    """Minibatches that fit into the cache together, at least one at a time."""
    group: list[Any] = []
    for visible in minibatches:
        group.append(visible)
        if (len(group) + 1) * be.num_elements(visible) > AT_ONCE:
            yield group
            group = []
    if group:
        yield group


def _listed(metrics: Any) -> list[Any]:
    try:
        return list(metrics)
    except TypeError as error:
        raise ConfigError(
            f"generator_metrics is {metrics!r}, expected a list of metrics"
        ) from error


def _check_metric(metric: Any) -> None:
    """Refuse what is not an instance of a metric."""
    if isinstance(metric, type):
        raise ConfigError(
            f"generator_metrics holds the class {metric.__name__}, expected an instance: "
            f"{metric.__name__}()"
        )
    missing = [a for a in ("name", "update", "value", "reset") if not hasattr(metric, a)]
    if missing:
        raise ConfigError(
            f"generator_metrics holds {metric!r}, which lacks {', '.join(missing)}; "
            "expected metrics such as ReconstructionError()"
        )


def _update(metric: Any, assessment: ModelAssessment) -> None:
    """Give one minibatch to one metric; what goes wrong gets the metric's name."""
    try:
        metric.update(assessment)
    except Exception as error:
        # Our own errors keep their kind, so that a caller can tell bad data from divergence.
        kind = type(error) if isinstance(error, PaysageError) else PaysageError
        raise kind(f"metric {metric.name} failed: {type(error).__name__}: {error}") from error


def _finite_value(metric: Any) -> float:
    """The value of a metric, refused where it is not a number one could act on."""
    value = float(metric.value())
    if not math.isfinite(value):
        raise DivergenceError(
            f"metric {metric.name} is {value}, expected a finite number: "
            "the model's parameters have probably diverged, try a smaller learning rate"
        )
    return value
