"""Rows of metrics beside those of Notebook 17, with the bands that they should keep to."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from statistics import mean, median
from typing import Any, NamedTuple

Row = dict[str, Any]

METRICS = (
    "ReconstructionError",
    "EnergyCoefficient",
    "HeatCapacity",
    "WeightSparsity",
    "WeightSquare",
    "KLDivergence",
    "ReverseKLDivergence",
)
EPOCHS = (0, 1, 20)


class Band(NamedTuple):
    """How far a metric may be from the notebook's value, or above which it may not be."""

    kind: str
    size: float

    def holds(self, ours: float, reference: float) -> bool:
        """Whether our value keeps to the band."""
        if self.kind == "at most":
            return ours <= self.size
        scale = abs(reference) if self.kind == "relative" else 1.0
        return abs(ours - reference) <= self.size * scale

    def __str__(self) -> str:
        if self.kind == "at most":
            return f"<= {self.size:g}"
        return f"± {100 * self.size:g} %" if self.kind == "relative" else f"± {self.size:g}"


RBM_BANDS = {
    "ReconstructionError": Band("relative", 0.03),
    "WeightSparsity": Band("relative", 0.06),
    "WeightSquare": Band("relative", 0.10),
}
HOPFIELD_BANDS = {
    "ReconstructionError": Band("relative", 0.06),
    "WeightSparsity": Band("relative", 0.10),
}
# After 20 epochs single runs scatter less.
LAST_WEIGHT_SQUARE = Band("relative", 0.06)
# Chains of ten sweeps scatter: these bands are absolute.
SAMPLE_BANDS = {
    name: Band("absolute", 0.15)
    for name in ("EnergyCoefficient", "KLDivergence", "ReverseKLDivergence")
}
DBM_BANDS = {
    "ReconstructionError": Band("at most", 0.69),
    "EnergyCoefficient": Band("at most", 0.28),
}
# In the notebook the second RBM of the DBM continued with the decayed learning rate of the first.
# Here the rate restarts, so that the numbers of the second RBM, and of the DBM before and after its
# first epoch, have no bands.
BANDS: dict[str, dict[str, Band]] = {
    "hopfield": HOPFIELD_BANDS | SAMPLE_BANDS,
    "rbm": RBM_BANDS | SAMPLE_BANDS,
    "rbm_l1": RBM_BANDS | SAMPLE_BANDS,
    "dbm_layer1": SAMPLE_BANDS,
}


def band_of(row: Row, metric: str) -> Band | None:
    """Return the band of a metric in a row, or None."""
    last = row["epoch"] == EPOCHS[-1]
    if row["model"] == "dbm":
        return DBM_BANDS.get(metric) if last else None
    band = BANDS.get(row["model"], {}).get(metric)
    return LAST_WEIGHT_SQUARE if band and last and metric == "WeightSquare" else band


def read_csv(path: Path) -> list[Row]:
    """The rows of the file; what is empty is left out."""
    with path.open(newline="") as file:
        return [_numbers(row) for row in csv.DictReader(file)]


def _numbers(row: dict[str, str]) -> Row:
    values: Row = {k: float(v) for k, v in row.items() if k != "model" and v != ""}
    return {**values, "model": row["model"], "epoch": int(row["epoch"])}


def mean_rows(runs: list[list[Row]]) -> list[Row]:
    """The mean of each number over the runs; "spread" holds half of its range, by metric."""
    return [_mean_row(rows) for rows in zip(*runs, strict=True)]


def _mean_row(rows: tuple[Row, ...]) -> Row:
    row: Row = {"model": rows[0]["model"], "epoch": rows[0]["epoch"], "spread": {}}
    for name in rows[0]:
        if name not in row:
            values = [r[name] for r in rows]
            row[name] = mean(values)
            row["spread"][name] = (max(values) - min(values)) / 2
    return row


def compared(rows: list[Row], reference: list[Row]) -> Iterator[tuple[Row, Row]]:
    """Our rows of the epochs that are looked at, each with the notebook's."""
    known = {(row["model"], row["epoch"]): row for row in reference}
    for row in rows:
        key = (row["model"], row["epoch"])
        if row["epoch"] in EPOCHS and key in known:
            yield row, known[key]


def metrics_table(rows: list[Row], reference: list[Row]) -> str:
    """Our metrics beside the notebook's, in Markdown."""
    lines = [
        "| model | epoch | metric | here | spread | notebook | difference | band | holds |",
        "|---|---:|---|---:|---:|---:|---:|---|---|",
    ]
    for ours, theirs in compared(rows, reference):
        lines += [_metric_line(ours, theirs, metric) for metric in METRICS]
    return "\n".join(lines)


def _metric_line(ours: Row, theirs: Row, metric: str) -> str:
    here, there, band = ours[metric], theirs[metric], band_of(ours, metric)
    verdict = "" if band is None else ("yes" if band.holds(here, there) else "**no**")
    shift = f"{100 * (here / there - 1):+.1f} %"
    if band is not None and band.kind == "absolute":
        shift = f"{here - there:+.3f}"
    numbers = f"{here:.4f} | ± {ours['spread'][metric]:.4f} | {there:.4f} | {shift}"
    return (
        f"| {ours['model']} | {ours['epoch']} | {metric} | {numbers} | {band or ''} | {verdict} |"
    )


def missed(rows: list[Row], reference: list[Row]) -> list[str]:
    """The places where a band does not hold."""
    return [
        f"{ours['model']} epoch {ours['epoch']} {metric}"
        for ours, theirs in compared(rows, reference)
        for metric in METRICS
        if (band := band_of(ours, metric)) and not band.holds(ours[metric], theirs[metric])
    ]


def seconds_table(rows: list[Row], reference: list[Row]) -> str:
    """Median seconds of an epoch of each machine, as printed by either, in Markdown."""
    lines = [
        "| machine | seconds an epoch here | in the notebook, on its author's laptop | ratio |",
        "|---|---:|---:|---:|",
    ]
    for name, pairs in _seconds(rows, reference).items():
        here, there = (median(values) for values in zip(*pairs, strict=True))
        lines.append(f"| {name} | {here:.3f} | {there:.3f} | {there / here:.1f} |")
    return "\n".join(lines)


def speedups(rows: list[Row], reference: list[Row]) -> str:
    """How many times as fast each model is trained, all machines that it takes together."""
    totals: dict[str, list[tuple[float, float]]] = {}
    for name, pairs in _seconds(rows, reference).items():
        totals.setdefault(name.partition("_layer")[0], []).extend(pairs)
    ratios = []
    for name, pairs in totals.items():
        here, there = (sum(values) for values in zip(*pairs, strict=True))
        ratios.append(f"{name} {there / here:.1f} times ({here:.1f} s instead of {there:.1f} s)")
    return "trained faster than in the notebook: " + ", ".join(ratios)


def _seconds(rows: list[Row], reference: list[Row]) -> dict[str, list[tuple[float, float]]]:
    """By machine, the seconds here and in the notebook of the epochs that both have."""
    known = {(row["model"], row["epoch"]): row for row in reference}
    pairs: dict[str, list[tuple[float, float]]] = {}
    for row in rows:
        theirs = known.get((row["model"], row["epoch"]), {})
        if "seconds" in row and "seconds" in theirs:
            pairs.setdefault(row["model"], []).append((row["seconds"], theirs["seconds"]))
    return pairs
