"""Likelihoods with error bars: exact sums, annealed importance sampling, bounds."""

from paysage.likelihood.ais import AIS, Estimate, LikelihoodWarning, Sandwich, sandwich
from paysage.likelihood.exact import exact_log_partition
from paysage.likelihood.rows import LogLikelihood, log_likelihood, variational_bound

__all__ = [
    "AIS",
    "Estimate",
    "LikelihoodWarning",
    "LogLikelihood",
    "Sandwich",
    "exact_log_partition",
    "log_likelihood",
    "sandwich",
    "variational_bound",
]
