"""The gradient against finite differences of the exact log-likelihood, in double precision.

The library averages over the rows of a state. Exact averages are made of it by giving one row at a
time and weighting the results by exact probabilities; Gaussian units enter as two or more points
with the mean and the covariance of their exact distribution, which is all that the gradient sees.
"""

import numpy as np
import pytest
import reference
from machines import array, arrays, build, pair, random_state, skip, state_of, twin

from paysage import backends as be
from paysage import constraints, penalties
from paysage.errors import ShapeError
from paysage.models import State
from paysage.models.gradient import GradientBuilder, ModelGradient

DATA = {"B": np.array([[1, 0, 0, 1], [1, 1, 0, 1], [0, 0, 1, 1.0]])}
DATA["O"] = np.eye(4)[[0, 2, 2]]
DATA["G"] = np.array([[0.5, -1.0, 0.3, 2.0], [1.5, 0.2, 0.1, -0.4], [-0.7, 0.9, 1.1, 0.0]])
# terms of order ten in single precision, summed with weights that add up to one
CLOSE = {"rtol": 1e-5, "atol": 2e-5}


def leaves(gradient):
    """All parts of a gradient, by the same names as those of the reference."""
    found = {}
    for i, part in enumerate(gradient.layers):
        found |= {("layer", i, name): array(x) for name, x in part._asdict().items()}
    for c, part in enumerate(gradient.weights):
        found |= {("weights", c, name): array(x) for name, x in part._asdict().items()}
    return found


def points(machine, given):
    """(weight, row of every layer) with the exact first and second moments given some layers."""
    weights = machine.probabilities(given)
    rows = machine.listed(given)
    _, b, a = machine.quadratic(given)
    layers = machine.free(given, gaussian=True)
    if not layers:
        return [(w, [x[s] for x in rows]) for s, w in enumerate(weights)]
    inverse = np.linalg.inv(a)
    root = np.sqrt(len(a)) * np.linalg.cholesky(inverse)
    cuts = np.cumsum([machine.units[i].size for i in layers])
    found = []
    for s, w in enumerate(weights):
        for step in np.hstack([root, -root]).T:
            parts = np.split(b[s] @ inverse + step, cuts)
            filled = dict(zip(layers, parts, strict=False))
            row = [filled[i] if i in filled else x[s] for i, x in enumerate(rows)]
            found.append((w / (2 * len(a)), row))
    return found


def exact_average(model, weighted, zero):
    """Weighted sum of the gradients between one row and a fixed row."""
    total = {}
    for weight, row in weighted:
        gradient = leaves(model.gradient(state_of([x[None] for x in row]), zero))
        total = {k: total.get(k, 0) + weight * g for k, g in gradient.items()}
    return total


def exact_gradient(model, data):
    machine = twin(model)
    zero = random_state(model, 1, seed=7)
    positive = [(w / len(data), r) for v in data for w, r in points(machine, {0: v})]
    above = exact_average(model, positive, zero)
    below = exact_average(model, points(machine, {}), zero)
    return {key: above[key] - below[key] for key in above}


def assert_gradient(model, data):
    machine = twin(model)
    found = exact_gradient(model, data)
    assert found.keys() == machine.leaves().keys()
    for key, parameter in machine.leaves().items():
        # steps of 1e-4 in double precision: errors of about 1e-8
        wanted = reference.finite_difference(lambda: -machine.log_likelihood(data), parameter)
        np.testing.assert_allclose(found[key], wanted, err_msg=str(key), **CLOSE)
        assert np.abs(wanted).max() > 1e-2, f"{key}: nothing to see in a gradient of zero"


@pytest.mark.parametrize("center", [False, True])
@pytest.mark.parametrize("kinds", ["BB", "BG", "GB", "GG", "OB", "BO", "OG", "GO", "OO"])
def test_pairs(kinds, center):
    assert_gradient(pair(kinds, center=center), DATA[kinds[0]])


@pytest.mark.parametrize("center", [False, True])
def test_deep_machine_with_hidden_layers_summed_out(center):
    model = build("BBB", (4, 2, 2), [(0, 1), (1, 2), (2, 0)], seed=4, center=center)
    assert_gradient(model, DATA["B"])


@pytest.mark.parametrize("kinds", ["BGB", "GBB", "OBO", "GOB"])
def test_mixed_deep_machines(kinds):
    model = build(kinds, (4, 2, 2), [(0, 1), (1, 2), (0, 2)], seed=5, scale=0.4, center=True)
    assert_gradient(model, DATA[kinds[0]])


def test_a_bernoulli_layer_may_be_replaced_by_its_conditional_mean():
    """The energy is linear in Bernoulli units; see also `test_training_gradients.py`."""
    model, data = skip(), DATA["B"]
    machine = twin(model)

    def smoothed(given):
        # the last layer of the listed states runs fastest: one of its eight states is enough
        rows, weights = machine.listed(given), machine.probabilities(given)
        short = [x[::8] for x in rows]
        short[2] = machine.mean(short, 2)
        summed = weights.reshape(-1, 8).sum(axis=1)
        return [(w, [x[s] for x in short]) for s, w in enumerate(summed)]

    zero = random_state(model, 1)
    positive = [(w / len(data), r) for v in data for w, r in smoothed({0: v})]
    above, below = exact_average(model, positive, zero), exact_average(model, smoothed({}), zero)
    for key, parameter in machine.leaves().items():
        wanted = reference.finite_difference(lambda: -machine.log_likelihood(data), parameter)
        np.testing.assert_allclose(above[key] - below[key], wanted, err_msg=str(key), **CLOSE)


def test_rows_are_averaged_and_the_phases_may_differ_in_size():
    model = pair("BG")
    data, sample = random_state(model, 6, seed=1), random_state(model, 4, seed=2)
    one = random_state(model, 1, seed=3)
    found = leaves(model.gradient(data, sample))
    wanted = {}
    for state, sign in ((data, 1.0), (sample, -1.0)):
        rows = [[x[b] for x in arrays(state)] for b in range(state.batch_size())]
        part = exact_average(model, [(sign / len(rows), row) for row in rows], one)
        wanted = {k: wanted.get(k, 0) + g for k, g in part.items()}
    for key in found:
        np.testing.assert_allclose(found[key], wanted[key], **CLOSE)


def test_equal_phases_have_the_gradient_zero():
    model = skip(center=True)
    state = random_state(model, 5)
    for key, leaf in leaves(model.gradient(state, state)).items():
        np.testing.assert_allclose(leaf, 0, atol=1e-6, err_msg=str(key))


def test_penalties_are_added_once_whatever_the_number_of_rows():
    model = pair("GB")
    bare = pair("GB")
    model.layers[0].add_penalty({"loc": penalties.l2_penalty(0.3)})
    model.layers[0].add_penalty({"log_var": penalties.exp_l2_penalty(0.2)})
    model.connections[0].weights.add_penalty({"matrix": penalties.l1_penalty(0.1)})
    for rows in (1, 7):
        data, sample = random_state(model, rows, seed=1), random_state(model, 2 * rows, seed=2)
        found = leaves(model.gradient(data, sample))
        without = leaves(bare.gradient(data, sample))
        params = twin(model).leaves()
        extra = {
            ("layer", 0, "loc"): 0.3 * params["layer", 0, "loc"],
            ("layer", 0, "log_var"): 0.2 * np.exp(2 * params["layer", 0, "log_var"]),
            ("weights", 0, "matrix"): 0.1 * np.sign(params["weights", 0, "matrix"]),
        }
        for key in found:
            wanted = without[key] + extra.get(key, 0)
            np.testing.assert_allclose(found[key], wanted, err_msg=str(key), **CLOSE)


def test_fixed_parameters_have_the_gradient_zero_penalties_included():
    model = pair("GB")
    model.layers[0].set_fixed_params(["log_var"])
    model.layers[0].add_penalty({"log_var": penalties.l2_penalty(0.3)})
    model.layers[1].set_fixed_params(["loc"])
    model.connections[0].weights.set_fixed_params(["matrix"])
    model.connections[0].weights.add_penalty({"matrix": penalties.l2_penalty(0.3)})
    found = leaves(model.gradient(random_state(model, 6, 1), random_state(model, 6, 2)))
    free = {key for key, leaf in found.items() if leaf.any()}
    assert free == {("layer", 0, "loc")}


def test_parameters_that_become_fixed_between_two_gradients_have_the_gradient_zero():
    model = pair("GB")
    builder = GradientBuilder(model)
    data, sample = random_state(model, 6, 1), random_state(model, 6, 2)
    builder.compute(data, sample)
    model.layers[0].set_fixed_params(["log_var"])
    model.layers[1].set_fixed_params(["loc"])
    model.connections[0].weights.set_fixed_params(["matrix"])
    found = leaves(builder.compute(data, sample))
    assert {key for key, leaf in found.items() if leaf.any()} == {("layer", 0, "loc")}


def test_each_call_gives_a_gradient_of_its_own():
    model = pair("BB")
    data, sample = random_state(model, 6, 1), random_state(model, 6, 2)
    first = model.gradient(data, sample)
    before = leaves(first)
    model.gradient(sample, data)
    for key, leaf in leaves(first).items():
        np.testing.assert_array_equal(leaf, before[key])


def test_the_states_and_the_parameters_are_left_alone():
    model = skip(center=True)
    data, sample = random_state(model, 6, 1), random_state(model, 6, 2)
    before = arrays(data) + arrays(sample) + list(twin(model).leaves().values())
    model.gradient(data, sample)
    after = arrays(data) + arrays(sample) + list(twin(model).leaves().values())
    for a, b in zip(before, after, strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_gradient_has_the_shape_of_the_graph():
    model = build("BGB", (4, 3, 2))
    gradient = ModelGradient.zeros(model)
    assert [type(part) for part in gradient.layers] == [type(k.params) for k in model.layers]
    assert [tuple(be.shape(w.matrix)) for w in gradient.weights] == [(4, 3), (3, 2)]
    assert sum(int(be.num_elements(x)) for x in gradient.leaves()) == model.num_parameters()


def test_states_that_do_not_fit_are_refused():
    model, good = skip(), random_state(skip(), 3)
    with pytest.raises(ShapeError):
        model.gradient(State([be.zeros((3, 5)), good[1], good[2]]), good)
    with pytest.raises(ShapeError):
        model.gradient(good, State([good[0], good[1]]))


def test_constraints_are_applied_to_all_parameters():
    model = pair("GB")
    model.layers[0].add_constraint({"log_var": constraints.non_negative})
    model.connections[0].weights.add_constraint({"matrix": constraints.non_positive})
    model.enforce_constraints()
    assert array(model.layers[0].params.log_var).min() >= 0
    assert array(model.connections[0].weights.W()).max() <= 0
