"""What is measured, as lines of a file."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from paysage.errors import ConfigError, StorageError
from paysage.files import check_writable, checked_path, written_whole
from paysage.fit.callbacks.base import Callback

if TYPE_CHECKING:
    from paysage.fit.training import Training
    from paysage.metrics import ProgressMonitor


class _Log(Callback):
    """A line an epoch: its number, seconds, learning rate, and the metrics."""

    def __init__(self, filename: str | Path) -> None:
        self.filename = checked_path(filename)

    def check(self, monitor: ProgressMonitor) -> None:
        """Raise a StorageError unless the file can be written."""
        check_writable(self.filename)

    def begin(self, training: Training) -> None:
        """Keep the lines of epochs that are behind, add what was measured before training."""
        now, record = training.earlier + training.epoch, _record(training)
        head = self._head(record)
        kept = [] if now == 0 else self._kept(head)
        lines = [line for epoch, line in kept if epoch < now + training.resumed]
        if not training.resumed:
            lines.append(self._line(record))
        with written_whole(self.filename) as partial:
            _write(partial, "w", head + "".join(lines), self.filename)

    def after_epoch(self, training: Training) -> None:
        """Add the line of the epoch."""
        _write(self.filename, "a", self._line(_record(training)), self.filename)

    def _kept(self, head: str) -> list[tuple[int, str]]:
        """The lines that are there, with their epochs."""
        try:
            return [(self._epoch_of(line), line) for line in self._lines(head)]
        except (KeyError, TypeError, ValueError) as error:
            raise ConfigError(
                f"{self.filename} has a line that is none of this log ({error}): mend it, or move "
                "it out of the way"
            ) from error

    def _lines(self, head: str) -> list[str]:
        """The whole lines that are there: a killed process may have left half of one."""
        if not self.filename.exists():
            return []
        with open(self.filename, encoding="utf-8", newline="") as file:
            text = file.read()
        if not text.startswith(head):
            raise ConfigError(f"{self.filename} has other columns than {head.strip()}")
        return [line for line in text[len(head) :].splitlines(keepends=True) if line[-1] == "\n"]

    def _head(self, record: dict[str, Any]) -> str:
        return ""

    def _line(self, record: dict[str, Any]) -> str:
        raise NotImplementedError(f"{type(self).__name__} does not define _line()")

    def _epoch_of(self, line: str) -> int:
        raise NotImplementedError(f"{type(self).__name__} does not define _epoch_of()")


class CSVLog(_Log):
    """A table with a row an epoch, the first one of before training; see ``JSONLinesLog``.

    Columns are epoch, seconds, learning_rate and the metrics; what was not measured is empty.

    Parameters
    ----------
    filename : path
    """

    def _head(self, record: dict[str, Any]) -> str:
        return _row(record)

    def _line(self, record: dict[str, Any]) -> str:
        return _row(record.values())

    def _epoch_of(self, line: str) -> int:
        return int(line.split(",")[0])


class JSONLinesLog(_Log):
    """A JSON object an epoch, each in a line of its own.

    A line is added when an epoch was measured. A training that is resumed drops the lines of epochs
    that come after its checkpoint; one that begins replaces the file.

    Parameters
    ----------
    filename : path
    """

    def _line(self, record: dict[str, Any]) -> str:
        return json.dumps(record) + "\n"

    def _epoch_of(self, line: str) -> int:
        return json.loads(line)["epoch"]


def _record(training: Training) -> dict[str, Any]:
    return {
        "epoch": training.earlier + training.epoch,
        "seconds": round(training.seconds, 3),
        "learning_rate": training.optimizer.lr,
        **training.metrics,
    }


def _row(values: Any) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(values)
    return text.getvalue()


def _write(path: Path, mode: str, text: str, name: Path) -> None:
    try:
        with open(path, mode, encoding="utf-8", newline="") as file:
            file.write(text)
    except OSError as error:
        raise StorageError(f"cannot write {name}: {error}") from error
