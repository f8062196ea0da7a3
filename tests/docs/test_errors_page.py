"""Every error and warning of the library is on the page that says what to do about it."""

import ast
import re
from pathlib import Path

import pytest

pytestmark = pytest.mark.backend_free

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "errors.md").read_text("utf-8")
SOURCES = [ast.parse(path.read_text("utf-8")) for path in (ROOT / "paysage").rglob("*.py")]


def nodes(kind):
    return [node for tree in SOURCES for node in ast.walk(tree) if isinstance(node, kind)]


def derived(base):
    """Names of all classes of the library that descend from one of that name."""
    bases = {c.name: {ast.unparse(b).split(".")[-1] for b in c.bases} for c in nodes(ast.ClassDef)}
    own = {name for name, above in bases.items() if base in above}
    return own.union(*(derived(name) for name in own))


def test_every_error_has_a_section_and_a_row():
    sections = set(re.findall(r"^## (\w+Error)$", PAGE, re.MULTILINE))
    rows = set(re.findall(r"^\| \[`(\w+)`\]", PAGE, re.MULTILINE))
    assert sections == rows == derived("PaysageError")


def test_every_warning_is_there():
    found = derived("UserWarning")
    assert found and all(f"`{name}`" in PAGE for name in found)


def test_the_extras_that_errors_name_are_there():
    project = (ROOT / "pyproject.toml").read_text("utf-8")
    calls = [n for n in nodes(ast.Call) if getattr(n.func, "id", "") == "missing_dependency"]
    assert calls
    for call in calls:
        extra = ast.literal_eval(call.args[2])
        assert re.search(rf"^{extra} = \[", project, re.MULTILINE), f"there is no extra {extra}"
