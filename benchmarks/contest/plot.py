"""A picture of the headline and of how cost grows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from contest.contests import GROUPS, GROWTH
from contest.report import Results, cost, microseconds, reference
from contest.task import Contest
from contest.turns import Absent, Outcome


def draw(results: Results, path: Path) -> None:
    """Write the picture: the first contest, and what of the growth was measured."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise Absent("matplotlib is not installed") from error
    held = [pair for pair in results.held if pair[1].seconds]
    if not held:
        raise Absent("nothing was measured that it could show")
    growth = {group: [p for p in held if p[0].group == group] for group in GROWTH}
    panels = [group for group in growth if growth[group]]
    figure = Figure(figsize=(6 * (1 + len(panels)), 4.5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, 1 + len(panels), squeeze=False).flat
    _bars(next(axes), *held[0])
    for group in panels:
        _lines(next(axes), group, growth[group])
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=100)


def _bars(axes: Any, contest: Contest, outcome: Outcome) -> None:
    """Microseconds of an update by contestant."""
    names = list(outcome.seconds)[::-1]
    ours = reference(outcome)
    colours = ["tab:orange" if name == ours else "tab:blue" for name in names]
    axes.barh(names, [microseconds(contest, outcome, name) for name in names], color=colours)
    axes.set(xlabel="microseconds an update", title=str(contest.task))


def _lines(axes: Any, group: str, held: list[tuple[Contest, Outcome]]) -> None:
    """Seconds of an epoch, or microseconds of an update, by size."""
    label, size = GROWTH[group]
    whole = group == "growth-rows"
    for name in held[0][1].seconds:
        points = [(size(pair[0].task), cost(*pair, name, whole)) for pair in held]
        axes.loglog(*zip(*points, strict=True), marker="o", label=name)
    unit = "seconds an epoch" if whole else "microseconds an update"
    axes.set(xlabel=label, ylabel=unit, title=GROUPS[group])
    axes.legend(fontsize="small")
