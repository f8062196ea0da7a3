"""Importing the library is light, silent and without side effects."""

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.backend_free

HEAVY = ("torch", "numba", "numexpr", "matplotlib", "seaborn", "pandas", "tables", "h5py")
HEAVY += ("sklearn", "scipy", "tqdm")
ROOMS = "backends, layers, models, fit, batch, metrics, samplers, optimizers, schedules, penalties"
STATEMENTS = {
    "alone": "import paysage",
    "rooms": f"from paysage import {ROOMS}, constraints, preprocess, storage, plotting, testing",
    "names": "from paysage.layers import BernoulliLayer; from paysage.models import State",
}


def run(code, **environment):
    """Run code in a fresh process; warnings are errors."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, **environment},
    )


@pytest.mark.parametrize("backend", ["python", "pytorch"])
@pytest.mark.parametrize("name", STATEMENTS)
def test_import_loads_nothing_heavy_and_says_nothing(name, backend):
    check = f"import sys; sys.exit(' '.join(m for m in {HEAVY} if m in sys.modules) or 0)"
    result = run(f"{STATEMENTS[name]}; {check}", PAYSAGE_BACKEND=backend)
    assert result.stderr == "", "loaded at import"
    assert result.stdout == ""
    assert result.returncode == 0


def test_import_starts_no_thread_and_draws_no_number():
    code = (
        "import threading, random, numpy; before = numpy.random.get_state()[1].tolist(), "
        f"random.getstate(); from paysage import {ROOMS}; "
        "after = numpy.random.get_state()[1].tolist(), random.getstate(); "
        "assert before == after and threading.active_count() == 1"
    )
    result = run(code)
    assert result.returncode == 0, result.stderr


def test_the_version_is_a_string():
    result = run("import paysage; print(paysage.__version__)")
    assert result.stdout.strip().count(".") >= 1
