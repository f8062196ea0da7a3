"""`paysage convert`: rewrite files of version 0.2. Nothing is unpickled."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from paysage.cli.options import add_force, add_output
from paysage.cli.output import Result, check_free
from paysage.errors import ConfigError, StorageError

SUMMARY = "rewrite a model or PCA file of version 0.2"
EXAMPLE = """\
  paysage convert old.h5 new.h5
  paysage convert old.h5 new.h5 --layers bernoulli,onehot"""
KINDS = ("model", "pca")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the two files, the types of the layers and the kind."""
    add = parser.add_argument
    add("old", metavar="OLD", help="file that version 0.2 wrote; it is not changed")
    add("new", metavar="NEW", help="file to write")
    add(
        "--layers",
        metavar="TYPES",
        help="type of each layer, separated by commas: bernoulli, gaussian or onehot "
        "(bernoulli where one parameter is stored, gaussian where two are)",
    )
    add("--kind", choices=KINDS, help="what OLD holds (as found)")
    add_force(parser)
    add_output(parser)


def command(options: argparse.Namespace) -> Result:
    """Read the old file and write the new one."""
    from paysage import storage
    from paysage.files import check_writable

    old, new = Path(options.old), Path(options.new)
    if new.exists() and old.exists() and new.samefile(old):
        raise StorageError(f"{new} is the file to read; choose another name for the result")
    check_free(new, options.force)
    check_writable(new)
    for entry in storage.read_all(old).values():
        raise StorageError(
            f"{old} holds a {entry.kind} of version {entry.version}, which needs no conversion"
        )
    kind = options.kind or _kind(old)
    types = None if options.layers is None else options.layers.split(",")
    result = _read(old, kind, types)
    result.save(new)
    return Result([f"{new}: {result!r}"], {"out": new, "kind": kind, "holds": repr(result)})


def _kind(old: Path) -> str:
    """Return 'model' or 'pca', whichever the file holds."""
    from paysage import storage

    if storage.read_legacy_model(old) is not None:
        return "model"
    try:
        storage.read_legacy_pca(old)
    except StorageError as error:
        raise StorageError(f"{old} does not hold a model of version 0.2, and {error}") from error
    return "pca"


def _read(old: Path, kind: str, types: list[str] | None) -> Any:
    """Return the BoltzmannMachine or PCA of a file of version 0.2."""
    from paysage import storage
    from paysage.factorization import PCA
    from paysage.models import BoltzmannMachine

    if kind == "pca":
        if types is not None:
            raise ConfigError(f"--layers is for models, and {old} is read as a PCA file")
        return PCA.from_saved(old)
    if storage.read_legacy_model(old) is None:
        raise StorageError(
            f"{old} does not hold a model of version 0.2; `paysage info` lists what it holds"
        )
    return BoltzmannMachine.from_saved(old, types)
