"""Numbers that change as training goes on: learning rates, inverse temperatures.

A schedule is an endless iterator. `next(schedule)` gives the value at the present time t, which is
0, 1, 2 and so on, and moves to the next time.
"""

import copy
import math
from typing import Any

from paysage.checks import check_whole, is_real
from paysage.errors import ConfigError
from paysage.registry import Registry, configuring

_registry = Registry("schedule")


class Schedule:
    """A number as a function of the count of values already taken.

    A subclass names its constructor's arguments in `fields` and defines `shape`, its value over
    `initial`; it is registered by its class name, so that `from_config` finds it.

    Parameters
    ----------
    initial : float
        The value at t = 0.
    """

    fields: tuple[str, ...] = ("initial",)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        _registry.add(cls)

    def __init__(self, initial: float = 1.0) -> None:
        self.initial = _number(self, "initial", initial)
        self.time = 0

    def __iter__(self) -> "Schedule":
        return self

    def __next__(self) -> float:
        value = self.value_at(self.time)
        self.time += 1
        return value

    def __repr__(self) -> str:
        values = ", ".join(f"{name}={getattr(self, name)!r}" for name in self.fields)
        return f"{type(self).__name__}({values})"

    def shape(self, time: int) -> float:
        """The value at a time, divided by `initial`."""
        raise NotImplementedError(f"{type(self).__name__} must define shape(time)")

    def value_at(self, time: int) -> float:
        """The value at a time; does not move the schedule."""
        return self.initial * self.shape(time)

    def set_value(self, value: float) -> None:
        """Let the next value be `value`; the course before and after it is rescaled to fit."""
        value, shape = _number(self, "value", value), self.shape(self.time)
        if shape == 0.0 or math.isinf(value / shape):
            raise ConfigError(f"{self!r} has decayed to zero: no initial value leads to {value}")
        self.initial = value / shape

    def reset(self) -> None:
        """Start again at t = 0."""
        self.time = 0

    def copy(self) -> "Schedule":
        """An independent schedule at the same time."""
        return copy.copy(self)

    def get_config(self) -> dict[str, Any]:
        """Name, arguments and present time as JSON values; None stands for no bound."""
        values = {name: getattr(self, name) for name in self.fields}
        finite = {
            name: None if isinstance(value, float) and math.isinf(value) else value
            for name, value in values.items()
        }
        return {"name": type(self).__name__, **finite, "time": self.time}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Schedule":
        """The schedule that a configuration describes, at the time it was described."""
        unknown = set(config) - {"name", "time", *cls.fields}
        if unknown:
            raise ConfigError(
                f"{cls.__name__} got {sorted(unknown)}; its arguments are {list(cls.fields)}"
            )
        schedule = cls(**{name: config[name] for name in cls.fields if name in config})
        schedule.time = _count(schedule, "time", config.get("time", 0))
        return schedule


class Constant(Schedule):
    """The same value for ever."""

    def shape(self, time: int) -> float:
        """One."""
        return 1.0


class Linear(Schedule):
    """initial − delta·t, kept between two bounds.

    Parameters
    ----------
    initial : float
        The value at t = 0.
    delta : float
        What is taken off at each time; a negative one makes the value rise.
    minval, maxval : float or None
        The bounds; None is no bound.
    """

    fields = ("initial", "delta", "minval", "maxval")

    def __init__(
        self,
        initial: float = 1.0,
        delta: float = 0.0,
        minval: float | None = 0.0,
        maxval: float | None = math.inf,
    ) -> None:
        super().__init__(initial)
        self.delta = _number(self, "delta", delta)
        self.minval = -math.inf if minval is None else _bound(self, "minval", minval)
        self.maxval = math.inf if maxval is None else _bound(self, "maxval", maxval)
        if self.minval > self.maxval:
            raise ConfigError(f"Linear needs minval <= maxval; got {minval} and {maxval}")

    def value_at(self, time: int) -> float:
        """The value at a time; does not move the schedule."""
        return min(max(self.initial - self.delta * time, self.minval), self.maxval)

    def set_value(self, value: float) -> None:
        """Let the next value be `value`, by a parallel shift of the whole course."""
        value = _number(self, "value", value)
        if not self.minval <= value <= self.maxval:
            raise ConfigError(
                f"Linear is kept between {self.minval} and {self.maxval}; got the value {value}"
            )
        self.initial = value + self.delta * self.time


class Step(Schedule):
    """One value for the first `steps` times, another one from then on.

    Parameters
    ----------
    initial : float
        The value at t < steps.
    final : float
        The value at t >= steps.
    steps : int
        How often the initial value is given.
    """

    fields = ("initial", "final", "steps")

    def __init__(self, initial: float = 1.0, final: float = 0.0, steps: int = 1) -> None:
        super().__init__(initial)
        self.final = _number(self, "final", final)
        self.steps = _count(self, "steps", steps)

    def value_at(self, time: int) -> float:
        """The value at a time; does not move the schedule."""
        return self.initial if time < self.steps else self.final

    def set_value(self, value: float) -> None:
        """Let the level that now holds be `value`; the other one stays."""
        level = "initial" if self.time < self.steps else "final"
        setattr(self, level, _number(self, "value", value))


class Trapezoid(Schedule):
    """A rise to `initial`, a plateau, and a straight line down to zero.

    `initial` times (t+1)/(warm_up+1) while it rises, and times (steps - t)/decay while it falls:
    the last of the steps has 1/decay of the plateau's value, and from t = steps on it is zero.

    Parameters
    ----------
    initial : float
        The value of the plateau.
    steps : int
        How many values there are before zero, such as the number of epochs.
    warm_up : int
        How many of them rise.
    decay : int, optional
        How many of them fall, beginning at the plateau's height; by default half of them.
    """

    fields = ("initial", "steps", "warm_up", "decay")

    def __init__(
        self, initial: float = 1.0, steps: int = 1, warm_up: int = 0, decay: int | None = None
    ) -> None:
        super().__init__(initial)
        self.steps = _count(self, "steps", steps)
        self.warm_up = _count(self, "warm_up", warm_up)
        self.decay = self.steps // 2 if decay is None else _count(self, "decay", decay)
        if self.warm_up + self.decay > self.steps:
            raise ConfigError(
                f"Trapezoid has {self.steps} steps: {self.warm_up} of warm_up and {self.decay} of "
                "decay do not fit"
            )

    def shape(self, time: int) -> float:
        """The value at a time, divided by that of the plateau."""
        if time >= self.steps:
            return 0.0
        if time < self.warm_up:
            return (time + 1) / (self.warm_up + 1)
        return min(1.0, (self.steps - time) / max(1, self.decay))


class _Decay(Schedule):
    """A decay from `initial` towards zero, the faster the larger the coefficient (0: constant)."""

    fields = ("initial", "coefficient")

    def __init__(self, initial: float = 1.0, coefficient: float = 0.0) -> None:
        super().__init__(initial)
        self.coefficient = _number(self, "coefficient", coefficient)
        if self.coefficient < 0:
            raise ConfigError(
                f"{type(self).__name__} needs a coefficient of zero or more; got {coefficient}"
            )


class ExponentialDecay(_Decay):
    """initial · exp(−coefficient·t).

    Parameters
    ----------
    initial : float
        The value at t = 0.
    coefficient : float
        The rate of decay; 0 keeps the value constant.
    """

    def shape(self, time: int) -> float:
        """exp(−coefficient·t)."""
        return math.exp(-self.coefficient * time)


class PowerLawDecay(_Decay):
    """initial / (1 + coefficient·t).

    Parameters
    ----------
    initial : float
        The value at t = 0.
    coefficient : float
        The rate of decay; 0 keeps the value constant.
    """

    def shape(self, time: int) -> float:
        """1 / (1 + coefficient·t)."""
        return 1.0 / (1.0 + self.coefficient * time)


constant = Constant
linear = Linear
step = Step
trapezoid = Trapezoid
exponential_decay = ExponentialDecay
power_law_decay = PowerLawDecay


def from_config(config: dict[str, Any]) -> Schedule:
    """The schedule, of whatever class, that a configuration describes.

    Raises
    ------
    ConfigError
        When the class or one of its arguments is unknown.
    """
    if not isinstance(config, dict) or "name" not in config:
        raise ConfigError(f"the configuration of a schedule has a 'name'; got {config!r}")
    with configuring("schedule"):
        return _registry.get(config["name"]).from_config(config)


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
