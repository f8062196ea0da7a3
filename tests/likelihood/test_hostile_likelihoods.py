"""What has no likelihood gets a named error, and what is odd the right number, from every entry."""

import numpy as np
import pytest
from machines import array, build, pair, skip

from paysage import backends as be
from paysage.errors import ConfigError, DataError, DivergenceError, PaysageError, ShapeError
from paysage.likelihood import (
    AIS,
    LikelihoodWarning,
    exact_log_partition,
    log_likelihood,
    pseudo_log_likelihood,
    sandwich,
    tap_log_partition,
    variational_bound,
)
from paysage.math_utils import MeanVarianceArrayCalculator
from paysage.models import State

ROWS = np.random.default_rng(0).integers(0, 2, (6, 4)).astype(np.float32)
ENTRIES = {
    "exact": exact_log_partition,
    "ais": lambda model: AIS(model, 20, 20).run(),
    "ais with data": lambda model: AIS(model, 20, 20, base=ROWS).run(),
    "adapt": lambda model: AIS(model, 20, 20).adapt(5, 5),
    "back": lambda model: AIS(model, 20, 20).run_back(State.from_model(5, model)),
    "sandwich": lambda model: sandwich(model, State.from_model(5, model), 20, 20),
    "log_likelihood": lambda model: log_likelihood(model, ROWS, 0.0),
    "bound": lambda model: variational_bound(model, ROWS, 0.0),
    "pseudo": lambda model: pseudo_log_likelihood(model, ROWS),
    "tap": tap_log_partition,
}


def spoiled(kinds, where, value):
    model = pair(kinds)
    if where == "weights":
        model.connections[0].weights.params.matrix[1, 2] = value
    else:
        model.layers[where].params.loc[1] = value
    return model


def strong(kinds, edges=None):
    """Connected Gaussian layers that pull each other away without end."""
    return build(kinds, [3] * len(kinds), edges, scale=1.0)


@pytest.mark.parametrize("entry", ENTRIES)
@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("where", ["weights", 0, 1])
def test_parameters_that_are_no_numbers(where, value, entry):
    with pytest.raises(DivergenceError, match="NaN or infinite"):
        ENTRIES[entry](spoiled("BB", where, value))


@pytest.mark.parametrize("entry", ENTRIES)
@pytest.mark.parametrize(
    "model_of",
    [
        lambda: build("GG", (4, 3), scale=1.0),
        lambda: build("GG", (4, 3), scale=-1.0),
        lambda: build("GGG", (4, 3, 3), scale=1.0),
        lambda: build("BGG", (4, 3, 3), scale=1.5),
    ],
    ids=["GG", "negative", "GGG", "BGG"],
)
def test_gaussian_layers_that_cannot_be_normalized(model_of, entry):
    with pytest.raises(ConfigError, match="no partition function"):
        ENTRIES[entry](model_of())


@pytest.mark.parametrize("entry", ENTRIES)
@pytest.mark.parametrize("gain", [1, -1])
@pytest.mark.parametrize("size", [4, 64])
def test_gaussian_layers_at_the_border_itself_cannot_be_normalized(size, gain, entry):
    """The numbers are exact in binary: rounding must not make a partition function of nothing."""
    model = build("GG", (4, size), scale=0.0)
    for layer in model.layers:
        layer.params.log_var[:] = 0.0
    model.connections[0].weights.params.matrix[:] = gain / (2 * size**0.5)
    with pytest.raises(ConfigError, match="no partition function"):
        ENTRIES[entry](model)


def gaussian_log_partition(model):
    """Of two Gaussian layers in closed form, by the determinant of the whole."""
    first, second = model.layers
    var = np.exp(np.concatenate([array(k.params.log_var) for k in (first, second)]))
    loc = np.concatenate([array(k.params.loc) for k in (first, second)])
    w = array(model.connections[0].weights.W()) / np.outer(var[:4], var[4:])
    precision = np.diag(1 / var)
    precision[:4, 4:], precision[4:, :4] = -w, -w.T
    linear = loc / var
    constant = -0.5 * (loc**2 / var).sum() + 0.5 * len(var) * np.log(2 * np.pi)
    pull = 0.5 * linear @ np.linalg.solve(precision, linear)
    return constant + pull - 0.5 * np.linalg.slogdet(precision)[1]


@pytest.mark.parametrize("size", [0.3, 0.95])
def test_gaussian_layers_up_to_the_border_have_the_right_number(size):
    """The largest singular value of the couplings in units of deviations must be below one."""
    model = pair("GG")
    deviations = [np.exp(0.5 * array(k.params.log_var)) for k in model.layers]
    scaled = array(model.connections[0].weights.W()) / np.outer(*deviations)
    top = np.linalg.svd(scaled)[1][0]
    matrix = model.connections[0].weights.params.matrix
    matrix[:] = be.float_tensor(array(matrix) * size / top)
    found = AIS(model, 500, betas=np.linspace(0, 1, 400)).run()
    assert found.low <= gaussian_log_partition(model) <= found.high
    assert exact_log_partition(model) == pytest.approx(gaussian_log_partition(model), rel=1e-6)
    assert found.high - found.low < 0.5
    matrix[:] = be.float_tensor(array(matrix) * 1.02 / size)
    with pytest.raises(ConfigError, match="no partition function"):
        AIS(model)


@pytest.mark.parametrize("entry", ENTRIES)
@pytest.mark.parametrize("model", ["rbm", None, ROWS])
def test_what_is_no_machine(model, entry):
    with pytest.raises(ConfigError, match="BoltzmannMachine"):
        ENTRIES[entry](model) if entry not in ("back", "sandwich") else AIS(model)


@pytest.mark.parametrize("entry", ["ais", "back", "tap"])
@pytest.mark.parametrize("kinds, weight", [("BB", 1e38), ("BG", 1e20)])
@pytest.mark.filterwarnings("ignore:overflow", "ignore:invalid", "ignore::UserWarning")
def test_energies_beyond_single_precision_are_refused_where_it_is_used(kinds, weight, entry):
    model = pair(kinds)
    model.connections[0].weights.params.matrix[:] = weight
    with pytest.raises(DivergenceError, match="beyond"):
        ENTRIES[entry](model)


@pytest.mark.parametrize("kinds, weight", [("BB", 1e38), ("BG", 1e20)])
@pytest.mark.filterwarnings("error")
def test_energies_beyond_single_precision_are_summed_in_double(kinds, weight):
    model = pair(kinds)
    model.connections[0].weights.params.matrix[:] = weight
    visible, hidden = model.layers
    states = array(visible.all_states())
    field = states @ array(model.connections[0].weights.W())
    if kinds == "BB":
        own = np.logaddexp(0, field + array(hidden.params.loc))
    else:
        log_var = array(hidden.params.log_var)
        own = field * (array(hidden.params.loc) + 0.5 * field) / np.exp(log_var)
        own += 0.5 * (log_var + np.log(2 * np.pi))
    wanted = states @ array(visible.params.loc) + own.sum(axis=1)
    assert exact_log_partition(model) == pytest.approx(np.logaddexp.reduce(wanted), rel=1e-12)
    np.testing.assert_allclose(log_likelihood(model, states, 0.0).rows, wanted, rtol=1e-12)
    np.testing.assert_allclose(variational_bound(model, states, 0.0).rows, wanted, rtol=1e-6)


@pytest.mark.filterwarnings("error")
def test_gaussian_layers_with_extreme_parameters_are_integrated_in_double():
    model = pair("GG")
    model.layers[0].params.loc[:] = 1e30
    model.layers[0].params.log_var[:] = -50.0
    model.connections[0].weights.params.matrix[:] = 0.0
    log_vars = np.concatenate([array(layer.params.log_var) for layer in model.layers])
    wanted = 0.5 * (log_vars + np.log(2 * np.pi)).sum()
    assert exact_log_partition(model) == pytest.approx(wanted, abs=1e-6)


@pytest.mark.parametrize("later", [np.nan, 3.0])
def test_a_model_that_was_changed_is_looked_at_again(later):
    model = pair("GG")
    ais = AIS(model, 20, 5)
    model.connections[0].weights.params.matrix[:] = later
    with pytest.raises(PaysageError, match=r"NaN|no partition function"):
        ais.run()


@pytest.mark.parametrize("kinds", ["BB", "BG", "GB", "OB"])
def test_without_couplings_every_chain_is_exact(kinds):
    model = pair(kinds)
    model.connections[0].weights.params.matrix[:] = 0.0
    wanted = exact_log_partition(model)
    for found in (AIS(model, 2, 1).run(), AIS(model, 3, 3).adapt(2, 2).run()):
        assert found.low <= wanted <= found.high
        assert found.high - found.low < 1e-4
        assert found.effective_sample_size == pytest.approx(len(found.log_weights))
    both = sandwich(model, State.from_model(3, model), 2, 3)
    assert both.log_partition == pytest.approx(wanted, abs=1e-5)
    assert tap_log_partition(model) == pytest.approx(wanted, abs=1e-4)


@pytest.mark.parametrize(
    "kinds, base",
    [
        ("BB", np.zeros((9, 4))),
        ("BB", np.ones((9, 4))),
        ("BB", ROWS[:1]),
        ("BB", np.full((3, 4), 0.3)),
        ("OB", np.eye(4)[[0, 0, 0]]),
        ("GB", np.zeros((5, 4))),
        ("GB", np.full((5, 4), 2.0)),
    ],
)
def test_base_data_that_never_vary_give_the_right_number(kinds, base):
    model = pair(kinds)
    found = AIS(model, 500, betas=np.linspace(0, 1, 300), base=base).run()
    assert found.low <= exact_log_partition(model) <= found.high
    assert found.high - found.low < 0.3


@pytest.mark.filterwarnings("ignore:the log weights spread")
def test_base_data_so_far_off_that_floats_round_log_z_away_are_said_to_be():
    model = pair("GB")
    for size in (1e3, 1e6):
        with pytest.warns(LikelihoodWarning, match="are rounded"):
            found = AIS(model, 50, 50, base=np.full((5, 4), size)).run()
        assert found.low <= exact_log_partition(model) <= found.high


def test_energies_that_cannot_be_told_are_not_taken_for_a_spread(recwarn):
    model = pair("BG")
    model.layers[1].params.log_var[:] = 100.0
    found = AIS(model, 50, 20).run()
    assert found.low == -np.inf
    assert [str(w.message)[:8] for w in recwarn.list] == ["energies"]


def test_weights_of_few_chains_are_said_to_be():
    with pytest.warns(LikelihoodWarning, match="chains are worth"):
        AIS(build("BB", (6, 5), seed=1, scale=6.0), 3, betas=1).run()


def moments_of(rows):
    moments = MeanVarianceArrayCalculator()
    moments.update(rows)
    return moments


@pytest.mark.parametrize(
    "base, error",
    [
        (np.zeros((0, 4)), DataError),
        (np.zeros(4), ShapeError),
        (np.zeros((2, 4, 1)), ShapeError),
        ("data", DataError),
        (ROWS + 1j, DataError),
        (-ROWS - 1, DataError),
        (MeanVarianceArrayCalculator(), DataError),
        (moments_of(np.zeros((3, 7))), ShapeError),
        (moments_of(np.full((3, 4), np.nan)), DataError),
    ],
)
def test_base_data_of_another_kind(base, error):
    with pytest.raises(error):
        AIS(pair("BB"), base=base)


@pytest.mark.parametrize(
    "betas",
    [[0, np.nan, 1], [[0, 1]], "x", ["a", "b"], True, [0, 1j], [0, 2, 1], [], [[0], [1, 2]]],
)
def test_betas_that_are_no_path(betas):
    with pytest.raises(ConfigError, match=r"betas|number of steps"):
        AIS(pair("BB"), betas=betas)


@pytest.mark.parametrize("number", [0, 1, -3, 2.5, "many", True, None])
def test_numbers_of_chains_that_cannot_be_meant(number):
    with pytest.raises(ConfigError, match="num_chains"):
        AIS(pair("BB"), number)


@pytest.mark.parametrize("measure", [log_likelihood, variational_bound])
def test_data_are_states_of_the_visible_layer(measure):
    model = pair("BB")
    wanted = measure(model, ROWS, 0.0)
    for same in (ROWS.tolist(), ROWS.astype(bool), ROWS.astype(np.int64), ROWS.astype(np.float64)):
        np.testing.assert_array_equal(measure(model, same, 0.0).rows, wanted.rows)
    for other, error in (
        (np.zeros((0, 4)), DataError),
        (np.full((2, 4), np.nan), DataError),
        (-ROWS - 1, DataError),
        ("data", DataError),
        (None, DataError),
        (State.from_model(3, model), DataError),
        (np.zeros(4), ShapeError),
        (np.zeros((2, 4, 1)), ShapeError),
    ):
        with pytest.raises(error):
            measure(model, other, 0.0)
    with pytest.warns(LikelihoodWarning, match="no probability"):
        measure(model, np.full((2, 4), 0.5), 0.0)


@pytest.mark.parametrize("way", ["back", "sandwich"])
@pytest.mark.parametrize(
    "start, error",
    [
        ([np.full((5, 6), 0.5), np.zeros((5, 3))], None),
        ([np.zeros((5, 6)), np.full((5, 3), 0.5)], DataError),
        ([np.zeros((5, 6)), np.full((5, 3), np.nan)], DataError),
        ([np.full((5, 6), np.nan), np.zeros((5, 3))], DataError),
        ([np.full((5, 6), 255.0), np.zeros((5, 3))], DataError),
        ([np.zeros((1, 6)), np.zeros((1, 3))], ConfigError),
        ([np.zeros((0, 6)), np.zeros((0, 3))], ConfigError),
        ([np.zeros((5, 6))], ShapeError),
        ([np.zeros((5, 3)), np.zeros((5, 6))], ShapeError),
    ],
)
@pytest.mark.filterwarnings("ignore::paysage.likelihood.LikelihoodWarning")
def test_the_way_back_starts_at_samples(monkeypatch, start, error, way):
    """Of the half that is kept, here the hidden one; nothing is run before they were looked at."""
    model = build("BB", (6, 3), seed=1)
    state = State(be.float_tensor(units) for units in start)
    if error is None:
        assert np.isfinite(AIS(model, 5, 5).run_back(state).log_partition)
        return
    monkeypatch.setattr(AIS, "run", lambda *args: pytest.fail("work was lost"))
    with pytest.raises(error):
        AIS(model, 5, 5).run_back(state) if way == "back" else sandwich(model, state, 5, 5)


def test_other_graphs_and_backends(backend):
    for entry in ("exact", "ais", "log_likelihood", "bound", "pseudo"):
        with pytest.raises(ConfigError):
            ENTRIES[entry](skip())
    model = pair("BB")
    be.set_backend({"python": "pytorch", "pytorch": "python"}[backend], "cpu")
    for entry in ENTRIES.values():
        with pytest.raises(PaysageError, match="backend"):
            entry(model)
