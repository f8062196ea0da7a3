"""How fast chains forget."""

from __future__ import annotations

from typing import Any

import numpy as np

from paysage.backends.conversion import plain_array
from paysage.errors import DataError, ShapeError

#: the window is this many autocorrelation times long (Sokal 1997)
WINDOW = 5.0


def integrated_autocorrelation_time(series: Any) -> float:
    """Number of steps worth one independent draw: 1 + 2 Σ_t ρ(t).

    The autocorrelation function is averaged over chains about their common mean, and summed up to
    the first lag that is ``WINDOW`` times the sum so far (Sokal, "Monte Carlo methods in
    statistical mechanics", 1997; Goodman & Weare 2010).

    Parameters
    ----------
    series : array (T,) or (T, num_chains)
        A quantity along chains, such as the energy.

    Returns
    -------
    float
        About 1 or more; less, and of no use, for chains that alternate. Series shorter than 50
        times this number tend to underestimate it, those of chains that share a mode and never left
        it say nothing of the others.

    Raises
    ------
    ShapeError
        Unless there are at least two steps.
    DataError
        If the quantity never changes, or is not finite or not a number.
    """
    x = np.asarray(plain_array(series), dtype=np.float64)
    x = x[:, None] if x.ndim == 1 else x
    if x.ndim != 2 or len(x) < 2 or x.size == 0:
        raise ShapeError(f"a series is (steps, chains), at least 2 steps, got {x.shape}")
    if not np.isfinite(x).all() or x.min() == x.max():
        raise DataError("a series must be finite and must change to have an autocorrelation time")
    x = x / np.abs(x).max()  # squares of very large and very small numbers are none
    sums = 2.0 * np.cumsum(autocorrelation(x)) - 1.0
    beyond = np.arange(len(sums)) >= WINDOW * sums
    return float(sums[np.argmax(beyond) if beyond.any() else -1])


def autocorrelation(x: np.ndarray) -> np.ndarray:
    """Autocorrelation of series (T, num_chains) about their common mean, (T,)."""
    steps = len(x)
    centered = x - x.mean()
    # zeros behind keep the circle of the Fourier transform from closing
    spectrum = np.fft.rfft(centered, n=2 * steps, axis=0)
    products = np.fft.irfft(np.abs(spectrum) ** 2, n=2 * steps, axis=0)[:steps].mean(axis=1)
    return products / products[0]
