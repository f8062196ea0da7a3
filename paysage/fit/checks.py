"""What is wrong with a training run is said before any work is done."""

from __future__ import annotations

import hashlib
from typing import Any

from paysage import backends as be
from paysage.backends.generator import Generator
from paysage.checks import check_flag, check_whole, is_one_of
from paysage.errors import BackendError, ConfigError, DataError, DivergenceError, ShapeError
from paysage.fit.mean_field import MeanField
from paysage.fit.memory import generator_states, set_generator_states
from paysage.fit.methods import contrastive_divergence, takes_samplers
from paysage.fit.processes import Processes
from paysage.fit.tap import TAP
from paysage.models import BoltzmannMachine
from paysage.models.finite import not_finite
from paysage.models.graph import check_machine
from paysage.models.initialize import check_batch
from paysage.optimizers import Optimizer
from paysage.samplers import AutoregressiveGammaSampler, Chains

#: what matrix products of a training step may be made in
PRECISIONS = ("float32", "bf16")


def check_model_and_batch(model: Any, batch: Any) -> None:
    """Raise a ConfigError unless there are a machine and a batch, in this order."""
    check_machine(model)
    check_batch(batch)


def check_tools(optimizer: Any, method: Any) -> None:
    """Raise a ConfigError unless there are an optimizer and a method to train with."""
    if not isinstance(optimizer, Optimizer):
        raise ConfigError(f"optimizer must be made by paysage.optimizers, got {optimizer!r}")
    if not callable(method) or isinstance(method, type):
        raise ConfigError(f"method must be a function such as fit.pcd, got {method!r}")
    takes_samplers(method)  # raises where it takes neither form of arguments


def check_course(
    optimizer: Any,
    method: Any,
    num_epochs: Any,
    mcsteps: Any,
    beta_std: Any,
    precision: Any,
) -> None:
    """Check the arguments that every training takes."""
    check_tools(optimizer, method)
    check_whole("num_epochs", num_epochs)
    check_whole("mcsteps", mcsteps, 1)
    check_precision(precision)
    AutoregressiveGammaSampler(beta_std=beta_std)  # refuses what it cannot take


def check_flags(**flags: Any) -> None:
    """Raise a ConfigError unless all of them are true or false."""
    for name, value in flags.items():
        check_flag(name, value)


def check_sampler(sampler: Any, model: BoltzmannMachine, method: Any) -> int:
    """The number of chains of a sampler; a ConfigError unless it is one to train the model by."""
    if not isinstance(sampler, Chains):
        raise ConfigError(
            "sampler takes chains of the model, such as ParallelTempering.from_model(model, 100), "
            f"got {sampler!r}"
        )
    if getattr(sampler, "model", None) is not model:
        raise ConfigError(f"{sampler!r} samples another model than the one that is to be trained")
    if method is contrastive_divergence or isinstance(getattr(method, "__self__", None), TAP):
        raise ConfigError(
            f"a sampler goes on from where it was, as fit.pcd has it; {method!r} does not use it"
        )
    clamped = getattr(sampler, "clamped", ())
    if model.clamped_sampling if clamped is None else clamped:
        raise ConfigError(
            f"{sampler!r} has layers that never move, and so does not sample the model: leave "
            "clamped out, and model.set_clamped_sampling"
        )
    state = sampler.get_state()
    model.check_state(state)
    return check_whole("the number of chains", state.batch_size(), 1)


def check_processes(processes: Any) -> Processes:
    """The processes, or this one alone for None; a ConfigError for anything else."""
    if processes is None:
        return Processes.alone()
    if not isinstance(processes, Processes):
        raise ConfigError(f"processes takes fit.Processes() or None, got {processes!r}")
    return processes


def check_sharing(batch: Any, chains: int, sampler: Any, processes: Any, method: Any) -> Processes:
    """The processes, or this one alone for None; a ConfigError where they cannot share the rows."""
    processes = check_processes(processes)
    if processes.size > 1 and sampler is not None:
        raise ConfigError(
            f"{sampler!r} moves all of its chains itself, which {processes.size} processes cannot "
            "share: leave the sampler out"
        )
    if processes.size > 1 and takes_samplers(method):
        raise ConfigError(
            f"{method!r} moves whole samplers, which {processes.size} processes cannot share; use "
            "a method of the arguments (visible, phases)"
        )
    table = batch.tables["train"]
    last = table.nrows % table.batch_size or table.batch_size
    processes.share.check(last, "a (last) training minibatch")
    processes.share.check(chains, "a set of negative chains")
    return processes


def check_same_data(batch: Any, processes: Processes, generator: Generator) -> None:
    """Raise a ConfigError unless all processes have the same first minibatch, and as many rows."""
    if processes.size == 1:
        return
    sizes: dict[str, Any] = {
        mode: (table.nrows, table.batch_size, batch.is_shuffled(mode))
        for mode, table in batch.tables.items()
    }
    if be.get_backend().processor == "cpu":  # GPUs draw, in transforms, each on its own
        before = generator_states(generator)
        rows = next(iter(batch.iterate("train", shuffle=False)))
        set_generator_states(generator, before)
        sizes["digest"] = hashlib.sha256(be.to_numpy_array(rows).tobytes()).hexdigest()
    if processes.tell(sizes) != sizes:
        raise ConfigError(
            f"process {processes.rank} has other data than the first one: each must be given the "
            "same rows in the same order, of which it takes its share, and the same `shuffle`"
        )


def check_positive_phase(positive_phase: Any) -> None:
    """Raise a ConfigError unless there are mean fields, or nothing."""
    if positive_phase is not None and not isinstance(positive_phase, MeanField):
        raise ConfigError(
            f"positive_phase takes fit.MeanField() or None for units, got {positive_phase!r}"
        )


def check_precision(precision: Any) -> None:
    """Raise a named error unless products can be made in this precision here."""
    if not is_one_of(precision, PRECISIONS):
        raise ConfigError(f"precision must be 'float32' or 'bf16', got {precision!r}")
    if precision == "bf16" and not be.has_bfloat16():
        backend = be.get_backend()
        raise BackendError(
            "precision='bf16' needs a device with products in bfloat16, which that of "
            f"{backend.backend} on the {backend.processor} is not"
        )


def check_data(model: BoltzmannMachine, batch: Any) -> None:
    """Raise a named error unless the data fit the visible layer; reads every row once."""
    visible = model.layers[0]
    if batch.ncols != visible.num_units:
        raise ShapeError(f"{visible!r} cannot take data of {batch.ncols} columns")
    for mode in ("train", "validate"):
        rows = 0
        for units in batch.iterate(mode, shuffle=False):
            visible.check_units(units)
            visible.check_values(units)
            rows += int(be.shape(units)[0])
        if rows < 1:
            raise DataError(f"the batch has no rows to {mode} with")


def check_finite(model: BoltzmannMachine) -> None:
    """Raise a DivergenceError naming the first parameter that is NaN or infinite."""
    found = not_finite(model)
    if found:
        raise DivergenceError(f"{found}: lower the learning rate, or add a penalty")
