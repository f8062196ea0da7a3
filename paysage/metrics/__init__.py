"""What is measured on validation minibatches, and the monitor that keeps what was measured."""

from paysage.metrics.assessment import ModelAssessment
from paysage.metrics.base import Metric
from paysage.metrics.divergence import (
    JensenShannonDivergence,
    KLDivergence,
    ReverseKLDivergence,
)
from paysage.metrics.energy import EnergyCoefficient, HeatCapacity
from paysage.metrics.frechet import FrechetScore
from paysage.metrics.likelihood import AISLogLikelihood, AISReport, ExactLogLikelihood
from paysage.metrics.monitor import ProgressMonitor, default_metrics
from paysage.metrics.pseudo_likelihood import PseudoLikelihood
from paysage.metrics.reconstruction import ReconstructionError
from paysage.metrics.tap import TAPFreeEnergy, TAPLogLikelihood
from paysage.metrics.weights import WeightSparsity, WeightSquare

__all__ = [
    "AISLogLikelihood",
    "AISReport",
    "EnergyCoefficient",
    "ExactLogLikelihood",
    "FrechetScore",
    "HeatCapacity",
    "JensenShannonDivergence",
    "KLDivergence",
    "Metric",
    "ModelAssessment",
    "ProgressMonitor",
    "PseudoLikelihood",
    "ReconstructionError",
    "ReverseKLDivergence",
    "TAPFreeEnergy",
    "TAPLogLikelihood",
    "WeightSparsity",
    "WeightSquare",
    "default_metrics",
]
