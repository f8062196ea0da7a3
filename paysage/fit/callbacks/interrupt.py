"""Ctrl-C that loses nothing."""

from __future__ import annotations

import logging
import signal
import threading
from typing import TYPE_CHECKING, Any

from paysage.fit.callbacks.base import Callback

if TYPE_CHECKING:
    from paysage.fit.training import Training

log = logging.getLogger(__name__)


class PauseOnInterrupt(Callback):
    """Ctrl-C (SIGINT) finishes the step, has the checkpoint written, and ``train`` returns.

    With ``resume=True`` the training then goes on after that step. A second Ctrl-C, before the step
    is finished, is the usual one. It works in the main thread, which gets the signal.

    Attributes
    ----------
    interrupted : bool
        Whether the training ended so.
    """

    everywhere = True

    def __init__(self) -> None:
        self.interrupted = False
        self._before: Any = None

    def begin(self, training: Training) -> None:
        """Take the signal."""
        self.interrupted = False

        def pause(*_: Any) -> None:
            self.interrupted = True
            training.pause()
            signal.signal(signal.SIGINT, self._before)

        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGINT, pause)

    def end(self, training: Training) -> None:
        """Give the signal back."""
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)
            self._before = None
        if self.interrupted:
            where = (training.epoch, training.minibatch, training.num_minibatches)
            log.warning("interrupted after %d epochs and %d of %d minibatches", *where)
