"""Pictures of machines that were saved, and of logs of trainings: those of docs/gallery.md.

    python examples/mnist/gallery.py models/rbm_threshold-137.h5 log.csv --out pictures

Of each machine, in a folder with its name: samples, one chain over time, weights, reconstructions,
and images of each class if it knows labels. Of all of them together: how fast chains forget. Of
logs in CSV: the likelihood against the epoch, which `paysage train --watch ExactLogLikelihood --log
log.csv` writes.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import mnist_util as util
import numpy as np

from paysage import backends as be
from paysage import datasets
from paysage.batch import Batch
from paysage.cli.plot import read_log
from paysage.errors import PaysageError
from paysage.layers import GaussianLayer, OneHotLayer
from paysage.models import BoltzmannMachine, State
from paysage.samplers import SequentialMC
from paysage.samplers.diagnostics import autocorrelation, integrated_autocorrelation_time

SHOWN = 50
CHAINS = 100
LIKELIHOODS = ("ExactLogLikelihood", "AISLogLikelihood")

Curves = Mapping[str, tuple[Sequence[float], Sequence[float]]]


def run(options: argparse.Namespace) -> None:
    """Draw everything that the files are good for."""
    be.set_seed(options.seed)
    out = util.output_folder(options.out, __file__)
    machines, logs = {}, {}
    for path in map(Path, options.files):
        if path.suffix == ".csv":
            logs[path.stem] = likelihoods(path)
        else:
            machines[path.stem] = BoltzmannMachine.from_saved(path)
    for name, model in machines.items():
        pictures(model, util.output_folder(out / name, __file__), options)
    if machines:
        curves = {name: forgetting(model, options.sweeps) for name, model in machines.items()}
        draw(curves, "sweeps", "autocorrelation of the energy", out / "autocorrelation.png")
    if logs:
        draw(logs, "epoch", "log-likelihood, nats", out / "likelihood.png")


def pictures(model: BoltzmannMachine, out: Path, options: argparse.Namespace) -> None:
    """Samples, a chain, weights and reconstructions."""
    # at temperature one throughout: chains that were driven may not have come back
    state = model.markov_chain(options.sweeps, State.from_model(SHOWN, model))
    util.show_images(means(model, state), out / "samples.png")
    util.show_images(film(model, state, options.pace), out / "chain.png")
    if len(model.layers) == 3 and isinstance(model.layers[2], OneHotLayer):
        util.show_images(classes(model, options.sweeps), out / "classes.png")
    util.show_weights(model, out)
    util.show_reconstructions(model, images_for(model, options.data), out)


def means(model: BoltzmannMachine, state: State) -> np.ndarray:
    """Means of the pixels given the hidden units, (rows, pixels)."""
    return np.array(be.to_numpy_array(model.mean_field_iteration(1, state).get_visible()))


def film(model: BoltzmannMachine, state: State, pace: int) -> np.ndarray:
    """The first of the chains, every so many sweeps, as means of the pixels."""
    state, frames = State(units[:1] for units in state), []
    for _ in range(SHOWN):
        state = model.markov_chain(pace, state)
        frames.append(means(model, state)[0])
    return np.stack(frames)


def classes(model: BoltzmannMachine, sweeps: int) -> np.ndarray:
    """Ten images of each class of a machine of rows, hidden units and labels, which are clamped."""
    number = model.layers[2].num_units
    state = State.from_model(10 * number, model)
    state[2] = be.float_tensor(np.repeat(np.eye(number), 10, axis=0))
    state = model.markov_chain(sweeps, state, clamped=[2])
    mean = model.mean_field_iteration(1, state, clamped=[2])
    return np.array(be.to_numpy_array(mean.get_visible()))


def images_for(model: BoltzmannMachine, data: str | None) -> Batch:
    """Images of the machine's size: MNIST, or the small digits; grey for Gaussian pixels."""
    visible = model.layers[0]
    small = visible.num_units == datasets.load_digits().images.shape[1]
    transform = util.grey() if isinstance(visible, GaussianLayer) else None
    return util.create_batch(SHOWN, transform=transform, data=util.DIGITS if small else data)


def forgetting(model: BoltzmannMachine, sweeps: int) -> tuple[Sequence[float], Sequence[float]]:
    """Lags, and the autocorrelation of the joint energy of chains that have run as long before."""
    chains = SequentialMC.from_model(model, CHAINS, beta_std=0.0)
    chains.update_state(sweeps)
    energies = np.empty((sweeps, CHAINS))
    for t in range(sweeps):
        chains.update_state(1)
        energies[t] = be.to_numpy_array(model.joint_energy(chains.get_state()))
    shown = min(sweeps // 4, round(8 * integrated_autocorrelation_time(energies)) + 1)
    return range(shown), list(autocorrelation(energies)[:shown])


def likelihoods(path: Path) -> tuple[Sequence[float], Sequence[float]]:
    """Epochs of a log, and the likelihoods that were measured in them."""
    records = read_log(path)
    found = [(r["epoch"], r[name]) for r in records for name in LIKELIHOODS if r.get(name)]
    return [epoch for epoch, _ in found], [value for _, value in found]


def draw(curves: Curves, xlabel: str, ylabel: str, to: Path) -> None:
    """A curve each, with its name."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.0, 3.2), dpi=100, layout="constrained")
    axes: Any = figure.add_subplot(xlabel=xlabel, ylabel=ylabel)
    for name, (x, y) in curves.items():
        axes.plot(x, y, label=name, linewidth=1.4)
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(to)
    print(f"wrote {to}")


def make_parser() -> argparse.ArgumentParser:
    """The options."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("files", nargs="+", metavar="FILE", help="machines that were saved, logs in .csv")
    add("--out", metavar="FOLDER", help="where pictures go (output/gallery beside the script)")
    add("--data", metavar="PATH", help="mnist.h5 (where datasets.find_mnist finds it)")
    add("--pace", type=int, default=20, metavar="N", help="sweeps between images (%(default)s)")
    add("--sweeps", type=int, default=2000, metavar="N", help="to settle in (%(default)s)")
    add("--seed", type=int, default=util.SEED, help="of all random numbers (%(default)s)")
    return parser


if __name__ == "__main__":
    try:
        run(make_parser().parse_args())
    except PaysageError as error:
        sys.exit(f"{type(error).__name__}: {error}")
