"""Commands run in this process, on the backend of the test."""

import json

import numpy as np
import pytest

from paysage.cli import main


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def paysage(here, capsys):
    """Run a command line, look at its exit status, and give what it printed."""

    def run(line, status=0):
        capsys.readouterr()
        assert main(line.split()) == status, capsys.readouterr().err
        return capsys.readouterr()

    return run


@pytest.fixture
def facts(paysage):
    """The object that a command prints with --json."""
    return lambda line, status=0: json.loads(paysage(f"{line} --json", status).out)


@pytest.fixture
def error(paysage):
    """The one line that a command ends with when it fails."""

    def run(line):
        printed = paysage(line, 1)
        assert printed.out == ""
        last = printed.err.splitlines()[-1]
        assert last.startswith("paysage: error: ")
        assert "Traceback" not in printed.err
        return last

    return run


@pytest.fixture
def rows(here):
    """A small binary table, in a file."""
    table = (np.random.default_rng(5).random((60, 9)) < 0.3).astype(np.float32)
    np.save("rows.npy", table)
    return table
