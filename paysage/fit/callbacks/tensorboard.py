"""Scalars, histograms and pictures for TensorBoard."""

from __future__ import annotations

import io
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from paysage import backends as be
from paysage.checks import check_list, check_whole, is_whole
from paysage.errors import ConfigError, ShapeError, StorageError, missing_dependency
from paysage.files import checked_path
from paysage.fit.callbacks.base import Callback

if TYPE_CHECKING:
    from paysage.fit.training import Training
    from paysage.metrics import ProgressMonitor

#: of a histogram
BINS = 40


class TensorBoard(Callback):
    """Writes event files: metrics and the learning rate as scalars, parameters as histograms.

    With the shape of an image there are also grids of images: the visible units of the negative
    chains, and the weights of the first connection, one image a hidden unit. Nothing is drawn for
    them. What an earlier start wrote of epochs after its checkpoint, TensorBoard drops.

    Parameters
    ----------
    folder : path
        Made where it is missing.
    every : int
        Epochs from one set of histograms and images to the next.
    shape : (int, int), optional
        Height and width of the images that the visible units are.
    num_images : int
        At most so many in a grid.

    Raises
    ------
    MissingDependencyError
        When training begins, without the package tensorboard.
    StorageError
        When training begins, and the folder is none and cannot be made; or when an event cannot be
        written there.
    """

    def __init__(
        self,
        folder: str | Path,
        every: int = 1,
        shape: tuple[int, int] | None = None,
        num_images: int = 64,
    ) -> None:
        self.folder = checked_path(folder)
        self.every = check_whole("every", every, 1)
        sizes = (
            [1, 1] if shape is None else check_list("shape is (height, width) of an image", shape)
        )
        if len(sizes) != 2 or not all(is_whole(n, 1) for n in sizes):
            raise ConfigError(f"shape is (height, width) of an image, got {shape!r}")
        self.shape = shape
        self.num_images = check_whole("num_images", num_images, 1)
        self._writer: Any = None

    def check(self, monitor: ProgressMonitor) -> None:
        """Raise a named error unless TensorBoard is installed, and the folder can be made."""
        try:
            import tensorboard.summary.writer.event_file_writer  # noqa: F401
        except ImportError as error:
            raise missing_dependency("tensorboard", "TensorBoard", "tensorboard") from error
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except (OSError, ValueError) as error:
            raise StorageError(f"cannot make the folder {self.folder}: {error}") from error

    def begin(self, training: Training) -> None:
        """Open a file, and write what was measured before training."""
        from tensorboard.compat.proto.event_pb2 import SessionLog
        from tensorboard.summary.writer.event_file_writer import EventFileWriter

        units = training.model.layers[0].num_units
        if self.shape is not None and math.prod(self.shape) != units:
            raise ShapeError(f"images of shape {self.shape} are not {units} visible units")
        with self._writing():
            self._writer = EventFileWriter(str(self.folder))
        now = training.earlier + training.epoch
        if training.resumed:
            self._add(now + 1, session_log=SessionLog(status=SessionLog.START))
        else:
            self.after_epoch(training)

    def after_epoch(self, training: Training) -> None:
        """Write what was measured, and the histograms and images where they are due."""
        from tensorboard.compat.proto.summary_pb2 import Summary

        step = training.earlier + training.epoch
        numbers = {"learning_rate": training.optimizer.lr, **training.metrics}
        values = [
            Summary.Value(tag=name, simple_value=number)
            for name, number in numbers.items()
            if number is not None
        ]
        if training.epoch % self.every == 0:
            values += self._histograms(training) + self._images(training)
        self._add(step, summary=Summary(value=values))
        with self._writing():
            self._writer.flush()

    def end(self, training: Training) -> None:
        """Close the file."""
        writer, self._writer = self._writer, None
        if writer is not None:
            with self._writing():
                writer.close()

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StorageError(f"cannot write to {self.folder}: {error}") from error

    def _add(self, step: int, **what: Any) -> None:
        from tensorboard.compat.proto.event_pb2 import Event

        with self._writing():
            self._writer.add_event(Event(wall_time=time.time(), step=step, **what))

    def _histograms(self, training: Training) -> list[Any]:
        from tensorboard.compat.proto.summary_pb2 import Summary

        owners: dict[str, Any] = {
            f"layer{i}": layer for i, layer in enumerate(training.model.layers)
        }
        owners |= {f"weights{k}": c.weights for k, c in enumerate(training.model.connections)}
        return [
            Summary.Value(tag=f"{place}/{name}", histo=_histogram(be.to_numpy_array(param)))
            for place, owner in owners.items()
            for name, param in owner.params._asdict().items()
        ]

    def _images(self, training: Training) -> list[Any]:
        from tensorboard.compat.proto.summary_pb2 import Summary

        if self.shape is None:
            return []
        first = next(c for c in training.model.connections if 0 in (c.target_index, c.domain_index))
        weights = first.weights.W(trans=first.target_index == 0)
        rows = {"chains": training.chains.get_visible(), "weights": weights}
        return [
            Summary.Value(tag=tag, image=self._image(be.to_numpy_array(images), self.shape))
            for tag, images in rows.items()
        ]

    def _image(self, rows: np.ndarray, shape: tuple[int, int]) -> Any:
        from PIL import Image
        from tensorboard.compat.proto.summary_pb2 import Summary

        grid = grey_grid(rows[: self.num_images].reshape(-1, *shape))
        file = io.BytesIO()
        Image.fromarray(grid).save(file, "PNG")
        height, width = grid.shape
        return Summary.Image(
            height=height, width=width, colorspace=1, encoded_image_string=file.getvalue()
        )


def grey_grid(images: np.ndarray) -> np.ndarray:
    """Images (number, height, width) side by side in a square, in bytes, from least to greatest."""
    number, height, width = images.shape
    side = math.ceil(math.sqrt(number))
    low, high = float(images.min()), float(images.max())
    cells = np.zeros((side * side, height + 1, width + 1))
    cells[:number, :height, :width] = 255.0 * (images - low) / ((high - low) or 1.0)
    rows = cells.reshape(side, side, height + 1, width + 1).transpose(0, 2, 1, 3)
    return rows.reshape(side * (height + 1), side * (width + 1)).astype(np.uint8)


def _histogram(values: np.ndarray) -> Any:
    from tensorboard.compat.proto.summary_pb2 import HistogramProto

    values = values.astype(np.float64).reshape(-1)
    counts, edges = np.histogram(values, BINS)
    return HistogramProto(
        min=values.min(),
        max=values.max(),
        num=len(values),
        sum=values.sum(),
        sum_squares=np.square(values).sum(),
        bucket_limit=edges[1:],
        bucket=counts,
    )
