"""The settings of a training: flags of `paysage train`, and keys of its configuration files.

Each is defined once, in ``SETTINGS``: a flag overrides the file, and the file a default.
"""

from __future__ import annotations

import argparse
import difflib
import json
import re
import sys
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

from paysage.checks import is_whole
from paysage.cli.options import TRANSFORM_HELP, TRANSFORMS
from paysage.errors import ConfigError, StorageError

MODELS = ("rbm", "grbm", "hopfield", "dbm")
OPTIMIZERS = ("adam", "momentum", "rmsprop", "gradient")
SCHEDULES = ("constant", "power", "exponential", "linear", "trapezoid")
WATCHED = (
    "ReconstructionError",
    "KLDivergence",
    "ReverseKLDivergence",
    "PseudoLikelihood",
    "ExactLogLikelihood",
    "AISLogLikelihood",
)


class Setting(NamedTuple):
    """One setting; a kind that ends with 's' is a list, or one value in the place of it."""

    name: str
    kind: str
    default: Any
    help: str
    choices: tuple[str, ...] = ()
    of: tuple[str, str] | None = None
    """the setting, and the value of it, without which this one has no meaning"""


SETTINGS = {
    setting.name: setting
    for setting in (
        Setting("data", "text", None, "digits, mnist, or a file: .h5, .npy, .npz or .csv"),
        Setting("key", "text", None, "table in a .h5 or .npz file that has several"),
        Setting("transform", "text", None, TRANSFORM_HELP, TRANSFORMS),
        Setting("stream", "truth", False, "read an .h5 file as it goes, not into memory"),
        Setting("shuffle", "truth", True, "shuffle the rows, and again in every epoch"),
        Setting("train_fraction", "number", 0.95, "part of the rows to learn from"),
        Setting("model", "text", "rbm", "binary, Gaussian visible, Gaussian hidden, deep", MODELS),
        Setting("hidden", "counts", None, "units of hidden layers (100; 100 100 for a dbm)"),
        Setting("hidden_bias", "number", None, "biases of the first hidden layer at the start"),
        Setting(
            "noise",
            "number",
            None,
            "standard deviation of a grbm's visible units",
            of=("model", "grbm"),
        ),
        Setting("centered", "truth", None, "center the layers (by default all but a hopfield's)"),
        Setting("l1", "number", 0.0, "penalty on the absolute values of weights"),
        Setting("l2", "number", 0.0, "penalty on the squares of weights"),
        Setting(
            "pretrain",
            "count",
            0,
            "epochs in which a dbm first learns layer by layer",
            of=("model", "dbm"),
        ),
        Setting("epochs", "count", 30, "passes through the data"),
        Setting("batch_size", "count", 50, "rows of a minibatch"),
        Setting("chains", "count", None, "negative chains (as many as a minibatch has rows)"),
        Setting(
            "method", "text", "pcd", "persistent chains, or chains from the data", ("pcd", "cd")
        ),
        Setting("k", "count", 5, "sweeps a step"),
        Setting("beta_std", "number", 0.2, "by how much the chains' temperatures wander"),
        Setting("burn_in", "count", 0, "first epochs in which they do not"),
        Setting(
            "mean_field",
            "truth",
            False,
            "settle a dbm's hidden layers on the data by mean fields",
            of=("model", "dbm"),
        ),
        Setting("precision", "text", "float32", "of a step's products", ("float32", "bf16")),
        Setting("optimizer", "text", "adam", "the rule of the steps", OPTIMIZERS),
        Setting("learning_rate", "number", None, "at its highest (0.01; 0.002 for a grbm)"),
        Setting("schedule", "text", "power", "how the learning rate falls", SCHEDULES),
        Setting(
            "decay",
            "number",
            0.05,
            "d in rate / (1 + d t) of power and rate * exp(-d t) of exponential, epoch t from 0",
        ),
        Setting(
            "warm_up",
            "count",
            0,
            "epochs in which the schedule trapezoid rises",
            of=("schedule", "trapezoid"),
        ),
        Setting("max_norm", "number", None, "of a gradient; a greater one is scaled down to it"),
        Setting("average_last", "number", 0.0, "part of the epochs to average parameters over"),
        Setting("halve", "truth", False, "where an epoch diverges, do it again at half the rate"),
        Setting("watch", "text", WATCHED[0], "metric that patience and best look at", WATCHED),
        Setting("patience", "count", None, "epochs without a better value, after which to end"),
        Setting("best", "text", None, "file for the model of the epoch with the best value"),
        Setting("seed", "count", 137, "of all random numbers"),
        Setting("backend", "text", None, "what computes (as configured)", ("python", "pytorch")),
        Setting("processor", "text", None, "where it computes (as configured)", ("cpu", "gpu")),
        Setting("out", "text", None, "file for the trained model"),
        Setting("checkpoint", "text", None, "file to go on from, written after epochs"),
        Setting(
            "every",
            "period",
            None,
            "epochs, or a time such as 90s, 10min or 2h, between writings of the checkpoint (1)",
        ),
        Setting("resume", "truth", False, "go on from the checkpoint, if it is there"),
        Setting("log", "texts", [], "metrics of each epoch, to a .csv or .jsonl file"),
        Setting("tensorboard", "text", None, "folder for event files of TensorBoard"),
    )
}
#: letters of a configuration file
LARGEST_CONFIG = 2**20
#: of a time, in seconds
UNITS = {"s": 1, "min": 60, "h": 3600}


def period(text: str) -> int | timedelta:
    """A number of epochs, or a time; an ArgumentTypeError for anything else."""
    found = re.fullmatch(rf"(\d+(?:\.\d+)?) ?({'|'.join(UNITS)})", text, re.ASCII)
    try:
        return timedelta(seconds=float(found[1]) * UNITS[found[2]]) if found else int(text)
    except (OverflowError, ValueError) as error:
        raise argparse.ArgumentTypeError(f"{_told(text)}, expected {EXPECTED['period']}") from error


KINDS = {"text": str, "count": int, "number": float, "period": period}
EXPECTED = {
    "text": "a string",
    "texts": "a string, or a list of strings",
    "count": "a whole number",
    "counts": "a whole number, or a list of them",
    "number": "a number",
    "period": "a number of epochs, or a time such as 90s, 10min or 2h",
    "truth": "true or false",
}


def add_settings(parser: argparse.ArgumentParser) -> None:
    """A flag for each setting; those that are not given leave no trace."""
    for s in SETTINGS.values():
        default = "" if s.default in (None, False, []) else f" ({_shown(s.default)})"
        options: dict[str, Any] = {"default": argparse.SUPPRESS, "help": f"{s.help}{default}"}
        if s.kind == "truth":
            options["action"] = argparse.BooleanOptionalAction
        else:
            options |= {"type": KINDS[s.kind.removesuffix("s")], "choices": s.choices or None}
            options["metavar"] = None if s.choices else "N" if "number" in EXPECTED[s.kind] else "X"
            options["nargs"] = "+" if s.kind.endswith("s") else None
        parser.add_argument(flag_of(s.name), **options)


def flag_of(name: str) -> str:
    """The flag of a setting."""
    return f"--{name.replace('_', '-')}"


def _shown(value: Any) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)


def gathered(config: str | None, flags: argparse.Namespace) -> dict[str, Any]:
    """All settings by name: defaults, overridden by a file, overridden by flags.

    Raises
    ------
    StorageError
        If the file cannot be read.
    ConfigError
        If it has an unknown key, or a value that its key cannot have; or if a setting has no
        meaning beside another one.
    """
    given = {name: value for name, value in vars(flags).items() if name in SETTINGS}
    from_file = {} if config is None else read_config(Path(config))
    settings = {**{s.name: s.default for s in SETTINGS.values()}, **from_file, **given}
    for s in SETTINGS.values():
        _check_meaning(s, settings)
    return settings


def _check_meaning(s: Setting, settings: dict[str, Any]) -> None:
    if s.of is None or settings[s.name] == s.default:
        return
    name, value = s.of
    if settings[name] != value:
        raise ConfigError(
            f"{flag_of(s.name)} is a setting of the {name} '{value}', not of '{settings[name]}'"
        )


def read_config(path: Path) -> dict[str, Any]:
    """The settings in a TOML or JSON file, checked; see ``gathered``."""
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read(LARGEST_CONFIG + 1)
    except (OSError, UnicodeDecodeError) as error:
        raise StorageError(f"cannot read {path}: {error}") from error
    if len(text) > LARGEST_CONFIG:
        raise StorageError(f"{path} has more than {LARGEST_CONFIG} letters: no configuration")
    try:
        found = _parsed(text, path)
    except (RecursionError, ValueError) as error:
        raise ConfigError(f"{path} is not {path.suffix[1:].upper()}: {error}") from error
    if not isinstance(found, dict):
        raise ConfigError(f"{path} holds a {type(found).__name__}, expected settings by name")
    return {name: _checked(name, value, path) for name, value in found.items()}


def _parsed(text: str, path: Path) -> Any:
    if path.suffix == ".json":
        return json.loads(text)
    if path.suffix != ".toml":
        raise StorageError(f"{path}: expected a file that ends with .toml or .json")
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    return tomllib.loads(text)


def _checked(name: str, value: Any, path: Path) -> Any:
    """The value as a flag would give it."""
    if name not in SETTINGS:
        raise ConfigError(f"{path} has the unknown key '{name}': {_nearest(name, SETTINGS)}")
    setting = SETTINGS[name]
    if setting.kind == "period" and isinstance(value, str):
        try:
            return period(value)
        except argparse.ArgumentTypeError as error:
            raise ConfigError(f"{path}: {name} is {error}") from error
    if setting.kind.endswith("s"):
        values = value if isinstance(value, list) else [value]
        good = bool(values) and all(_is_of(setting.kind[:-1], v) for v in values)
        value = values
    else:
        good = _is_of(setting.kind, value)
    if not good:
        raise ConfigError(f"{path}: {name} is {_told(value)}, expected {EXPECTED[setting.kind]}")
    if setting.choices and value not in setting.choices:
        raise ConfigError(f"{path}: {name} is '{value}', {_nearest(value, setting.choices)}")
    return float(value) if setting.kind == "number" else value


def _is_of(kind: str, value: Any) -> bool:
    if kind == "truth":
        return isinstance(value, bool)
    if kind == "text":
        return isinstance(value, str)
    if kind in ("count", "period"):
        return is_whole(value, smallest=-sys.maxsize) and value <= sys.maxsize
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return abs(value) <= sys.float_info.max  # which NaN is not


def _told(value: Any) -> str:
    """A value from a file, if it can be told at all: Python refuses to write huge integers."""
    try:
        return f"{value!r:.60}"
    except ValueError:
        return f"a {type(value).__name__} of very many digits"


def _nearest(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, list(known), n=1)
    return f"did you mean '{near[0]}'?" if near else f"expected one of {', '.join(known)}"
