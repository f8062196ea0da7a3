"""Training steps as the GPU takes them: pure, on the same memory, and captured without a trace.

The code for the GPU runs on tensors of the CPU here, and `graphs` stands in for CUDA graphs.
"""

import functools
import logging

import numpy as np
import pytest
from graphs import recorded  # noqa: F401
from machines import array, build, random_state
from purity import Impure, purely

from paysage import backends as be
from paysage import constraints, fit, optimizers, penalties
from paysage.backends.pytorch_backend.capture import Outside
from paysage.batch import in_memory_batch
from paysage.errors import BackendError
from paysage.fit import Phases
from paysage.fit.step import WARM_UP_STEPS, CapturedStep, SharedStep, Step, make_step
from paysage.layers import BernoulliLayer
from paysage.models import BoltzmannMachine
from paysage.samplers import SequentialMC
from paysage.schedules import PowerLawDecay

pytestmark = pytest.mark.backend_free

ROWS = 10
CLOSE = {"rtol": 1e-5, "atol": 1e-6}


def options(model):
    """Penalties and constraints of all kinds that may be captured."""
    weights = model.connections[0].weights
    terms = [
        *(penalties.l1_penalty(0.1), penalties.exp_l2_penalty(0.1), penalties.log_norm(0.1)),
        *(penalties.l2_norm(0.1), penalties.l1_adaptive_decay_penalty_2(0.1)),
        penalties.l2_penalty(0.1, slice_tuple=(slice(0, 2), 1)),
    ]
    weights.add_penalty({"matrix": sum(terms)})
    weights.add_constraint({"matrix": constraints.fixed_column_norm})
    model.layers[0].add_penalty({"loc": penalties.log_penalty(0.1)})
    model.layers[1].add_constraint({"loc": constraints.non_positive})
    return model


def fixed(model):
    model.layers[1].set_fixed_params(model.layers[1].get_param_names())
    return model


MODELS = {
    "bernoulli": lambda: build("BB", (4, 3)),
    "centered": lambda: build("BBB", (4, 3, 3), center=True),
    "gaussian": lambda: build("GB", (4, 3), center=True),
    "hopfield": lambda: fixed(build("BG", (4, 3))),
    "mixture": lambda: build("BO", (4, 3)),
    "options": lambda: options(build("BB", (4, 3))),
    "graph": lambda: build("BBB", (4, 3, 2), [(0, 1), (1, 2), (2, 0)]),
}
RULES = {
    "gradient": optimizers.Gradient,
    "momentum": optimizers.Momentum,
    "rmsprop": optimizers.RMSProp,
    "adam": optimizers.ADAM,
    "textbook": lambda rate: optimizers.ADAM(rate, bias_correction=True),
    "clipped": lambda rate: optimizers.ADAM(rate, max_norm=0.1),
}
METHODS = {"pcd": fit.pcd, "cd": fit.cd}


def step_of(model, kind=Step, method=fit.pcd, rule="adam", update="markov_chain", **kwargs):
    update, _, precision = update.partition(" in ")
    phases = Phases(model, 6, 2, update, precision=precision or "float32")
    phases.set_driven(True)
    return kind(model, phases, method, RULES[rule](0.1), **kwargs)


def minibatches(model, number, rows=ROWS):
    return [random_state(model, rows, seed)[0] for seed in range(number)]


def each(names, values):
    return pytest.mark.parametrize(names, values)


CASES = [
    *((name, "pcd", "adam", "markov_chain") for name in MODELS),
    *(("bernoulli", "pcd", rule, "markov_chain") for rule in RULES),
    *((name, "cd", "adam", "markov_chain") for name in ("bernoulli", "centered")),
    *(("centered", "pcd", "adam", update) for update in ("mean_field_iteration",)),
    *((name, "pcd", "adam", "markov_chain in bf16") for name in ("centered", "gaussian")),
    *((name, "pcd", "adam", "deterministic_iteration") for name in ("centered", "mixture")),
]


@each("name, method, rule, update", CASES)
def test_a_step_reads_no_number_and_keeps_its_memory(gpu_path, name, method, rule, update):
    model = MODELS[name]()
    step = step_of(model, Step, METHODS[method], rule, update)
    visible = minibatches(model, 1)[0]
    for _ in range(WARM_UP_STEPS):
        step(visible)
    step.optimizer.begin(model)
    step.optimizer.numbers = tuple(map(be.float_scalar, step.optimizer.numbers))
    used = []
    for _ in range(2):
        with Outside() as outside:
            purely(lambda: step.optimizer.move(model, step.method(visible, step.phases)))
            purely(step._update_offsets)
        # x[:] = 0.0 makes a tensor of the host's memory, whose number is what is recorded
        used.append({x.data_ptr() for x in outside.tensors if x.ndim})
    assert used[0] == used[1]
    lasting = [*model.layers[0].params, model.connections[0].weights.params.matrix]
    assert {x.data_ptr() for x in lasting} <= used[0]


@pytest.fixture
def apart(gpu_path, monkeypatch):
    """A device of its own: it has no memory to read from, and meets no tensor of the CPU."""
    import torch

    from paysage.backends.pytorch_backend import device, gpu, random

    monkeypatch.setitem(device.DEVICES, "gpu", torch.device("meta"))
    for module in (gpu, random):
        monkeypatch.setattr(module, "gpu_generator", lambda: None)


@each("name, method, rule, update", CASES)
def test_a_step_mixes_no_devices(apart, name, method, rule, update):
    model = MODELS[name]()
    step = step_of(model, Step, METHODS[method], rule, update)
    for visible in minibatches(model, 2):
        step(visible)
    parts = [*model.layers, *(c.weights for c in model.connections)]
    assert {p.device.type for part in parts for p in part.params} == {"meta"}
    with pytest.raises(RuntimeError):
        be.ones((2, 3)) + be.ones((2, 3)).new_ones((2, 3), device="cpu")


def test_what_is_impure_is_seen(gpu_path):
    x, order = be.ones((3,)), be.long_tensor([2, 0])
    for impure in (
        lambda: float(x[0]),
        lambda: 1 if x[0] > 0 else 2,
        lambda: be.to_numpy_array(x),
        lambda: be.float_scalar(1.0),
        lambda: be.float_tensor([1.0]),
        lambda: be.from_numpy_array(np.ones(3)),
        lambda: be.inv(be.identity(2)),
        lambda: penalties.logdet_penalty(1.0).grad(be.identity(2)),
        lambda: constraints.zero_mask(x, np.ones(3)),
        lambda: be.is_finite_all(x),
        lambda: x[[0, 1]],
        lambda: x.__setitem__(order, 1.0),
        lambda: x[x > 0],
    ):
        with pytest.raises(Impure):
            purely(impure)
    made = []
    for _ in range(2):
        with Outside() as outside:
            x += be.from_numpy_array(np.ones(3, np.float32))
        made.append(outside.tensors)
    assert len({t.data_ptr() for tensors in made for t in tensors}) == 3


def values_of(model):
    parts = [*model.layers, *(c.weights for c in model.connections)]
    return [array(x) for part in parts for x in part.params] + [
        array(k.offset) for k in model.layers
    ]


def step_twice(name, method, rule, update, steps=9):
    """What is left after ordinary and after captured steps from one seed."""
    for kind, more in ((Step, {}), (CapturedStep, {"rows": ROWS})):
        model = MODELS[name]()
        be.set_seed(1)
        step = step_of(model, kind, METHODS[method], rule, update, **more)
        for k, visible in enumerate(minibatches(model, steps)):
            step.optimizer.stepsize.set_value(0.1 / (k + 1))
            step.optimizer.update_lr()
            step(visible)
            if k == 6:  # the last minibatch of an epoch
                step(visible[:4])
        assert step.optimizer.updates == steps + 1
        yield [*values_of(model), array(step.phases.data[0]), array(be.rand((3,)))]


def same(found):
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(a, b, **CLOSE)


@each("name, method, rule, update", CASES)
def test_a_captured_step_does_what_the_step_does(recorded, name, method, rule, update):  # noqa: F811
    same(step_twice(name, method, rule, update))
    assert len(recorded) == 1


@pytest.mark.gpu
@each("name, method, rule, update", CASES)
def test_gpu_captured_steps_do_what_the_steps_do(on_gpu, name, method, rule, update):
    same(step_twice(name, method, rule, update, steps=20))


def captured_training(model, **kwargs):
    trainer = fit.SGD(model, in_memory_batch(array(random_state(model, 115)[0]), ROWS, 0.8))
    trainer.monitor.generator_metrics = []
    settings = {"optimizer": optimizers.ADAM(PowerLawDecay(0.1, 5.0)), "num_epochs": 4}
    trainer.train(**{**settings, "verbose": False, "burn_in": 2, **kwargs})
    return [*values_of(model), array(be.rand(3))]


def train_twice():
    """With an odd last minibatch, a learning rate that decays, and a burn-in."""
    for capture in (True, False):
        be.set_seed(2)
        yield captured_training(MODELS["centered"](), capture=capture)


def test_a_captured_training_is_the_training(recorded, caplog):  # noqa: F811
    caplog.set_level(logging.INFO, logger="paysage")
    same(train_twice())
    assert len(recorded) == 2, "once before and once after the inverse temperatures move"
    said = [record.message for record in caplog.records]
    assert sum("minibatches of 2 rows" in line for line in said) == 1, said


@pytest.mark.gpu
def test_gpu_captured_training_is_the_training(on_gpu, caplog):
    caplog.set_level(logging.INFO, logger="paysage")
    same(train_twice())
    assert sum("is captured" in record.message for record in caplog.records) == 2


@pytest.mark.gpu
def test_gpu_broken_promises_are_told(on_gpu):
    class Broken(BernoulliLayer):
        capturable = True

        def sample(self, field, beta=None, out=None):
            return super().sample(field * float(be.tmax(field) > -1e9), beta, out)

    with pytest.raises(BackendError, match="captured"):
        captured_training(BoltzmannMachine([Broken(4), BernoulliLayer(3)]))


@each("name", MODELS)
def test_an_epoch_waits_for_nothing(gpu_path, monkeypatch, name):
    """Neither the steps, which are ordinary ones here, nor the loop around them."""
    epoch, done = fit.Training._learn, []

    def pure_epoch(self, minibatches):
        purely(lambda: epoch(self, minibatches))
        done.append(self.epoch)

    monkeypatch.setattr(fit.Training, "_learn", pure_epoch)
    captured_training(MODELS[name](), capture=False, average_last=0.5)
    assert len(done) == 4


class Own(BernoulliLayer):
    """It promises nothing."""


class Promising(BernoulliLayer):
    capturable = True


def own_penalty(model):
    class halving_penalty(penalties.l2_penalty):
        """Of one's own."""

    model.layers[0].add_penalty({"loc": halving_penalty(0.1)})
    return model


def listed(model):
    part = penalties.l2_penalty(0.1, slice_tuple=([0, 2],))
    model.layers[0].add_penalty({"loc": part})
    return model


def masked(model):
    mask = np.ones((4, 3))
    model.connections[0].weights.add_constraint(
        {"matrix": functools.partial(constraints.zero_mask, mask=mask)}
    )
    return model


def own_method(visible, phases):
    return fit.pcd(visible, phases)


class OwnRule(optimizers.Gradient):
    """It promises nothing."""


PLAIN = MODELS["bernoulli"]
OBSTACLES = {
    "Own(4)": (lambda: BoltzmannMachine([Own(4), BernoulliLayer(3)]), {}),
    "halving_penalty": (lambda: own_penalty(PLAIN()), {}),
    "l2_penalty": (lambda: listed(PLAIN()), {}),
    "zero_mask": (lambda: masked(PLAIN()), {}),
    "own_method": (PLAIN, {"method": own_method}),
    "tap_update": (PLAIN, {"method": fit.TAP(max_iters=2).tap_update}),
    "OwnRule": (PLAIN, {"optimizer": OwnRule(0.1)}),
}


@each("name", OBSTACLES)
def test_what_does_not_promise_it_is_not_captured_and_named_once(recorded, caplog, name):  # noqa: F811
    caplog.set_level(logging.INFO, logger="paysage.fit")
    make, kwargs = OBSTACLES[name]
    captured_training(make(), **kwargs)
    assert not recorded
    said = [r.message for r in caplog.records if "not captured" in r.message]
    assert len(said) == 1 and name in said[0]


class Twin(fit.Processes):
    """A process beside another one that never says a word."""

    def tell(self, value):
        return value

    def add_up_(self, tensor):
        pass


@each("capture", [True, False])
def test_processes_that_share_steps_capture_none_and_say_so_once(recorded, caplog, capture):  # noqa: F811
    caplog.set_level(logging.INFO, logger="paysage.fit")
    processes = Twin.alone()
    processes.size = 2
    captured_training(PLAIN(), processes=processes, capture=capture)
    assert not recorded
    said = [r.message for r in caplog.records if "not captured" in r.message]
    assert said == capture * ["training steps are not captured: 2 processes share them"]
    caplog.clear()
    processes.rank = 1  # the first one has said it for all
    phases = Phases(PLAIN(), 6, processes=processes)
    step = make_step(phases.model, phases, fit.pcd, optimizers.ADAM(0.1), ROWS, capture)
    assert isinstance(step, SharedStep) and not caplog.records


def test_a_layer_of_ones_own_may_promise_it(recorded):  # noqa: F811
    captured_training(BoltzmannMachine([Promising(4), BernoulliLayer(3)]), burn_in=0)
    assert len(recorded) == 1


def test_a_sampler_of_ones_own_may_promise_it(recorded):  # noqa: F811
    model = PLAIN()
    sampler = SequentialMC.from_model(model, 5)
    captured_training(model, sampler=sampler, burn_in=0)
    assert len(recorded) == 1


def test_elsewhere_nothing_is_captured_and_nothing_said(caplog):
    caplog.set_level(logging.DEBUG, logger="paysage")
    be.set_backend("python", "cpu")
    captured_training(PLAIN())
    assert not caplog.records
