"""Parameters with their penalties, constraints and fixed ones: what layers and weights share."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from paysage import backends as be
from paysage import constraints, penalties
from paysage.capturable import Capturable
from paysage.checks import check_list, is_one_of
from paysage.errors import ConfigError, PaysageError, ShapeError


class Parametric(Capturable):
    """An owner of named parameters.

    ``params`` is a named tuple of tensors. The tensors are written in place and never replaced, so
    whoever holds one sees every change: ``owner.params.loc[:] = x`` takes effect in the next call.
    """

    params: Any

    def __init__(self) -> None:
        self.penalties: dict[str, Any] = {}
        self.constraints: dict[str, Callable] = {}
        self.fixed_params: list[str] = []

    def get_param_names(self) -> list[str]:
        """Names of the parameters, in their order."""
        return list(self.params._fields)

    def get_params(self) -> Any:
        """Return the named tuple of parameters; its tensors are the parameters, not copies."""
        return self.params

    def num_parameters(self) -> int:
        """Number of scalars in all parameters, fixed ones included."""
        return sum(math.prod(p.shape) for p in self.params)  # whichever the backend

    def _known(self, names: Iterable[str]) -> list[str]:
        """The names as a list; a ConfigError if one of them is not a parameter."""
        known = f"{self!r} expected names among {', '.join(self.params._fields)}"
        names = [names] if isinstance(names, str) else check_list(known, names)
        for name in names:
            if not is_one_of(name, self.params._fields):
                raise ConfigError(
                    f"{self!r} has no parameter {name!r}; it has {', '.join(self.params._fields)}"
                )
        return names

    def _check_mapping(self, what: str, given: Any) -> None:
        """A ConfigError unless something is a dictionary with names of parameters."""
        if not isinstance(given, Mapping):
            name = self.params._fields[-1]
            raise ConfigError(
                f"add_{what} of {self!r} takes a dictionary such as {{{name!r}: {what}}}, "
                f"got {given!r}"
            )
        self._known(given)

    def set_fixed_params(self, fixed_params: Iterable[str]) -> None:
        """Keep the named parameters constant during training; replaces an earlier choice."""
        self.fixed_params = self._known(fixed_params)

    def get_fixed_params(self) -> list[str]:
        """Names of the parameters that training leaves alone."""
        return list(self.fixed_params)

    def trainable(self) -> list[str]:
        """Names of the parameters that training changes."""
        return [name for name in self.params._fields if name not in self.fixed_params]

    def add_penalty(self, penalty: Mapping[str, Any]) -> None:
        """Add penalties, ``{parameter name: penalty}``; a second one on a parameter replaces it."""
        self._check_mapping("penalty", penalty)
        for name, term in penalty.items():
            if not isinstance(term, penalties.Penalty):
                raise ConfigError(f"the penalty on {name!r} of {self!r} is no Penalty: {term!r}")
            term.check_part(getattr(self.params, name), f"parameter {name!r} of {self!r}")
        self.penalties.update(penalty)

    def add_constraint(self, constraint: Mapping[str, Callable]) -> None:
        """Add constraints, ``{parameter name: function}``; each changes its tensor in place.

        A constraint is tried on a copy of its parameter.

        Raises
        ------
        ConfigError
            If it needs further arguments, or gives a new tensor in the place of changing its own.
        """
        self._check_mapping("constraint", constraint)
        for name, function in constraint.items():
            where = f"the constraint on {name!r} of {self!r}"
            if not callable(function):
                raise ConfigError(f"{where} is no function: {function!r}")
            _try_constraint(function, be.copy_tensor(getattr(self.params, name)), where)
        self.constraints.update(constraint)

    def penalty_values(self) -> dict[str, float]:
        """Current value of each penalty."""
        return {n: float(p.value(getattr(self.params, n))) for n, p in self.penalties.items()}

    def add_penalty_gradients_(self, gradient: Any) -> None:
        """Add the penalties' gradients of what is not fixed to a named tuple, in place."""
        for name in self.trainable() if self.penalties else ():
            if name in self.penalties:
                leaf, param = getattr(gradient, name), getattr(self.params, name)
                self.penalties[name].add_grad_(leaf, param)

    def enforce_constraints(self) -> None:
        """Apply the constraints to the parameters, in place."""
        for name, constraint in self.constraints.items():
            constraint(getattr(self.params, name))

    def zero_gradient(self) -> Any:
        """A named tuple like ``params``, filled with zeros."""
        return type(self.params)(*(be.zeros_like(p) for p in self.params))

    def set_params(self, new_params: Any) -> None:
        """Write new values into the parameters.

        Parameters
        ----------
        new_params : named tuple or list of tensors or arrays
            In the order of the names; ``ParamsWeights(matrix)``, for example.
        """
        tensors = [
            be.float_tensor(value)
            for value in check_list("set_params takes a list of tensors", new_params)
        ]
        shapes = [tuple(be.shape(tensor)) for tensor in tensors]
        if shapes != [tuple(be.shape(param)) for param in self.params]:
            own = {n: tuple(be.shape(p)) for n, p in self.params._asdict().items()}
            raise ShapeError(f"parameters of {self!r} have shapes {own}, got {shapes}")
        for param, tensor in zip(self.params, tensors, strict=True):
            param[:] = tensor

    def _options_config(self) -> dict:
        return {
            "fixed_params": list(self.fixed_params),
            "penalties": {n: p.get_config() for n, p in self.penalties.items()},
            "constraints": {n: constraints.get_config(c) for n, c in self.constraints.items()},
        }

    def _set_options(self, config: Mapping) -> None:
        self.set_fixed_params(config.get("fixed_params", ()))
        for name, penalty in config.get("penalties", {}).items():
            self.add_penalty({name: penalties.from_config(penalty)})
        for name, constraint in config.get("constraints", {}).items():
            self.add_constraint({name: constraints.from_config(constraint)})


def _try_constraint(function: Callable, param: Any, where: str) -> None:
    try:
        result = function(param)
    except PaysageError:
        raise
    except Exception as error:
        raise ConfigError(
            f"{where}: {error}; arguments are bound by functools.partial(function, name=value)"
        ) from error
    if be.is_tensor(result) and result is not param:
        raise ConfigError(
            f"{where} gives a new tensor, which would be lost: it changes its own in place, "
            "tensor[:] = value"
        )
