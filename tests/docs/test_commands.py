"""Every command line of `paysage` in the documentation is one that it takes."""

import re
import shlex
from pathlib import Path

import pytest
from test_code_blocks import PAGES, blocks_of

from paysage.cli import _parser

pytestmark = pytest.mark.backend_free

CLI = Path(__file__).resolve().parents[2] / "docs" / "howto" / "cli.md"
FLAGS = re.compile(r"^\| `(--[^`]+)` \|", re.MULTILINE)
INLINE = re.compile(r"`(paysage [a-z]+ [^`]*)`")


def command_lines():
    """What stands in blocks of shell, a command a line, and between backticks in prose."""
    for page in PAGES:
        text = page.read_text("utf-8")
        shell = "\n".join(b.text for b in blocks_of(text) if b.language in ("", "bash", "sh"))
        prose = "\n".join(INLINE.findall(text))
        for line in re.split(r"\n|&&", f"{shell}\n{prose}"):
            if re.match(r"paysage [a-z]", line.strip()):
                yield page.name, line.strip()


@pytest.mark.parametrize("page, line", [*command_lines()])
def test_it_is_understood(page, line):
    _parser().parse_args(shlex.split(line)[1:])


def test_flags_of_the_table_are_understood():
    flags = FLAGS.findall(CLI.read_text("utf-8"))
    assert len(flags) > 10
    for flag in flags:
        _parser().parse_args(["train", *flag.split()])
