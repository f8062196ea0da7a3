"""`paysage train`: a machine, from a configuration file, flags, or both."""

from __future__ import annotations

import argparse
import os
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from paysage.cli.naming import flags_named
from paysage.cli.options import add_force, add_output, use_backend
from paysage.cli.output import INTERRUPTED, OK, Progress, Result, check_free, say
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
    with flags_named():
        return _trained(settings, options)


def _trained(settings: dict[str, Any], options: argparse.Namespace) -> Result:
    _check_files(settings, options.config, options.force)
    with use_backend(argparse.Namespace(**settings)):
        return _train(settings, options)


def _train(settings: dict[str, Any], options: argparse.Namespace) -> Result:
    from paysage.cli import course
    from paysage.cli.machines import make_batch, make_machine
    from paysage.fit import callbacks

    interrupt = callbacks.PauseOnInterrupt()
    called = [interrupt, *([callbacks.HalveOnDivergence()] if settings["halve"] else [])]
    monitor = None
    with make_batch(settings) as data, redirect_stdout(Progress()):
        model = make_machine(settings, data)
        if course.pretrain(settings, model, data, not options.quiet, called):
            monitor = course.train(settings, model, data, not options.quiet, called)
            model.save(settings["out"])
    return _result(settings, model, monitor, interrupt.interrupted)


def _check_files(settings: dict[str, Any], config: str | None, force: bool) -> None:
    """Raise a named error before any work where an output is missing, or would be lost."""
    from paysage.files import check_writable

    for name in ("data", "out"):
        if settings[name] is None:
            raise ConfigError(f"{name} is missing; '{name}' in a configuration does as well")
    for name, given in (("resume", settings["resume"]), ("every", settings["every"] is not None)):
        if given and settings["checkpoint"] is None:
            raise ConfigError(f"{name} needs the file of a checkpoint: --checkpoint run.h5")
    for log in settings["log"]:
        if Path(log).suffix not in (".csv", ".jsonl"):
            raise ConfigError(f"log is {log!r}, expected a file that ends with .csv or .jsonl")
    outputs = _outputs(settings)
    _check_apart([settings["data"], *([] if config is None else [config]), *outputs])
    for file in outputs:
        # what is resumed goes on with the files of its beginning
        check_free(file, force or settings["resume"])
        check_writable(file)


def _check_apart(files: list[Any]) -> None:
    """Raise a ConfigError if a file to be written is another one, or the data, or the settings."""
    places = [_place(file) for file in files]
    twice = next((file for n, file in enumerate(files) if places[n] in places[:n]), None)
    if twice is not None:
        raise ConfigError(f"{twice} is named twice: give each of data, settings and outputs a file")


def _place(file: str) -> str:
    try:
        return os.path.realpath(file)
    except ValueError:  # no name of a file: whoever opens it says so
        return file


def _outputs(settings: dict[str, Any]) -> list[Any]:
    """All files that are to be written."""
    single = [settings[name] for name in ("out", "best", "checkpoint")]
    files = [*settings["log"], *(file for file in single if file is not None)]
    if settings["pretrain"] and settings["checkpoint"] is not None:
        from paysage.cli.machines import DEEP
        from paysage.fit.layerwise import machine_files

        files += machine_files(settings["checkpoint"], len(settings["hidden"] or DEEP))
    return files


def _result(settings: dict[str, Any], model: Any, monitor: Any, interrupted: bool) -> Result:
    """What came of it; without a monitor nothing but a part of the pretraining."""
    metrics = {} if monitor is None or not monitor.memory else dict(monitor.memory[-1])
    epochs = 0 if monitor is None or not monitor.epochs else monitor.epochs[-1]
    what = f"{model!r} after {epochs} epochs" if monitor is not None else "not written yet"
    lines = [f"{settings['out']}: {what}"]
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
