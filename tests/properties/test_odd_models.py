"""Machines: states, sweeps, energies and gradients of odd arrays are those of plain ones."""

import json
from decimal import Decimal

import numpy as np
from hypothesis import example
from hypothesis import strategies as st
from machines import array as doubled
from machines import build, twin
from odd import (
    ONE_HOT_ROWS,
    REFUSED,
    Handed,
    array,
    attempt,
    given,
    handed,
    is_number,
    is_whole,
    ordinary,
    plain,
    shapes,
    things,
)

from paysage import backends as be
from paysage.batch import in_memory_batch
from paysage.layers import BernoulliLayer, Weights
from paysage.models import BoltzmannMachine, Connection, State, StateTAP, gibbs_free_energy

KINDS = st.sampled_from(["BB", "GB", "BG", "OB", "BBB", "GBO"])
VISIBLE = handed(st.one_of(shapes(most=2), st.tuples(st.integers(0, 4), st.just(3))))
METHODS = ("markov_chain", "mean_field_iteration", "deterministic_iteration")
NAN = np.full((2, 3), np.nan)
ONES = np.ones((2, 3))


def machine(kinds, **options):
    return build(kinds, (3, 2, 4)[: len(kinds)], **options)


def is_visible(kind, x):
    """Whether a visible layer of this type can have these units."""
    single = x.single()
    if single is None or single.ndim != 2 or single.shape[1] != 3 or not single.size:
        return False
    good = bool(np.isfinite(single).all())
    if kind != "G":
        good = good and bool(((single >= 0) & (single <= 1)).all())
    if kind == "O":
        good = good and bool(((single == 0) | (single == 1)).all())
        good = good and bool((single.sum(axis=1) == 1).all())
    return good


def moderate(x):
    return bool(np.abs(x.single()).max(initial=0) < 1e15)


@given(KINDS, VISIBLE)
def test_states_of_visible_units(kinds, x):
    model = machine(kinds)
    for start in (State.from_visible, State.from_visible_means):
        be.set_seed(1)
        state = attempt(start, x.what, model)
        assert (state is REFUSED) == (not is_visible(kinds[0], x))
        if state is REFUSED:
            continue
        be.set_seed(1)
        expected = start(plain(x.single()), model)
        for units, same in zip(state, expected, strict=True):
            np.testing.assert_allclose(array(units), array(same), rtol=1e-6)
        np.testing.assert_array_equal(array(state[0]), x.single())
        assert x.same_now()


@given(KINDS, VISIBLE, st.one_of(st.sampled_from(METHODS), things()))
@example("BB", ordinary(ONE_HOT_ROWS), "markov_chain")
@example("GBO", ordinary(ONE_HOT_ROWS), "mean_field_iteration")
def test_reconstructions(kinds, x, method):
    model = machine(kinds)
    be.set_seed(137)
    found = attempt(model.compute_reconstructions, x.what, method)
    good = is_visible(kinds[0], x) and isinstance(method, str) and method in METHODS
    assert (found is REFUSED) == (not good)
    if good:
        be.set_seed(137)
        expected = model.compute_reconstructions(plain(x.single()), method)
        np.testing.assert_allclose(array(found[0]), array(expected[0]), rtol=1e-6)
        assert x.same_now()


@given(KINDS, st.lists(VISIBLE, max_size=3))
def test_states_of_tensors(kinds, parts):
    state = attempt(State, [x.what for x in parts])
    means = [x.means for x in parts]
    good = all(m is not None and m.ndim > 0 for m in means)
    good = good and len({len(m) for m in means}) == 1
    assert (state is REFUSED) == (not good)
    model = machine(kinds)
    if good:
        shapes_now = [tuple(be.shape(u)) for u in state]
        fits = [(len(means[0]), k.num_units) for k in model.layers] == shapes_now
        assert (attempt(model.check_state, state) is REFUSED) == (not fits)


@st.composite
def states(draw, values=("binary", "means", "normal", "nan", "far", "huge"), rows=(1, 4)):
    """States of the machine "GBO", or of another one."""
    kinds, count = draw(KINDS), draw(st.integers(*rows))
    parts = [
        draw(handed(st.just((count, n)), values=values, strange=False))
        for n in (3, 2, 4)[: len(kinds)]
    ]
    return kinds, parts


def in_double(parts):
    return [plain(x.single()) for x in parts]


@given(states())
def test_energies(drawn):
    """Those of the reference in double precision; NaN where there is NaN."""
    kinds, parts = drawn
    model = machine(kinds)
    found = model.joint_energy(State(x.what for x in parts))
    assert tuple(be.shape(found)) == (len(parts[0].means),)
    numbers = in_double(parts)
    finite = np.all([np.isfinite(x).all(axis=1) for x in numbers], axis=0)
    assert not np.isfinite(array(found)[~finite]).any()
    if all(map(moderate, parts)):
        expected = twin(model).energy(numbers)
        size = np.sum([np.square(np.nan_to_num(x)).sum() + 1 for x in numbers])
        np.testing.assert_allclose(
            array(found)[finite], expected[finite], rtol=1e-5, atol=1e-5 * size
        )
    assert all(x.same_now() for x in parts)


def largest(x):
    """The largest of the numbers whose square a float can hold, at least one."""
    size = np.abs(x.means)
    return size.max(where=size < 1e18, initial=1)


@given(states(), states())
def test_gradients(one, other):
    (kinds, data), (other_kinds, sample) = one, other
    model = machine(kinds)
    pair = [State(x.what for x in parts) for parts in (data, sample)]
    found = attempt(model.gradient, *pair)
    assert (found is REFUSED) == (len(kinds) != len(other_kinds))
    if found is not REFUSED:
        again = model.gradient(*(State(in_double(parts)) for parts in (data, sample)))
        size = max(largest(x) for x in data + sample)
        for a, b in zip(found.leaves(), again.leaves(), strict=True):
            # BLAS may sum in another order what lies otherwise in memory
            np.testing.assert_allclose(array(a), array(b), rtol=1e-6, atol=1e-6 * size**2)


BETAS = st.one_of(
    st.floats(0, 2),
    handed(st.sampled_from([(2, 1), (1, 1), (2,), (3, 1)]), values=("means", "nan")),
    things(),
)


@given(states(rows=(2, 2)), st.one_of(st.integers(0, 2), things()), BETAS, st.sampled_from(METHODS))
@example(
    ("BB", [Handed(NAN, NAN, "nan"), Handed(NAN[:, :2], NAN[:, :2], "nan")]),
    1,
    1.0,
    "markov_chain",
)
@example(
    ("GB", [Handed(ONES, ONES, "1"), Handed(ONES[:, :2], ONES[:, :2], "1")]), 2, 0.0, "markov_chain"
)
def test_sweeps(drawn, steps, beta, method):
    kinds, parts = drawn
    model = machine(kinds)
    beta = beta.what if isinstance(beta, Handed) else beta
    state = State(x.what for x in parts)
    be.set_seed(137)
    found = attempt(getattr(model, method), steps, state, beta)
    if not is_whole(steps, 0) or not all(np.isfinite(x).all() for x in in_double(parts)):
        assert found is REFUSED
    assert all(x.same_now() for x in parts)
    if found is not REFUSED:
        be.set_seed(137)
        same = State(in_double(parts))
        plain_beta = None if beta is None else np.asarray(array(beta))
        expected = getattr(model, method)(steps, same, plain_beta)
        for kind, units, again in zip(kinds, found, expected, strict=True):
            np.testing.assert_allclose(array(units), array(again), rtol=1e-5, atol=1e-6)
            if steps and kind in "BO":
                assert ((array(units) >= 0) & (array(units) <= 1)).all()


@given(things(), things(), things())
def test_options_of_sweeps(beta, callbacks, clamped):
    model = machine("BB")
    state = State.from_visible(np.eye(3), model)
    found = attempt(model.markov_chain, 1, state, beta)
    several = isinstance(beta, np.ndarray | list | tuple) and _are_betas(beta)
    one = is_number(beta, 0) or isinstance(beta, Decimal) or several
    assert (found is REFUSED) == (not (beta is None or one))
    found = attempt(model.markov_chain, 1, state, None, callbacks, also=(TypeError,))
    assert callbacks is None or callable(callbacks) or _is_empty(callbacks) or found is REFUSED
    found = attempt(model.markov_chain, 1, state, clamped=clamped)
    assert (found is REFUSED) == (not _are_layers(clamped))
    found = attempt(model.set_clamped_sampling, clamped)
    assert (found is REFUSED) == (not _are_layers(clamped))
    if clamped is not None and _are_layers(clamped):
        assert model.clamped_sampling == [int(i) for i in clamped]


def _is_empty(thing):
    numbers = isinstance(thing, np.ndarray) and thing.shape == (0,)
    return numbers or (isinstance(thing, list | tuple | dict | set | str) and len(thing) == 0)


def _are_layers(clamped):
    if clamped is None:
        return True
    if not isinstance(clamped, list | tuple | set | dict | str | bytes | np.ndarray):
        return False
    flat = not isinstance(clamped, np.ndarray) or clamped.ndim == 1
    return flat and all(is_whole(i, 0) and i <= 1 for i in clamped)


def _are_betas(beta):
    try:
        column = np.asarray(beta, np.float64)
    except (TypeError, ValueError):
        return False
    good = column.size in (1, 3) and bool(np.isfinite(column).all() and (column >= 0).all())
    return good and np.asarray(beta).dtype.kind != "b"


@given(things(), st.one_of(st.lists(things(), max_size=3), things()))
def test_machines_of_anything(thing, connections):
    assert attempt(BoltzmannMachine, thing) is REFUSED
    assert attempt(BoltzmannMachine, [thing, BernoulliLayer(2)]) is REFUSED
    layers = [BernoulliLayer(3), BernoulliLayer(2)]
    found = attempt(BoltzmannMachine, layers, connections)
    assert (found is REFUSED) == (connections is not None)
    for ends, right in (((thing, 1), 0), ((0, thing), 1)):
        found = attempt(BoltzmannMachine, layers, [Connection(*ends, Weights((3, 2)))])
        assert (found is REFUSED) == (not (is_whole(thing, 0) and int(thing) == right))
    assert attempt(BoltzmannMachine, layers, [Connection(0, 1, thing)]) is REFUSED
    for gain in ("target_gain", "domain_gain"):
        link = Connection(0, 1, Weights((3, 2)), **{gain: thing})
        assert (attempt(BoltzmannMachine, layers, [link]) is REFUSED) == (not is_number(thing))


@given(things(), things())
def test_what_is_no_state_and_no_machine(thing, other):
    model = machine("BB")
    for act in (
        model.joint_energy,
        lambda s: model.markov_chain(1, s),
        lambda s: model.gradient(s, s),
        model.update_offsets,
        model.centered,
        State.from_state,
        StateTAP.from_state,
        model.gibbs_free_energy,
        lambda s: State.from_visible(np.eye(3), s),
        lambda s: State.from_model(2, s),
        lambda s: StateTAP.from_model(2, s),
        lambda s: gibbs_free_energy(s, StateTAP.from_model(2, model)),
        model.set_values,
        model.save,
        BoltzmannMachine.from_saved,
        BoltzmannMachine.from_config,
    ):
        if act in (model.save, BoltzmannMachine.from_saved) and isinstance(thing, str):
            continue
        assert attempt(act, thing) is REFUSED, act
    found = attempt(State.from_model, other, model)
    assert (found is REFUSED) == (not is_whole(other, 0))
    if found is not REFUSED:
        assert found.batch_size() == other


@given(KINDS, things(), st.sampled_from(["hinton", "glorot_normal", "stddev", "pca"]))
def test_first_guesses(kinds, thing, method):
    rows = np.eye(3)[np.arange(20) % 3]
    model, batch = machine(kinds), in_memory_batch(rows, 5)
    assert attempt(model.initialize, thing) is REFUSED
    assert attempt(model.initialize, batch, thing) is REFUSED
    found = attempt(model.initialize, batch, "pca", num_components=thing)
    assert (found is REFUSED) == (thing is not None and not (is_whole(thing, 1) and thing <= 2))
    assert attempt(model.initialize, batch, method) is None
    assert all(np.isfinite(doubled(p)).all() for k in model.layers for p in k.params)


@given(KINDS, handed(st.just((10, 3)), strange=False), st.sampled_from(["hinton", "pca"]))
def test_first_guesses_of_odd_data(kinds, x, method):
    batch = attempt(in_memory_batch, x.what, 3)
    if batch is REFUSED:
        return
    model, again = machine(kinds), machine(kinds)
    found = attempt(model.initialize, batch, method)
    inside = is_visible(kinds[0], Handed(None, x.means[:9], ""))
    assert (found is REFUSED) == (not inside)
    if inside and moderate(x):
        be.set_seed(137)
        again.initialize(in_memory_batch(plain(x.single()), 3), method)
        for a, b in zip(model.layers, again.layers, strict=True):
            for p, q in zip(a.params, b.params, strict=True):
                np.testing.assert_allclose(array(p), array(q), rtol=1e-6)
                assert np.isfinite(array(p)).all()


TAP_NUMBERS = {
    "init_lr": lambda v: is_number(v, 0),
    "tolerance": lambda v: is_number(v, 0) or (isinstance(v, float) and v == np.inf),
    "max_iters": lambda v: is_whole(v, 0),
    "decrease_on_neg": lambda v: is_number(v, 0, 1) and v > 0,
    "mean_weight": lambda v: is_number(v, 0, 1) and v < 1,
    "mean_square_weight": lambda v: is_number(v, 0, 1) and v < 1,
    "damping": lambda v: is_number(v, 0, 1) and v < 1,
    "num_samples": lambda v: is_whole(v, 1),
    "order": lambda v: is_whole(v, 1) and v <= 3,
    "beta": lambda v: is_number(v, 0) and v > 0,
}


@given(st.sampled_from(sorted(TAP_NUMBERS)), things(), st.booleans())
def test_options_of_mean_fields(name, thing, descent):
    model = machine("BB")
    found = attempt(model.compute_StateTAP, descent, **{name: thing})
    assert (found is REFUSED) == (not TAP_NUMBERS[name](thing))
    if found is not REFUSED:
        state, report = found
        assert all(np.isfinite(array(units)).all() for units in state)
        assert np.isfinite(array(report.free_energy)).all()


@given(KINDS, VISIBLE, st.one_of(st.integers(1, 3), things()))
def test_free_energies_of_odd_means(kinds, x, order):
    model = machine(kinds)
    state = attempt(StateTAP.from_visible, x.what, model)
    assert (state is REFUSED) == (not is_visible(kinds[0], x))
    if state is REFUSED:
        return
    found = attempt(model.gibbs_free_energy, state, order)
    assert (found is REFUSED) == (not (is_whole(order, 1) and order <= 3))
    if found is not REFUSED and moderate(x):
        again = StateTAP.from_visible(plain(x.single()), model)
        expected = model.gibbs_free_energy(again, order)
        np.testing.assert_allclose(array(found), array(expected), rtol=1e-4, atol=1e-4)


@given(KINDS, things(), st.sampled_from(["layers", "connections", "model_type"]))
def test_configurations(kinds, thing, key):
    model = machine(kinds)
    config = json.loads(json.dumps(model.get_config()))
    assert BoltzmannMachine.from_config(config).get_config() == model.get_config()
    attempt(BoltzmannMachine.from_config, {**config, key: thing})
    values = model.get_values()
    for part in ("layers", "offsets", "weights"):
        assert attempt(model.set_values, {**values, part: thing}) is REFUSED
    for old, new in zip(values["weights"], model.get_values()["weights"], strict=True):
        np.testing.assert_array_equal(old["matrix"], new["matrix"])
