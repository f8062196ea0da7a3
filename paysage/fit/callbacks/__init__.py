"""Callbacks: what is told of a training after each step and epoch, and may end it."""

from paysage.fit.callbacks.base import Callback, check_callbacks
from paysage.fit.callbacks.divergence import HalveOnDivergence
from paysage.fit.callbacks.interrupt import PauseOnInterrupt
from paysage.fit.callbacks.logs import CSVLog, JSONLinesLog
from paysage.fit.callbacks.progress import ProgressBar
from paysage.fit.callbacks.stopping import EarlyStopping, SaveBest
from paysage.fit.callbacks.tensorboard import TensorBoard

__all__ = [
    "CSVLog",
    "Callback",
    "EarlyStopping",
    "HalveOnDivergence",
    "JSONLinesLog",
    "PauseOnInterrupt",
    "ProgressBar",
    "SaveBest",
    "TensorBoard",
    "check_callbacks",
]
