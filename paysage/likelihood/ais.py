"""Annealed importance sampling of the partition function, in both directions."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np

from paysage import backends as be
from paysage.checks import check_whole
from paysage.errors import ConfigError
from paysage.layers import Layer
from paysage.likelihood import schedules
from paysage.likelihood.annealing import anneal
from paysage.likelihood.estimate import Estimate, estimated
from paysage.likelihood.halves import Halves, base_of, two_halves
from paysage.likelihood.normalizable import check_normalizable, check_states
from paysage.likelihood.warning import LikelihoodWarning
from paysage.math_utils import MeanVarianceArrayCalculator
from paysage.models import BoltzmannMachine, State
from paysage.progress import progress_bar

Tensor = Any

#: nats by which an estimate may be rounded without a warning
ROUNDED = 0.3

#: nats by which log weights may spread without a warning: three standard errors of 100 chains held
#: the truth in 98 or 99 of 100 cases where it was 0.5, and in 91 or more where it was about one
SPREAD = 1.0

#: relative error of a number in single precision
ROUNDING = 2.0**-24


class AIS:
    """Annealed importance sampling (Neal 2001; Salakhutdinov & Murray 2008).

    Chains go from independent layers, whose visible units have the means of data, to the model,
    along a path that turns the couplings on. One half of the layers is drawn, the other one is
    summed out of the weights, for machines of any depth whose graph has two halves.

    Parameters
    ----------
    model : BoltzmannMachine
    num_chains : int
        At least 2; the interval of fewer than 50 or so is too narrow.
    betas : int or array, optional
        Number of even steps (14,500 by default), or values from 0 to 1, as
        ``schedules.three_pieces`` gives; ``adapt`` spaces them by a pilot run.
    base : Batch, tensor (B, V) or MeanVarianceArrayCalculator, optional
        Data, or moments of data, whose means the independent visible units have; by default they
        keep the model's biases.

    Raises
    ------
    ConfigError
        If a setting cannot be used, the graph has a ring of an odd number of layers, or Gaussian
        layers are coupled so strongly that there is no partition function.
    DivergenceError
        If a parameter is NaN or infinite, or, when run, an energy is.
    ShapeError, DataError
        If the visible layer cannot have the units of ``base``.
    """

    def __init__(
        self,
        model: BoltzmannMachine,
        num_chains: int = 100,
        betas: Any = 14_500,
        base: Any = None,
    ) -> None:
        check_normalizable(model)
        self.model = model
        self.num_chains = check_whole("num_chains", num_chains, 2)
        self.betas = schedules.checked(betas)
        fields = None if base is None else base_of(model, _moments_of(base, model.layers[0]))
        self.halves = Halves(model, _visible_is_smaller(model), fields)

    def adapt(self, pilot_chains: int = 20, pilot_steps: int = 1000) -> AIS:
        """Space the inverse temperatures by the spread of a pilot run's weights; gives itself."""
        number = check_whole("pilot_chains", pilot_chains, 2)
        even = schedules.uniform(check_whole("pilot_steps", pilot_steps, 1))
        with self.model.drawing():
            start = self.halves.draw_base(number)
            increments, _ = self._anneal(start, even, _bar(False, "pilot"))
        self.betas = schedules.respaced(even, increments, len(self.betas) - 1)
        return self

    def run(self, verbose: bool = False) -> Estimate:
        """Estimate from independent units to the model; too low on average (Jensen).

        Parameters
        ----------
        verbose : bool
            Show a progress bar where standard error is a terminal.

        Warns
        -----
        LikelihoodWarning
            If the log weights spread by more than a nat, or energies are too large for floats.
        """
        with self.model.drawing():
            start = self.halves.draw_base(self.num_chains)
            annealed = self._anneal(start, self.betas, _bar(verbose, "AIS"))
        return self._estimate(1.0, *annealed)

    def run_back(self, start: State, verbose: bool = False) -> Estimate:
        """Estimate from the model to independent units; too high on average.

        Parameters
        ----------
        start : State
            Samples of the model, exact ones or those of long chains, a chain each; not changed.
        verbose : bool
            Show a progress bar where standard error is a terminal.
        """
        self.check_start(start)
        start, betas = State.from_state(start), self.betas[::-1]
        with self.model.drawing():
            annealed = self._anneal(start, betas, _bar(verbose, "AIS back"))
        return self._estimate(-1.0, *annealed)

    def check_start(self, start: State) -> None:
        """Raise a named error unless the way back can start at this state."""
        self.model.check_state(start)
        if start.batch_size() < 2:
            raise ConfigError("the way back needs at least 2 samples to start at")
        for layer, units in zip(self.model.layers, start, strict=True):
            layer.check_values(units)
        for i in self.halves.kept:  # the others are summed out
            check_states(self.model.layers[i], start[i])

    def _anneal(self, start: State, betas: np.ndarray, bar: Any) -> tuple[np.ndarray, float]:
        check_normalizable(self.model)  # as it is now
        return anneal(self.halves, start, betas, bar)

    def _estimate(self, sign: float, increments: np.ndarray, largest: float) -> Estimate:
        log_base = self.halves.log_partition_of_base()
        rounding = ROUNDING * (math.sqrt(len(increments)) * largest + abs(log_base))
        found = estimated(increments, log_base, sign, rounding)
        spread = float(found.log_weights.std())
        is_open = math.isinf(found.low) or math.isinf(found.high)
        if spread > SPREAD or (is_open and math.isfinite(rounding)):
            size, number = found.effective_sample_size, increments.shape[1]
            _warn(
                f"the log weights spread by {spread:.1f} nats, so that {number} chains are worth "
                f"{size:.1f}: take more inverse temperatures, the interval may be too narrow"
            )
        if rounding > ROUNDED:
            _warn(f"energies of {largest:.1e} are rounded, log Z by {rounding:.2g} nats or so")
        return found


def _warn(words: str) -> None:
    warnings.warn(words, LikelihoodWarning, stacklevel=4)


def _visible_is_smaller(model: BoltzmannMachine) -> bool:
    """Whether the half of the visible layer has fewer units, which chains cross faster."""
    first, second = (sum(model.layers[i].num_units for i in half) for half in two_halves(model))
    return first <= second


def _moments_of(base: Any, visible: Layer) -> MeanVarianceArrayCalculator:
    """Mean and variance of each column of the training rows of a batch, or of a tensor."""
    if isinstance(base, MeanVarianceArrayCalculator):
        return base
    moments = MeanVarianceArrayCalculator()
    tables = hasattr(base, "iterate")
    for rows in base.iterate("train", shuffle=False) if tables else [be.float_tensor(base)]:
        visible.check_units(rows)
        visible.check_values(rows)
        moments.update(rows)
    return moments


def _bar(verbose: bool, what: str) -> Any:
    def bar(steps: Any) -> Iterator[int]:
        return iter(progress_bar(steps, desc=what, disable=None if verbose else True, leave=False))

    return bar
