"""RBM of 784 x 500 units, sampled pixels, against the clock: -90 in two minutes, -86.34 in four.

Published: 78 minutes. Two cores are meant. --goal says which of the two schedules.
"""

import argparse

import estimates
import recipe

SETTINGS = {
    "-90": recipe.Training(epochs=12, rate=0.15),
    "-86.34": recipe.Training(epochs=25, rate=0.15, batch_size=50),
}


def run(options: argparse.Namespace) -> estimates.Found:
    """Train, estimate, save; prints the line for the table."""
    name = f"rbm_clock{options.goal}"
    model, taken = recipe.trained_rbm(name, options, SETTINGS[options.goal], recipe.SAMPLED)
    found = estimates.estimate(model, options, recipe.SAMPLED)
    return estimates.report(name, options, found, taken)


def make_parser() -> argparse.ArgumentParser:
    """The options of this recipe."""
    parser = estimates.make_parser(__doc__)
    parser.add_argument("--goal", choices=tuple(SETTINGS), default="-86.34", help="(%(default)s)")
    return parser


if __name__ == "__main__":
    recipe.main(run, make_parser())
