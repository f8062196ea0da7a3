"""DBM of 784 x 500 x 1000 units, sampled pixels: a lower bound on the likelihood above -84.0.

Published: -84.62 (Salakhutdinov & Hinton 2009). The machine starts as a restricted one that knows
the images already, and a second hidden layer that says nothing: --start names the file of the
former, made by rbm_sampled.py, which is trained first where it is not given.
"""

import argparse

import estimates
import rbm_sampled
import recipe

from paysage import fit
from paysage.batch import Batch
from paysage.errors import ConfigError
from paysage.models import BoltzmannMachine, State
from paysage.samplers import SequentialMC

NAME = "dbm"
SETTINGS = recipe.Training(epochs=18, rate=0.05, mcsteps=2)
NUM_HIDDEN = 1000


def run(options: argparse.Namespace) -> estimates.Found:
    """Train, estimate, save; prints the line for the table."""
    settings = recipe.settings_for(options, SETTINGS)
    if options.model:
        model, taken = BoltzmannMachine.from_saved(options.model), recipe.NO_TIME
    else:
        model, taken = trained(options, settings)
    found = estimates.estimate(model, options, recipe.SAMPLED)
    return estimates.report(NAME, options, found, taken)


def trained(
    options: argparse.Namespace, settings: recipe.Training
) -> tuple[BoltzmannMachine, recipe.Spent]:
    """A deep machine that has learned and is saved, and the seconds of all that was trained."""
    below, before = first_layers(options)
    recipe.settings_for(options, settings)  # the same numbers, whether or not the first was trained
    data = recipe.make_batch(recipe.find_images(options), recipe.SAMPLED, settings.batch_size)
    model = grown(below, 10 if options.quick else NUM_HIDDEN, data)
    # a machine that knows the images forgets some of them before chains from noise find them
    chains = SequentialMC.from_batch(model, data, beta_std=0.0)
    means = fit.MeanField(tolerance=1e-2, max_sweeps=20)
    taken = recipe.train(model, data, settings, positive_phase=means, sampler=chains)
    recipe.save(model, NAME, options)
    return model, recipe.Spent(*map(sum, zip(before, taken, strict=True)))


def first_layers(options: argparse.Namespace) -> tuple[BoltzmannMachine, recipe.Spent]:
    """The restricted machine to start with, and the seconds that its training took here."""
    if options.start:
        known = BoltzmannMachine.from_saved(options.start)
        if known.num_layers != 2:
            raise ConfigError(f"{options.start} has {known!r}, expected one of two layers to start")
        return known, recipe.NO_TIME
    return recipe.trained_rbm(rbm_sampled.NAME, options, rbm_sampled.SETTINGS, recipe.SAMPLED)


def grown(below: BoltzmannMachine, num_hidden: int, data: Batch) -> BoltzmannMachine:
    """A deep machine that knows what a restricted one does: its last layer has small weights."""
    if not all(layer.center for layer in below.layers):
        below = below.centered(State.from_visible_means(next(data.iterate("train")), below))
    sizes = [layer.num_units for layer in below.layers]
    model = recipe.centered_machine([*sizes, num_hidden])
    model.initialize(data)
    for layer, known in zip(model.layers, below.layers, strict=False):
        layer.set_params(known.params)
        layer.set_offset(known.offset)
    model.connections[0].weights.set_params(below.connections[0].weights.params)
    return model


def make_parser() -> argparse.ArgumentParser:
    """The options of this recipe."""
    parser = estimates.make_parser(__doc__)
    parser.add_argument("--start", metavar="PATH", help="a restricted machine that was saved")
    return parser


if __name__ == "__main__":
    recipe.main(run, make_parser())
