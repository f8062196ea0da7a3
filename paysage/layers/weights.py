"""The weights of a connection between two layers."""

from __future__ import annotations

from typing import Any, NamedTuple

from paysage import backends as be
from paysage.checks import check_list, check_number, is_whole
from paysage.errors import ConfigError
from paysage.layers.parametric import Parametric
from paysage.registry import configuring

Tensor = Any


class WeightsParams(NamedTuple):
    """Parameters of Weights."""

    matrix: Tensor
    """coupling of each unit of the target layer with each of the domain layer, (V, H)"""


class Weights(Parametric):
    """The matrix of a connection: the energy has the term -rescaled(target)ᵀ W rescaled(domain).

    Parameters
    ----------
    shape : (int, int)
        Number of units of the target (visible) and of the domain (hidden) layer.
    scale : float
        Standard deviation of the random initial values; with 0 nothing is drawn.
    """

    capturable = True

    def __init__(self, shape: tuple[int, int], scale: float = 0.01) -> None:
        super().__init__()
        sizes = check_list("the shape of Weights is (V, H)", shape)
        if len(sizes) != 2 or not all(is_whole(n, 1) for n in sizes):
            raise ConfigError(f"Weights need a shape (V, H) of positive integers, got {shape!r}")
        self.shape = (int(sizes[0]), int(sizes[1]))
        scale = check_number("scale", scale)
        matrix = scale * be.randn(self.shape) if scale else be.zeros(self.shape)
        self.params = WeightsParams(matrix)

    def __repr__(self) -> str:
        return f"Weights({self.shape})"

    def W(self, trans: bool = False) -> Tensor:
        """The matrix (V, H), or its transpose (H, V); a view, not a copy."""
        return be.transpose(self.params.matrix) if trans else self.params.matrix

    def energy(self, target: Tensor, domain: Tensor) -> Tensor:
        """-targetᵀ W domain of each row, (B,), from what the connection sees of both layers."""
        return -be.tsum(be.units_dot(target, self.params.matrix) * domain, axis=1)

    def get_config(self) -> dict:
        """JSON-able description: shape and options, without the values."""
        return {"shape": list(self.shape), **self._options_config()}

    @classmethod
    def from_config(cls, config: dict) -> Weights:
        """Make the weights that ``get_config`` described; their values are zero."""
        weights = cls(config["shape"], scale=0.0)
        weights._set_options(config)
        return weights


def weights_from_config(config: dict) -> Weights:
    """Make weights from their configuration."""
    with configuring("weights"):
        return Weights.from_config(config)
