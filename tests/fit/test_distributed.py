"""Training in two processes is training in one, but for the order of sums."""

import itertools
import os
import pickle
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import together
from test_resume import same

from paysage import backends as be
from paysage import fit
from paysage.errors import ConfigError, ProcessError
from paysage.fit.memory import generator_states, set_generator_states
from paysage.fit.shares import Share

TESTS = Path(__file__).resolve().parents[1]
SIZE = 2
#: 21 updates at rates of 0.05 and less, each off by some roundings (6e-8) of sums of order one, or,
#: where a rule divides by small root mean squares, by a hundred times that; a unit that is drawn
#: otherwise moves a parameter by a rate over the rows of a minibatch, which is 5e-4 or more
TOLERANCE = 1e-4


def environment():
    path = os.pathsep.join([str(TESTS), str(TESTS.parent), os.environ.get("PYTHONPATH", "")])
    return {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """What two processes leave behind, together."""
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    if not torch.distributed.is_available() or not torch.distributed.is_gloo_available():
        pytest.skip("this PyTorch has no torch.distributed with gloo")
    for _ in range(2):  # gloo was seen to lose a connection as it was made, on a very busy machine
        path = tmp_path_factory.mktemp("together")
        ended = torchrun(TESTS / "together.py", path)
        if "connectFullMesh failed" not in ended.stderr:
            break
    assert ended.returncode == 0, ended.stderr
    return path


def torchrun(script, *arguments):
    """Run a script in two processes, which find one another at a free port of this machine."""
    options = ["--standalone", "--local-addr=127.0.0.1", f"--nproc-per-node={SIZE}"]
    command = [sys.executable, "-m", "torch.distributed.run", *options, script, *arguments]
    return subprocess.run(command, env=environment(), capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def ends(folder):
    return [pickle.loads((folder / f"{rank}.pickle").read_bytes()) for rank in range(SIZE)]


def farthest(a, b):
    """Largest difference between two trees of arrays and plain values."""
    if isinstance(a, dict):
        assert a.keys() == b.keys()
        return max((farthest(a[k], b[k]) for k in a), default=0.0)
    if isinstance(a, list):
        assert len(a) == len(b)
        return max(map(farthest, a, b), default=0.0)
    if isinstance(a, str):
        assert a == b
        return 0.0
    assert np.shape(a) == np.shape(b)
    return float(np.max(np.abs(np.subtract(a, b, dtype=np.float64)), initial=0.0))


@pytest.mark.parametrize("case", together.CASES)
def test_the_ranks_are_equal_to_the_last_bit(ends, backend, case):
    first, second = (end[backend][case] for end in ends)
    assert same(first, second)


@pytest.mark.parametrize("case", [case for case in together.CASES if case != "annealed"])
def test_two_processes_learn_what_one_learns(ends, backend, case):
    alone = together.run(case)
    found = ends[0][backend][case]
    assert 0 < farthest(alone["memory"], found["memory"]) < TOLERANCE
    # one process and the first of two have drawn as many numbers, and stand at the same one
    assert alone["state"] == found["state"]
    assert farthest(*(list(map(dict, end["monitor"])) for end in (alone, found))) < 1e-3


def test_draws_of_a_generator_are_others_but_of_the_same_process(ends, backend):
    alone, found = together.run("annealed"), ends[0][backend]["annealed"]
    difference = farthest(alone["memory"], found["memory"])
    assert TOLERANCE < difference < 0.1


def test_a_stack_of_machines(ends, backend):
    alone, found = together.pretrained(), [end[backend]["pretrained"] for end in ends]
    assert same(*found)
    assert 0 < farthest(alone["memory"], found[0]["memory"]) < TOLERANCE
    assert len(found[0]["monitor"]) == 4


# --- checkpoints


def test_a_checkpoint_of_two_goes_on_in_two_to_the_same_bits(ends, backend):
    for end in ends:
        found = end[backend]["checkpoints"]
        assert (found["position"]["epoch"], found["position"]["minibatch"]) == (1, 4)
        assert same(found["whole"], found["resumed"])
    assert same(*(end[backend]["checkpoints"] for end in ends))


def test_a_signal_to_one_pauses_all_after_the_same_step(ends, backend):
    for end in ends:
        found = end[backend]["checkpoints"]
        assert found["signal"] == 10  # sent after the ninth step, heard of in the tenth
        assert same(found["whole"], found["after"])


def test_a_checkpoint_of_two_goes_on_in_one(ends, folder, backend, tmp_path):
    shutil.copy(folder / backend / "half.h5", tmp_path / "half.h5")
    with pytest.warns(UserWarning, match="processes 2, now none"):
        resumed = together.stored(tmp_path / "half.h5", 4)
    whole = ends[0][backend]["checkpoints"]["whole"]
    assert farthest(resumed["memory"], whole["memory"]) < TOLERANCE
    assert len(resumed["monitor"]) == 4


def test_the_first_process_writes_what_one_process_writes(folder, backend, tmp_path):
    together.stored(tmp_path / "half.h5", 2)
    alone, found = map(fit.read_checkpoint, (tmp_path / "half.h5", folder / backend / "half.h5"))
    assert alone["settings"] == found["settings"] and alone["position"] == found["position"]
    pair = (alone["memory"]["phases"]["chains"], found["memory"]["phases"]["chains"])
    assert same(*(chains["state"] for chains in pair))
    assert same(*(chains["beta"] for chains in pair))


# --- callbacks and failures


def test_callbacks_of_the_first_process_decide_for_all(ends, backend):
    alone, halved = together.halved(), [end[backend]["halved"] for end in ends]
    assert same(*halved)
    assert farthest(alone["memory"], halved[0]["memory"]) < TOLERANCE
    # seven of the first epoch, two epochs of which one diverged at its third step
    assert halved[0]["steps"] == alone["steps"] == 21
    assert len(halved[0]["monitor"]) == 2


@pytest.mark.backend_free
def test_what_ends_one_process_ends_the_others_by_name(ends):
    first, second = (end["failures"] for end in ends)
    lost = "ProcessError: process {} of 2 has lost the others: process {} ended by "
    assert second["fails_in_one"] == "ValueError: broken rows"
    assert first["fails_in_one"] == lost.format(0, 1) + "ValueError: broken rows"
    assert "metric Broken failed" in first["fails_while_measuring"]
    assert second["fails_while_measuring"].startswith(lost.format(1, 0) + "PaysageError: metric B")
    assert second["has_other_data"].startswith("ConfigError: process 1 has other data than")
    assert first["has_other_data"].startswith(lost.format(0, 1) + "ConfigError: process 1 has oth")
    assert first["is_interrupted"] == "KeyboardInterrupt: "
    assert second["is_interrupted"] == lost.format(1, 0) + "KeyboardInterrupt"
    for end in (first, second):
        assert "minibatch of 1 rows is too small for 2 processes" in end["has_too_few_rows"]
        assert "which 2 processes cannot share" in end["has_a_sampler"]
        assert end["diverges"].startswith("DivergenceError: ")


@pytest.mark.backend_free
def test_a_process_that_is_killed_ends_the_job(tmp_path):
    pytest.importorskip("torch", reason="PyTorch is not installed")
    script = tmp_path / "script.py"
    script.write_text(
        "import os, together\n"
        "from paysage import fit\n"
        "def method(visible, phases):\n"
        "    if processes.rank == 1 and time == 2: os.kill(os.getpid(), 9)\n"
        "    return fit.pcd(visible, phases)\n"
        "for time in range(3):\n"  # they part, and join again, in between
        "    with fit.Processes() as processes:\n"
        "        together.train(together.make(), method=method, processes=processes)\n"
        "    os.write(1, b'trained %d\\n' % processes.rank)\n"  # whole, whoever else writes
    )
    ended = torchrun(script)
    assert ended.returncode != 0
    assert sorted(ended.stdout.split("\n")) == ["", *2 * ["trained 0"], *2 * ["trained 1"]]
    assert "SIGKILL" in ended.stderr or "Signal 9" in ended.stderr, ended.stderr


# --- one process


@pytest.mark.backend_free
def test_one_process_needs_no_torch():
    program = (
        "import sys\nfrom paysage import fit\nimport together\n"
        "with fit.Processes() as processes:\n"
        "    together.train(together.make(), epochs=1, processes=processes)\n"
        "    print(processes, processes.tell(3), 'torch' in sys.modules)\n"
    )
    command = [sys.executable, "-c", program]
    ended = subprocess.run(command, env=environment(), capture_output=True, text=True, check=True)
    assert ended.stdout == "Processes(rank=0, size=1) 3 False\n"


def test_one_process_of_one_is_the_usual_training(backend):
    assert same(together.run("uneven"), together.run("uneven", fit.Processes.alone()))


@pytest.mark.backend_free
@pytest.mark.parametrize("place", [("2", None), ("two", "0"), ("2", "2")])
def test_an_environment_that_torchrun_did_not_make(monkeypatch, place):
    for name, value in zip(("WORLD_SIZE", "RANK"), place, strict=True):
        monkeypatch.delenv(name, raising=False)
        if value is not None:
            monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError, match="expected what torchrun sets"):
        fit.Processes()


@pytest.mark.backend_free
def test_others_that_do_not_come(monkeypatch):
    pytest.importorskip("torch", reason="PyTorch is not installed")
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = str(s.getsockname()[1])
    place = {"WORLD_SIZE": "2", "RANK": "0", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    for name, value in place.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ProcessError, match="process 0 of 2 cannot reach the others"):
        fit.Processes(timeout=1.0)


@pytest.mark.backend_free
def test_what_is_no_processes_is_refused():
    with pytest.raises(ConfigError, match=r"processes takes fit.Processes\(\) or None, got 2"):
        together.train(together.make(), processes=2)


# --- the cut


@pytest.mark.backend_free
@pytest.mark.parametrize("size", [1, 2, 3, 5, 8])
@pytest.mark.parametrize("ends", [(0, 8), (0, 50, 100), (0, 51, 103), (0, 48, 97, 145, 194)])
def test_shares_are_the_rows_once(size, ends):
    blocks = [slice(*pair) for pair in itertools.pairwise(ends)]
    every = np.arange(ends[-1])
    shares = [Share(rank, size) for rank in range(size)]
    rows = [every[share.of(blocks)] for share in shares]
    assert np.array_equal(np.concatenate(rows), every)
    assert max(map(len, rows)) - min(map(len, rows)) <= 1 + len(blocks)
    for share, own in zip(shares, rows, strict=True):
        parts = share.of_blocks(blocks)
        assert np.array_equal(np.concatenate([every[part] for part in parts]), own)
        assert len(parts) == len(blocks)


@pytest.mark.backend_free
def test_fewer_rows_than_shares_are_refused():
    with pytest.raises(ConfigError, match="a phase of 2 rows is too small for 3 processes"):
        Share(0, 3).of([slice(0, 2)])


@pytest.mark.backend_free
def test_on_gpus_each_process_has_numbers_of_its_own(gpu_path):
    with be.Generator(3) as generator:
        before, drawn = generator_states(generator), []
        for rank in (0, 1, 2, 1):
            set_generator_states(generator, before, rank)
            drawn.append(be.to_numpy_array(be.rand((20,))))
        set_generator_states(generator, before)
        assert np.array_equal(drawn[0], be.to_numpy_array(be.rand((20,))))
    assert np.array_equal(drawn[1], drawn[3])
    for a, b in ((0, 1), (0, 2), (1, 2)):
        assert not np.isin(drawn[a], drawn[b]).any()
