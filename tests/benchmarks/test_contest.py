"""The parts of the benchmarks that do not depend on how fast anything is."""

import json

import pytest
from contest import report, turns
from contest.contests import GROUPS, contests
from contest.ours import OURS
from contest.targets import TARGETS, Aim, verdicts
from contest.task import Contest, Task
from contest.turns import Absent, Contestant, Outcome, Spread

pytestmark = pytest.mark.backend_free


@pytest.fixture
def diary(monkeypatch):
    """What happened, in order; a clock that each work moves on, and no pauses."""
    events = []
    monkeypatch.setattr(turns.time, "sleep", lambda seconds: None)
    return events


def contestant(name, diary):
    def start():
        diary.append(f"start {name}")
        return lambda: diary.append(f"work {name}")

    return Contestant(name, start, lambda: diary.append(f"enter {name}"))


def test_contestants_start_once_and_take_turns_there_and_back(diary):
    outcome = turns.take_turns([contestant(n, diary) for n in "ab"], repeats=2)
    first = ["enter a", "start a", "work a", "enter b", "start b", "work b"]
    there = ["enter a", "work a", "enter b", "work b"]
    back = ["enter b", "work b", "enter a", "work a"]
    assert diary == [*first, *there, *back]
    assert {name: len(seconds) for name, seconds in outcome.seconds.items()} == {"a": 2, "b": 2}


def test_who_is_absent_is_named_with_the_reason(diary):
    def absent():
        raise Absent("not installed")

    outcome = turns.take_turns([Contestant("a", absent), contestant("b", diary)], repeats=1)
    assert (outcome.absent, outcome.names) == ({"a": "not installed"}, ["a", "b"])
    assert list(outcome.seconds) == ["b"]


def test_ratios_are_formed_within_a_turn():
    outcome = Outcome({"us": [1.0, 10.0, 2.0], "them": [2.0, 40.0, 6.0]})
    assert turns.ratio(outcome, "them", "us") == Spread(3.0, 2.0, 4.0)
    assert turns.ratio(outcome, "them", "nobody") is None


def test_products_of_an_update():
    assert Task((200,)).multiplications == 5 * 100 * 784 * 200
    assert Task((200,), steps=10).multiplications == 23 * 100 * 784 * 200
    deep = Task((500, 1000), batch=10)
    assert deep.multiplications == 10 * (5 * 784 * 500 + 7 * 500 * 1000)


def test_a_task_lasts_as_long_as_its_products():
    task = Task((200,)).lasting(1e9)
    assert (task.updates - 1) * task.multiplications < 1e9 <= task.updates * task.multiplications
    assert Task((200,), batch=500).lasting(1e20).rows == 57_000


def test_aims():
    assert Aim("at most", 1.3).holds(1.3) and not Aim("at most", 1.3).holds(1.31)
    assert Aim("at least", 2.0).holds(2.0) and not Aim("at least", 2.0).holds(1.99)


def test_targets_name_groups_of_one_contest():
    groups = [contest.group for contest in contests()]
    assert set(groups) == set(GROUPS)
    assert all(groups.count(target.group) == 1 for target in TARGETS)


def test_report_of_a_contest():
    task = Task(updates=10)
    contest = Contest("headline", task, list)
    outcome = Outcome({OURS: [1.0, 2.0, 4.0], "products": [1.0, 1.0, 2.0]}, {"rbms": "absent"})
    results = report.Results({"processor": "one"}, "rows")
    results.add(contest, outcome)
    (verdict,) = verdicts(results.held, results.numbers)
    assert (verdict.spread, verdict.holds) == (Spread(2.0, 1.0, 2.0), False)
    text = report.markdown(results)
    assert "| an epoch / its bare products | 2.00 (1.00–2.00) | ≤ 1.3 | **no** |" in text
    assert "| paysage | 200000 | 5 | 0.000492 | 1.00 (1.00–1.00) |" in text
    assert "- rbms (absent); first in headline" in text
    written = json.loads(json.dumps(results.as_json()))
    assert written["contests"][0]["seconds"] == outcome.seconds
    assert written["targets"][0]["holds"] is False


def test_many_contests_of_a_group_share_a_table():
    results = report.Results({}, "rows")
    for batch in (10, 100):
        seconds = {OURS: [1.0]} | ({"scikit-learn": [3.0]} if batch == 10 else {})
        outcome = Outcome(seconds, names=["rbms", "scikit-learn", OURS])
        results.add(Contest("grid", Task(batch=batch, updates=10), list), outcome)
    lines = report.markdown(results).splitlines()
    assert "| times as long as paysage | paysage: µs an update | scikit-learn |" in lines
    assert "| 784 × 200, batch 10, PCD-1, 10 updates | 100000 | 3.00 (3.00–3.00) |" in lines
    assert "| 784 × 200, batch 100, PCD-1, 10 updates | 100000 | – |" in lines


def test_growth_is_told_as_a_power():
    results = report.Results({}, "rows")
    for hidden in (100, 200, 400):
        task = Task((hidden,), updates=10)
        results.add(Contest("growth-hidden", task, list), Outcome({OURS: [hidden**0.5]}))
    text = report.markdown(results)
    assert "Cost by hidden units, as a power of their number: paysage 0.50." in text


def test_cost_of_the_rows_of_the_data_is_that_of_all_updates():
    results = report.Results({}, "rows")
    for updates in (10, 20):
        task = Task(updates=updates)
        results.add(Contest("growth-rows", task, list), Outcome({OURS: [float(updates)]}))
    assert "as a power of their number: paysage 1.00." in report.markdown(results)
