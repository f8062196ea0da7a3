"""Training from minibatches of arrays, and the chains that go on from one call to the next."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from paysage import backends as be
from paysage.checks import check_flag, check_number, check_whole
from paysage.errors import ConfigError
from paysage.fit import Phases, pcd
from paysage.fit.checks import check_finite
from paysage.fit.step import make_step, room_for_steps
from paysage.models import BoltzmannMachine, State
from paysage.optimizers import Optimizer


def check_settings(estimator: Any) -> None:
    """Raise a ConfigError unless the numbers that every estimator has can be used."""
    check_whole("batch_size", estimator.batch_size, 1)
    check_whole("n_iter", estimator.n_iter)
    check_flag("shuffle", estimator.shuffle)
    if not isinstance(estimator.verbose, bool):
        check_whole("verbose", estimator.verbose)
    if not check_number("learning_rate", estimator.learning_rate) > 0:
        raise ConfigError(f"learning_rate must be more than zero, got {estimator.learning_rate!r}")


class Training:
    """Persistent contrastive divergence (PCD-1) of one machine.

    Parameters
    ----------
    model : BoltzmannMachine
    optimizer : Optimizer
    rows : int
        Of a minibatch, and chains of the negative phase.
    chains : list of arrays, optional
        Where the chains go on; by default each layer is drawn on its own.
    """

    def __init__(
        self,
        model: BoltzmannMachine,
        optimizer: Optimizer,
        rows: int,
        chains: list[np.ndarray] | None = None,
    ) -> None:
        self.model, self._rows = model, int(rows)
        self._phases = Phases(model, self._rows, beta_std=0.0)
        if chains is not None:
            self._phases.negative.set_state(State(chains))
        self._step = make_step(model, self._phases, pcd, optimizer, rows, capture=True)

    def run(self, data: Iterable, num_epochs: int, report: Callable[[], str] | None = None) -> None:
        """Learn from minibatches (B, V), which are iterated over once an epoch.

        Parameters
        ----------
        data : iterable of tensors
        num_epochs : int
        report : function, optional
            What it says is printed after each epoch, with the epoch's number and time.

        Raises
        ------
        DivergenceError
            If a parameter has become NaN or infinite at the end of an epoch.
        """
        for epoch in range(1, int(num_epochs) + 1):
            start = time.perf_counter()
            # infinities are looked for once, and named: no warning at every operation
            with room_for_steps(), np.errstate(all="ignore"):
                for visible in data:
                    self._step(visible)
            check_finite(self.model)
            if report is not None:
                seconds = time.perf_counter() - start
                print(report().format(iteration=epoch, seconds=seconds), flush=True)

    def chains(self) -> list[np.ndarray]:
        """Units of all layers where the chains are, the visible layer first."""
        return [np.array(be.to_numpy_array(units)) for units in self._phases.negative.get_state()]
