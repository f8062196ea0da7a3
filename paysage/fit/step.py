"""One training step, and its capture: on the GPU it is recorded once and launched as a whole."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

from paysage import backends as be
from paysage.capturable import is_capturable
from paysage.fit.methods import SamplerMethod, takes_samplers
from paysage.fit.phases import Phases
from paysage.fit.reduction import Reduction
from paysage.models import BoltzmannMachine
from paysage.models.centering import means_of_centered, move_offsets
from paysage.optimizers import Optimizer
from paysage.optimizers.base import check_gradient
from paysage.threads import one_thread_each, undivided

Tensor = Any

log = logging.getLogger(__name__)

#: steps before the capture; the first makes the optimizer's slots and the memory of the phases
WARM_UP_STEPS = 3


class Step:
    """One step of training on a minibatch: the gradient, the optimizer, centered layers' offsets.

    Parameters
    ----------
    model : BoltzmannMachine
    phases : Phases
        Of this model.
    method : function
        Of a minibatch and the phases, which gives a gradient.
    optimizer : Optimizer

    Attributes
    ----------
    pause : bool
        Whether this process wishes to pause after a step.
    """

    def __init__(
        self, model: BoltzmannMachine, phases: Phases, method: Callable, optimizer: Optimizer
    ) -> None:
        self.model = model
        self.phases = phases
        self.method = method
        self.optimizer = optimizer
        self.pause = False
        self._centered = any(layer.center for layer in model.layers)

    def __call__(self, visible: Tensor) -> None:
        """Learn from the visible units (B, V) of a minibatch."""
        self.optimizer.update(self.model, self.method(visible, self.phases))
        self._update_offsets()

    @property
    def paused(self) -> bool:
        """Whether all processes pause now."""
        return self.pause

    def settle_pause(self, pause: bool) -> None:
        """All processes have agreed to pause now, or to go on."""

    def start_anew(self) -> None:
        """The phases have got other chains, or other inverse temperatures."""

    def _update_offsets(self) -> None:
        if self._centered and self.phases.data is not None:
            self.model.update_offsets(self.phases.data)


class SharedStep(Step):
    """The same step in several processes, each of which learns from its share of the rows."""

    def __init__(
        self, model: BoltzmannMachine, phases: Phases, method: Callable, optimizer: Optimizer
    ) -> None:
        super().__init__(model, phases, method, optimizer)
        self._add_up = Reduction(model, phases.processes)
        self._paused = False

    def __call__(self, visible: Tensor) -> None:
        """Learn from the visible units (B, V) of a minibatch, the same one in all processes."""
        self.phases.minibatch = rows = int(be.shape(visible)[0])
        gradient = self.method(visible, self.phases)
        check_gradient(gradient)
        means = {}
        if self._centered and self.phases.data is not None:
            means = means_of_centered(self.model, self.phases.data)
        total = self._add_up
        total(gradient, means, self.phases.share_of(rows), self.pause)
        self.optimizer.update(self.model, total.gradient)
        move_offsets(self.model, {i: total.means[i] for i in means})
        self.settle_pause(total.pause)

    @property
    def paused(self) -> bool:
        """Whether all processes pause now; a wish is heard of at the next step."""
        return self._paused

    def settle_pause(self, pause: bool) -> None:
        """All processes have agreed to pause now, or to go on."""
        self._paused = pause


class CapturedStep(Step):
    """The same step, which is captured after some ordinary ones and replayed from then on.

    The minibatch and the optimizer's numbers are copied to tensors that the captured step reads.
    Minibatches of another number of rows are ordinary steps.

    Parameters
    ----------
    model, phases, method, optimizer
        As for a ``Step``; all parts of it have promised to be capturable.
    rows : int
        Of the minibatches to be captured for.
    """

    def __init__(
        self,
        model: BoltzmannMachine,
        phases: Phases,
        method: Callable,
        optimizer: Optimizer,
        rows: int,
    ) -> None:
        super().__init__(model, phases, method, optimizer)
        self._rows = rows
        self._others: set[int] = set()
        self.start_anew()

    def start_anew(self) -> None:
        """Warm up, and capture, once more: the replay knows the old chains only."""
        self._seen = 0
        self._replay: Callable[[], None] | None = None

    def __call__(self, visible: Tensor) -> None:
        """Learn from the visible units (B, V) of a minibatch."""
        rows = int(be.shape(visible)[0])
        ordinary = partial(super().__call__, visible)
        with undivided():
            if rows != self._rows:
                self._say_once(rows)
                ordinary()
            elif self._seen < WARM_UP_STEPS:
                self._seen += 1
                be.warm_up(ordinary)
            else:
                self._launch(visible)

    def _launch(self, visible: Tensor) -> None:
        self.optimizer.begin(self.model)
        if self._replay is None:
            self._capture(visible)
        self._visible[:] = visible
        self._fill(self.optimizer.numbers)
        self._replay()  # type: ignore[misc]
        self.phases.data = self._data

    def _capture(self, visible: Tensor) -> None:
        numbers = self.optimizer.numbers
        self._visible = be.copy_tensor(visible)
        self._scalars = tuple(be.float_scalar(number) for number in numbers)
        self._filled = numbers
        self.optimizer.numbers = self._scalars
        self._replay = be.capture(self._work)
        self.optimizer.numbers = numbers
        self._data = self.phases.data
        log.info("the training step on minibatches of %d rows is captured", self._rows)

    def _fill(self, numbers: tuple[float, ...]) -> None:
        """Write the numbers that have changed to where the captured step reads them."""
        for scalar, old, new in zip(self._scalars, self._filled, numbers, strict=True):
            if new != old:
                be.fill_(scalar, new)
        self._filled = numbers

    def _work(self) -> None:
        """What a step does to tensors."""
        self.optimizer.move(self.model, self.method(self._visible, self.phases))
        self._update_offsets()

    def _say_once(self, rows: int) -> None:
        if rows not in self._others:
            self._others.add(rows)
            log.info(
                "minibatches of %d rows are no captured step: it was for %d rows", rows, self._rows
            )


def room_for_steps() -> AbstractContextManager[None]:
    """For the threads of steps while it is open: one on the GPU, which queues them itself."""
    if be.get_backend().processor == "gpu":
        return undivided()
    return one_thread_each()


def make_step(
    model: BoltzmannMachine,
    phases: Phases,
    method: Callable,
    optimizer: Optimizer,
    rows: int,
    capture: bool,
) -> Step:
    """The step of a training: captured where the backend and all of its parts allow it.

    Parameters
    ----------
    rows : int
        Of a usual minibatch.
    capture : bool
        Whether it may be captured.
    """
    if takes_samplers(method):
        method = SamplerMethod(method)
    parts, processes = (model, phases, method, optimizer), phases.processes
    if processes.size > 1:
        if capture and be.can_capture() and processes.first:
            log.info("training steps are not captured: %d processes share them", processes.size)
        return SharedStep(*parts)
    if not capture or not be.can_capture():
        return Step(*parts)
    obstacles = [part for part in parts_of(*parts) if not is_capturable(part)]
    if obstacles:
        log.info("training steps are not captured: %r does not promise it", obstacles[0])
        return Step(*parts)
    return CapturedStep(*parts, rows)


def parts_of(
    model: BoltzmannMachine, phases: Phases, method: Callable, optimizer: Optimizer
) -> Iterator[Any]:
    """All that runs in a training step and must promise to be capturable."""
    yield from (method, optimizer, phases.negative)
    if phases.mean_field is not None:
        yield phases.mean_field
    for owner in (*model.layers, *(c.weights for c in model.connections)):
        yield owner
        for name in owner.trainable():
            if name in owner.penalties:
                yield owner.penalties[name]
        yield from owner.constraints.values()
