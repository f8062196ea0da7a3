"""`paysage plot`: weights, samples and the curves of a training, as a picture."""

from __future__ import annotations

import argparse
import csv
import json
from pathlib import Path
from typing import Any

from paysage.cli.options import add_force, add_output, image_shape
from paysage.cli.output import Result, check_free
from paysage.errors import ConfigError, DataError, StorageError

SUMMARY = "draw weights, samples, or the curves of a training"
EXAMPLE = """\
  paysage plot model.h5 --out weights.png
  paysage plot model.h5 --norms --out norms.png
  paysage plot samples.npy --out samples.png
  paysage plot log.csv --out curves.png"""
LOGS = (".csv", ".jsonl")
#: columns of a log that are no metrics
OTHERS = ("epoch", "seconds", "learning_rate")
#: what reading something else as a log may lead to
_NO_LOG = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)


def add_options(parser: argparse.ArgumentParser) -> None:
    """The file, the picture, and how many images are in it."""
    add = parser.add_argument
    add(
        "file",
        metavar="FILE",
        help="a model or checkpoint, samples (.npy, .h5), a log (.csv, .jsonl)",
    )
    add("--out", metavar="FILE", required=True, help="the picture: .png, .pdf or .svg")
    add("-n", "--number", type=int, default=50, metavar="N", help="of images (%(default)s)")
    add("--norms", action="store_true", help="norms of the weights of hidden units, counted")
    add("--shape", metavar="HxW", help="height and width of an image (a square)")
    add("--key", metavar="KEY", help="table in an .h5 file that has several")
    add_force(parser)
    add_output(parser)


def command(options: argparse.Namespace) -> Result:
    """Look what the file is, and draw it."""
    from paysage.checks import check_whole

    out = check_free(options.out, options.force)
    if out.suffix not in (".png", ".pdf", ".svg"):
        raise ConfigError(f"--out {out}: expected a file that ends with .png, .pdf or .svg")
    check_whole("--number", options.number, 1)
    path = Path(options.file)
    if path.suffix in LOGS:
        what = _curves(path, out)
    elif _holds_machine(path):
        what = _weights(options, path, out)
    else:
        what = _images(options, path, out)
    return Result([f"{out}: {what}"], {"out": out, "what": what})


def _holds_machine(path: Path) -> bool:
    from paysage.cli.data import HDF5
    from paysage.storage import read_all

    return path.suffix in HDF5 and bool(read_all(path))


def _curves(path: Path, out: Path) -> str:
    from paysage import plotting

    records = read_log(path)
    epochs = [int(record["epoch"]) for record in records]
    memory = [{n: v for n, v in r.items() if n not in OTHERS} for r in records]
    plotting.metric_curves(memory, epochs=epochs, filename=out)
    return f"metrics of {len(epochs)} epochs"


def read_log(path: Path) -> list[dict[str, Any]]:
    """What `fit.callbacks.CSVLog` or `JSONLinesLog` has written, an entry an epoch.

    Raises
    ------
    StorageError, DataError
        If the file cannot be read, or is no such log.
    """
    try:
        with open(path, encoding="utf-8", newline="") as file:
            rows = map(json.loads, file) if path.suffix == ".jsonl" else csv.DictReader(file)
            records: list[dict[str, Any]] = [
                {n: _number(v) for n, v in row.items()} for row in rows
            ]
        epochs = [int(record["epoch"]) for record in records]
    except OSError as error:
        raise StorageError(f"cannot read {path}: {error}") from error
    except (*_NO_LOG, RecursionError, csv.Error) as error:
        raise DataError(f"{path} is no log of a training: {error!r}") from error
    if not epochs:
        raise DataError(f"{path} is a log without an epoch")
    return records


def _number(value: Any) -> float | None:
    return None if value in (None, "") else float(value)


def _weights(options: argparse.Namespace, path: Path, out: Path) -> str:
    import numpy as np

    from paysage import backends as be
    from paysage import plotting
    from paysage.cli.loading import load_machine

    matrix = be.to_numpy_array(load_machine(path).connections[0].weights.W())
    if options.norms:
        plotting.weight_norm_histogram(matrix, filename=out)
        return f"norms of the weights of {matrix.shape[1]} hidden units"
    fields = matrix.T[: options.number]
    shape = image_shape(options.shape, fields.shape[1])
    # the few largest would pale the rest
    most = float(np.quantile(np.abs(fields), 0.995)) or None
    plotting.weight_grid(fields, shape, ncols=min(10, len(fields)), vmax=most, filename=out)
    return f"weights of {len(fields)} hidden units"


def _images(options: argparse.Namespace, path: Path, out: Path) -> str:
    from paysage import plotting
    from paysage.cli.data import read_rows

    if options.norms:
        raise ConfigError(f"--norms is of weights, which {path} does not hold")
    rows = read_rows(str(path), options.key).values[: options.number]
    shape = image_shape(options.shape, rows.shape[1])
    low, high = float(rows.min()), float(rows.max())
    if low >= 0 and high <= 1:
        low, high = 0.0, 1.0
    plotting.image_grid(rows, shape, ncols=min(10, len(rows)), vmin=low, vmax=high, filename=out)
    return f"{len(rows)} images"
