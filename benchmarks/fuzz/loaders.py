"""Everything that reads a file or a configuration which may come from a stranger."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fuzz import commands, seeds
from paysage import constraints, datasets, metrics, penalties, preprocess, schedules
from paysage.batch import DataShuffler, HDFtable
from paysage.datasets import fetching
from paysage.factorization import PCA
from paysage.layers import layer_from_config, weights_from_config
from paysage.models import BoltzmannMachine

fired: list[str] = []


def fire() -> None:
    """What a pickle in a file of the fuzzer calls."""
    fired.append("a pickle was executed")


def model(path: Path, data: Any) -> None:
    BoltzmannMachine.from_saved(path).get_values()


def checkpoint(path: Path, data: Any) -> None:
    seeds.train(seeds.machine(), path, resume=True)


def pca(path: Path, data: Any) -> None:
    PCA.from_saved(path)


def table(path: Path, data: Any) -> None:
    key = ("x", "t", "t/1", "t/2", "y", "names", "number")[data.ConsumeIntInRange(0, 6)]
    options = {"combine_frames": data.ConsumeBool(), "read_ahead": data.ConsumeIntInRange(0, 1)}
    rows = HDFtable(path, key, 4, **options)
    try:
        for _ in itertools.islice(rows.iterate(), 50):
            pass
    finally:
        rows.close()


def shuffler(path: Path, data: Any) -> None:
    memory = (1.0, 1e-6, 1e-5)[data.ConsumeIntInRange(0, 2)]
    DataShuffler(path, path.with_name("shuffled.h5"), allowed_mem=memory).shuffle()


def mnist(path: Path, data: Any) -> None:
    datasets.load_mnist(path)


def idx(path: Path, data: Any) -> None:
    """Four files of MNIST, one of which is damaged, plain or under the name of a compressed one."""
    broken = data.ConsumeIntInRange(0, 3)
    for n, part in enumerate(fetching.PARTS):
        if n == broken:
            path.rename(path.with_name(f"{part.file}{'.gz' if data.ConsumeBool() else ''}"))
        else:
            path.with_name(part.file).write_bytes(seeds.WHOLE["idx"][2 * n])
    datasets.mnist_from_folder(path.parent, path.with_name("m.h5"))


#: the kinds of files that each takes
FILES: dict[str, tuple[tuple[str, ...], Callable[[Path, Any], None]]] = {
    "model": (("model", "legacy"), model),
    "checkpoint": (("checkpoint",), checkpoint),
    "pca": (("pca", "legacy"), pca),
    "table": (("table", "blosc"), table),
    "shuffler": (("table", "blosc"), shuffler),
    "mnist": (("mnist",), mnist),
    "idx": (("idx",), idx),
    **commands.COMMANDS,
}

CONFIGS: list[Callable[[Any], Any]] = [
    BoltzmannMachine.from_config,
    layer_from_config,
    weights_from_config,
    schedules.from_config,
    penalties.from_config,
    constraints.from_config,
    preprocess.Transformation.from_config,
    metrics.KLDivergence.from_config,
]
