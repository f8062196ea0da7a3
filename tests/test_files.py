import contextlib
import os
import subprocess
import sys

import pytest

from paysage import files
from paysage.errors import StorageError
from paysage.files import remove_unfinished, written_by_one, written_whole

pytestmark = pytest.mark.backend_free


def test_the_file_appears_when_it_is_complete(tmp_path):
    path = tmp_path / "a.txt"
    with written_whole(path) as partial:
        partial.write_text("new")
        assert partial.parent == tmp_path
        assert not path.exists()
    assert path.read_text() == "new"
    assert os.listdir(tmp_path) == ["a.txt"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_failure_keeps_the_former_file(tmp_path, error):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(error), written_whole(path) as partial:
        partial.write_text("half")
        raise error
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_the_file_gets_ordinary_permissions(tmp_path):
    plain = tmp_path / "plain"
    plain.touch()
    with written_whole(tmp_path / "a.txt"):
        pass
    assert (tmp_path / "a.txt").stat().st_mode == plain.stat().st_mode


def test_a_missing_folder_is_told_before_the_work(tmp_path):
    with (
        pytest.raises(StorageError, match="there is no folder"),
        written_whole(tmp_path / "none" / "a.txt"),
    ):
        pytest.fail("the block was entered")


def test_long_names_of_many_bytes_can_be_written(tmp_path):
    path = tmp_path / ("模" * 83 + ".h5")  # 252 bytes of the 255 that there may be
    with written_whole(path) as partial:
        partial.write_text("new")
    assert path.read_text() == "new"


def test_only_what_is_left_of_one_file_is_removed(tmp_path):
    long = "the_same_forty_letters_or_more_to_begin_with_"
    names = ["run.h5", "run.h5.bak.h5", f"{long}a.h5", f"{long}b.h5"]
    with contextlib.ExitStack() as stack:
        partial = [stack.enter_context(written_whole(tmp_path / name)) for name in names]
        for n in (0, 2):
            remove_unfinished(tmp_path / names[n])
        assert [part.exists() for part in partial] == [False, True, False, True]
        for n in (0, 2):
            partial[n].touch()


# one writer

locks = pytest.mark.skipif(files.fcntl is None, reason="the system has no such locks")


@locks
def test_one_at_a_time(tmp_path):
    path = tmp_path / "run.h5"
    with written_by_one(path):
        again = written_by_one(tmp_path / "." / "run.h5")
        with pytest.raises(StorageError, match="written by another training"), again:
            pytest.fail("the block was entered")
        with written_by_one(tmp_path / "other.h5"), written_whole(path) as partial:
            partial.write_text("new")
    assert os.listdir(tmp_path) == ["run.h5"]
    with pytest.raises(ValueError), written_by_one(path):
        raise ValueError
    with written_by_one(path):
        pass


@locks
def test_the_lock_of_a_killed_process_is_open(tmp_path):
    path = tmp_path / ("模" * 83 + ".h5")
    holder = (
        "import sys; from paysage.files import written_by_one\n"
        "with written_by_one(sys.argv[1]):\n    print('held', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", holder, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"held\n"
        with pytest.raises(StorageError, match="another training"), written_by_one(path):
            pytest.fail("the block was entered")
        process.kill()
    assert len(os.listdir(tmp_path)) == 1  # of the lock that nobody holds
    with written_by_one(path):
        pass
    assert os.listdir(tmp_path) == []


@locks
def test_a_lock_that_was_removed_meanwhile_is_made_anew(tmp_path, monkeypatch):
    path, locks = tmp_path / "run.h5", []

    def flock(handle, how):
        locks.append(handle)
        if len(locks) == 1:  # as if its holder had come to the end just before
            (tmp_path / "run.h5.lock").unlink()

    monkeypatch.setattr(files.fcntl, "flock", flock)
    with written_by_one(path):
        assert len(locks) == 2 and (tmp_path / "run.h5.lock").exists()


@locks
def test_systems_without_locks_write_all_the_same(tmp_path, monkeypatch):
    def flock(handle, how):
        raise OSError(37, "No locks available")

    with monkeypatch.context() as patch:
        patch.setattr(files.fcntl, "flock", flock)
        with written_by_one(tmp_path / "run.h5"), written_by_one(tmp_path / "run.h5"):
            pass
    monkeypatch.setattr(files, "fcntl", None)
    with written_by_one(tmp_path / "a.h5"), written_by_one(tmp_path / "a.h5"):
        pass
