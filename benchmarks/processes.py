"""Times updates of a restricted machine shared by processes, and the messages between them.

    python benchmarks/processes.py
    torchrun --nproc-per-node=2 benchmarks/processes.py

A line a machine: the processes, milliseconds of an update, and of it those in the message, with the
wait for the slower process. They are first deciles over the updates: what an update takes where
nothing else runs. Bytes are those of the vector that is added up.
"""

from __future__ import annotations

import argparse
import statistics
import time

import numpy as np

from paysage import backends as be
from paysage import fit, optimizers
from paysage.fit.phases import Phases
from paysage.fit.step import make_step, room_for_steps
from paysage.layers import BernoulliLayer
from paysage.models import BoltzmannMachine

#: visible and hidden units, rows of a minibatch and chains
MACHINES = ((784, 200, 100), (784, 500, 500), (784, 1000, 1000))


class Timed:
    """Processes whose messages are timed."""

    def __init__(self, processes: fit.Processes) -> None:
        self.begin()
        self._add_up = processes.add_up_
        processes.add_up_ = self  # type: ignore[method-assign, assignment]

    def begin(self) -> None:
        self.seconds: list[float] = []
        self.bytes = 0

    def __call__(self, tensor) -> None:
        begun = time.perf_counter()
        self._add_up(tensor)
        self.seconds.append(time.perf_counter() - begun)
        self.bytes = 4 * be.num_elements(tensor)


def measure(
    sizes: tuple[int, int, int], updates: int, processes: fit.Processes, timed: Timed
) -> str:
    """Times of a machine."""
    visible, hidden, rows = sizes
    be.set_seed(137)
    model = BoltzmannMachine([BernoulliLayer(visible), BernoulliLayer(hidden)])
    model.connections[0].weights.params.matrix[:] = 0.01 * be.randn((visible, hidden))
    units = be.float_tensor(np.random.default_rng(0).random((rows, visible)) < 0.13)
    phases = Phases(model, rows, processes=processes)
    phases.set_driven(True)
    step = make_step(model, phases, fit.pcd, optimizers.ADAM(1e-3), rows, capture=True)
    seconds = []
    timed.begin()
    with room_for_steps():
        for _ in range(updates):
            begun = time.perf_counter()
            step(units)
            seconds.append(time.perf_counter() - begun)
    times = [1e3 * first_decile(found[5:]) for found in (seconds, timed.seconds)]
    return (
        f"{processes.size} processes, {visible} x {hidden}, {rows} rows: {times[0]:.2f} ms an "
        f"update, {times[1]:.2f} ms of it in a message of {timed.bytes / 1e6:.2f} MB"
    )


def first_decile(found: list[float]) -> float:
    return statistics.quantiles(found, n=10)[0] if found else 0.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backend", choices=("python", "pytorch"), default="pytorch")
    parser.add_argument("--updates", type=int, default=200)
    options = parser.parse_args()
    be.set_backend(options.backend, "cpu")
    with fit.Processes() as processes:
        timed = Timed(processes)
        for sizes in MACHINES:
            line = measure(sizes, options.updates, processes, timed)
            if processes.first:
                print(line, flush=True)


if __name__ == "__main__":
    main()
