"""A training on its way: epochs, what is measured after them, and who is told."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from paysage.batch.order import draw_seed
from paysage.errors import DivergenceError
from paysage.fit.averaging import ParameterMean
from paysage.fit.checkpoint import Checkpoint, Position
from paysage.fit.checks import check_finite, check_same_data
from paysage.fit.form import check_form
from paysage.fit.memory import Memory, copied, generator_states, going_on, set_generator_states
from paysage.fit.phases import Phases
from paysage.fit.step import Step
from paysage.metrics import ProgressMonitor
from paysage.models import BoltzmannMachine, State
from paysage.optimizers import Optimizer

if TYPE_CHECKING:
    from paysage.fit.callbacks import Callback


@dataclass(eq=False)
class Training:
    """What callbacks see of a training, and how they end it.

    Attributes
    ----------
    model, batch, optimizer, monitor
        Those of the trainer.
    num_epochs : int
    epoch : int
        Epochs of this training that are complete.
    earlier : int
        Epochs of trainings before, which the monitor counts too.
    minibatch : int
        Minibatches of the present epoch that were learned from.
    num_minibatches : int
        In an epoch.
    metrics : dict
        What was measured last, by name; None for what was not measured then.
    seconds : float
        That the last epoch took.
    shuffle_seed : int
        Determines, with the epoch, the order of the training rows in an epoch.
    """

    model: BoltzmannMachine
    batch: Any
    optimizer: Optimizer
    monitor: ProgressMonitor
    num_epochs: int
    _fantasy_steps: int
    _phases: Phases
    _step: Step
    _mean: ParameterMean
    _memory: Memory
    _burn_in: int
    _first_averaged: int
    _verbose: bool
    _checkpoint: Checkpoint | None = None
    callbacks: Sequence[Callback] = ()
    epoch: int = 0
    earlier: int = 0
    minibatch: int = 0
    metrics: OrderedDict[str, float | None] = field(default_factory=OrderedDict)
    seconds: float = 0.0
    shuffle_seed: int = 0
    _ended: bool = False
    _start: dict[str, Any] = field(default_factory=dict)

    @property
    def num_minibatches(self) -> int:
        """Minibatches of an epoch."""
        table = self.batch.tables["train"]
        return -(-table.nrows // table.batch_size)

    @property
    def chains(self) -> State:
        """State of the negative chains; it is not to be changed.

        Within an epoch, the rows that other processes move are where they were at its start.
        """
        return self._phases.negative.get_state()

    @property
    def resumed(self) -> bool:
        """Whether something is behind."""
        return self.epoch > 0 or self.minibatch > 0

    @property
    def paused(self) -> bool:
        """Whether it ends here, to be resumed."""
        return self._step.paused

    def stop(self) -> None:
        """End after the present epoch, for good: what is resumed stays where it is."""
        self._ended = True

    def pause(self) -> None:
        """End after the present step, to be resumed there."""
        self._step.pause = True

    def run(self, stored: dict[str, Any] | None = None) -> None:
        """Begin, or go on from the tree of a checkpoint, until the end."""
        self._lead(self._begin if stored is None else partial(self._go_on, stored))
        check_same_data(self.batch, self._phases.processes, self._memory.generator)
        with ExitStack() as ends:  # in which one that raises keeps the others from nothing
            for callback in self.callbacks:
                ends.callback(callback.end, self)
                callback.begin(self)
            self._lead(self._settle_pause)
            while not (self._ended or self.paused) and self.epoch < self.num_epochs:
                self._one_epoch()

    def _lead(self, work: Callable[[], None]) -> None:
        """Do what one process does for all; the others take over where it is then."""
        processes, error = self._phases.processes, None
        if processes.first:
            try:
                work()
            except DivergenceError as found:
                error = found
        if processes.size > 1:
            told = processes.tell(self._whereabouts(error) if processes.first else None)
            error = told.pop("error")
            self._take_over(told)
        if error is not None:
            raise error

    def _whereabouts(self, error: DivergenceError | None) -> dict[str, Any]:
        """All that the other processes must know."""
        return {
            "error": error,
            "place": self._place(),
            "paused": self.paused,
            "metrics": self.metrics,
            "seconds": self.seconds,
            "memory": self._memory.get(),
        }

    def _take_over(self, told: dict[str, Any]) -> None:
        if not self._phases.processes.first:
            self._memory.put(told["memory"], self._phases.processes.rank)
            self._set_place(told["place"])
            self.metrics, self.seconds = told["metrics"], told["seconds"]
        self._step.settle_pause(told["paused"])

    def _begin(self) -> None:
        # a second training goes on counting: its files must not replace those of the first
        self.earlier = max(self.monitor.epochs, default=0)
        # the metrics are measured, and draw, whether or not they are shown
        self.metrics = self._evaluate(self.earlier)
        self._show("Before training:")
        if self.batch.is_shuffled("train"):
            self.shuffle_seed = draw_seed()
        self._phases.set_driven(self._burn_in == 0)

    def _go_on(self, stored: dict[str, Any]) -> None:
        """Put everything back to where it was."""
        self._memory.put_stored(stored["memory"])
        place = Position(**stored["position"])
        self._set_place(place)
        with going_on():
            self._start = stored["start"] if place.minibatch else {}
            if place.minibatch:
                check_form(self._start["values"], self.model.get_values(), "the start of the epoch")
            self._remind(stored["callbacks"])
            if self.monitor.memory:
                self.metrics = OrderedDict(self.monitor.memory[-1])
        if self._verbose:
            print(f"Going on after epoch {self.epoch}\n", flush=True)

    def _place(self) -> Position:
        return Position(self.epoch, self.minibatch, self.earlier, self._ended, self.shuffle_seed)

    def _set_place(self, place: Position) -> None:
        self.epoch, self.minibatch, self.earlier, self._ended, self.shuffle_seed = place

    def _remind(self, kept: list[Any]) -> None:
        """Give callbacks what those of their name, in this order, kept."""
        left = list(kept)
        for callback in self.callbacks:
            own = next((entry for entry in left if entry[0] == type(callback).__name__), None)
            if own is not None:
                left.remove(own)
                callback.set_memory(own[1])

    def _one_epoch(self) -> None:
        """One epoch and its metrics, or what is left of it; on divergence back to its start."""
        if self.minibatch == 0:
            self._remember_start()
            self._begin_epoch()
        began, diverged = time.perf_counter(), None
        try:
            # infinities are looked for below, once, and named: no warning at every operation
            with np.errstate(all="ignore"):
                self._learn(self._minibatches_left())
        except DivergenceError as error:
            if self._phases.processes.size > 1:  # the others do not know
                raise
            diverged = error
        self._lead(partial(self._end_epoch, began, diverged))

    def _end_epoch(self, began: float, diverged: DivergenceError | None) -> None:
        """What follows when all minibatches were learned from, or those before a pause."""
        try:
            if diverged is not None:
                raise diverged
            if self.paused:
                self._write()
                return
            with np.errstate(all="ignore"):
                check_finite(self.model)
                self.seconds = time.perf_counter() - began
                self._measure()
        except DivergenceError as error:
            self._go_back(error)
            return
        self._finish_epoch()

    def _remember_start(self) -> None:
        # all of it only where somebody may ask to go back there
        whole = any(callback.goes_back for callback in self.callbacks)
        here = copied(self._memory.get()) if whole else {}
        self._start = {"values": self.model.get_values(), "memory": here}

    def _begin_epoch(self) -> None:
        epoch = self.epoch + 1
        if epoch > 1 and epoch == self._burn_in + 1:
            self._phases.set_driven(True)
            self._step.start_anew()
        self.optimizer.update_lr()

    def _minibatches_left(self) -> Iterator[Any]:
        """Return the minibatches of the epoch that have not been learned from."""
        # the order is a function of the epoch: an epoch that is resumed or repeated has the same
        minibatches = iter(self.batch.iterate("train", seed=(self.shuffle_seed, self.epoch)))
        if self.minibatch:
            generator = self._memory.generator
            before = generator_states(generator)  # transforms may draw
            for _ in range(self.minibatch):
                next(minibatches)
            set_generator_states(generator, before)
        return minibatches

    def _learn(self, minibatches: Iterator[Any]) -> None:
        """Make a training step on each minibatch, until a pause."""
        averaged = self.epoch + 1 >= self._first_averaged
        alone = self._phases.processes.size == 1
        for visible in minibatches:
            self._step(visible)
            if averaged:
                self._mean.add()
            self.minibatch += 1
            for callback in self.callbacks:
                callback.after_batch(self)
            if self.paused:
                break
            if alone and self._checkpoint is not None and self._checkpoint.is_late():
                check_finite(self.model)
                self._write()
        if not alone:
            self._phases.gather()

    def _measure(self) -> None:
        moved = _distance(self._start["values"], self.model.get_values())
        if moved <= self.optimizer.tolerance:
            self.stop()
        if self._ended or self.epoch + 1 == self.num_epochs:
            self._mean.write()
        self.metrics = self._evaluate(self.earlier + self.epoch + 1)

    def _go_back(self, error: DivergenceError) -> None:
        """Let a callback try the epoch again; else leave the parameters as they were."""
        for callback in self.callbacks:
            if callback.goes_back and callback.diverged(self):
                self._memory.put(copied(self._start["memory"]))
                self._step.start_anew()
                callback.retry(self)
                self.minibatch, self._ended = 0, False
                return
        self.model.set_values(self._start["values"])
        self.optimizer.forget()  # NaN in its slots would outlive the parameters'
        raise error

    def _finish_epoch(self) -> None:
        self.epoch, self.minibatch = self.epoch + 1, 0
        self._show(f"End of epoch {self.epoch}: \nTime elapsed {round(self.seconds, 3)}s")
        self.monitor.record(self.earlier + self.epoch, self.metrics, self.model)
        for callback in self.callbacks:
            callback.after_epoch(self)
        if self._ended:
            self._mean.write()
        self._settle_pause()
        file = self._checkpoint
        last = self._ended or self.paused or self.epoch == self.num_epochs
        if file is not None and (last or file.is_due(self.epoch)):
            self._write()

    def _settle_pause(self) -> None:
        """A wish of this process to pause is one of all."""
        self._step.settle_pause(self._step.pause)

    def _write(self) -> None:
        if self._checkpoint is not None:
            start = self._start if self.minibatch else {}
            kept = [[type(c).__name__, c.get_memory()] for c in self.callbacks]
            kept = [entry for entry in kept if entry[1] is not None]
            self._checkpoint.write(
                self._place(), {"memory": self._memory.get(), "callbacks": kept, "start": start}
            )

    def _show(self, heading: str) -> None:
        if self._verbose:
            print(heading)
            self.monitor.show(self.metrics)
            print(flush=True)

    def _evaluate(self, epoch: int) -> Any:
        return self.monitor.evaluate(self.batch, self.model, self._fantasy_steps, epoch)


def _distance(before: Any, after: Any) -> float:
    """Largest change of any number between two trees of arrays."""
    if isinstance(before, dict):
        return max((_distance(before[k], after[k]) for k in before), default=0.0)
    if isinstance(before, list):
        return max(map(_distance, before, after), default=0.0)
    return float(np.max(np.abs(before - after), initial=0.0))
