"""A machine from whatever file holds one."""

from __future__ import annotations

from typing import Any

from paysage import fit, storage
from paysage.models import BoltzmannMachine
from paysage.models.boltzmann import rebuilt


def load_machine(path: Any) -> BoltzmannMachine:
    """The machine of a model's file, or that of a checkpoint as it is there.

    Raises
    ------
    StorageError
        If there is no such file, or no machine in it.
    """
    kinds = {entry.kind for entry in storage.read_all(path).values()}
    if "checkpoint" not in kinds:
        return BoltzmannMachine.from_saved(path)
    return rebuilt(fit.read_checkpoint(path)["memory"].get("model"), path)
