"""Layers of units and the weights between them.

A layer is a function of the field that it receives: its energy, and the mean, the mode and samples
of its units given that field. It knows nothing of weights, neighbours or trainers.
"""

from paysage.layers.bernoulli import BernoulliLayer
from paysage.layers.gaussian import GaussianLayer
from paysage.layers.layer import Layer, layer_from_config
from paysage.layers.onehot import OneHotLayer
from paysage.layers.weights import Weights, weights_from_config

__all__ = [
    "BernoulliLayer",
    "GaussianLayer",
    "Layer",
    "OneHotLayer",
    "Weights",
    "layer_from_config",
    "weights_from_config",
]
