"""The penalties: each one's value and its derivative.

In the formulas w are the elements of the tensor within the slice, and λ is `penalty`.
"""

import math
from typing import Any

from paysage import backends as be
from paysage.backends.contract import Tensor
from paysage.checks import check_number
from paysage.errors import ShapeError
from paysage.penalties.base import Penalty


class trivial_penalty(Penalty):
    """No penalty: 0."""

    capturable = True

    def __init__(self, penalty: float = 0.0, slice_tuple: Any = (slice(None),)) -> None:
        super().__init__(penalty, slice_tuple)

    def value_of(self, x: Tensor) -> Any:
        """Zero."""
        return 0.0

    def derivative(self, x: Tensor) -> Tensor:
        """Zeros."""
        return be.zeros_like(x)


class l1_penalty(Penalty):
    """The lasso, λ Σ |w|: many parameters become zero."""

    capturable = True

    def value_of(self, x: Tensor) -> Any:
        """λ Σ |w|."""
        return self.penalty * be.tsum(be.tabs(x))

    def derivative(self, x: Tensor) -> Tensor:
        """λ sign(w), which is 0 at 0."""
        result = be.sign(x)
        result *= self.penalty
        return result


class l2_penalty(Penalty):
    """The ridge, λ/2 Σ w²: parameters stay small."""

    capturable = True

    def value_of(self, x: Tensor) -> Any:
        """λ/2 Σ w²."""
        return 0.5 * self.penalty * be.tsum(be.square(x))

    def derivative(self, x: Tensor) -> Tensor:
        """λ w."""
        return self.penalty * x


class exp_l2_penalty(Penalty):
    """The ridge of the exponential, λ/2 Σ exp(w)²: for parameters that are logarithms."""

    capturable = True

    def value_of(self, x: Tensor) -> Any:
        """λ/2 Σ exp(2w)."""
        return 0.5 * self.penalty * be.tsum(be.exp(2 * x))

    def derivative(self, x: Tensor) -> Tensor:
        """λ exp(2w)."""
        return self.penalty * be.exp(2 * x)


class l1_adaptive_decay_penalty_2(Penalty):
    """λ/2 Σ_j (Σ_i |w_ij|)²: a lasso whose pull on a column grows with the column.

    Units that have few and weak connections are spared, those with many are pruned (Tubiana and
    Monasson, Emergence of compositional representations in restricted Boltzmann machines,
    Phys. Rev. Lett. 118, 138301, 2017). A vector counts as one column.
    """

    capturable = True

    def value_of(self, x: Tensor) -> Any:
        """λ/2 Σ_j (Σ_i |w_ij|)²."""
        return 0.5 * self.penalty * be.tsum(be.square(be.tsum(be.tabs(x), axis=0)))

    def derivative(self, x: Tensor) -> Tensor:
        """λ sign(w_ij) Σ_k |w_kj|."""
        return self.penalty * be.tsum(be.tabs(x), axis=0) * be.sign(x)


class log_penalty(Penalty):
    """The logarithmic barrier, −λ Σ log |w|: parameters stay away from zero."""

    capturable = True

    def value_of(self, x: Tensor) -> Any:
        """−λ Σ log |w|."""
        return -self.penalty * be.tsum(be.log(be.tabs(x)))

    def derivative(self, x: Tensor) -> Tensor:
        """−λ / w."""
        return -self.penalty * be.reciprocal(x)


class logdet_penalty(Penalty):
    """−λ log det(WᵀW): keeps the columns of a matrix linearly independent.

    The determinant is zero where a matrix has more columns than rows; there WWᵀ replaces WᵀW. In
    both cases the value is −2λ times the sum of the logarithms of the singular values.
    """

    def value_of(self, x: Tensor) -> Any:
        """Return −λ log det(WᵀW) = −2λ log |det R|, where W = QR."""
        return -2.0 * self.penalty * be.logdet(be.qr(_tall(x))[1])

    def derivative(self, x: Tensor) -> Tensor:
        """Return −2λ W (WᵀW)⁻¹ = −2λ Q R⁻ᵀ."""
        q, r = be.qr(_tall(x))
        result = -2.0 * self.penalty * be.dot(q, be.transpose(be.inv(r)))
        return result if _is_tall(x) else be.transpose(result)


class log_norm(Penalty):
    """−λ Σ_j log ‖w_j‖ over the columns w_j: keeps their Euclidean norms away from zero.

    The value is infinite where a column is zero. A vector counts as one column.
    """

    capturable = True

    def value_of(self, x: Tensor) -> Any:
        """Return −λ Σ_j log ‖w_j‖."""
        return -self.penalty * be.tsum(be.log(be.norm(x, axis=0)))

    def derivative(self, x: Tensor) -> Tensor:
        """Return −λ w_ij / ‖w_j‖²; zero in a column of zeros, which has no derivative."""
        norm = _nonzero(be.norm(x, axis=0))
        return (-self.penalty / norm) * (x / norm)  # ‖w‖² itself could overflow


class l2_norm(Penalty):
    """λ/2 Σ_j (‖w_j‖ − target)² over the columns w_j: keeps their norms near a target.

    A vector counts as one column.

    Parameters
    ----------
    penalty : float
        The strength λ, at least 0.
    slice_tuple : tuple, default (slice(None),)
        The part of the tensor that is penalized.
    target : float, default 1.0
        The wanted Euclidean norm of each column.
    """

    capturable = True

    def __init__(
        self, penalty: float, slice_tuple: Any = (slice(None),), target: float = 1.0
    ) -> None:
        super().__init__(penalty, slice_tuple)
        self.target = check_number("target of l2_norm", target, -math.inf)

    def options(self) -> dict[str, Any]:
        """Return the target."""
        return {"target": self.target}

    def value_of(self, x: Tensor) -> Any:
        """Return λ/2 Σ_j (‖w_j‖ − target)²."""
        return 0.5 * self.penalty * be.tsum(be.square(be.norm(x, axis=0) - self.target))

    def derivative(self, x: Tensor) -> Tensor:
        """Return λ (‖w_j‖ − target) w_ij / ‖w_j‖; zero in a column of zeros."""
        norm = be.norm(x, axis=0)
        return (self.penalty * (norm - self.target) / _nonzero(norm)) * x


def _nonzero(norm: Tensor) -> Tensor:
    """Return norms with ones instead of zeros, to divide by."""
    return norm + be.cast_float(norm == 0)


def _is_tall(x: Tensor) -> bool:
    shape = be.shape(x)
    if len(shape) != 2:
        raise ShapeError(f"logdet_penalty got a tensor of shape {shape}; expected a matrix")
    return shape[0] >= shape[1]


def _tall(x: Tensor) -> Tensor:
    return x if _is_tall(x) else be.transpose(x)


lasso = l1_penalty
ridge = l2_penalty
