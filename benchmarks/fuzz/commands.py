"""The command line, called in this process, on files which may come from a stranger."""

from __future__ import annotations

import io
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

from fuzz import seeds
from paysage import cli
from paysage.cli import plot as plots

#: what a file can make of a command: a result, or a named error
STATUSES = (0, 1)
#: said over whatever the configuration says, so that a training is short and stays in the folder
SHORT = (
    *("--epochs", 1, "--pretrain", 0, "--k", 1, "--batch-size", 4, "--chains", 4),
    *("--no-stream", "--force", "--quiet"),
)
FILES = {"--data": "whole.npy", "--out": "m.h5", "--log": "l.csv", "--checkpoint": "c.h5"}
SIZES = (("rbm", "3"), ("grbm", "3"), ("hopfield", "2"), ("dbm", "2 2"))


def run(*line: Any) -> None:
    """A command line, whose output goes to streams as strict as those of a terminal."""
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8") for _ in range(2))
    with redirect_stdout(out), redirect_stderr(err):
        status = cli.main([str(part) for part in line])
    if status not in STATUSES:
        raise RuntimeError(f"{line} ends with {status}: {err.buffer.getvalue()!r}")


def info(path: Path, data: Any) -> None:
    run("info", path, *(["--json"] if data.ConsumeBool() else []))


def sample(path: Path, data: Any) -> None:
    run("sample", path, "-n", 2, "--steps", 2, "--out", path.with_name("s.npy"))


def evaluate(path: Path, data: Any) -> None:
    """Of a damaged machine, whose partition function is summed or annealed."""
    method = ("exact", "ais")[data.ConsumeIntInRange(0, 1)]
    rows = path.with_name("whole.npy")
    rows.write_bytes(seeds.WHOLE["npy"][data.ConsumeIntInRange(0, 1)])
    run("evaluate", path, "--data", rows, "--method", method, *QUICK)


def evaluate_rows(path: Path, data: Any) -> None:
    """Of damaged rows, by a whole machine."""
    machine = path.with_name("whole.h5")
    machine.write_bytes(seeds.WHOLE["model"][0])
    keys = ("x", "t/1", "t/2", "y", "names", "number", "arr_0")
    key = ["--key", keys[data.ConsumeIntInRange(0, len(keys) - 1)]] if data.ConsumeBool() else []
    run("evaluate", machine, "--data", path, *key, *QUICK)


QUICK = ("--chains", 2, "--steps", 2, "--burn-in", 0, "--rows", 30)


def train(path: Path, data: Any) -> None:
    """From a damaged configuration: what it says of work and files is overridden."""
    rows = path.with_name("whole.npy")
    rows.write_bytes(seeds.WHOLE["npy"][0])
    model, hidden = SIZES[data.ConsumeIntInRange(0, len(SIZES) - 1)]
    sizes = ["--model", model, "--hidden", *hidden.split()]
    files = [part for flag, name in FILES.items() for part in (flag, path.with_name(name))]
    run("train", path, *sizes, *files, *SHORT)


def log(path: Path, data: Any) -> None:
    plots.read_log(path)


HDF5 = ("model", "checkpoint", "pca", "table", "blosc")
ROWS = ("table", "blosc", "npy", "npz", "csv")

#: the kinds of files that each takes
COMMANDS: dict[str, tuple[tuple[str, ...], Callable[[Path, Any], None]]] = {
    "info": ((*HDF5, "npy", "npz"), info),
    "sample": (("model", "checkpoint"), sample),
    "evaluate": (("model", "checkpoint"), evaluate),
    "evaluate_rows": (ROWS, evaluate_rows),
    "train": (("toml", "json"), train),
    "log": (("log", "lines"), log),
}
