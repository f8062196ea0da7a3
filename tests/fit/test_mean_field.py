"""The positive phase of mean fields: a fixed point, whose gradient is that of the lower bound."""

import numpy as np
import pytest
from machines import array, arrays, build, random_state, twin

from paysage import backends as be
from paysage import fit, optimizers
from paysage.batch import in_memory_batch
from paysage.capturable import is_capturable
from paysage.errors import ConfigError
from paysage.fit import MeanField, Phases
from paysage.likelihood import variational_bound
from paysage.models import State

MACHINES = {
    "deep": lambda: build("BBB", (4, 3, 3), seed=2),
    "centered": lambda: build("BBBB", (4, 3, 3, 2), seed=2, center=True),
    "ring": lambda: build("BBBB", (4, 3, 3, 2), [(0, 1), (1, 2), (2, 3), (3, 0)], 2),
}
each_machine = pytest.mark.parametrize("name", MACHINES)


def positive(model, visible, **settings):
    return Phases(model, 5, positive_phase=MeanField(**settings)).positive_state(visible)


@each_machine
def test_means_are_those_of_their_neighbours(name):
    model = MACHINES[name]()
    visible = random_state(model, 10)[0]
    state = positive(model, visible, tolerance=1e-6, max_sweeps=500)
    rows = arrays(state)
    np.testing.assert_array_equal(rows[0], array(visible))
    for i in range(1, len(rows)):
        np.testing.assert_allclose(rows[i], twin(model).mean(rows, i), atol=1e-5)


def test_sweeps_stop_at_the_tolerance_or_at_their_number():
    model = MACHINES["deep"]()
    visible = random_state(model, 10)[0]
    ends = [positive(model, visible, tolerance=t, max_sweeps=n) for t, n in ((0, 2), (1.0, 9))]
    start = State.from_visible_means(visible, model)
    for end, sweeps in zip(ends, (2, 1), strict=True):
        wanted = arrays(model.mean_field_iteration(sweeps, start, clamped=[0]))
        for a, b in zip(arrays(end), wanted, strict=True):
            np.testing.assert_allclose(a, b, atol=1e-6)


@each_machine
def test_the_gradient_is_that_of_the_lower_bound(name):
    """Of bound + log Z, by central differences: single precision and steps of 0.01, so 1e-3."""
    model = MACHINES[name]()
    visible = random_state(model, 6)[0]
    state = positive(model, visible, tolerance=1e-6, max_sweeps=500)
    nothing = State(be.zeros_like(units) for units in state)
    found, zero = model.gradient(state, nothing), fit_zero(model, nothing)
    for connection, part, own in zip(model.connections, found.weights, zero, strict=True):
        matrix = connection.weights.params.matrix
        for place in ((0, 0), (1, 2 % matrix.shape[1])):
            slope = difference(lambda: bound(model, visible), matrix, place)
            assert abs(-float(part.matrix[place]) + own[place] - slope) < 2e-3
    for layer, part in zip(model.layers, found.layers, strict=True):
        slope = difference(lambda: bound(model, visible), layer.params.loc, 1)
        assert abs(-float(part.loc[1]) - slope) < 2e-3


def fit_zero(model, nothing):
    """-dE/dW where all units are zero: not zero in centered machines."""
    seen = [
        array(layer.connected(units))[0] for layer, units in zip(model.layers, nothing, strict=True)
    ]
    return [np.outer(seen[c.target_index], seen[c.domain_index]) for c in model.connections]


def bound(model, visible):
    return variational_bound(model, visible, 0.0).mean


def difference(function, tensor, place, step=1e-2):
    ends = []
    middle = float(tensor[place])
    for sign in (1, -1):
        tensor[place] = middle + sign * step
        ends.append(function())
    tensor[place] = middle
    return (ends[0] - ends[1]) / (2 * step)


def test_training_by_it_raises_the_likelihood():
    rng = np.random.default_rng(1)
    pairs = np.repeat(np.eye(3), 2, axis=1)[rng.integers(0, 3, 1000)]
    data = np.where(rng.random(pairs.shape) < 0.05, 1 - pairs, pairs)
    be.set_seed(2)
    model = build("BBB", (6, 3, 2), scale=0.1, center=True)
    batch = in_memory_batch(data, 50)
    model.initialize(batch, method="glorot_normal")

    def likelihood():
        machine = twin(model)
        rows, counts = np.unique(data, axis=0, return_counts=True)
        each = [machine.log_sum({0: row}) for row in rows]
        return float(np.dot(each, counts) / len(data)) - machine.log_sum()

    before = likelihood()
    fit.SGD(model, batch).train(
        optimizers.Gradient(0.2), 20, beta_std=0.0, positive_phase=MeanField(), verbose=False
    )
    assert likelihood() > before + 0.2


def test_two_layers_have_their_exact_means_at_once():
    model = build("BB", (4, 3))
    visible = random_state(model, 10)[0]
    state = positive(model, visible, max_sweeps=1)
    np.testing.assert_allclose(arrays(state)[1], twin(model).mean(arrays(state), 1), atol=1e-6)


def test_a_fixed_number_of_sweeps_can_be_captured():
    assert is_capturable(MeanField(tolerance=0))
    assert not is_capturable(MeanField())


def test_settings_are_checked():
    for wrong in ({"tolerance": -1.0}, {"max_sweeps": 0}, {"max_sweeps": 1.5}):
        with pytest.raises(ConfigError):
            MeanField(**wrong)
    model = MACHINES["deep"]()
    trainer = fit.SGD(model, in_memory_batch(array(random_state(model, 20)[0]), 5))
    with pytest.raises(ConfigError, match="positive_phase"):
        trainer.train(optimizers.Gradient(0.1), 1, positive_phase="mean_field")
