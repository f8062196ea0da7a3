"""The example of a layer of one's own: it keeps its promises, learns, and is found in files."""

import importlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from machines import array
from purity import purely

from paysage import backends as be
from paysage import fit, optimizers
from paysage.batch import in_memory_batch
from paysage.capturable import is_capturable
from paysage.fit.step import Step
from paysage.layers import BernoulliLayer, GaussianLayer, OneHotLayer
from paysage.layers.layer import LAYER_TYPES
from paysage.models import BoltzmannMachine, State
from paysage.testing import ExactMachine, check_layer

FOLDER = Path(__file__).resolve().parents[2] / "examples"


@pytest.fixture
def spins(monkeypatch):
    """The class that the example defines."""
    monkeypatch.syspath_prepend(str(FOLDER))
    monkeypatch.setattr(LAYER_TYPES, "entries", dict(LAYER_TYPES.entries))
    LAYER_TYPES.entries.pop("SpinLayer", None)  # others may call their layers so, too
    monkeypatch.delitem(sys.modules, "own_layer", raising=False)
    return importlib.import_module("own_layer").SpinLayer


def test_it_is_one_short_file():
    assert len((FOLDER / "own_layer.py").read_text().splitlines()) < 60


@pytest.mark.backend_free
def test_it_runs_from_the_command_line():
    env = {**os.environ, "PYTHONPATH": str(FOLDER.parent)}
    command = [sys.executable, str(FOLDER / "own_layer.py")]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    assert "stationarity" in done.stdout.splitlines()[0]
    assert "End of epoch 20: " in done.stdout
    rows = done.stdout[done.stdout.rindex("[[") :].replace("[", "").replace("]", "").split()
    assert len(rows) == 5 * 6 and set(rows) <= {"-1.", "1."}


@pytest.mark.backend_free
def test_it_keeps_every_promise(spins):
    assert "stationarity" in check_layer(spins)


@pytest.mark.backend_free
@pytest.mark.parametrize("update", ["markov_chain", "mean_field_iteration"])
def test_it_can_be_captured(spins, gpu_path, update):
    model = BoltzmannMachine([spins(5), spins(3), spins(2)])
    phases = fit.Phases(model, 6, 2, update)
    step = Step(model, phases, fit.pcd, optimizers.ADAM(0.1))
    assert is_capturable(model.layers[0])
    visible = be.float_tensor(two_patterns(10))
    for call in (lambda function: function(), purely):
        call(lambda: step(visible))


FLIPPED = 0.15
#: mean log-likelihood of a fair independent spin, and of what is flipped now and then
FAIR, NOISE = np.log(0.5), FLIPPED * np.log(FLIPPED) + (1 - FLIPPED) * np.log(1 - FLIPPED)


def two_patterns(rows=1000):
    """A pattern or its opposite, with some spins flipped: independent spins know nothing of it."""
    rng = np.random.default_rng(0)
    signs = rng.choice([-1, 1], (rows, 1)) * np.where(rng.random((rows, 5)) < FLIPPED, -1, 1)
    return (np.array([1, 1, -1, 1, -1]) * signs).astype(np.float32)


def mean_log_likelihood(model, rows):
    """Of visible spins, by enumeration."""
    exact = ExactMachine(model)
    visible = array(exact.states[0])
    places = {tuple(v): 0.0 for v in visible}
    for v, p in zip(visible, exact.probabilities, strict=True):
        places[tuple(v)] += p
    return float(np.mean([np.log(places[tuple(v)]) for v in rows]))


def assert_learns(model, data):
    """At least half of what there is to learn beyond the biases."""
    batch = in_memory_batch(data, 50)
    model.initialize(batch, method="glorot_normal")
    trainer = fit.SGD(model, batch)
    trainer.monitor.generator_metrics = []
    trainer.train(optimizers.ADAM(0.05), 15, mcsteps=3, verbose=False, beta_std=0.0)
    alone, source = 5 * FAIR, FAIR + 5 * NOISE
    assert (mean_log_likelihood(model, data) - alone) / (source - alone) > 0.5


@pytest.mark.parametrize("partner", [BernoulliLayer, GaussianLayer, OneHotLayer, None])
def test_spins_learn_as_visible_units_and_come_back_from_a_file(spins, partner, tmp_path):
    model = BoltzmannMachine([spins(5), (partner or spins)(2)])
    assert_learns(model, two_patterns())
    model.save(tmp_path / "spins.h5")
    again = BoltzmannMachine.from_saved(tmp_path / "spins.h5")
    assert type(again.layers[0]) is spins
    drawn = array(again.markov_chain(20, State.from_model(50, again))[0])
    assert set(np.unique(drawn)) == {-1.0, 1.0}


def test_spins_learn_as_hidden_units(spins):
    assert_learns(BoltzmannMachine([BernoulliLayer(5), spins(2)]), (two_patterns() + 1) / 2)
