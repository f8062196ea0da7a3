"""The base of the rules by which a gradient moves the parameters."""

from __future__ import annotations

import copy
import math
import weakref
from collections.abc import Callable
from functools import partial
from numbers import Real
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from paysage import backends as be
from paysage import schedules
from paysage.capturable import Capturable
from paysage.checks import check_number, check_whole, is_real
from paysage.errors import ConfigError
from paysage.models.graph import check_machine
from paysage.threads import WORTH_CUTTING, pieces, side_by_side

if TYPE_CHECKING:
    from paysage.models import BoltzmannMachine, ModelGradient

Tensor = Any

#: multiplications of a matrix product that take as long as one element of a step: parameters and
#: slots come from far, another thread wrote half of the gradient
COST_OF_STEP = 45

#: attributes of an optimizer that are no settings
_REMEMBERED = ("stepsize", "lr", "updates", "numbers", "_slots", "_model")


def _storable(value: Any) -> Any:
    """A setting for a file: JSON has no infinity, arrays have."""
    return np.array(value) if isinstance(value, float) else value


def _tolerance(value: Any) -> float:
    if not is_real(value) or not float(value) >= 0:
        raise ConfigError(f"tolerance must be a number, zero or more, got {value!r}")
    return float(value)


def _positive(name: str, value: Any) -> float:
    if not check_number(name, value) > 0:
        raise ConfigError(f"{name} must be more than zero, got {value!r}")
    return float(value)


def check_gradient(gradient: Any) -> None:
    """Raise a ConfigError unless this is what a method of training gives."""
    if not hasattr(gradient, "weights"):
        raise ConfigError(
            "a method of training gives a gradient, as model.gradient does, got "
            f"{type(gradient).__name__}"
        )


def _clipped(grads: list[Tensor], max_norm: float) -> list[Tensor]:
    """The tensors, scaled so that the norm of all together is no greater."""
    # nothing here waits for the GPU: the step may be captured
    norm = be.sqrt(sum(be.tsum(be.flatten(be.square(grad)), axis=0) for grad in grads))
    scale = max_norm / be.clip(norm, max_norm)
    return [scale * grad for grad in grads]


def _step_scales(model: BoltzmannMachine) -> dict[tuple[int, str], Tensor]:
    """Return the scales of parameters that are not stepped as they are, see ``Layer.unit_scale``.

    Keys are the position in ``Optimizer._owners`` and the name of the parameter.
    """
    units = [layer.unit_scale() for layer in model.layers]
    found = {}
    for i, c in enumerate(model.connections):
        target, domain = units[c.target_index], units[c.domain_index]
        if target is not None:
            found[i, "matrix"] = be.unsqueeze(target, axis=1)
        if domain is not None:
            found[i, "matrix"] = found.get((i, "matrix"), 1.0) * be.unsqueeze(domain, axis=0)
    for i, (layer, scale) in enumerate(zip(model.layers, units, strict=True)):
        if scale is not None:
            for name in layer.scaled_params:
                found[len(model.connections) + i, name] = scale
    return found


class Optimizer(Capturable):
    """Base of the rules: the learning rate, and one set of slots a parameter.

    Parameters of layers that have a ``unit_scale`` s are stepped in units of it: the rule is
    applied to θ / s, whose gradient is s times that of θ.

    A rule is a subclass with ``_step``, and ``_start`` where it remembers something. To be
    capturable (``paysage.capturable``) it lets ``_step`` read its Python numbers in ``numbers``.

    Parameters
    ----------
    stepsize : Schedule or float
        Learning rate: a number, or a schedule with one value an epoch. Constant at 0.001 by
        default.
    tolerance : float
        Training stops after an epoch in which no parameter moved by more than this.
    max_norm : float, optional
        A gradient with a greater Euclidean norm, over all parameters that are not fixed, is scaled
        down to it (Pascanu, Mikolov & Bengio 2013).
    """

    #: whether a step of some elements takes nothing but these, and draws nothing: parameters, and
    #: their rows, are then shared by threads; else they move one after the other
    elementwise: ClassVar[bool] = False
    #: whether ``_step`` takes lists of tensors too, so that the GPU moves all parameters at once
    takes_lists: ClassVar[bool] = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        # promises of a step: a subclass, which may have another one, gives them anew
        for promise in ("elementwise", "takes_lists"):
            setattr(cls, promise, vars(cls).get(promise, False))

    def __init__(
        self, stepsize: Any = None, tolerance: float = 1e-7, max_norm: float | None = None
    ) -> None:
        if stepsize is None:
            stepsize = schedules.Constant(initial=0.001)
        elif is_real(stepsize):
            stepsize = schedules.Constant(initial=float(stepsize))
        elif not isinstance(stepsize, schedules.Schedule):
            raise ConfigError(f"stepsize must be a number or a schedule, got {stepsize!r}")
        check_number("the stepsize", stepsize.value)
        self.stepsize = stepsize.copy()  # two optimizers may be given the same schedule
        self.tolerance = _tolerance(tolerance)
        self.max_norm = None if max_norm is None else _positive("max_norm", max_norm)
        self.lr: float | None = None
        self.updates = 0
        #: what ``_numbers`` gave for this update, or 0-dimensional tensors that hold it
        self.numbers: tuple[Any, ...] = ()
        self._slots: dict[tuple, list[Tensor]] = {}
        # a reference to the model of the slots; None: they belong to the next model that they fit
        self._model: Callable[[], Any] | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Return what is pickled: slots without the reference to their model."""
        return {**vars(self), "_model": None}

    def update_lr(self) -> None:
        """Set the learning rate to the schedule's next value; called at the start of an epoch."""
        rate = next(self.stepsize)
        self.lr = check_number(f"the stepsize, {self.stepsize!r} at its next time,", rate)

    def scale_lr(self, factor: float) -> None:
        """Multiply the learning rate and the schedule's present value by a factor."""
        self.stepsize.set_value(factor * self.stepsize.value)
        if self.lr is not None:
            self.lr *= factor

    def copy(self) -> Optimizer:
        """A fresh rule with the same settings: schedule at its start, nothing remembered."""
        twin = copy.copy(self)
        twin.stepsize = self.stepsize.copy()
        twin.reset()
        return twin

    def reset(self) -> None:
        """Forget what was remembered and restart the schedule."""
        self.stepsize.reset()
        self.lr = None
        self.forget()

    def forget(self) -> None:
        """Start anew with the next gradient; the schedule stays where it is."""
        self.updates, self._slots = 0, {}

    def get_config(self) -> dict[str, Any]:
        """Return the settings as JSON values, without the schedule's present value and time."""
        schedule = self.stepsize.get_config()
        arguments = {k: v for k, v in schedule.items() if k not in ("value", "time")}
        return {"name": type(self).__name__, "stepsize": arguments, **self._settings()}

    def _settings(self) -> dict[str, Any]:
        """All other attributes, which are numbers, names or None."""
        found = {k: v for k, v in vars(self).items() if k not in _REMEMBERED}
        for name, value in found.items():
            if not isinstance(value, Real | str | None):
                raise ConfigError(
                    f"{type(self).__name__} has {name}, a {type(value).__name__}, which a "
                    "checkpoint cannot hold: define get_memory and set_memory, and get_config"
                )
        return found

    def get_memory(self, model: BoltzmannMachine) -> dict[str, Any]:
        """What the next update of a model depends on, as arrays and JSON values.

        Raises
        ------
        ConfigError
            If a subclass has attributes of its own that are neither numbers nor names.
        """
        known = self._remembers(model)
        return {
            "settings": {k: _storable(v) for k, v in self._settings().items()},
            "schedule": self.stepsize.get_config(),
            "lr": self.lr,
            "updates": self.updates if known else 0,
            "slots": [
                [*key, [be.to_numpy_array(slot) for slot in slots]]
                for key, slots in (self._slots if known else {}).items()
            ],
        }

    def set_memory(self, memory: dict[str, Any], model: BoltzmannMachine) -> None:
        """Go on from what ``get_memory`` gave."""
        if set(memory["settings"]) != set(self._settings()):
            raise ValueError(f"the settings are {memory['settings']}")
        for name, value in memory["settings"].items():
            setattr(self, name, value.item() if isinstance(value, np.ndarray) else value)
        self.stepsize = schedules.from_config(memory["schedule"])
        self.lr = None if memory["lr"] is None else check_number("lr", memory["lr"], -math.inf)
        self.updates = check_whole("updates", memory["updates"])
        self._slots = {(i, k): [*map(be.float_tensor, slots)] for i, k, slots in memory["slots"]}
        self._check_slots(model)
        self._model = weakref.ref(model)

    def _remembers(self, model: BoltzmannMachine) -> bool:
        """Return True if the slots belong to this model, or fit it after unpickling."""
        if self._model is not None:
            return self._model() is model
        try:
            self._check_slots(model)
        except (AttributeError, LookupError, ValueError):
            return False
        return bool(self._slots)

    def _check_slots(self, model: BoltzmannMachine) -> None:
        owners = self._owners(model)
        for (i, name), slots in self._slots.items():
            own = self._start(be.zeros_like(getattr(owners[i].params, name)))
            if [tuple(slot.shape) for slot in slots] != [tuple(slot.shape) for slot in own]:
                raise ValueError(f"what is remembered of {name} has not its shape")

    @staticmethod
    def _owners(model: BoltzmannMachine) -> list[Any]:
        # the weights, which take longest, first
        return [*(c.weights for c in model.connections), *model.layers]

    def update(self, model: BoltzmannMachine, gradient: ModelGradient) -> None:
        """Move every parameter that is not fixed, then apply the constraints, in place.

        What is remembered belongs to one model: another one starts anew.
        """
        check_machine(model)
        check_gradient(gradient)
        self.begin(model)
        self.move(model, gradient)

    def begin(self, model: BoltzmannMachine) -> None:
        """Count one more update of the model, and work out the numbers that it takes."""
        if self.lr is None:
            self.update_lr()
        if self._model is None or self._model() is not model:
            if not self._remembers(model):
                self.forget()
            self._model = weakref.ref(model)
        self.updates += 1
        self.numbers = self._numbers()

    def move(self, model: BoltzmannMachine, gradient: ModelGradient) -> None:
        """What ``update`` does to tensors, by the numbers that there are."""
        owners = self._owners(model)
        parts = [*gradient.weights, *gradient.layers]
        keys = [(i, name) for i, owner in enumerate(owners) for name in owner.trainable()]
        grads = [getattr(parts[i], name) for i, name in keys]
        scales = _step_scales(model)
        if scales:
            grads = [g * scales[k] if k in scales else g for k, g in zip(keys, grads, strict=True)]
        if keys and self.max_norm is not None:
            grads = _clipped(grads, self.max_norm)
        moved = [
            [getattr(owners[key[0]].params, key[1]), grad, *self._slots_of(key, grad)]
            for key, grad in zip(keys, grads, strict=True)
        ]
        scaled = [
            (getattr(owners[i].params, name), scales[i, name])
            for i, name in keys
            if (i, name) in scales
        ]
        for param, scale in scaled:
            param /= scale
        if moved and self.takes_lists and be.get_backend().processor == "gpu":
            self._step(*map(list, zip(*moved, strict=True)))
        else:
            self._move_all(moved)
        for param, scale in scaled:
            param *= scale
        for owner in owners:
            owner.enforce_constraints()

    def _move_all(self, moved: list[list[Tensor]]) -> None:
        if self.elementwise:
            cost = COST_OF_STEP * sum(be.num_elements(tensors[0]) for tensors in moved)
            tasks = (task for tensors in moved for task in self._tasks(*tensors))
            side_by_side(*tasks, operations=cost)
            return
        for tensors in moved:
            self._step(*tensors)

    def _tasks(self, *tensors: Tensor) -> list[Callable[[], None]]:
        """The step of one parameter, in pieces that can be made at once."""
        rows, size = len(tensors[0]), be.num_elements(tensors[0])
        on_gpu = be.get_backend().processor == "gpu"
        if on_gpu or size * COST_OF_STEP < WORTH_CUTTING:
            return [partial(self._step, *tensors)]
        some = pieces(rows, size * COST_OF_STEP)
        return [partial(self._step, *(x[part] for x in tensors)) for part in some]

    def _slots_of(self, key: tuple, grad: Tensor) -> list[Tensor]:
        if key not in self._slots:
            self._slots[key] = self._start(grad)
        return self._slots[key]

    def _start(self, grad: Tensor) -> list[Tensor]:
        """Slots of a parameter at its first gradient."""
        return []

    def _numbers(self) -> tuple[float, ...]:
        """What may change from one update to the next, the learning rate first."""
        return (float(self.lr),)  # type: ignore[arg-type]

    def _step(self, param: Tensor, grad: Tensor, *slots: Tensor) -> None:
        raise NotImplementedError(f"{type(self).__name__} does not define _step()")
