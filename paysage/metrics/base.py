"""The one thing that all metrics share: a number a minibatch, averaged over the minibatches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from paysage.errors import ConfigError, DataError
from paysage.registry import configuring

if TYPE_CHECKING:
    from paysage.metrics.assessment import ModelAssessment


class Metric:
    """A number measured on each minibatch; its value is the mean over the minibatches seen.

    A new metric is a subclass with one method, `measure(assessment) -> float`. One that takes
    options also names them in `option_names`; they are kept as attributes of the same names.
    One that is no mean over minibatches gathers what it needs in `update(assessment)`, makes its
    number of it in `value()` and forgets it in `reset()`, as `FrechetScore` does. One that takes
    long sets `every`: in a training it is measured in epochs that are multiples of this number,
    and None in others.
    """

    every: int = 1
    option_names: tuple[str, ...] = ()

    def __init__(self) -> None:
        self.reset()

    @property
    def name(self) -> str:
        """The name under which the value is printed, remembered and asked for."""
        return type(self).__name__

    def measure(self, assessment: ModelAssessment) -> float:
        """The metric of one minibatch.

        Parameters
        ----------
        assessment : ModelAssessment
            The minibatch, the model, and what the model makes of them.
        """
        raise NotImplementedError(f"{self.name} defines no measure(assessment)")

    def update(self, assessment: ModelAssessment) -> None:
        """Measure one more minibatch."""
        with np.errstate(all="ignore"):  # a value that is not finite is told by the monitor
            measured = float(self.measure(assessment))
        self._count += 1
        self._mean += (measured - self._mean) / self._count

    def value(self) -> float:
        """The mean over the minibatches seen since the last reset.

        Raises
        ------
        DataError
            No minibatch has been measured.
        """
        if self._count == 0:
            raise DataError(
                f"{self.name} has no value: it was given no minibatch, at least 1 is needed"
            )
        return self._mean

    def reset(self) -> None:
        """Forget every minibatch."""
        self._mean = 0.0
        self._count = 0

    def get_memory(self) -> Any:
        """What outlasts ``reset``, as JSON values, for a checkpoint; None for nothing."""
        return None

    def set_memory(self, memory: Any) -> None:
        """Go on from what ``get_memory`` gave."""

    def get_config(self) -> dict[str, Any]:
        """The name and the options: plain values that JSON can hold."""
        return {"name": self.name, **{key: getattr(self, key) for key in self.option_names}}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Metric:
        """A fresh metric with the options of `config`, as `get_config` gave them.

        Raises
        ------
        ConfigError
            The configuration is another metric's, or has options that this one lacks.
        """
        with configuring("metric"):
            options = {key: value for key, value in config.items() if key != "name"}
            unknown = sorted(set(options) - set(cls.option_names))
            if config.get("name") != cls.__name__ or unknown:
                raise ConfigError(
                    f"{cls.__name__} got the configuration {config}; it expects the name "
                    f"'{cls.__name__}' and the options {list(cls.option_names)}"
                )
            return cls(**options)

    def __repr__(self) -> str:
        options = ", ".join(f"{key}={getattr(self, key)!r}" for key in self.option_names)
        return f"{self.name}({options})"
