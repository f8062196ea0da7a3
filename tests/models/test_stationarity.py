"""Gibbs sweeps leave the exact distribution alone, and lead to it from far away.

Chains start at exact draws. After some sweeps each row is still an independent exact draw, if the
sampler is right, and the p-value of a statistic is uniform. Seeds are fixed and the bound is 1e-4;
of the about 250 p-values, new seeds would fail one in 40 runs of a right sampler. The last tests
break the sampler on purpose and ask for 1e-12.
"""

import numpy as np
import pytest
import stationarity
from machines import array, arrays, build, skip, state_of, twin

from paysage import backends as be
from paysage.layers import BernoulliLayer, GaussianLayer, OneHotLayer
from paysage.models import State
from paysage.testing import ExactMachine

ROWS = 20000
PASS, FAIL = 1e-4, 1e-12
BETAS = ["one", "number", "column"]

MACHINES = {
    "bernoulli": lambda: build("BB", (6, 5), seed=1),
    "hopfield": lambda: build("BG", (6, 3), seed=2, scale=0.6),
    "gaussian": lambda: build("GB", (3, 6), seed=3, scale=0.6),
    "skip": skip,
    "centered": lambda: skip(center=True),
    "categories": lambda: build("OB", (5, 5), seed=4),
    "mixture": lambda: build("GO", (3, 4), seed=4),
    "categories of categories": lambda: build("OO", (6, 4), seed=4, center=True),
    "all types": lambda: build("OGB", (4, 3, 4), [(0, 1), (1, 2), (0, 2)], 5, 0.5, center=True),
    "sandwich": lambda: build("BGB", (4, 3, 4), [(0, 1), (1, 2), (0, 2)], seed=5, scale=0.5),
}


def beta_of(name):
    """The library's argument and the groups of rows that have one beta."""
    if name == "one":
        return None, [(slice(None), 1.0)]
    if name == "number":
        return 0.6, [(slice(None), 0.6)]
    # neighbouring rows differ, so that a beta applied to the wrong row is seen
    column = np.where(np.arange(ROWS) % 2, 1.4, 0.6)[:, None]
    return be.float_tensor(column), [(slice(0, None, 2), 0.6), (slice(1, None, 2), 1.4)]


def exact_draws(model, groups):
    rng = np.random.default_rng(8)
    rows = [np.zeros((ROWS, layer.num_units)) for layer in model.layers]
    for part, beta in groups:
        drawn = ExactMachine(model, beta).draw(len(rows[0][part]), rng)
        for mine, units in zip(rows, arrays(drawn), strict=True):
            mine[part] = units
    return state_of(rows)


def p_values(model, state, groups):
    """Of the Bernoulli units against exact probabilities, of the Gaussian ones given those."""
    exact, rows, found = twin(model), arrays(state), []
    _, b, a = exact.quadratic()
    for part, beta in groups:
        position = ExactMachine(model).index(state_of([x[part] for x in rows]))
        found.append(stationarity.chi_square(position, exact.probabilities(beta=beta)))
        if a.size:
            # given the Bernoulli units the Gaussian ones are normal: mean A^-1 b, precision beta A
            units = np.hstack([rows[i][part] for i in exact.free({}, gaussian=True)])
            root = np.sqrt(beta) * np.linalg.cholesky(a)
            standard = (units - b[position] @ np.linalg.inv(a)) @ root
            found += [stationarity.normality(standard), stationarity.shape(standard)]
    return found


@pytest.mark.parametrize("beta_name", BETAS)
@pytest.mark.parametrize("name", MACHINES)
def test_sweeps_leave_the_exact_distribution_alone(name, beta_name):
    model = MACHINES[name]()
    beta, groups = beta_of(beta_name)
    start = exact_draws(model, groups)
    assert min(p_values(model, start, groups)) > PASS
    end = model.markov_chain(3, start, beta)
    assert any(not np.array_equal(a, b) for a, b in zip(arrays(start), arrays(end), strict=True))
    assert min(p_values(model, end, groups)) > PASS


@pytest.mark.parametrize("name", ["skip", "all types"])
@pytest.mark.parametrize("clamped", [(0,), (1,), (2,), (0, 2)])
def test_sweeps_of_some_layers_leave_the_exact_distribution_alone(clamped, name):
    model = MACHINES[name]()
    beta, groups = beta_of("column")
    start = exact_draws(model, groups)
    end = model.markov_chain(3, start, beta, clamped=clamped)
    assert min(p_values(model, end, groups)) > PASS


def test_clamped_visible_units_lead_to_the_conditional_distribution():
    model = skip()
    visible = np.array([1.0, 0.0, 0.0, 1.0])
    start = State.from_model(ROWS, model)
    start[0] = be.float_tensor(np.tile(visible, (ROWS, 1)))
    end = model.markov_chain(30, start, clamped=[0])
    exact = twin(model)
    position = np.hstack(arrays(end)[1:]) @ 2.0 ** np.arange(6, -1, -1)
    wanted = exact.probabilities({0: visible})
    assert stationarity.chi_square(position.astype(int), wanted) > PASS


@pytest.mark.parametrize("beta_name", BETAS)
def test_two_gaussian_layers_against_the_joint_normal(beta_name):
    model = build("GG", (4, 3), seed=6, scale=0.15)
    beta, groups = beta_of(beta_name)
    _, b, a = twin(model).quadratic()
    mean, root = b[0] @ np.linalg.inv(a), np.linalg.cholesky(a)
    rng = np.random.default_rng(9)
    joint = np.zeros((ROWS, 7))
    for part, value in groups:
        normal = rng.standard_normal(joint[part].shape) / np.sqrt(value)
        joint[part] = mean + normal @ np.linalg.inv(root)
    end = model.markov_chain(3, state_of([joint[:, :4], joint[:, 4:]]), beta)
    for part, value in groups:
        standard = np.sqrt(value) * (np.hstack(arrays(end))[part] - mean) @ root
        assert stationarity.normality(standard) > PASS
        assert stationarity.shape(standard) > PASS


def sweep_matrix(machine):
    """Transition matrix of the visible units of two Bernoulli layers in one sweep."""
    joint = machine.probabilities().reshape(2 ** machine.units[0].size, -1)
    up = joint / joint.sum(axis=1, keepdims=True)
    down = joint / joint.sum(axis=0, keepdims=True)
    return up @ down.T


def test_chains_from_far_off_reach_the_exact_distribution():
    model = MACHINES["bernoulli"]()
    exact = twin(model)
    matrix = sweep_matrix(exact)
    # total variation after n sweeps from all units on; a shift of 1e-6 is far below 1/sqrt(ROWS)
    row = np.linalg.matrix_power(matrix, 12)[-1]
    visible = exact.probabilities().reshape(64, 32).sum(axis=1)
    assert np.abs(row - visible).sum() / 2 < 1e-6
    start = state_of([np.ones((ROWS, 6)), np.ones((ROWS, 5))])
    groups = [(slice(None), 1.0)]
    assert p_values(model, start, groups)[0] < FAIL
    early = model.markov_chain(1, start)
    assert p_values(model, early, groups)[0] < FAIL
    assert p_values(model, model.markov_chain(12, start), groups)[0] > PASS


def test_gaussian_chains_from_far_off_reach_the_exact_distribution():
    model = build("GB", (3, 6), seed=3, scale=0.4)
    start = state_of([np.full((ROWS, 3), 50.0), np.ones((ROWS, 6))])
    early = model.markov_chain(5, start)
    assert p_values(model, early, [(slice(None), 1.0)])[0] < FAIL
    # what is left after 5 sweeps is below the noise after 10, so 30 are plenty
    end = model.markov_chain(30, start)
    assert min(p_values(model, end, [(slice(None), 1.0)])) > PASS


def broken(monkeypatch, kind, change):
    """Replace a layer type's sampling by one with changed field or beta."""
    proper = kind.sample

    def sample(self, field, beta=None, out=None):
        return proper(self, *change(field, beta), None)

    monkeypatch.setattr(kind, "sample", sample)


@pytest.mark.parametrize("name", ["bernoulli", "hopfield", "gaussian", "skip"])
def test_a_sampler_that_ignores_beta_is_found_out(name, monkeypatch):
    model = MACHINES[name]()
    beta, groups = beta_of("column")
    start = exact_draws(model, groups)
    broken(monkeypatch, BernoulliLayer, lambda field, beta: (field, None))
    assert min(p_values(model, model.markov_chain(3, start, beta), groups)) < FAIL


def test_gaussian_units_that_ignore_beta_are_found_out(monkeypatch):
    model = MACHINES["hopfield"]()
    start = exact_draws(model, beta_of("number")[1])
    broken(monkeypatch, GaussianLayer, lambda field, beta: (field, None))
    found = p_values(model, model.markov_chain(3, start, 0.6), beta_of("number")[1])
    assert min(found) < FAIL


def test_a_bias_left_out_of_the_tempering_is_found_out(monkeypatch):
    model = MACHINES["categories"]()
    start = exact_draws(model, beta_of("number")[1])
    monkeypatch.setattr(
        OneHotLayer,
        "sample",
        lambda self, field, beta=None, out=None: be.rand_softmax(beta * field + self.params.loc),
    )
    found = p_values(model, model.markov_chain(3, start, 0.6), beta_of("number")[1])
    assert min(found) < FAIL


def test_a_field_that_is_off_by_a_fifth_is_found_out(monkeypatch):
    model = MACHINES["skip"]()
    beta, groups = beta_of("one")
    start = exact_draws(model, groups)
    broken(monkeypatch, BernoulliLayer, lambda field, beta: (field + 0.2, beta))
    assert p_values(model, model.markov_chain(3, start, beta), groups)[0] < FAIL


def test_layers_updated_from_stale_neighbours_are_found_out(monkeypatch):
    """All layers drawn at once, from the state before the sweep, is not Gibbs sampling."""
    model = MACHINES["skip"]()
    _, groups = beta_of("one")
    start = exact_draws(model, groups)

    def run(steps, state, hook, beta=None, clamped=(), callbacks=()):
        for _ in range(steps):
            old = State.from_state(state)
            for i in range(len(state)):
                new = State.from_state(old)
                model.sweeps.update(new, i, hook, beta)
                state[i] = new[i]

    monkeypatch.setattr(model.sweeps, "run", run)
    assert p_values(model, model.markov_chain(3, start), groups)[0] < FAIL


def test_beta_given_as_numbers_or_as_columns_is_the_same():
    model = skip()
    start = State.from_model(50, model)
    for beta in (1.0, 0.6):
        be.set_seed(4)
        number = model.markov_chain(3, start, beta)
        be.set_seed(4)
        column = model.markov_chain(3, start, be.float_tensor(np.full((50, 1), beta)))
        for a, b in zip(number, column, strict=True):
            np.testing.assert_array_equal(array(a), array(b))
