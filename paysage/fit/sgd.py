"""Stochastic gradient descent over epochs of minibatches."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from paysage.errors import DivergenceError
from paysage.fit.checks import check_data, check_finite, check_lr_period, check_tools, check_whole
from paysage.fit.methods import pcd
from paysage.fit.phases import Phases
from paysage.metrics import ProgressMonitor
from paysage.models import BoltzmannMachine
from paysage.optimizers import Optimizer
from paysage.samplers import AutoregressiveGammaSampler
from paysage.threads import threads_for


class StochasticGradientDescent:
    """Trains a model on the minibatches of a batch.

    Parameters
    ----------
    model : BoltzmannMachine
        Its parameters are changed in place.
    batch : Batch
        With modes 'train' and 'validate'.
    fantasy_steps : int
        Sweeps of the fantasy particles that the metrics look at.

    Attributes
    ----------
    monitor : ProgressMonitor
        Metrics are appended to its ``generator_metrics`` and read in its ``memory``.
    """

    def __init__(self, model: BoltzmannMachine, batch: Any, fantasy_steps: int = 10) -> None:
        check_whole(fantasy_steps=(fantasy_steps, 1))
        self.model = model
        self.batch = batch
        self.fantasy_steps = fantasy_steps
        self.monitor = ProgressMonitor()

    def train(
        self,
        optimizer: Optimizer,
        num_epochs: int,
        mcsteps: int = 1,
        update_method: str = "markov_chain",
        method: Callable = pcd,
        beta_std: float = 0.6,
        negative_phase_batch_size: int | None = None,
        verbose: bool = True,
        burn_in: int = 0,
        lr_period: str | None = None,
    ) -> None:
        """Train for a number of epochs.

        Parameters
        ----------
        optimizer : Optimizer
            Its schedule gives the learning rate; see ``lr_period``.
        num_epochs : int
        mcsteps : int
            Sweeps of either phase in one step.
        update_method : 'markov_chain', 'mean_field_iteration' or 'deterministic_iteration'
        method : function
            ``fit.pcd``, ``fit.cd`` or any function like them.
        beta_std : float
            Standard deviation of the inverse temperature of the negative chains.
        negative_phase_batch_size : int, optional
            Number of negative chains; by default the batch size. ``fit.cd`` has always as many as
            the minibatch has rows.
        verbose : bool
            Print the metrics, and show a progress bar where standard error is a terminal.
        burn_in : int
            First epochs in which the inverse temperature stays at one.
        lr_period : 'training' or 'epoch', optional
            How often the schedule gives its next value: once for this call, as in the 0.2 line
            (the default, with a warning if the schedule is not constant), or once an epoch.

        Raises
        ------
        ConfigError, ShapeError, DataError
            Before any work, if an argument or the data cannot be used.
        DivergenceError
            If a parameter or a metric becomes NaN or infinite; the model then has the
            parameters of the last good epoch.
        """
        chains = negative_phase_batch_size
        if chains is None:
            chains = self.batch.batch_size
        check_whole(
            num_epochs=(num_epochs, 0),
            mcsteps=(mcsteps, 1),
            burn_in=(burn_in, 0),
            negative_phase_batch_size=(chains, 1),
        )
        check_tools(optimizer, method)
        each_epoch = check_lr_period(lr_period, optimizer)
        driven = AutoregressiveGammaSampler(beta_std=beta_std)
        check_data(self.model, self.batch)
        phases = Phases(self.model, chains, mcsteps, update_method, beta_std=0.0)

        with threads_for(max(chains, self.batch.batch_size) * self._largest_matrix()):
            self._epochs(
                optimizer, num_epochs, method, phases, driven, burn_in, each_epoch, verbose
            )

    def _epochs(
        self,
        optimizer: Optimizer,
        num_epochs: int,
        method: Callable,
        phases: Phases,
        driven: AutoregressiveGammaSampler,
        burn_in: int,
        each_epoch: bool,
        verbose: bool,
    ) -> None:
        """The epochs of a training whose arguments have been checked."""
        # the metrics are measured, and draw, whether or not they are shown
        self._show("Before training:", self._evaluate(), verbose)
        optimizer.update_lr()
        # a second training goes on counting: its files must not replace those of the first
        earlier = max(self.monitor.epochs, default=0)
        for epoch in range(1, num_epochs + 1):
            if epoch == burn_in + 1:
                driven.set_beta(phases.negative.get_state().batch_size())
                phases.negative.beta_sampler = driven
            if each_epoch and epoch > 1:
                optimizer.update_lr()
            moved, seconds, metrics = self._guarded_epoch(optimizer, method, phases, verbose)
            self._show(
                f"End of epoch {epoch}: \nTime elapsed {round(seconds, 3)}s", metrics, verbose
            )
            self.monitor.record(earlier + epoch, metrics, self.model)
            if moved <= optimizer.tolerance:
                break

    def _guarded_epoch(
        self, optimizer: Optimizer, method: Callable, phases: Phases, verbose: bool
    ) -> tuple[float, float, Any]:
        """One epoch and its metrics; on divergence the parameters go back to where they were."""
        before = self.model.get_values()
        start = time.perf_counter()
        try:
            # infinities are looked for below, once, and named: no warning at every operation
            with np.errstate(all="ignore"):
                self._epoch(optimizer, method, phases, verbose)
                check_finite(self.model)
                seconds = time.perf_counter() - start
                metrics = self._evaluate()
        except DivergenceError:
            self.model.set_values(before)
            optimizer.forget()  # NaN in its slots would outlive the parameters'
            raise
        return _distance(before, self.model.get_values()), seconds, metrics

    def _epoch(self, optimizer: Optimizer, method: Callable, phases: Phases, verbose: bool) -> None:
        centered = any(layer.center for layer in self.model.layers)
        for visible in _progress(self.batch.iterate("train"), self._num_minibatches(), verbose):
            gradient = method(visible, phases)
            optimizer.update(self.model, gradient)
            if centered and phases.data is not None:
                self.model.update_offsets(phases.data)

    def _show(self, heading: str, metrics: Any, verbose: bool) -> None:
        if verbose:
            print(heading)
            self.monitor.show(metrics)
            print(flush=True)

    def _largest_matrix(self) -> int:
        return max(c.weights.shape[0] * c.weights.shape[1] for c in self.model.connections)

    def _num_minibatches(self) -> int | None:
        table = self.batch.tables["train"]
        return -(-table.nrows // table.batch_size)

    def _evaluate(self) -> Any:
        return self.monitor.evaluate(self.batch, self.model, self.fantasy_steps)


SGD = StochasticGradientDescent


def _progress(minibatches: Iterable, total: int | None, verbose: bool) -> Iterable:
    """A bar over the minibatches, on a terminal only, gone when the epoch ends."""
    from tqdm import tqdm

    return tqdm(
        minibatches, total=total, disable=None if verbose else True, leave=False, unit="minibatch"
    )


def _distance(before: Any, after: Any) -> float:
    """Largest change of any number between two trees of arrays."""
    if isinstance(before, dict):
        return max((_distance(before[k], after[k]) for k in before), default=0.0)
    if isinstance(before, list):
        return max(map(_distance, before, after), default=0.0)
    return float(np.max(np.abs(before - after), initial=0.0))
