"""Estimators draw from their own generators: threads and the caller's random numbers."""

import threading

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits

from paysage import backends as be
from paysage.sklearn import (
    BernoulliRBM,
    DeepBoltzmannMachine,
    GaussianRBM,
    HopfieldNetwork,
    RBMClassifier,
)

SMALL = {"n_iter": 3, "batch_size": 20, "random_state": 0}
ESTIMATORS = [
    BernoulliRBM(5, **SMALL),
    GaussianRBM(5, **SMALL),
    HopfieldNetwork(5, **SMALL),
    DeepBoltzmannMachine((6, 5), **SMALL),
    RBMClassifier(5, **SMALL),
]
by_name = pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda e: type(e).__name__)


def digits():
    images, labels = load_digits(return_X_y=True)
    return (images[:100] / 16 > 0.5).astype(np.float32), labels[:100]


def use(estimator):
    """Fit an estimator and use what draws; return the fitted arrays and what was drawn."""
    X, y = digits()
    fitted = clone(estimator).fit(X, y)
    found = [fitted.sample(4, n_steps=3), fitted.sample(4, n_steps=3)]
    if isinstance(fitted, BernoulliRBM):
        fitted.partial_fit(X)
        found.append(fitted.gibbs(X))
    arrays = [v for k, v in sorted(vars(fitted).items()) if k.endswith("_") and k != "generator_"]
    for value in arrays:
        found += [np.asarray(part) for part in (value if isinstance(value, list) else [value])]
    return found


@by_name
def test_fits_in_threads_equal_a_lone_fit(estimator):
    expected, found, done = use(estimator), [], threading.Event()

    def disturb():
        while not done.is_set():
            be.set_seed(3)
            be.rand((10,))

    disturber = threading.Thread(target=disturb)
    workers = [threading.Thread(target=lambda: found.append(use(estimator))) for _ in range(2)]
    disturber.start()
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    done.set()
    disturber.join()
    assert len(found) == 2
    for arrays in found:
        for a, b in zip(arrays, expected, strict=True):
            np.testing.assert_array_equal(a, b)


@by_name
def test_the_callers_random_numbers_are_left_alone(estimator):
    before = be.get_random_state(), np.random.get_state()[1].tolist()
    X, y = digits()
    use(estimator)
    clone(estimator).fit(X, y).score(X[:20], y[:20])
    assert (be.get_random_state(), np.random.get_state()[1].tolist()) == before


@by_name
def test_without_a_random_state_numpys_global_generator_decides(estimator):
    runs = []
    for seed in (1, 1, 2):
        np.random.seed(seed)
        runs.append(use(clone(estimator).set_params(random_state=None)))
    for a, b in zip(runs[0], runs[1], strict=True):
        np.testing.assert_array_equal(a, b)
    assert not np.array_equal(runs[0][0], runs[2][0])
