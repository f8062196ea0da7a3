"""What every layer promises, one function a promise; see ``conformance.check_layer``.

A function returns False where the promise cannot be asked of a layer, and raises ``Broken`` where
it is not kept.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from paysage.testing.energies import (
    derivative,
    enumeration,
    field_gradient,
    gradient,
    mode,
)
from paysage.testing.interface import beta, hooks, inputs, shapes
from paysage.testing.keeping import config, marginal, save
from paysage.testing.sampling import sample, states, stationarity
from paysage.testing.subject import Subject
from paysage.testing.training import training

PROMISES: dict[str, Callable[[Subject], Any]] = {
    check.__name__: check
    for check in (
        hooks,
        shapes,
        inputs,
        beta,
        states,
        enumeration,
        derivative,
        mode,
        sample,
        stationarity,
        gradient,
        field_gradient,
        training,
        config,
        save,
        marginal,
    )
}
