"""Images that a saved machine makes up from noise, and how long its chains remember.

    python examples/mnist/recipes/samples.py models/rbm_sampled-137.h5 --out samples.png

Each row of the picture is a chain that starts with every layer drawn on its own; its columns are
the means of the pixels after ever more Gibbs sweeps at temperature one. The line that is printed
has the integrated autocorrelation times of the joint energy and of the number of pixels that are
on, in sweeps, of chains that have left their start behind.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import recipe

from paysage import backends as be
from paysage import plotting
from paysage.errors import PaysageError
from paysage.models import BoltzmannMachine, State
from paysage.samplers import SequentialMC
from paysage.samplers.diagnostics import integrated_autocorrelation_time

SHOWN = 12
NUM_CHAINS = 100


def run(options: argparse.Namespace) -> tuple[float, float]:
    """Draw, measure, print the line; gives the two autocorrelation times in sweeps."""
    be.set_seed(options.seed)
    model = BoltzmannMachine.from_saved(options.model)
    chains = SequentialMC.from_model(model, NUM_CHAINS, beta_std=0.0)
    columns = [means(model, chains.get_state())]
    done = 0
    for sweeps in powers(options.sweeps):
        chains.update_state(sweeps - done)
        columns.append(means(model, chains.get_state()))
        done = sweeps
    shape = (round(columns[0].shape[1] ** 0.5),) * 2
    images = np.stack([column[:SHOWN] for column in columns], axis=1)
    plotting.image_grid(images, shape=shape, filename=options.out)
    times = tuple(map(integrated_autocorrelation_time, follow(chains, options.sweeps)))
    energy, pixels = times
    print(
        f"| {Path(options.model).stem} | autocorrelation time of the energy {energy:.0f} sweeps, "
        f"of the number of pixels on {pixels:.0f} | {NUM_CHAINS} chains, {options.sweeps} sweeps |"
    )
    return times


def powers(largest: int) -> list[int]:
    """1, 10, 100 and so on, and the largest."""
    return sorted({10**k for k in range(len(str(largest)))} | {largest})


def means(model: BoltzmannMachine, state: State) -> np.ndarray:
    """Means of the pixels given the hidden units, (num_chains, pixels)."""
    mean = model.mean_field_iteration(1, State.from_state(state))
    return np.array(be.to_numpy_array(mean.get_visible()))


def follow(chains: SequentialMC, sweeps: int) -> tuple[np.ndarray, np.ndarray]:
    """Joint energy and number of pixels on, after each sweep; two arrays (sweeps, num_chains)."""
    energy, pixels = (np.empty((sweeps, NUM_CHAINS)) for _ in range(2))
    for t in range(sweeps):
        chains.update_state(1)
        state = chains.get_state()
        energy[t] = be.to_numpy_array(chains.model.joint_energy(state))
        pixels[t] = be.to_numpy_array(state.get_visible()).sum(axis=1)
    return energy, pixels


def make_parser() -> argparse.ArgumentParser:
    """The options."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("model", metavar="PATH", help="a machine that was saved")
    add("--out", type=Path, default=Path("samples.png"), help="the picture (%(default)s)")
    sweeps, seed = recipe.whole_number(2), recipe.whole_number(0)
    add("--sweeps", type=sweeps, default=10_000, metavar="N", help="of a chain (%(default)s)")
    add("--seed", type=seed, default=recipe.SEED, help="of all random numbers (%(default)s)")
    return parser


if __name__ == "__main__":
    try:
        run(make_parser().parse_args())
    except PaysageError as error:
        sys.exit(f"{type(error).__name__}: {error}")
