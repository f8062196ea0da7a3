import os

import pytest

from paysage.errors import StorageError
from paysage.files import written_whole

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
