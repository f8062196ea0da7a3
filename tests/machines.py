"""Small machines with known random parameters, and their twins in `reference`."""

from __future__ import annotations

import numpy as np
import reference
from ternary import SampledTernary, TernaryLayer

from paysage import backends as be
from paysage.layers import BernoulliLayer, GaussianLayer, OneHotLayer, Weights
from paysage.models import BoltzmannMachine, Connection, State

TYPES = {
    "B": BernoulliLayer,
    "G": GaussianLayer,
    "O": OneHotLayer,
    "T": TernaryLayer,
    "S": SampledTernary,
}
NAMES = {
    BernoulliLayer: "bernoulli",
    GaussianLayer: "gaussian",
    OneHotLayer: "onehot",
    TernaryLayer: "ternary",
    SampledTernary: "ternary",
}


def build(kinds, sizes, edges=None, seed=0, scale=0.7, center=False):
    """Layers of types (letters of TYPES) and sizes; a chain unless edges are given."""
    rng = np.random.default_rng(seed)
    layers = [TYPES[k](n, center=center) for k, n in zip(kinds, sizes, strict=True)]
    if edges is None:
        edges = [(i, i + 1) for i in range(len(sizes) - 1)]
    links = [Connection(t, d, Weights((sizes[t], sizes[d]))) for t, d in edges]
    for c in links:
        c.weights.params.matrix[:] = be.float_tensor(scale * rng.standard_normal(c.weights.shape))
    for layer in layers:
        n = layer.num_units
        layer.params.loc[:] = be.float_tensor(0.5 * rng.standard_normal(n))
        if isinstance(layer, GaussianLayer):
            layer.params.log_var[:] = be.float_tensor(rng.uniform(-0.5, 0.5, n))
        if isinstance(layer, SampledTernary):
            layer.params.quad[:] = be.float_tensor(0.5 * rng.standard_normal(n))
        if center:
            layer.offset[:] = be.float_tensor(rng.uniform(0.1, 0.9, n))
    return BoltzmannMachine(layers, links)


def skip(seed=3, center=False, scale=0.7):
    """Layers of 4, 4 and 3 Bernoulli units, each connected with each; one edge points downwards."""
    return build("BBB", (4, 4, 3), [(0, 1), (1, 2), (2, 0)], seed, scale, center)


def pair(kinds, seed=1, center=False):
    """Two layers; two Gaussian ones get weights small enough for a normalizable density."""
    return build(kinds, (4, 3), None, seed, 0.15 if kinds == "GG" else 0.7, center)


def twin(model):
    """The same machine for the reference: reads numbers, knows no formula."""
    units = [
        reference.Units(
            NAMES[type(layer)],
            {name: array(p) for name, p in layer.params._asdict().items()},
            array(layer.offset) if layer.center else None,
        )
        for layer in model.layers
    ]
    edges = [(c.target_index, c.domain_index, array(c.weights.W())) for c in model.connections]
    return reference.Machine(units, edges)


def array(tensor):
    """A copy in double precision."""
    return np.array(be.to_numpy_array(tensor), dtype=np.float64)


def arrays(state):
    return [array(units) for units in state]


def state_of(rows):
    return State(be.float_tensor(np.asarray(x, dtype=np.float32)) for x in rows)


def random_state(model, num_rows, seed=5):
    """Units with arbitrary, not only typical, values."""
    rng = np.random.default_rng(seed)
    rows = []
    for layer in model.layers:
        shape = (num_rows, layer.num_units)
        if isinstance(layer, OneHotLayer):
            rows.append(np.eye(layer.num_units)[rng.integers(0, layer.num_units, num_rows)])
        else:
            real = isinstance(layer, GaussianLayer)
            top = 3 if isinstance(layer, SampledTernary) else 2
            rows.append(rng.normal(0.3, 1.5, shape) if real else rng.integers(0, top, shape))
    return state_of(rows)
