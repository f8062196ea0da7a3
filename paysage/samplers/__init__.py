"""Samplers: chains that hold a state and move it."""

from paysage.samplers.beta import AutoregressiveGammaSampler
from paysage.samplers.chains import Chains
from paysage.samplers.sequential import SequentialMC
from paysage.samplers.tempering import ParallelTempering
from paysage.samplers.transitions import TemperedTransitions

__all__ = [
    "AutoregressiveGammaSampler",
    "Chains",
    "ParallelTempering",
    "SequentialMC",
    "TemperedTransitions",
]
