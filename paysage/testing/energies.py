"""Promises about the energy: what follows from it, by enumeration and by differences."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from paysage import backends as be
from paysage.layers import Layer
from paysage.testing.subject import (
    ROUNDING,
    Subject,
    array,
    betas,
    differences,
    effective_energy,
    expect,
    expect_close,
)

Tensor = Any

#: relative error of a derivative by differences of numbers in single precision
SLOPE = 2e-3
#: of a parameter, for differences
STEP = 0.03


def enumeration(subject: Subject) -> bool:
    """Where states are listed, `log_partition` is the logarithm of their sum."""
    listed = subject.listed()
    if listed is None:
        return False
    layer, field = subject.layer, subject.fields()
    own, seen = array(layer.energy(listed)), array(layer.rescaled(listed))
    energies = own - array(field) @ seen.T
    for name, (given, column) in betas(subject.rows).items():
        exact = np.logaddexp.reduce(-column * energies, axis=1)
        got = array(layer.log_partition(field, given))
        expect_close(f"log_partition with {name}", got, exact, ROUNDING * (1 + np.abs(exact)))
    return True


def derivative(subject: Subject) -> None:
    """The derivative of `log_partition` by the field is beta times the rescaled mean."""
    layer, field = subject.layer, subject.fields()
    base = array(field)
    seen = array(layer.rescaled(layer.sample(subject.fields(1000))))
    step = 0.1 / max(1.0, float(seen.std()))
    for name, (given, column) in betas(subject.rows).items():
        wanted = column * array(layer.rescaled(layer.mean(field, given)))
        rounding = 3 * 2.0**-23 * np.abs(array(layer.log_partition(field, given))).max() / step
        for k in subject.some(layer.num_units):
            unit = np.eye(layer.num_units)[k]

            def moved(t: float, unit: np.ndarray = unit, given: Any = given) -> np.ndarray:
                return array(layer.log_partition(be.float_tensor(base + t * unit), given))

            expect_close(
                f"beta * rescaled(mean) of unit {k} with {name}, next to the derivative of "
                "log_partition by the field",
                wanted[:, k],
                differences(moved, step),
                SLOPE * (np.abs(wanted[:, k]) + float(seen.std()) + 0.1) + rounding,
            )


def mode(subject: Subject) -> None:
    """No state, listed or drawn, has a lower energy than the mode."""
    layer, field, listed = subject.layer, subject.fields(), subject.listed()
    lowest = effective_energy(layer, layer.mode(field), field)
    for b in range(subject.rows):
        others = listed
        if others is None:
            others = layer.sample(be.float_tensor(np.tile(array(field)[b], (1000, 1))))
        rows = be.float_tensor(np.tile(array(field)[b], (len(others), 1)))
        energies = effective_energy(layer, others, rows)
        least = int(energies.argmin())
        expect(
            lowest[b] <= energies[least] + ROUNDING * (1 + abs(energies[least])),
            f"mode: got {array(layer.mode(field))[b]} of energy {lowest[b]:.6g}, expected a state "
            f"no less probable than {array(others[least])} of energy {energies[least]:.6g}",
        )


def gradient(subject: Subject) -> None:
    """`energy_gradient` is the derivative of energy - connected · field by each parameter."""
    for center in (False, True):
        layer, field = subject.new(center), subject.fields()
        units = layer.sample(field)
        given = field if layer.gradient_needs_field else None
        found = layer.energy_gradient(units, given)
        size = np.abs(effective_energy(layer, units, field)).max()
        for name, param in layer.params._asdict().items():
            chosen = subject.some(int(be.num_elements(param)))
            got = array(getattr(found, name)).reshape(-1)[chosen]
            wanted = slopes(lambda: effective_energy(layer, units, field).mean(), param, chosen)  # noqa: B023
            expect_close(
                f"energy_gradient().{name}{' of a centered layer' if center else ''}, "
                f"with {'field' if layer.gradient_needs_field else 'no field'}",
                got,
                wanted,
                SLOPE * (0.1 + np.abs(wanted)) + 3 * 2.0**-23 * size / STEP,
            )


def field_gradient(subject: Subject) -> bool:
    """`field_gradient` is the derivative of -conditional_log_partition by each parameter."""
    if not subject.layer.can_sum_out():
        return False
    for center in (False, True):
        layer, field = subject.new(center), subject.fields()
        found = layer.field_gradient(field)

        def mean_log_partition(layer: Layer = layer, field: Tensor = field) -> float:
            return float(array(layer.conditional_log_partition(field)).mean())

        size = np.abs(array(layer.conditional_log_partition(field))).max()
        for name, param in layer.params._asdict().items():
            chosen = subject.some(int(be.num_elements(param)))
            wanted = -slopes(mean_log_partition, param, chosen)
            expect_close(
                f"field_gradient().{name}{' of a centered layer' if center else ''}",
                array(getattr(found, name)).reshape(-1)[chosen],
                wanted,
                SLOPE * (0.1 + np.abs(wanted)) + 3 * 2.0**-23 * size / STEP,
            )
    return True


def slopes(function: Callable[[], float], param: Tensor, chosen: np.ndarray) -> np.ndarray:
    """Return derivatives of a function by some elements of a tensor that it looks at."""
    before = array(param)
    found = []
    for k in chosen:

        def moved(t: float, k: int = k) -> Any:
            changed = before.copy()
            changed.reshape(-1)[k] += t
            param[:] = be.float_tensor(changed)
            return function()

        found.append(differences(moved, STEP))
    param[:] = be.float_tensor(before)
    return np.array(found)
