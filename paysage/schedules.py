"""Schedules: numbers that change from epoch to epoch or from sweep to sweep.

A schedule is an endless iterator. ``next(schedule)`` returns its present value x(t), for
t = 0, 1, 2, …, and moves on to x(t + 1). Optimizers take one value an epoch, samplers one a sweep.
"""

import copy
import math
from typing import Any

from paysage.checks import check_whole, is_real
from paysage.errors import ConfigError
from paysage.registry import Registry, configuring

_registry = Registry("schedule")


class Schedule:
    """Base class of schedules.

    A subclass lists its constructor's arguments in `fields`, except for `value`, and defines
    ``next_value``. It is registered under its class name, so that ``from_config`` finds it.

    Parameters
    ----------
    initial : float
        The first value, x(0).
    value : float, optional
        The present value; by default the schedule starts at x(0). Later values follow from it,
        and ``reset`` goes back to x(0).

    Attributes
    ----------
    value : float
        The present value: the one that ``next`` returns next.
    time : int
        How many values were taken since the start.

    Examples
    --------
    >>> rate = PowerLawDecay(initial=0.01, coefficient=1.0)
    >>> [round(next(rate), 5) for _ in range(3)]
    [0.01, 0.0099, 0.0098]
    >>> round(rate.value, 5)
    0.00971
    """

    fields: tuple[str, ...] = ("initial",)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        _registry.add(cls)

    def __init__(self, initial: float = 1.0, value: float | None = None) -> None:
        self.initial = _number(self, "initial", initial)
        self.time = 0
        self.value = self.first_value()
        if value is not None:
            self.set_value(value)

    def __iter__(self) -> "Schedule":
        return self

    def __next__(self) -> float:
        value = self.value
        self.time += 1
        self.value = self.next_value(value)
        return value

    def __repr__(self) -> str:
        values = ", ".join(f"{name}={getattr(self, name)!r}" for name in self.fields)
        return f"{type(self).__name__}({values})"

    def first_value(self) -> float:
        """Return x(0)."""
        return self.initial

    def next_value(self, value: float) -> float:
        """Return x(t), where t is `time`, given that x(t − 1) is `value`."""
        raise NotImplementedError(f"{type(self).__name__} must define next_value(value)")

    def set_value(self, value: float) -> None:
        """Set the present value; later values follow from it."""
        self.value = _number(self, "value", value)

    def reset(self) -> None:
        """Start again at x(0)."""
        self.time = 0
        self.value = self.first_value()

    def copy(self) -> "Schedule":
        """Return an independent schedule at the same time and value."""
        return copy.copy(self)

    def get_config(self) -> dict[str, Any]:
        """Return name, arguments, value and time as JSON values; None stands for no bound."""
        values = {name: getattr(self, name) for name in (*self.fields, "value")}
        finite = {
            name: None if isinstance(value, float) and math.isinf(value) else value
            for name, value in values.items()
        }
        return {"name": type(self).__name__, **finite, "time": self.time}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Schedule":
        """Return the schedule that a configuration describes, at the same time and value."""
        unknown = set(config) - {"name", "value", "time", *cls.fields}
        if unknown:
            raise ConfigError(
                f"{cls.__name__} got {sorted(unknown)}; its arguments are {[*cls.fields, 'value']}"
            )
        schedule = cls(**{name: config[name] for name in cls.fields if name in config})
        schedule.time = _count(schedule, "time", config.get("time", 0))
        if config.get("value") is not None:
            schedule.set_value(config["value"])
        return schedule


class Constant(Schedule):
    """The same value at all times.

    Parameters
    ----------
    initial, value : float
        See ``Schedule``.
    """

    def next_value(self, value: float) -> float:
        """Return the value unchanged."""
        return value


class Linear(Schedule):
    """x(t + 1) = clip(x(t) − delta, minval, maxval).

    Parameters
    ----------
    initial : float
        The first value, x(0). It is not clipped.
    delta : float
        What is subtracted at each step; with a negative `delta` the values rise.
    value : float, optional
        The present value; see ``Schedule``.
    minval, maxval : float or None
        Bounds of the values after the first; None for no bound.
    """

    fields = ("initial", "delta", "minval", "maxval")

    def __init__(
        self,
        initial: float = 1.0,
        delta: float = 0.0,
        value: float | None = None,
        minval: float | None = 0.0,
        maxval: float | None = 1.0,
    ) -> None:
        super().__init__(initial, value)
        self.delta = _number(self, "delta", delta)
        self.minval = -math.inf if minval is None else _bound(self, "minval", minval)
        self.maxval = math.inf if maxval is None else _bound(self, "maxval", maxval)
        if self.minval > self.maxval:
            raise ConfigError(f"Linear needs minval <= maxval; got {minval} and {maxval}")

    def next_value(self, value: float) -> float:
        """Subtract `delta`, within the bounds."""
        return min(max(value - self.delta, self.minval), self.maxval)


class Step(Schedule):
    """`initial` for the first `steps` values, then `final`.

    Parameters
    ----------
    initial : float
        The value for t < steps.
    final : float
        The value for t >= steps.
    steps : int
        Number of times that the initial value is returned.
    value : float, optional
        The present value, which holds until t = steps; see ``Schedule``.
    """

    fields = ("initial", "final", "steps")

    def __init__(
        self,
        initial: float = 1.0,
        final: float = 0.0,
        steps: int = 1,
        value: float | None = None,
    ) -> None:
        self.final = _number(self, "final", final)
        self.steps = _count(self, "steps", steps)
        super().__init__(initial, value)

    def first_value(self) -> float:
        """Return x(0): `final` where there are no initial steps."""
        return self.initial if self.steps else self.final

    def next_value(self, value: float) -> float:
        """Return `final` once all steps were taken."""
        return self.final if self.time == self.steps else value


class Trapezoid(Schedule):
    """A rise to `initial`, a plateau, and a straight line down to zero.

    The values are `initial` times (t+1)/(warm_up+1) while they rise, and times (steps − t)/decay
    while they fall. The last of the steps has 1/decay of the plateau's value; from t = steps on the
    value is zero.

    Parameters
    ----------
    initial : float
        The value of the plateau.
    steps : int
        Number of values before zero, such as the number of epochs.
    warm_up : int
        Number of values that rise.
    decay : int, optional
        Number of values that fall, beginning at the plateau's height; by default half of the steps.
    value : float, optional
        The present value; later values are scaled to match. See ``Schedule``.
    """

    fields = ("initial", "steps", "warm_up", "decay")

    def __init__(
        self,
        initial: float = 1.0,
        steps: int = 1,
        warm_up: int = 0,
        decay: int | None = None,
        value: float | None = None,
    ) -> None:
        self.steps = _count(self, "steps", steps)
        self.warm_up = _count(self, "warm_up", warm_up)
        self.decay = self.steps // 2 if decay is None else _count(self, "decay", decay)
        if self.warm_up + self.decay > self.steps:
            raise ConfigError(
                f"Trapezoid has {self.steps} steps: {self.warm_up} of warm_up and {self.decay} of "
                "decay do not fit"
            )
        super().__init__(initial, value)

    def shape(self, time: int) -> float:
        """Return the value at a time, divided by that of the plateau."""
        if time >= self.steps:
            return 0.0
        if time < self.warm_up:
            return (time + 1) / (self.warm_up + 1)
        return min(1.0, (self.steps - time) / max(1, self.decay))

    def first_value(self) -> float:
        """Return x(0)."""
        return self.initial * self.shape(0)

    def next_value(self, value: float) -> float:
        """Scale the value by the ratio of the shapes now and before."""
        before = self.shape(self.time - 1)
        return value / before * self.shape(self.time) if before else 0.0


class _Decay(Schedule):
    """A schedule with a coefficient that is zero or more.

    Parameters
    ----------
    initial : float
        The first value, x(0).
    coefficient : float
        Sets the speed of the decay.
    value : float, optional
        The present value; see ``Schedule``.
    """

    fields = ("initial", "coefficient")

    def __init__(
        self, initial: float = 1.0, coefficient: float = 0.9, value: float | None = None
    ) -> None:
        super().__init__(initial, value)
        self.coefficient = _number(self, "coefficient", coefficient)
        if self.coefficient < 0:
            raise ConfigError(
                f"{type(self).__name__} needs a coefficient of zero or more; got {coefficient}"
            )


class ExponentialDecay(_Decay):
    """x(t) = initial · coefficient^t.

    Parameters
    ----------
    initial : float
        The first value, x(0).
    coefficient : float
        The ratio of a value to the one before; with 1 the value is constant.
    value : float, optional
        The present value; see ``Schedule``.
    """

    def next_value(self, value: float) -> float:
        """Multiply the value by the coefficient."""
        return self.coefficient * value


class PowerLawDecay(_Decay):
    """x(t) = initial / (1 + initial · coefficient · t).

    In other words 1/x(t + 1) = coefficient + 1/x(t). To halve the initial value in `n` steps,
    choose ``coefficient=1 / (n * initial)``.

    Parameters
    ----------
    initial : float
        The first value, x(0), zero or more.
    coefficient : float
        What is added to 1/x at each step; with 0 the value is constant.
    value : float, optional
        The present value; see ``Schedule``.
    """

    def __init__(
        self, initial: float = 1.0, coefficient: float = 0.9, value: float | None = None
    ) -> None:
        super().__init__(initial, coefficient, value)
        self._check_sign("initial", self.initial)

    def next_value(self, value: float) -> float:
        """Add the coefficient to the reciprocal of the value."""
        return value / (1.0 + self.coefficient * value)

    def set_value(self, value: float) -> None:
        """Set the present value, zero or more; later values follow from it."""
        value = _number(self, "value", value)
        self._check_sign("value", value)
        self.value = value

    def _check_sign(self, name: str, value: float) -> None:
        if value < 0:  # the reciprocal could reach zero
            raise ConfigError(f"PowerLawDecay needs {name} >= 0; got {value}")


constant = Constant
linear = Linear
step = Step
trapezoid = Trapezoid
exponential_decay = ExponentialDecay
power_law_decay = PowerLawDecay


def from_config(config: dict[str, Any]) -> Schedule:
    """Return the schedule, of whatever class, that a configuration describes.

    Raises
    ------
    ConfigError
        If the class or one of its arguments is unknown.
    """
    if not isinstance(config, dict) or "name" not in config:
        raise ConfigError(f"the configuration of a schedule has a 'name'; got {config!r}")
    with configuring("schedule"):
        return _registry.get(config["name"]).from_config(config)


schedule_from_config = from_config


def _bound(owner: Schedule, name: str, value: Any) -> float:
    if not is_real(value) or math.isnan(value):
        raise ConfigError(f"{type(owner).__name__} needs a number as {name}; got {value!r}")
    return float(value)


def _number(owner: Schedule, name: str, value: Any) -> float:
    number = _bound(owner, name, value)
    if math.isinf(number):
        raise ConfigError(f"{type(owner).__name__} needs a finite {name}; got {value!r}")
    return number


def _count(owner: Schedule, name: str, value: Any) -> int:
    return check_whole(f"{name} of {type(owner).__name__}", value)
