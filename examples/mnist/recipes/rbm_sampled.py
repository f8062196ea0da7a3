"""RBM of 784 x 500 units on pixels sampled anew in each epoch: test log-likelihood above -83.5.

Published: -86.34, trained by CD-25 (Salakhutdinov & Murray 2008).
"""

import argparse

import estimates
import recipe

NAME = "rbm_sampled"
SETTINGS = recipe.Training(epochs=300, rate=0.1, batch_size=50)


def run(options: argparse.Namespace) -> estimates.Found:
    """Train, estimate, save; prints the line for the table."""
    model, taken = recipe.trained_rbm(NAME, options, SETTINGS, recipe.SAMPLED)
    found = estimates.estimate(model, options, recipe.SAMPLED)
    return estimates.report(NAME, options, found, taken)


if __name__ == "__main__":
    recipe.main(run, estimates.make_parser(__doc__))
