"""Kills a training again and again, resumes it, and compares the end with a run without a break.

    python benchmarks/kills.py --kills 100 --backend python

Each training is a process of its own, killed by SIGKILL after a random part of the time that a run
takes, every second one as soon as it begins to write a checkpoint after that. When a run comes to
its end, its parameters must be those of the one that nobody killed, to the last bit; then another
run begins.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import signal
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from paysage import backends as be
from paysage import fit, optimizers, schedules
from paysage.batch import in_memory_batch
from paysage.layers import BernoulliLayer
from paysage.metrics import ReconstructionError
from paysage.models import BoltzmannMachine

EPOCHS = 20


def train(path: Path, backend: str) -> None:
    """Train from the checkpoint, if there is one, and leave the digest of the end beside it."""
    be.set_backend(backend, "cpu")
    be.set_seed(137)
    rows = np.random.default_rng(0).integers(0, 2, (220, 20))
    model = BoltzmannMachine([BernoulliLayer(20, center=True), BernoulliLayer(10, center=True)])
    trainer = fit.SGD(model, in_memory_batch(rows, 20))
    trainer.monitor.generator_metrics = [ReconstructionError()]
    trainer.train(
        optimizers.ADAM(schedules.PowerLawDecay(0.01, 10.0)),
        EPOCHS,
        verbose=False,
        checkpoint=path,
        resume=True,
    )
    tree = fit.read_checkpoint(path)["memory"]
    arrays = [*_leaves(tree["model"]["values"]), *_leaves(tree["optimizer"]["slots"])]
    digest = hashlib.sha256(b"".join(array.tobytes() for array in arrays)).hexdigest()
    path.with_suffix(".end").write_text(f"{digest} {trainer.monitor.memory}")


def _leaves(tree):
    if isinstance(tree, dict | list):
        for node in tree.values() if isinstance(tree, dict) else tree:
            yield from _leaves(node)
    elif isinstance(tree, np.ndarray):
        yield tree


def start(path: Path, backend: str) -> int:
    """A process that trains; its number."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            train(path, backend)
            status = 0
        finally:
            os._exit(status)
    return child


def ended_well(status: int) -> bool:
    """Whether a process came to its end; an error of its own is one here too."""
    if os.WIFSIGNALED(status):
        return False
    if os.WEXITSTATUS(status):
        raise RuntimeError("a training failed: its error is above")
    return True


def whole_run(folder: Path, backend: str) -> tuple[str, float]:
    """The end of a run that nobody kills, and the least seconds of three."""
    train(folder / "first.h5", backend)  # here, so that processes find everything compiled
    seconds = []
    for k in range(3):
        begun = time.perf_counter()
        ended_well(os.waitpid(start(folder / f"whole{k}.h5", backend), 0)[1])
        seconds.append(time.perf_counter() - begun)
    return (folder / "whole0.end").read_text(), min(seconds)


def unfinished(path: Path) -> set[Path]:
    """The files that are on their way to be the checkpoint."""
    return set(path.parent.glob(f".{path.name}.*.part"))


def wait(child: int, arrived: Callable[[], bool]) -> bool:
    """Wait for something, or for the end of a process; whether that came first."""
    while not arrived():
        if os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None:
            return True
    return False


def kill(kills: int, folder: Path, backend: str, seed: int = 0) -> dict[str, int]:
    """Kill so often; counts of kills, of those within a writing, of runs, and of wrong ends."""
    wanted, seconds = whole_run(folder, backend)
    rng = random.Random(seed)
    found = {"kills": 0, "within a writing": 0, "runs": 0, "wrong ends": 0}
    while found["kills"] < kills or not found["runs"]:
        path = folder / f"run{found['runs']}.h5"
        left, child = unfinished(path), start(path, backend)
        if found["kills"] < kills:
            begun, pause = time.perf_counter(), rng.uniform(0.0, seconds)
            ended = wait(child, lambda: time.perf_counter() > begun + pause)  # noqa: B023
            if ended:
                seconds = min(seconds, time.perf_counter() - begun)
            elif found["kills"] % 2:
                wait(child, lambda: bool(unfinished(path) - left))  # noqa: B023
            os.kill(child, signal.SIGKILL)
        if ended_well(os.waitpid(child, 0)[1]):
            found["runs"] += 1
            found["wrong ends"] += path.with_suffix(".end").read_text() != wanted
        else:
            found["kills"] += 1
            found["within a writing"] += bool(unfinished(path) - left)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--backend", choices=("python", "pytorch"), default="python")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = kill(options.kills, Path(folder), options.backend, options.seed)
    print(", ".join(f"{count} {what}" for what, count in found.items()))
    raise SystemExit(bool(found["wrong ends"]))


if __name__ == "__main__":
    main()
