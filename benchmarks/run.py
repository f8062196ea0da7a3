"""Speed and memory of this library beside other libraries and beside the bare products.

    python benchmarks/run.py [--quick] [--only headline pcd10 ...] [--repeats 5]
                             [--json FILE] [--plot FILE] [--markdown FILE]

In each contest everybody learns the same rows (of MNIST where it is found) in the same number of
updates, taking turns in one process; ratios of seconds are formed within a turn, and their median
and range are reported. The first turn, which compiles kernels, is not counted. A contestant that is
not installed, or cannot do a task, is named with the reason. Memory, the import and the first step
are measured in processes of their own. Without options it takes about a quarter of an hour, with
--quick, which holds the first contest only, about a minute.

Let nothing else run meanwhile: products on several threads suffer most from company. Other
libraries: pip install -e ".[benchmarks]".
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

from contest import machine, plot, processes, report
from contest.contests import GROUPS, contests
from contest.report import Results
from contest.task import Contest, Data
from contest.turns import Absent, Outcome, take_turns

from paysage import backends as be

FOLDER = Path(__file__).parent / "results"
PROCESSES = {"start": processes.start, "memory": processes.memory}
QUICK = ("headline",)


def make_parser() -> argparse.ArgumentParser:
    text = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=text)
    add = parser.add_argument
    names = [*GROUPS, *PROCESSES]
    add("--quick", action="store_true", help=f"only {', '.join(QUICK)}, twice")
    add("--only", nargs="+", choices=names, metavar="NAME", help=f"of {', '.join(names)}")
    add("--repeats", type=int, help="counted turns (5; fewer where there are many contests)")
    add("--json", type=Path, default=FOLDER / "run.json", help="all seconds (%(default)s)")
    add("--plot", type=Path, default=FOLDER / "run.png", help="a picture (%(default)s)")
    add("--markdown", type=Path, help="write the tables there, too")
    return parser


def chosen(options: argparse.Namespace) -> list[str]:
    """The groups, in their order."""
    names = options.only or (QUICK if options.quick else [*GROUPS, *PROCESSES])
    return [name for name in (*GROUPS, *PROCESSES) if name in names]


def hold(contest: Contest, data: Data, repeats: int) -> Outcome:
    """A contest whose contestants cannot even be named has one reason for all."""
    try:
        return take_turns(contest.contestants(data), repeats)
    except Absent as reason:
        return Outcome(absent={"everybody": str(reason)})


def measure_processes(name: str, results: Results, data: Data, repeats: int) -> None:
    try:
        results.numbers |= PROCESSES[name](data, repeats)
    except Absent as reason:
        results.left_out[f"{name} ({reason})"] = name


def write(results: Results, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(results.as_json(), indent=1), encoding="utf-8")


def run(options: argparse.Namespace) -> Results:
    """Hold all contests; the file is written after each, in case that the next is interrupted."""
    data, names = Data(), chosen(options)
    results = Results(machine.describe(), data.name)
    for contest in contests():
        if contest.group in names:
            tell(str(contest))
            repeats = options.repeats or (2 if options.quick else contest.repeats)
            results.add(contest, hold(contest, data, repeats))
            write(results, options.json)
    for name in PROCESSES:
        if name in names:
            tell(name)
            measure_processes(name, results, data, options.repeats or 3)
    be.set_backend("python", "cpu")
    results.machine = machine.describe()  # a GPU is known once it was used
    write(results, options.json)
    return results


def tell(what: str) -> None:
    print(time.strftime("%H:%M:%S"), what, file=sys.stderr, flush=True)


def main() -> None:
    options = make_parser().parse_args()
    results = run(options)
    tables = report.markdown(results)
    print(tables)
    if options.markdown:
        options.markdown.write_text(tables, encoding="utf-8")
    try:
        plot.draw(results, options.plot)
        print(f"written: {options.json}, {options.plot}")
    except Absent as reason:
        print(f"written: {options.json}; no picture, because {reason}")


if __name__ == "__main__":
    main()
