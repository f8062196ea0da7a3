"""Trainings that several processes share, and the script of such a process.

    torchrun --nproc-per-node=2 together.py FOLDER

What each case ends with is written to FOLDER.
"""

from __future__ import annotations

import os
import pickle
import signal
import sys
from pathlib import Path

import numpy as np
from machines import array, build, random_state

from paysage import backends as be
from paysage import fit, optimizers, penalties, schedules
from paysage.batch import in_memory_batch
from paysage.errors import PaysageError
from paysage.fit.callbacks import Callback, EarlyStopping, HalveOnDivergence, PauseOnInterrupt
from paysage.metrics import ReconstructionError
from paysage.models import State

BACKENDS = ("python", "pytorch")
EPOCHS = 3

#: machine, rows and options of the trainings that are compared with those of one process
CASES = {
    # the last minibatch has 7 rows, and 33 chains are no equal parts of it
    "uneven": {"center": True, "optimizer": "adam", "negative_phase_batch_size": 33},
    "averaged": {"optimizer": "momentum", "average_last": 0.5, "beta_std": 0.0},
    "cd": {"kinds": "GB", "method": "cd", "optimizer": "rmsprop", "mcsteps": 2},
    "deep": {"kinds": "OBB", "sizes": (8, 6, 5), "burn_in": 1},
    "settled": {"kinds": "BGB", "sizes": (8, 6, 5), "positive_phase": fit.MeanField(0.0, 5)},
    "tap": {"method": "tap"},
    # a sample that the phases did not make, as docs/concepts/training.md has it
    "reconstructed": {"method": "reconstruction", "negative_phase_batch_size": 33},
    "bf16": {"precision": "bf16"},
    "annealed": {"beta_std": 1.6},  # drawn otherwise: by NumPy's generator
    # large enough to be cut into blocks, one a process
    "blocks": {"sizes": (100, 100), "rows": (250, 100), "epochs": 1},
}


def rule_named(name):
    made = {
        "plain": lambda: optimizers.Gradient(0.05),
        "momentum": lambda: optimizers.Momentum(0.05),
        "rmsprop": lambda: optimizers.RMSProp(0.01),
        "adam": lambda: optimizers.ADAM(schedules.PowerLawDecay(0.02, 5.0), max_norm=0.5),
    }
    return made[name]()


def make(kinds="BB", sizes=(8, 6), center=False, rows=(127, 20), turn=0):
    """A trainer of a penalized machine, on rows of its own that may be turned round."""
    be.set_seed(1)
    model = build(kinds, sizes, center=center, scale=0.3)
    model.connections[0].weights.add_penalty({"matrix": penalties.l2_penalty(0.01)})
    data = np.roll(array(random_state(model, rows[0] + 20)[0]), turn, axis=0)
    trainer = fit.SGD(model, in_memory_batch(data, rows[1], rows[0] / (rows[0] + 20)), 2)
    trainer.monitor.generator_metrics = [ReconstructionError()]
    return trainer


def train(trainer, name="plain", epochs=EPOCHS, method="pcd", **options):
    rule = rule_named(name)
    tap = fit.TAP(num_samples=3).tap_update
    methods = {"tap": tap, "pcd": fit.pcd, "cd": fit.cd, "reconstruction": reconstruction}
    options = {"verbose": False, **options}
    trainer.train(rule, epochs, method=methods.get(method, method), **options)
    memory = {**trainer.model.get_values(), "optimizer": rule.get_memory(trainer.model)["slots"]}
    state = trainer.generator.get_state()
    return {"memory": memory, "monitor": trainer.monitor.memory, "state": state}


def reconstruction(visible, phases):
    data = phases.positive_state(visible)
    sample = phases.model.mean_field_iteration(1, State.from_visible_means(visible, phases.model))
    return phases.gradient(data, sample)


def run(case, processes=None):
    """One of the cases."""
    given = dict(CASES[case])
    made = {k: given.pop(k) for k in ("kinds", "sizes", "center", "rows") if k in given}
    # each process begins with what the first one has, whatever its seed
    trainer = make(**made)
    be.set_seed(1 + (processes.rank if processes else 0))
    if processes and processes.rank:
        trainer.model.connections[0].weights.params.matrix[:] = 0.0
    return train(trainer, given.pop("optimizer", "plain"), processes=processes, **given)


def pretrained(processes=None):
    """A stack of machines, each learning from what the one below makes of the rows."""
    trainer = make("BBB", (8, 6, 5))
    pretrainer = fit.LayerwisePretrain(trainer.model, trainer.batch)
    rule = rule_named("adam")
    pretrainer.train(rule, 2, verbose=False, processes=processes)
    measured = [metrics for monitor in pretrainer.monitors for metrics in monitor.memory]
    return {"memory": trainer.model.get_values(), "monitor": measured}


def stored(path, epochs, processes=None, callbacks=(), **options):
    """A training with a checkpoint, begun or gone on with."""
    options = {"checkpoint": path, "resume": True, "callbacks": callbacks, **options}
    return train(make(center=True), "adam", epochs, processes=processes, **options)


class PauseAt(Callback):
    """Ends a training in an epoch."""

    def __init__(self, batch):
        self.batch = batch

    def after_batch(self, training):
        if training.epoch == 1 and training.minibatch == self.batch:
            training.pause()


def checkpoints(folder, processes):
    """Breaks between epochs, within one by a callback, and by a signal to the last process."""
    return {
        "whole": stored(folder / "whole.h5", 4, processes),
        "half": stored(folder / "half.h5", 2, processes),
        "within": stored(folder / "within.h5", 4, processes, [PauseAt(3)]),
        "position": processes.tell(
            fit.read_checkpoint(folder / "within.h5")["position"] if processes.first else None
        ),
        "resumed": stored(folder / "within.h5", 4, processes, [PauseAt(100)]),
        "signal": interrupted(folder / "signal.h5", processes),
        "after": stored(folder / "signal.h5", 4, processes, [PauseOnInterrupt()]),
    }


def interrupted(path, processes):
    count = [0]

    class Interrupt(fit.callbacks.Callback):
        everywhere = True

        def after_batch(self, training):
            count[0] += 1
            if processes.rank == processes.size - 1 and count[0] == 9:
                os.kill(os.getpid(), signal.SIGINT)

    stored(path, 4, processes, [PauseOnInterrupt(), Interrupt()])
    return count[0]


# --- what goes wrong


def fails_in_one(processes):
    def method(visible, phases):
        if processes.rank == 1:
            raise ValueError("broken rows")
        return fit.pcd(visible, phases)

    train(make(), method=method, processes=processes)


def fails_while_measuring(processes):
    class Broken(ReconstructionError):
        def measure(self, assessment):
            raise ValueError("no measure")

    trainer = make()
    trainer.monitor.generator_metrics = [Broken()]
    train(trainer, processes=processes)


def has_other_data(processes):
    train(make(turn=processes.rank), processes=processes)


def has_too_few_rows(processes):
    train(make(rows=(121, 20)), processes=processes)


def has_a_sampler(processes):
    from paysage.samplers import SequentialMC

    trainer = make()
    train(trainer, sampler=SequentialMC.from_model(trainer.model, 9), processes=processes)


def is_interrupted(processes):
    def method(visible, phases):
        if processes.first:
            raise KeyboardInterrupt
        return fit.pcd(visible, phases)

    train(make(), method=method, processes=processes)


def diverges(processes):
    trainer = make(kinds="GB")
    before = trainer.model.get_values()
    try:
        train(trainer, "plain", method=explode, processes=processes)
    finally:
        after = trainer.model.get_values()
        if not np.array_equal(before["weights"][0]["matrix"], after["weights"][0]["matrix"]):
            raise RuntimeError("the parameters are not those of the last good epoch")


def explode(visible, phases):
    gradient = fit.pcd(visible, phases)
    gradient.weights[0].matrix[:] = float("inf")
    return gradient


FAILURES = [
    fails_in_one,
    fails_while_measuring,
    has_other_data,
    has_too_few_rows,
    has_a_sampler,
    is_interrupted,
    diverges,
]


def failure(case, processes):
    try:
        case(processes)
    except (PaysageError, ValueError, KeyboardInterrupt) as error:
        return f"{type(error).__name__}: {error}"
    return "nothing"


def halved(processes=None):
    """An epoch that diverges is begun again in all processes; the training then stops early."""
    count = [0]

    def method(visible, phases):
        count[0] += 1
        return explode(visible, phases) if count[0] == 10 else fit.pcd(visible, phases)

    callbacks = [HalveOnDivergence(), EarlyStopping("ReconstructionError", patience=1, least=9.0)]
    # averaged from the second epoch on, in which that happens
    options = {"callbacks": callbacks, "processes": processes, "average_last": 0.8}
    found = train(make(), epochs=9, method=method, **options)
    return {**found, "steps": count[0]}


def main():
    folder, found = Path(sys.argv[1]), {}
    for backend in BACKENDS:
        be.set_backend(backend, "cpu")
        with fit.Processes() as processes:
            found[backend] = {case: run(case, processes) for case in CASES}
            (folder / backend).mkdir(exist_ok=True)
            found[backend]["checkpoints"] = checkpoints(folder / backend, processes)
            found[backend]["halved"] = halved(processes)
            found[backend]["pretrained"] = pretrained(processes)
    be.set_backend("python", "cpu")
    found["failures"] = {}
    for case in FAILURES:
        with fit.Processes() as processes:
            found["failures"][case.__name__] = failure(case, processes)
    (folder / f"{processes.rank}.pickle").write_bytes(pickle.dumps(found))


if __name__ == "__main__":
    main()
