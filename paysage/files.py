"""Files that appear whole or not at all."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from paysage.errors import StorageError


@contextmanager
def written_whole(path: str | Path) -> Iterator[Path]:
    """Yield a temporary name beside `path`, and rename it to `path` when the block succeeds.

    When the block fails or is interrupted, the temporary file is removed and what stood at
    `path` stays as it was.

    Raises
    ------
    StorageError
        The folder does not exist, or cannot be written.
    """
    path = Path(path)
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        partial.touch(exist_ok=False)
    except OSError as error:
        raise StorageError(
            f"{path} cannot be written ({error.strerror}): expected an existing, writable folder"
        ) from error
    try:
        yield partial
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
