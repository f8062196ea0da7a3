"""A million updates of a small machine: does memory grow, does speed drift, do chains stay finite?

    python benchmarks/long_run.py --backend python --updates 1000000

Prints the resident memory after a tenth, a half and all of the updates, the updates a second of
the first and of the last tenth (of the time of the processor, so that neighbours do not count),
and whether every parameter and chain is finite. Exits with 1 where one is not, or where memory
grew by more than two percent from the tenth to the end.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from pathlib import Path

import numpy as np

from paysage import backends as be
from paysage import fit, optimizers
from paysage.batch import in_memory_batch
from paysage.fit.callbacks import Callback
from paysage.layers import BernoulliLayer
from paysage.models import BoltzmannMachine
from paysage.samplers import SequentialMC

ROWS, UNITS, HIDDEN, BATCH = 10_000, 20, 10, 10


def resident() -> float:
    """Resident memory of this process in MiB; its peak where there is no /proc."""
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    line = next(s for s in status.read_text().splitlines() if s.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


class Watch(Callback):
    """Notes memory and the time of the processor after each tenth of the updates."""

    def __init__(self, updates: int) -> None:
        self.every, self.count = updates // 10, 0
        self.memory: list[float] = []
        self.clock: list[float] = []

    def begin(self, training) -> None:
        self.clock.append(time.process_time())

    def after_batch(self, training) -> None:
        self.count += 1
        if self.count % self.every == 0:
            self.memory.append(resident())
            self.clock.append(time.process_time())


def finite(model: BoltzmannMachine, chains: SequentialMC) -> bool:
    """Whether all parameters and units are."""
    parameters = [p for owner in model.layers for p in owner.params]
    parameters += [p for c in model.connections for p in c.weights.params]
    return all(np.isfinite(be.to_numpy_array(x)).all() for x in (*parameters, *chains.state))


def run(updates: int) -> dict[str, object]:
    be.set_seed(137)
    rows = np.random.default_rng(0).integers(0, 2, (ROWS, UNITS))
    model = BoltzmannMachine([BernoulliLayer(UNITS), BernoulliLayer(HIDDEN)])
    trainer = fit.SGD(model, in_memory_batch(rows, BATCH, train_fraction=0.9))
    trainer.monitor.generator_metrics = []
    chains, watch = SequentialMC.from_model(model, BATCH, beta_std=0.6), Watch(updates)
    epochs = -(-updates // (ROWS * 9 // 10 // BATCH))
    options = {"sampler": chains, "callbacks": [watch], "verbose": False}
    trainer.train(optimizers.ADAM(stepsize=0.001), epochs, **options)
    speeds = updates / 10 / np.diff(watch.clock[:11])
    return {
        "updates": watch.count,
        "MiB after a tenth, a half, all": [round(watch.memory[k], 1) for k in (0, 4, 9)],
        "updates a second, first and last tenth": [round(speeds[0]), round(speeds[9])],
        "finite": finite(model, chains),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backend", choices=("python", "pytorch"), default="python")
    parser.add_argument("--updates", type=int, default=10**6)
    options = parser.parse_args()
    be.set_backend(options.backend, "cpu")
    found = {"backend": options.backend, **run(options.updates)}
    print(json.dumps(found))
    memory = found["MiB after a tenth, a half, all"]
    raise SystemExit(not found["finite"] or memory[2] > 1.02 * memory[0])


if __name__ == "__main__":
    main()
