"""What TensorBoard reads is what was measured, and the parameters."""

import errno
import io
import os

import numpy as np
import pytest
from test_resume import EPOCHS, STEPS, Killed, adam, kill_after, make, train

from paysage.errors import ConfigError, MissingDependencyError, ShapeError, StorageError
from paysage.fit.callbacks import TensorBoard
from paysage.fit.callbacks.tensorboard import grey_grid
from paysage.metrics import ReconstructionError, WeightSquare

__all__ = ["kill_after"]  # a fixture


def read(folder):
    accumulator = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator",
        reason="tensorboard is not installed",
    )
    return accumulator.EventAccumulator(
        str(folder), size_guidance={"scalars": 0, "histograms": 0, "images": 0}
    ).Reload()


@pytest.fixture(autouse=True)
def installed():
    pytest.importorskip("tensorboard", reason="tensorboard is not installed")


def test_scalars_histograms_and_images(tmp_path):
    trainer = make(metrics=[ReconstructionError(), WeightSquare()])
    trainer.monitor.generator_metrics[1].every = 2
    board = TensorBoard(tmp_path / "runs", every=2, shape=(2, 3), num_images=3)
    trainer.train(adam(), 3, verbose=False, callbacks=[board])
    found = read(tmp_path / "runs")
    for name in ("ReconstructionError", "WeightSquare"):
        wanted = {k: m[name] for k, m in enumerate(trainer.monitor.memory, 1) if m[name]}
        told = {e.step: e.value for e in found.Scalars(name) if e.step > 0}
        assert told.keys() == wanted.keys()
        # stored in single precision
        np.testing.assert_allclose([*told.values()], [*wanted.values()], rtol=1e-6)
    assert [e.step for e in found.Scalars("learning_rate")] == [1, 2, 3]
    assert set(found.Tags()["histograms"]) == {"layer0/loc", "layer1/loc", "weights0/matrix"}
    matrices = found.Histograms("weights0/matrix")
    assert [e.step for e in matrices] == [0, 2]
    assert all(e.histogram_value.num == sum(e.histogram_value.bucket) == 24 for e in matrices)
    image = pytest.importorskip("PIL.Image")
    for tag in ("chains", "weights"):
        event = found.Images(tag)[-1]
        picture = image.open(io.BytesIO(event.encoded_image_string))
        assert picture.size == (event.width, event.height) == (2 * 4, 2 * 3)


def test_a_resumed_training_takes_the_place_of_what_was_lost(tmp_path, kill_after):
    def run():
        made = make(metrics=[ReconstructionError()])
        boards = [TensorBoard(tmp_path / "runs")]
        return train(tmp_path / "run.h5", made, callbacks=boards, every=2)

    kill_after(3 * STEPS + 2)  # three epochs are written, the checkpoint is of the second
    with pytest.raises(Killed):
        run()
    memory = run().monitor.memory
    events = read(tmp_path / "runs").Scalars("ReconstructionError")
    assert [e.step for e in events] == list(range(EPOCHS + 1))
    wanted = [metrics["ReconstructionError"] for metrics in memory]
    np.testing.assert_allclose([e.value for e in events[1:]], wanted, rtol=1e-6)


@pytest.mark.backend_free
def test_a_grid_of_images():
    images = np.arange(12.0).reshape(3, 2, 2)
    grid = grey_grid(images)
    assert grid.shape == (6, 6) and grid.dtype == np.uint8
    np.testing.assert_array_equal(grid[:2, 3:5], (255 * images[1] / 11).astype(np.uint8))
    assert not grid[2].any() and not grid[3:, 3:].any()


def test_what_cannot_be_meant_is_refused(tmp_path, monkeypatch):
    with pytest.raises(ConfigError, match="shape is"):
        TensorBoard(tmp_path, shape=(3,))
    options = {"verbose": False}
    with pytest.raises(ShapeError, match=r"\(2, 2\) are not 6 visible units"):
        make().train(adam(), 1, callbacks=[TensorBoard(tmp_path, shape=(2, 2))], **options)
    monkeypatch.setitem(__import__("sys").modules, "tensorboard", None)
    with pytest.raises(MissingDependencyError, match=r"paysage\[tensorboard\]"):
        make().train(adam(), 1, callbacks=[TensorBoard(tmp_path)], **options)


@pytest.mark.parametrize("name", ["__init__", "add_event", "flush", "close"])
def test_a_folder_that_takes_no_events_is_told(tmp_path, monkeypatch, name):
    from tensorboard.summary.writer.event_file_writer import EventFileWriter

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(EventFileWriter, name, full)
    board = TensorBoard(tmp_path / "runs")
    with pytest.raises(StorageError, match=r"cannot write to .*runs.*No space left"):
        make().train(adam(), 1, verbose=False, callbacks=[board])
