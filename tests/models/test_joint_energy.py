"""The energy of machines against the formula in double precision."""

import numpy as np
import pytest
from machines import array, arrays, build, pair, random_state, skip, state_of, twin

from paysage import backends as be
from paysage.errors import DataError, ShapeError
from paysage.models import State
from paysage.testing import ExactMachine

PAIRS = ["BB", "BG", "GB", "GG", "OB", "BO", "OG", "GO", "OO"]


def assert_energy(model, rows=9):
    state = random_state(model, rows)
    energy = model.joint_energy(state)
    assert tuple(be.shape(energy)) == (rows,)
    wanted = twin(model).energy(arrays(state))
    # sums of up to a hundred terms of order ten, each rounded to 6e-8 of itself
    np.testing.assert_allclose(array(energy), wanted, rtol=1e-5, atol=3e-5)


@pytest.mark.parametrize("center", [False, True])
@pytest.mark.parametrize("kinds", PAIRS)
def test_pairs(kinds, center):
    assert_energy(pair(kinds, center=center))


@pytest.mark.parametrize("center", [False, True])
def test_deep_machine_with_a_skip_connection(center):
    assert_energy(skip(center=center))


@pytest.mark.parametrize("kinds", ["GBGB", "BGGB", "OGBO"])
def test_mixed_graph(kinds):
    edges = [(0, 1), (2, 1), (2, 3), (3, 0)]
    assert_energy(build(kinds, (3, 4, 2, 5), edges, scale=0.3, center=True))


def test_gaussian_energy_is_the_sum_over_units_and_not_their_mean():
    model = build("GB", (4, 2), scale=0.0)
    model.layers[0].params.loc[:] = 0.0
    model.layers[0].params.log_var[:] = 0.0
    model.layers[1].params.loc[:] = 0.0
    energy = model.joint_energy(state_of([np.full((1, 4), 3.0), np.zeros((1, 2))]))
    np.testing.assert_allclose(array(energy), [4 * 9 / 2], rtol=1e-6)


def test_the_energy_of_a_row_does_not_depend_on_the_other_rows():
    model = skip()
    state = random_state(model, 6)
    each = [
        array(model.joint_energy(state_of([u[i : i + 1] for u in arrays(state)])))[0]
        for i in range(6)
    ]
    np.testing.assert_allclose(array(model.joint_energy(state)), each, rtol=1e-6, atol=1e-6)


def test_states_that_do_not_fit_are_refused():
    model = skip()
    with pytest.raises(ShapeError, match="2 layers"):
        model.joint_energy(State([be.zeros((3, 4)), be.zeros((3, 4))]))
    with pytest.raises(ShapeError, match=r"BernoulliLayer\(3\).*\(3, 4\)"):
        model.joint_energy(State([be.zeros((3, 4)) for _ in range(3)]))
    with pytest.raises(ShapeError, match="same number of rows"):
        State([be.zeros((3, 4)), be.zeros((2, 4))])


@pytest.mark.parametrize("beta", [1.0, 0.6])
@pytest.mark.parametrize("kinds", [kinds for kinds in PAIRS if kinds != "GG"])
def test_exact_machine_agrees_with_the_reference(kinds, beta):
    model = pair(kinds)
    exact, wanted = ExactMachine(model, beta), twin(model)
    np.testing.assert_allclose(exact.log_partition, wanted.log_sum(beta=beta), atol=2e-5)
    # log weights of order ten in single precision
    np.testing.assert_allclose(exact.probabilities, wanted.probabilities(beta=beta), rtol=1e-4)
    for mine, theirs in zip(arrays(exact.states), wanted.listed(), strict=True):
        np.testing.assert_array_equal(mine, theirs)


@pytest.mark.parametrize("center", [False, True])
@pytest.mark.parametrize("kinds", ["BGB", "OGB", "BOO"])
def test_exact_machine_of_a_graph_agrees_with_the_reference(kinds, center):
    model = build(kinds, (3, 2, 4), [(0, 1), (1, 2), (2, 0)], seed=4, center=center)
    exact, wanted = ExactMachine(model, 0.8), twin(model)
    np.testing.assert_allclose(exact.log_partition, wanted.log_sum(beta=0.8), atol=2e-5)
    np.testing.assert_allclose(exact.probabilities, wanted.probabilities(beta=0.8), rtol=1e-4)


def test_rows_that_are_no_states_have_no_position():
    model = pair("OB")
    exact = ExactMachine(model)
    np.testing.assert_array_equal(exact.index(exact.states), np.arange(4 * 8))
    between = state_of([np.eye(4), np.full((4, 3), 0.5)])
    with pytest.raises(DataError, match="no state"):
        exact.index(between)
