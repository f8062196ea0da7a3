"""Boltzmann machines once more: plain NumPy in double precision, from the energy alone.

The energy is E = sum of E_i(x_i) minus the sum over connections of r(x_t) W r(x_d). Everything else
here (conditional means, exact sums, finite differences) is worked out from values of that function,
so that it shares no derivation with the library.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np


@dataclass
class Units:
    """One layer: 'bernoulli', 'onehot', 'gaussian' or 'ternary'; its parameters and offset."""

    kind: str
    params: dict[str, np.ndarray]
    offset: np.ndarray | None = None

    @property
    def size(self) -> int:
        return len(self.params["loc"])

    def energy(self, x: np.ndarray) -> np.ndarray:
        if self.kind == "ternary":
            return -x @ self.params["loc"] - x**2 @ self.params["quad"]
        if self.kind != "gaussian":
            return -x @ self.params["loc"]
        away = x - self.params["loc"]
        return (away**2 / (2 * np.exp(self.params["log_var"]))).sum(axis=1)

    def seen(self, x: np.ndarray) -> np.ndarray:
        x = x if self.offset is None else x - self.offset
        return x / np.exp(self.params["log_var"]) if self.kind == "gaussian" else x

    def states(self) -> np.ndarray:
        """Every state of a layer that is not Gaussian, last unit fastest."""
        if self.kind == "onehot":
            return np.eye(self.size)
        values = (0.0, 1.0, 2.0) if self.kind == "ternary" else (0.0, 1.0)
        return np.array(list(itertools.product(values, repeat=self.size)))


@dataclass
class Machine:
    """Layers, and edges (target, domain, matrix)."""

    units: list[Units]
    edges: list[tuple[int, int, np.ndarray]]

    def energy(self, state: list[np.ndarray]) -> np.ndarray:
        """(B,) of layers (B, n)."""
        total = sum(u.energy(x) for u, x in zip(self.units, state, strict=True))
        for t, d, matrix in self.edges:
            left, right = self.units[t].seen(state[t]), self.units[d].seen(state[d])
            total = total - np.einsum("bi,ij,bj->b", left, matrix, right)
        return total

    def leaves(self) -> dict[tuple, np.ndarray]:
        """Every parameter, by (what, index, name); the arrays themselves, to be changed."""
        found = {("layer", i, n): p for i, u in enumerate(self.units) for n, p in u.params.items()}
        return found | {("weights", c, "matrix"): e[2] for c, e in enumerate(self.edges)}

    # conditionals of one layer given all the others, read off the energy

    def _with(self, state: list[np.ndarray], i: int, units: np.ndarray) -> float:
        return self.energy([units if j == i else x for j, x in enumerate(state)])

    def drive(self, state: list[np.ndarray], i: int) -> np.ndarray:
        """Log odds at beta = 1 of discrete units, or conditional mean of Gaussian ones, (B, n)."""
        columns = []
        for k in range(self.units[i].size):
            point = np.zeros((len(state[i]), self.units[i].size))
            values = []
            for x in (0.0, 1.0, 2.0):
                point[:, k] = x
                values.append(self._with(state, i, point))
            at0, at1, at2 = values
            if self.units[i].kind != "gaussian":
                columns.append(at0 - at1)
            else:  # at0 - b x + a x^2 / 2
                a = at2 - 2 * at1 + at0
                columns.append((at0 - at1 + a / 2) / a)
        return np.stack(columns, axis=1)

    def mean(self, state: list[np.ndarray], i: int, beta: float | np.ndarray = 1.0) -> np.ndarray:
        drive, kind = self.drive(state, i), self.units[i].kind
        if kind == "onehot":
            weights = np.exp(beta * (drive - drive.max(axis=1, keepdims=True)))
            return weights / weights.sum(axis=1, keepdims=True)
        return expit(beta * drive) if kind == "bernoulli" else drive

    def mode(self, state: list[np.ndarray], i: int) -> np.ndarray:
        drive, kind = self.drive(state, i), self.units[i].kind
        if kind == "onehot":
            return (drive == drive.max(axis=1, keepdims=True)) * 1.0
        return (drive > 0) * 1.0 if kind == "bernoulli" else drive

    # exact sums

    def free(self, given: dict[int, np.ndarray], gaussian: bool) -> list[int]:
        """The layers that are not given, the Gaussian ones or the others."""
        return [
            i
            for i, u in enumerate(self.units)
            if (u.kind == "gaussian") == gaussian and i not in given
        ]

    def listed(self, given: dict[int, np.ndarray] | None = None) -> list[np.ndarray]:
        """Every state of the free discrete layers, last unit fastest; Gaussian units zero."""
        given = given or {}
        layers = self.free(given, gaussian=False)
        joint = list(itertools.product(*(self.units[i].states() for i in layers)))
        split = {i: np.array([row[k] for row in joint]) for k, i in enumerate(layers)}
        return [
            split[i] if i in split else np.tile(given.get(i, np.zeros(u.size)), (len(joint), 1))
            for i, u in enumerate(self.units)
        ]

    def quadratic(self, given: dict[int, np.ndarray] | None = None):
        """(c, b, A): E = c - b·g + g·Ag/2 in the free Gaussian units g, for each listed state."""
        given = given or {}
        layers = self.free(given, gaussian=True)
        width = sum(self.units[i].size for i in layers)
        states = self.listed(given)
        cuts = np.cumsum([self.units[i].size for i in layers])[:-1]

        def at(g: np.ndarray) -> np.ndarray:
            filled = list(states)
            for i, part in zip(layers, np.split(g, cuts), strict=True):
                filled[i] = np.tile(part, (len(states[0]), 1))
            return self.energy(filled)

        unit = np.eye(width)
        c = at(np.zeros(width)) if width else self.energy(states)
        single = np.stack([at(e) for e in unit], axis=1) if width else np.zeros((len(c), 0))
        a = np.zeros((width, width))
        for i, j in itertools.product(range(width), repeat=2):
            a[i, j] = (at(unit[i] + unit[j]) - single[:, i] - single[:, j] + c)[0]
        b = c[:, None] + np.diag(a) / 2 - single
        return c, b, a

    def log_weights(self, given: dict[int, np.ndarray] | None = None, beta: float = 1.0):
        """Log of exp(-beta E), the free Gaussian units integrated, for each listed state."""
        c, b, a = self.quadratic(given)
        if not a.size:
            return -beta * c
        assert np.linalg.eigvalsh(a).min() > 0, "the Gaussian units have no normalizable density"
        volume = 0.5 * (len(a) * np.log(2 * np.pi / beta) - np.linalg.slogdet(a)[1])
        return beta * (0.5 * np.einsum("si,ij,sj->s", b, np.linalg.inv(a), b) - c) + volume

    def log_sum(self, given: dict[int, np.ndarray] | None = None, beta: float = 1.0) -> float:
        return log_sum_exp(self.log_weights(given, beta))

    def probabilities(self, given: dict[int, np.ndarray] | None = None, beta: float = 1.0):
        """Of each listed state, Gaussian units integrated out."""
        weights = self.log_weights(given, beta)
        return np.exp(weights - log_sum_exp(weights))

    def log_likelihood(self, visible: np.ndarray) -> float:
        """Mean over rows of log p(v)."""
        return float(np.mean([self.log_sum({0: v}) for v in visible]) - self.log_sum())


def expit(x: np.ndarray) -> np.ndarray:
    return 1.0 / (1.0 + np.exp(-np.asarray(x, dtype=np.float64)))


def log_sum_exp(x: np.ndarray) -> float:
    top = np.max(x)
    return float(top + np.log(np.sum(np.exp(x - top))))


def finite_difference(function, array: np.ndarray, step: float = 1e-4) -> np.ndarray:
    """Central differences by every element of an array that the function looks at."""
    result = np.zeros_like(array)
    for index in np.ndindex(array.shape):
        before = array[index]
        array[index] = before + step
        above = function()
        array[index] = before - step
        below = function()
        array[index] = before
        result[index] = (above - below) / (2 * step)
    return result
