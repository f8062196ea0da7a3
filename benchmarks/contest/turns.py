"""Contestants that take turns, and the ratios of their seconds within each turn."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any, NamedTuple

Work = Callable[[], Any]

#: seconds in which the threads of the one before fall asleep
PAUSE = 0.1


class Absent(Exception):
    """Why a contestant does not take part."""


def nothing() -> None:
    """What a contestant does before its turn if nothing needs to be set."""


class Contestant(NamedTuple):
    """A name, and how it gets ready: once (which gives the work of a turn), and before each turn.

    Getting ready is not timed. Either may raise `Absent`, and so may the work of the first turn.
    """

    name: str
    start: Callable[[], Work]
    enter: Work = nothing


@dataclass
class Outcome:
    """Seconds of each counted turn by contestant, and the reasons of those that were absent."""

    seconds: dict[str, list[float]] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)
    names: list[str] = field(default_factory=list)
    """of all, in the order in which they were named"""


class Spread(NamedTuple):
    """The median of some numbers and their range."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        return cls(median(values), min(values), max(values))

    def text(self, digits: int = 2) -> str:
        """For a table: median, and the range in brackets."""
        return f"{self.median:.{digits}f} ({self.least:.{digits}f}–{self.most:.{digits}f})"


def ratio(outcome: Outcome, over: str, under: str) -> Spread | None:
    """The seconds of one contestant by those of another, turn by turn; None if one is absent."""
    pairs = zip(outcome.seconds.get(over, []), outcome.seconds.get(under, []), strict=False)
    ratios = [a / b for a, b in pairs]
    return Spread.of(ratios) if ratios else None


def take_turns(contestants: Sequence[Contestant], repeats: int, pause: float = PAUSE) -> Outcome:
    """Let everybody work in turn, `repeats` times after a first time that is not counted.

    The first time compiles kernels and fills caches. Every other round goes backwards, so that a
    machine which slows down or warms up favours nobody.
    """
    outcome = Outcome(names=[contestant.name for contestant in contestants])
    ready = _warmed_up(contestants, outcome)
    outcome.seconds = {contestant.name: [] for contestant, _ in ready}
    for turn in range(repeats):
        for contestant, work in ready[:: 1 if turn % 2 == 0 else -1]:
            contestant.enter()
            time.sleep(pause)
            outcome.seconds[contestant.name].append(seconds_of(work))
    return outcome


def _warmed_up(
    contestants: Sequence[Contestant], outcome: Outcome
) -> list[tuple[Contestant, Work]]:
    ready = []
    for contestant in contestants:
        try:
            contestant.enter()
            work = contestant.start()
            work()
        except Absent as reason:
            outcome.absent[contestant.name] = str(reason)
        else:
            ready.append((contestant, work))
    return ready


def seconds_of(work: Work) -> float:
    """Seconds of the clock on the wall."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start
