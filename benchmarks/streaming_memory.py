"""Training from, and shuffling of, a file ten times as large as the memory allowed.

    python benchmarks/streaming_memory.py [--limit 64] [--times 10] [--backend pytorch] [--json F]

Writes a temporary file of random black and white images, one byte a pixel and `times` as many bytes
as the limit (in MiB). Then each of these runs in a process of its own, and reports the peak of its
resident memory above that of a process which does the same with a few rows:

- an epoch of an RBM from the file, by `HDFtable`, and one from memory, by `InMemoryTable`;
- `DataShuffler` with the limit for `allowed_mem`, of the images as a plain dataset and as a frame.

Exits with 1 where an epoch from the file, or shuffling, takes more memory than the limit.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd

from paysage import backends as be
from paysage import fit, optimizers
from paysage.batch import Batch, DataShuffler, HDFtable, InMemoryTable
from paysage.layers import BernoulliLayer
from paysage.models import BoltzmannMachine

NUM_PIXELS, NUM_HIDDEN, BATCH_SIZE = 784, 200, 100
NUM_VALIDATE = 1000
MIB = 2**20
BLOCK_ROWS = 10_000
FEW_ROWS = 2 * NUM_VALIDATE


# the file


def blocks(num_rows: int) -> Any:
    rng = np.random.default_rng(137)
    for start in range(0, num_rows, BLOCK_ROWS):
        size = (min(BLOCK_ROWS, num_rows - start), NUM_PIXELS)
        yield start, (rng.random(size, np.float32) < 0.3).astype(np.uint8)


def write_plain(path: Path, num_rows: int) -> None:
    with h5py.File(path, "w") as file:
        dataset = file.create_dataset("images", (num_rows, NUM_PIXELS), np.uint8)
        for start, rows in blocks(num_rows):
            dataset[start : start + len(rows)] = rows


def write_frame(path: Path, num_rows: int) -> None:
    with pd.HDFStore(path, "w") as store:
        for start, rows in blocks(num_rows):
            index = np.arange(start, start + len(rows))
            store.append("images", pd.DataFrame(rows, index=index), index=False)


# what runs in a process of its own


def table(kind: str, path: Path, rows: tuple[int, int]) -> Any:
    if kind == "file":
        return HDFtable(path, "images", BATCH_SIZE, rows=rows)
    with h5py.File(path, "r") as file:
        return InMemoryTable(file["images"][slice(*rows)], BATCH_SIZE)


def epoch(kind: str, path: Path) -> float:
    """Seconds of the second of two epochs; the first one compiles and warms up."""
    with h5py.File(path, "r") as file:
        split = len(file["images"]) - NUM_VALIDATE
        total = len(file["images"])
    tables = {
        "train": table(kind, path, (0, split)),
        "validate": table(kind, path, (split, total)),
    }
    with Batch(tables) as batch:
        be.set_seed(137)
        model = BoltzmannMachine([BernoulliLayer(NUM_PIXELS), BernoulliLayer(NUM_HIDDEN)])
        model.initialize(batch)
        trainer = fit.SGD(model, batch)
        trainer.monitor.generator_metrics = []
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            trainer.train(optimizers.ADAM(stepsize=1e-3), 2)
    return [float(s) for s in re.findall(r"Time elapsed ([\d.]+)s", printed.getvalue())][1]


def shuffle(path: Path, limit: float) -> float:
    start = time.perf_counter()
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        target = Path(folder) / "shuffled.h5"
        DataShuffler(path, target, allowed_mem=limit / 1024, complevel=0).shuffle()
    return time.perf_counter() - start


def work(args: argparse.Namespace) -> None:
    if args.backend:
        be.set_backend(args.backend)
    if args.work == "shuffle":
        seconds = shuffle(args.path, args.limit)
    else:
        seconds = epoch(args.work, args.path)
    print(json.dumps({"seconds": seconds, "peak": peak_memory()}))


def peak_memory() -> float:
    """Most MiB that were resident at a time, on Linux.

    Not that of `resource.getrusage`, which counts what the parent had when it forked.
    """
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) / 1024


# the comparison


def fresh(args: argparse.Namespace, what: str, path: Path) -> dict[str, float]:
    command = [sys.executable, __file__, "--work", what, "--path", str(path)]
    command += ["--limit", str(args.limit)]
    command += ["--backend", args.backend] if args.backend else []
    run = subprocess.run(command, capture_output=True, text=True)
    if run.returncode:
        sys.exit(run.stderr)
    return json.loads(run.stdout)


def measured(args: argparse.Namespace, what: str, large: Path, few: Path) -> dict[str, float]:
    """Seconds, and MiB above the peak of the same with few rows."""
    result, baseline = fresh(args, what, large), fresh(args, what, few)
    above = result["peak"] - baseline["peak"]
    return {"seconds": result["seconds"], "above": above, "baseline": baseline["peak"]}


def compare(args: argparse.Namespace, folder: Path) -> dict[str, dict[str, float]]:
    num_rows = int(args.limit * args.times * MIB / NUM_PIXELS)
    files = {}
    for name, write in (("plain", write_plain), ("frame", write_frame)):
        for size, rows in (("large", num_rows), ("few", FEW_ROWS)):
            files[name, size] = folder / f"{name}_{size}.h5"
            write(files[name, size], rows)
    plain = files["plain", "large"], files["plain", "few"]
    frame = files["frame", "large"], files["frame", "few"]
    return {
        "epoch from the file": measured(args, "file", *plain),
        "epoch from memory": measured(args, "memory", *plain),
        "shuffling a dataset": measured(args, "shuffle", *plain),
        "shuffling a frame": measured(args, "shuffle", *frame),
    }


def report(args: argparse.Namespace, results: dict[str, dict[str, float]]) -> bool:
    print(f"{args.limit * args.times:g} MiB of data, {args.limit:g} MiB allowed")
    print(f"{'':28}{'seconds':>10}{'MiB above':>12}{'baseline':>10}")
    for name, row in results.items():
        print(f"{name:28}{row['seconds']:10.2f}{row['above']:12.1f}{row['baseline']:10.1f}")
    return all(row["above"] <= args.limit for n, row in results.items() if "memory" not in n)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--limit", type=float, default=64, help="memory allowed, in MiB")
    parser.add_argument("--times", type=float, default=10, help="size of the data in limits")
    parser.add_argument("--backend", choices=["python", "pytorch"])
    parser.add_argument("--folder", type=Path, help="where the temporary files are written")
    parser.add_argument("--json", type=Path, help="where the numbers are written")
    parser.add_argument("--work", choices=["file", "memory", "shuffle"], help=argparse.SUPPRESS)
    parser.add_argument("--path", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.work:
        work(args)
        return
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        results = compare(args, Path(folder))
    held = report(args, results)
    if args.json:
        args.json.write_text(json.dumps(results, indent=1))
    sys.exit(0 if held else 1)


if __name__ == "__main__":
    main()
