"""Standard streams that are full, closed or without a reader; each command in a real process."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from cli_lines import TRAIN
from legacy_files import model_frames, put

import paysage as package
from paysage.layers import BernoulliLayer
from paysage.models import BoltzmannMachine

pytestmark = [
    pytest.mark.backend_free,
    pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full"),
]

ROOT = Path(package.__file__).resolve().parents[1]
LINES = {
    "train": TRAIN,
    "sample": "sample model.h5 -n 2 --steps 2 --out s.npy",
    "evaluate": "evaluate model.h5 --data rows.npy",
    "plot": "plot model.h5 --out weights.png --shape 3x3",
    "info": "info model.h5",
    "fetch": "fetch digits",
    "doctor": "doctor",
    "convert": "convert old.h5 new.h5",
    "--help": "--help",
    "--version": "--version",
    "train --help": "train --help",
}
OUTPUTS = {
    "train": "m.h5",
    "sample": "s.npy",
    "plot": "weights.png",
    "fetch": "digits.h5",
    "convert": "new.h5",
}
NO_SPACE = "paysage: error: cannot write to standard output: No space left on device\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("streams")
    rng = np.random.default_rng(5)
    np.save(path / "rows.npy", (rng.random((60, 9)) < 0.3).astype(np.float32))
    BoltzmannMachine([BernoulliLayer(9), BernoulliLayer(4)]).save(path / "model.h5")
    put(path / "old.h5", model_frames([[np.zeros(3)], [np.zeros(2)]], [np.zeros((3, 2))]))
    return path


def environment(**variables):
    inherited = {k: v for k, v in os.environ.items() if k != "PYTHONUNBUFFERED"}
    return {**inherited, "PYTHONPATH": str(ROOT), "PYTHON": sys.executable, **variables}


def shell(folder, line, redirections):
    """Run a command line in bash, with its redirections or pipes; return the process."""
    return subprocess.run(
        ["bash", "-o", "pipefail", "-c", f'"$PYTHON" -m paysage.cli {line} {redirections}'],
        capture_output=True,
        text=True,
        cwd=folder,
        env=environment(),
    )


@pytest.mark.parametrize("name", LINES)
def test_full_standard_output_is_an_error_of_one_line(folder, name):
    output = OUTPUTS.get(name)
    if output:
        (folder / output).unlink(missing_ok=True)
    ended = shell(folder, LINES[name], "> /dev/full")
    *before, last = ended.stderr.splitlines(keepends=True)
    assert (ended.returncode, last) == (1, NO_SPACE)
    assert "Traceback" not in ended.stderr
    if name == "train":
        assert "End of epoch 2: \n" in before
        assert BoltzmannMachine.from_saved(folder / "m.h5").layers[1].num_units == 4
    else:
        assert all(line.startswith("paysage: warning: ") for line in before)
    if output:
        assert (folder / output).stat().st_size > 0


@pytest.mark.parametrize("redirections", ["2> /dev/full", "2>&-"])
def test_training_goes_on_without_standard_error(folder, redirections):
    line = LINES["train"].replace("m.h5", "kept.h5")
    ended = shell(folder, f"{line} --force", redirections)
    assert ended.returncode == 0
    assert "kept.h5: BoltzmannMachine" in ended.stdout
    assert BoltzmannMachine.from_saved(folder / "kept.h5").layers[1].num_units == 4


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("name", ["info", "--help"])
def test_reader_that_has_seen_enough_ends_the_command_quietly(folder, name, unbuffered):
    """The pipe is closed before the command writes, so the result does not depend on timing."""
    reader, writer = os.pipe()
    os.close(reader)
    ended = subprocess.run(
        [sys.executable, "-m", "paysage.cli", *LINES[name].split()],
        stdout=writer,
        stderr=subprocess.PIPE,
        cwd=folder,
        env=environment(PYTHONUNBUFFERED=unbuffered),
    )
    os.close(writer)
    assert (ended.returncode, ended.stderr) == (141, b"")


def test_head_of_a_pipe_gets_its_line(folder):
    ended = shell(folder, LINES["info"], "| head -1")
    assert (ended.stdout, ended.stderr) == ("model.h5: HDF5\n", "")


def test_closed_standard_output_is_an_error_of_one_line(folder):
    ended = shell(folder, LINES["info"], ">&-")
    assert ended.returncode == 1
    assert ended.stderr == "paysage: error: cannot write to standard output: it is closed\n"


def test_errors_do_not_go_to_standard_output(folder):
    ended = shell(folder, "info none.h5", "2>&-")
    assert (ended.returncode, ended.stdout) == (1, "")


def test_files_do_not_take_the_numbers_of_closed_streams(folder):
    """Messages of C libraries would otherwise be written into a model."""
    code = (
        "import os, sys; from paysage.cli import main; main(['--version']);"
        "print(open('rows.npy', 'rb').fileno(), file=open('number', 'w'))"
    )
    (folder / "look.py").write_text(code)
    line = '"$PYTHON" look.py <&- >&- 2>&-'
    subprocess.run(["bash", "-c", line], cwd=folder, env=environment(), check=True)
    assert int((folder / "number").read_text()) > 2


# in scripts


SCRIPT = """
import sys
import numpy as np
from paysage import batch, fit, likelihood, optimizers
from paysage.layers import BernoulliLayer
from paysage.models import BoltzmannMachine
from paysage.progress import progress_bar

stream = {stream}
if stream == "closed":
    sys.stderr.close()
    sys.stdout.close()
else:
    sys.stderr = sys.stdout = None
rows = np.random.default_rng(0).integers(0, 2, size=(100, 6))
data = batch.in_memory_batch(rows, batch_size=10)
model = BoltzmannMachine([BernoulliLayer(6), BernoulliLayer(3)])
model.initialize(data)
fit.SGD(model, data).train(optimizers.ADAM(stepsize=0.01), 2, verbose=stream != "closed",
                           callbacks=[fit.callbacks.ProgressBar()])
likelihood.AIS(model, 10, 20).run(verbose=True)
assert list(progress_bar(range(3))) == [0, 1, 2]
model.save("script.h5")
"""


@pytest.mark.parametrize("stream", [None, "closed"])
def test_training_in_a_process_without_standard_streams(folder, stream):
    (folder / "script.h5").unlink(missing_ok=True)
    (folder / "script.py").write_text(SCRIPT.format(stream=repr(stream)))
    subprocess.run([sys.executable, "script.py"], cwd=folder, env=environment(), check=True)
    assert (folder / "script.h5").exists()
