"""RBM of 784 x 500 units on pixels that are on above one half: to test log-likelihoods of -63.

It learns images that are moved by parts of a pixel and cut at thresholds near one half, other ones
in each epoch, and is measured on test images as they are. Published: -84.86, estimated from one
side, and -69.90.
"""

import argparse

import estimates
import recipe
from moved import MOVED

NAME = "rbm_threshold"
SETTINGS = recipe.Training(epochs=200, rate=0.1, batch_size=50, l2=3e-4)


def run(options: argparse.Namespace) -> estimates.Found:
    """Train, estimate, save; prints the line for the table."""
    model, taken = recipe.trained_rbm(NAME, options, SETTINGS, MOVED)
    found = estimates.estimate(model, options, recipe.THRESHOLD)
    return estimates.report(NAME, options, found, taken)


if __name__ == "__main__":
    recipe.main(run, estimates.make_parser(__doc__))
