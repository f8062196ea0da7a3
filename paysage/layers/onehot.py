"""Units of which exactly one is on: a categorical variable."""

from __future__ import annotations

from typing import Any, NamedTuple

from paysage import backends as be
from paysage.errors import DataError
from paysage.layers.bernoulli import MIN_MEAN
from paysage.layers.layer import Layer

Tensor = Any

#: how far the sum of a row of means in single precision may be from one
MAX_GAP = 1e-3


class OneHotParams(NamedTuple):
    """Parameters of a OneHotLayer."""

    loc: Tensor
    """bias of each unit, (n,); a number added to all of them changes nothing"""


class OneHotLayer(Layer):
    """One categorical variable: exactly one unit is 1, the others are 0; energy -loc · x.

    The whole layer is in one of n states, p(unit i is on) = softmax(beta (loc + field))_i.
    ``preprocess.one_hot`` makes such rows of a column of categories.
    """

    support = (0.0, 1.0)
    gradient_needs_field = False
    linear_energy = True
    capturable = True

    def init_params(self) -> OneHotParams:
        return OneHotParams(be.zeros((self.num_units,)))

    def num_states(self) -> int:
        return self.num_units

    def all_states(self) -> Tensor:
        return be.identity(self.num_units)

    def states_at(self, numbers: Any) -> Tensor:
        rows = be.zeros((len(numbers), self.num_units))
        return be.scatter_(rows, be.long_tensor(numbers), 1.0)

    def variables(self) -> list[list[int]]:
        return [list(range(self.num_units))]

    def energy(self, units: Tensor) -> Tensor:
        return -be.dot(self._rows(units), self.params.loc)

    def mean(self, field: Tensor, beta: Any = None, out: Tensor | None = None) -> Tensor:
        return be.onehot_mean(field, self.params.loc, beta, out=out)

    def mode(self, field: Tensor, beta: Any = None, out: Tensor | None = None) -> Tensor:
        total = self._rows(field) + self.params.loc
        units = be.scatter_(be.zeros_like(total), be.argmax(total, axis=1), 1.0)
        return units + 0.0 * be.tmax(total, axis=1, keepdims=True)  # NaN stays NaN

    def sample(self, field: Tensor, beta: Any = None, out: Tensor | None = None) -> Tensor:
        return be.onehot_sample(field, self.params.loc, beta, out=out)

    def log_partition(self, field: Tensor, beta: Any = None) -> Tensor:
        beta = 1.0 if beta is None else beta
        total = self._rows(field) + self.params.loc
        top = be.tmax(total, axis=1, keepdims=True)  # the greatest term is one: no overflow
        return be.flatten(beta * top) + be.log(be.tsum(be.exp(beta * (total - top)), axis=1))

    def energy_gradient(self, units: Tensor, field: Tensor | None) -> OneHotParams:
        return OneHotParams(-be.mean(units, axis=0))

    def fit_marginal(self, moments: Any) -> None:
        # a unit that is never on would ask for an infinite bias
        self.params.loc[:] = be.log(be.clip(moments.mean, MIN_MEAN, 1.0))

    def check_values(self, units: Tensor) -> None:
        """Raise a DataError unless each row has a single 1 among zeros (or holds means of such)."""
        super().check_values(units)
        off = be.tabs(be.tsum(units, axis=1) - 1.0)
        row = int(be.argmax(off))
        if float(off[row]) > MAX_GAP:
            raise DataError(
                f"{self!r} takes rows in which one unit is 1 and the others are 0, got a row "
                f"(number {row}) that sums to {float(be.tsum(units[row])):g}; "
                "preprocess.one_hot makes such rows of categories"
            )
        if not self.takes_means and not be.tall((units == 0) | (units == 1)):
            between = units[(units > 0) & (units < 1)]
            raise DataError(
                f"{self!r} takes rows in which one unit is 1 and the others are 0, got the value "
                f"{float(between[0]):g}"
            )
