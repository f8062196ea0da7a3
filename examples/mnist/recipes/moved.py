"""Images that are moved a little each time they are read, and so harder to learn by heart."""

from __future__ import annotations

import math
from typing import Any

from paysage import backends as be
from paysage import preprocess

#: an image is moved by at most this part of a pixel along each axis
PIXELS = 0.3
#: and cut where the grey value is above one half, give or take this
SLACK = 0.1
WHITE = 255.0


def move_and_cut(images: Any) -> Any:
    """Square images (B, n), grey values 0..255, to zeros and ones.

    The digits of MNIST are centered to the nearest pixel, so that where they stand within one is
    chance; so is, about, where a line ends that is grey at its border.
    """
    draws = 2.0 * be.rand((len(images), 3)) - 1.0
    side = math.isqrt(images.shape[1])
    for axis, step in enumerate((1, side)):
        images = moved(images, PIXELS * draws[:, axis : axis + 1], step)
    return be.cast_float(images > WHITE * (0.5 + SLACK * draws[:, 2:]))


def moved(images: Any, part: Any, step: int) -> Any:
    """Interpolate between pixels that are a step apart; parts (B, 1) of it, from -1 to 1.

    What leaves a row of an image comes in at the other side of the next one: of white ink less than
    a third, which is cut off.
    """
    size = be.tabs(part)
    found = (1.0 - size) * images
    found[:, step:] += 0.5 * (size + part) * images[:, :-step]
    found[:, :-step] += 0.5 * (size - part) * images[:, step:]
    return found


MOVED = preprocess.Transformation(move_and_cut)
