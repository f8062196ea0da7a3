"""What samplers with a ladder of inverse temperatures share."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from paysage.backends.generator import Generator
from paysage.checks import check_whole
from paysage.errors import ConfigError
from paysage.models import BoltzmannMachine, State
from paysage.models.graph import check_machine
from paysage.samplers.chains import Chains


class LadderSampler(Chains):
    """Chains at inverse temperature one that are helped along by hotter ones.

    Parameters
    ----------
    model : BoltzmannMachine
    mcsteps : int
        Steps of an update.
    betas : int or array
        Inverse temperatures, falling from 1; see ``checked_betas``.
    clamped : iterable of int, optional
        Layers that stay as they are; by default those of ``model.set_clamped_sampling``.
    generator : backends.Generator or int, optional
        Generator, or its seed, that the chains draw from; see ``SequentialMC``.
    """

    def __init__(
        self,
        model: BoltzmannMachine,
        mcsteps: int,
        betas: Any,
        clamped: Iterable[int] | None,
        generator: Generator | int | None,
    ) -> None:
        check_machine(model)
        self.model = model
        self.mcsteps = check_whole("mcsteps", mcsteps)
        self.betas = checked_betas(betas)
        self.clamped = None if clamped is None else model.clamped_layers(clamped)
        self.generator = generator

    @property
    def state(self) -> State:
        """The state of the chains, as ``get_state`` gives it."""
        return self.get_state()


def checked_betas(betas: Any) -> np.ndarray:
    """A ladder of inverse temperatures as an array; a ConfigError unless it falls from 1."""
    try:
        found = np.array(betas, dtype=np.float64)
    except (TypeError, ValueError):
        raise ConfigError(f"betas are numbers, got {betas!r}") from None
    if found.ndim == 0:
        return np.linspace(1.0, 0.1, check_whole("betas", betas, 2))
    if found.ndim != 1 or len(found) < 2 or found[0] != 1 or not found[-1] > 0:
        raise ConfigError(f"betas fall from 1 to a number greater than zero, got {betas!r}")
    if not (np.diff(found) < 0).all():
        raise ConfigError(f"betas must fall, got {betas!r}")
    return found
