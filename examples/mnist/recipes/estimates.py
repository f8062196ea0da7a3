"""What the recipes estimate: the likelihood of the test images, from both directions."""

from __future__ import annotations

import argparse
import warnings
from typing import NamedTuple

import recipe

from paysage import backends as be
from paysage import likelihood, preprocess
from paysage.models import BoltzmannMachine, State


class Effort(NamedTuple):
    """How much work an estimate is given."""

    num_chains: int = 300
    betas: int = 30_000
    sweeps: int = 2000
    """of the chains that the way back starts from; they begin at training images"""


CAREFUL = Effort()
QUICK = Effort(num_chains=20, betas=100, sweeps=20)


class Found(NamedTuple):
    """A mean log-likelihood of the test images, or a bound on it, in nats."""

    mean: float
    """from both directions together"""
    low: float
    """with the log Z of the way back, which is too high on average"""
    high: float
    """with the log Z of the way there, which is too low on average"""
    log_z_error: float
    """standard error of log Z, from both directions"""
    standard_error: float
    """over images"""
    seconds: float = 0.0
    """on the clock, of the two directions and of the chains that the way back starts from"""


def make_parser(description: str | None) -> argparse.ArgumentParser:
    """The options of a recipe whose likelihoods are estimated."""
    parser = recipe.make_parser(description)
    add = parser.add_argument
    add("--model", metavar="PATH", help="a saved machine to estimate, instead of training one")
    steps, chains = recipe.whole_number(1), recipe.whole_number(2)
    add("--betas", type=steps, metavar="N", help=f"inverse temperatures ({CAREFUL.betas})")
    add("--chains", type=chains, metavar="N", help=f"of each direction ({CAREFUL.num_chains})")
    return parser


def estimate(
    model: BoltzmannMachine, options: argparse.Namespace, transform: preprocess.Transformation
) -> Found:
    """Log-likelihood of the test images by annealed importance sampling in both directions.

    For a deep machine it is a lower bound. The transform makes images binary, once and for all.
    """
    effort = QUICK if options.quick else CAREFUL
    betas, chains = options.betas or effort.betas, options.chains or effort.num_chains
    images = recipe.find_images(options)
    seen, test = (transform.compute(be.float_tensor(part)) for part in images)
    start = recipe.now()
    samples = model.markov_chain(effort.sweeps, State.from_visible_means(seen[:chains], model))
    with warnings.catch_warnings():
        # the interval in the line that is printed says what the warning would
        warnings.simplefilter("ignore", likelihood.LikelihoodWarning)
        ends = likelihood.sandwich(model, samples, chains, betas, base=seen)
    taken = recipe.since(start)
    deep = model.num_layers > 2
    measure = likelihood.variational_bound if deep else likelihood.log_likelihood
    rows = measure(model, test, 0.0)
    return Found(
        rows.mean - ends.log_partition,
        rows.mean - ends.upper.log_partition,
        rows.mean - ends.lower.log_partition,
        ends.standard_error,
        rows.standard_error,
        taken.clock,
    )


def report(name: str, options: argparse.Namespace, found: Found, taken: recipe.Spent) -> Found:
    """Print the line for the table; gives what was found."""
    print(
        f"| {name} | seed {options.seed} | {found.mean:.2f} | {found.low:.2f} to {found.high:.2f} "
        f"| ± {found.log_z_error:.2f} by log Z, {found.standard_error:.2f} over images "
        f"| trained in {taken} | estimated in {found.seconds:.0f} s |"
    )
    return found
