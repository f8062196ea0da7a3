"""Progress bars on standard error."""

from __future__ import annotations

import sys
from typing import Any


def progress_bar(iterable: Any = None, *, disable: bool | None = None, **options: Any) -> Any:
    """Return a tqdm bar that is shown only if standard error is a terminal.

    `sys.stderr` is None under `pythonw` and in some services, and may be closed. tqdm raises an
    exception then, which would end a training.

    Parameters
    ----------
    iterable : iterable, optional
        What to iterate over.
    disable : bool, optional
        True to show nothing in any case.
    **options
        Of `tqdm.tqdm`.
    """
    from tqdm import tqdm

    if sys.stderr is None or getattr(sys.stderr, "closed", False):
        disable = True
    return tqdm(iterable, disable=disable, **options)
