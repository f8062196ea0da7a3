"""All that a training remembers, taken apart into arrays and JSON values, and put back."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from paysage import backends as be
from paysage.backends.generator import Generator
from paysage.errors import PaysageError, StorageError
from paysage.fit.averaging import ParameterMean
from paysage.fit.form import check_form
from paysage.fit.phases import Phases
from paysage.fit.tap import TAP
from paysage.metrics import ProgressMonitor
from paysage.models import BoltzmannMachine
from paysage.optimizers import Optimizer


class Memory(NamedTuple):
    """The parts of a training that change while it goes on."""

    model: BoltzmannMachine
    optimizer: Optimizer
    phases: Phases
    method: Callable
    mean: ParameterMean
    monitor: ProgressMonitor
    generator: Generator

    def get(self) -> dict[str, Any]:
        """Everything that decides what comes next.

        Raises
        ------
        ConfigError
            If a part remembers something that cannot be stored.
        """
        tap = _tap(self.method)
        return {
            "model": {"config": self.model.get_config(), "values": self.model.get_values()},
            "optimizer": self.optimizer.get_memory(self.model),
            "phases": self.phases.get_memory(),
            "tap": None if tap is None else tap.get_memory(self.model),
            "mean": self.mean.get_memory(),
            "monitor": self.monitor.get_memory(),
            "generators": generator_states(self.generator),
        }

    def put_stored(self, tree: Any) -> None:
        """As ``put``, in a training that has not begun, of a tree that comes from a file.

        Raises
        ------
        StorageError
            If the tree was not made by ``get``.
        """
        with going_on():
            own = self.get()
            if not isinstance(tree, dict) or set(tree) != set(own):
                raise ValueError(f"its memory has not the entries {sorted(own)}")
            check_form(tree["model"]["values"], own["model"]["values"], "the model")
            for part in ("optimizer", "phases", "tap", "mean"):
                rows = part != "phases" or not self.phases.may_restart
                check_form(tree[part], own[part], f"the memory of {part}", rows)
            self.put(tree)

    def put(self, tree: dict[str, Any], rank: int = 0) -> None:
        """Go back to where ``get`` was called, in the process of this number."""
        self.model.set_values(tree["model"]["values"])
        self.optimizer.set_memory(tree["optimizer"], self.model)
        self.phases.set_memory(tree["phases"])
        tap = _tap(self.method)
        if tap is not None:
            tap.set_memory(tree["tap"], self.model)
        self.mean.set_memory(tree["mean"])
        self.monitor.set_memory(tree["monitor"])
        set_generator_states(self.generator, tree["generators"], rank)


@contextmanager
def going_on() -> Iterator[None]:
    """Have whatever a memory of another form leads to be a StorageError."""
    try:
        yield
    except PaysageError:
        raise
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise StorageError(f"no training can go on from this checkpoint: {error!r}") from error


def _tap(method: Callable) -> TAP | None:
    owner = getattr(method, "__self__", None)
    return owner if isinstance(owner, TAP) else None


def generator_states(generator: Generator) -> dict[str, Any]:
    """Return the state of a training's generator and of those that user functions may draw from."""
    name, keys, *rest = np.random.get_state(legacy=True)
    version, words, gauss = random.getstate()
    return {
        "backend": generator.get_state(),
        "numpy": {"name": name, "keys": keys, "rest": rest},
        "random": {"version": version, "words": list(words), "gauss": gauss},
    }


def set_generator_states(generator: Generator, tree: dict[str, Any], rank: int = 0) -> None:
    """Continue from states that ``generator_states`` returned.

    On GPUs, where random numbers are not assigned to rows, those of every process except rank 0
    also depend on its rank.
    """
    state = tree["backend"]
    if rank != 0 and be.get_backend().processor == "gpu":
        text = json.dumps([state, rank], sort_keys=True).encode()
        seed = int.from_bytes(hashlib.sha256(text).digest()[:6], "little")
        state = Generator(seed).get_state()
    generator.set_state(state)
    numpy = tree["numpy"]
    np.random.set_state((numpy["name"], numpy["keys"], *numpy["rest"]))
    python = tree["random"]
    random.setstate((python["version"], tuple(python["words"]), python["gauss"]))


def copied(tree: Any) -> Any:
    """A tree whose arrays are of its own."""
    if isinstance(tree, dict):
        return {key: copied(value) for key, value in tree.items()}
    if isinstance(tree, list):
        return [copied(value) for value in tree]
    return tree.copy() if isinstance(tree, np.ndarray) else tree
