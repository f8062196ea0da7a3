"""Finding means at which the expanded free energy is stationary, with a report on how it went."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

from paysage import backends as be
from paysage.checks import check_flag, check_whole, is_real
from paysage.errors import ConfigError
from paysage.models.state import State, StateTAP
from paysage.models.tap import Evaluation, GibbsFreeEnergy

Tensor = Any

log = logging.getLogger(__name__)

#: a free energy counts as raised if it rose by more than this many roundings of its value
ROUNDINGS = 16


class TAPReport(NamedTuple):
    """How a minimization of the free energy ended."""

    converged: bool
    """whether the residual of every row is within the tolerance"""
    residual: float
    """greatest distance of a mean from the one that the field of its unit asks for"""
    iterations: int
    """steps taken"""
    free_energy: Tensor
    """at the means returned, (num_samples,)"""


@dataclass
class Minimizer:
    """Looks for stationary means, of each row on its own.

    Parameters
    ----------
    use_GD : bool
        Gradient descent on the means, its steps averaged and scaled as in ADAM (Kingma & Ba 2015);
        otherwise the self-consistent iteration: means move towards those that their fields ask
        for, all layers at once.
    init_lr : float
        First step size of the gradient descent, in standard deviations of each unit: a step is no
        longer than that, and no longer than the one of the iteration.
    tolerance : float
        The residual to stop at; see ``TAPReport``.
    max_iters : int
        Most steps to take.
    ratchet : bool
        Take back the steps of those rows whose free energy it raised.
    decrease_on_neg : float
        Factor on a row's step size after a step that raised its free energy.
    mean_weight, mean_square_weight : float
        Weights of the past in the running mean of the gradient and of its square.
    damping : float
        The self-consistent iteration goes 1 - damping of the way; without damping it may swing
        between two states for ever.

    Raises
    ------
    ConfigError
        If a setting cannot be meant.
    """

    use_GD: bool = True
    init_lr: float = 0.1
    tolerance: float = 0.01
    max_iters: int = 25
    ratchet: bool = False
    decrease_on_neg: float = 0.9
    mean_weight: float = 0.9
    mean_square_weight: float = 0.999
    damping: float = 0.5

    def __post_init__(self) -> None:
        numbers = {f.name: getattr(self, f.name) for f in fields(self)}
        for name in ("use_GD", "ratchet"):
            check_flag(name, numbers.pop(name))
        check_whole("max_iters", numbers.pop("max_iters"))
        for name, value in numbers.items():
            endless = math.isinf(value) if is_real(value) and name != "tolerance" else False
            if not is_real(value) or not float(value) >= 0 or endless:
                raise ConfigError(f"{name} must be a number, zero or more, got {value!r}")
            setattr(self, name, float(value))
        for name in ("mean_weight", "mean_square_weight", "damping"):
            if not numbers[name] < 1:
                raise ConfigError(f"{name} must be below 1, got {numbers[name]!r}")
        if not 0 < self.decrease_on_neg <= 1:
            raise ConfigError(
                f"decrease_on_neg must be above 0 and at most 1, got {self.decrease_on_neg!r}"
            )

    def run(self, energy: GibbsFreeEnergy, state: StateTAP) -> tuple[StateTAP, TAPReport]:
        """The means found from those of ``state``, which is not changed, and the report."""
        search = _Search(self, energy, state)
        while not search.converged() and search.steps < self.max_iters:
            search.step()
        return search.state, search.report()


def warn_unconverged(report: TAPReport, tolerance: float) -> None:
    """Log a warning about a minimization that did not converge."""
    log.warning(
        "TAP means have not converged: residual %.3g > tolerance %.3g after %d iterations",
        report.residual,
        tolerance,
        report.iterations,
    )


class _Search:
    """The means on their way, with the step size of each row."""

    def __init__(self, rule: Minimizer, energy: GibbsFreeEnergy, state: State) -> None:
        self.rule, self.energy = rule, energy
        self.steps = 0
        self.state = self._inside(state)
        self._look()
        first = rule.init_lr if rule.use_GD else 1.0 - rule.damping
        self.rate = first + 0.0 * be.unsqueeze(self.found.value, axis=1)
        self._memory = _Memory(self.state, self.rate)

    def _inside(self, tensors: Any) -> StateTAP:
        return StateTAP(u.inside(m) for u, m in zip(self.energy.units, tensors, strict=True))

    def _look(self) -> None:
        """Free energy and derivatives at the state, and the means that its fields ask for."""
        self.found: Evaluation = self.energy.evaluate(self.state)
        pairs = zip(self.energy.model.layers, self.found.fields, strict=True)
        self.wanted = self._inside(k.mean(field, self.energy.beta) for k, field in pairs)

    def residual(self) -> float:
        pairs = zip(self.state, self.wanted, strict=True)
        return max(float(be.tmax(be.tabs(a - b))) for a, b in pairs)

    def converged(self) -> bool:
        return self.residual() <= self.rule.tolerance  # NaN has not

    def report(self) -> TAPReport:
        return TAPReport(self.converged(), self.residual(), self.steps, self.found.value)

    def step(self) -> None:
        """Move all rows; those whose free energy rose slow down, with the ratchet they go back."""
        self.steps += 1
        before = self.state, self.found, self.wanted
        moves = self._descent() if self.rule.use_GD else self._iteration()
        self.state = self._inside(m + d for m, d in zip(self.state, moves, strict=True))
        self._look()
        slack = ROUNDINGS * be.EPSILON * be.tabs(before[1].value)
        raised = be.logical_not(self.found.value <= before[1].value + slack)  # NaN counts
        column = be.unsqueeze(raised, axis=1)
        self.rate = be.where(column, self.rule.decrease_on_neg * self.rate, self.rate)
        self._memory.restart(column)
        if self.rule.ratchet:
            self._go_back(column, raised, *before)

    def _iteration(self) -> list[Tensor]:
        return [self.rate * (w - m) for w, m in zip(self.wanted, self.state, strict=True)]

    def _descent(self) -> list[Tensor]:
        weights = self.rule.mean_weight, self.rule.mean_square_weight
        pairs = self.energy.natural_slopes(self.state, self.found)
        averages = self._memory.after([slope for _, slope in pairs], *weights)
        # where slopes are below the rate, the step is the slope: about that of the iteration
        return [
            -self.rate * deviation * mean / be.sqrt(square + be.square(self.rate))
            for (deviation, _), mean, square in zip(pairs, *averages, strict=True)
        ]

    def _go_back(
        self, column: Tensor, raised: Tensor, state: StateTAP, found: Evaluation, wanted: StateTAP
    ) -> None:
        def mixed(old: Any, new: Any) -> list[Tensor]:
            return [be.where(column, a, b) for a, b in zip(old, new, strict=True)]

        self.state = StateTAP(mixed(state, self.state))
        self.wanted = StateTAP(mixed(wanted, self.wanted))
        self.found = Evaluation(
            be.where(raised, found.value, self.found.value), mixed(found.fields, self.found.fields)
        )


class _Memory:
    """Running means of slopes and of their squares, weighted to count what was seen only."""

    def __init__(self, state: StateTAP, column: Tensor) -> None:
        self._means = [be.zeros_like(m) for m in state]
        self._squares = [be.zeros_like(m) for m in state]
        self._weight = be.zeros_like(column)
        self._square_weight = 0.0

    def after(self, slopes: list[Tensor], b1: float, b2: float) -> tuple[list, list]:
        """Both, with new slopes added."""
        self._weight = b1 * self._weight + (1.0 - b1)
        self._square_weight = b2 * self._square_weight + (1.0 - b2)
        for mean, square, slope in zip(self._means, self._squares, slopes, strict=True):
            be.mix_(b1, mean, slope)
            be.square_mix_(b2, square, slope)
        return [m / self._weight for m in self._means], [
            v / self._square_weight for v in self._squares
        ]

    def restart(self, column: Tensor) -> None:
        """Forget the direction of the rows that it led upwards (O'Donoghue & Candès 2015)."""
        kept = be.where(column, 0.0, be.ones_like(self._weight))
        self._weight = kept * self._weight
        for mean in self._means:
            mean *= kept
