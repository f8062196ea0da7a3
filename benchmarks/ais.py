"""Annealed importance sampling of a trained machine: error against seconds, by schedule.

    python benchmarks/ais.py [--backend pytorch] [--repeats 4] [--json F]

An RBM of 784 x 500 learns MNIST for 4 epochs; where `datasets.find_mnist` finds none, one of
64 x 100 learns handwritten digits of 8 x 8 pixels for 100. log Z is then estimated by schedules of
three kinds, of several numbers of steps, some times each, and held against a long reference run.

- seconds: the least over repeats, the pilot run of an adaptive schedule included
- error: root of the mean squared difference from the reference
- deviation: of the estimates over repeats
- spread: standard deviation of the log weights of the chains, mean over repeats
- effective chains: of 100, mean over repeats
- inside: intervals that hold the reference
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from contest import machine

from paysage import backends as be
from paysage import datasets, fit, optimizers, preprocess, schedules
from paysage.batch import in_memory_batch
from paysage.layers import BernoulliLayer
from paysage.likelihood import AIS, Estimate
from paysage.likelihood.schedules import three_pieces, uniform
from paysage.models import BoltzmannMachine

STEPS = (500, 1000, 2000, 4000, 8000)
REFERENCE_STEPS, REFERENCE_CHAINS = 20_000, 400
SEED = 137


def train() -> tuple[BoltzmannMachine, Any]:
    """A machine after some epochs of persistent contrastive divergence, and its data."""
    if datasets.find_mnist():
        images, num_hidden, num_epochs = datasets.load_mnist().train.images, 500, 4
    else:
        images, num_hidden, num_epochs = datasets.load_digits().images, 100, 100
    batch = in_memory_batch(preprocess.binarize_color(be.float_tensor(images)), 100)
    model = BoltzmannMachine([BernoulliLayer(batch.ncols), BernoulliLayer(num_hidden)])
    model.initialize(batch, method="glorot_normal")
    trainer = fit.SGD(model, batch)
    trainer.monitor.generator_metrics = []
    rate = schedules.PowerLawDecay(0.003, 0.5 / 0.003)
    trainer.train(optimizers.ADAM(rate), num_epochs, beta_std=0.0, verbose=False)
    return model, batch


def sampler_of(kind: str, steps: int, model: BoltzmannMachine, batch: Any, chains: int) -> AIS:
    path = uniform(steps) if kind == "uniform" else three_pieces(steps)
    ais = AIS(model, chains, path, batch)
    return ais.adapt(chains, max(50, steps // 10)) if kind == "adaptive" else ais


def timed(make: Any, seed: int) -> tuple[Estimate, float]:
    be.set_seed(seed)
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of few effective chains: that is in the table
        found = make().run()
    return found, time.perf_counter() - start


def measure(kind: str, steps: int, truth: float, repeats: int, *args: Any) -> dict[str, Any]:
    runs = [timed(lambda: sampler_of(kind, steps, *args), SEED + k) for k in range(repeats)]
    values = np.array([found.log_partition for found, _ in runs])
    return {
        "schedule": kind,
        "steps": steps,
        "seconds": min(seconds for _, seconds in runs),
        "error": float(np.sqrt(np.mean((values - truth) ** 2))),
        "deviation": float(values.std(ddof=1)),
        "spread": float(np.mean([found.log_weights.std() for found, _ in runs])),
        "chains": float(np.mean([found.effective_sample_size for found, _ in runs])),
        "inside": int(sum(found.low <= truth <= found.high for found, _ in runs)),
    }


def show(row: dict[str, Any]) -> None:
    print(
        f"| {row['schedule']} | {row['steps']} | {row['seconds']:.1f} | {row['error']:.2f} | "
        f"{row['deviation']:.2f} | {row['spread']:.2f} | {row['chains']:.0f} | {row['inside']} |",
        flush=True,
    )


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backend", default="python")
    parser.add_argument("--chains", type=int, default=100)
    parser.add_argument("--repeats", type=int, default=4)
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


def main() -> None:
    chosen = arguments()
    be.set_backend(chosen.backend, "cpu")
    be.set_seed(SEED)
    model, batch = train()
    timed(lambda: AIS(model, chosen.chains, 50, batch), SEED)  # compiles what has not been
    path = uniform(REFERENCE_STEPS)
    reference, seconds = timed(lambda: AIS(model, REFERENCE_CHAINS, path, batch), SEED)
    truth = reference.log_partition
    about = {
        "model": repr(model),
        "backend": chosen.backend,
        **machine.describe(),
        "reference": [truth, reference.low, reference.high, seconds],
        "effective_chains_of_reference": reference.effective_sample_size,
    }
    print(json.dumps(about))
    heads = "schedule | steps | seconds | error | deviation | spread | effective chains | inside"
    print(f"| {heads} |\n{'|---' * 8}|", flush=True)
    rows = []
    for kind in ("uniform", "three pieces", "adaptive"):
        for steps in STEPS:
            args = (model, batch, chosen.chains)
            rows.append(measure(kind, steps, truth, chosen.repeats, *args))
            show(rows[-1])
    if chosen.json:
        chosen.json.write_text(json.dumps({**about, "rows": rows}, indent=1))


if __name__ == "__main__":
    main()
