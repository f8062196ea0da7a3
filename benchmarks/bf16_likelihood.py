"""The log-likelihood that a machine reaches by steps in float32 and by steps in bfloat16.

    python benchmarks/bf16_likelihood.py [--backend pytorch] [--seeds 8] [--epochs 10] [--json F]

RBMs of 784 x 16, whose partition function is a sum that can be done, learn 20,000 rows of MNIST by
PCD-1 with a falling learning rate, once in each precision from each seed. The log-likelihood is of
the 10,000 rows of the test set, exact but for float32. Where `datasets.find_mnist` finds no MNIST
the machines have 64 visible units and learn handwritten digits of 8 x 8 pixels.

The standard error is that of the mean over seeds, and the difference is taken within a seed. Exits
with 1 where the mean difference is more than three of its standard errors away from zero.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np

from paysage import backends as be
from paysage import datasets, fit, optimizers, schedules
from paysage.batch import in_memory_batch
from paysage.layers import BernoulliLayer
from paysage.likelihood import exact_log_partition, log_likelihood
from paysage.models import BoltzmannMachine

NUM_HIDDEN, NUM_ROWS, BATCH_SIZE = 16, 20_000, 100
PRECISIONS = ("float32", "bf16")


def images() -> tuple[np.ndarray, np.ndarray, str]:
    """Black and white rows to learn from, rows to be judged by, and what they are."""
    path = datasets.find_mnist()
    if path is not None:
        mnist = datasets.load_mnist(path)
        binary = (np.round(part.images / np.float32(255)) for part in (mnist.train, mnist.test))
        train, test = binary
        order = np.random.default_rng(137).permutation(len(train))[:NUM_ROWS]
        return train[order], test, "MNIST"
    from sklearn.datasets import load_digits

    digits = np.float32(load_digits().data > 7)
    return digits[:1400], digits[1400:], "digits of 8 x 8 pixels"


def reached(train: np.ndarray, test: np.ndarray, seed: int, epochs: int, precision: str) -> float:
    """Mean log-likelihood of the test rows after training from a seed, in nats."""
    be.set_seed(seed)
    batch = in_memory_batch(train, BATCH_SIZE, train_fraction=0.95)
    model = BoltzmannMachine([BernoulliLayer(train.shape[1]), BernoulliLayer(NUM_HIDDEN)])
    model.initialize(batch, method="glorot_normal")
    trainer = fit.SGD(model, batch)
    trainer.monitor.generator_metrics.clear()
    trainer.train(
        optimizers.ADAM(schedules.PowerLawDecay(0.01, 100.0)),
        epochs,
        beta_std=0.0,
        verbose=False,
        precision=precision,
    )
    return log_likelihood(model, be.float_tensor(test), exact_log_partition(model)).mean


def spread(values: np.ndarray) -> str:
    return f"{values.mean():.3f} ± {error_of(values):.3f}"


def error_of(values: np.ndarray) -> float:
    """Standard error of the mean."""
    return float(values.std(ddof=1) / np.sqrt(len(values)))


def make_parser() -> argparse.ArgumentParser:
    text = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=text)
    parser.add_argument("--backend", default="python", choices=("python", "pytorch"))
    parser.add_argument("--seeds", type=int, default=8, help="at least two (%(default)s)")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--json", type=Path)
    return parser


def main() -> int:
    options = make_parser().parse_args()
    be.set_backend(options.backend, "cpu")
    train, test, name = images()
    print(f"{name}, {options.backend}, {options.epochs} epochs, {options.seeds} seeds")
    found = np.empty((options.seeds, len(PRECISIONS)))
    for seed in range(options.seeds):
        for k, precision in enumerate(PRECISIONS):
            found[seed, k] = reached(train, test, seed, options.epochs, precision)
        print(seed, *(f"{x:.3f}" for x in found[seed]), flush=True)
    gap = found[:, 1] - found[:, 0]
    for precision, values in zip(PRECISIONS, found.T, strict=True):
        print(f"{precision:8} {spread(values)} nats")
    print(f"bf16 - float32: {spread(gap)} nats")
    if options.json:
        numbers = {"data": name, **dict(zip(PRECISIONS, found.T.tolist(), strict=True))}
        options.json.write_text(json.dumps(numbers, indent=1), encoding="utf-8")
    return int(abs(gap.mean()) > 3 * error_of(gap))


if __name__ == "__main__":
    sys.exit(main())
