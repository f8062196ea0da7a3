"""Rules by which a gradient moves the parameters, in place."""

from paysage.optimizers.base import Optimizer
from paysage.optimizers.rules import ADAM, Gradient, Momentum, RMSProp

gradient = Gradient
momentum = Momentum
rmsprop = RMSProp
adam = ADAM

__all__ = [
    "ADAM",
    "Gradient",
    "Momentum",
    "Optimizer",
    "RMSProp",
    "adam",
    "gradient",
    "momentum",
    "rmsprop",
]
