"""Each constraint against NumPy, in place, and what a stored one comes back as."""

import json
from functools import partial

import numpy as np
import pytest

from paysage import backends as be
from paysage import constraints
from paysage.errors import ConfigError, ShapeError

MATRIX = np.array([[1.0, -2.0, 0.0], [-3.0, 4.0, 5.0], [0.5, -0.5, 0.0], [2.0, 2.0, 0.0]])
NORMS = np.linalg.norm(MATRIX, axis=0)
UNIT_COLUMNS = MATRIX / NORMS
MASK = np.array([[1, 0, 1], [0, 1, 1], [1, 1, 0], [0, 0, 1]])


def without_rows(index):
    result = MATRIX.copy()
    result[index] = 0
    return result


def without_columns(index):
    result = MATRIX.copy()
    result[:, index] = 0
    return result


CASES = [
    (constraints.non_negative, np.maximum(MATRIX, 0)),
    (constraints.non_positive, np.minimum(MATRIX, 0)),
    (constraints.diagonal, MATRIX * np.eye(4, 3)),
    (partial(constraints.zero_row, index=1), without_rows(1)),
    (partial(constraints.zero_row, index=[0, 3]), without_rows([0, 3])),
    (partial(constraints.zero_column, index=-1), without_columns(-1)),
    (partial(constraints.zero_column, index=[0, 1]), without_columns([0, 1])),
    (partial(constraints.zero_mask, mask=MASK), MATRIX * (1 - MASK)),
    (partial(constraints.zero_mask, mask=(MASK == 1).tolist()), MATRIX * (1 - MASK)),
    (constraints.fixed_column_norm, NORMS.mean() * UNIT_COLUMNS),
    (partial(constraints.fixed_column_norm, norm=2.5), 2.5 * UNIT_COLUMNS),
]


@pytest.fixture(params=CASES, ids=lambda case: getattr(case[0], "func", case[0]).__name__)
def case(request):
    return request.param


def test_it_changes_the_tensor_in_place(case):
    constraint, expected = case
    tensor = be.float_tensor(MATRIX)
    view = tensor[:]
    assert constraint(tensor) is None
    # a handful of single precision operations on numbers below 5
    np.testing.assert_allclose(be.to_numpy_array(view), expected, rtol=1e-6, atol=0)
    constraint(tensor)
    np.testing.assert_allclose(be.to_numpy_array(view), expected, rtol=1e-6, atol=0)


def test_it_works_on_transposed_views(case):
    constraint, expected = case
    tensor = be.transpose(be.float_tensor(MATRIX.T.copy()))
    constraint(tensor)
    np.testing.assert_allclose(be.to_numpy_array(tensor), expected, rtol=1e-6, atol=0)


def test_config_round_trip(case):
    constraint, expected = case
    text = json.dumps(constraints.get_config(constraint), allow_nan=False)
    again = constraints.from_config(json.loads(text))
    tensor = be.float_tensor(MATRIX)
    again(tensor)
    np.testing.assert_allclose(be.to_numpy_array(tensor), expected, rtol=1e-6, atol=0)
    assert constraints.get_config(again) == constraints.get_config(constraint)


def test_a_mask_may_be_a_tensor():
    constraint = partial(constraints.zero_mask, mask=be.float_tensor(MASK))
    again = constraints.from_config(json.loads(json.dumps(constraints.get_config(constraint))))
    for each in (constraint, again):
        tensor = be.float_tensor(MATRIX)
        each(tensor)
        np.testing.assert_array_equal(be.to_numpy_array(tensor), MATRIX * (1 - MASK))


def test_zero_columns_stay_and_do_not_lower_the_mean_norm():
    """Otherwise one dead column would shrink the others at every step of a training."""
    tensor = be.float_tensor([[0.0, 3.0, 0.0], [0.0, 4.0, 7.0]])
    constraints.fixed_column_norm(tensor)
    expected = [[0.0, 3.6, 0.0], [0.0, 4.8, 6.0]]
    np.testing.assert_allclose(be.to_numpy_array(tensor), expected, rtol=1e-6)


def test_masked_infinities_become_zero():
    tensor = be.float_tensor([[1.0, np.inf], [np.nan, 2.0]])
    constraints.zero_mask(tensor, [[0, 1], [1, 0]])
    np.testing.assert_array_equal(be.to_numpy_array(tensor), [[1.0, 0.0], [0.0, 2.0]])


@pytest.mark.parametrize("value", [0.5, 2.0, -1.0, np.nan])
def test_masks_of_other_values_are_refused(value):
    with pytest.raises(ConfigError, match="booleans or of zeros and ones"):
        constraints.zero_mask(be.ones((2,)), [1.0, value])


def test_off_diagonal_infinities_go():
    tensor = be.float_tensor([[1.0, np.inf], [np.nan, 2.0]])
    constraints.diagonal(tensor)
    np.testing.assert_array_equal(be.to_numpy_array(tensor), [[1.0, 0.0], [0.0, 2.0]])


def test_vectors():
    vector = be.float_tensor([1.0, -2.0, 3.0])
    constraints.non_negative(vector)
    constraints.zero_row(vector, 2)
    np.testing.assert_array_equal(be.to_numpy_array(vector), [1.0, 0.0, 0.0])


@pytest.mark.parametrize(
    ("constraint", "words"),
    [
        (partial(constraints.zero_row, index=4), r"index 4 for a tensor of shape \(4, 3\)"),
        (partial(constraints.zero_column, index=3), r"index 3 for a tensor of shape \(4, 3\)"),
        (partial(constraints.zero_mask, mask=[[1.0]]), r"mask of shape \(1, 1\)"),
    ],
)
def test_what_does_not_fit_is_refused(constraint, words):
    with pytest.raises(ShapeError, match=words):
        constraint(be.float_tensor(MATRIX))


@pytest.mark.parametrize("name", ["diagonal", "fixed_column_norm", "zero_column"])
def test_constraints_of_matrices_refuse_vectors(name):
    arguments = {"index": 0} if name == "zero_column" else {}
    with pytest.raises(ShapeError, match="expected a matrix"):
        getattr(constraints, name)(be.ones((3,)), **arguments)


@pytest.mark.backend_free
def test_a_constraint_of_ones_own():
    def tied(tensor, pairs=()):
        for one, other in pairs:
            tensor[one] = tensor[other]

    with pytest.raises(ConfigError, match=r"constraints\.register"):
        constraints.get_config(tied)
    assert constraints.register(tied) is tied
    constraint = constraints.from_config(
        constraints.get_config(partial(tied, pairs=[(0, 1), (2, 3)]))
    )
    array = MATRIX.copy()
    constraint(array)
    np.testing.assert_array_equal(array[[0, 2]], MATRIX[[1, 3]])


@pytest.mark.backend_free
@pytest.mark.parametrize(
    ("act", "words"),
    [
        (lambda: constraints.get_config(lambda tensor: None), "not registered"),
        (lambda: constraints.get_config(partial(constraints.zero_row, index=print)), "bound to"),
        (lambda: constraints.from_config({"name": "non_negativ"}), "did you mean 'non_negative'"),
        (lambda: constraints.from_config({"name": "tied_down"}), "unknown constraint"),
        (lambda: constraints.from_config("non_negative"), "dictionary with a 'name'"),
    ],
)
def test_what_cannot_be_stored_or_found_is_named(act, words):
    with pytest.raises(ConfigError, match=words):
        act()
