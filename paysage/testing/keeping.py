"""Promises about configurations, files, and the moments of data."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from paysage import backends as be
from paysage.backends.generator import Generator
from paysage.layers import BernoulliLayer, layer_from_config
from paysage.models import BoltzmannMachine
from paysage.penalties import l2_penalty
from paysage.testing.subject import Subject, array, expect, expect_close

#: relative error of a fitted mean
FIT = 2e-3


def config(subject: Subject) -> None:
    """`get_config` is JSON, and makes the same layer, with its options."""
    layer = subject.new(center=True)
    name = layer.get_param_names()[-1]
    layer.set_fixed_params([name])
    layer.add_penalty({name: l2_penalty(0.1)})
    wanted = layer.get_config()
    again = layer_from_config(json.loads(json.dumps(wanted)))
    expect(type(again) is type(layer), f"got a {type(again).__name__} from the configuration")
    got = again.get_config()
    expect(got == wanted, f"got the configuration {got} after a round trip, expected {wanted}")


def save(subject: Subject) -> None:
    """A layer from a file is the same to the last bit, and acts the same."""
    model = BoltzmannMachine([subject.new(center=True), BernoulliLayer(2)])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.h5"
        model.save(path)
        again = BoltzmannMachine.from_saved(path)
    first, second = model.layers[0], again.layers[0]
    for name, param in first.params._asdict().items():
        expect_close(f"{name} from a file", array(getattr(second.params, name)), array(param), 0.0)
    field = subject.fields()
    for hook in ("mean", "mode", "log_partition", "sample"):
        with Generator(5):
            wanted = array(getattr(first, hook)(field, 0.6))
        with Generator(5):
            got = array(getattr(second, hook)(field, 0.6))
        expect_close(f"{hook} of the layer from a file", got, wanted, 0.0)
    units = first.sample(field)
    expect_close(
        "energy of the layer from a file",
        array(second.energy(units)),
        array(first.energy(units)),
        0.0,
    )


def marginal(subject: Subject) -> None:
    """`fit_marginal` gives the isolated layer the mean it is asked for."""
    layer = subject.new()
    data = array(layer.random(1000))
    for param in layer.params:
        param[:] = 0.5 * param  # the answer is not there already
    mean, var = data.mean(axis=0), data.var(axis=0)
    layer.fit_marginal(SimpleNamespace(mean=be.float_tensor(mean), var=be.float_tensor(var)))
    got = array(layer.mean(layer.zero_field(1)))[0]
    expect_close("mean after fit_marginal", got, mean, FIT * (1 + np.abs(mean)))
