"""The command `paysage`: fetch, train, sample, evaluate, plot, info, convert, doctor.

Results go to standard output, everything else to standard error. The exit status is 0, 1 after an
error of the library, which is one line on standard error, 2 after a wrong command line, 130 after
Ctrl-C, and 141 if the reader of standard output has gone. What a command computes with is imported
when it runs.
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Sequence
from contextlib import redirect_stdout

from paysage import __version__
from paysage.cli import convert, doctor, evaluate, fetch, info, plot, sample, train
from paysage.cli.output import finish, open_standard_streams, run

COMMANDS = (fetch, train, sample, evaluate, plot, info, convert, doctor)

DESCRIPTION = """\
Boltzmann machines: restricted, Gaussian, Hopfield and deep ones.

  paysage train --data digits --out model.h5   learn handwritten digits, some seconds
  paysage sample model.h5 --out samples.png    draw digits that nobody wrote
  paysage evaluate model.h5 --data digits      their log-likelihood, with error bars
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line, by default the arguments of the process, and return the exit status."""
    open_standard_streams()
    shown = io.StringIO()
    try:
        with redirect_stdout(shown):
            options = _parser().parse_args(arguments)
    except SystemExit as end:  # of argparse: after --help, or a wrong command line
        return finish(int(end.code or 0), shown.getvalue())
    return run(options.command, options)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="paysage",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="`paysage COMMAND --help` has an example of each.",
    )
    parser.add_argument("--version", action="version", version=f"paysage {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for module in COMMANDS:
        name = module.__name__.rpartition(".")[2]
        own = commands.add_parser(
            name,
            help=module.SUMMARY,
            description=f"{module.SUMMARY.capitalize()}.",
            epilog=f"example:\n{module.EXAMPLE}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        module.add_options(own)
        own.set_defaults(command=module.command)
    return parser
