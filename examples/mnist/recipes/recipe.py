"""What the recipes share: the data, the training and the command line."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from paysage import backends as be
from paysage import batch, datasets, fit, optimizers, penalties, preprocess, schedules
from paysage.errors import PaysageError
from paysage.layers import BernoulliLayer
from paysage.models import BoltzmannMachine

SEED = 137
HERE = Path(__file__).resolve().parent
SAMPLED = preprocess.Transformation(preprocess.sample_color)
THRESHOLD = preprocess.Transformation(preprocess.binarize_color)
QUICK_ROWS = 300


class Training(NamedTuple):
    """How a machine is trained."""

    epochs: int
    rate: float
    chains: int = 100
    mcsteps: int = 1
    batch_size: int = 100
    decay: float = 0.5
    """part of the epochs in which the rate falls to zero, in a straight line"""
    average_last: float = 0.1
    l2: float = 0.0
    """strength of the penalty on the squared weights"""


class Spent(NamedTuple):
    """Seconds of something: on the clock, and of all processors together."""

    clock: float
    processors: float

    def __str__(self) -> str:
        return f"{self.clock:.0f} s ({self.processors:.0f} s of processors)"


NO_TIME = Spent(0.0, 0.0)


def now() -> Spent:
    """What the two clocks show."""
    return Spent(time.perf_counter(), time.process_time())


def since(before: Spent) -> Spent:
    """The seconds since the clocks showed that."""
    return Spent(*(b - a for a, b in zip(before, now(), strict=True)))


class Images(NamedTuple):
    """Grey values 0..255, a row an image."""

    train: np.ndarray
    test: np.ndarray


# the data


def find_images(options: argparse.Namespace) -> Images:
    """MNIST, its training images in random order; few and small images if it is to be quick."""
    rng = np.random.default_rng(options.seed)
    if options.quick:
        rows = rng.permutation(datasets.load_digits().images)
        return Images(rows[:QUICK_ROWS], rows[QUICK_ROWS : 2 * QUICK_ROWS])
    mnist = datasets.load_mnist(options.data)
    return Images(rng.permutation(mnist.train.images), mnist.test.images)


def make_batch(images: Images, transform: preprocess.Transformation, size: int) -> batch.Batch:
    """All training images to learn from; the first of them are there to look at."""
    return batch.Batch(
        {
            "train": batch.InMemoryTable(images.train, size, transform, copy=False),
            "validate": batch.InMemoryTable(images.train[:size], size, transform, copy=False),
        }
    )


# the training


def centered_machine(sizes: list[int], center: bool = True) -> BoltzmannMachine:
    """Layers of binary units, centered."""
    return BoltzmannMachine([BernoulliLayer(size, center=center) for size in sizes])


def train(model: BoltzmannMachine, data: batch.Batch, settings: Training, **kwargs: Any) -> Spent:
    """Persistent contrastive divergence at temperature one; gives the seconds that it took.

    The rate is held and then brought down to zero; the model ends with the mean of its parameters
    over the last updates. A ``sampler`` stands for new chains.
    """
    if "sampler" not in kwargs:
        kwargs["negative_phase_batch_size"] = settings.chains
    falling = round(settings.decay * settings.epochs)
    rate = schedules.Trapezoid(settings.rate, settings.epochs, decay=falling)
    if settings.l2:
        for connection in model.connections:
            connection.weights.add_penalty({"matrix": penalties.l2_penalty(settings.l2)})
    trainer = fit.SGD(model, data)
    trainer.monitor.generator_metrics = []
    start = now()
    trainer.train(
        optimizers.Gradient(stepsize=rate),
        settings.epochs,
        mcsteps=settings.mcsteps,
        beta_std=0.0,
        average_last=settings.average_last,
        verbose=False,
        **kwargs,
    )
    return since(start)


def trained_rbm(
    name: str,
    options: argparse.Namespace,
    settings: Training,
    transform: preprocess.Transformation,
    num_hidden: int = 500,
) -> tuple[BoltzmannMachine, Spent]:
    """A restricted machine that has learned and is saved, and the seconds that learning took.

    Or the saved one that the options name, and no seconds.
    """
    settings = settings_for(options, settings)
    if options.model:
        return BoltzmannMachine.from_saved(options.model), NO_TIME
    data = make_batch(find_images(options), transform, settings.batch_size)
    model = centered_machine([data.ncols, 12 if options.quick else num_hidden])
    model.initialize(data)
    taken = train(model, data, settings)
    save(model, name, options)
    return model, taken


def save(model: BoltzmannMachine, name: str, options: argparse.Namespace) -> None:
    """Write the machine to the folder of the options."""
    options.out.mkdir(parents=True, exist_ok=True)
    model.save(options.out / f"{name}-{options.seed}.h5")


# the command line


def make_parser(description: str | None) -> argparse.ArgumentParser:
    """The options that every recipe takes."""
    parser = argparse.ArgumentParser(description=description)
    add, seed, epochs = parser.add_argument, whole_number(0), whole_number(1)
    add("--seed", type=seed, default=SEED, help="of all random numbers (%(default)s)")
    add("--seeds", type=seed, nargs="+", metavar="N", help="several, one run each, and their mean")
    add("--epochs", type=epochs, metavar="N", help="passes through the data (those of the recipe)")
    add("--quick", action="store_true", help="few small images and little work, for a test")
    add("--data", metavar="PATH", help="mnist.h5 (where datasets.find_mnist finds it)")
    add("--out", type=folder, default=HERE / "output", help="for the model (%(default)s)")
    add("--backend", choices=("python", "pytorch"), help="what computes (as configured)")
    add("--processor", choices=("cpu", "gpu"), help="where it computes (as configured)")
    return parser


def whole_number(least: int) -> Callable[[str], int]:
    """A type for argparse: what cannot be meant is refused before anything is trained."""

    def parse(text: str) -> int:
        if not text.strip().isdecimal() or int(text) < least:
            raise argparse.ArgumentTypeError(f"a whole number, at least {least}, got {text!r}")
        return int(text)

    return parse


def folder(text: str) -> Path:
    """A type for argparse: a folder that can be written to, made if there is none."""
    path = Path(text)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise argparse.ArgumentTypeError(f"no folder {text!r} can be made: {error}") from None
    if not os.access(path, os.W_OK):
        raise argparse.ArgumentTypeError(f"the folder {text!r} cannot be written to")
    return path


def main(run: Callable[[argparse.Namespace], Any], parser: argparse.ArgumentParser) -> None:
    """Run a recipe with the options of its command line."""
    options = parser.parse_args()
    try:
        if options.backend or options.processor:
            be.set_backend(options.backend, options.processor)
        seeds = options.seeds or [options.seed]
        found = [run(argparse.Namespace(**{**vars(options), "seed": seed})) for seed in seeds]
    except PaysageError as error:
        sys.exit(f"{type(error).__name__}: {error}")
    if len(seeds) > 1:
        print(f"| {Path(parser.prog).stem} | seeds {' '.join(map(str, seeds))} | {means(found)} |")


def means(found: Sequence[Any]) -> str:
    """Means of named tuples of numbers, with their standard errors over the tuples."""
    parts = []
    for name, values in zip(found[0]._fields, zip(*found, strict=True), strict=True):
        error = np.std(values, ddof=1) / np.sqrt(len(values))
        parts.append(f"{name} {np.mean(values):.3f} ± {error:.3f}")
    return " | ".join(parts)


def settings_for(options: argparse.Namespace, settings: Training) -> Training:
    """The settings with the epochs that were asked for, or with the two of a test; seeds."""
    be.set_seed(options.seed)
    epochs = options.epochs or (2 if options.quick else settings.epochs)
    return settings._replace(epochs=epochs)
