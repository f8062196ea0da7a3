"""Likelihoods with error bars: exact sums, annealed importance sampling, bounds, approximations."""

from paysage.likelihood.ais import AIS
from paysage.likelihood.estimate import Estimate
from paysage.likelihood.exact import exact_log_partition
from paysage.likelihood.pseudo import pseudo_log_likelihood
from paysage.likelihood.rows import LogLikelihood, log_likelihood, variational_bound
from paysage.likelihood.sandwich import Sandwich, sandwich
from paysage.likelihood.tap import tap_log_partition
from paysage.likelihood.warning import LikelihoodWarning

__all__ = [
    "AIS",
    "Estimate",
    "LikelihoodWarning",
    "LogLikelihood",
    "Sandwich",
    "exact_log_partition",
    "log_likelihood",
    "pseudo_log_likelihood",
    "sandwich",
    "tap_log_partition",
    "variational_bound",
]
