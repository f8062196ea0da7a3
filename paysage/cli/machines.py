"""Machines, data and optimizers as settings describe them."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from paysage import backends as be
from paysage import batch, layers, optimizers, penalties, schedules
from paysage.checks import check_number, check_whole
from paysage.cli.data import HDF5, read_rows, table_key, transformation
from paysage.errors import ConfigError
from paysage.models import BoltzmannMachine

#: units of the hidden layers, where settings do not say
SHALLOW, DEEP = [100], [100, 100]
#: what differs between the kinds, where settings do not say
LEARNING_RATES = {"grbm": 0.002}
HIDDEN_BIASES = {"rbm": -2.0, "grbm": -4.0, "hopfield": 0.0, "dbm": -2.0}


def make_batch(settings: dict[str, Any]) -> batch.Batch:
    """Minibatches to train and to validate with.

    Rows are shuffled before they are divided, in the order that the seed determines, and training
    rows again in every epoch. A file that is streamed is divided as it is; in every epoch its
    training rows are shuffled in blocks. With the setting `shuffle` off, all rows keep their order.
    """
    gaussian = settings["model"] == "grbm"
    size, fraction = settings["batch_size"], settings["train_fraction"]
    if settings["stream"]:
        return _streamed(settings, transformation(settings["transform"], False, gaussian))
    rows = read_rows(settings["data"], settings["key"])
    values, shuffle = rows.values, settings["shuffle"]
    if shuffle:
        values = values[be.active_generator().numpy.permutation(len(values))]
    transform = transformation(settings["transform"], rows.grey, gaussian)
    return batch.in_memory_batch(
        be.float_tensor(values), size, fraction, transform, copy=False, shuffle=shuffle
    )


def _streamed(settings: dict[str, Any], transform: Any) -> batch.Batch:
    path = Path(settings["data"])
    if path.suffix not in HDF5:
        raise ConfigError(f"stream needs an HDF5 file (.h5), got data {settings['data']!r}")
    key, size = table_key(path, settings["key"]), settings["batch_size"]
    rows = batch.HDFtable(path, key, 1).nrows
    split = round(rows * check_number("train_fraction", settings["train_fraction"]))
    return batch.Batch(
        {
            "train": batch.HDFtable(path, key, size, transform, rows=(0, split)),
            "validate": batch.HDFtable(
                path, key, min(size, max(1, rows - split)), transform, rows=(split, None)
            ),
        },
        settings["shuffle"],
    )


def make_machine(settings: dict[str, Any], data: batch.Batch) -> BoltzmannMachine:
    """A machine of the kind and the sizes that are asked for, with first parameters.

    Raises
    ------
    ConfigError
        If settings do not go together.
    """
    kind, sizes = settings["model"], settings["hidden"]
    sizes = (DEEP if kind == "dbm" else SHALLOW) if sizes is None else sizes
    if (len(sizes) > 1) != (kind == "dbm"):
        expected = "several numbers" if kind == "dbm" else "one number"
        raise ConfigError(f"hidden is {sizes}, expected {expected} for the model '{kind}'")
    sizes = [check_whole("hidden", size, 1) for size in sizes]
    centered = settings["centered"]
    center = kind != "hopfield" if centered is None else centered
    model = BoltzmannMachine(
        [_visible(settings, data.ncols, center), *_hidden(kind, sizes, center)]
    )
    _add_penalties(model, settings)
    model.initialize(data, method="glorot_normal")
    _finish(model, settings)
    return model


def _visible(settings: dict[str, Any], units: int, center: bool) -> layers.Layer:
    if settings["model"] != "grbm":
        return layers.BernoulliLayer(units, center=center)
    layer = layers.GaussianLayer(units, center=center)
    if settings["noise"] is not None:
        if check_number("noise", settings["noise"]) == 0.0:
            raise ConfigError("noise must be above 0")
        layer.params.log_var[:] = 2 * math.log(settings["noise"])
        layer.set_fixed_params(["log_var"])
    return layer


def _hidden(kind: str, sizes: list[int], center: bool) -> list[layers.Layer]:
    if kind != "hopfield":
        return [layers.BernoulliLayer(size, center=center) for size in sizes]
    layer = layers.GaussianLayer(sizes[0], center=center)
    # mean 0 and variance 1 for good: summed over, such units leave the energy of a Hopfield model
    layer.set_fixed_params(["loc", "log_var"])
    return [layer]


def _add_penalties(model: BoltzmannMachine, settings: dict[str, Any]) -> None:
    for connection in model.connections:
        for name, penalty in (("l1", penalties.l1_penalty), ("l2", penalties.l2_penalty)):
            if settings[name]:
                strength = check_number(name, settings[name], -math.inf)
                connection.weights.add_penalty({"matrix": penalty(strength)})


def _finish(model: BoltzmannMachine, settings: dict[str, Any]) -> None:
    """What the data do not tell: hidden biases, and that the noise stays as it is."""
    kind, bias = settings["model"], settings["hidden_bias"]
    if kind == "grbm":
        # learned, it would follow the whole spread of a unit before hidden units explain any of it
        model.layers[0].set_fixed_params(["log_var"])
    if kind == "hopfield" and bias:
        raise ConfigError("the hidden units of a hopfield have no biases: leave hidden_bias out")
    if kind != "hopfield":
        first = model.layers[1]
        bias = HIDDEN_BIASES[kind] if bias is None else check_number("hidden_bias", bias, -math.inf)
        first.params.loc[:] = bias
        first.reset_offset()


def make_optimizer(settings: dict[str, Any], epochs: int) -> optimizers.Optimizer:
    """Return the optimizer, with its learning-rate schedule for a number of epochs."""
    rate = settings["learning_rate"]
    rate = LEARNING_RATES.get(settings["model"], 0.01) if rate is None else rate
    rate, decay = check_number("learning_rate", rate), check_number("decay", settings["decay"])
    steps = max(1, epochs)
    schedule = {
        "constant": lambda: schedules.Constant(rate),
        # rate / (1 + decay * t)
        "power": lambda: schedules.PowerLawDecay(rate, decay / rate if rate else 0.0),
        "exponential": lambda: schedules.ExponentialDecay(rate, math.exp(-decay)),
        "linear": lambda: schedules.Linear(rate, rate / steps, maxval=None),
        "trapezoid": lambda: schedules.Trapezoid(rate, steps, settings["warm_up"]),
    }[settings["schedule"]]()
    rule = getattr(optimizers, settings["optimizer"])
    return rule(stepsize=schedule, max_norm=settings["max_norm"])
