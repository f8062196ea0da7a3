"""Stochastic gradient descent over epochs of minibatches."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from datetime import timedelta
from pathlib import Path
from typing import Any

from paysage.backends.generator import Generator, GeneratorOwner
from paysage.checks import check_whole
from paysage.errors import ConfigError
from paysage.fit.averaging import ParameterMean, first_averaged
from paysage.fit.callbacks import Callback, ProgressBar, check_callbacks
from paysage.fit.checkpoint import Checkpoint
from paysage.fit.checks import (
    check_course,
    check_data,
    check_flags,
    check_model_and_batch,
    check_positive_phase,
    check_sampler,
    check_sharing,
)
from paysage.fit.mean_field import MeanField
from paysage.fit.memory import Memory
from paysage.fit.methods import pcd
from paysage.fit.phases import Phases
from paysage.fit.processes import Processes
from paysage.fit.settings import (
    describe_batch,
    describe_method,
    describe_metrics,
    describe_part,
    plain,
)
from paysage.fit.step import make_step, room_for_steps
from paysage.fit.training import Training
from paysage.metrics import ProgressMonitor
from paysage.models import BoltzmannMachine
from paysage.optimizers import Optimizer
from paysage.samplers import Chains


class StochasticGradientDescent(GeneratorOwner):
    """Trains a model on the minibatches of a batch.

    Parameters
    ----------
    model : BoltzmannMachine
        Its parameters are changed in place.
    batch : Batch
        With modes 'train' and 'validate'.
    fantasy_steps : int
        Sweeps of the fantasy particles that the metrics look at.
    generator : backends.Generator or int, optional
        Generator, or its seed, that everything in a training draws from: chains, metrics,
        transforms, methods of the model that callbacks call. By default the active generator, or
        the generator of the model.

    Attributes
    ----------
    monitor : ProgressMonitor or None
        Metrics are appended to its ``generator_metrics`` and read in its ``memory``. Set it to None
        to train without metrics.
    paused : bool
        Whether the last training ended by a pause, to be resumed.
    """

    def __init__(
        self,
        model: BoltzmannMachine,
        batch: Any,
        fantasy_steps: int = 10,
        generator: Generator | int | None = None,
    ) -> None:
        check_model_and_batch(model, batch)
        self.generator = generator
        self.model = model
        self.batch = batch
        self.fantasy_steps = check_whole("fantasy_steps", fantasy_steps, 1)
        self.monitor: Any = ProgressMonitor()
        self.paused = False

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
        sampler: Chains | None = None,
        capture: bool = True,
        positive_phase: MeanField | None = None,
        average_last: float = 0.0,
        precision: str = "float32",
        checkpoint: str | Path | None = None,
        every: int | timedelta = 1,
        resume: bool = False,
        callbacks: Iterable[Callback] = (),
        processes: Processes | None = None,
    ) -> None:
        """Train for a number of epochs.

        Parameters
        ----------
        optimizer : Optimizer
            Its schedule takes one step at the start of each epoch: epoch t, counted from 0, is
            trained at the learning rate x(t).
        num_epochs : int
        mcsteps : int
            Sweeps of either phase in one step.
        update_method : 'markov_chain', 'mean_field_iteration' or 'deterministic_iteration'
        method : function
            ``fit.pcd``, ``fit.cd``, ``fit.TAP(...).tap_update``, or a function of (visible, phases)
            or of (visible, model, positive, negative) that returns a gradient; see
            ``fit.methods``.
        beta_std : float
            Standard deviation of the inverse temperature of the negative chains.
        negative_phase_batch_size : int, optional
            Number of negative chains; by default the batch size. ``fit.cd`` has always as many as
            the minibatch has rows.
        verbose : bool
            Print the metrics, and show a progress bar where standard error is a terminal.
        burn_in : int
            First epochs in which the inverse temperature stays at one.
        sampler : Chains, optional
            Negative chains of your own, such as ``ParallelTempering.from_model(model, 100)``: they
            make ``mcsteps`` steps of theirs at each minibatch, and stay yours to look at. Their
            number and inverse temperatures are their own: ``beta_std`` and ``burn_in`` have no
            effect.
        capture : bool
            On the GPU, record the training step once and launch it as a whole from then on, if all
            of its parts promise that they allow it; nothing changes elsewhere.
        positive_phase : MeanField, optional
            Mean fields, iterated until they settle, in the place of ``mcsteps`` sweeps of the
            positive phase.
        average_last : float
            Part of the epochs, the last ones, rounded up: the model ends with the mean of its
            parameters over all updates in them, which the metrics of the last epoch look at.
        precision : 'float32' or 'bf16'
            With 'bf16' the matrix products of a step take weights and means rounded to bfloat16 and
            sum in float32, which is faster; see ``docs/howto/precision.md``. Parameters, and all
            that happens outside of the steps, stay in float32.
        checkpoint : path, optional
            A file with everything that this training remembers, written after epochs; the file
            before is replaced by the whole new one, or stays. See ``docs/howto/resume.md``.
        every : int or timedelta
            Epochs from one writing of it to the next; it is written after the last one too. Or the
            time, after which it is written within an epoch; where several processes train, after
            that epoch.
        resume : bool
            Go on after the epoch of the checkpoint, to the same bits as without a break, if the
            file is there; else begin. Arguments, model, optimizer, metrics and data must be what
            they were; ``num_epochs`` may be greater, unless parameters are
            averaged over a part of the epochs.
        callbacks : list of Callback
            Told after each step and epoch; see ``fit.callbacks``.
        processes : Processes, optional
            Those that ``torchrun`` has started, to train together: each learns from its share of
            the rows of every minibatch and of the chains, the first one prints, measures, writes
            and has the callbacks. All begin with what the first one has. See
            ``docs/howto/distributed.md``.

        Raises
        ------
        ConfigError, ShapeError, DataError
            Before any work, if an argument or the data cannot be used, or the checkpoint is that
            of another training.
        StorageError
            If the checkpoint cannot be read, or another training writes it, before any work; or if
            it cannot be written.
        BackendError
            If the GPU in use has no products in bfloat16.
        DivergenceError
            If a parameter or a metric becomes NaN or infinite; the model then has the
            parameters of the last good epoch.
        ProcessError
            If another process has failed.
        """
        check_course(optimizer, method, num_epochs, mcsteps, beta_std, precision)
        chains = self._num_chains(negative_phase_batch_size, sampler, method)
        processes = check_sharing(self.batch, chains, sampler, processes, method)
        num_epochs, mcsteps, burn_in = (
            int(num_epochs),
            int(mcsteps),
            check_whole("burn_in", burn_in),
        )
        check_flags(verbose=verbose, capture=capture, resume=resume)
        check_positive_phase(positive_phase)
        first = first_averaged(average_last, num_epochs)
        monitor = self._present_monitor()
        monitor.check_saving(self.model)
        verbose = verbose and processes.first
        called = _with_bar(check_callbacks(callbacks, monitor), verbose)
        called = [callback for callback in called if processes.first or callback.everywhere]
        asked = {
            "optimizer": optimizer,
            "method": method,
            "sampler": None if sampler is None else type(sampler).__name__,
            "positive_phase": describe_part(positive_phase),
            "mcsteps": mcsteps,
            "update_method": update_method,
            "beta_std": beta_std,
            "chains": chains,
            "burn_in": burn_in,
            "average_last": [average_last, num_epochs if average_last else 0],
            "precision": precision,
        }
        file = self._file(checkpoint, every, resume, asked, called, processes)
        with nullcontext() if file is None else file.held(), self.drawing() as generator:
            stored = file.read(num_epochs) if file is not None and resume else None
            check_data(self.model, self.batch)
            phases = Phases(
                self.model,
                chains,
                mcsteps,
                update_method,
                beta_std,
                sampler,
                positive_phase,
                precision,
                processes,
            )
            rows = self.batch.tables["train"].output_batch_size
            mean = ParameterMean(self.model)
            memory = Memory(self.model, optimizer, phases, method, mean, monitor, generator)
            if file is not None or processes.size > 1:
                memory.get()  # refuses now what could not be stored, or told, later
            if file is not None:
                file.check_callbacks([callback.get_memory() for callback in called])
            training = Training(
                model=self.model,
                batch=self.batch,
                optimizer=optimizer,
                monitor=monitor,
                num_epochs=num_epochs,
                _fantasy_steps=self.fantasy_steps,
                _phases=phases,
                _step=make_step(self.model, phases, method, optimizer, rows, capture),
                _mean=mean,
                _memory=memory,
                _burn_in=burn_in,
                _first_averaged=first,
                _verbose=verbose,
                _checkpoint=file,
                callbacks=called,
            )
            with room_for_steps(), _together(processes):
                training.run(stored)
            self.paused = training.paused

    def _present_monitor(self) -> ProgressMonitor:
        """Return the monitor, or one without metrics where it was set to None."""
        return ProgressMonitor([]) if self.monitor is None else self.monitor

    def _default_generator(self) -> Generator:
        return self.model.generator

    def _num_chains(self, wanted: int | None, sampler: Chains | None, method: Callable) -> int:
        """Chains of the negative phase, after a look at what was asked for."""
        if sampler is None:
            wanted = self.batch.batch_size if wanted is None else wanted
            return check_whole("negative_phase_batch_size", wanted, 1)
        if wanted is not None:
            raise ConfigError("negative_phase_batch_size is no setting for a sampler's own chains")
        return check_sampler(sampler, self.model, method)

    def _file(
        self,
        path: str | Path | None,
        every: int | timedelta,
        resume: bool,
        asked: dict[str, Any],
        called: list[Callback],
        processes: Processes,
    ) -> Checkpoint | None:
        """The checkpoint, if there is to be one, with what a training to be resumed must match.

        It is the first process that has it.
        """
        if path is None and resume:
            raise ConfigError("resume=True needs the file of a checkpoint: checkpoint='run.h5'")
        if path is None or not processes.first:
            return None
        settings = {
            **self._settings(),
            **asked,
            "optimizer": asked["optimizer"].get_config(),
            "method": describe_method(asked["method"]),
            "callbacks": [c.get_config() for c in called if c.decides],
        }
        return Checkpoint(path, every, plain(settings), processes.size)

    def _settings(self) -> dict[str, Any]:
        """What a checkpoint must have been made with, beside the arguments of ``train``."""
        return {
            "model": self.model.get_config(),
            "clamped_sampling": self.model.clamped_sampling,
            "batch": describe_batch(self.batch),
            "fantasy_steps": self.fantasy_steps,
            "metrics": describe_metrics(self._present_monitor().generator_metrics),
        }


SGD = StochasticGradientDescent


@contextmanager
def _together(processes: Processes) -> Iterator[None]:
    """While open, what ends this process ends the others, who would wait for it."""
    try:
        yield
    except BaseException as error:
        processes.leave(error)
        raise


def _with_bar(called: list[Callback], verbose: bool) -> list[Callback]:
    """The callbacks, and a progress bar if there is to be one and none of them is it."""
    if verbose and not any(isinstance(callback, ProgressBar) for callback in called):
        called.append(ProgressBar())
    return called
