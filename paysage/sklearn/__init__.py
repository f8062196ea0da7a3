"""Boltzmann machines as estimators of scikit-learn; needs the extra ``sklearn``."""

from paysage.errors import missing_dependency

try:
    import sklearn as _sklearn  # noqa: F401
except ModuleNotFoundError as error:
    if error.name != "sklearn":
        raise
    raise missing_dependency("scikit-learn", "paysage.sklearn", "sklearn") from error

from paysage.sklearn.bernoulli import BernoulliRBM
from paysage.sklearn.deep import DeepBoltzmannMachine
from paysage.sklearn.gaussian import GaussianRBM
from paysage.sklearn.hopfield import HopfieldNetwork
from paysage.sklearn.labelled import RBMClassifier

__all__ = [
    "BernoulliRBM",
    "DeepBoltzmannMachine",
    "GaussianRBM",
    "HopfieldNetwork",
    "RBMClassifier",
]
