"""What is measured in a process of its own: memory, the import, and the first step.

    python child.py import
    python child.py step
    python child.py memory NAME ROWS.npy NUM_TRAIN

NAME is this library or another one. Prints numbers by name as JSON. Nothing is imported before the
clock runs.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

NUM_VISIBLE, NUM_HIDDEN, BATCH_SIZE = 784, 200, 100


def seconds_of_import() -> dict[str, float]:
    """Of the rooms that a script of the library names."""
    start = time.perf_counter()
    from paysage import backends, batch, fit, layers, models, optimizers  # noqa: F401

    seconds = time.perf_counter() - start
    if "torch" in sys.modules:
        sys.exit("the import brought torch along")
    return {"import": seconds}


def seconds_of_first_step() -> dict[str, float]:
    """From data to a trained minibatch: loading the backend, making a model, training."""
    seconds_of_import()
    import numpy as np

    rows = np.float32(np.random.default_rng(1).random((2 * BATCH_SIZE, NUM_VISIBLE)) < 0.13)
    start = time.perf_counter()
    train(rows, BATCH_SIZE)
    return {"first step": time.perf_counter() - start}


def train(rows: Any, num_train: int, metrics: bool = False) -> None:
    """An epoch of the first rows."""
    from paysage import fit, optimizers
    from paysage.batch import Batch, InMemoryTable
    from paysage.layers import BernoulliLayer
    from paysage.models import BoltzmannMachine

    validate = InMemoryTable(rows[num_train:], BATCH_SIZE)
    batch = Batch({"train": InMemoryTable(rows[:num_train], BATCH_SIZE), "validate": validate})
    model = BoltzmannMachine([BernoulliLayer(NUM_VISIBLE), BernoulliLayer(NUM_HIDDEN)])
    model.initialize(batch, method="glorot_normal")
    trainer = fit.SGD(model, batch)
    if not metrics:
        trainer.monitor.generator_metrics.clear()
    trainer.train(optimizers.ADAM(stepsize=1e-2), 1, verbose=False)


def memory(name: str, path: Path, num_train: int) -> dict[str, float]:
    """MB at the peak of an epoch, with the seven metrics where it is ours, and of the data."""
    import numpy as np

    rows = np.load(path)
    if name == "paysage":
        train(rows, num_train, metrics=True)
    else:
        train_peer(name, rows[:num_train])
    return {"peak": peak(), "data": rows.nbytes / 1e6}


def train_peer(name: str, rows: Any) -> None:
    """An epoch of another library; one that is absent says so by the last line of its error."""
    from contest import peers
    from contest.task import Task

    method = "cd" if name == peers.LEARNERGY else "pcd"
    task = Task((NUM_HIDDEN,), BATCH_SIZE, method, updates=len(rows) // BATCH_SIZE)
    peers.STARTS[name](task, rows)()


def peak() -> float:
    """Most MB that were resident, on Linux.

    Not that of `resource.getrusage`, which counts what the parent had when it forked.
    """
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith("VmHWM"))


if __name__ == "__main__":
    what, *rest = sys.argv[1:]
    if what == "memory":
        sys.path.insert(0, str(Path(__file__).parents[1]))
        print(json.dumps(memory(rest[0], Path(rest[1]), int(rest[2]))))
    else:
        print(json.dumps(seconds_of_import() if what == "import" else seconds_of_first_step()))
