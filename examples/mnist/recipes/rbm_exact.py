"""RBM of 784 x 16 units, PCD-1, pixels that are on above one half: likelihoods that are exact.

Published: -142.56 centered and -149.05 plain. --flip learns the images with black and white
exchanged, which centering makes no harder (Melchior, Fischer & Wiskott 2016).
"""

import argparse

import estimates
import recipe

from paysage import backends as be
from paysage import likelihood

NAME = "rbm_exact"
SETTINGS = recipe.Training(epochs=50, rate=0.05)
NUM_HIDDEN = 16


def run(options: argparse.Namespace) -> estimates.Found:
    """Train, sum, save; prints the line for the table."""
    name = NAME + ("-flipped" if options.flip else "") + ("-plain" if options.plain else "")
    settings = recipe.settings_for(options, SETTINGS)
    images = recipe.find_images(options)
    if options.flip:
        images = recipe.Images(255 - images.train, 255 - images.test)
    data = recipe.make_batch(images, recipe.THRESHOLD, settings.batch_size)
    model = recipe.centered_machine([data.ncols, NUM_HIDDEN], center=not options.plain)
    model.initialize(data)
    taken = recipe.train(model, data, settings)
    recipe.save(model, name, options)
    test = recipe.THRESHOLD.compute(be.float_tensor(images.test))
    rows = likelihood.log_likelihood(model, test, likelihood.exact_log_partition(model))
    found = estimates.Found(rows.mean, rows.mean, rows.mean, 0.0, rows.standard_error)
    return estimates.report(name, options, found, taken)


def make_parser() -> argparse.ArgumentParser:
    """The options of this recipe."""
    parser = recipe.make_parser(__doc__)
    parser.add_argument("--flip", action="store_true", help="exchange black and white")
    parser.add_argument("--plain", action="store_true", help="layers that are not centered")
    return parser


if __name__ == "__main__":
    recipe.main(run, make_parser())
