"""Graphs, configurations and copies of machines."""

import contextlib
import json

import numpy as np
import pytest
from machines import array, build, pair, random_state, skip

from paysage import backends as be
from paysage import constraints, penalties
from paysage.errors import ConfigError, PaysageError, ShapeError
from paysage.layers import BernoulliLayer, GaussianLayer, Weights
from paysage.models import BoltzmannMachine, Connection


def full():
    model = build("GBB", (4, 3, 2), [(0, 1), (1, 2), (2, 0)], center=True)
    model.layers[0].set_fixed_params(["log_var"])
    model.layers[1].add_penalty({"loc": penalties.l2_norm(0.5, target=2.0)})
    model.connections[0].weights.add_penalty({"matrix": penalties.l1_penalty(0.1)})
    model.connections[2].weights.add_constraint({"matrix": constraints.fixed_column_norm})
    model.connections[1].domain_gain = 2.0
    return model


def test_configuration_is_json_and_makes_the_same_machine():
    model = full()
    config = json.loads(json.dumps(model.get_config(), allow_nan=False))
    again = BoltzmannMachine.from_config(config)
    assert again.get_config() == model.get_config()
    assert [type(k) for k in again.layers] == [GaussianLayer, BernoulliLayer, BernoulliLayer]
    assert [(c.target_index, c.domain_index) for c in again.connections] == [(0, 1), (1, 2), (2, 0)]
    assert again.num_parameters() == model.num_parameters()


ODD = (None, True, -1, 2.5, 10**12, "x", [], {}, [[1]])


def with_one_node_changed(node):
    """The tree with each of its nodes, in turn, replaced by something else, or gone."""
    yield from ODD
    if isinstance(node, dict):
        for key, value in node.items():
            yield {k: v for k, v in node.items() if k != key}
            yield from ({**node, key: other} for other in with_one_node_changed(value))
    elif isinstance(node, list):
        for n, value in enumerate(node):
            yield from ([*node[:n], x, *node[n + 1 :]] for x in with_one_node_changed(value))


def test_a_configuration_makes_a_machine_or_a_named_error():
    tried = made = 0
    for config in with_one_node_changed(json.loads(json.dumps(full().get_config()))):
        tried += 1
        with contextlib.suppress(PaysageError):
            BoltzmannMachine.from_config(config)
            made += 1
    assert tried > 500
    assert made < tried / 2


def test_from_config_leaves_the_configuration_alone():
    config = full().get_config()
    before = json.dumps(config)
    BoltzmannMachine.from_config(config)
    assert json.dumps(config) == before


def test_values_round_trip():
    model = full()
    again = BoltzmannMachine.from_config(model.get_config())
    again.set_values(model.get_values())
    start = random_state(model, 6)
    found, wanted = again.joint_energy(start), model.joint_energy(start)
    np.testing.assert_array_equal(array(found), array(wanted))


def test_values_are_copies():
    model = pair("GB")
    before = array(model.layers[0].params.loc)
    values = model.get_values()
    values["layers"][0]["loc"][:] = 7.0
    values["weights"][0]["matrix"][:] = 7.0
    np.testing.assert_array_equal(array(model.layers[0].params.loc), before)
    values = model.get_values()
    model.layers[0].params.loc[:] = 9.0
    np.testing.assert_array_equal(values["layers"][0]["loc"], before.astype(np.float32))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda v: v["layers"][0].update(loc=np.zeros(5)),
        lambda v: v["offsets"].__setitem__(0, np.zeros(1)),
        lambda v: v["weights"][0].update(matrix=np.zeros((3, 4))),
    ],
)
def test_values_of_other_shapes_are_refused(spoil):
    model = pair("GB", center=True)
    values = model.get_values()
    spoil(values)
    with pytest.raises(ShapeError):
        model.set_values(values)


def test_a_copy_shares_nothing():
    model = full()
    model.set_clamped_sampling([0])
    twin = model.copy()
    assert twin.get_config() == model.get_config()
    assert twin.clamped_sampling == [0]
    before = model.get_values()
    for layer in twin.layers:
        for param in layer.params:
            param[:] = 3.0
        layer.offset[:] = 0.25
        layer.set_fixed_params([])
        layer.add_penalty({"loc": penalties.l1_penalty(9.0)})
    for c in twin.connections:
        c.weights.params.matrix[:] = 3.0
        c.weights.add_constraint({"matrix": constraints.non_negative})
    twin.set_clamped_sampling([1])
    after = model.get_values()
    for key in ("layers", "weights"):
        for a, b in zip(after[key], before[key], strict=True):
            assert all(np.array_equal(a[name], b[name]) for name in b)
    for a, b in zip(after["offsets"], before["offsets"], strict=True):
        np.testing.assert_array_equal(a, b)
    assert model.clamped_sampling == [0]
    assert model.get_config() == full().get_config()


def test_copies_sweep_like_the_original_and_draw_no_numbers_when_made():
    model = skip()
    start = random_state(model, 20)
    be.set_seed(2)
    wanted = model.markov_chain(4, start)
    be.set_seed(2)
    twin = model.copy()
    for a, b in zip(wanted, twin.markov_chain(4, start), strict=True):
        np.testing.assert_array_equal(array(a), array(b))


def test_a_copy_of_a_subclass_is_one():
    class OwnMachine(BoltzmannMachine):
        pass

    model = OwnMachine([BernoulliLayer(3), BernoulliLayer(2)])
    assert type(model.copy()) is OwnMachine


def test_the_default_graph_is_a_chain():
    model = BoltzmannMachine([BernoulliLayer(4), GaussianLayer(3), BernoulliLayer(2)])
    assert [(c.target_index, c.domain_index) for c in model.connections] == [(0, 1), (1, 2)]
    assert [c.weights.shape for c in model.connections] == [(4, 3), (3, 2)]
    assert model.num_layers == 3
    assert model.num_parameters() == 4 + 6 + 2 + 12 + 6


def layers(*sizes):
    return [BernoulliLayer(n) for n in sizes]


def link(t, d, *shape):
    return Connection(t, d, Weights(shape))


@pytest.mark.parametrize(
    "sizes, links, error, message",
    [
        ((4,), None, ConfigError, "at least two layers"),
        ((), None, ConfigError, "at least two layers"),
        ((4, 3), [(0, 2, 4, 3)], ConfigError, r"0\.\.1.*\(0, 2\)"),
        ((4, 3), [(-1, 0, 3, 4)], ConfigError, r"\(-1, 0\)"),
        ((4, 4), [(0, 0, 4, 4), (0, 1, 4, 4)], ConfigError, r"\(0, 0\)"),
        ((4, 3), [(0, 1, 4, 3), (1, 0, 3, 4)], ConfigError, "connected twice"),
        ((4, 3), [(0, 1, 3, 4)], ShapeError, r"\(4, 3\), got \(3, 4\)"),
        ((4, 3, 2), [(0, 1, 4, 3)], ConfigError, r"without a connection.*\[2\]"),
        ((4, 3), [], ConfigError, "without a connection"),
    ],
)
def test_graphs_that_do_not_fit_together(sizes, links, error, message):
    with pytest.raises(error, match=message):
        BoltzmannMachine(layers(*sizes), None if links is None else [link(*x) for x in links])


@pytest.mark.parametrize("gain", [np.nan, "1", [0, 1], None])
def test_gains_are_numbers(gain):
    with pytest.raises(ConfigError, match="domain_gain must be a finite number"):
        BoltzmannMachine(layers(4, 3), [Connection(0, 1, Weights((4, 3)), domain_gain=gain)])


def test_only_layers_make_a_machine():
    with pytest.raises(ConfigError, match="Weights"):
        BoltzmannMachine([BernoulliLayer(3), Weights((3, 2))])


def test_a_graph_in_pieces_is_refused():
    """Two pairs without a connection between them: no pass up would reach the second."""
    with pytest.raises(ConfigError, match=r"\[2, 3\]"):
        BoltzmannMachine(layers(4, 3, 3, 2), [link(0, 1, 4, 3), link(2, 3, 3, 2)])


def test_the_callers_lists_are_not_kept():
    given = layers(4, 3)
    model = BoltzmannMachine(given)
    given.append(BernoulliLayer(2))
    assert model.num_layers == 2


def test_machines_and_layers_say_what_they_are():
    assert repr(pair("BG")) == "BoltzmannMachine([BernoulliLayer(4), GaussianLayer(3)])"


def test_nothing_stands_in_two_places():
    layer, weights = BernoulliLayer(3), Weights((3, 3))
    with pytest.raises(ConfigError, match="same layers"):
        BoltzmannMachine([layer, layer])
    with pytest.raises(ConfigError, match="same weights"):
        BoltzmannMachine(
            [BernoulliLayer(3) for _ in range(3)],
            [Connection(0, 1, weights), Connection(1, 2, weights)],
        )


@pytest.mark.parametrize("bad", [[(0, 1)], [Weights((3, 2))], [None], [Connection(0, 1, "W")]])
def test_what_is_no_connection_is_refused(bad):
    with pytest.raises(ConfigError, match=r"conn_list takes connections, such as .*got"):
        BoltzmannMachine([BernoulliLayer(3), BernoulliLayer(2)], bad)


@pytest.mark.parametrize(
    "layers, connections, words",
    [
        (None, None, "layer_list is a list of layers"),
        ("pair", Connection(0, 1, Weights((3, 2))), "conn_list is a list of connections"),
        ("pair", [Connection(0.0, 1.0, Weights((3, 2)))], r"joins two .* got \(0.0, 1.0\)"),
        ("pair", [Connection("a", 1, Weights((3, 2)))], r"joins two .* got \('a', 1\)"),
    ],
)
def test_what_is_no_list_of_layers_or_connections(layers, connections, words):
    layers = [BernoulliLayer(3), BernoulliLayer(2)] if layers else None
    with pytest.raises(ConfigError, match=words):
        BoltzmannMachine(layers, connections)
