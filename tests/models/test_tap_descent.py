"""The search for stationary means, and what it says of itself."""

import logging

import numpy as np
import pytest
from machines import array, arrays, build, pair, skip

from paysage import backends as be
from paysage.errors import ConfigError, ShapeError
from paysage.models import StateTAP
from paysage.models.tap import GibbsFreeEnergy
from paysage.models.tap_descent import Minimizer
from paysage.testing import ExactMachine

WAYS = [{"use_GD": True}, {"use_GD": False}]
RBM = {"BB": lambda: build("BB", (8, 6), scale=1.0), "BG": lambda: pair("BG", center=True)}
MACHINES = {
    **RBM,
    "OB": lambda: build("OB", (8, 6), center=True),
    "skip": lambda: skip(center=True, scale=0.5),
}


def residual(model, state, order=2):
    fields = GibbsFreeEnergy(model, order).evaluate(state).fields
    layers = zip(model.layers, fields, state, strict=True)
    return max(np.abs(array(k.mean(f)) - array(m)).max() for k, f, m in layers)


@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", MACHINES)
def test_the_search_ends_where_its_report_says(name, way, order):
    model = MACHINES[name]()
    state, report = model.compute_StateTAP(
        **way, order=order, max_iters=500, tolerance=1e-4, num_samples=3
    )
    assert report.converged and 0 < report.iterations < 500
    assert report.residual <= 1e-4
    # means near 1 in single precision: a rounding of the field's terms
    assert residual(model, state, order) == pytest.approx(report.residual, abs=2e-6)
    found = array(model.gibbs_free_energy(state, order))
    np.testing.assert_allclose(array(report.free_energy), found, rtol=1e-6)


@pytest.mark.parametrize("name", MACHINES)
def test_both_ways_find_the_same_means(name):
    model = MACHINES[name]()
    start = StateTAP.from_model(1, model)
    ends = [
        model.compute_StateTAP(**way, seed=start, max_iters=500, tolerance=1e-5)[0] for way in WAYS
    ]
    for a, b in zip(*map(arrays, ends), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-3)


@pytest.mark.parametrize("order, tolerance", [(1, 0.3), (2, 0.03), (3, 0.01)])
def test_the_free_energy_found_is_near_the_exact_one(order, tolerance):
    model = build("BB", (8, 6), scale=0.4)
    _, report = model.compute_StateTAP(use_GD=False, tolerance=1e-4, order=order)
    exact = ExactMachine(model).log_partition
    assert report.converged
    assert abs(float(report.free_energy[0]) + exact) < tolerance


@pytest.mark.parametrize("way", WAYS)
def test_what_has_not_converged_says_so_once_and_goes_on(way, caplog):
    model = RBM["BB"]()
    with caplog.at_level(logging.WARNING, logger="paysage"):
        state, report = model.compute_StateTAP(**way, max_iters=2, tolerance=1e-5)
    assert not report.converged and report.iterations == 2
    assert report.residual == pytest.approx(residual(model, state), abs=2e-6)
    assert [r.levelname for r in caplog.records] == ["WARNING"]
    assert "not converged" in caplog.text and "after 2 iterations" in caplog.text


def test_what_has_converged_is_silent(caplog):
    with caplog.at_level(logging.DEBUG, logger="paysage"):
        RBM["BB"]().compute_StateTAP(use_GD=False, max_iters=500)
    assert not caplog.records


def test_a_start_that_is_stationary_takes_no_step():
    model = RBM["BB"]()
    there, _ = model.compute_StateTAP(use_GD=False, max_iters=500, tolerance=1e-4)
    again, report = model.compute_StateTAP(seed=there, tolerance=2e-4)
    assert report.converged and report.iterations == 0
    for a, b in zip(arrays(again), arrays(there), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("way", WAYS)
def test_the_start_is_not_changed(way):
    model = RBM["BG"]()
    start = StateTAP.from_model(2, model)
    before = [a.copy() for a in arrays(start)]
    model.compute_StateTAP(**way, seed=start)
    for a, b in zip(arrays(start), before, strict=True):
        np.testing.assert_array_equal(a, b)


def history(model, start, **settings):
    """Free energies after 0, 1, 2, ... steps, one row a number of steps."""
    energy = GibbsFreeEnergy(model)
    values = []
    for n in range(15):
        rule = Minimizer(max_iters=n, tolerance=0.0, **settings)
        values.append(array(rule.run(energy, start)[1].free_energy))
    return np.stack(values)


@pytest.mark.parametrize("way", [{"init_lr": 2.0}, {"use_GD": False, "damping": 0.0}])
def test_the_ratchet_only_goes_down(way):
    # strong couplings that make undamped layers swing, and steps too long
    model = build("BB", (8, 6), scale=4.0)
    start = StateTAP.from_model(20, model)
    free = np.diff(history(model, start, **way), axis=0)
    held = np.diff(history(model, start, ratchet=True, **way), axis=0)
    rounding = 1e-5 * 30  # of free energies of order thirty
    assert free.max() > 0.1, "there was nothing to hold"
    assert held.max() <= rounding
    assert held.min() < -0.1


def test_steps_that_raise_the_free_energy_become_shorter():
    model = build("BB", (8, 6), scale=2.0)
    start = StateTAP.from_model(5, model)
    settings = {"use_GD": False, "damping": 0.0, "max_iters": 150, "tolerance": 1e-3}
    energy = GibbsFreeEnergy(model)
    kept = Minimizer(**settings, decrease_on_neg=1.0).run(energy, start)[1]
    shortened = Minimizer(**settings, decrease_on_neg=0.5).run(energy, start)[1]
    assert not kept.converged and shortened.converged


def test_an_average_that_led_upwards_starts_anew():
    """With steps of half a deviation; an average that is kept takes more than 120 of them."""
    model = build("BB", (8, 6), scale=1.0)
    _, report = model.compute_StateTAP(init_lr=0.5, tolerance=1e-3, max_iters=70, num_samples=5)
    assert report.converged


def test_roundings_of_the_free_energy_do_not_hold_a_search_up():
    """Near the end its changes are below a rounding: a ratchet would take half of them back."""
    model = build("BB", (40, 30), scale=0.2)
    _, report = model.compute_StateTAP(
        use_GD=False, ratchet=True, tolerance=3e-6, max_iters=100, num_samples=5
    )
    assert report.converged


def test_rows_are_searched_on_their_own():
    model = MACHINES["skip"]()
    start = StateTAP.from_model(3, model)
    settings = {"max_iters": 7, "tolerance": 0.0}
    together, _ = model.compute_StateTAP(seed=start, **settings)
    for row in range(3):
        one = StateTAP(m[row : row + 1] for m in start)
        alone, _ = model.compute_StateTAP(seed=one, **settings)
        for a, b in zip(arrays(alone), arrays(together), strict=True):
            np.testing.assert_allclose(a[0], b[row], atol=1e-5)


def test_means_stay_inside_where_biases_are_huge():
    model = build("BB", (8, 6), scale=0.1)
    model.layers[0].params.loc[:] = 50.0
    state, report = model.compute_StateTAP(use_GD=False)
    assert report.converged and np.isfinite(report.residual)
    assert float(be.tmax(state[0])) < 1.0
    assert np.isfinite(array(report.free_energy)).all()


def test_gaussian_layers_without_a_density_do_not_converge_and_do_not_raise():
    model = build("GG", (4, 3), scale=20.0)
    with np.errstate(all="ignore"):
        _, report = model.compute_StateTAP(use_GD=False, max_iters=200)
    assert not report.converged


@pytest.mark.parametrize(
    "settings, words",
    [
        ({"init_lr": -1.0}, "init_lr must be a number"),
        ({"tolerance": float("nan")}, "tolerance must be a number"),
        ({"mean_weight": 1.0}, "mean_weight must be below 1"),
        ({"damping": 1.0}, "damping must be below 1"),
        ({"max_iters": 2.5}, "max_iters must be a whole number"),
        ({"decrease_on_neg": 0.0}, "decrease_on_neg must be above 0"),
        ({"use_GD": "yes"}, "use_GD must be True or False"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(settings, words):
    with pytest.raises(ConfigError, match=words):
        RBM["BB"]().compute_StateTAP(**settings)


def test_a_start_of_another_machine_is_refused():
    with pytest.raises(ShapeError, match="got units of shape"):
        RBM["BB"]().compute_StateTAP(seed=StateTAP.from_model(1, build("BB", (3, 2))))
