"""The site builds without a warning, and nothing in it is fetched from elsewhere."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.backend_free

ROOT = Path(__file__).resolve().parents[2]
FETCHED = re.compile(
    r"<(?:script|img|iframe|source)[^>]*\ssrc=\"?(?:https?:)?//|<link[^>]*//[^>]*>"
)


def test_site_builds_and_stands_alone(tmp_path):
    for package in ("mkdocs", "material", "mkdocstrings_handlers.python", "latex2mathml"):
        pytest.importorskip(package, reason='pip install -e ".[docs]" builds the site')
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    pages = {p: p.read_text("utf-8") for p in tmp_path.rglob("*.html")}
    assert len(pages) > 20
    for path, page in pages.items():
        assert not FETCHED.search(page), f"{path.name} fetches {FETCHED.search(page)[0]}"
        assert "arithmatex" not in page, f"{path.name} has a formula that is no MathML"
    assert any("<math" in page for page in pages.values())
