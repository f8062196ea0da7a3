"""What sweeps keep of the weights gives the fields that the weights themselves give."""

import numpy as np
import pytest
from machines import array, build, random_state, skip

from paysage import backends as be
from paysage.fit import Phases
from paysage.models.copies import WeightCopies
from paysage.models.graph import Link
from paysage.models.sweep import Sweeps

MACHINES = {
    "skip": lambda: skip(center=True),
    "gaussian": lambda: build("BGB", (60, 50, 55), seed=2, center=True, scale=0.4),
    "half centered": lambda: build("BB", (20, 12), seed=3, center=True),
}


def with_offsets(name):
    """A machine whose offsets are not those that it began with."""
    model = MACHINES[name]()
    if name == "half centered":
        model.layers[1].center = False
    for layer in model.layers:
        layer.offset_rate = 0.5
    model.update_offsets(random_state(model, 20))
    return model


@pytest.mark.parametrize("name", MACHINES)
@pytest.mark.parametrize("kind", ["none", "transposed"])
def test_fields_are_those_of_the_weights_and_offsets_of_the_moment(name, kind):
    model = MACHINES[name]()
    copies = WeightCopies(model.layers, model.connections, kind)
    sweeps = Sweeps(model.layers, model.connections, copies.copies)
    copies.update()
    for layer, other in zip(model.layers, with_offsets(name).layers, strict=True):
        layer.center, layer.offset[:] = other.center, other.offset
    for connection in model.connections:
        connection.weights.params.matrix[:] += 0.5
    copies.update()
    state = random_state(model, 40)
    for i in range(len(state)):
        found, wanted = array(sweeps.field(state, i)), array(model.sweeps.field(state, i))
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("mcsteps", [1, 3])
@pytest.mark.parametrize("rows", [10, 2000])
def test_a_step_multiplies_offsets_by_weights_once(monkeypatch, mcsteps, rows):
    """Not in each sweep, phase, or block of rows."""
    model = build("BB", (60, 50), center=True)
    phases, of_one_row = Phases(model, rows, mcsteps=mcsteps), []
    plain = Link.input

    def counted(link, seen, out=None):
        of_one_row.append(len(seen) == 1)
        return plain(link, seen, out)

    monkeypatch.setattr(Link, "input", counted)
    phases.states(be.ones((rows, 60)))
    assert sum(of_one_row) == 2
    assert len(of_one_row) > 2 + mcsteps
