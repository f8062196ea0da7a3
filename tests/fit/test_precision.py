"""Training steps whose products are in bfloat16, held against those in float32."""

import numpy as np
import pytest
import stationarity
from machines import array, arrays, build, random_state, skip
from roundings import bfloat16

from paysage import backends as be
from paysage import fit, optimizers
from paysage.batch import in_memory_batch
from paysage.errors import BackendError, ConfigError
from paysage.fit import Phases
from paysage.models.gradient import GradientBuilder
from paysage.testing import ExactMachine

#: relative error of a number that is rounded to eight significant bits
ROUNDING = 2.0**-8
EPS = np.finfo(np.float32).eps
ROWS = 20000

MACHINES = {
    "bernoulli": lambda: build("BB", (40, 35), scale=0.3),
    "gaussian": lambda: build("GB", (33, 20), scale=0.3),
    "hopfield": lambda: build("BG", (33, 20), scale=0.3),
    "mixture": lambda: build("BO", (20, 9)),
    "graph": skip,
    "centered": lambda: skip(center=True),
    "deep": lambda: build("BBB", (33, 17, 40), scale=0.3, center=True),
}
SMALL = {
    "bernoulli": lambda: build("BB", (5, 4), seed=1),
    "strong": lambda: build("BB", (5, 4), seed=1, scale=2.0),
    "centered": lambda: build("BB", (5, 4), seed=2, center=True),
    "deep": lambda: build("BBB", (4, 3, 3), seed=3),
    "mixture": lambda: build("OB", (5, 4), seed=4),
}


def each(names, values):
    return pytest.mark.parametrize(names, values)


def phases_of(model, rows=10, **kwargs):
    phases = Phases(model, rows, precision="bf16", **kwargs)
    phases.set_driven(False)
    return phases


def with_rounded_weights(model):
    twin = model.copy()
    for c in twin.connections:
        c.weights.params.matrix[:] = be.float_tensor(bfloat16(array(c.weights.W())))
    return twin


@each("name", MACHINES)
def test_fields_are_those_of_the_rounded_weights(name):
    model = MACHINES[name]()
    phases, state = phases_of(model), random_state(model, 60)
    phases._copies.update()
    sweeps, wanted = phases._sweeps(0, 0), with_rounded_weights(model).sweeps
    for i in range(len(state)):
        field, exact = array(sweeps.field(state, i)), array(wanted.field(state, i))
        np.testing.assert_allclose(field, exact, rtol=0, atol=40 * EPS * (1 + np.abs(exact).max()))


def test_the_weights_of_the_moment_are_rounded():
    """Not those that the phases were made with."""
    model = build("BB", (5, 4))
    phases = phases_of(model)
    model.connections[0].weights.params.matrix[:] = 100.0
    state = phases.positive_state(be.ones((3, 5)))
    assert np.all(array(state[1]) == 1.0)


@each("name", MACHINES)
def test_gradients_are_within_the_rounding_of_their_terms(name):
    model = MACHINES[name]()
    data, sample = random_state(model, 30), random_state(model, 50, 6)
    rng = np.random.default_rng(7)
    data[1][:] = be.float_tensor(rng.random(be.shape(data[1])))
    plain, rounded = GradientBuilder(model), GradientBuilder(model, bfloat16=True)
    a, b = plain.compute(data, sample), rounded.compute(data, sample)
    for x, y in zip(a.layers, b.layers, strict=True):
        for p, q in zip(x, y, strict=True):
            np.testing.assert_array_equal(array(p), array(q))
    for c, x, y in zip(model.connections, a.weights, b.weights, strict=True):
        ends, bound = (c.target_index, c.domain_index), 0.0
        for state in (data, sample):
            t, d = (np.abs(array(model.layers[i].rescaled(state[i]))) for i in ends)
            # each term x y has an error of at most 2^-8 |x y|, and float32's own
            bound = bound + (ROUNDING + 60 * EPS) * (t.T @ d) / len(t)
        gap = np.abs(array(x.matrix) - array(y.matrix))
        assert np.all(gap <= bound + 60 * EPS)


def test_a_step_in_bf16_differs_from_one_in_float32_by_rounding_only():
    """Units that are on or off are exact, so that without means the gradients are the same."""
    model = build("BB", (40, 35))
    data, sample = random_state(model, 30), random_state(model, 50, 6)
    plain = GradientBuilder(model).compute(data, sample).weights[0].matrix
    rounded = GradientBuilder(model, bfloat16=True).compute(data, sample).weights[0].matrix
    np.testing.assert_allclose(array(rounded), array(plain), rtol=0, atol=4 * EPS)


@each("name", SMALL)
def test_the_distribution_moves_by_less_than_the_error_of_counting(name):
    """By enumeration: rounded weights against those as they are, of as many chains as below."""
    model = SMALL[name]()
    p = ExactMachine(model).probabilities
    q = ExactMachine(with_rounded_weights(model)).probabilities
    assert np.abs(q - p).max() > 0
    assert np.all(np.abs(q - p) < np.sqrt(p * (1 - p) / ROWS))


@each("name", SMALL)
def test_chains_stay_at_the_exact_distribution(name):
    model = SMALL[name]()
    exact = ExactMachine(model)
    phases = phases_of(model, ROWS)
    drawn = exact.draw(ROWS, np.random.default_rng(8))
    for mine, units in zip(phases.negative.get_state(), drawn, strict=True):
        mine[:] = units
    for _ in range(5):
        phases.negative_state()
    position = exact.index(phases.negative.get_state())
    assert stationarity.chi_square(position, exact.probabilities) > 1e-4


def test_a_wrong_weight_would_be_seen():
    """The counts above can tell a weight that is off by a quarter."""
    model = SMALL["bernoulli"]()
    exact = ExactMachine(model)
    model.connections[0].weights.params.matrix[:] *= 1.25
    phases = phases_of(model, ROWS)
    for _ in range(20):
        phases.negative_state()
    position = exact.index(phases.negative.get_state())
    assert stationarity.chi_square(position, exact.probabilities) < 1e-12


def trained(make, precision=None, **kwargs):
    be.set_seed(3)
    model = make()
    batch = in_memory_batch(array(random_state(model, 115)[0]), 10, 0.8)
    trainer = fit.SGD(model, batch)
    trainer.monitor.generator_metrics = []
    if precision is not None:
        kwargs["precision"] = precision
    trainer.train(optimizers.ADAM(0.01), 2, verbose=False, **kwargs)
    return arrays([x for c in model.connections for x in c.weights.params])


@each("mcsteps", [1, 2])
@each("name", MACHINES)
def test_training_in_bf16_goes_where_training_goes(name, mcsteps):
    plain = trained(MACHINES[name], mcsteps=mcsteps)
    rounded = trained(MACHINES[name], "bf16", mcsteps=mcsteps)
    for before, a, b in zip(arrays_of(MACHINES[name]()), plain, rounded, strict=True):
        assert np.all(np.isfinite(b)) and np.abs(b - before).max() > 0.01
        # 20 steps of Adam of at most about 0.01 each, most of them in the same direction
        assert np.abs(a - b).mean() < 0.5 * np.abs(a - before).mean()


def arrays_of(model):
    return [array(c.weights.W()) for c in model.connections]


def test_float32_is_the_default():
    found = [trained(MACHINES["bernoulli"], kind)[0] for kind in (None, "float32", "bf16")]
    np.testing.assert_array_equal(found[0], found[1])
    assert not np.array_equal(found[0], found[2])


@each("options", [{"method": fit.cd}, {"positive_phase": fit.MeanField()}, {"capture": False}])
def test_bf16_goes_with_other_options(options):
    assert all(np.all(np.isfinite(x)) for x in trained(MACHINES["deep"], "bf16", **options))


def test_layerwise_pretraining_passes_it_on(monkeypatch):
    model = build("BBB", (6, 5, 4))
    batch = in_memory_batch(array(random_state(model, 40)[0]), 10, 0.8)
    seen, train = [], fit.SGD.train

    def spy(self, *args, **kwargs):
        seen.append(kwargs["precision"])
        train(self, *args, **kwargs)

    monkeypatch.setattr(fit.SGD, "train", spy)
    fit.LayerwisePretrain(model, batch).train(
        optimizers.ADAM(0.01), 1, verbose=False, precision="bf16"
    )
    assert seen == ["bf16", "bf16"]


@each("precision", ["bfloat16", None, 16])
@each("trainer", [fit.SGD, fit.LayerwisePretrain])
def test_other_precisions_are_refused(trainer, precision):
    model = build("BB", (4, 3))
    batch = in_memory_batch(array(random_state(model, 40)[0]), 10, 0.8)
    with pytest.raises(ConfigError, match="'float32' or 'bf16'"):
        trainer(model, batch).train(optimizers.ADAM(0.01), 1, precision=precision)


def test_a_device_without_bfloat16_is_named(monkeypatch):
    monkeypatch.setattr(be, "has_bfloat16", lambda: False)
    with pytest.raises(BackendError, match="bfloat16"):
        trained(MACHINES["bernoulli"], "bf16")
