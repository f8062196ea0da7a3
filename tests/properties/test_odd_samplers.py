"""Samplers: chains start where they are told to, whatever holds the numbers, or say why not."""

import numpy as np
from hypothesis import example
from hypothesis import strategies as st
from odd import (
    ONE_HOT_ROWS,
    REFUSED,
    array,
    attempt,
    given,
    handed,
    is_number,
    is_whole,
    ordinary,
    plain,
    things,
)
from test_odd_models import KINDS, VISIBLE, _are_layers, is_visible, machine, moderate

from paysage import backends as be
from paysage import schedules
from paysage.batch import in_memory_batch
from paysage.models import State
from paysage.samplers import (
    AutoregressiveGammaSampler,
    ParallelTempering,
    SequentialMC,
    TemperedTransitions,
)
from paysage.samplers.diagnostics import integrated_autocorrelation_time

SAMPLERS = {
    "sequential": (SequentialMC, {}),
    "driven": (SequentialMC, {"beta_std": 0.0}),
    "tempering": (ParallelTempering, {"betas": 3}),
    "transitions": (TemperedTransitions, {"betas": 3}),
}
NAMES = st.sampled_from(sorted(SAMPLERS))


@given(NAMES, KINDS, VISIBLE, st.one_of(st.integers(0, 2), st.none()))
@example("sequential", "BB", ordinary(ONE_HOT_ROWS), 1)
@example("driven", "GBO", ordinary(ONE_HOT_ROWS), 2)
@example("tempering", "BB", ordinary(ONE_HOT_ROWS), 1)
@example("transitions", "OB", ordinary(ONE_HOT_ROWS), 1)
def test_chains_from_visible_units(name, kinds, x, steps):
    sampler, options = SAMPLERS[name]
    model = machine(kinds)
    be.set_seed(0)
    chains = attempt(sampler.from_visible, model, x.what, **options)
    assert (chains is REFUSED) == (not is_visible(kinds[0], x))
    if chains is REFUSED or not moderate(x):
        return
    be.set_seed(1)
    chains.update_state(steps)
    found = [array(units) for units in chains.get_state()]
    be.set_seed(0)
    again = sampler.from_visible(model, plain(x.single()), **options)
    be.set_seed(1)
    if name == "sequential":
        again.beta_sampler.beta = chains.beta_sampler.beta
    assert all(np.isfinite(units).all() for units in found) and x.same_now()
    if name != "sequential":
        again.update_state(steps)
        for units, same in zip(found, again.get_state(), strict=True):
            np.testing.assert_allclose(units, array(same), rtol=1e-5, atol=1e-6)


@given(NAMES, things(), things())
def test_chains_of_anything(name, thing, number):
    sampler, options = SAMPLERS[name]
    model = machine("BB")
    batch = in_memory_batch(np.eye(3)[np.arange(10) % 3], 3)
    assert attempt(sampler, thing, **options) is REFUSED
    assert attempt(sampler.from_batch, model, thing, **options) is REFUSED
    assert attempt(sampler.from_batch, thing, batch, **options) is REFUSED
    assert attempt(sampler(model, **options).set_state, thing) is REFUSED
    assert attempt(sampler(model, **options).update_state) is REFUSED
    chains = attempt(sampler.from_model, model, number, **options)
    assert (chains is REFUSED) == (not is_whole(number, 0))
    chains = sampler.from_model(model, 2, **options)
    moved = attempt(chains.update_state, number)
    assert (moved is REFUSED) == (not (number is None or is_whole(number, 0)))
    state = attempt(sampler.generate_fantasy_state, model, 2, number, **options)
    assert (state is REFUSED) == (not (number is None or is_whole(number, 0)))


@given(NAMES, things())
def test_settings_of_samplers(name, thing):
    sampler, options = SAMPLERS[name]
    model = machine("BB")
    found = attempt(sampler, model, mcsteps=thing, **options)
    assert (found is REFUSED) == (not is_whole(thing, 0))
    found = attempt(sampler, model, clamped=thing, **options)
    assert (found is REFUSED) == (not _are_layers(thing))
    if sampler is SequentialMC:
        known = isinstance(thing, str) and thing == "markov_chain"
        assert (attempt(sampler, model, updater=thing) is REFUSED) == (not known)
        assert attempt(sampler, model, schedule=thing) is REFUSED
        assert (attempt(sampler, model, anneal=thing) is REFUSED) == (thing is not None)
        return
    found = attempt(sampler, model, betas=thing)
    assert (found is REFUSED) == (not is_whole(thing, 2) and not _is_ladder(thing))


def _is_ladder(thing):
    return isinstance(thing, np.ndarray) and thing.shape == (2,) and thing[0] == 1


def is_spread(std):
    return is_number(std, 0) and (std == 0 or 1e-6 <= std <= 1e6)


@given(things(), things())
def test_inverse_temperatures(momentum, std):
    process = attempt(AutoregressiveGammaSampler, momentum, std)
    good = is_number(momentum, 0, 1) and momentum < 1 and is_spread(std)
    assert (process is REFUSED) == (not good)
    if good:
        process.set_beta(3)
        beta = process.next_beta()
        assert beta is None if std == 0 else bool((array(beta) >= 0).all())
    for method in ("set_beta", "update_beta"):
        found = attempt(getattr(AutoregressiveGammaSampler(), method), momentum)
        assert (found is REFUSED) == (not is_whole(momentum, 0))


@given(things(), st.sampled_from(["target", "sweeps", "rounds"]))
def test_tuning(thing, name):
    chains = ParallelTempering.from_model(machine("BB"), 3, betas=3)
    found = attempt(chains.tune, **{"sweeps": 2, "rounds": 1, name: thing})
    good = {
        "target": is_number(thing, 0, 1) and 0 < thing < 1,
        "sweeps": is_whole(thing, 2),
        "rounds": is_whole(thing, 1),
    }[name]
    assert (found is REFUSED) == (not good)


@given(st.lists(st.floats(0, 2), max_size=3), st.integers(0, 4))
def test_schedules_of_temperatures(values, steps):
    chains = SequentialMC.from_model(
        machine("BB"), 2, beta_std=0.0, anneal=schedules.Linear(*values[:2])
    )
    chains.update_state(steps)
    assert all(((u == 0) | (u == 1)).all() for u in map(array, chains.get_state()))


@given(handed())
@example(ordinary([[0.0], [1.0], [0.5], [0.0]]))
def test_autocorrelation_times(x):
    found = attempt(integrated_autocorrelation_time, x.what)
    good = x.means is not None and x.means.ndim in (1, 2) and len(x.means) > 1
    good = good and x.means.size > 0 and np.isfinite(x.means).all() and np.ptp(x.means) > 0
    if not good:
        assert found is REFUSED
    elif found is not REFUSED:
        assert np.isfinite(found) and x.same_now()
    else:  # differences whose squares no float can hold
        assert np.ptp(x.means) > 1e150 or np.ptp(x.means) < 1e-150


@given(KINDS, st.integers(0, 3), st.sampled_from(["nan", "inf", "above"]), NAMES)
def test_units_that_no_layer_has(kinds, place, what, name):
    """A state that was spoiled after it was set is found before the next move."""
    sampler, options = SAMPLERS[name]
    model = machine(kinds)
    layer = place % len(kinds)
    state = State.from_model(2, model)
    value = {"nan": np.nan, "inf": np.inf, "above": 2.0}[what]
    state[layer][1, 0] = value
    chains = sampler(model, **options)
    chains.set_state(state)
    fine = what == "above" and kinds[layer] == "G"
    assert (attempt(chains.update_state) is REFUSED) == (not fine)
