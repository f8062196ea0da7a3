"""Rounding to bfloat16, by arithmetic in double precision."""

import numpy as np


def bfloat16(x):
    """The nearest numbers of eight significant bits, to even ones where there are two."""
    mantissa, exponent = np.frexp(np.asarray(x, np.float64))
    return np.ldexp(np.rint(mantissa * 2**8), exponent - 8)
