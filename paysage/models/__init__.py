"""Boltzmann machines: layers joined by connections into a graph."""

from paysage.models.boltzmann import BoltzmannMachine
from paysage.models.gradient import ModelGradient
from paysage.models.graph import Connection
from paysage.models.initialize import glorot_normal, hinton, pca, stddev
from paysage.models.state import State, StateTAP, state_allclose
from paysage.models.tap import gibbs_free_energy

__all__ = [
    "BoltzmannMachine",
    "Connection",
    "ModelGradient",
    "State",
    "StateTAP",
    "gibbs_free_energy",
    "glorot_normal",
    "hinton",
    "pca",
    "state_allclose",
    "stddev",
]
