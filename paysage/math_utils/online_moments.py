"""Means and variances of data that come in batches.

Sums are kept in double precision on the host. A batch is merged by the update of Chan, Golub and
LeVeque (1979): with n numbers of mean m and sum of squared deviations S so far, and n', m' and S'
of the batch,

    m ← m + (m' − m) n' / (n + n'),   S ← S + S' + (m' − m)² n n' / (n + n'),

which never subtracts large numbers from each other.
"""

from typing import Any

import numpy as np

from paysage import backends as be
from paysage.backends.contract import Tensor
from paysage.backends.conversion import plain_array
from paysage.errors import ConfigError, DataError, ShapeError
from paysage.registry import configuring


class MeanCalculator:
    """Mean of all numbers seen.

    Attributes
    ----------
    num : int
        How many numbers (the array calculators: rows) have been seen.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget everything."""
        self.num = 0
        self._mean: Any = None

    def update(self, samples: Any) -> None:
        """Include all elements of a batch; an empty one changes nothing."""
        values = self._values(samples)
        if len(values):
            # what comes out NaN or infinite is for whoever asks for it to see
            with np.errstate(over="ignore", invalid="ignore"):
                self._merge(len(values), values.mean(axis=0), values)

    def _values(self, samples: Any) -> np.ndarray:
        """Return the batch in double precision, one sample per row: here, all of its elements."""
        return np.asarray(plain_array(samples), dtype=np.float64).reshape(-1)

    def _merge(self, num: int, mean: Any, values: np.ndarray) -> None:
        total = self.num + num
        self._mean = mean if self.num == 0 else self._mean + (mean - self._mean) * (num / total)
        self.num = total

    def _result(self, value: Any) -> Any:
        if self.num == 0:
            raise DataError(f"{type(self).__name__} has seen no data yet")
        return float(value)

    @property
    def mean(self) -> Any:
        """The mean of what has been seen."""
        return self._result(self._mean)

    def get_config(self) -> dict[str, Any]:
        """Everything that it has seen: name, count and moments (NumPy arrays or numbers)."""
        return {"name": type(self).__name__, "num": self.num, "mean": _copied(self._mean)}

    def set_config(self, config: dict[str, Any]) -> None:
        """Go on from what `get_config` gave."""
        if config.get("name") != type(self).__name__:
            raise ConfigError(f"{type(self).__name__} got the state of a {config.get('name')!r}")
        self.num = int(config["num"])
        self._mean = _copied(config["mean"])

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "MeanCalculator":
        """The calculator whose state `get_config` gave."""
        calculator = cls()
        with configuring("calculator"):
            calculator.set_config(config)
        return calculator


class MeanVarianceCalculator(MeanCalculator):
    """Mean and population variance of all numbers seen.

    The variance is divided by n, unlike that of `be.var`, and is 0 for one number.
    """

    def reset(self) -> None:
        """Forget everything."""
        super().reset()
        self._square: Any = None

    def _merge(self, num: int, mean: Any, values: np.ndarray) -> None:
        square = np.square(values - mean).sum(axis=0)
        if self.num == 0:
            self._square = square
        else:
            weight = self.num * (num / (self.num + num))
            self._square = self._square + square + weight * np.square(mean - self._mean)
        super()._merge(num, mean, values)

    @property
    def var(self) -> Any:
        """The mean squared deviation from the mean (divided by n, not by n − 1)."""
        return self._result(0.0 if self.num == 0 else self._square / self.num)

    @property
    def std(self) -> Any:
        """The square root of the variance."""
        return self._result(0.0 if self.num == 0 else np.sqrt(self._square / self.num))

    def get_config(self) -> dict[str, Any]:
        """Everything that it has seen."""
        return {**super().get_config(), "square": _copied(self._square)}

    def set_config(self, config: dict[str, Any]) -> None:
        """Go on from what `get_config` gave."""
        super().set_config(config)
        self._square = _copied(config["square"])


class _Rows(MeanCalculator):
    """Moments of each column separately, over the rows of tables (B, n)."""

    def update(self, samples: Any, axis: int = 0) -> None:
        """Include a batch of samples.

        Parameters
        ----------
        samples : tensor or array
            An empty batch changes nothing.
        axis : int, default 0
            The axis along which the samples lie; with 1, each column is a sample.

        Raises
        ------
        ShapeError
            If the batch has not that axis, or samples of another shape than earlier ones.
        """
        if axis != 0:
            try:
                samples = np.moveaxis(plain_array(samples), axis, 0)
            except (TypeError, ValueError) as error:
                raise ShapeError(
                    f"{type(self).__name__} got axis={axis!r} for a batch of shape "
                    f"{np.shape(plain_array(samples))}"
                ) from error
        super().update(samples)

    def _values(self, samples: Any) -> np.ndarray:
        values = np.asarray(plain_array(samples), dtype=np.float64)
        expected = None if self._mean is None else self._mean.shape
        if values.ndim == 0 or (expected is not None and values.shape[1:] != expected):
            raise ShapeError(
                f"{type(self).__name__} got a batch of shape {values.shape}; expected one sample a "
                f"row" + ("" if expected is None else f", each of shape {expected}")
            )
        return values

    def _result(self, value: Any) -> Tensor:
        if self.num == 0:
            raise DataError(f"{type(self).__name__} has seen no data yet")
        return be.float_tensor(value)


class MeanArrayCalculator(_Rows):
    """Mean of each column over all rows seen; `mean` is a tensor (n,)."""


class MeanVarianceArrayCalculator(_Rows, MeanVarianceCalculator):
    """Mean and population variance of each column over all rows seen, tensors (n,).

    The variance is divided by the number of rows, unlike that of `be.var`, and is 0 for one row.
    """

    def to_dataframe(self) -> Any:
        """Return a pandas.DataFrame with one row per column of the data.

        Its columns are `mean`, `var`, `square` (the sum of squared deviations from the mean) and
        `num` (the number of samples), in double precision.

        Raises
        ------
        DataError
            If there are no data yet.
        ShapeError
            If the samples are not vectors.
        """
        import pandas as pd

        shape = tuple(be.shape(self.mean))
        if len(shape) != 1:
            raise ShapeError(f"to_dataframe expected samples of shape (n,), got {shape}")
        return pd.DataFrame(
            {
                "mean": self._mean,
                "var": self._square / self.num,
                "square": self._square,
                "num": self.num,
            }
        )

    @classmethod
    def from_dataframe(cls, frame: Any) -> "MeanVarianceArrayCalculator":
        """Return the calculator that `to_dataframe` wrote.

        Raises
        ------
        ConfigError
            If the frame has not the columns `mean`, `square` and `num`.
        """
        calculator = cls()
        with configuring("calculator"):
            calculator.num = int(frame["num"].iloc[0])
            calculator._mean = frame["mean"].to_numpy(np.float64, copy=True)
            calculator._square = frame["square"].to_numpy(np.float64, copy=True)
        return calculator


def _copied(value: Any) -> Any:
    """A number or an array of its own, or None."""
    if value is None:
        return None
    return value.copy() if isinstance(value, np.ndarray) and value.ndim else float(value)
