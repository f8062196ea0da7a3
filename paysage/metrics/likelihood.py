"""The log-likelihood of the data: summed exactly, or with an interval by importance sampling."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from paysage.checks import check_whole
from paysage.likelihood import AIS, exact_log_partition, log_likelihood
from paysage.likelihood.rows import over_rows
from paysage.likelihood.schedules import checked
from paysage.math_utils import MeanVarianceArrayCalculator
from paysage.metrics.base import Metric

if TYPE_CHECKING:
    from paysage.metrics.assessment import ModelAssessment


class _OverRows(Metric):
    """A mean over all rows, whatever the sizes of the minibatches; a subclass has `_report`."""

    def reset(self) -> None:
        """Forget every minibatch."""
        super().reset()
        self._rows: list[np.ndarray] = []

    def value(self) -> float:
        """The mean over all rows since the last reset.

        Raises
        ------
        DataError
            No minibatch has been measured.
        """
        if not self._rows:
            return super().value()  # says so
        return self._report(np.concatenate(self._rows))

    def _report(self, rows: np.ndarray) -> float:
        raise NotImplementedError(f"{self.name} defines no _report(rows)")


class ExactLogLikelihood(_OverRows):
    """Mean log-likelihood of the data in nats, where half of the layers has few states.

    Parameters
    ----------
    every : int
        Measured before training and in epochs that are multiples of this number.
    name : str, optional
        Name under which the value is printed and stored; by default that of the class.

    Raises
    ------
    ConfigError
        If an option cannot be meant; when measuring, as ``likelihood.exact_log_partition`` and
        ``likelihood.log_likelihood`` do.
    """

    option_names = ("every",)

    def __init__(self, every: int = 1, name: str | None = None) -> None:
        super().__init__(name)
        self.every = check_whole("every", every, 1)

    def reset(self) -> None:
        """Forget every minibatch, and the partition function."""
        super().reset()
        self._log_partition: float | None = None

    def update(self, assessment: ModelAssessment) -> None:
        """Take in the likelihoods of one more minibatch."""
        if self._log_partition is None:
            self._log_partition = exact_log_partition(assessment.model)
        found = log_likelihood(assessment.model, assessment.data, self._log_partition)
        self._rows.append(found.rows)

    def _report(self, rows: np.ndarray) -> float:
        return over_rows(rows).mean


class AISReport(NamedTuple):
    """A log-likelihood of data, by annealed importance sampling, in nats."""

    mean: float
    """over the rows"""
    low: float
    """with log Z at the upper end of its interval; see ``likelihood.Estimate``"""
    high: float
    """with log Z at the lower end"""
    standard_error: float
    """of the mean over rows, by itself"""
    effective_sample_size: float
    """of the chains of log Z"""


class AISLogLikelihood(_OverRows):
    """Mean log-likelihood of the data in nats, log Z by annealed importance sampling.

    The estimate of log Z is too low on average, so that the likelihood is too high: a machine that
    the chains do not get to know looks better than it is. Watch the interval, and measure the
    machine you keep by ``likelihood.sandwich``.

    Parameters
    ----------
    every : int
        Measured before training and in epochs that are multiples of this number; None in others.
    num_chains : int
    betas : int or list
        Steps of a schedule, or inverse temperatures; see ``likelihood.AIS``.
    name : str, optional
        Name under which the value is printed and stored; by default that of the class.

    Attributes
    ----------
    reports : list of AISReport
        One for each time that it was measured, with the interval.

    Raises
    ------
    ConfigError
        If an option cannot be meant; when measuring, as ``likelihood.AIS`` and
        ``likelihood.log_likelihood`` do, for machines with more than one hidden layer in a chain.
    """

    option_names = ("every", "num_chains", "betas")

    def __init__(
        self, every: int = 10, num_chains: int = 50, betas: Any = 1000, name: str | None = None
    ) -> None:
        self.every = check_whole("every", every, 1)
        self.num_chains = check_whole("num_chains", num_chains, 2)
        checked(betas)  # refuses what it cannot take
        self.betas = int(betas) if np.ndim(betas) == 0 else [float(beta) for beta in betas]
        self.reports: list[AISReport] = []
        super().__init__(name)

    def reset(self) -> None:
        """Forget every minibatch; the reports stay."""
        super().reset()
        self._model: Any = None
        self._moments = MeanVarianceArrayCalculator()

    def get_memory(self) -> list[list[float]]:
        """The reports."""
        return [list(report) for report in self.reports]

    def set_memory(self, memory: list[list[float]]) -> None:
        """Go on with these reports."""
        self.reports = [AISReport(*report) for report in memory]

    def update(self, assessment: ModelAssessment) -> None:
        """Take in the unnormalized likelihoods of one more minibatch."""
        self._model = assessment.model
        self._rows.append(log_likelihood(assessment.model, assessment.data, 0.0).rows)
        self._moments.update(assessment.data)

    def _report(self, rows: np.ndarray) -> float:
        """Anneal, keep a report, and give its mean."""
        log_partition = AIS(self._model, self.num_chains, self.betas, self._moments).run()
        found = over_rows(rows - log_partition.log_partition)
        error_bars = log_partition.low, log_partition.high
        high, low = (found.mean + log_partition.log_partition - end for end in error_bars)
        self.reports.append(
            AISReport(
                found.mean, low, high, found.standard_error, log_partition.effective_sample_size
            )
        )
        return found.mean
