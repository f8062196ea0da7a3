"""What came out, in Markdown and as JSON."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

import numpy as np

from contest.contests import GROUPS, GROWTH
from contest.ours import OURS
from contest.targets import verdicts
from contest.task import Contest
from contest.turns import Outcome, Spread, ratio


@dataclass
class Results:
    """All that was measured so far."""

    machine: dict[str, str]
    data: str
    held: list[tuple[Contest, Outcome]] = field(default_factory=list)
    numbers: dict[str, Spread] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    """reasons, by contestant or group"""

    def add(self, contest: Contest, outcome: Outcome) -> None:
        self.held.append((contest, outcome))
        for name, reason in outcome.absent.items():
            self.left_out.setdefault(f"{name} ({reason})", str(contest))

    def as_json(self) -> dict[str, Any]:
        return {
            "machine": self.machine,
            "data": self.data,
            "targets": [
                {"text": v.text, "aim": str(v.aim), "holds": v.holds, **v.spread._asdict()}
                for v in verdicts(self.held, self.numbers)
            ],
            "numbers": {name: spread._asdict() for name, spread in self.numbers.items()},
            "contests": [_contest_as_json(*pair) for pair in self.held],
        }


def _contest_as_json(contest: Contest, outcome: Outcome) -> dict[str, Any]:
    return {
        "group": contest.group,
        "name": str(contest.task),
        "task": dataclasses.asdict(contest.task),
        "seconds": outcome.seconds,
        "absent": outcome.absent,
    }


def markdown(results: Results) -> str:
    """All tables."""
    parts = [_machine(results), _targets(results), *_groups(results), _left_out(results)]
    return "\n\n".join(part for part in parts if part) + "\n"


def table(heads: list[str], rows: list[list[str]]) -> str:
    """The first column is text, the others are numbers."""
    lines = [heads, ["---", *("---:" for _ in heads[1:])], *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _machine(results: Results) -> str:
    words = ", ".join(f"{name} {value}" for name, value in results.machine.items())
    return f"{words}. Data: {results.data}."


def _targets(results: Results) -> str:
    rows = [
        [v.text, v.spread.text(), str(v.aim), "yes" if v.holds else "**no**"]
        for v in verdicts(results.held, results.numbers)
    ]
    rows += [
        [name, spread.text(), "", ""]
        for name, spread in results.numbers.items()
        if not any(name == row[0] for row in rows)
    ]
    return table(["aimed at", "median (least–most)", "aim", "reached"], rows) if rows else ""


def _groups(results: Results) -> list[str]:
    parts = []
    for name, pairs in groupby(results.held, lambda pair: pair[0].group):
        held = [pair for pair in pairs if pair[1].seconds]
        if held:
            parts.append(f"**{name}**: {GROUPS[name]}")
            parts.append(_one(*held[0]) if len(held) == 1 else _many(held))
            if name in GROWTH and len(held) > 1:
                parts.append(_growth(name, held))
    return parts


def reference(outcome: Outcome) -> str:
    """Whom the others are compared with: this library by default, or who comes first."""
    return OURS if OURS in outcome.seconds else next(iter(outcome.seconds))


def microseconds(contest: Contest, outcome: Outcome, name: str) -> float:
    """Of an update, in the median."""
    return 1e6 * Spread.of(outcome.seconds[name]).median / contest.task.all_updates


def cost(contest: Contest, outcome: Outcome, name: str, whole: bool) -> float:
    """Microseconds of an update, or seconds of all of them, in the median."""
    return (
        Spread.of(outcome.seconds[name]).median if whole else microseconds(contest, outcome, name)
    )


def _one(contest: Contest, outcome: Outcome) -> str:
    """A row for each contestant."""
    us = reference(outcome)
    heads = [str(contest.task), "µs an update", "updates/s", "flips/ns", f"times as long as {us}"]
    rows = []
    for name in outcome.seconds:
        micro = microseconds(contest, outcome, name)
        flips = "" if name.startswith("products") else f"{contest.task.flips / micro / 1e3:.3g}"
        compared = ratio(outcome, name, us)
        rows.append([name, f"{micro:.0f}", f"{1e6 / micro:.0f}", flips, _text(compared)])
    return table(heads, rows)


def _many(held: list[tuple[Contest, Outcome]]) -> str:
    """A row for each contest; the seconds of the others are given by ours."""
    us = reference(held[0][1])
    present = {name for _, outcome in held for name in outcome.seconds}
    names = [name for name in held[0][1].names if name in present and name != us]
    rows = []
    for contest, outcome in held:
        micro = microseconds(contest, outcome, us)
        others = [_text(ratio(outcome, name, us)) for name in names]
        label = f"{contest.task}, {contest.task.all_updates} updates"
        rows.append([label, f"{micro:.0f}", *others])
    return table([f"times as long as {us}", f"{us}: µs an update", *names], rows)


def _growth(group: str, held: list[tuple[Contest, Outcome]]) -> str:
    """The power of the size that seconds are nearest to, by contestant."""
    what, size = GROWTH[group]
    whole = group == "growth-rows"
    powers = []
    for name in held[0][1].seconds:
        sizes = [size(contest.task) for contest, _ in held]
        costs = [cost(*pair, name, whole) for pair in held]
        power = np.polyfit(np.log(sizes), np.log(costs), 1)[0]
        powers.append(f"{name} {power:.2f}")
    return f"Cost by {what}, as a power of their number: {'; '.join(powers)}."


def _text(spread: Spread | None) -> str:
    return "–" if spread is None else spread.text()


def _left_out(results: Results) -> str:
    lines = [f"- {who}; first in {where}" for who, where in results.left_out.items()]
    return "\n".join(["Left out:", "", *lines]) if lines else ""
