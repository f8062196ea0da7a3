"""Training: the methods, the training step, and the loops around it."""

from paysage.fit import callbacks
from paysage.fit.checkpoint import read_checkpoint
from paysage.fit.layerwise import LayerwisePretrain
from paysage.fit.mean_field import MeanField
from paysage.fit.methods import cd, contrastive_divergence, pcd, persistent_contrastive_divergence
from paysage.fit.phases import Phases
from paysage.fit.processes import Processes
from paysage.fit.sgd import SGD, StochasticGradientDescent
from paysage.fit.tap import TAP
from paysage.fit.training import Training

__all__ = [
    "SGD",
    "TAP",
    "LayerwisePretrain",
    "MeanField",
    "Phases",
    "Processes",
    "StochasticGradientDescent",
    "Training",
    "callbacks",
    "cd",
    "contrastive_divergence",
    "pcd",
    "persistent_contrastive_divergence",
    "read_checkpoint",
]
