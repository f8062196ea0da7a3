"""Sweeps of many rows, in blocks."""

import numpy as np
import pytest
import stationarity
from machines import array, arrays, build

from paysage import backends as be
from paysage import threads
from paysage.models import State
from paysage.testing import ExactMachine

ROWS = 20_000


@pytest.fixture(autouse=True)
def cut(monkeypatch):
    """Cut small products, too."""
    monkeypatch.setattr(threads, "WORTH_CUTTING", 1)


@pytest.mark.parametrize("center", [False, True])
@pytest.mark.parametrize("steps", [1, 5])
def test_blocks_stay_at_the_exact_distribution(steps, center):
    model = build("BBB", (4, 3, 3), seed=2)
    for layer in model.layers:
        layer.center = center
    exact = ExactMachine(model)
    assert len(model.blocks.parts(ROWS)) > 1
    state = exact.draw(ROWS, np.random.default_rng(3))
    before = [array(units).copy() for units in state]
    model.update_state_(steps, state)
    assert all(np.any(array(a) != b) for a, b in zip(state, before, strict=True))
    assert stationarity.chi_square(exact.index(state), exact.probabilities) > 1e-4


def test_each_row_has_its_own_temperature():
    model = build("BB", (4, 3), seed=2)
    betas = np.where(np.arange(ROWS) < ROWS // 2, 0.3, 2.0)[:, None]
    state = State.from_model(ROWS, model)
    model.update_state_(60, state, beta=be.float_tensor(betas))
    for beta, part in ((0.3, slice(0, ROWS // 2)), (2.0, slice(ROWS // 2, ROWS))):
        index = ExactMachine(model).index(State(units[part] for units in state))
        wanted = ExactMachine(model, beta).probabilities
        assert stationarity.chi_square(index, wanted) > 1e-4


def test_copies_follow_the_weights():
    model = build("BBB", (4, 3, 3), seed=2)
    start = State.from_model(ROWS, model)
    for _ in range(2):
        wanted = State.from_state(start)
        model.sweeps.run(3, wanted, "mean", clamped=(0,))
        found = model.mean_field_iteration(3, start, clamped=[0])
        for a, b in zip(arrays(found), arrays(wanted), strict=True):
            np.testing.assert_allclose(a, b, atol=1e-5)
        for connection in model.connections:
            connection.weights.params.matrix[:] = -1.5 * connection.weights.params.matrix


def test_blocks_draw_independently_of_one_another():
    model = build("BB", (6, 5), scale=0.0)
    for layer in model.layers:
        layer.params.loc[:] = 0.0
    units = array(model.markov_chain(2, State.from_model(ROWS, model))[0])
    first, second = (units[part] for part in model.blocks.parts(ROWS)[:2])
    # fair coins agree in half of the places, within five standard deviations
    assert abs(np.mean(first == second) - 0.5) < 5 * 0.5 / np.sqrt(first.size)


def test_callbacks_see_all_rows():
    model, seen = build("BB", (6, 5)), []
    start = State.from_model(ROWS, model)
    model.markov_chain(3, start, callbacks=lambda state: seen.append(state.batch_size()))
    assert seen == [ROWS] * 3
