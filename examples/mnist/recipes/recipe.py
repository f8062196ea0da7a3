"""What the recipes share: the data, the training, the estimate and the line for the table."""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from paysage import backends as be
from paysage import batch, datasets, fit, likelihood, optimizers, preprocess, schedules
from paysage.errors import PaysageError
from paysage.layers import BernoulliLayer
from paysage.models import BoltzmannMachine, State

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


class Effort(NamedTuple):
    """How much work an estimate is given."""

    num_chains: int = 100
    betas: int = 30_000
    sweeps: int = 2000
    """of the chains that the way back starts from; they begin at training images"""


CAREFUL = Effort()
QUICK = Effort(num_chains=20, betas=100, sweeps=20)


class Spent(NamedTuple):
    """Seconds of something: on the clock, and of all processors together."""

    clock: float
    processors: float

    def __str__(self) -> str:
        return f"{self.clock:.0f} s ({self.processors:.0f} s of processors)"


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
            "train": batch.InMemoryTable(images.train, size, transform),
            "validate": batch.InMemoryTable(images.train[:size], size, transform),
        }
    )


# the training


def centered_machine(sizes: list[int], center: bool = True) -> BoltzmannMachine:
    """Layers of binary units, centered."""
    return BoltzmannMachine([BernoulliLayer(size, center=center) for size in sizes])


def train(model: BoltzmannMachine, data: batch.Batch, settings: Training, **kwargs: Any) -> Spent:
    """Persistent contrastive divergence at temperature one; gives the seconds that it took.

    The rate is held and then brought down to zero; the model ends with the mean of its parameters
    over the last updates.
    """
    falling = round(settings.decay * settings.epochs)
    rate = schedules.Trapezoid(settings.rate, settings.epochs, decay=falling)
    trainer = fit.SGD(model, data)
    trainer.monitor.generator_metrics = []
    start = now()
    trainer.train(
        optimizers.Gradient(stepsize=rate),
        settings.epochs,
        mcsteps=settings.mcsteps,
        negative_phase_batch_size=settings.chains,
        beta_std=0.0,
        lr_period="epoch",
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
    """A restricted machine that has learned and is saved, and the seconds that learning took."""
    settings = settings_for(options, settings)
    data = make_batch(find_images(options), transform, settings.batch_size)
    model = centered_machine([data.ncols, 12 if options.quick else num_hidden])
    model.initialize(data)
    taken = train(model, data, settings)
    save(model, name, options)
    return model, taken


# the estimate


class Found(NamedTuple):
    """A mean log-likelihood of the test images, or a bound on it, in nats."""

    mean: float
    """from both directions together"""
    low: float
    """with the log Z of the way back, which is too high on average"""
    high: float
    """with the log Z of the way there, which is too low on average"""
    standard_error: float
    """over images"""


def estimate(
    model: BoltzmannMachine, options: argparse.Namespace, transform: preprocess.Transformation
) -> Found:
    """Log-likelihood of the test images by annealed importance sampling in both directions.

    For a deep machine it is a lower bound. The transform makes images binary, once and for all.
    """
    effort = QUICK if options.quick else CAREFUL
    images = find_images(options)
    seen, test = (transform.compute(be.float_tensor(part)) for part in images)
    samples = model.markov_chain(
        effort.sweeps, State.from_visible(seen[: effort.num_chains], model)
    )
    with warnings.catch_warnings():
        # the interval in the line that is printed says what the warning would
        warnings.simplefilter("ignore", likelihood.LikelihoodWarning)
        ends = likelihood.sandwich(model, samples, effort.num_chains, effort.betas, base=seen)
    deep = model.num_layers > 2
    measure = likelihood.variational_bound if deep else likelihood.log_likelihood
    rows = measure(model, test, 0.0)
    return Found(
        rows.mean - ends.log_partition,
        rows.mean - ends.upper.log_partition,
        rows.mean - ends.lower.log_partition,
        rows.standard_error,
    )


# the line


def report(name: str, options: argparse.Namespace, found: Found, taken: Spent) -> Found:
    """Print the line for the table; gives what was found."""
    print(
        f"| {name} | seed {options.seed} | {found.mean:.2f} | {found.low:.2f} to {found.high:.2f} "
        f"| ± {found.standard_error:.2f} over images | trained in {taken} |"
    )
    return found


def save(model: BoltzmannMachine, name: str, options: argparse.Namespace) -> None:
    """Write the machine to the folder of the options."""
    options.out.mkdir(parents=True, exist_ok=True)
    model.save(options.out / f"{name}-{options.seed}.h5")


# the command line


def make_parser(description: str | None) -> argparse.ArgumentParser:
    """The options that every recipe takes."""
    parser = argparse.ArgumentParser(description=description)
    add = parser.add_argument
    add("--seed", type=int, default=SEED, help="of all random numbers (%(default)s)")
    add("--epochs", type=int, metavar="N", help="passes through the data (those of the recipe)")
    add("--quick", action="store_true", help="few small images and little work, for a test")
    add("--data", metavar="PATH", help="mnist.h5 (where datasets.find_mnist finds it)")
    add("--out", type=Path, default=HERE / "output", help="folder for the model (%(default)s)")
    add("--backend", choices=("python", "pytorch"), help="what computes (as configured)")
    add("--processor", choices=("cpu", "gpu"), help="where it computes (as configured)")
    return parser


def main(run: Callable[[argparse.Namespace], Any], parser: argparse.ArgumentParser) -> None:
    """Run a recipe with the options of its command line."""
    options = parser.parse_args()
    try:
        if options.backend or options.processor:
            be.set_backend(options.backend, options.processor)
        run(options)
    except PaysageError as error:
        sys.exit(f"{type(error).__name__}: {error}")


def settings_for(options: argparse.Namespace, settings: Training) -> Training:
    """The settings with the epochs that were asked for, or with the two of a test; seeds."""
    be.set_seed(options.seed)
    epochs = options.epochs or (2 if options.quick else settings.epochs)
    return settings._replace(epochs=epochs)
