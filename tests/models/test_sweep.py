"""Sweeps: order, clamping, callbacks, and the deterministic kinds against the reference."""

import numpy as np
import pytest
from machines import array, arrays, build, pair, random_state, skip, state_of, twin

from paysage import backends as be
from paysage.errors import ConfigError, DivergenceError, ShapeError
from paysage.layers import Weights
from paysage.models import State
from paysage.samplers import SequentialMC
from paysage.threads import one_thread_each

METHODS = ["markov_chain", "mean_field_iteration", "deterministic_iteration"]
# three sweeps of means in single precision; the map is a contraction or nearly so
CLOSE = {"rtol": 1e-5, "atol": 1e-5}


def same(first, second):
    return all(np.array_equal(a, b) for a, b in zip(arrays(first), arrays(second), strict=True))


def reference_sweep(machine, rows, kind, beta, free):
    """Odd layers first, then even ones, each from the newest neighbours."""
    for i in [i for i in range(1, len(rows), 2)] + [i for i in range(0, len(rows), 2)]:
        if i in free:
            rows[i] = machine.mean(rows, i, beta) if kind == "mean" else machine.mode(rows, i)
    return rows


@pytest.mark.parametrize("beta_name", ["one", "number", "column"])
@pytest.mark.parametrize("name", ["BB", "BG", "GB", "GG", "OB", "GO", "OO", "skip", "deep"])
def test_mean_field_iteration(name, beta_name):
    model = {"skip": lambda: skip(center=True), "deep": lambda: build("BGBB", (4, 3, 3, 2))}.get(
        name, lambda: pair(name)
    )()
    start = random_state(model, 6)
    column = np.linspace(0.4, 1.6, 6)[:, None]
    beta, number = {
        "one": (None, 1.0),
        "number": (0.6, 0.6),
        "column": (be.float_tensor(column), column),
    }[beta_name]
    rows = arrays(start)
    for _ in range(3):
        rows = reference_sweep(twin(model), rows, "mean", number, range(9))
    for found, wanted in zip(arrays(model.mean_field_iteration(3, start, beta)), rows, strict=True):
        np.testing.assert_allclose(found, wanted, **CLOSE)


@pytest.mark.parametrize("name", ["BB", "BG", "GB", "BO", "OG", "skip"])
def test_deterministic_iteration(name):
    model = skip() if name == "skip" else pair(name)
    start, machine = random_state(model, 12), twin(model)
    rows = arrays(start)
    for _ in range(2):
        rows = reference_sweep(machine, rows, "mode", 1.0, range(9))
    for found, wanted in zip(arrays(model.deterministic_iteration(2, start)), rows, strict=True):
        np.testing.assert_allclose(found, wanted, **CLOSE)


def test_deterministic_iteration_does_not_raise_the_energy():
    model = skip()
    state = random_state(model, 40)
    energy = array(model.joint_energy(state))
    for _ in range(5):
        state = model.deterministic_iteration(1, state)
        lower = array(model.joint_energy(state))
        assert (lower <= energy + 1e-5).all()
        energy = lower


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("clamped", [[0], (1,), {2}, [0, 2], [0, 1, 2]])
def test_clamped_layers_stay_and_the_others_follow_them(method, clamped):
    model = skip()
    start = state_of([np.full((300, n), 0.25) for n in (4, 4, 3)])
    end = getattr(model, method)(2, start, clamped=clamped)
    for i in range(3):
        stayed = np.array_equal(array(end[i]), array(start[i]))
        assert stayed == (i in clamped)


def test_clamped_mean_field_against_the_reference():
    model = skip()
    start = random_state(model, 6)
    rows = arrays(start)
    for _ in range(3):
        rows = reference_sweep(twin(model), rows, "mean", 0.7, (1, 2))
    end = model.mean_field_iteration(3, start, 0.7, clamped=[0])
    for found, wanted in zip(arrays(end), rows, strict=True):
        np.testing.assert_allclose(found, wanted, **CLOSE)


@pytest.mark.parametrize("method", METHODS)
def test_the_state_that_was_given_is_not_changed(method):
    model = skip()
    start = random_state(model, 20)
    before = arrays(start)
    end = getattr(model, method)(3, start)
    for a, b in zip(before, arrays(start), strict=True):
        np.testing.assert_array_equal(a, b)
    end[0][:] = 7.0
    assert array(start[0]).max() <= 1.0


@pytest.mark.parametrize("method", METHODS)
def test_no_sweeps_give_an_equal_state(method):
    model = skip()
    start = random_state(model, 4)
    end = getattr(model, method)(0, start)
    assert same(start, end)
    assert end is not start


def test_set_clamped_sampling_is_the_default_and_the_argument_goes_first():
    model = skip()
    start = state_of([np.full((300, n), 0.25) for n in (4, 4, 3)])

    def moved(**kwargs):
        end = model.markov_chain(1, start, **kwargs)
        return [i for i in range(3) if not np.array_equal(array(end[i]), array(start[i]))]

    assert moved() == [0, 1, 2]
    model.set_clamped_sampling([0])
    assert moved() == [1, 2]
    assert moved(clamped=[1]) == [0, 2]
    assert moved(clamped=()) == [0, 1, 2]
    assert moved() == [1, 2]
    model.set_clamped_sampling([])
    assert moved() == [0, 1, 2]


@pytest.mark.parametrize("bad", [[3], [-1], ["visible"]])
def test_layers_that_do_not_exist_cannot_be_clamped(bad):
    model = skip()
    with pytest.raises(ConfigError, match="clamp"):
        model.markov_chain(1, random_state(model, 2), clamped=bad)
    with pytest.raises(ConfigError, match="clamp"):
        model.set_clamped_sampling(bad)
    assert model.clamped_sampling == []


def test_callbacks_are_called_after_each_sweep_with_the_state():
    model = skip()
    seen, order = [], []
    end = model.markov_chain(
        4,
        random_state(model, 5),
        callbacks=[
            lambda s: (seen.append(arrays(s)), order.append("first")),
            lambda s: order.append("second"),
        ],
    )
    assert order == ["first", "second"] * 4
    assert len({tuple(np.hstack(s).ravel()) for s in seen}) > 1
    for a, b in zip(seen[-1], arrays(end), strict=True):
        np.testing.assert_array_equal(a, b)


def test_odd_layers_are_updated_before_even_ones(monkeypatch):
    model = build("BBBBB", (2, 3, 2, 3, 2))
    calls = []
    for i, layer in enumerate(model.layers):
        proper = layer.sample
        monkeypatch.setattr(
            layer,
            "sample",
            lambda field, beta=None, out=None, i=i, proper=proper: (
                calls.append(i),
                proper(field, beta, out),
            )[1],
        )
    model.markov_chain(2, random_state(model, 3))
    assert calls == [1, 3, 0, 2, 4] * 2


def test_the_same_seed_gives_the_same_chain():
    model = skip()
    start = random_state(model, 20)
    be.set_seed(9)
    first = model.markov_chain(5, start)
    second = model.markov_chain(5, start)
    be.set_seed(9)
    assert same(first, model.markov_chain(5, start))
    assert not same(first, second)


def test_batches_of_different_sizes_do_not_disturb_each_other():
    model = skip()
    large, small = random_state(model, 9), random_state(model, 2)
    alone = arrays(model.mean_field_iteration(2, small))
    model.mean_field_iteration(2, large)
    for a, b in zip(alone, arrays(model.mean_field_iteration(2, small)), strict=True):
        np.testing.assert_array_equal(a, b)


# the pass up from the visible layer


def test_pass_up_of_two_layers_is_the_conditional_mean():
    for kinds in ("BB", "BG", "GB", "GG"):
        model = pair(kinds, center=True)
        visible = random_state(model, 6)[0]
        state = State.from_visible_means(visible, model)
        rows = [array(visible), np.zeros((6, 3))]
        np.testing.assert_allclose(array(state[1]), twin(model).mean(rows, 1), **CLOSE)
        np.testing.assert_array_equal(array(state.get_visible()), array(visible))
        assert (len(state), state.batch_size()) == (2, 6)


def expit(x):
    return 1 / (1 + np.exp(-x))


def test_pass_up_of_a_chain_doubles_what_inner_layers_receive():
    model = build("BBB", (4, 3, 2))
    w = [array(c.weights.W()) for c in model.connections]
    b = [array(layer.params.loc) for layer in model.layers]
    visible = random_state(model, 6)[0]
    state = State.from_visible_means(visible, model)
    first = expit(b[1] + 2 * array(visible) @ w[0])
    np.testing.assert_allclose(array(state[1]), first, **CLOSE)
    np.testing.assert_allclose(array(state[2]), expit(b[2] + first @ w[1]), **CLOSE)


def test_pass_up_of_a_graph_takes_the_neighbours_that_are_set():
    model = skip()
    (_, _, w01), (_, _, w12), (_, _, w20) = twin(model).edges
    b = [array(layer.params.loc) for layer in model.layers]
    visible = random_state(model, 6)[0]
    state = State.from_visible_means(visible, model)
    first = expit(b[1] + 2 * array(visible) @ w01)
    second = expit(b[2] + first @ w12 + array(visible) @ w20.T)
    np.testing.assert_allclose(array(state[1]), first, **CLOSE)
    np.testing.assert_allclose(array(state[2]), second, **CLOSE)


def test_visible_units_of_another_width_are_refused():
    with pytest.raises(ShapeError, match=r"BernoulliLayer\(4\)"):
        State.from_visible_means(be.zeros((3, 5)), skip())
    with pytest.raises(ShapeError, match=r"BernoulliLayer\(4\)"):
        State.from_visible_means(be.zeros((4,)), skip())


def test_from_model_draws_each_layer_on_its_own():
    model = build("BBB", (4, 4, 3), seed=3, scale=3.0)
    rows = 20000
    state = State.from_model(rows, model)
    for i, layer in enumerate(model.layers):
        p = expit(array(layer.params.loc))
        z = (array(state[i]).mean(axis=0) - p) / np.sqrt(p * (1 - p) / rows)
        assert np.abs(z).max() < 5  # of eleven draws, at 5 sigma


def test_from_state_is_a_copy():
    state = random_state(skip(), 3)
    twin_state = State.from_state(state)
    twin_state[1][:] = 7.0
    assert array(state[1]).max() <= 1.0


# reconstructions


def test_reconstructions_pass_up_and_sweep_once():
    model = skip()
    visible = random_state(model, 6)[0]
    before = array(visible)
    rows = reference_sweep(
        twin(model), arrays(State.from_visible_means(visible, model)), "mean", 1.0, range(9)
    )
    found = model.compute_reconstructions(visible, method="mean_field_iteration")
    for a, b in zip(arrays(found), rows, strict=True):
        np.testing.assert_allclose(a, b, **CLOSE)
    np.testing.assert_array_equal(array(visible), before)


def test_reconstructions_draw_by_default_and_leave_the_data_alone():
    model = pair("BB")
    visible = be.float_tensor(np.full((200, 4), 0.5))
    found = model.compute_reconstructions(visible)
    assert set(np.unique(array(found.get_visible()))) == {0.0, 1.0}
    assert array(visible).min() == 0.5


def test_reconstructions_ignore_clamping():
    model = pair("BB")
    model.set_clamped_sampling([0])
    found = model.compute_reconstructions(be.float_tensor(np.full((200, 4), 0.5)))
    assert 0.5 not in array(found.get_visible())


@pytest.mark.parametrize("method", METHODS)
def test_units_beyond_floats_are_told(method):
    model = pair("GG")
    model.connections[0].weights.params.matrix[:] = 1e30
    start = be.ones((3, 4))
    for sweep in (
        lambda: model.compute_reconstructions(start, method),
        lambda: getattr(model, method)(1, State.from_visible_means(start, model)),
    ):
        with pytest.raises(DivergenceError, match="have become NaN or infinite"):
            sweep()


def test_unknown_methods_are_refused():
    with pytest.raises(ConfigError, match=r"gibbs.*markov_chain"):
        pair("BB").compute_reconstructions(be.zeros((2, 4)), method="gibbs")


@pytest.mark.parametrize("method", METHODS)
def test_states_that_do_not_fit_are_refused(method):
    model = skip()
    with pytest.raises(ShapeError):
        getattr(model, method)(1, State([be.zeros((3, 4)), be.zeros((3, 4))]))
    with pytest.raises(ShapeError):
        getattr(model, method)(1, State([be.zeros((3, 4)) for _ in range(3)]))


def test_a_clamped_layer_may_hold_any_values():
    model = skip()
    start = random_state(model, 3)
    start[0] = be.float_tensor(np.full((3, 4), 0.5))
    end = model.markov_chain(1, start, clamped=[0])
    np.testing.assert_array_equal(array(end[0]), 0.5)


@pytest.mark.parametrize("wrong", [1, 3])
def test_a_column_of_betas_needs_one_beta_a_row(wrong):
    """A column of another length must not be stretched, or read past its end."""
    model = skip()
    beta = be.float_tensor(np.ones((wrong, 1)))
    if wrong == 1:
        assert model.markov_chain(1, random_state(model, 4), beta).batch_size() == 4
    else:
        with pytest.raises(ShapeError, match="beta"):
            model.markov_chain(1, random_state(model, 4), beta)


@pytest.mark.parametrize(
    "form", [list, np.array, lambda b: np.array(b)[:, None], lambda b: be.float_tensor(b)]
)
def test_betas_may_come_as_a_vector_a_list_or_an_array(form):
    model = skip()
    start, numbers = random_state(model, 4), [0.2, 0.5, 1.0, 2.0]
    wanted = model.mean_field_iteration(1, start, be.float_tensor(np.array(numbers)[:, None]))
    assert same(model.mean_field_iteration(1, start, form(numbers)), wanted)


def test_a_number_of_numpy_leaves_the_precision_alone():
    seen = []
    model = skip()
    proper = model.layers[1].sample
    model.layers[1].sample = lambda field, beta, out: (seen.append(beta), proper(field, beta))[1]
    model.markov_chain(1, random_state(model, 3), beta=np.float64(0.5))
    assert [type(beta) for beta in seen] == [float]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("bad", [-1, 1.5, "2", None])
def test_impossible_numbers_of_sweeps(method, bad):
    model = skip()
    with pytest.raises(ConfigError, match="whole number"):
        getattr(model, method)(bad, random_state(model, 2))


def test_weights_that_are_replaced_are_replaced_for_the_sweeps_too():
    model = pair("BB")
    model.connections[0].weights = Weights((4, 3), scale=3.0)
    visible = random_state(model, 6)[0]
    wanted = twin(model).mean([array(visible), np.zeros((6, 3))], 1)
    np.testing.assert_allclose(array(State.from_visible_means(visible, model)[1]), wanted, **CLOSE)


def test_fields_of_many_rows_are_summed_in_pieces(monkeypatch):
    """On two cores where there are two; sums of 4 products, in whatever order BLAS takes."""
    model = skip()
    state = random_state(model, 7)
    expected = [array(model.sweeps.field(state, i)) for i in range(3)]
    monkeypatch.setattr("paysage.threads.WORTH_CUTTING", 1)
    monkeypatch.setattr("paysage.threads.MIN_PIECE", 1)
    with one_thread_each():
        found = [array(model.sweeps.field(state, i)) for i in range(3)]
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-5)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("bad", [-0.5, np.nan, np.inf, [1.0, -1.0], [1.0, np.nan]])
def test_impossible_betas(method, bad):
    model = skip()
    with pytest.raises(ConfigError, match="beta must be a finite number, at least 0, got"):
        getattr(model, method)(1, random_state(model, 2), beta=bad)


@pytest.mark.parametrize("bad", [0, True, [3], [-1], [True], ["0"], 1.5])
def test_what_is_no_collection_of_layers_cannot_be_clamped(bad):
    model = skip()
    for call in (
        lambda: model.markov_chain(1, random_state(model, 2), clamped=bad),
        lambda: model.set_clamped_sampling(bad),
        lambda: SequentialMC(model, clamped=bad),
    ):
        with pytest.raises(ConfigError, match=r"clamp.*got|cannot clamp layer"):
            call()


def test_a_single_function_is_a_callback_too():
    model, seen = skip(), []
    model.markov_chain(3, random_state(model, 2), callbacks=seen.append)
    assert len(seen) == 3


@pytest.mark.parametrize("bad", ["print", 3, [print, None]])
def test_what_cannot_be_called_is_no_callback(bad):
    model = skip()
    with pytest.raises(ConfigError, match="callbacks takes functions"):
        model.markov_chain(3, random_state(model, 2), callbacks=bad)
