"""Each rule against its formula in double precision, over several steps."""

import json

import numpy as np
import pytest
from machines import array, build, pair, random_state

from paysage import backends as be
from paysage import constraints, optimizers, schedules
from paysage.errors import ConfigError
from paysage.models import ModelGradient
from paysage.threads import one_thread_each, working

EPSILON = float(np.finfo(np.float32).eps)
STEPS = 7


def flat(model):
    """Name, parameter of every leaf, in the order of the gradient's leaves."""
    owners = [*model.layers, *(c.weights for c in model.connections)]
    return [item for owner in owners for item in owner.params._asdict().items()]


def gradients(model, seed=0, steps=STEPS):
    """Gradients with entries of very different sizes, zero among them."""
    rng = np.random.default_rng(seed)
    for _ in range(steps):
        gradient = ModelGradient.zeros(model)
        for leaf in gradient.leaves():
            size = 10.0 ** rng.uniform(-4, 1, tuple(be.shape(leaf)))
            values = (rng.standard_normal(size.shape) * size).astype(np.float32)
            values.flat[0] = 0.0
            leaf[:] = be.float_tensor(values)
        yield gradient


def assert_close(model, wanted, paths):
    """Seven roundings of numbers of order one, and a relative error of every step.

    1 - 0.999 is off by 1.3e-5 of itself where 0.999 is held in single precision.
    """
    for (name, found), w, path in zip(flat(model), wanted, paths, strict=True):
        gap = np.abs(array(found) - w)
        assert (gap <= 7 * 6e-8 * np.maximum(1, np.abs(w)) + 1.3e-5 * path).all(), name


class Descent:
    def step(self, g):
        return g


class Momentum:
    def __init__(self, mu):
        self.mu, self.m = mu, None

    def step(self, g):
        self.m = g if self.m is None else self.mu * self.m + (1 - self.mu) * g
        return self.m


class RMSProp:
    def __init__(self, beta):
        self.beta, self.v = beta, None

    def step(self, g):
        start = g**2 if self.v is None else self.v
        self.v = self.beta * start + (1 - self.beta) * g**2
        return g / np.sqrt(EPSILON + self.v / (1 - self.beta))


class Adam:
    def __init__(self, beta1, beta2):
        self.beta1, self.beta2, self.m, self.v = beta1, beta2, None, None

    def step(self, g):
        m, v = (g, g**2) if self.m is None else (self.m, self.v)
        self.m = self.beta1 * m + (1 - self.beta1) * g
        self.v = self.beta2 * v + (1 - self.beta2) * g**2
        return (self.m / (1 - self.beta1)) / np.sqrt(EPSILON + self.v / (1 - self.beta2))


class Textbook:
    def __init__(self, beta1, beta2):
        self.beta1, self.beta2, self.m, self.v, self.t = beta1, beta2, 0.0, 0.0, 0

    def step(self, g):
        self.t += 1
        self.m = self.beta1 * self.m + (1 - self.beta1) * g
        self.v = self.beta2 * self.v + (1 - self.beta2) * g**2
        m, v = self.m / (1 - self.beta1**self.t), self.v / (1 - self.beta2**self.t)
        return m / np.sqrt(EPSILON + v)


RULES = {
    "gradient": (lambda s: optimizers.Gradient(s), lambda: Descent()),
    "momentum": (lambda s: optimizers.Momentum(s), lambda: Momentum(0.9)),
    "momentum 0.5": (lambda s: optimizers.Momentum(s, momentum=0.5), lambda: Momentum(0.5)),
    "rmsprop": (lambda s: optimizers.RMSProp(s), lambda: RMSProp(0.9)),
    "rmsprop 0.5": (
        lambda s: optimizers.RMSProp(s, mean_square_weight=0.5),
        lambda: RMSProp(0.5),
    ),
    "adam": (lambda s: optimizers.ADAM(s), lambda: Adam(0.9, 0.999)),
    "adam 0.5 0.7": (
        lambda s: optimizers.ADAM(s, mean_weight=0.5, mean_square_weight=0.7),
        lambda: Adam(0.5, 0.7),
    ),
    "textbook": (
        lambda s: optimizers.ADAM(s, bias_correction=True),
        lambda: Textbook(0.9, 0.999),
    ),
}


@pytest.mark.parametrize("name", RULES)
def test_rule(name):
    model = pair("BB")
    make, formula = RULES[name]
    optimizer = make(0.05)
    wanted = [array(p) for _, p in flat(model)]
    rules, paths = [formula() for _ in wanted], [np.zeros_like(w) for w in wanted]
    for gradient in gradients(model):
        for w, path, rule, g in zip(wanted, paths, rules, gradient.leaves(), strict=True):
            step = 0.05 * rule.step(array(g))
            w -= step
            path += np.abs(step)
        optimizer.update(model, gradient)
        assert_close(model, wanted, paths)


@pytest.mark.parametrize("name", RULES)
def test_steps_of_gaussian_units_are_those_of_units_of_unit_scale(name):
    """A Gaussian layer of scale 1/1024 moves as one of scale 1, but for the unit of x."""
    make, _ = RULES[name]
    scale = 2.0**-10
    wide, narrow = pair("GB"), pair("GB")
    visible = narrow.layers[0].params
    wide.layers[0].params.log_var[:] = 0.0
    visible.log_var[:] = 2 * np.log(scale)
    visible.loc[:] = scale * visible.loc
    narrow.connections[0].weights.params.matrix[:] *= scale
    one, other = make(0.05), make(0.05)
    for model in (wide, narrow):
        model.layers[0].set_fixed_params(["log_var"])
    for gradient, same in zip(gradients(wide), gradients(narrow), strict=True):
        for part in (same.layers[0].loc, same.weights[0].matrix):
            part /= scale
        one.update(wide, gradient)
        other.update(narrow, same)
    for (_, a), (_, b) in zip(flat(wide), flat(narrow), strict=True):
        if a is not wide.layers[0].params.log_var:
            ratio = 1.0 if a is wide.layers[1].params.loc else scale
            np.testing.assert_allclose(array(b) / ratio, array(a), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", RULES)
def test_gradients_are_clipped_to_their_norm(name):
    """The same steps are made of gradients that were scaled by hand, some of them not at all."""
    model, twin = pair("GB"), pair("GB")
    for each in (model, twin):
        each.layers[1].set_fixed_params(["loc"])
    make, _ = RULES[name]
    clipping, plain = make(0.05), make(0.05)
    clipping.max_norm, scales = 10.0, []
    for gradient, other in zip(gradients(model), gradients(twin), strict=True):
        moving = [*gradient.layers[0], *gradient.weights[0]]
        scale = min(1.0, 10.0 / np.sqrt(sum(np.square(array(g)).sum() for g in moving)))
        scales.append(scale)
        for leaf in other.leaves():
            leaf *= scale
        before = [array(g) for g in gradient.leaves()]
        clipping.update(model, gradient)
        plain.update(twin, other)
        for g, w in zip(gradient.leaves(), before, strict=True):
            np.testing.assert_array_equal(array(g), w)
    assert min(scales) < 0.9 and max(scales) == 1.0
    for (label, found), (_, wanted) in zip(flat(model), flat(twin), strict=True):
        np.testing.assert_allclose(array(found), array(wanted), rtol=1e-5, atol=1e-5, err_msg=label)


def test_norms_to_clip_to_are_positive():
    for bad in (0.0, -1.0, "much", np.nan):
        with pytest.raises(ConfigError, match="max_norm"):
            optimizers.ADAM(0.1, max_norm=bad)
    for rule in (optimizers.Gradient, optimizers.Momentum, optimizers.RMSProp, optimizers.ADAM):
        assert rule(0.1, max_norm=2).copy().max_norm == 2.0


@pytest.mark.parametrize("name", RULES)
def test_the_learning_rate_is_the_value_of_the_epoch(name):
    model = pair("GB")
    make, formula = RULES[name]
    optimizer = make(schedules.PowerLawDecay(initial=0.1, coefficient=10.0))
    wanted = [array(p) for _, p in flat(model)]
    rules, paths = [formula() for _ in wanted], [np.zeros_like(w) for w in wanted]
    for t, gradient in enumerate(gradients(model)):
        if t % 2 == 0:
            optimizer.update_lr()
        lr = 0.1 / (1 + t // 2)
        assert optimizer.lr == pytest.approx(lr)
        optimizer.update(model, gradient)
        for w, path, rule, g in zip(wanted, paths, rules, gradient.leaves(), strict=True):
            step = lr * rule.step(array(g))
            w -= step
            path += np.abs(step)
    assert_close(model, wanted, paths)


def test_steps_of_the_default_are_a_third_of_the_textbooks_ones():
    model = build("BB", (4, 3))
    constant, start = next(gradients(model)), array(model.connections[0].weights.W())
    steps = []
    for optimizer in (optimizers.ADAM(0.001), optimizers.ADAM(0.001, bias_correction=True)):
        copy = model.copy()
        for _ in range(3):
            optimizer.update(copy, constant)
        steps.append(array(copy.connections[0].weights.W()) - start)
    # both are constant steps of a constant gradient: lr sqrt(1 - beta2)/(1 - beta1), and lr
    large = np.abs(array(constant.weights[0].matrix)) > 0.05
    ratio = steps[0][large] / steps[1][large]
    np.testing.assert_allclose(ratio, np.sqrt(0.001) / 0.1, rtol=1e-2)


@pytest.mark.parametrize("name", RULES)
def test_gradients_of_zero_move_nothing(name):
    model = pair("GB")
    before = [array(p) for _, p in flat(model)]
    optimizer = RULES[name][0](0.5)
    for _ in range(3):
        optimizer.update(model, ModelGradient.zeros(model))
    for (_, found), w in zip(flat(model), before, strict=True):
        np.testing.assert_array_equal(array(found), w)


@pytest.mark.parametrize("name", RULES)
def test_parameters_are_moved_in_place_and_gradients_left_alone(name):
    model = pair("GB")
    held = [p for _, p in flat(model)]
    optimizer = RULES[name][0](0.05)
    for gradient in gradients(model, steps=3):
        before = [array(g) for g in gradient.leaves()]
        optimizer.update(model, gradient)
        for g, b in zip(gradient.leaves(), before, strict=True):
            np.testing.assert_array_equal(array(g), b)
    assert all(a is b for a, (_, b) in zip(held, flat(model), strict=True))


def test_slots_do_not_alias_the_gradient_which_the_trainer_writes_over():
    model = pair("BB")
    for name, (make, _) in RULES.items():
        fresh, reused = model.copy(), model.copy()
        first, second = make(0.05), make(0.05)
        memory = ModelGradient.zeros(model)
        for gradient in gradients(model):
            first.update(fresh, gradient)
            for mine, theirs in zip(memory.leaves(), gradient.leaves(), strict=True):
                mine[:] = theirs
            second.update(reused, memory)
        for (_, a), (_, b) in zip(flat(fresh), flat(reused), strict=True):
            np.testing.assert_array_equal(array(a), array(b), err_msg=name)


@pytest.mark.parametrize("name", RULES)
def test_fixed_parameters_are_not_touched(name):
    model = pair("GB")
    model.layers[0].set_fixed_params(["log_var"])
    model.connections[0].weights.set_fixed_params(["matrix"])
    before = [array(p) for _, p in flat(model)]
    optimizer = RULES[name][0](0.05)
    for gradient in gradients(model):
        optimizer.update(model, gradient)
    moved = [n for (n, p), b in zip(flat(model), before, strict=True) if (array(p) != b).any()]
    assert moved == ["loc", "loc"]


def test_constraints_hold_after_every_step():
    model = pair("GB")
    model.connections[0].weights.add_constraint({"matrix": constraints.non_negative})
    model.layers[0].add_constraint({"loc": constraints.non_positive})
    optimizer = optimizers.Gradient(0.5)
    for gradient in gradients(model):
        optimizer.update(model, gradient)
        assert array(model.connections[0].weights.W()).min() >= 0
        assert array(model.layers[0].params.loc).max() <= 0


@pytest.mark.parametrize("name", RULES)
def test_copies_and_resets_start_afresh(name):
    make = RULES[name][0]
    schedule = schedules.ExponentialDecay(initial=0.1, coefficient=0.5)

    def run(optimizer, model):
        for gradient in gradients(model, steps=4):
            optimizer.update_lr()
            optimizer.update(model, gradient)
        return [array(p) for _, p in flat(model)]

    optimizer = make(schedule)
    first = run(optimizer, pair("GB"))
    copy = optimizer.copy()
    assert type(copy) is type(optimizer)
    assert copy.stepsize is not optimizer.stepsize
    lr = optimizer.lr
    for a, b in zip(run(copy, pair("GB")), first, strict=True):
        np.testing.assert_array_equal(a, b)
    assert optimizer.lr == lr, "the copy moved the schedule of the original"
    again = run(optimizer, pair("GB"))
    assert any(not np.array_equal(a, b) for a, b in zip(again, first, strict=True))
    optimizer.reset()
    assert optimizer.lr is None
    for a, b in zip(run(optimizer, pair("GB")), first, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("name", [n for n in RULES if n != "gradient"])
def test_what_a_rule_remembers_is_one_models(name):
    """Another model, of the same shape or not, is trained as by a fresh rule."""
    optimizer = RULES[name][0](0.05)
    for shape in ((5, 2), (3, 2)):
        former = pair("GB")
        for gradient in gradients(former, seed=1):
            optimizer.update(former, gradient)
        again, fresh = build("GB", shape), build("GB", shape)
        fresh.set_values(again.get_values())
        optimizer.update(again, next(gradients(again)))
        RULES[name][0](0.05).update(fresh, next(gradients(fresh)))
        for (_, a), (_, b) in zip(flat(again), flat(fresh), strict=True):
            np.testing.assert_array_equal(array(a), array(b))


def test_defaults():
    first, second = optimizers.ADAM(), optimizers.ADAM()
    assert first.stepsize is not second.stepsize
    assert first.tolerance == 1e-7
    assert (first.mean_weight, first.mean_square_weight) == (0.9, 0.999)
    assert optimizers.Momentum().momentum == 0.9
    assert optimizers.RMSProp().mean_square_weight == 0.9
    assert optimizers.ADAM(stepsize=schedules.Constant(0.1), tolerance=1e-3).tolerance == 1e-3


def test_without_update_lr_the_first_value_is_taken_once():
    optimizer = optimizers.Gradient(schedules.PowerLawDecay(initial=0.1, coefficient=10.0))
    model = pair("BB")
    for gradient in gradients(model, steps=3):
        optimizer.update(model, gradient)
    assert optimizer.lr == pytest.approx(0.1)
    optimizer.update_lr()
    assert optimizer.lr == pytest.approx(0.05)


def test_aliases():
    assert optimizers.gradient is optimizers.Gradient
    assert optimizers.momentum is optimizers.Momentum
    assert optimizers.rmsprop is optimizers.RMSProp
    assert optimizers.adam is optimizers.ADAM


@pytest.mark.parametrize("bad", [1.0, -0.1, np.nan, "much"])
@pytest.mark.parametrize(
    "kind, argument",
    [
        (optimizers.Momentum, "momentum"),
        (optimizers.RMSProp, "mean_square_weight"),
        (optimizers.ADAM, "mean_weight"),
        (optimizers.ADAM, "mean_square_weight"),
    ],
)
def test_impossible_weights(kind, argument, bad):
    with pytest.raises(ConfigError, match=argument):
        kind(**{argument: bad})


@pytest.mark.parametrize("bad", ["fast", np.nan, [0.1], -0.1, schedules.Constant(-0.1)])
def test_impossible_stepsizes(bad):
    with pytest.raises(ConfigError, match=r"stepsize|initial"):
        optimizers.Gradient(bad)


def test_a_schedule_that_falls_below_zero_is_refused_when_it_does():
    optimizer = optimizers.Gradient(schedules.Linear(0.1, delta=0.08, minval=None))
    optimizer.update_lr()
    optimizer.update_lr()
    with pytest.raises(ConfigError, match=r"stepsize, Linear.*at least 0, got -0\.06"):
        optimizer.update_lr()
    assert optimizer.lr == pytest.approx(0.02)


def test_numbers_of_numpy_are_stepsizes_too():
    assert json.dumps(next(optimizers.Gradient(np.float32(0.5)).stepsize)) == "0.5"


@pytest.mark.parametrize("bad", ["0.1", None, -1.0, float("nan")])
def test_impossible_tolerances(bad):
    with pytest.raises(ConfigError, match="tolerance"):
        optimizers.ADAM(0.1, tolerance=bad)


class Rowwise(optimizers.ADAM):
    """Its step looks at a whole parameter, and takes no lists."""

    def _step(self, param, grad, *slots):
        super()._step(param, grad / be.norm(grad), *slots)


@pytest.mark.backend_free
def test_promises_of_a_step_are_not_inherited():
    assert optimizers.ADAM.elementwise and optimizers.ADAM.takes_lists
    assert not (Rowwise.elementwise or Rowwise.takes_lists or Rowwise.capturable)


class Noisy(optimizers.Gradient):
    """Its step draws, so that it matters who comes first, and that nobody else draws meanwhile."""

    def _step(self, param, grad, *slots):
        assert not working()
        super()._step(param, grad, *slots)
        param += 0.1 * be.randn_like(param)


def test_steps_without_a_promise_are_made_one_after_the_other():
    found = []
    for _ in range(2):
        be.set_seed(3)
        model = build("BBB", (5, 4, 3))
        with one_thread_each():
            Noisy(0.1).update(model, next(gradients(model)))
        found.append(np.concatenate([array(param).ravel() for _, param in flat(model)]))
    assert np.array_equal(*found) and len(np.unique(found[0])) == len(found[0])


@pytest.mark.backend_free
@pytest.mark.parametrize("rule", [optimizers.ADAM, Rowwise])
def test_the_gpus_path_moves_parameters_as_the_cpu_does(gpu_path, rule):
    found = []
    for where in (("pytorch", "gpu"), ("python", "cpu")):
        be.set_backend(*where)
        model = build("GB", (5, 4))
        optimizer = rule(0.1)
        gradient = model.gradient(random_state(model, 6, 1), random_state(model, 7, 2))
        for _ in range(3):
            optimizer.update(model, gradient)
        owners = [*model.layers, model.connections[0].weights]
        found.append([array(param) for owner in owners for param in owner.params])
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
