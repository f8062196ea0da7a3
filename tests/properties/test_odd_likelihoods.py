"""Likelihoods of odd data: those by enumeration in double precision, or a named error."""

import math
import warnings

import numpy as np
from hypothesis import strategies as st
from machines import build
from odd import REFUSED, attempt, given, handed, is_number, is_whole, plain, shapes, things
from test_odd_models import KINDS, VISIBLE, is_visible, machine, moderate

from paysage import likelihood
from paysage.batch import in_memory_batch
from paysage.likelihood import AIS, LikelihoodWarning
from paysage.math_utils import MeanVarianceArrayCalculator
from paysage.models import State
from paysage.testing import ExactMachine


def quietly(function, *args, **kwargs):
    """A call whose warnings about likelihoods are not what is looked at."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LikelihoodWarning)
        return attempt(function, *args, **kwargs)


def free_energies(model, rows):
    """Log of the sum over hidden states at each row, of a machine of two binary layers."""
    visible, hidden = model.layers
    b, c, w = (
        np.asarray(p, np.float64)
        for p in (visible.params.loc, hidden.params.loc, model.connections[0].weights.W())
    )
    return rows @ b + np.logaddexp(0, rows @ w + c).sum(axis=1)


BINARY_ROWS = handed(
    st.one_of(shapes(most=2), st.tuples(st.integers(0, 4), st.just(3))),
    values=("binary", "constant", "nan", "inf", "means", "grey"),
)


@given(BINARY_ROWS, st.one_of(st.floats(-10, 10), things()))
def test_likelihoods_of_rows(x, log_z):
    model = machine("BB")
    found = quietly(likelihood.log_likelihood, model, x.what, log_z)
    assert (found is REFUSED) == (not (is_visible("B", x) and is_number(log_z)))
    if found is not REFUSED:
        expected = free_energies(model, plain(x.single())) - float(log_z)
        np.testing.assert_allclose(found.rows, expected, rtol=1e-5, atol=1e-5)
        assert math.isclose(found.mean, found.rows.mean()) and x.same_now()
        bound = quietly(likelihood.variational_bound, model, x.what, log_z)
        np.testing.assert_allclose(bound.rows, expected, rtol=1e-4, atol=1e-4)


@given(KINDS, VISIBLE)
def test_memory_makes_no_difference(kinds, x):
    model = machine(kinds)
    for function in (likelihood.log_likelihood, likelihood.variational_bound):
        found = quietly(function, model, x.what, 0.0)
        again = quietly(function, model, plain(x.single()) if x.means is not None else None, 0.0)
        assert (found is REFUSED) == (again is REFUSED)
        if not is_visible(kinds[0], x):
            assert found is REFUSED
        if found is not REFUSED:
            np.testing.assert_array_equal(found.rows, again.rows)


@given(BINARY_ROWS)
def test_pseudo_likelihoods(x):
    model = machine("BB")
    found = attempt(likelihood.pseudo_log_likelihood, model, x.what)
    rows = x.single()
    states = is_visible("B", x) and bool(((rows == 0) | (rows == 1)).all())
    assert (found is REFUSED) == (not states)
    if states:
        rows = plain(rows)
        expected = np.zeros(len(rows))
        for i in range(3):
            other = rows.copy()
            other[:, i] = 1 - other[:, i]
            expected -= np.logaddexp(0, free_energies(model, other) - free_energies(model, rows))
        np.testing.assert_allclose(found.rows, expected, rtol=1e-4, atol=1e-5)
        assert x.same_now()


@given(st.sampled_from(["BB", "OB", "BG", "GB", "BBB", "OO"]), st.floats(0, 2), st.integers(0, 9))
def test_partition_functions(kinds, scale, seed):
    model = build(kinds, (3, 2, 2)[: len(kinds)], seed=seed, scale=scale)
    expected = ExactMachine(model).log_partition
    found = likelihood.exact_log_partition(model)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-4)
    estimate = quietly(lambda: AIS(model, 20, 50, base=None).run())
    assert np.isfinite(estimate.log_partition)


@given(BINARY_ROWS, things())
def test_data_to_start_from(x, thing):
    model = machine("BB")
    made = attempt(AIS, model, 4, 3, base=x.what)
    assert (made is REFUSED) == (x.what is not None and not is_visible("B", x))
    if made is not REFUSED:
        estimate = quietly(made.run)
        assert np.isfinite(estimate.log_partition) and x.same_now()
    assert thing is None or attempt(AIS, model, 4, 3, base=thing) is REFUSED
    assert attempt(AIS, model, 4, 3, base=in_memory_batch(np.eye(10), 2)) is REFUSED
    assert attempt(AIS, model, 4, 3, base=MeanVarianceArrayCalculator()) is REFUSED


@given(things(), things(), share=2)
def test_settings(thing, other):
    model = machine("BB")
    start = State.from_model(3, model)
    assert (attempt(AIS, model, thing, 3) is REFUSED) == (not is_whole(thing, 2))
    assert (attempt(AIS, model, 4, thing) is REFUSED) == (not is_whole(thing, 1))
    found = quietly(likelihood.sandwich, model, start, thing, 3)
    assert (found is REFUSED) == (not is_whole(thing, 2))
    assert attempt(AIS(model, 4, 3).run_back, thing) is REFUSED
    assert attempt(likelihood.sandwich, model, thing, 4, 3) is REFUSED
    for name, least in (("pilot_chains", 2), ("pilot_steps", 1)):
        numbers = {"pilot_chains": 4, "pilot_steps": 3, name: other}
        found = attempt(AIS(model, 4, 3).adapt, **numbers)
        assert (found is REFUSED) == (not is_whole(other, least))
    for entry in (
        likelihood.exact_log_partition,
        likelihood.tap_log_partition,
        AIS,
        ExactMachine,
        lambda m: likelihood.log_likelihood(m, np.eye(3), 0.0),
        lambda m: likelihood.pseudo_log_likelihood(m, np.eye(3)),
        lambda m: likelihood.variational_bound(m, np.eye(3), 0.0),
    ):
        assert attempt(entry, thing) is REFUSED
    found = attempt(ExactMachine, model, thing)
    assert (found is REFUSED) == (not is_number(thing, 0))


TAP_OPTIONS = {
    "order": lambda v: is_whole(v, 1) and v <= 3,
    "num_samples": lambda v: is_whole(v, 1),
    "tolerance": lambda v: is_number(v, 0) or (isinstance(v, float) and v == math.inf),
    "max_iters": lambda v: is_whole(v, 0),
    "start": lambda v: v is None,
}


@given(things(), st.sampled_from(sorted(TAP_OPTIONS)))
def test_settings_of_mean_fields(thing, name):
    found = quietly(likelihood.tap_log_partition, machine("BB"), **{name: thing})
    assert (found is REFUSED) == (not TAP_OPTIONS[name](thing))


@given(KINDS, VISIBLE)
def test_starts_of_mean_fields(kinds, x):
    if not is_visible(kinds[0], x) or not moderate(x):
        return
    from paysage.models import StateTAP

    model = machine(kinds, scale=0.1)
    found = quietly(likelihood.tap_log_partition, model, start=StateTAP.from_visible(x.what, model))
    again = quietly(
        likelihood.tap_log_partition,
        model,
        start=StateTAP.from_visible(plain(x.single()), model),
    )
    assert found == again
