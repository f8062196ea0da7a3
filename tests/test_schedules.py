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
    (schedules.Linear(1.0, -0.5, 0.0, 2.0), lambda t: min(2.0, 1.0 + 0.5 * t)),
    (schedules.Linear(1.0, 1.0, None, None), lambda t: 1.0 - t),
    (schedules.Step(0.5, 0.1, 3), lambda t: 0.5 if t < 3 else 0.1),
    (schedules.Trapezoid(0.6, 6), lambda t: 0.6 * [1, 1, 1, 1, 2 / 3, 1 / 3, 0, 0][t]),
    (schedules.Trapezoid(1.0, 5, 2, 2), lambda t: [1 / 3, 2 / 3, 1, 1, 0.5, 0, 0, 0][t]),
    (schedules.Trapezoid(0.5, 3, 0, 0), lambda t: 0.5 if t < 3 else 0.0),
    (schedules.ExponentialDecay(2.0, 0.3), lambda t: 2.0 * math.exp(-0.3 * t)),
    (schedules.PowerLawDecay(0.001, 0.1), lambda t: 0.001 / (1 + 0.1 * t)),
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


def test_config_is_strict_json_and_comes_back_at_the_same_time(case):
    schedule, _ = case
    take(schedule, 3)
    text = json.dumps(schedule.get_config(), allow_nan=False)
    again = schedules.from_config(json.loads(text))
    assert type(again) is type(schedule)
    assert take(again, 6) == take(schedule, 6)


def test_set_value_is_the_next_value_and_keeps_the_course(case):
    schedule, formula = case
    take(schedule, 2)
    schedule.set_value(0.75)
    now, later = take(schedule, 2)
    assert now == pytest.approx(0.75, rel=1e-14)
    if isinstance(schedule, schedules.ExponentialDecay | schedules.PowerLawDecay):
        assert later / now == pytest.approx(formula(3) / formula(2), rel=1e-14)


def test_set_value_on_linear_keeps_the_slope():
    schedule = schedules.Linear(1.0, 0.1)
    take(schedule, 3)
    schedule.set_value(0.9)
    assert take(schedule, 3) == pytest.approx([0.9, 0.8, 0.7])
    with pytest.raises(ConfigError, match=r"between 0\.0 and inf"):
        schedule.set_value(-1.0)


def test_set_value_on_step_changes_the_level_that_holds():
    schedule = schedules.Step(1.0, 0.0, 2)
    schedule.set_value(5.0)
    assert take(schedule, 3) == [5.0, 5.0, 0.0]
    schedule.set_value(3.0)
    schedule.reset()
    assert take(schedule, 3) == [5.0, 5.0, 3.0]


def test_set_value_after_underflow_is_refused():
    schedule = schedules.ExponentialDecay(1.0, 1000.0)
    take(schedule, 2)
    with pytest.raises(ConfigError, match="decayed to zero"):
        schedule.set_value(1.0)


def test_a_schedule_is_its_own_iterator():
    schedule = schedules.Constant(2.0)
    assert iter(schedule) is schedule
    assert [value for _, value in zip(range(3), schedule, strict=False)] == [2.0, 2.0, 2.0]


def test_annealing_reaches_zero_on_the_last_of_its_steps():
    values = take(schedules.Linear(initial=1.0, delta=1 / 99), 100)
    assert values[0] == 1.0
    assert values[-1] == pytest.approx(0.0, abs=1e-15)
    assert values == sorted(values, reverse=True)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: schedules.Constant("fast"), "number as initial"),
        (lambda: schedules.Constant(math.nan), "number as initial"),
        (lambda: schedules.Constant(math.inf), "finite initial"),
        (lambda: schedules.Linear(1.0, 0.1, 2.0, 1.0), "minval <= maxval"),
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


def test_lower_case_aliases():
    assert schedules.constant is schedules.Constant
    assert schedules.linear is schedules.Linear
    assert schedules.step is schedules.Step
    assert schedules.exponential_decay is schedules.ExponentialDecay
    assert schedules.power_law_decay is schedules.PowerLawDecay


def test_a_schedule_of_ones_own_loads():
    class Cosine(schedules.Schedule):
        fields = ("initial", "period")

        def __init__(self, initial=1.0, period=10):
            super().__init__(initial)
            self.period = period

        def shape(self, time):
            return 0.5 + 0.5 * math.cos(2 * math.pi * time / self.period)

    schedule = Cosine(2.0, 4)
    next(schedule)
    again = schedules.from_config(schedule.get_config())
    assert isinstance(again, Cosine)
    assert take(again, 4) == pytest.approx([1.0, 0.0, 1.0, 2.0])
