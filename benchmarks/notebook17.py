"""Train the four models of Notebook 17 on MNIST and hold the numbers against those it printed.

    python benchmarks/notebook17.py [--backend pytorch] [--seeds 137 1 2 3] [--json result.json]
    torchrun --nproc-per-node=2 benchmarks/notebook17.py --models rbm

The models are trained as the notebook trains them, in its order, and the numbers are read from
what training prints, as those of the notebook were. The notebook is one run; the bands are held
against the mean over the seeds, because single runs scatter about as much as the bands allow.
Needs MNIST (see examples/mnist/download_mnist.py) and the notebook's numbers as a CSV file with the
columns model, epoch, seconds and one a metric. Exits with 1 where a band does not hold.

Notebook 17: Mehta et al., A high-bias, low-variance introduction to machine learning for
physicists, Physics Reports 810 (2019).
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import platform
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

import notebook17_table as table

from paysage import backends as be
from paysage import batch, datasets, fit, optimizers, penalties, schedules
from paysage import preprocess as pre
from paysage.layers import BernoulliLayer, GaussianLayer
from paysage.models import BoltzmannMachine

ROOT = Path(__file__).resolve().parent.parent
REFERENCE = ROOT.parent / "shared" / "reference" / "notebook17_metrics.csv"
MODELS = ("hopfield", "rbm", "rbm_l1", "dbm")
NUM_HIDDEN = 200
BATCH_SIZE = 100


# what the notebook does


def load(path: Path) -> Any:
    """The notebook's minibatches: the shuffled training images in black and white."""
    import pandas as pd

    with tempfile.TemporaryDirectory() as folder:
        shuffled = Path(folder) / "shuffled_mnist.h5"
        batch.DataShuffler(path, shuffled, complevel=0).shuffle()
        rows = pd.read_hdf(shuffled, key="train/images").to_numpy()
    transform = pre.Transformation(pre.binarize_color)
    # version 0.2 kept the order of the rows in all epochs
    return batch.in_memory_batch(
        be.float_tensor(rows), BATCH_SIZE, train_fraction=0.95, transform=transform, shuffle=False
    )


def adam(initial: float) -> optimizers.ADAM:
    return optimizers.ADAM(stepsize=schedules.PowerLawDecay(initial=initial, coefficient=1.0))


def build(name: str, num_visible: int) -> BoltzmannMachine:
    """One of the four models, untrained."""
    hidden = [BernoulliLayer(NUM_HIDDEN)]
    if name == "hopfield":
        hidden = [GaussianLayer(NUM_HIDDEN)]
        hidden[0].set_fixed_params(["loc", "log_var"])
    if name == "dbm":
        hidden.append(BernoulliLayer(NUM_HIDDEN))
    model = BoltzmannMachine([BernoulliLayer(num_visible), *hidden])
    if name in ("rbm_l1", "dbm"):
        for connection in model.connections:
            connection.weights.add_penalty({"matrix": penalties.l1_penalty(1e-3)})
    return model


def train(name: str, data: Any, epochs: int, processes: fit.Processes) -> BoltzmannMachine:
    """Train one of the four models; a deep one layer by layer and then as a whole."""
    model = build(name, data.ncols)
    model.initialize(data, method="glorot_normal")
    if name == "dbm":
        pretrainer = fit.LayerwisePretrain(model, data)
        pretrainer.train(
            adam(1e-2),
            epochs,
            method=fit.pcd,
            mcsteps=1,
            init_method="glorot_normal",
            processes=processes,
        )
    trainer = fit.SGD(model, data)
    opt = adam(1e-3 if name == "dbm" else 1e-2)
    trainer.train(opt, epochs, method=fit.pcd, mcsteps=1, processes=processes)
    return model


# what it prints


class Echo(io.StringIO):
    """Remembers what is printed, and passes it on to standard error."""

    def write(self, text: str) -> int:
        sys.stderr.write(text)
        return super().write(text)


def measured(name: str, data: Any, epochs: int, processes: fit.Processes) -> list[dict[str, Any]]:
    """Train a model; one row an epoch (0 is before training) of each machine that is trained."""
    echo = Echo()
    with contextlib.redirect_stdout(echo):
        train(name, data, epochs, processes)
    names = ["dbm_layer1", "dbm_layer2", "dbm"] if name == "dbm" else [name]
    return read_lines(echo.getvalue(), names)


def read_lines(text: str, names: list[str]) -> list[dict[str, Any]]:
    """The rows in what training printed; each 'Before training:' begins the next of the names."""
    remaining = iter(names)
    rows: list[dict[str, Any]] = []
    name = ""
    for line in text.splitlines():
        if line == "Before training:":
            name = next(remaining)
            rows.append({"model": name, "epoch": 0})
        elif found := re.fullmatch(r"End of epoch (\d+): ", line):
            rows.append({"model": name, "epoch": int(found[1])})
        elif found := re.fullmatch(r"Time elapsed (.+)s", line):
            rows[-1]["seconds"] = float(found[1])
        elif found := re.fullmatch(r"-(\w+): (\S+)", line):
            rows[-1][found[1]] = float(found[2])
    return rows


# the command line


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    add = parser.add_argument
    add("--data", type=Path, help="mnist.h5 (where datasets.find_mnist finds it)")
    add("--epochs", type=int, default=20, help="of each training (%(default)s)")
    add("--backend", choices=("python", "pytorch"), help="what computes (as configured)")
    add("--processor", choices=("cpu", "gpu"), help="where it computes (as configured)")
    add("--seeds", type=int, nargs="+", default=[137, 1, 2, 3], help="(%(default)s; notebook: 137)")
    add("--models", nargs="+", choices=MODELS, default=list(MODELS), help="trained in this order")
    add("--json", type=Path, metavar="OUT", help="write all rows there")
    add("--reference", type=Path, default=REFERENCE, help="the notebook's numbers, CSV")
    return parser


def find_data(path: Path | None) -> Path:
    found = path or datasets.find_mnist()
    if found is None or not found.is_file():
        sys.exit(f"MNIST is not at {found or 'hand'}: {datasets.HOW_TO_GET_MNIST}")
    return found


def read_reference(path: Path) -> list[dict[str, Any]]:
    if not path.is_file():
        sys.exit(f"the numbers of Notebook 17 are not at {path}: name the file by --reference")
    return table.read_csv(path)


def run(
    seed: int, data: Any, options: argparse.Namespace, processes: fit.Processes
) -> list[dict[str, Any]]:
    """All models from one seed, as the notebook has it at its top."""
    be.set_seed(seed)
    return [
        row for name in options.models for row in measured(name, data, options.epochs, processes)
    ]


def main() -> None:
    options = make_parser().parse_args()
    path, reference = find_data(options.data), read_reference(options.reference)
    if options.backend or options.processor:
        be.set_backend(options.backend, options.processor)
    with fit.Processes() as processes:
        data = load(path)
        runs = [run(seed, data, options, processes) for seed in options.seeds]
    if processes.first:
        report(runs, reference, options, processes.size)


def report(
    runs: list[Any], reference: list[Any], options: argparse.Namespace, processes: int
) -> None:
    """Print the tables; exits with 1 where a band does not hold."""
    rows = table.mean_rows(runs)
    chosen = be.get_backend()
    system = f"{platform.system()} {platform.machine()}"
    machine = f"{chosen.backend} on the {chosen.processor}, {system}"
    machine += f", {processes} processes" if processes > 1 else ""
    if options.json:
        options.json.write_text(
            json.dumps({"machine": machine, "seeds": options.seeds, "runs": runs}, indent=1)
        )
    print(f"backend {machine}; mean over the seeds {options.seeds}, {options.epochs} epochs\n")
    print(table.metrics_table(rows, reference), end="\n\n")
    print(table.seconds_table(rows, reference), end="\n\n")
    print(table.speedups(rows, reference), end="\n\n")
    missed = table.missed(rows, reference)
    print(f"bands that do not hold: {', '.join(missed) or 'none'}")
    sys.exit(bool(missed))


if __name__ == "__main__":
    main()
