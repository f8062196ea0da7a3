"""The file from which a training that was stopped goes on, to the same bits."""

from __future__ import annotations

import platform
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple

from paysage import __version__, storage
from paysage import backends as be
from paysage.checks import check_whole, is_whole
from paysage.errors import ConfigError, StorageError
from paysage.files import check_writable, remove_unfinished, written_by_one
from paysage.fit.settings import check_same
from paysage.storage.document import encode

KIND = "checkpoint"
#: of the tree in the file
VERSION = 2


class Position(NamedTuple):
    """Where in a training a checkpoint was written."""

    #: epochs that are complete
    epoch: int
    #: minibatches of the next one
    minibatch: int
    #: epochs of trainings before this one, which the monitor counts too
    earlier: int
    #: whether it is over, whatever the number of epochs
    ended: bool
    #: determines, with the epoch, the order of the training rows
    shuffle_seed: int


class Checkpoint:
    """A file with everything that a training remembers, replaced as a whole at each writing.

    Parameters
    ----------
    path : path
    every : int or timedelta
        Epochs, or time, from one writing to the next.
    settings : dict
        What the training was asked for, as ``fit.settings.plain`` gives it.
    processes : int
        That train together.

    Raises
    ------
    StorageError
        If no file can be written there.
    """

    def __init__(
        self,
        path: str | Path,
        every: int | timedelta,
        settings: dict[str, Any],
        processes: int = 1,
    ) -> None:
        check_writable(path)
        self.path = path
        self.every = check_every(every)
        self.settings = settings
        self._processes = processes
        self._written = time.monotonic()

    @contextmanager
    def held(self) -> Iterator[None]:
        """While open, no other training may write the file.

        Raises
        ------
        StorageError
            If another one does.
        """
        with written_by_one(self.path):
            remove_unfinished(self.path)
            yield

    def check_callbacks(self, kept: list[Any]) -> None:
        """Raise a StorageError now if what callbacks keep could not be stored later."""
        encode({"callbacks": kept}, KIND)

    def is_due(self, epoch: int) -> bool:
        """Whether it is to be written after this epoch."""
        if isinstance(self.every, timedelta):
            return self.is_late()
        return epoch % self.every == 0

    def is_late(self) -> bool:
        """Whether the time is over that was to pass, which may be within an epoch."""
        if not isinstance(self.every, timedelta):
            return False
        return time.monotonic() - self._written >= self.every.total_seconds()

    def write(self, position: Position, state: dict[str, Any]) -> None:
        """Replace the file; whatever goes wrong leaves the one before as it was.

        Parameters
        ----------
        state : dict
            ``memory``, what the ``callbacks`` keep, and, within an epoch, its ``start``.
        """
        tree = {
            "version": VERSION,
            "written_by": _origin(self._processes),
            "settings": self.settings,
            "position": position._asdict(),
            **state,
        }
        storage.write_tree(self.path, tree, kind=KIND)
        self._written = time.monotonic()

    def read(self, num_epochs: int) -> dict[str, Any] | None:
        """The tree of the file; None where there is none.

        Parameters
        ----------
        num_epochs : int
            The epochs that the training is to have.

        Raises
        ------
        StorageError
            If it is cut short, damaged, of another version, or no checkpoint.
        ConfigError
            If it is of a training with other settings, or of more epochs.
        """
        if not Path(self.path).exists():
            return None
        tree = read_checkpoint(self.path)
        check_same(tree["settings"], self.settings, str(self.path))
        done = tree["position"]["epoch"]
        if done > num_epochs:
            raise ConfigError(f"{self.path} is after {done} epochs, got num_epochs={num_epochs}")
        _warn_of_other_bits(tree["written_by"], _origin(self._processes), str(self.path))
        return tree


def check_every(every: Any) -> int | timedelta:
    """A number of epochs or a time; a ConfigError for anything else."""
    if not isinstance(every, timedelta):
        return check_whole("every", every, 1)
    if every <= timedelta(0):
        raise ConfigError(f"every must be a whole number or a time above zero, got {every!r}")
    return every


def read_checkpoint(path: str | Path) -> dict[str, Any]:
    """What a checkpoint holds, as a tree of arrays and JSON values.

    Parameters
    ----------
    path : path

    Returns
    -------
    dict
        With the entries ``version``, ``written_by``, ``settings``, ``position``, ``memory``,
        ``callbacks`` and ``start``; ``memory["model"]`` has a ``config`` and ``values``.

    Raises
    ------
    StorageError
        If there is no such file, or it is cut short, damaged, of another version or no checkpoint.
    """
    tree = storage.read_tree(path, kind=KIND)
    found = tree.get("version") if isinstance(tree, dict) else None
    if found != VERSION:
        raise StorageError(
            f"{path} is a checkpoint of version {found!r}; Paysage {__version__} reads {VERSION}"
        )
    _check_parts(tree, str(path))
    return tree


def _check_parts(tree: dict[str, Any], name: str) -> None:
    """Each part of a checkpoint is there and of its type."""
    for part in ("written_by", "settings", "position", "memory"):
        if not isinstance(tree.get(part), dict):
            raise StorageError(f"{name} is no checkpoint: its {part} is {tree.get(part)!r}")
    place = tree["position"]
    numbers = [value for key, value in place.items() if key != "ended"]
    sound = set(place) == set(Position._fields) and isinstance(place["ended"], bool)
    if not sound or not all(map(is_whole, numbers)):
        raise StorageError(f"{name} is no checkpoint: its position is {place}")


def _origin(processes: int) -> dict[str, str]:
    """What the bits of a training depend on beside its settings."""
    chosen = be.get_backend()
    packages = ["numpy", "numba", *(["torch"] if chosen.backend == "pytorch" else [])]
    return {
        "paysage": __version__,
        "backend": chosen.backend,
        "processor": chosen.processor,
        "machine": platform.machine(),
        **{name: _version(name) for name in packages},
        **({"processes": str(processes)} if processes > 1 else {}),
    }


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:  # it was put on the path without being installed
        return "unknown"


def _warn_of_other_bits(origin: dict[str, str], here: dict[str, str], name: str) -> None:
    other = [
        f"{key} {origin.get(key, 'none')}, now {here.get(key, 'none')}"
        for key in dict.fromkeys([*origin, *here])
        if origin.get(key) != here.get(key)
    ]
    if other:
        warnings.warn(
            f"{name} was written by another installation ({'; '.join(other)}): training goes on, "
            "but not to the bits of a run without a break",
            stacklevel=4,
        )
