"""Faults of disks: full, read-only, and files that are cut short or have a bit flipped.

    python benchmarks/faults.py --flips 20000

A checkpoint and a model are cut at every kilobyte, and single bits of them are flipped. Reading
must give a named error or, where a bit has no meaning, exactly what was written. A checkpoint is to
be replaced on a disk without room and in a folder that is read-only: the training must end with a
named error, leave the file as it was and nothing beside it, and go on, once there is room, to the
bits of a run without a break. Disks are small ones in memory (tmpfs), which root alone can mount;
for others a limit on the size of files stands in for the full one.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import subprocess
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from paysage import backends as be
from paysage import fit, optimizers, storage
from paysage.batch import in_memory_batch
from paysage.errors import PaysageError
from paysage.layers import BernoulliLayer
from paysage.models import BoltzmannMachine


def train(path: Path, epochs: int) -> BoltzmannMachine:
    """A training that goes on from the checkpoint, if there is one; of about 100 kB."""
    be.set_seed(137)
    rows = np.random.default_rng(0).integers(0, 2, (400, 64))
    model = BoltzmannMachine([BernoulliLayer(64, center=True), BernoulliLayer(64, center=True)])
    trainer = fit.SGD(model, in_memory_batch(rows, 40))
    trainer.monitor.generator_metrics = []
    options = {"verbose": False, "checkpoint": path, "resume": True}
    trainer.train(optimizers.ADAM(stepsize=0.01), epochs, **options)
    return model


def leaves(tree: Any) -> Iterator[Any]:
    """Every value of a tree, arrays as their bytes."""
    if isinstance(tree, dict | list):
        for key in tree if isinstance(tree, dict) else range(len(tree)):
            yield key
            yield from leaves(tree[key])
    else:
        yield tree.tobytes() if isinstance(tree, np.ndarray) else tree


def outcome(path: Path, image: bytes, kind: str, whole: list[Any]) -> str:
    """What becomes of reading a damaged file."""
    path.write_bytes(image)
    try:
        found = list(leaves(storage.read_tree(path, kind=kind)))
    except PaysageError:
        return "named errors"
    return "the same" if found == whole else "SILENTLY WRONG"


def damages(folder: Path, flips: int, rng: random.Random) -> Counter:
    """Files cut and flipped; counts of outcomes."""
    counts: Counter = Counter()
    train(folder / "checkpoint.h5", 2).save(folder / "model.h5")
    for kind in ("checkpoint", "model"):
        image = (folder / f"{kind}.h5").read_bytes()
        whole = list(leaves(storage.read_tree(folder / f"{kind}.h5", kind=kind)))
        for size in range(0, len(image), 1024):
            counts[f"{kind} cut", outcome(folder / "x.h5", image[:size], kind, whole)] += 1
        for _ in range(flips):
            flipped = bytearray(image)
            place = rng.randrange(8 * len(image))
            flipped[place // 8] ^= 1 << place % 8
            told = outcome(folder / "x.h5", bytes(flipped), kind, whole)
            counts[f"{kind} with a bit flipped", told] += 1
    return counts


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """A disk of one MiB, in memory."""
    disk = folder / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", disk], check=True)
    try:
        yield disk
    finally:
        subprocess.run(["umount", disk], check=True)


@contextlib.contextmanager
def no_room(disk: Path, left: int) -> Iterator[None]:
    """The disk filled but for so many bytes."""
    filler = disk / "filler"
    room = os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize
    filler.write_bytes(b"\0" * max(0, room - left))
    try:
        yield
    finally:
        filler.unlink()


@contextlib.contextmanager
def read_only(disk: Path) -> Iterator[None]:
    """The disk not to be written, also by root."""
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    try:
        yield
    finally:
        subprocess.run(["mount", "-o", "remount,rw", disk], check=True)


@contextlib.contextmanager
def limited(limit: int) -> Iterator[None]:
    """No file can be larger: what those have who cannot mount."""
    import resource

    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def endured(path: Path, fault: Any, write: Callable[[], Any]) -> str:
    """What a fault that is met while a file is replaced leads to, and whether the file survives."""
    before, around = path.read_bytes(), set(path.parent.iterdir())
    told = "SILENCE"
    with fault:
        try:
            write()
        except PaysageError:
            told = "named errors, the file as it was"
        intact = path.read_bytes() == before
    left = set(path.parent.iterdir()) - around
    return told if intact and not left else "THE FILE LOST, OR RUBBISH LEFT"


def disks(disk: Path, faults: dict[str, Callable[[], Any]], folder: Path) -> Counter:
    """Trainings and savings that meet a fault; then the training goes on without it."""
    counts: Counter = Counter()
    checkpoint, file = disk / "run.h5", disk / "model.h5"
    train(checkpoint, 2).save(file)
    other = BoltzmannMachine([BernoulliLayer(64), BernoulliLayer(64)])
    for name, fault in faults.items():
        counts[name, endured(checkpoint, fault(), lambda: train(checkpoint, 3))] += 1
        counts[name, endured(file, fault(), lambda: other.save(file))] += 1
    whole = list(leaves(train(folder / "whole.h5", 4).get_values()))
    same = list(leaves(train(checkpoint, 4).get_values())) == whole
    counts["resumed afterwards", "to the same bits" if same else "TO OTHER BITS"] += 1
    return counts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--flips", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    be.set_backend("python", "cpu")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        counts = damages(folder, options.flips, random.Random(options.seed))
        room = range(0, 16 * 1024, 4096)
        if os.geteuid() == 0:
            with small_disk(folder) as disk:
                faults = {
                    f"disk full but for {n} bytes": lambda n=n: no_room(disk, n) for n in room
                }
                faults["read-only folder"] = lambda: read_only(disk)
                counts += disks(disk, faults, folder)
        else:
            faults = {f"files of {n} bytes at most": lambda n=n: limited(n) for n in room}
            counts += disks(folder, faults, folder)
    for (fault, told), count in counts.items():
        print(f"{fault}: {count} {told}")
    raise SystemExit(any(told.isupper() for _, told in counts))


if __name__ == "__main__":
    main()
