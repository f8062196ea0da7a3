"""Seconds of one epoch of an RBM on MNIST: this library beside scikit-learn's BernoulliRBM.

    python benchmarks/epoch_vs_sklearn.py [--repeats 5] [--backend pytorch] [--json result.json]

Both learn the same 57,000 images of 784 black or white pixels with 200 hidden units in minibatches
of 100, by persistent contrastive divergence, one sweep a step. They take turns in one process; the
seconds are those of three epochs divided by three.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from paysage import backends as be
from paysage import batch, datasets, fit, optimizers
from paysage.layers import BernoulliLayer
from paysage.models import BoltzmannMachine

NUM_TRAIN = 57_000
NUM_HIDDEN = 200
BATCH_SIZE = 100
SEED = 137
EPOCHS = 3
WITHOUT, WITH, SKLEARN = "paysage", "paysage and metrics", "scikit-learn"


def load(path: Path | None) -> np.ndarray:
    """All training images in random order, 0 or 1."""
    found = path or datasets.find_mnist()
    if found is None or not found.is_file():
        sys.exit(f"MNIST is not at {found or 'hand'}: {datasets.HOW_TO_GET_MNIST}")
    images = datasets.load_mnist(found).train.images
    order = np.random.default_rng(SEED).permutation(len(images))
    return np.round(images[order] / 255).astype(np.float32)


def our_trainer(rows: np.ndarray) -> fit.SGD:
    """A new model of the notebook's settings and its trainer."""
    data = batch.in_memory_batch(be.float_tensor(rows), BATCH_SIZE, NUM_TRAIN / len(rows))
    model = BoltzmannMachine([BernoulliLayer(data.ncols), BernoulliLayer(NUM_HIDDEN)])
    model.initialize(data, method="glorot_normal")
    return fit.SGD(model, data)


def our_epoch(rows: np.ndarray) -> dict[str, float]:
    """Seconds of an epoch, without and with the seven metrics measured after it."""
    seconds = {}
    for name in (WITHOUT, WITH):
        trainer = our_trainer(rows)
        if name == WITHOUT:
            trainer.monitor.generator_metrics.clear()
        train = partial(trainer.train, optimizers.ADAM(stepsize=1e-2), EPOCHS, verbose=False)
        seconds[name] = seconds_of(train) / EPOCHS
    return seconds


def sklearn_epoch(rows: np.ndarray) -> dict[str, float]:
    """Seconds of an epoch of scikit-learn, which measures nothing."""
    from sklearn.neural_network import BernoulliRBM

    model = BernoulliRBM(
        n_components=NUM_HIDDEN, batch_size=BATCH_SIZE, n_iter=EPOCHS, random_state=SEED
    )
    return {SKLEARN: seconds_of(lambda: model.fit(rows[:NUM_TRAIN])) / EPOCHS}


def seconds_of(work: Callable[[], Any]) -> float:
    synchronize()
    start = time.perf_counter()
    work()
    synchronize()
    return time.perf_counter() - start


def synchronize() -> None:
    """Wait for a GPU, where one computes."""
    if be.get_backend().processor == "gpu":
        import torch

        torch.cuda.synchronize()


def compare(rows: np.ndarray, repeats: int) -> dict[str, list[float]]:
    """Seconds of each repeat, after one that warms up and is not counted."""
    seconds: dict[str, list[float]] = {WITHOUT: [], WITH: [], SKLEARN: []}
    for repeat in range(repeats + 1):
        for name, value in (our_epoch(rows) | sklearn_epoch(rows)).items():
            if repeat:
                seconds[name].append(value)
    return seconds


def report(seconds: dict[str, list[float]]) -> str:
    theirs = median(seconds[SKLEARN])
    lines = ["| | seconds an epoch: median | least | most | scikit-learn / this |"]
    lines += ["|---|---:|---:|---:|---:|"]
    for name, values in seconds.items():
        middle = median(values)
        lines.append(
            f"| {name} | {middle:.3f} | {min(values):.3f} | {max(values):.3f} "
            f"| {theirs / middle:.2f} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    add = parser.add_argument
    add("--data", type=Path, help="mnist.h5 (where datasets.find_mnist finds it)")
    add("--repeats", type=int, default=5, help="epochs of each (%(default)s)")
    add("--backend", choices=("python", "pytorch"), help="what computes (as configured)")
    add("--processor", choices=("cpu", "gpu"), help="where it computes (as configured)")
    add("--json", type=Path, metavar="OUT", help="write all seconds there")
    options = parser.parse_args()
    if options.backend or options.processor:
        be.set_backend(options.backend, options.processor)
    be.set_seed(SEED)
    seconds = compare(load(options.data), options.repeats)
    chosen = be.get_backend()
    print(
        f"backend {chosen.backend} on the {chosen.processor}; {options.repeats} repeats, taking "
        "turns, after one of each that compiled the kernels and was not counted\n"
    )
    print(report(seconds))
    if options.json:
        options.json.write_text(json.dumps({"backend": tuple(chosen), "seconds": seconds}))


if __name__ == "__main__":
    main()
