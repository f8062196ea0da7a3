"""Schedules against their formulas written out, and what a stored one comes back as."""

import json
import math

import pytest

from paysage import schedules
from paysage.errors import ConfigError

pytestmark = pytest.mark.backend_free

CASES = [
    (schedules.Constant(0.3), lambda t: 0.3),
    (schedules.Linear(1.0, 0.25), lambda t: max(0.0, 1.0 - 0.25 * t)),
    (schedules.Linear(1.0, -0.5, maxval=2.0), lambda t: min(2.0, 1.0 + 0.5 * t)),
    (schedules.Linear(3.0, 0.5), lambda t: [3.0, 1.0, 0.5, 0.0, 0.0, 0.0, 0.0, 0.0][t]),
    (schedules.Linear(1.0, 1.0, None, None, None), lambda t: 1.0 - t),
    (schedules.Step(0.5, 0.1, 3), lambda t: 0.5 if t < 3 else 0.1),
    (schedules.Step(0.5, 0.1, 0), lambda t: 0.1),
    (schedules.Trapezoid(0.6, 6), lambda t: 0.6 * [1, 1, 1, 1, 2 / 3, 1 / 3, 0, 0][t]),
    (schedules.Trapezoid(1.0, 5, 2, 2), lambda t: [1 / 3, 2 / 3, 1, 1, 0.5, 0, 0, 0][t]),
    (schedules.Trapezoid(0.5, 3, 0, 0), lambda t: 0.5 if t < 3 else 0.0),
    (schedules.ExponentialDecay(2.0, 0.7), lambda t: 2.0 * 0.7**t),
    (schedules.ExponentialDecay(), lambda t: 0.9**t),
    (schedules.PowerLawDecay(0.001, 100.0), lambda t: 0.001 / (1 + 0.1 * t)),
    (schedules.PowerLawDecay(), lambda t: 1 / (1 + 0.9 * t)),
]


@pytest.fixture(params=CASES, ids=lambda case: repr(case[0]))
def case(request):
    schedule, formula = request.param
    return schedule.copy(), formula


def take(schedule, count):
    return [next(schedule) for _ in range(count)]


def test_values_follow_the_formula(case):
    schedule, formula = case
    values = take(schedule, 8)
    assert values == pytest.approx([formula(t) for t in range(8)], rel=1e-14, abs=1e-15)
    assert all(type(value) is float for value in values)


def test_it_never_stops(case):
    schedule, _ = case
    assert all(math.isfinite(value) for value in take(schedule, 5000))


def test_reset_starts_again(case):
    schedule, _ = case
    first = take(schedule, 5)
    schedule.reset()
    assert take(schedule, 5) == first


def test_a_copy_goes_its_own_way(case):
    schedule, formula = case
    take(schedule, 2)
    twin = schedule.copy()
    take(schedule, 3)
    assert next(twin) == pytest.approx(formula(2))
    twin.initial = 17.0
    assert schedule.initial != 17.0


def test_config_is_strict_json_and_restores_value_and_time(case):
    schedule, _ = case
    take(schedule, 2)
    schedule.set_value(0.75 * schedule.value)
    text = json.dumps(schedule.get_config(), allow_nan=False)
    again = schedules.from_config(json.loads(text))
    assert type(again) is type(schedule)
    assert take(again, 6) == take(schedule, 6)


def test_value_is_what_next_returns(case):
    schedule, _ = case
    for _ in range(5):
        value = schedule.value
        assert next(schedule) == value


def test_set_value_sets_the_next_value_and_reset_discards_it(case):
    schedule, formula = case
    take(schedule, 2)
    schedule.set_value(0.75)
    assert schedule.value == next(schedule) == 0.75
    schedule.reset()
    assert next(schedule) == pytest.approx(formula(0), rel=1e-14)


@pytest.mark.parametrize(
    ("schedule", "wanted"),
    [
        (schedules.Constant(1.0, 0.5), [0.5, 0.5, 0.5]),
        (schedules.Linear(1.0, 0.25, 0.75), [0.75, 0.5, 0.25]),
        (schedules.Step(1.0, 0.0, 2, 5.0), [5.0, 5.0, 0.0]),
        (schedules.ExponentialDecay(1.0, 0.5, 0.2), [0.2, 0.1, 0.05]),
        (schedules.PowerLawDecay(1.0, 1.0, 0.5), [1 / 2, 1 / 3, 1 / 4]),
        (schedules.Trapezoid(1.0, 4, 0, 2, 0.4), [0.4, 0.4, 0.4, 0.2, 0.0]),
    ],
    ids=lambda case: repr(case) if isinstance(case, schedules.Schedule) else None,
)
def test_later_values_follow_from_a_present_value(schedule, wanted):
    assert take(schedule, len(wanted)) == pytest.approx(wanted, abs=1e-15)
    schedule.reset()
    assert next(schedule) == 1.0


def test_a_schedule_is_its_own_iterator():
    schedule = schedules.Constant(2.0)
    assert iter(schedule) is schedule
    assert [value for _, value in zip(range(3), schedule, strict=False)] == [2.0, 2.0, 2.0]


def test_annealing_reaches_zero_on_the_last_of_its_steps():
    values = take(schedules.Linear(initial=1.0, delta=1 / 99), 100)
    assert values[0] == 1.0
    assert values[-1] == pytest.approx(0.0, abs=1e-14)
    assert values == sorted(values, reverse=True)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: schedules.Constant("fast"), "number as initial"),
        (lambda: schedules.Constant(math.nan), "number as initial"),
        (lambda: schedules.Constant(math.inf), "finite initial"),
        (lambda: schedules.Linear(1.0, 0.1, minval=2.0, maxval=1.0), "minval <= maxval"),
        (lambda: schedules.Linear(1.0, 0.1, value="low"), "number as value"),
        (lambda: schedules.PowerLawDecay(-1.0), "initial >= 0"),
        (lambda: schedules.PowerLawDecay(1.0).set_value(-0.1), "value >= 0"),
        (lambda: schedules.Step(1.0, 0.0, 1.5), "whole number"),
        (lambda: schedules.Step(1.0, 0.0, -1), "whole number"),
        (lambda: schedules.ExponentialDecay(1.0, -0.1), "zero or more"),
        (lambda: schedules.PowerLawDecay(1.0, -0.1), "zero or more"),
        (lambda: schedules.Trapezoid(1.0, 4, 3, 2), "do not fit"),
        (lambda: schedules.Trapezoid(1.0, 4.5), "whole number"),
        (lambda: schedules.from_config({"name": "Konstant"}), "did you mean 'Constant'"),
        (lambda: schedules.from_config({"initial": 1.0}), "has a 'name'"),
        (lambda: schedules.from_config({"name": "Constant", "delta": 1.0}), "delta"),
        (lambda: schedules.from_config({"name": "Constant", "time": -1}), "whole number"),
    ],
)
def test_impossible_settings_are_named(make, words):
    with pytest.raises(ConfigError, match=words):
        make()


def test_aliases():
    assert schedules.schedule_from_config is schedules.from_config
    assert schedules.constant is schedules.Constant
    assert schedules.linear is schedules.Linear
    assert schedules.step is schedules.Step
    assert schedules.exponential_decay is schedules.ExponentialDecay
    assert schedules.power_law_decay is schedules.PowerLawDecay


def test_user_defined_schedule_is_loaded():
    class Cosine(schedules.Schedule):
        fields = ("initial", "period")

        def __init__(self, initial=1.0, period=10):
            super().__init__(initial)
            self.period = period

        def next_value(self, value):
            return self.initial * (0.5 + 0.5 * math.cos(2 * math.pi * self.time / self.period))

    schedule = Cosine(2.0, 4)
    next(schedule)
    again = schedules.from_config(schedule.get_config())
    assert isinstance(again, Cosine)
    assert take(again, 4) == pytest.approx([1.0, 0.0, 1.0, 2.0])
