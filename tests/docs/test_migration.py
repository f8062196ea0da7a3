"""The page about version 0.2 agrees with the library: names that are gone, names of arguments."""

import importlib
import inspect
import re
from pathlib import Path

import pytest

pytestmark = pytest.mark.backend_free

PAGE = Path(__file__).resolve().parents[2] / "docs" / "migration.md"


def rows(heading, number_of_columns):
    """The cells of all tables with that many columns under a heading, without their head rows."""
    section = PAGE.read_text("utf-8").split(f"\n## {heading}\n")[1].split("\n## ")[0]
    found = [line.strip("|").split(" | ") for line in section.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in row] for row in found if len(row) == number_of_columns]
    return [row for row in cells if "`" in row[0]]


def spans(cell):
    return re.findall(r"`([^`]+)`", cell)


def resolve(path):
    """A module, class or function below `paysage`."""
    parts = path.split(".")
    found = importlib.import_module(f"paysage.{parts[0]}")
    for part in parts[1:]:
        found = getattr(found, part)
    return found


def test_names_that_are_gone_do_not_exist():
    gone = [
        (owner, name)
        for owners, names, _ in rows("Names that are gone", 3)
        for owner in spans(owners)
        for name in spans(names)
    ]
    assert len(gone) > 200
    assert not [(owner, name) for owner, name in gone if hasattr(resolve(owner), name)]


@pytest.mark.parametrize("row", rows("Arguments that have another name", 3), ids=lambda row: row[0])
def test_arguments_have_the_listed_names(row):
    functions, old, new = map(spans, row)
    for function in functions:
        parameters = inspect.signature(resolve(function)).parameters
        assert set(new) <= set(parameters)
        assert not set(old) & set(parameters)
