"""What a command says, where it says it, and with which exit status it ends."""

from __future__ import annotations

import contextlib
import errno
import io
import json
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from paysage.errors import PaysageError, StorageError

OK, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130
#: 128 + SIGPIPE, as shells report of programs that write to a closed pipe
BROKEN_PIPE = 141


class Result(NamedTuple):
    """What a command found out: for people, and for programs."""

    lines: list[str]
    facts: dict[str, Any]
    """JSON values; infinities and NaN become null"""
    status: int = OK


def say(text: str) -> None:
    """Print a line on standard error; drop it if standard error cannot be written."""
    Progress().write(f"{_printable(text)}\n")


class Progress(io.TextIOBase):
    """Standard error as a stream that drops what cannot be written.

    A command goes on, and writes its files, if its progress is not read any more, or the disk to
    which it goes is full.
    """

    def write(self, text: str) -> int:
        """Write and flush the text."""
        try:
            if sys.stderr is not None:
                sys.stderr.write(text)
                sys.stderr.flush()
        except (OSError, ValueError):  # ValueError: it is closed
            _discard(sys.stderr)
        return len(text)


def run(command: Callable[[Any], Result], options: Any) -> int:
    """Carry a command out, show its result on standard output, and return the exit status."""
    try:
        with _warnings_in_a_line():
            result = command(options)
        return finish(result.status, _shown(result, options.json))
    except PaysageError as error:
        say(f"paysage: error: {' '.join(str(error).split())}")
        return FAILED
    except MemoryError as error:
        say(f"paysage: error: not enough memory: {error}")
        return FAILED
    except KeyboardInterrupt:
        say("paysage: interrupted")
        return INTERRUPTED


def finish(status: int, text: str = "") -> int:
    """Write the text and everything that is buffered to standard output.

    Returns
    -------
    int
        `status`, or another one if that is 0 and standard output cannot be written.
    """
    try:
        if text and sys.stdout is None:
            raise OSError(errno.EBADF, "it is closed")
        if sys.stdout is not None:
            sys.stdout.write(text)
            sys.stdout.flush()
    except BrokenPipeError:  # the reader, `head` for example, has seen enough
        _discard(sys.stdout)
        return status or BROKEN_PIPE
    except (OSError, ValueError) as error:
        _discard(sys.stdout)
        reason = getattr(error, "strerror", None) or str(error)
        say(f"paysage: error: cannot write to standard output: {reason}")
        return status or FAILED
    return status


def open_standard_streams() -> None:
    """Open the null device in place of standard streams that are closed.

    Otherwise the next file that is opened would get the number of a standard stream, and messages
    of C libraries would be written into it.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)


def _discard(stream: Any) -> None:
    """Let what is left in the buffer of a stream go to the null device when Python exits."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _shown(result: Result, as_json: bool) -> str:
    """Return the lines of a result, or one object of JSON."""
    if as_json:
        return json.dumps(_plain(result.facts), allow_nan=False) + "\n"
    return "\n".join(map(_printable, result.lines)) + "\n"


def _printable(text: str) -> str:
    """The text without what steers a terminal, or is no character: files of strangers hold it."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def _plain(value: Any) -> Any:
    """JSON values, with null for numbers that JSON does not know."""
    if hasattr(value, "tolist"):  # an array in the place of a number
        value = value.tolist()
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not abs(value) < float("inf"):
        return None
    return str(value) if isinstance(value, Path) else value


@contextlib.contextmanager
def _warnings_in_a_line() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.showwarning = lambda message, *_, **__: say(
            f"paysage: warning: {' '.join(str(message).split())}"
        )
        yield


def check_free(path: str | Path, force: bool) -> Path:
    """The path as one; a StorageError if a file is there that is not to be replaced."""
    target = Path(path)
    if target.exists() and not force:
        raise StorageError(f"{target} is there already: --force replaces it")
    return target
