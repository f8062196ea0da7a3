"""`paysage.sklearn.BernoulliRBM` in the place of scikit-learn's, in one process, by turns.

    python benchmarks/sklearn_digits.py [--rows 20000] [--epochs 2] [--turns 4] [--batch 10 100]
                                        [--json F]

First scikit-learn's own example, "Restricted Boltzmann Machine features for digit classification",
with the one import exchanged: digits of 8 x 8 pixels and the same moved by a pixel each way, 100
hidden units, logistic regression. Then rows of MNIST (where `datasets.find_mnist` finds it), grey
values from 0 to 1, 256 hidden units and the other settings that are scikit-learn's own; every other
turn begins with the other one. The ratio of seconds is formed within a turn.

How good the machines are is said by scikit-learn's estimate of the pseudo-likelihood:
`score_samples` of its class with the arrays of either machine and the same draws, on black and
white test rows.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
from contest.machine import describe
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.neural_network import BernoulliRBM as Theirs
from sklearn.pipeline import Pipeline

from paysage import datasets
from paysage.sklearn import BernoulliRBM as Ours

CLASSES = {"paysage": Ours, "scikit-learn": Theirs}
NUM_HIDDEN = 256


def moved(images: np.ndarray) -> np.ndarray:
    """The images (N, 64), and the same moved by one pixel up, down, left and right."""
    padded = np.pad(images.reshape(-1, 8, 8), ((0, 0), (1, 1), (1, 1)))
    corners = ((1, 1), (2, 1), (0, 1), (1, 2), (1, 0))
    return np.vstack([padded[:, y : y + 8, x : x + 8].reshape(-1, 64) for y, x in corners])


def digits() -> dict[str, Any]:
    """Accuracies and seconds of the example with either class."""
    found = datasets.load_digits()
    images, labels = moved(found.images / np.float32(255)), np.tile(found.labels, 5)
    parts = train_test_split(images, labels, test_size=0.2, random_state=0)
    accuracies = {}
    for name, rbm in CLASSES.items():
        features = rbm(n_components=100, learning_rate=0.06, n_iter=10, random_state=0)
        # to convergence: the example's tolerance of 1 stops this solver at the first step
        logistic = LogisticRegression(C=30, solver="newton-cg", max_iter=1000)
        pipeline = Pipeline([("rbm", features), ("logistic", logistic)])
        accuracies[name] = float(pipeline.fit(parts[0], parts[2]).score(parts[1], parts[3]))
    alone = LogisticRegression(C=100, max_iter=3000).fit(parts[0], parts[2])
    return {**accuracies, "pixels alone": float(alone.score(parts[1], parts[3]))}


def pseudo_likelihoods(model: Any, rows: np.ndarray) -> np.ndarray:
    """scikit-learn's estimate of each row's, with draws that are the same in each call."""
    judge = Theirs(NUM_HIDDEN, random_state=0)
    judge.components_ = np.asarray(model.components_)
    judge.intercept_visible_ = np.asarray(model.intercept_visible_)
    judge.intercept_hidden_ = np.asarray(model.intercept_hidden_)
    judge.random_state_ = np.random.RandomState(0)
    judge.n_features_in_ = rows.shape[1]
    return judge.score_samples(rows)


def turn(train: np.ndarray, order: list[str], batch: int, epochs: int) -> dict[str, Any]:
    """One machine of each class, with its seconds: on the clock, and of all cores."""
    found = {}
    for name in order:
        machine = CLASSES[name](NUM_HIDDEN, batch_size=batch, n_iter=epochs, random_state=0)
        clock, cores = time.perf_counter(), time.process_time()
        machine.fit(train)
        found[name] = machine, time.perf_counter() - clock, time.process_time() - cores
    return found


def contest(options: argparse.Namespace, batch: int, data: Any) -> dict[str, Any]:
    """Ratios of seconds over the turns, and the pseudo-likelihoods of the last one."""
    train = (data.train.images[: options.rows] / np.float32(255)).astype(np.float32)
    test = (data.test.images > 127).astype(np.float32)
    names, clocks, cores = list(CLASSES), [], []
    for number in range(options.turns):
        found = turn(train, names[:: 1 if number % 2 == 0 else -1], batch, options.epochs)
        (_, a, b), (_, c, d) = (found[name] for name in names)
        clocks.append(c / a)
        cores.append(d / b)
        updates = options.epochs * -(-len(train) // batch)
        print(f"batch {batch}: {1e6 * a / updates:.0f} and {1e6 * c / updates:.0f} µs an update")
    scores = {name: pseudo_likelihoods(found[name][0], test) for name in names}
    gaps = scores["paysage"] - scores["scikit-learn"]
    return {
        "as fast (clock)": spread(clocks),
        "as fast (all cores)": spread(cores),
        "pseudo-likelihood": {name: float(values.mean()) for name, values in scores.items()},
        "difference": [float(gaps.mean()), float(gaps.std() / len(gaps) ** 0.5)],
    }


def spread(values: list[float]) -> list[float]:
    """Median, least and most."""
    return [float(np.median(values)), min(values), max(values)]


def report(batch: int, found: dict[str, Any]) -> str:
    """A line of the table."""
    clock, cores = ("{:.2f} ({:.2f}–{:.2f})".format(*found[k]) for k in list(found)[:2])
    ours, theirs = found["pseudo-likelihood"].values()
    gap, error = found["difference"]
    return f"| {batch} | {clock} | {cores} | {ours:.1f} | {theirs:.1f} | {gap:.1f} ± {error:.1f} |"


def main() -> None:
    text = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=text)
    parser.add_argument("--rows", type=int, default=20_000, help="of MNIST (%(default)s)")
    parser.add_argument("--epochs", type=int, default=2, help="of a turn (%(default)s)")
    parser.add_argument("--turns", type=int, default=4, help="(%(default)s)")
    parser.add_argument("--batch", type=int, nargs="+", default=[10, 100], help="(%(default)s)")
    parser.add_argument("--json", type=Path, help="file for what was found")
    options = parser.parse_args()
    found: dict[str, Any] = {"machine": describe(), "digits": digits()}
    print("accuracy on the digits:", found["digits"])
    path = datasets.find_mnist()
    if path is not None:
        data = datasets.load_mnist(path)
        turn(data.train.images[:1000] / np.float32(255), list(CLASSES), 100, 1)  # compiles
        for batch in options.batch:
            found[str(batch)] = contest(options, batch, data)
        print("\n| batch | clock | all cores | paysage | scikit-learn | difference |")
        print("|---|---|---|---|---|---|")
        print("\n".join(report(batch, found[str(batch)]) for batch in options.batch))
    if options.json is not None:
        options.json.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
