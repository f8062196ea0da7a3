"""What a command says, where it says it, and with which exit status it ends."""

from __future__ import annotations

import json
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from paysage.errors import PaysageError, StorageError

OK, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130


class Result(NamedTuple):
    """What a command found out: for people, and for programs."""

    lines: list[str]
    facts: dict[str, Any]
    """JSON values; infinities and NaN become null"""
    status: int = OK


def say(text: str) -> None:
    """A line on standard error, where progress goes."""
    print(_printable(text), file=sys.stderr, flush=True)


def run(command: Callable[[Any], Result], options: Any) -> int:
    """Carry a command out and show its result on standard output; the exit status."""
    try:
        with _warnings_in_a_line():
            result = command(options)
        show(result, options.json)
        return result.status
    except PaysageError as error:
        say(f"paysage: error: {' '.join(str(error).split())}")
        return FAILED
    except MemoryError as error:
        say(f"paysage: error: not enough memory: {error}")
        return FAILED
    except KeyboardInterrupt:
        say("paysage: interrupted")
        return INTERRUPTED
    except BrokenPipeError:  # whoever read the output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED


def show(result: Result, as_json: bool) -> None:
    """Print the lines, or one object of JSON."""
    if as_json:
        print(json.dumps(_plain(result.facts), allow_nan=False))
    else:
        print("\n".join(map(_printable, result.lines)))
    sys.stdout.flush()


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


@contextmanager
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
