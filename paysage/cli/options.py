"""Options that several commands have."""

from __future__ import annotations

import argparse
import re
from typing import TYPE_CHECKING

from paysage.errors import ConfigError

if TYPE_CHECKING:
    from paysage.backends.generator import Generator


def add_output(parser: argparse.ArgumentParser) -> None:
    """--json, which every command has."""
    parser.add_argument("--json", action="store_true", help="print one object of JSON")


def add_force(parser: argparse.ArgumentParser) -> None:
    """--force, of commands that write files."""
    parser.add_argument("--force", action="store_true", help="replace files that are there")


def add_backend(parser: argparse.ArgumentParser) -> None:
    """--seed, --backend and --processor, of commands that compute."""
    add = parser.add_argument
    add("--seed", type=int, default=137, metavar="N", help="of all random numbers (%(default)s)")
    add("--backend", choices=("python", "pytorch"), help="what computes (as configured)")
    add("--processor", choices=("cpu", "gpu"), help="where it computes (as configured)")


def add_data(parser: argparse.ArgumentParser) -> None:
    """--data, --key and --transform, of commands that read rows."""
    add = parser.add_argument
    add(
        "--data",
        metavar="DATA",
        required=True,
        help="digits, mnist, mnist/test, or a file: .h5, .npy, .npz or .csv",
    )
    add("--key", metavar="KEY", help="table in a .h5 or .npz file that has several")
    add("--transform", choices=TRANSFORMS, help=TRANSFORM_HELP)


TRANSFORMS = ("binarize", "sample", "scale", "none")
TRANSFORM_HELP = (
    "grey values 0..255 to 0 or 1, to draws of them, or to 0..1; by default named images become "
    "what the visible units are, and files stay as they are"
)


def use_backend(options: argparse.Namespace) -> Generator:
    """Choose the backend; return the generator of ``--seed``, for a ``with`` block."""
    from paysage import backends as be
    from paysage.checks import check_whole

    if options.backend or options.processor:
        be.set_backend(options.backend, options.processor)
    return be.Generator(check_whole("--seed", options.seed))


def image_shape(text: str | None, pixels: int) -> tuple[int, int]:
    """Height and width as 28x28 says, or of a square; a ConfigError if they do not fit."""
    if text is None:
        side = round(pixels**0.5)
        if side * side != pixels:
            raise ConfigError(f"{pixels} pixels are no square: --shape HEIGHTxWIDTH")
        return side, side
    found = re.fullmatch(r"(\d+)x(\d+)", text)
    if not found or int(found[1]) * int(found[2]) != pixels:
        raise ConfigError(f"--shape {text} does not fit {pixels} pixels; expected HEIGHTxWIDTH")
    return int(found[1]), int(found[2])
