"""Gradients as training computes them, against finite differences of the exact likelihood.

The truth is enumerated in double precision by `reference`. Parts without randomness agree to single
precision; means over independent batches are compared with their standard errors.
"""

from itertools import product

import numpy as np
import pytest
import reference
from machines import array, arrays, build, random_state, state_of, twin
from ternary import SampledTernary

from paysage import backends as be
from paysage import fit
from paysage.fit import MeanField, Phases
from paysage.layers import GaussianLayer
from paysage.likelihood import variational_bound
from paysage.models import State
from paysage.models.gradient import GradientBuilder

CLOSE = {"rtol": 1e-4, "atol": 1e-4}
#: finite differences of numbers in single precision, in steps of 0.01
FLOAT_STEP, FLOAT_CLOSE = 1e-2, {"rtol": 2e-3, "atol": 2e-3}
BATCHES, ROWS, SWEEPS = 20, 1000, 10
#: standard errors: Student's t with 19 degrees of freedom exceeds 8 once in 6·10⁶ comparisons
SIGMAS = 8

each_center = pytest.mark.parametrize("center", [False, True], ids=["plain", "centered"])


def positive_leaves(model, state):
    """The positive phase's part of the gradient, up to that of one fixed state, and this state."""
    fixed = random_state(model, 1, seed=9)
    return [array(leaf) for leaf in GradientBuilder(model).compute(state, fixed).leaves()], fixed


def positive_truth(model, visible, fixed):
    exact, rows, state = twin(model), array(visible), arrays(fixed)

    def objective():
        each = [exact.log_sum({0: row}) for row in rows]
        return -np.mean(each) - exact.energy(state)[0]

    return [reference.finite_difference(objective, p) for p in exact.leaves().values()]


def assert_close(found, wanted, names, **tolerance):
    for name, a, b in zip(names, found, wanted, strict=True):
        np.testing.assert_allclose(a, b, err_msg=str(name), **tolerance)


# positive phase of two layers: no randomness where the hidden layer can be summed out


@each_center
@pytest.mark.parametrize("kinds", [f"{a}{b}" for a, b in product("BGOT", "BGOT") if a + b != "GG"])
def test_positive_phase_of_two_layers_is_exact(kinds, center):
    model = build(kinds, (3, 2), seed=2, center=center)
    visible = random_state(model, 5)[0]
    found, fixed = positive_leaves(model, Phases(model, 5).positive_state(visible))
    wanted = positive_truth(model, visible, fixed)
    assert_close(found, wanted, twin(model).leaves(), **CLOSE)


@each_center
def test_positive_phase_of_a_layer_without_field_gradient_is_unbiased(center):
    model = build("BS", (3, 2), seed=2, center=center)
    visible = random_state(model, 5)[0]
    many = be.float_tensor(np.tile(array(visible), (ROWS // 5, 1)))
    phases, found = Phases(model, 5), []
    for _ in range(BATCHES):
        state = phases.positive_state(many)
        assert set(np.unique(array(state[1]))) <= {0.0, 1.0, 2.0}, "units are sampled"
        leaves, fixed = positive_leaves(model, state)
        found.append(leaves)
    assert_means(found, positive_truth(model, visible, fixed), twin(model).leaves())


def assert_means(found, wanted, names):
    """Compare means of independent batches with the truth."""
    for name, batches, truth in zip(names, zip(*found, strict=True), wanted, strict=True):
        error = np.std(batches, axis=0, ddof=1) / np.sqrt(len(batches))
        gap = np.abs(np.mean(batches, axis=0) - truth)
        assert (gap <= SIGMAS * error + 1e-4).all(), (name, gap, error)


@pytest.mark.parametrize("kinds", ["BG", "BT", "GB"])
def test_positive_phase_in_bfloat16(kinds):
    model = build(kinds, (3, 2), seed=2)
    visible = random_state(model, 5)[0]
    state = Phases(model, 5, precision="bf16").positive_state(visible)
    found, fixed = positive_leaves(model, state)
    wanted = positive_truth(model, visible, fixed)
    # weights and units have 8 bits; fields of order 1 enter the gradients quadratically
    assert_close(found, wanted, twin(model).leaves(), rtol=0.02, atol=0.02)


@each_center
@pytest.mark.parametrize("kinds", ["BB", "BG", "GB", "BO", "OG"])
def test_positive_phase_of_tap_is_exact(kinds, center):
    """Two gradients of TAP with the same means of the model differ by the positive phase alone."""
    model = build(kinds, (3, 2), seed=2, scale=0.2, center=center)
    method = fit.TAP(use_GD=False, tolerance=1e-6, max_iters=200)
    exact, found, wanted = twin(model), [], []
    for seed in (1, 2):
        visible = random_state(model, 5, seed)[0]
        gradient = method.tap_update(visible, Phases(model, 5))
        found.append([array(leaf) for leaf in gradient.leaves()])
        wanted.append(positive_truth(model, visible, random_state(model, 1)))
    gaps = [[a - b for a, b in zip(*pair, strict=True)] for pair in (found, wanted)]
    assert_close(*gaps, exact.leaves(), **CLOSE)


# mean fields: the gradient of the bound, at its fixed point


@each_center
@pytest.mark.parametrize("kinds", ["BBB", "BGB", "BOB", "BTB", "GBB", "TBT", "OTB", "BBG"])
def test_mean_field_gradient_is_that_of_the_bound(kinds, center):
    model = build(kinds, (3, 2, 2), seed=2, scale=0.5, center=center)
    visible = random_state(model, 5)[0]
    phases = Phases(model, 5, positive_phase=MeanField(1e-6, 500))
    found, fixed = positive_leaves(model, phases.positive_state(visible))

    def objective():
        return -variational_bound(model, visible, 0.0).mean - float(model.joint_energy(fixed)[0])

    wanted = [
        differences(objective, p)
        for owner in (*model.layers, *(c.weights for c in model.connections))
        for p in owner.params
    ]
    assert_close(found, wanted, twin(model).leaves(), **FLOAT_CLOSE)


def differences(function, tensor):
    result = np.zeros(tuple(be.shape(tensor)))
    for place in np.ndindex(result.shape):
        before, ends = float(tensor[place]), []
        for sign in (1, -1):
            tensor[place] = before + sign * FLOAT_STEP
            ends.append(function())
        tensor[place] = before
        result[place] = (ends[0] - ends[1]) / (2 * FLOAT_STEP)
    return result


def test_mean_field_samples_a_layer_without_field_gradient_in_its_settled_field():
    settings = {"positive_phase": MeanField(1e-6, 500)}
    sampled, summed = (build(kinds, (3, 2, 2), seed=2) for kinds in ("BSB", "BTB"))
    visible = random_state(sampled, 5)[0]
    wanted, _ = positive_leaves(summed, Phases(summed, 5, **settings).positive_state(visible))
    many = be.float_tensor(np.tile(array(visible), (ROWS // 5, 1)))
    phases = Phases(sampled, 5, **settings)
    found = []
    for _ in range(BATCHES):
        state = phases.positive_state(many)
        assert set(np.unique(array(state[1]))) <= {0.0, 1.0, 2.0}, "units are sampled"
        leaves, _ = positive_leaves(sampled, state)
        found.append(leaves)
    assert_means(found, wanted, twin(sampled).leaves())


@pytest.mark.parametrize("sweeps", [1, 2])
def test_means_and_fields_of_a_summed_out_layer_belong_together(sweeps):
    """Also where mean fields have not settled."""
    model = build("BTGT", (3, 2, 2, 2), seed=2, scale=0.3)
    phases = Phases(model, 5, positive_phase=MeanField(0, sweeps))
    state = phases.positive_state(random_state(model, 5)[0])
    assert sorted(state.fields) == [1, 2, 3]
    for i, field in state.fields.items():
        np.testing.assert_allclose(array(model.layers[i].mean(field)), array(state[i]), atol=1e-6)


def test_log_var_of_a_middle_gaussian_layer_is_at_rest_without_couplings():
    """At zero weights every distribution of a hidden layer fits the data equally well."""
    model = build("BGB", (4, 3, 2), scale=0.0)
    be.set_seed(3)
    visible = random_state(model, ROWS)[0]
    for positive_phase in (MeanField(), None):
        phases = Phases(model, ROWS, beta_std=0.0, positive_phase=positive_phase)
        found = []
        for _ in range(BATCHES):
            phases.negative.set_state(State.from_model(ROWS, model))
            found.append([array(fit.pcd(visible, phases).layers[1].log_var)])
        assert_means(found, [np.zeros(3)], ["log_var"])
    state = Phases(model, 5, positive_phase=MeanField()).positive_state(visible)
    leaves, fixed = positive_leaves(model, state)
    at_rest = array(model.layers[1].energy_gradient(fixed[1], model.sweeps.field(fixed, 1)).log_var)
    # E[-(x - loc)² / 2 var] = -1/2
    np.testing.assert_allclose(leaves[2] + at_rest, -0.5, atol=1e-5)


# whole gradients, by every method

GRAPHS = {
    **{kinds: (3, 2) for kinds in ("BT", "BS", "TB", "BG", "GB", "BO", "OB", "TG")},
    **{kinds: (3, 2, 2) for kinds in ("BTB", "BSB", "BGB", "BOB", "TBT", "BBT", "BBS", "GBO")},
}


def gradients(model, visible, method):
    """Independent gradients; the negative chains of `pcd` start at exact samples."""
    deep = len(model.layers) > 2
    converged = method is fit.pcd and not deep
    phases = Phases(model, ROWS, 1 if converged else SWEEPS, beta_std=0.0)
    rows = be.float_tensor(np.tile(array(visible), (ROWS // 5, 1)))
    rng = np.random.default_rng(1)
    for _ in range(BATCHES):
        phases.negative.set_state(exact_samples(model, ROWS, rng))
        yield [array(leaf) for leaf in method(rows, phases).leaves()]


def exact_samples(model, rows, rng):
    exact = twin(model)
    probabilities = exact.probabilities()
    pick = rng.choice(len(probabilities), rows, p=probabilities)
    state = state_of(units[pick] for units in exact.listed())
    for i, layer in enumerate(model.layers):
        if isinstance(layer, GaussianLayer):  # no two of them are connected
            model.sweeps.update(state, i, "sample")
    return state


@pytest.mark.parametrize(
    "kinds, name",
    # `cd` differs from `pcd` only in where its chains start
    [*product(GRAPHS, ["pcd"]), *product(["BT", "GB", "BTB", "GBO"], ["cd"])],
)
def test_gradient_of_a_method_is_that_of_the_likelihood(kinds, name):
    be.set_seed(4)
    model = build(kinds, GRAPHS[kinds], seed=2, scale=0.4, center=kinds in ("BT", "GB", "BTB"))
    visible = random_state(model, 5)[0]
    exact, rows = twin(model), array(visible)
    wanted = [
        reference.finite_difference(lambda: -exact.log_likelihood(rows), p)
        for p in exact.leaves().values()
    ]
    found = list(gradients(model, visible, getattr(fit, name)))
    assert_means(found, wanted, exact.leaves())


def test_energy_gradient_at_the_mean_is_not_the_exact_gradient():
    """The configuration can tell the two apart: 0.1 and more in every entry."""
    model = build("BT", (3, 3), seed=2, scale=1.0)
    visible = random_state(model, 5)[0]
    layer, state = model.layers[1], Phases(model, 5).positive_state(visible)
    exact = array(layer.field_gradient(state.fields[1]).quad)
    at_mean = array(layer.energy_gradient(state[1], None).quad)
    assert np.abs(exact - at_mean).min() > 0.1
    found, fixed = positive_leaves(model, state)
    wanted = positive_truth(model, visible, fixed)
    quad = list(twin(model).leaves()).index(("layer", 1, "quad"))
    np.testing.assert_allclose(found[quad], wanted[quad], **CLOSE)


@pytest.mark.parametrize("kinds", ["GB", "TB", "SB"])
def test_mean_field_chains_sum_the_visible_layer_out(kinds):
    """With update_method='mean_field_iteration' the negative phase holds means of all layers."""
    model = build(kinds, (3, 2), seed=2)
    phases = Phases(model, ROWS, update_method="mean_field_iteration", beta_std=0.0)
    state = phases.negative_state()
    chains = arrays(phases.negative.get_state())
    field = model.sweeps.field(phases.negative.get_state(), 0)
    np.testing.assert_allclose(array(model.layers[0].mean(field)), chains[0], atol=1e-6)
    if kinds == "SB":
        assert set(np.unique(array(state[0]))) <= {0.0, 1.0, 2.0}, "units are sampled"
        assert not set(np.unique(chains[0])) <= {0.0, 1.0, 2.0}, "chains keep their means"
    else:
        np.testing.assert_allclose(array(state.fields[0]), array(field), atol=1e-6)
        np.testing.assert_allclose(array(state[0]), chains[0], atol=1e-6)


def test_public_gradient_takes_given_units():
    """A plain State holds units, whatever the layers."""
    model = build("BT", (3, 2), seed=2)
    data, sample = random_state(model, 6, 1), random_state(model, 6, 2)
    found = array(model.gradient(data, sample).layers[1].quad)
    squares = [(array(state[1]) ** 2).mean(axis=0) for state in (data, sample)]
    np.testing.assert_allclose(found, squares[1] - squares[0], atol=1e-6)


def test_missing_field_gradient_is_reported():
    layer = SampledTernary(2)
    assert not layer.can_sum_out()
    with pytest.raises(NotImplementedError, match="SampledTernary does not define field_gradient"):
        layer.field_gradient(layer.zero_field(1))
