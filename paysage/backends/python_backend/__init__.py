"""The backend on NumPy and Numba: tensors are NumPy arrays in the memory of the CPU.

NumExpr was measured and left out. On an AVX-512 processor its two threads took from 2 to 30 times
as long as NumPy's one for the exponential, the logarithm, square roots, trigonometric and
hyperbolic functions of float32 arrays, from 20 thousand to 8 million elements. With AVX2 alone it
gains a factor of two in `cosh`, `acosh` and `atanh` only, which no inner loop uses.
"""

from paysage.errors import BackendError


def use(processor: str) -> None:
    """Work on a processor; there is one choice."""
    if processor != "cpu":
        raise BackendError(f"the backend 'python' works on the 'cpu' only, got {processor!r}")
