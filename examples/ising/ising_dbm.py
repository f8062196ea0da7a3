"""Train deep Boltzmann machines on configurations of the Ising model at three temperatures."""

from __future__ import annotations

import argparse
import pickle
import sys
from pathlib import Path
from typing import Any, NamedTuple

import ising
import numpy as np

from paysage import backends as be
from paysage import batch, fit, layers, optimizers, penalties, plotting, samplers, schedules
from paysage.errors import PaysageError
from paysage.models import BoltzmannMachine

HERE = Path(__file__).resolve().parent
#: ordered, close to the critical temperature, and disordered
TEMPERATURES = (1.75, 2.25, 2.75)
SEED = 137
BATCH_SIZE = 100
LEARNING_RATE = 1e-2
DECAY = 0.1
L1 = 3e-4
MCSTEPS = 2
#: the pretrained model is close to a solution; training as a whole goes on more gently
FINE_TUNING = 0.1
#: examples drawn, and sweeps of the fantasy particles
NUM_TO_PLOT, SWEEPS, NUM_FANTASY = 10, 200, 500


class Result(NamedTuple):
    """Mean energy per spin and mean absolute magnetization at one temperature."""

    temperature: float
    exact_energy: float
    data: tuple[float, float]
    reconstructions: tuple[float, float]
    fantasy: tuple[float, float]


def build_model(num_visible: int, num_hidden: tuple[int, ...]) -> BoltzmannMachine:
    """Return an untrained model with an L1 penalty on all weights.

    The layers are centered. Without it, the units' common mean of 1/2 dominates the gradient, and
    most of what the model learns is biases (Montavon & Müller 2012).
    """
    model = BoltzmannMachine(
        [layers.BernoulliLayer(n, center=True) for n in (num_visible, *num_hidden)]
    )
    for connection in model.connections:
        connection.weights.add_penalty({"matrix": penalties.l1_penalty(L1)})
    return model


def adam(learning_rate: float) -> optimizers.ADAM:
    """Return ADAM with a learning rate that falls from epoch to epoch."""
    rate = schedules.PowerLawDecay(initial=learning_rate, coefficient=DECAY / learning_rate)
    return optimizers.ADAM(stepsize=rate)


def train_model(
    model: BoltzmannMachine, data: batch.Batch, num_epochs: int, verbose: bool = True
) -> fit.SGD:
    """Train a model, a deep one layer by layer first; return the trainer.

    Parallel chains at inverse temperature one (``beta_std=0``) sample the negative phase.
    """
    is_deep = model.num_layers > 2
    model.initialize(data, method="glorot_normal")
    options = {"mcsteps": MCSTEPS, "method": fit.pcd, "beta_std": 0.0, "verbose": verbose}
    if is_deep:
        pretrainer = fit.LayerwisePretrain(model, data)
        pretrainer.train(adam(LEARNING_RATE), num_epochs, init_method="glorot_normal", **options)
    trainer = fit.SGD(model, data)
    rate = FINE_TUNING * LEARNING_RATE if is_deep else LEARNING_RATE
    trainer.train(adam(rate), num_epochs, **options)
    return trainer


def compute_fantasy_particles(model: BoltzmannMachine, number: int, sweeps: int) -> np.ndarray:
    """Return samples of the visible units from chains that start at random."""
    state = samplers.SequentialMC.generate_fantasy_state(model, number, sweeps, beta_std=0.0)
    return np.array(be.to_numpy_array(state.get_visible()))


def summarize(rows: np.ndarray) -> tuple[float, float]:
    """Return the mean energy per spin and the mean absolute magnetization."""
    energy, spin = ising.energy_per_spin(rows), ising.magnetization(rows)
    return float(energy.mean()), float(np.abs(spin).mean())


def draw(
    model: BoltzmannMachine,
    examples: np.ndarray,
    reconstructions: np.ndarray,
    fantasy: np.ndarray,
    folder: Path,
) -> None:
    """Write pictures of the data, reconstructions, fantasy particles and weights."""
    side = round(examples.shape[1] ** 0.5)
    shape, some = (side, side), slice(NUM_TO_PLOT)
    plotting.reconstruction_grid(
        examples[some], reconstructions[some], shape=shape, filename=folder / "reconstructions.png"
    )
    for name, images in (("data", examples), ("fantasy_particles", fantasy)):
        plotting.image_grid(images[some], shape=shape, ncols=10, filename=folder / f"{name}.png")
    weights = be.to_numpy_array(model.connections[0].W(trans=True))
    largest = float(np.quantile(np.abs(weights), 0.995))  # a few outliers would pale the rest
    plotting.weight_grid(
        weights[:50], shape=shape, ncols=10, vmax=largest, filename=folder / "weights.png"
    )


def draw_energies(energies: dict[float, tuple[np.ndarray, np.ndarray]], folder: Path) -> None:
    """Write histograms of the energies per spin of data and fantasy particles."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4 * len(energies), 3), layout="constrained")
    for k, (temperature, (data, fantasy)) in enumerate(energies.items()):
        axes = figure.add_subplot(1, len(energies), k + 1)
        bins = np.histogram_bin_edges(np.concatenate([data, fantasy]), bins=40).tolist()
        axes.hist(data, bins, density=True, alpha=0.6, label="data")
        axes.hist(fantasy, bins, density=True, alpha=0.6, label="fantasy particles")
        axes.set(title=f"T = {temperature:g}", xlabel="energy per spin")
        axes.legend()
    figure.savefig(folder / "energies.png")


def run(
    num_epochs: int = 10,
    num_configurations: int = 10_000,
    size: int = ising.SIZE,
    num_hidden: tuple[int, ...] = (80, 8),
    temperatures: tuple[float, ...] = TEMPERATURES,
    out: str | Path | None = None,
    verbose: bool = True,
    seed: int = SEED,
) -> list[Result]:
    """Sample data, train one model per temperature, draw what it learned, and save it.

    Parameters
    ----------
    num_epochs : int
        Passes through the data for each part of the pretraining and for the whole model.
    num_configurations : int
        Configurations per temperature; a tenth of them validate.
    size : int
        Spins along each side of the lattice.
    num_hidden : tuple of int
        Units of each hidden layer.
    temperatures : tuple of float
    out : path, optional
        Folder for pictures and models; by default output/ in the folder of this script.
    verbose : bool
        Print the metrics of each epoch.
    seed : int

    Returns
    -------
    list of Result
    """
    folder = HERE / "output" if out is None else Path(out)
    results, energies, models = [], {}, {}
    for temperature in temperatures:
        print(f"T = {temperature:g}: sampling {num_configurations} configurations", flush=True)
        rows = ising.sample_configurations(num_configurations, temperature, size, seed)
        be.set_seed(seed)
        data = batch.in_memory_batch(rows, BATCH_SIZE, train_fraction=0.9)
        model = build_model(data.ncols, num_hidden)
        train_model(model, data, num_epochs, verbose)

        examples = rows[-max(NUM_TO_PLOT, num_configurations // 10) :]
        state = model.compute_reconstructions(be.float_tensor(examples))
        reconstructions = np.array(be.to_numpy_array(state.get_visible()))
        fantasy = compute_fantasy_particles(model, NUM_FANTASY, SWEEPS)
        place = folder / f"T{temperature:.2f}"
        place.mkdir(parents=True, exist_ok=True)
        draw(model, examples, reconstructions, fantasy, place)
        energies[temperature] = ising.energy_per_spin(examples), ising.energy_per_spin(fantasy)
        models[temperature] = model
        results.append(
            Result(
                temperature,
                ising.exact_energy(temperature, size),
                *map(summarize, (examples, reconstructions, fantasy)),
            )
        )
    draw_energies(energies, folder)
    with open(folder / "models.pkl", "wb") as file:
        pickle.dump(models, file)
    print_results(results)
    print(f"wrote pictures and models.pkl to {folder}")
    return results


def print_results(results: list[Result]) -> None:
    """Print energies per spin and absolute magnetizations, one line per temperature."""
    kinds = ("data", "reconstructions", "fantasy")
    print(f"{'T':>5}  {'exact e':>8}  " + "  ".join(f"{kind + ' e, |m|':>22}" for kind in kinds))
    for found in results:
        pairs = [getattr(found, kind) for kind in kinds]
        columns = "  ".join(f"{energy:>14.3f}, {spin:>6.3f}" for energy, spin in pairs)
        print(f"{found.temperature:>5.2f}  {found.exact_energy:>8.3f}  {columns}")


def main(argv: list[str] | None = None) -> None:
    """Run the script with the options of its command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    add: Any = parser.add_argument
    add("--epochs", type=int, default=10, metavar="N", help="passes through the data (%(default)s)")
    add("--number", type=int, default=10_000, metavar="N", help="configurations (%(default)s)")
    add("--out", metavar="FOLDER", help="where pictures and models go (output/ next to the script)")
    add("--seed", type=int, default=SEED, help="of all random numbers (%(default)s)")
    add("--quiet", action="store_true", help="print no metrics")
    options = parser.parse_args(argv)
    try:
        run(
            options.epochs,
            options.number,
            out=options.out,
            verbose=not options.quiet,
            seed=options.seed,
        )
    except PaysageError as error:
        sys.exit(f"{type(error).__name__}: {error}")


if __name__ == "__main__":
    main()
