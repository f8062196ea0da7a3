"""Links between pages, their anchors and the navigation lead somewhere; no MkDocs needed."""

import inspect
import re
from pathlib import Path

import pytest

from paysage.backends import contract

pytestmark = pytest.mark.backend_free

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
    *sorted(DOCS.rglob("*.md")),
]
LINK = re.compile(r"\[[^\]\n]*\]\((?!https?:)([^)\s#]*)(#[^)\s]*)?\)")
#: paths of the repository that are named in prose
NAMED = re.compile(r"`((?:tests|benchmarks|examples|docs|paysage)/[^`\s]*\.\w+)`")
CODE = re.compile(r"^```.*?^```$|`[^`\n]*`", re.DOTALL | re.MULTILINE)


def anchor(heading):
    """The anchor that MkDocs, and GitHub, give to a heading."""
    text = re.sub(r"[^\w\s-]", "", heading.replace("`", "").strip().lower())
    return re.sub(r"[\s]+", "-", text).strip("-")


def anchors(page):
    text = re.sub(r"^```.*?^```$", "", page.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    return {anchor(heading) for heading in re.findall(r"^#+ (.*)$", text, re.MULTILINE)}


def broken(page, text):
    """The links of a text that lead nowhere."""
    for path, fragment in LINK.findall(CODE.sub(" ", text)):
        target = (page.parent / path).resolve() if path else page
        # anchors of the reference are made from docstrings, which MkDocs alone can tell
        checked = fragment and target.suffix == ".md" and not fragment.startswith("#paysage.")
        if not target.exists() or (checked and fragment[1:] not in anchors(target)):
            yield path + fragment


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    assert not list(broken(page, page.read_text("utf-8")))


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_files_that_are_named_exist(page):
    named = NAMED.findall(page.read_text("utf-8"))
    # MNIST is nowhere in the repository
    assert not [path for path in named if not (ROOT / path).exists() and "mnist.h5" not in path]


def test_every_page_is_in_the_navigation_once():
    settings = (ROOT / "mkdocs.yml").read_text("utf-8")
    listed = re.findall(r"^\s+- .*?: ?(\S+\.md)$", settings.split("\nnav:")[1], re.MULTILINE)
    assert sorted(listed) == sorted(str(p.relative_to(DOCS)) for p in DOCS.rglob("*.md"))


def test_every_public_module_has_a_page_of_reference():
    rooms = (p for p in (ROOT / "paysage").iterdir() if not p.name.startswith("_"))
    internal = {
        "capturable",
        "checks",
        "cli",
        "files",
        "progress",
        "registry",
        "threads",
        "py.typed",
    }
    documented = {p.stem for p in (DOCS / "api").glob("*.md")} - {"index"}
    assert {p.stem if p.suffix == ".py" else p.name for p in rooms} - internal == documented


def test_the_vocabulary_at_a_glance_is_the_vocabulary():
    page = (DOCS / "api" / "backends.md").read_text("utf-8")
    listed = set(re.findall(r"#paysage\.backends\.contract\.(\w+)", page))
    assert listed and all(inspect.isfunction(getattr(contract, name, None)) for name in listed)


def test_a_broken_link_is_seen():
    assert list(broken(DOCS / "x.md", "[a](nowhere.md)")) == ["nowhere.md"]
    assert list(broken(DOCS / "x.md", "[a](notebook17.md#nowhere)")) == ["notebook17.md#nowhere"]
    assert not list(broken(DOCS / "x.md", "[a](notebook17.md#the-learning-rate) `[b](c)`"))
