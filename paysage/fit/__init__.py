"""Training: the methods, the training step, and the loops around it."""

from paysage.fit.checkpoint import read_checkpoint
from paysage.fit.layerwise import LayerwisePretrain
from paysage.fit.mean_field import MeanField
from paysage.fit.methods import cd, contrastive_divergence, pcd, persistent_contrastive_divergence
from paysage.fit.phases import Phases
from paysage.fit.sgd import SGD, StochasticGradientDescent
from paysage.fit.tap import TAP

__all__ = [
    "SGD",
    "TAP",
    "LayerwisePretrain",
    "MeanField",
    "Phases",
    "StochasticGradientDescent",
    "cd",
    "contrastive_divergence",
    "pcd",
    "persistent_contrastive_divergence",
    "read_checkpoint",
]
