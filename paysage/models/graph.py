"""The graph of a machine: which layers are connected, by which weights."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from paysage import backends as be
from paysage.checks import check_number, is_whole
from paysage.errors import ConfigError, ShapeError
from paysage.layers import Layer, Weights, weights_from_config
from paysage.threads import MIN_PIECE, in_pieces, working


@dataclass
class Connection:
    """Weights between two layers: the energy has the term -r(x_target)ᵀ W r(x_domain).

    Parameters
    ----------
    target_index, domain_index : int
        Positions of the two layers in the machine; W has the shape (target, domain).
    weights : Weights
    target_gain, domain_gain : float
        Factors on what the target, or the domain, receives through this connection. One, but
        in the layerwise pretraining of deep machines, where the input of a layer
        stands in for that of a neighbour not there yet (Salakhutdinov & Hinton 2009).
    """

    target_index: int
    domain_index: int
    weights: Weights
    target_gain: float = 1.0
    domain_gain: float = 1.0

    @property
    def shape(self) -> tuple[int, int]:
        """Number of units of the target and of the domain layer."""
        return self.weights.shape

    def W(self, trans: bool = False) -> Any:
        """Return the weight matrix (V, H), or its transpose (H, V); a view, not a copy."""
        return self.weights.W(trans)

    def get_config(self) -> dict:
        """JSON-able description."""
        return {
            "target_index": self.target_index,
            "domain_index": self.domain_index,
            "target_gain": self.target_gain,
            "domain_gain": self.domain_gain,
            "weights": self.weights.get_config(),
        }

    @classmethod
    def from_config(cls, config: dict) -> Connection:
        """Make the connection that ``get_config`` described."""
        return cls(**{**config, "weights": weights_from_config(config["weights"])})


class Copies(NamedTuple):
    """What fields are made by in the place of the weights of a connection; None for the weights."""

    plain: Any = None
    """copy of W, (V, H): in another precision"""
    transposed: Any = None
    """copy of Wᵀ, (H, V): also since memory of its own is faster than a view"""
    to_domain: Any = None
    """what the domain receives from the running mean of a centered target, (1, H)"""
    to_target: Any = None
    """what the target receives from the running mean of a centered domain, (1, V)"""


class Link(NamedTuple):
    """A connection as seen from one of its layers; what is written into it counts at once."""

    neighbour: int
    connection: Connection
    transposed: bool
    """True where the neighbour is the domain, so that the input is r(neighbour) Wᵀ"""
    copy: Any = None
    """what to multiply by in the place of W, or Wᵀ: a copy that whoever made it keeps up to date"""
    from_offset: Any = None
    """what the layer receives from the neighbour's running mean, kept up to date in the same way"""

    @property
    def gain(self) -> float:
        """Factor on what the layer receives."""
        return self.connection.target_gain if self.transposed else self.connection.domain_gain

    def input(self, seen: Any, out: Any = None) -> Any:
        """What the layer receives: seen (B, neighbour) times the weights, (B, layer)."""
        matrix = (
            self.connection.weights.W(trans=self.transposed) if self.copy is None else self.copy
        )
        result = _product(seen, matrix, out)
        if self.gain != 1.0:
            result *= self.gain
        return result


def _product(a: Any, b: Any, out: Any) -> Any:
    """be.units_dot(a, b, out=out); in pieces if there are many rows, and threads to share them."""
    rows = len(a)
    if rows < 2 * MIN_PIECE or working() or be.get_backend().processor != "cpu":
        return be.units_dot(a, b, out=out)
    if out is None:
        out = be.zeros((rows, b.shape[1]))

    def some(part: slice) -> None:
        be.units_dot(a[part], b, out=out[part])

    in_pieces(some, rows, rows * b.shape[0] * b.shape[1])
    return out


def chain(layers: Sequence[Layer]) -> list[Connection]:
    """Connect each layer to the next one."""
    return [
        Connection(i, i + 1, Weights((layers[i].num_units, layers[i + 1].num_units)))
        for i in range(len(layers) - 1)
    ]


def check_graph(layers: Sequence[Layer], connections: Sequence[Connection]) -> None:
    """Raise a named error unless layers and connections fit one another.

    Raises
    ------
    ConfigError
        For fewer than two layers, an object that stands in two places, indices out of range, a
        layer connected to itself, a pair connected twice, a gain that is no finite number, or a
        layer that no path joins to the visible one.
    ShapeError
        For weights whose shape is not that of their two layers.
    """
    for c in connections:
        if not isinstance(c, Connection) or not isinstance(c.weights, Weights):
            raise ConfigError(
                "conn_list takes connections, such as "
                f"Connection(0, 1, Weights((num_visible, num_hidden))), got {c!r}"
            )
    if len(layers) < 2:
        raise ConfigError(f"a Boltzmann machine needs at least two layers, got {len(layers)}")
    for what, parts in (("layers", layers), ("weights", [c.weights for c in connections])):
        # training would move them twice, and a copy or a file would take them apart
        if len(set(map(id, parts))) < len(parts):
            raise ConfigError(f"the same {what} stand in two places of a machine")
    pairs = set()
    for c in connections:
        ends = (c.target_index, c.domain_index)
        if any(not is_whole(i) or i >= len(layers) for i in ends) or ends[0] == ends[1]:
            raise ConfigError(
                f"a connection joins two of the layers 0..{len(layers) - 1}, got {ends}"
            )
        if frozenset(ends) in pairs:
            raise ConfigError(f"layers {ends} are connected twice")
        pairs.add(frozenset(ends))
        for name in ("target_gain", "domain_gain"):
            setattr(c, name, check_number(name, getattr(c, name), -math.inf))
        shape = (layers[ends[0]].num_units, layers[ends[1]].num_units)
        if c.weights.shape != shape:
            raise ShapeError(f"layers {ends} need weights of shape {shape}, got {c.weights.shape}")
    alone = set(range(len(layers))) - _reached(pairs)
    if alone:
        raise ConfigError(f"layers without a connection to the visible one: {sorted(alone)}")


def _reached(pairs: Collection[frozenset[int]]) -> set[int]:
    """Layers that a path of connections joins to the visible one."""
    found, edge = {0}, {0}
    while edge:
        edge = set().union(*(pair for pair in pairs if pair & edge)) - found
        found |= edge
    return found


def check_machine(model: Any) -> None:
    """Raise a named error unless something is a machine on the backend in use.

    Raises
    ------
    ConfigError
        For anything else than a BoltzmannMachine.
    BackendError
        For one that was made on another backend.
    """
    if not hasattr(model, "sweeps"):  # the class itself is made of what is here
        raise ConfigError(f"expected a BoltzmannMachine, got {type(model).__name__}")
    for layer in model.layers:
        layer.check_backend()


def links_of(
    num_layers: int, connections: Sequence[Connection], copies: Sequence[Copies] = ()
) -> list[list[Link]]:
    """For each layer the links to its neighbours.

    Parameters
    ----------
    num_layers : int
    connections : sequence of Connection
    copies : sequence of Copies, optional
        Of the weights of each connection; see ``Link``.
    """
    links: list[list[Link]] = [[] for _ in range(num_layers)]
    for c, some in zip(connections, copies or [Copies()] * len(connections), strict=True):
        links[c.target_index].append(Link(c.domain_index, c, True, some.transposed, some.to_target))
        links[c.domain_index].append(Link(c.target_index, c, False, some.plain, some.to_domain))
    return links
