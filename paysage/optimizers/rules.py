"""The rules: plain descent, momentum, RMSProp and ADAM."""

from __future__ import annotations

from typing import Any

from paysage import backends as be
from paysage.checks import check_flag, check_part
from paysage.optimizers.base import Optimizer

Tensor = Any


class Gradient(Optimizer):
    """Plain descent: θ ← θ - lr g."""

    capturable = True
    elementwise = True
    takes_lists = True

    def _step(self, param: Tensor, grad: Tensor, *slots: Tensor) -> None:
        be.descent_step_(param, grad, self.numbers[0])


class Momentum(Optimizer):
    """Descent along m ← μ m + (1-μ) g, which starts at the first gradient.

    Parameters
    ----------
    stepsize, tolerance, max_norm
        See ``Optimizer``.
    momentum : float
        μ, at least 0 and below 1.
    """

    capturable = True
    elementwise = True
    takes_lists = True

    def __init__(
        self,
        stepsize: Any = None,
        momentum: float = 0.9,
        tolerance: float = 1e-7,
        max_norm: float | None = None,
    ) -> None:
        super().__init__(stepsize, tolerance, max_norm)
        self.momentum = check_part("momentum", momentum)

    def _start(self, grad: Tensor) -> list[Tensor]:
        return [be.copy_tensor(grad)]

    def _step(self, param: Tensor, grad: Tensor, *slots: Tensor) -> None:
        be.momentum_step_(param, grad, slots[0], self.numbers[0], self.momentum)


class RMSProp(Optimizer):
    """θ ← θ - lr g / sqrt(EPSILON + v/(1-β)), v ← β v + (1-β) g², started at the first square.

    Parameters
    ----------
    stepsize, tolerance, max_norm
        See ``Optimizer``.
    mean_square_weight : float
        β, at least 0 and below 1.
    """

    capturable = True
    elementwise = True
    takes_lists = True

    def __init__(
        self,
        stepsize: Any = None,
        mean_square_weight: float = 0.9,
        tolerance: float = 1e-7,
        max_norm: float | None = None,
    ) -> None:
        super().__init__(stepsize, tolerance, max_norm)
        self.mean_square_weight = check_part("mean_square_weight", mean_square_weight)

    def _start(self, grad: Tensor) -> list[Tensor]:
        return [be.square(grad)]

    def _step(self, param: Tensor, grad: Tensor, *slots: Tensor) -> None:
        (lr,), decay = self.numbers, self.mean_square_weight
        be.rmsprop_step_(param, grad, slots[0], lr, decay, 1 / (1 - decay), be.EPSILON)


class ADAM(Optimizer):
    """Adaptive moments (Kingma & Ba 2015), normalized by constants.

    m ← β1 m + (1-β1) g and v ← β2 v + (1-β2) g², both started at the first gradient and its square;
    θ ← θ - lr (m/(1-β1)) / sqrt(EPSILON + v/(1-β2)). At the defaults this step is
    √(1-β2)/(1-β1) ≈ 0.316 of the textbook one.

    Parameters
    ----------
    stepsize, tolerance, max_norm
        See ``Optimizer``.
    mean_weight, mean_square_weight : float
        β1 and β2, at least 0 and below 1.
    bias_correction : bool
        The textbook's rule instead: m and v start at zero and are divided by 1-β1ᵗ and 1-β2ᵗ
        after t updates.
    """

    capturable = True
    elementwise = True
    takes_lists = True

    def __init__(
        self,
        stepsize: Any = None,
        mean_weight: float = 0.9,
        mean_square_weight: float = 0.999,
        tolerance: float = 1e-7,
        bias_correction: bool = False,
        max_norm: float | None = None,
    ) -> None:
        super().__init__(stepsize, tolerance, max_norm)
        self.mean_weight = check_part("mean_weight", mean_weight)
        self.mean_square_weight = check_part("mean_square_weight", mean_square_weight)
        self.bias_correction = check_flag("bias_correction", bias_correction)

    def _start(self, grad: Tensor) -> list[Tensor]:
        if self.bias_correction:
            return [be.zeros_like(grad), be.zeros_like(grad)]
        return [be.copy_tensor(grad), be.square(grad)]

    def _numbers(self) -> tuple[float, ...]:
        power = self.updates if self.bias_correction else 1
        scales = (1 / (1 - decay**power) for decay in (self.mean_weight, self.mean_square_weight))
        return (*super()._numbers(), *scales)

    def _step(self, param: Tensor, grad: Tensor, *slots: Tensor) -> None:
        mean, mean_square = slots
        lr, mean_scale, square_scale = self.numbers
        decays = (self.mean_weight, self.mean_square_weight)
        be.adam_step_(
            param, grad, mean, mean_square, lr, *decays, mean_scale, square_scale, be.EPSILON
        )
