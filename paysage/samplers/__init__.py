"""Samplers: chains that hold a state and move it."""

from paysage.samplers.beta import AutoregressiveGammaSampler
from paysage.samplers.sequential import SequentialMC

__all__ = ["AutoregressiveGammaSampler", "SequentialMC"]
