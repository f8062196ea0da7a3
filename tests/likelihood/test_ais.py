"""Annealed importance sampling, held to exact partition functions."""

import math

import numpy as np
import pytest
from machines import array, build, pair, skip

from paysage import backends as be
from paysage import batch
from paysage.errors import ConfigError, DataError, ShapeError
from paysage.likelihood import AIS, LikelihoodWarning, exact_log_partition, sandwich
from paysage.likelihood.estimate import estimated
from paysage.likelihood.schedules import respaced, three_pieces, uniform
from paysage.models import State
from paysage.testing import ExactMachine

MACHINES = {
    "BB": lambda: build("BB", (6, 5), seed=1, scale=1.0),
    "BB centered": lambda: build("BB", (6, 5), seed=1, center=True),
    "BG": lambda: pair("BG"),
    "GB": lambda: pair("GB"),
    "BO": lambda: pair("BO"),
    "OG": lambda: pair("OG"),
    "BBB": lambda: build("BBB", (4, 4, 3), seed=2),
    "BGB": lambda: build("BGB", (4, 3, 3), seed=2, scale=0.4),
}
CHAINS = 2000


def data_of(model, rows=500):
    state = ExactMachine(model).draw(rows, np.random.default_rng(2))
    return state[0]


def relative_error(found, truth, sign):
    """Mean weight over its expectation, less one, in standard errors."""
    weights = np.exp(sign * (found.log_partition - truth))
    relative = np.exp(found.log_weights - found.log_weights.max())
    error = relative.std(ddof=1) / relative.mean() / math.sqrt(len(relative))
    return (weights - 1) / error


@pytest.mark.parametrize("steps", [1, 5, 40])
@pytest.mark.parametrize("name", MACHINES)
@pytest.mark.filterwarnings("ignore:the log weights spread")
def test_the_mean_weight_is_unbiased_in_both_directions(name, steps):
    """However few the steps are: importance sampling itself (one step) to slow annealing."""
    model = MACHINES[name]()
    truth = exact_log_partition(model)
    ais = AIS(model, CHAINS, betas=uniform(steps), base=data_of(model))
    assert abs(relative_error(ais.run(), truth, 1.0)) < 5
    exact = ExactMachine(model).draw(CHAINS, np.random.default_rng(3))
    assert abs(relative_error(ais.run_back(exact), truth, -1.0)) < 5


@pytest.mark.parametrize("name", ["BB", "BO", "GB", "BBB"])
def test_the_interval_holds_the_truth_and_is_narrow(name):
    model = MACHINES[name]()
    truth = exact_log_partition(model)
    found = AIS(model, 200, betas=uniform(200), base=data_of(model)).run()
    assert found.low <= truth <= found.high
    assert found.high - found.low < 0.3
    assert 100 < found.effective_sample_size <= 200 + 1e-9


def test_intervals_hold_the_truth_as_often_as_they_should():
    """Independent chains of one long run in groups of 100, each an estimate of its own."""
    z, misses = [], []
    for name in ("BB", "BG", "BBB"):
        model = MACHINES[name]()
        truth = exact_log_partition(model)
        ais = AIS(model, 10_000, uniform(50))
        exact = ExactMachine(model).draw(10_000, np.random.default_rng(3))
        log_base = ais.halves.log_partition_of_base()
        for sign, found in ((1.0, ais.run()), (-1.0, ais.run_back(exact))):
            for group in np.split(found.increments, 100, axis=1):
                one = estimated(group, log_base, sign, 0.0)
                z.append((one.log_partition - truth) / ((one.high - one.low) / 6))
                misses.append(not one.low <= truth <= one.high)
    # Student's t of 99 degrees of freedom is beyond 3 with probability 0.0034; five deviations of
    # the count of 600, and of the mean square, whose expectation is 1.02
    assert np.mean(misses) < 0.0034 + 5 * np.sqrt(0.0034 / len(z))
    assert abs(np.mean(np.square(z)) - 1.02) < 5 * np.sqrt(2 / len(z))


def test_weights_that_are_dominated_by_one_chain_give_an_open_interval():
    model = build("BB", (6, 5), seed=1, scale=6.0)
    with pytest.warns(LikelihoodWarning, match="3 chains are worth"):
        found = AIS(model, 3, betas=uniform(1)).run()
    assert found.low == -math.inf
    assert found.effective_sample_size < 2.5


def test_more_steps_narrow_the_interval():
    model = MACHINES["BB"]()
    widths = [
        np.ptp([(f := AIS(model, 400, betas=uniform(n)).run()).low, f.high]) for n in (2, 100)
    ]
    assert widths[1] < 0.5 * widths[0]


def test_an_adapted_schedule_is_at_least_as_good_as_an_even_one():
    model = build("BB", (6, 5), seed=1, scale=3.0)
    even = AIS(model, 1000, betas=uniform(20))
    adapted = AIS(model, 1000, betas=uniform(20)).adapt(100, 200)
    assert len(adapted.betas) == 21
    sizes = [a.run().effective_sample_size for a in (even, adapted)]
    assert sizes[1] > 0.9 * sizes[0]
    assert abs(relative_error(adapted.run(), exact_log_partition(model), 1.0)) < 5


@pytest.mark.parametrize("name", ["BB", "BG", "BBB"])
def test_the_sandwich_closes_around_the_truth(name, recwarn):
    model = MACHINES[name]()
    truth = exact_log_partition(model)
    samples = ExactMachine(model).draw(300, np.random.default_rng(3))
    found = sandwich(model, samples, 200, betas=uniform(100), base=data_of(model))
    assert not recwarn.list
    assert found.lower.low <= truth <= found.upper.high
    assert abs(found.log_partition - truth) < 5 * found.standard_error
    # each direction has an error of a few hundredths here; their combination no larger one
    assert found.standard_error < 0.03
    assert "by_neighbours" not in vars(found), "worked out though nobody has asked"
    # chains that lag pull each end, and the ratio between neighbours, by about half of the gap
    assert abs(found.by_neighbours - truth) < 5 * found.standard_error + abs(found.gap)


@pytest.mark.filterwarnings("ignore::paysage.likelihood.LikelihoodWarning")
def test_the_ratio_of_whole_paths_is_right_for_chains_that_lag():
    """Five temperatures are so few that the ratio between neighbours is off."""
    model = build("BB", (6, 5), seed=1, scale=3.0)
    truth, errors, claimed = exact_log_partition(model), [], []
    for k in range(10):
        samples = ExactMachine(model).draw(500, np.random.default_rng(k))
        found = sandwich(model, samples, 500, betas=uniform(5))
        errors.append(found.log_partition - truth)
        claimed.append(found.standard_error)
    # chi square of 9 degrees of freedom: a ratio beyond these once in 10^4
    assert 0.25 < np.std(errors, ddof=1) / np.mean(claimed) < 1.98
    standard_error = np.std(errors, ddof=1) / math.sqrt(len(errors))
    assert standard_error < 0.03
    assert abs(np.mean(errors)) < 5 * standard_error


def test_a_sandwich_that_does_not_close_says_so():
    model = build("BB", (6, 5), seed=1, scale=3.0)
    wrong = State.from_model(300, build("BB", (6, 5), seed=9, scale=0.0))
    with pytest.warns(LikelihoodWarning, match="nats"):
        sandwich(model, wrong, 200, betas=uniform(10))


def test_base_data_come_as_a_batch_too():
    model = MACHINES["BB"]()
    rows = data_of(model)
    table = batch.in_memory_batch(rows, 50, train_fraction=0.9)
    found, wanted = AIS(model, base=table), AIS(model, base=rows[:450])
    np.testing.assert_allclose(array(found.halves.base[0]), array(wanted.halves.base[0]), atol=1e-5)


@pytest.mark.parametrize("name", MACHINES)
def test_base_distribution_has_the_means_of_the_data(name):
    """At β = 0 the visible units are independent and have the data's means."""
    model = MACHINES[name]()
    rows = data_of(model)
    halves = AIS(model, base=rows).halves
    layer = model.layers[0]
    means = array(layer.mean(layer.zero_field(1) + halves.base[0]))[0]
    np.testing.assert_allclose(means, array(rows).mean(axis=0), atol=1e-4)
    assert halves.base[1:] == [None] * (len(model.layers) - 1)

    samples = array(halves.draw_base(10_000)[0])
    errors = samples.std(axis=0) / math.sqrt(len(samples))
    assert (np.abs(samples.mean(axis=0) - array(rows).mean(axis=0)) < 5 * errors).all()


def test_the_model_and_the_start_are_left_as_they_were():
    model = MACHINES["BB"]()
    before = model.get_values()
    start = State.from_model(10, model)
    kept = [array(u) for u in start]
    ais = AIS(model, 10, betas=uniform(5), base=data_of(model))
    ais.run()
    ais.run_back(start)
    for a, b in zip(kept, start, strict=True):
        np.testing.assert_array_equal(a, array(b))
    np.testing.assert_array_equal(
        before["layers"][0]["loc"], model.get_values()["layers"][0]["loc"]
    )


def test_the_same_seed_gives_the_same_estimate():
    model = MACHINES["BB"]()
    found = []
    for _ in range(2):
        be.set_seed(4)
        found.append(AIS(model, 10, betas=uniform(5)).run().log_partition)
    assert found[0] == found[1]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"num_chains": 1}, "num_chains"),
        ({"betas": [0.0, 0.5]}, "end with 1"),
        ({"betas": [0.0, 0.7, 0.5, 1.0]}, "must not fall"),
        ({"betas": 0}, "whole number"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(settings, words):
    with pytest.raises(ConfigError, match=words):
        AIS(MACHINES["BB"](), **settings)


def test_machines_and_states_that_do_not_fit_are_refused():
    with pytest.raises(ConfigError, match="odd number"):
        AIS(skip())
    with pytest.raises(ShapeError):
        AIS(MACHINES["BB"]()).run_back(State.from_model(5, pair("BB")))


@pytest.mark.backend_free
def test_schedules_rise_from_zero_to_one():
    for betas in (uniform(7), three_pieces(14_500), three_pieces(3), three_pieces(2)):
        assert betas[0] == 0
        assert betas[-1] == 1
        assert (np.diff(betas) > 0).all()
    classic = three_pieces(14_500)
    assert len(classic) == 14_501
    assert [np.sum(classic < x) for x in (0.5, 0.9)] == [500, 4500]


@pytest.mark.backend_free
def test_respacing_evens_out_the_spread():
    betas = uniform(100)
    # a path that costs nothing up to 0.9 and much beyond
    increments = np.random.default_rng(1).normal(size=(100, 50)) * np.where(
        betas[1:, None] > 0.9, 1, 0
    )
    found = respaced(betas, increments, 50)
    assert found[0] == 0
    assert found[-1] == 1
    assert np.sum(found > 0.9) > 20


@pytest.mark.parametrize(
    "base, error, words",
    [
        (np.zeros((3, 2)), ShapeError, r"needs \(rows, 4\)"),
        (np.full((3, 4), np.nan), DataError, "NaN"),
        (np.full((3, 4), 255.0), DataError, "from 0 to 1"),
    ],
    ids=["width", "nan", "grey"],
)
def test_base_data_that_the_visible_layer_cannot_have_are_refused(base, error, words):
    with pytest.raises(error, match=words):
        AIS(pair("BB"), base=base)


@pytest.mark.parametrize("numbers", [(1, 10), (20, 0), (2.5, 10)])
def test_pilots_that_cannot_run_are_refused(numbers):
    with pytest.raises(ConfigError, match="pilot_"):
        AIS(pair("BB"), 2, 2).adapt(*numbers)


def test_changes_to_the_callers_betas_do_not_reach_the_schedule():
    betas = np.linspace(0.0, 1.0, 5)
    ais = AIS(pair("BB"), 4, betas)
    betas[:] = 0.5
    np.testing.assert_array_equal(ais.betas, np.linspace(0.0, 1.0, 5))
