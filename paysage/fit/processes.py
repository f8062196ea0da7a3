"""Processes that train together, each on its share of the rows: ``torch.distributed``."""

from __future__ import annotations

import contextlib
import itertools
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from paysage import backends as be
from paysage.checks import check_number
from paysage.errors import BackendError, ConfigError, ProcessError, in_brief, missing_dependency
from paysage.fit.shares import Share

if TYPE_CHECKING:
    from typing_extensions import Self

Tensor = Any

#: where the first process that fails leaves its reason
_FAILED = "failed"

#: how often this process has joined others
_joined = itertools.count()


class Processes:
    """The processes that ``torchrun`` has started, or this one alone.

    Made at the top of a script, after the backend was chosen, before anything is drawn or made::

        with fit.Processes() as processes:
            ...
            trainer.train(optimizer, 10, processes=processes)

    Under ``torchrun --nproc-per-node=2 script.py`` the processes train together; the same script,
    started as usual, trains in one process and does not import ``torch.distributed``. On the CPU
    they talk by gloo, on GPUs, of which each takes that of its ``LOCAL_RANK``, by NCCL.

    Parameters
    ----------
    timeout : float
        Seconds after which a process that waits for the others gives up. They wait while the first
        one measures.

    Attributes
    ----------
    rank, size : int
        The number of this process, from zero, and of all of them.

    Raises
    ------
    ProcessError
        If the others cannot be reached.
    BackendError, MissingDependencyError
        If PyTorch is not there, or was built without ``torch.distributed``.
    ConfigError
        If the environment that ``torchrun`` sets is incomplete.
    """

    def __init__(self, timeout: float = 1800.0) -> None:
        check_number("timeout", timeout)
        self.rank, self.size = _place()
        self._distributed: Any = None
        self._store: Any = None
        self._own = False
        if self.size > 1:
            self._distributed = _distributed()
            self._join(timedelta(seconds=timeout))

    @classmethod
    def alone(cls) -> Processes:
        """The process itself, whatever the environment says."""
        found = cls.__new__(cls)
        found.rank, found.size = 0, 1
        found._distributed, found._store, found._own = None, None, False
        return found

    def __repr__(self) -> str:
        return f"Processes(rank={self.rank}, size={self.size})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        self.leave(error)

    @property
    def first(self) -> bool:
        """Whether this is the one that prints, measures and writes."""
        return self.rank == 0

    @property
    def share(self) -> Share:
        """The rows that are made here."""
        return Share(self.rank, self.size)

    def tell(self, value: Any) -> Any:
        """What the first process has: a tree of arrays and plain values."""
        if self.size == 1:
            return value
        box = [value]
        with self._talking():
            self._distributed.broadcast_object_list(box, src=0)
        return box[0]

    def add_up_(self, tensor: Tensor) -> None:
        """Replace a contiguous tensor, in place, by its sum over the processes."""
        if self.size > 1:
            with self._talking():
                self._distributed.all_reduce(_as_torch(tensor))

    def leave(self, error: BaseException | None = None) -> None:
        """Part from the others; those who still wait for this one end with its error."""
        if self._distributed is None:
            return
        distributed, self._distributed = self._distributed, None
        if self._store is not None and error is not None:
            # the reason is a courtesy: whoever keeps the store may be gone
            with contextlib.suppress(RuntimeError):
                self._store.compare_set(_FAILED, "", self._told(error))
        if self._own and distributed.is_initialized():
            distributed.destroy_process_group()

    def _told(self, error: BaseException) -> str:
        return f"process {self.rank} ended by {type(error).__name__}: {error}".rstrip(": ")

    def _join(self, timeout: timedelta) -> None:
        if self._distributed.is_initialized():  # by somebody else, who will end it
            return
        on_gpu = be.get_backend().processor == "gpu"
        if on_gpu:
            _take_gpu()
        with self._reached():
            rendezvous = self._distributed.rendezvous("env://", timeout=timeout)
            store, rank, size = next(rendezvous)
            # apart from what those who have parted left in it: their addresses, and reasons
            place = f"paysage/{next(_joined)}"
            self._store = self._distributed.PrefixStore(place, store)
            self._distributed.init_process_group(
                "cpu:gloo,cuda:nccl" if on_gpu else "gloo",
                store=self._store,
                rank=rank,
                world_size=size,
                timeout=timeout,
            )
        self._own = True

    @contextmanager
    def _reached(self) -> Iterator[None]:
        try:
            yield
        except RuntimeError as error:
            raise ProcessError(
                f"process {self.rank} of {self.size} cannot reach the others: {_said(error)}"
            ) from error

    @contextmanager
    def _talking(self) -> Iterator[None]:
        """While open, a connection that breaks is a named error with the reason of the others."""
        if self._distributed is None:
            raise ProcessError("the processes have parted: make new ones by fit.Processes()")
        try:
            yield
        except RuntimeError as error:
            raise ProcessError(
                f"process {self.rank} of {self.size} has lost the others: "
                f"{self._reason() or _said(error)}"
            ) from error

    def _reason(self) -> str:
        """What the process that failed first has left."""
        if self._store is not None:
            with contextlib.suppress(RuntimeError):
                if self._store.check([_FAILED]):
                    return self._store.get(_FAILED).decode()
        return ""


def _place() -> tuple[int, int]:
    """Rank and number of the processes, as ``torchrun`` sets them."""
    size = os.environ.get("WORLD_SIZE", "1")
    rank = os.environ.get("RANK", "0" if size == "1" else "")
    if not (size.isdigit() and rank.isdigit() and int(rank) < int(size)):
        raise ConfigError(
            f"the environment has WORLD_SIZE={size!r} and RANK={rank!r}, expected what torchrun "
            "sets, or neither"
        )
    return int(rank), int(size)


def _distributed() -> Any:
    """The module, on first use."""
    try:
        import torch.distributed as distributed
    except ImportError as error:
        raise missing_dependency("torch", "training in several processes", "torch") from error
    if not distributed.is_available():
        raise BackendError("this PyTorch was built without torch.distributed: train in one process")
    return distributed


def _take_gpu() -> None:
    """Have all tensors of this process on the GPU of its place in the machine."""
    import torch

    place, found = int(os.environ.get("LOCAL_RANK", "0")), torch.cuda.device_count()
    if place >= found:
        raise BackendError(f"process {place} of this machine has no GPU: there are {found}")
    torch.cuda.set_device(place)


def _said(error: RuntimeError) -> str:
    """What gloo says, but for the line of its source that says it."""
    return re.sub(r"^\[/[^]]*\] ", "", in_brief(error))


def _as_torch(tensor: Tensor) -> Any:
    """The tensor itself, or a PyTorch tensor in its memory."""
    if not isinstance(tensor, np.ndarray):
        return tensor
    import torch

    return torch.from_numpy(tensor)
