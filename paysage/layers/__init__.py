"""Layers of units and the weights between them.

A layer is a function of the field that it receives: its energy, and the mean, the mode and samples
of its units given that field. It knows nothing of weights, neighbours or trainers.
"""

from paysage.layers.bernoulli import BernoulliLayer, BernoulliParams
from paysage.layers.gaussian import GaussianLayer, GaussianParams
from paysage.layers.layer import Layer, layer_from_config
from paysage.layers.onehot import OneHotLayer, OneHotParams
from paysage.layers.weights import Weights, WeightsParams, weights_from_config

# the names that 0.2 has for the named tuples of parameters
ParamsBernoulli = BernoulliParams
ParamsGaussian = GaussianParams
ParamsOneHot = OneHotParams
ParamsWeights = WeightsParams

__all__ = [
    "BernoulliLayer",
    "GaussianLayer",
    "Layer",
    "OneHotLayer",
    "ParamsBernoulli",
    "ParamsGaussian",
    "ParamsOneHot",
    "ParamsWeights",
    "Weights",
    "layer_from_config",
    "weights_from_config",
]
