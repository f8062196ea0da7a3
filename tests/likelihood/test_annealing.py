"""Chains in blocks that go side by side, and what their weights gain."""

import os

import numpy as np
import pytest
from machines import build, pair

from paysage import backends as be
from paysage import threads
from paysage.likelihood import AIS, exact_log_partition
from paysage.likelihood.annealing import anneal
from paysage.likelihood.halves import Halves
from paysage.likelihood.schedules import uniform
from paysage.models import State


@pytest.fixture
def cut(monkeypatch):
    """Cut the few rows of a test as the many of a large machine are cut."""
    monkeypatch.setattr(threads, "WORTH_CUTTING", 1)
    for name in threads.VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("kinds", ["BB", "GB", "BO", "BBB"])
def test_the_number_of_cores_makes_no_difference(cut, monkeypatch, kinds):
    found = []
    for cores in (1, 2, 4):
        monkeypatch.setattr(os, "cpu_count", lambda cores=cores: cores)
        threads._jobs.cache_clear()
        be.set_seed(3)
        ais = AIS(build(kinds, (4, 3, 3)[: len(kinds)]), 200, uniform(5), base=np.eye(4))
        found.append(ais.run().increments)
    threads._jobs.cache_clear()
    assert found[0].shape == (5, 200)
    for other in found[1:]:
        np.testing.assert_array_equal(found[0], other)


def test_blocks_draw_independently_of_one_another(cut):
    model = build("BB", (6, 5), seed=1, scale=1.0)
    assert len(threads.pieces(200, 200 * model.largest_matrix())) == 2
    found = AIS(model, 200, uniform(20)).run()
    assert len(np.unique(found.log_weights)) > 190
    assert found.low <= exact_log_partition(model) <= found.high


@pytest.mark.parametrize("kinds", ["BB", "BG", "GB", "OB", "BBB"])
@pytest.mark.parametrize("keep_visible", [False, True])
def test_an_increment_is_the_difference_of_log_weights(kinds, keep_visible):
    model = build(kinds, (4, 3, 3)[: len(kinds)], scale=0.5, center=True)
    base = [0.3 * be.randn((layer.num_units,)) for layer in model.layers]
    halves = Halves(model, keep_visible, base)
    state = halves.draw_base(7)
    inputs = halves.inputs(state, halves.summed)
    fields = [halves.fields(inputs, beta) for beta in (0.3, 1.0)]
    found = be.to_numpy_array(halves.increment(state, *fields, 0.7))
    wanted = halves.log_weight(state, inputs, 1.0) - halves.log_weight(state, inputs, 0.3)
    np.testing.assert_allclose(found, wanted, atol=2e-5)  # differences of numbers of order ten


def test_frozen_halves_keep_the_weights_that_they_were_made_with():
    model = pair("BB")
    halves = Halves(model)
    frozen, state = halves.frozen(), State.from_model(50, model)
    before = halves.inputs(state, [0, 1])
    for i, field in frozen.inputs(state, [0, 1]).items():
        np.testing.assert_allclose(
            be.to_numpy_array(field), be.to_numpy_array(before[i]), atol=1e-6
        )
    model.connections[0].weights.params.matrix[:] = 0.0
    assert float(be.tmax(be.tabs(halves.inputs(state, [1])[1]))) == 0
    assert float(be.tmax(be.tabs(frozen.inputs(state, [1])[1]))) > 0


def test_increments_are_of_double_precision():
    halves = Halves(pair("BB"))
    increments, largest = anneal(halves, halves.draw_base(5), uniform(3), iter)
    assert increments.dtype == np.float64
    assert increments.shape == (3, 5)
    assert 0 < largest < 100


@pytest.mark.backend_free
@pytest.mark.parametrize("kinds", ["BB", "GB", "BO", "BBB"])
def test_on_the_gpu_no_step_waits_for_a_number(gpu_path, kinds):
    from purity import purely

    model = build(kinds, (4, 3, 3)[: len(kinds)], scale=0.5)
    base = [None, *(0.1 * be.randn((layer.num_units,)) for layer in model.layers[1:])]
    halves = Halves(model, False, base).frozen()
    state, increments = halves.draw_base(5), be.from_numpy_array(np.zeros((2, 5)))
    inputs = halves.inputs(state, halves.summed)

    def step():
        before, after = halves.fields(inputs, 0.2), halves.fields(inputs, 0.5)
        increments[1] = halves.increment(state, before, after, 0.3)
        halves.sweep(state, after, 0.5)

    step()  # makes the memory for fields
    purely(step)
    assert increments.dtype == be.Double
    assert AIS(model, 5, 3).run().increments.shape == (3, 5)
