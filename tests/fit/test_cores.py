"""The same seed gives the same bits whatever number of threads BLAS has, in large products too."""

import os
import sys

import numpy as np
import pytest

from paysage import backends as be
from paysage import batch, fit, optimizers, preprocess, samplers, threads
from paysage.factorization import streaming
from paysage.layers import BernoulliLayer, GaussianLayer
from paysage.models import BoltzmannMachine, State

ROWS, VISIBLE, HIDDEN = 601, 783, 1101  # odd, and too large for a single piece
CORES = [1, 2, 8]


@pytest.fixture
def with_cores(monkeypatch):
    """Call a function as on machines of several sizes."""
    threadpoolctl = pytest.importorskip("threadpoolctl")
    for name in threads.VARIABLES:
        monkeypatch.delenv(name, raising=False)

    def call(function, cores):
        monkeypatch.setattr(os, "cpu_count", lambda: cores)
        threads._jobs.cache_clear()
        be.set_seed(3)
        if be.get_backend().backend == "pytorch":
            sys.modules["torch"].set_num_threads(cores)
        with threadpoolctl.threadpool_limits(cores, user_api="blas"):
            return function()

    yield call
    threads._jobs.cache_clear()


def rows(gaussian=False):
    rng = np.random.default_rng(1)
    found = rng.standard_normal((ROWS, VISIBLE)) if gaussian else rng.random((ROWS, VISIBLE)) < 0.6
    return be.float_tensor(found.astype(np.float32))


def trained(visible, hidden, center, method):
    data = batch.Batch(
        {
            name: batch.InMemoryTable(rows(visible is GaussianLayer), ROWS)
            for name in ("train", "validate")
        }
    )
    model = BoltzmannMachine([visible(VISIBLE, center=center), hidden(HIDDEN, center=center)])
    model.initialize(data, method="glorot_normal")
    trainer = fit.SGD(model, data)
    trainer.monitor.generator_metrics.clear()
    trainer.train(optimizers.ADAM(1e-2), 1, method=method, verbose=False)
    return leaves(model)


def leaves(model):
    parts = [*model.layers, *(connection.weights for connection in model.connections)]
    return [np.array(be.to_numpy_array(leaf)) for part in parts for leaf in part.params]


def same(found):
    for other in found[1:]:
        for one, two in zip(found[0], other, strict=True):
            np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize(
    "visible, center, method",
    [
        (BernoulliLayer, False, fit.pcd),
        (BernoulliLayer, True, fit.cd),
        (GaussianLayer, False, fit.pcd),
    ],
)
def test_training_of_large_layers(with_cores, visible, center, method):
    assert len(threads.pieces(ROWS, ROWS * VISIBLE * HIDDEN)) > 4

    def once():
        return trained(visible, BernoulliLayer, center, method)

    same([with_cores(once, cores) for cores in CORES])


def test_first_values_from_data_that_a_product_makes(with_cores):
    """In layerwise pretraining the data of a machine come through those below."""

    def once():
        weights = 0.1 * be.randn((VISIBLE, 301))
        made = preprocess.Transformation(lambda units: be.expit(be.dot(units, weights)))
        table = batch.InMemoryTable(rows(), ROWS, transform=made)
        model = BoltzmannMachine([BernoulliLayer(301), BernoulliLayer(5)])
        model.initialize(batch.Batch({"train": table}), method="glorot_normal")
        return leaves(model)

    same([with_cores(once, cores) for cores in CORES])


def test_exchanges_of_replicas(with_cores):
    """Rates are sums of what energies say, which are sums of products."""

    def once():
        model = BoltzmannMachine([GaussianLayer(VISIBLE), BernoulliLayer(301)])
        model.connections[0].weights.params.matrix[:] = 0.04 * be.randn((VISIBLE, 301))
        sampler = samplers.ParallelTempering(model, betas=4)
        sampler.set_state(State.from_model(150, model))
        sampler.update_state(2)
        return [sampler.get_memory()["expected"]]

    same([with_cores(once, cores) for cores in CORES])


@pytest.mark.parametrize("method", ["covariance", "lanczos"])
def test_principal_components(with_cores, method):
    """In double precision, before they are rounded."""
    doubled = np.asarray(be.to_numpy_array(rows()), np.float64)
    start = np.random.default_rng(2).standard_normal((VISIBLE, 30))

    def once():
        if method == "covariance":
            return streaming.by_covariance(lambda: iter([doubled]), 20)[1:]
        return streaming.by_block_lanczos(lambda: iter([doubled]), 20, 2, start)[0][1:]

    same([with_cores(once, cores) for cores in CORES])
