"""The code in the documentation runs, and prints what it is said to print.

The blocks of a page run in order in one namespace, in an empty folder. In a page's Markdown

- `<!-- skip: why -->` before a block leaves it out, for that reason;
- `<!-- prints -->` before a ```text block says that it is what the block above printed. Numbers in
  it are not compared: they were measured, and differ in other environments.
"""

import contextlib
import io
import re
import warnings
from pathlib import Path
from typing import NamedTuple

import pytest

from paysage import backends as be
from paysage import constraints, penalties, preprocess, schedules
from paysage.layers.layer import LAYER_TYPES

pytestmark = pytest.mark.backend_free

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(
    r"^(?:<!-- (?P<mark>\w+)(?:: (?P<why>[^\n]*?))? -->\n+)?"
    r"^```(?P<language>\w*)[^\n]*\n(?P<text>.*?)^```$",
    re.DOTALL | re.MULTILINE,
)
NUMBER = re.compile(r"[-+]?\d+(\.\d+)?(e[-+]?\d+)?")
REGISTRIES = (
    LAYER_TYPES,
    penalties.base._registry,
    constraints._registry,
    preprocess._registry,
    schedules._registry,
)


class Block(NamedTuple):
    """A fenced block of a page, with the mark before it and the line where its text begins."""

    language: str
    text: str
    line: int
    mark: str
    why: str


def blocks_of(markdown):
    """All fenced blocks of a page."""
    for found in FENCE.finditer(markdown):
        line = markdown.count("\n", 0, found.start("text"))
        mark, why = found["mark"] or "", found["why"] or ""
        yield Block(found["language"], found["text"], line, mark, why)


def run(block, page, namespace):
    """Run a block as if it stood in its page, and give what it printed."""
    code = compile("\n" * block.line + block.text, page, "exec")
    printed = io.StringIO()
    with warnings.catch_warnings(), contextlib.redirect_stdout(printed):
        warnings.simplefilter("error", UserWarning)
        exec(code, namespace)
    return printed.getvalue()


def without_numbers(text):
    """The lines of a text, with # in the place of every number, and without spaces."""
    return ["".join(NUMBER.sub("#", line).split()) for line in text.strip().splitlines()]


def check_page(markdown, page):
    """Run the Python blocks of a page in order and compare what they print."""
    namespace, printed = {"__name__": "documentation"}, ""
    for block in blocks_of(markdown):
        if block.mark == "skip":
            assert block.why, f"{page}:{block.line} is skipped without a reason"
        elif block.language == "python":
            printed = run(block, page, namespace)
        elif block.mark == "prints":
            where = f"{page}:{block.line}"
            assert without_numbers(printed) == without_numbers(block.text), where


@pytest.fixture
def clean(tmp_path, monkeypatch):
    """An empty folder, the default backend and seed, and no classes that other tests defined."""
    monkeypatch.chdir(tmp_path)
    kept = [dict(registry.entries) for registry in REGISTRIES]
    for registry in REGISTRIES:
        for name, entry in list(registry.entries.items()):
            if not entry.__module__.startswith("paysage."):
                del registry.entries[name]
    be.set_backend("python", "cpu")
    be.set_seed(137)
    yield
    be.set_backend("python", "cpu")
    for registry, entries in zip(REGISTRIES, kept, strict=True):
        registry.entries.clear()
        registry.entries.update(entries)


def has_code(page):
    return any(b.language == "python" for b in blocks_of(page.read_text("utf-8")))


@pytest.mark.parametrize("page", [*filter(has_code, PAGES)], ids=lambda p: str(p.relative_to(ROOT)))
def test_blocks_run(page, clean):
    check_page(page.read_text("utf-8"), str(page))


COMMAND = re.compile(r"^python (?P<script>\S+\.py)(?P<rest>.*)$", re.MULTILINE)
EXTRA = re.compile(r"-e \"?\.\[(\w+)\]")


def commands():
    """Every command of every block of shell, with its page."""
    for page in PAGES:
        for block in blocks_of(page.read_text("utf-8")):
            if block.language in ("", "bash", "sh"):
                yield page.relative_to(ROOT), block.text


def test_scripts_and_flags_in_shell_blocks_exist():
    seen = 0
    for page, text in commands():
        for line in re.split(r"\n|&&", text):
            found = COMMAND.match(line.strip())
            if not found:
                continue
            seen += 1
            script = ROOT / found["script"]
            assert script.is_file(), f"{page}: there is no {found['script']}"
            source = "".join(p.read_text("utf-8") for p in script.parent.glob("*.py"))
            for flag in re.findall(r"(?<=\s)--[\w-]+", found["rest"]):
                assert f'"{flag}"' in source, f"{page}: {found['script']} has no {flag}"
    assert seen


def test_extras_in_shell_blocks_exist():
    project = (ROOT / "pyproject.toml").read_text("utf-8")
    extras = {(page, name) for page, text in commands() for name in EXTRA.findall(text)}
    assert extras
    for page, name in extras:
        assert re.search(rf"^{name} = \[", project, re.MULTILINE), f"{page}: no extra {name}"


@pytest.mark.parametrize(
    "markdown, problem",
    [
        ("```python\n1 / 0\n```\n", ZeroDivisionError),
        ("```python\nprint('a 1')\n```\n\n<!-- prints -->\n```text\nb 1\n```\n", AssertionError),
        ("<!-- skip -->\n```python\n1 / 0\n```\n", AssertionError),
        ("```python\nimport warnings; warnings.warn('no')\n```\n", UserWarning),
        ("```python\nprint('a 1')\n```\n\n<!-- prints -->\n```text\na 2.5\n```\n", None),
        ("<!-- skip: no GPU -->\n```python\n1 / 0\n```\n", None),
        ("```python\nx = 1\n```\ntext\n```python\nx + 1\n```\n", None),
    ],
)
def test_pages_are_held_to_it(markdown, problem, clean):
    if problem is None:
        check_page(markdown, "page.md")
    else:
        with pytest.raises(problem):
            check_page(markdown, "page.md")
