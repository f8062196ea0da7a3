"""The ratios and the numbers that are aimed at."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from contest import peers
from contest.floor import PRODUCTS
from contest.ours import BF16, METRICS, OURS, OWN_LAYER, TORCH, TORCH_BF16
from contest.processes import FIRST_STEP, IMPORT, MEMORY
from contest.task import Contest
from contest.turns import Outcome, Spread, ratio


class Aim(NamedTuple):
    """What a number should be."""

    kind: str
    bound: float

    def holds(self, value: float) -> bool:
        return value <= self.bound if self.kind == "at most" else value >= self.bound

    def __str__(self) -> str:
        return f"{'≤' if self.kind == 'at most' else '≥'} {self.bound:g}"


class Target(NamedTuple):
    """The aim for the seconds of one contestant by those of another, in a group's contest."""

    text: str
    group: str
    over: str
    under: str
    aim: Aim


class Verdict(NamedTuple):
    """What came out, beside what was aimed at."""

    text: str
    spread: Spread
    aim: Aim

    @property
    def holds(self) -> bool:
        """Whether the median is as it should be."""
        return self.aim.holds(self.spread.median)


def verdicts(
    held: Iterable[tuple[Contest, Outcome]], numbers: Mapping[str, Spread]
) -> Iterator[Verdict]:
    """For all targets whose contests were held and whose contestants were there."""
    outcomes = {contest.group: outcome for contest, outcome in held}
    for text, group, over, under, aim in TARGETS:
        spread = ratio(outcomes.get(group, Outcome()), over, under)
        if spread is not None:
            yield Verdict(text, spread, aim)
    for text, aim in NUMBERS.items():
        if text in numbers:
            yield Verdict(text, numbers[text], aim)


NUMBERS = {
    IMPORT: Aim("at most", 0.5),
    FIRST_STEP: Aim("at most", 1.0),
    MEMORY: Aim("at most", 150),
}
TARGETS = [
    Target("an epoch / its bare products", "headline", OURS, PRODUCTS, Aim("at most", 1.30)),
    Target("scikit-learn / an epoch", "headline", peers.SKLEARN, OURS, Aim("at least", 2.0)),
    Target("rbms / an epoch", "headline", peers.RBMS, OURS, Aim("at least", 4.0)),
    Target(
        "learnergy (CD-1) / an epoch", "headline", peers.LEARNERGY_CD, OURS, Aim("at least", 4.0)
    ),
    Target("rbms / an epoch, CD-1", "headline-cd", peers.RBMS, OURS, Aim("at least", 4.0)),
    Target(
        "learnergy / an epoch, CD-1", "headline-cd", peers.LEARNERGY, OURS, Aim("at least", 4.0)
    ),
    Target("rbms / PCD-10, 784 × 500", "pcd10", peers.RBMS, OURS, Aim("at least", 3.0)),
    Target("float32 / bf16, NumPy", "headline", OURS, BF16, Aim("at least", 1.6)),
    Target("float32 / bf16, PyTorch", "headline", TORCH, TORCH_BF16, Aim("at least", 1.6)),
    Target("the layer built in / one's own", "own-layer", OURS, OWN_LAYER, Aim("at least", 0.70)),
    Target("epochs with metrics / without", "monitor", METRICS, OURS, Aim("at most", 1.10)),
]
