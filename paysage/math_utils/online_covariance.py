"""Means and covariances of data that come in batches; see `online_moments`."""

from typing import Any

import numpy as np

from paysage import backends as be
from paysage.backends.contract import Tensor
from paysage.errors import ShapeError
from paysage.math_utils.online_moments import MeanArrayCalculator


class MeanCovarianceArrayCalculator(MeanArrayCalculator):
    """Mean (n,) and population covariance (n, n) of the columns over all rows seen.

    The covariance is divided by the number of rows, unlike that of `be.cov`. Both are Double
    tensors: what is made of them, such as the root of a matrix of lower rank, would not survive
    single precision.
    """

    def reset(self) -> None:
        """Forget everything."""
        super().reset()
        self._product: Any = None

    def _values(self, samples: Any) -> np.ndarray:
        values = super()._values(samples)
        if values.ndim != 2:
            raise ShapeError(
                f"{type(self).__name__} got a batch of shape {values.shape}, expected (B, n)"
            )
        return values

    def _merge(self, num: int, mean: Any, values: np.ndarray) -> None:
        deviations = values - mean
        product = deviations.T @ deviations
        if self.num == 0:
            self._product = product
        else:
            shift = mean - self._mean
            weight = self.num * (num / (self.num + num))
            self._product = self._product + product + weight * np.outer(shift, shift)
        super()._merge(num, mean, values)

    @property
    def cov(self) -> Tensor:
        """Return the mean product of deviations from the means, divided by the number of rows."""
        return self._result(0.0 if self.num == 0 else self._product / self.num)

    def _result(self, value: Any) -> Tensor:
        super()._result(0.0)  # refuses where nothing has been seen
        return be.from_numpy_array(np.array(value))

    def get_config(self) -> dict[str, Any]:
        """Everything that it has seen."""
        product = None if self._product is None else self._product.copy()
        return {**super().get_config(), "product": product}

    def set_config(self, config: dict[str, Any]) -> None:
        """Go on from what `get_config` gave."""
        super().set_config(config)
        product = config["product"]
        self._product = None if product is None else np.array(product)
