"""Numbers that need a fresh process each: memory, the import, and the first step."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from contest.ours import OURS
from contest.peers import LEARNERGY, RBMS, SKLEARN
from contest.task import NUM_TRAIN, Data
from contest.turns import Absent, Spread

CHILD = Path(__file__).with_name("child.py")
#: rows of the training that memory is compared with: two minibatches
FEW = 200

IMPORT = "seconds of importing the rooms of the library"
FIRST_STEP = "seconds of the first training step, kernels cached"
MEMORY = "MB at the peak of an epoch, above the data"
MEMORY_MORE = "MB of these above those of an epoch of two minibatches"


def start(data: Data, repeats: int) -> dict[str, Spread]:
    """Seconds of the import and of the first step; the first process of each only caches."""
    values = {}
    for name, what, key in ((IMPORT, "import", "import"), (FIRST_STEP, "step", "first step")):
        seconds = [fresh(what)[key] for _ in range(repeats + 1)]
        values[name] = Spread.of(seconds[1:])
    return values


def memory(data: Data, repeats: int) -> dict[str, Spread]:
    """An epoch of all rows with the seven metrics, one of few rows, and one of each peer."""
    if not Path("/proc/self/status").exists():
        raise Absent("the peak of a process is read from /proc, which this system has not")
    few = np.concatenate([data.binary[:FEW], data.binary[NUM_TRAIN:]])
    with tempfile.TemporaryDirectory() as folder:
        path, path_few = Path(folder) / "all.npy", Path(folder) / "few.npy"
        np.save(path, data.binary)
        np.save(path_few, few)
        above = [above_data(OURS, path, NUM_TRAIN) for _ in range(repeats)]
        more = [a - above_data(OURS, path_few, FEW) for a in above]
        values = {MEMORY: Spread.of(above), MEMORY_MORE: Spread.of(more)}
        for name in (SKLEARN, RBMS, LEARNERGY):
            values[f"{MEMORY}: {name}"] = Spread.of([above_data(name, path, NUM_TRAIN)])
    return values


def above_data(name: str, path: Path, num_train: int) -> float:
    numbers = fresh("memory", name, str(path), str(num_train))
    return numbers["peak"] - numbers["data"]


def fresh(*arguments: str) -> dict[str, float]:
    """The numbers that a child prints."""
    command = [sys.executable, str(CHILD), *arguments]
    run = subprocess.run(command, capture_output=True, text=True)
    if run.returncode:
        raise Absent(run.stderr.strip().splitlines()[-1])
    return json.loads(run.stdout)
