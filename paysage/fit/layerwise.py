"""Greedy pretraining of a deep machine, one pair of layers after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

from paysage import backends as be
from paysage.backends.generator import Generator, GeneratorOwner
from paysage.checks import check_whole
from paysage.errors import ConfigError
from paysage.files import check_writable, written_by_one
from paysage.fit.callbacks import Callback
from paysage.fit.checkpoint import read_checkpoint
from paysage.fit.checks import (
    check_course,
    check_data,
    check_flags,
    check_model_and_batch,
    check_processes,
)
from paysage.fit.methods import pcd
from paysage.fit.processes import Processes
from paysage.fit.sgd import StochasticGradientDescent
from paysage.models import BoltzmannMachine, Connection
from paysage.models.initialize import initializer
from paysage.optimizers import Optimizer
from paysage.preprocess import Transformation

Tensor = Any


class LayerwisePretrain(GeneratorOwner):
    """Pretrains the layers of a deep Boltzmann machine as a stack of restricted ones.

    Machine k learns on the mean-field output of machine k-1. In the deep machine an inner layer is
    driven from both sides; while only one side is there its input counts twice: the bottom machine
    doubles its bottom-up input, the top machine its top-down input, and weights in between
    are halved when the stack is assembled. The two biases that an inner layer learned, one in each
    machine, are averaged for the same reason (Salakhutdinov & Hinton 2009).

    Means stand for the data of the next model. They have the right mean, but less variance than
    samples: a parameter of an inner layer whose energy is not linear in the units, such as the
    ``log_var`` of a Gaussian layer, starts too small and is corrected by the joint training.

    Parameters
    ----------
    model : BoltzmannMachine
        A chain of layers; its parameters are changed in place.
    batch : Batch
    generator : backends.Generator or int, optional
        As for ``StochasticGradientDescent``; all models of the stack are trained with it.

    Attributes
    ----------
    machines : list of BoltzmannMachine
        The restricted machines, from the bottom up. What was learned before an interrupt, or before
        an error in a machine further up, is here.
    monitors : list of ProgressMonitor
        One a machine.
    paused : bool
        Whether the last training ended by a pause, so that nothing was assembled yet.
    """

    def __init__(
        self, model: BoltzmannMachine, batch: Any, generator: Generator | int | None = None
    ) -> None:
        check_model_and_batch(model, batch)
        self.generator = generator
        ends = [(c.target_index, c.domain_index) for c in model.connections]
        if ends != [(i, i + 1) for i in range(len(model.layers) - 1)]:
            raise ConfigError(
                f"layerwise pretraining needs a chain of layers, got connections {ends}"
            )
        self.model = model
        self.batch = batch
        self.machines: list[BoltzmannMachine] = []
        self.monitors: list[Any] = []
        self.paused = False

    def train(
        self,
        optimizer: Optimizer,
        num_epochs: int,
        mcsteps: int = 1,
        method: Callable = pcd,
        beta_std: float = 0.6,
        init_method: str = "hinton",
        negative_phase_batch_size: int | None = None,
        verbose: bool = True,
        capture: bool = True,
        precision: str = "float32",
        checkpoint: str | Path | None = None,
        every: int | timedelta = 1,
        resume: bool = False,
        callbacks: Iterable[Callback] | Callable[[int], Iterable[Callback]] = (),
        processes: Processes | None = None,
    ) -> None:
        """Train each machine for ``num_epochs``, from the bottom up, and assemble them.

        Parameters and errors as in ``StochasticGradientDescent.train``. Each machine is trained by
        a fresh copy of the optimizer, so its schedule restarts; each is
        initialized by ``init_method``. Each has a checkpoint of its own, 'run.h5' being
        'run_0.h5', 'run_1.h5' and so on; a pretraining that begins anew removes those of a former
        one. Once the second machine has one, ``num_epochs`` cannot grow. ``callbacks`` are told of
        the training of each machine, one after the other; or they are a function that gives those
        of machine k, which logs need, as they are files.
        """
        chains = 1 if negative_phase_batch_size is None else negative_phase_batch_size
        check_whole("negative_phase_batch_size", chains, 1)
        check_course(optimizer, method, num_epochs, mcsteps, beta_std, precision)
        initializer(init_method)
        check_processes(processes)
        check_flags(verbose=verbose, capture=capture, resume=resume)
        called = _each_time(callbacks)
        first = processes is None or processes.first
        held = written_by_one(checkpoint) if checkpoint is not None and first else nullcontext()
        with self.drawing(), held:
            check_data(self.model, self.batch)
            files = self._files(checkpoint, resume, processes, num_epochs)
            self.monitors, self.machines, self.paused = [], [], False
            for k in range(len(self.model.connections)):
                if verbose and first:
                    print(f"training model {k}\n")
                machine = self._machine(k)
                with _seen_through(self.batch, list(self.machines)):
                    self.machines.append(machine)
                    machine.initialize(self.batch, method=init_method)
                    trainer = StochasticGradientDescent(machine, self.batch)
                    self.monitors.append(trainer.monitor)
                    trainer.train(
                        optimizer.copy(),
                        num_epochs,
                        mcsteps=mcsteps,
                        method=method,
                        beta_std=beta_std,
                        negative_phase_batch_size=negative_phase_batch_size,
                        verbose=verbose,
                        capture=capture,
                        precision=precision,
                        checkpoint=files[k],
                        every=every,
                        resume=resume,
                        callbacks=called(k),
                        processes=processes,
                    )
                if trainer.paused:
                    self.paused = True
                    return
            self._assemble(self.machines)

    def _default_generator(self) -> Generator:
        return self.model.generator

    def _files(
        self,
        checkpoint: str | Path | None,
        resume: bool,
        processes: Processes | None,
        num_epochs: int,
    ) -> list[Path | None]:
        """The checkpoint of each machine; without those of a training that begins anew."""
        number = len(self.model.connections)
        if checkpoint is None:
            if resume:
                raise ConfigError("resume=True needs the file of a checkpoint: checkpoint='run.h5'")
            return [None] * number
        check_writable(checkpoint)
        files = machine_files(checkpoint, number)
        for file in files:
            check_writable(file)
        if processes is None or processes.first:
            found = _in_a_row(files) if resume else 0
            _check_complete(files[:found], num_epochs)
            for file in files[max(found, 1) :]:  # the machine below is not the one they learned on
                file.unlink(missing_ok=True)
        return [*files]

    def _machine(self, k: int) -> BoltzmannMachine:
        """The restricted machine of layers k and k+1, with their options and present values."""
        last = len(self.model.connections) - 1
        deep = last > 0
        config = self.model.get_config()
        connection = Connection.from_config(
            {
                **config["connections"][k],
                "target_index": 0,
                "domain_index": 1,
                "target_gain": 2.0 if deep and k == last else 1.0,
                "domain_gain": 2.0 if deep and k == 0 else 1.0,
            }
        )
        layers = [
            type(layer).from_config(layer.get_config()) for layer in self.model.layers[k : k + 2]
        ]
        values = self.model.get_values()
        layers[0].takes_means = k > 0  # of the machine below
        machine = BoltzmannMachine(layers, [connection])
        machine.set_values(
            {
                "layers": values["layers"][k : k + 2],
                "offsets": values["offsets"][k : k + 2],
                "weights": values["weights"][k : k + 1],
            }
        )
        return machine

    def _assemble(self, stack: list[BoltzmannMachine]) -> None:
        """Write what the machines learned into the deep one."""
        for k, machine in enumerate(stack):
            weights = self.model.connections[k].weights
            halved = 0 < k < len(stack) - 1 and "matrix" in weights.trainable()
            learned = machine.connections[0].weights.W()
            weights.set_params([0.5 * learned if halved else learned])
        for i, layer in enumerate(self.model.layers):
            twins = [m.layers[j] for m, j in _places(stack, i)]
            mean = [
                sum(values) / len(twins) for values in zip(*(t.params for t in twins), strict=True)
            ]
            layer.set_params(mean)
            layer.offset[:] = sum(t.offset for t in twins) / len(twins)
        self.model.enforce_constraints()


def machine_files(checkpoint: str | Path, number: int) -> list[Path]:
    """The checkpoints of so many machines, 'run_0.h5' and so on for 'run.h5'."""
    whole = Path(checkpoint)
    return [whole.with_name(f"{whole.stem}_{k}{whole.suffix}") for k in range(number)]


def _in_a_row(files: list[Path]) -> int:
    """How many of the files there are before the first one that is missing."""
    return next((k for k, file in enumerate(files) if not file.exists()), len(files))


def _check_complete(files: list[Path], num_epochs: int) -> None:
    """Raise a ConfigError where a machine is to go on on whose output another one has learned."""
    for below, above in pairwise(files):
        place = read_checkpoint(below)["position"]
        if place["epoch"] < num_epochs and not place["ended"]:
            raise ConfigError(
                f"{above} is of a machine that learned on the output of {below} after "
                f"{place['epoch']} epochs, got num_epochs={num_epochs}: begin anew, or leave "
                "num_epochs as it was"
            )


def _each_time(callbacks: Any) -> Callable[[int], Any]:
    """The callbacks of machine k, given a function of k or a list for all."""
    if callable(callbacks) and not isinstance(callbacks, type):
        return callbacks
    same = list(callbacks) if isinstance(callbacks, Iterable) else callbacks
    return lambda k: same


def _places(stack: list[BoltzmannMachine], i: int) -> list[tuple[BoltzmannMachine, int]]:
    """The machines that hold layer i of the deep one, and where in them it is."""
    places = [(stack[i - 1], 1)] if i > 0 else []
    return places + ([(stack[i], 0)] if i < len(stack) else [])


@contextmanager
def _seen_through(batch: Any, stack: list[BoltzmannMachine]) -> Iterator[None]:
    """While open, the batch delivers the mean-field output of the machines below."""
    own = batch.get_transforms()
    try:
        if stack:
            batch.set_transforms(
                {mode: Transformation(_through(t, stack)) for mode, t in own.items()}
            )
        yield
    finally:
        batch.set_transforms(own)


def _through(
    transform: Transformation, stack: list[BoltzmannMachine]
) -> Callable[[Tensor], Tensor]:
    """The transform followed by a pass up through the machines."""

    def output(rows: Tensor) -> Tensor:
        units = be.float_tensor(transform.compute_checked(rows))
        for machine in stack:
            # not State.from_visible: the data were checked, once, before the training
            units = machine.sweeps.pass_up(machine.sweeps.empty_state(units))[1]
        return units

    return output
