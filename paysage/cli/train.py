"""`paysage train`: a machine, from a configuration file, flags, or both."""

from __future__ import annotations

import argparse
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from paysage.cli.options import add_force, add_output, use_backend
from paysage.cli.output import INTERRUPTED, OK, Result, check_free, say
from paysage.cli.settings import add_settings, gathered
from paysage.errors import ConfigError

SUMMARY = "train a machine and write it to a file"
EXAMPLE = """\
  paysage train --data digits --model dbm --hidden 100 50 --epochs 50 --out dbm.h5
  paysage train rbm.toml --learning-rate 0.005 --checkpoint run.h5 --resume

where rbm.toml has flags for keys, with _ for -:
  data = "mnist"
  hidden = 500
  batch_size = 100
  out = "rbm.h5"
  log = ["log.csv", "log.jsonl"]"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """The configuration file, all settings, and how to show what happens."""
    parser.add_argument("config", nargs="?", metavar="CONFIG", help="settings, in TOML or JSON")
    add_settings(parser)
    parser.add_argument("--quiet", action="store_true", help="no metrics after each epoch")
    add_force(parser)
    add_output(parser)


def command(options: argparse.Namespace) -> Result:
    """Train; Ctrl-C finishes the step and writes what there is."""
    settings = gathered(options.config, options)
    _check_files(settings, options.force)
    use_backend(argparse.Namespace(**settings))

    from paysage import fit
    from paysage.cli.machines import make_batch, make_machine, make_optimizer

    interrupt = fit.callbacks.PauseOnInterrupt()
    with make_batch(settings) as data:
        model = make_machine(settings, data)
        trainer = fit.SGD(model, data)
        trainer.monitor.generator_metrics = _metrics(data.tables["validate"].batch_size)
        with redirect_stdout(sys.stderr):
            trainer.train(
                make_optimizer(settings),
                settings["epochs"],
                mcsteps=settings["k"],
                method=getattr(fit, settings["method"]),
                beta_std=settings["beta_std"],
                lr_period="epoch",
                verbose=not options.quiet,
                checkpoint=settings["checkpoint"],
                every=settings["every"],
                resume=settings["resume"],
                callbacks=[interrupt, *_callbacks(settings, data.ncols)],
            )
    model.save(settings["out"])
    return _result(settings, model, trainer.monitor, interrupt.interrupted)


def _check_files(settings: dict[str, Any], force: bool) -> None:
    """Raise a named error before any work where an output is missing, or would be lost."""
    from paysage.files import check_writable

    for name in ("data", "out"):
        if settings[name] is None:
            raise ConfigError(f"{name} is missing: give --{name}, or '{name}' in a configuration")
    if settings["resume"] and settings["checkpoint"] is None:
        raise ConfigError("resume needs the file of a checkpoint: --checkpoint run.h5")
    for log in settings["log"]:
        if Path(log).suffix not in (".csv", ".jsonl"):
            raise ConfigError(f"log is {log!r}, expected a file that ends with .csv or .jsonl")
    files = [settings["out"], *settings["log"]]
    if settings["checkpoint"] is not None:
        files.append(settings["checkpoint"])
    for file in files:
        # what is resumed goes on with the files of its beginning
        check_free(file, force or settings["resume"])
        check_writable(file)


def _metrics(rows: int) -> list[Any]:
    """Those of every training; few rows to validate with have too few neighbours for two."""
    from paysage import metrics
    from paysage.metrics.monitor import default_metrics

    found = default_metrics()
    kind = metrics.KLDivergence, metrics.ReverseKLDivergence
    least = next(metric.k for metric in found if isinstance(metric, kind)) + 1
    return found if rows >= least else [m for m in found if not isinstance(m, kind)]


def _callbacks(settings: dict[str, Any], pixels: int) -> list[Any]:
    from paysage.fit import callbacks

    found: list[Any] = [
        (callbacks.CSVLog if Path(log).suffix == ".csv" else callbacks.JSONLinesLog)(log)
        for log in settings["log"]
    ]
    if settings["tensorboard"] is not None:
        side = round(pixels**0.5)
        shape = (side, side) if side * side == pixels else None
        found.append(callbacks.TensorBoard(settings["tensorboard"], shape=shape))
    return found


def _result(settings: dict[str, Any], model: Any, monitor: Any, interrupted: bool) -> Result:
    metrics = dict(monitor.memory[-1]) if monitor.memory else {}
    epochs = monitor.epochs[-1] if monitor.epochs else 0
    lines = [f"{settings['out']}: {model!r} after {epochs} epochs"]
    lines += [f"{name} {value:.6f}" for name, value in metrics.items() if value is not None]
    if interrupted:
        on = "--resume goes on" if settings["checkpoint"] else "no checkpoint to go on from"
        say(f"paysage: interrupted, {on}")
    facts = {
        "out": settings["out"],
        "epochs": epochs,
        "interrupted": interrupted,
        "num_parameters": model.num_parameters(),
        "metrics": metrics,
    }
    return Result(lines, facts, INTERRUPTED if interrupted else OK)
