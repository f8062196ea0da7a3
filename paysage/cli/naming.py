"""Errors of the library in the words of the command line: flags in the place of parameters."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from paysage.cli.settings import SETTINGS, flag_of
from paysage.errors import ConfigError, DataError

#: settings by the names that the library has for them
PARAMETERS = {
    **{name: name for name in SETTINGS if "_" in name},
    "mcsteps": "k",
    "num_epochs": "epochs",
    "negative_phase_batch_size": "chains",
}
_PARAMETER = re.compile(rf"(?<![\w./'\"-])(?:{'|'.join(PARAMETERS)})(?![\w./'\"-])")
#: a name that is a word of English as well names a setting where an error begins with it
_SUBJECT = re.compile(rf"^(?:{'|'.join(SETTINGS)})(?= (?:must|is|needs)\b)")


def with_flags(text: str) -> str:
    """What an error says, with flags of `paysage train` for the names of parameters.

    What names a flag beyond its subject is the command line's own, and may tell names of tables.
    """
    text = _SUBJECT.sub(lambda found: flag_of(found[0]), text)
    if " --" in text:
        return text
    return _PARAMETER.sub(lambda found: flag_of(PARAMETERS[found[0]]), text)


@contextmanager
def flags_named() -> Iterator[None]:
    """Let errors about settings and data name flags."""
    try:
        yield
    except (ConfigError, DataError) as error:
        raise type(error)(with_flags(str(error))) from error
