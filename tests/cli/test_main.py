import json
import os
import re
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

import paysage as package
from paysage import cli
from paysage.cli.output import Result, run

pytestmark = pytest.mark.backend_free

ROOT = Path(package.__file__).resolve().parents[1]
COMMANDS = [module.__name__.rpartition(".")[2] for module in cli.COMMANDS]


def as_process(*arguments, **options):
    command = [sys.executable, "-m", "paysage.cli", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, capture_output=True, text=True, env=environment, **options)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_teaches(paysage, command):
    said = paysage(f"{command} --help").out
    assert f"\n  paysage {command}" in said, "an example"
    assert said.count("--json") >= 2


def test_examples_can_be_typed():
    parser = cli._parser()
    texts = [module.EXAMPLE for module in cli.COMMANDS] + [cli.DESCRIPTION]
    for page in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]:
        texts += re.findall(r"^```\w*\n(.*?)^```$", page.read_text("utf-8"), re.DOTALL | re.M)
        texts += re.findall(r"`(paysage [^`]*)`", page.read_text("utf-8"))
    lines = [line for text in texts for line in re.split(r"\n|&&", text)]
    seen = 0
    for line in lines:
        found = re.match(r"\s*paysage ((?!COMMAND)\w+ .*?)(   .*)?$", line)
        if found:
            parser.parse_args(found[1].split())
            seen += 1
    assert seen > 10


def test_a_wrong_line_is_usage(paysage):
    for line in ("", "trian", "train --epochs two", "sample", "info", "train --model gbm"):
        printed = paysage(line, 2)
        assert printed.out == ""
        assert "usage: paysage" in printed.err


def test_the_version(paysage):
    assert package.__version__ in paysage("--version").out


class Options:
    json = False


@pytest.mark.parametrize("as_json", [False, True])
def test_ctrl_c(capsys, as_json):
    def command(options):
        raise KeyboardInterrupt

    assert run(command, Options) == 130
    assert capsys.readouterr() == ("", "paysage: interrupted\n")


def test_warnings_are_lines_on_standard_error(capsys):
    def command(options):
        warnings.warn("look out", UserWarning, stacklevel=1)
        return Result(["done"], {})

    assert run(command, Options) == 0
    assert capsys.readouterr() == ("done\n", "paysage: warning: look out\n")


def test_what_json_does_not_know_is_null(capsys):
    class AsJson:
        json = True

    facts = {"a": float("nan"), "b": [float("inf"), 1.5], "p": Path("x")}
    assert run(lambda _: Result([], facts), AsJson) == 0
    assert json.loads(capsys.readouterr().out) == {"a": None, "b": [None, 1.5], "p": "x"}


def test_help_loads_nothing_heavy():
    heavy = ("torch", "numba", "matplotlib", "pandas", "tables", "h5py", "sklearn", "tqdm")
    code = f"""
import sys
from paysage.cli import main
main(["train", "--help"])
sys.exit(" ".join(m for m in {heavy} if m in sys.modules) or 0)
"""
    found = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert (found.returncode, found.stderr) == (0, "")


def test_a_students_minute(tmp_path):
    line = "train --data digits --epochs 1 --k 1 --out model.h5 --json"
    trained = as_process(*line.split(), cwd=tmp_path)
    assert trained.returncode == 0, trained.stderr
    assert json.loads(trained.stdout)["epochs"] == 1
    assert "End of epoch 1" in trained.stderr
    failed = as_process("sample", "none.h5", "--out", "s.png", cwd=tmp_path)
    assert failed.returncode == 1
    assert failed.stdout == ""
    assert failed.stderr == "paysage: error: there is no file none.h5\n"
