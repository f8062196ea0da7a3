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
    _name: str | None = None

    def __init__(self, name: str | None = None) -> None:
        if name is not None:
            self.name = name
        self.reset()

    @property
    def name(self) -> str:
        """Name under which the value is printed and stored; by default that of the class."""
        return type(self).__name__ if self._name is None else self._name

    @name.setter
    def name(self, name: str) -> None:
        if not isinstance(name, str) or not name:
            raise ConfigError(f"the name of a {type(self).__name__} must be a string, got {name!r}")
        self._name = name

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
        """Return the class, the options and the name where it is not the class's, for JSON."""
        renamed = {} if self._name is None else {"label": self._name}
        options = {key: getattr(self, key) for key in self.option_names}
        return {"name": type(self).__name__, **renamed, **options}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Metric:
        """A fresh metric with the options of `config`, as `get_config` gave them.

        Raises
        ------
        ConfigError
            The configuration is another metric's, or has options that this one lacks.
        """
        with configuring("metric"):
            options = {key: config[key] for key in config if key not in ("name", "label")}
            unknown = sorted(set(options) - set(cls.option_names))
            if config.get("name") != cls.__name__ or unknown:
                raise ConfigError(
                    f"{cls.__name__} got the configuration {config}; it expects the name "
                    f"'{cls.__name__}' and the options {list(cls.option_names)}"
                )
            metric = cls(**options)
            if "label" in config:
                metric.name = config["label"]
            return metric

    def __repr__(self) -> str:
        named = () if self._name is None else ("name",)
        options = ", ".join(f"{key}={getattr(self, key)!r}" for key in (*named, *self.option_names))
        return f"{type(self).__name__}({options})"
