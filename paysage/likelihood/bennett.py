"""Bennett's acceptance ratio, between distributions or between the ends of annealing paths."""

from __future__ import annotations

import numpy as np

#: the bracket of each root shrinks by two in a step: to 1e-13 of its width
STEPS = 43

#: neighbours whose ratios are found together
BLOCK = 1024


def bennett_ratio(forward: np.ndarray, backward: np.ndarray) -> float:
    """Log Z_1 / Z_0 as the sum of the ratios of neighbours (Bennett, J. Comput. Phys. 22, 1976).

    With D = log p*_{k+1}(x) - log p*_k(x), the ratio r of neighbours solves
    Σ_{x ~ p_k} s(D - r + c) = Σ_{x ~ p_{k+1}} s(r - D - c), s the logistic function and
    c = log(backward chains / forward chains). With K = 1 and D the log weights of whole annealing
    paths, forwards and backwards, it holds for chains that lag behind their temperatures, too.

    Parameters
    ----------
    forward : array (K, n)
        D at samples of p_k.
    backward : array (K, m)
        D at samples of p_{k+1}.
    """
    blocks = (slice(low, low + BLOCK) for low in range(0, len(forward), BLOCK))
    return sum(float(_ratios(forward[b], backward[b]).sum()) for b in blocks)


def ratio_error(forward: np.ndarray, backward: np.ndarray, ratio: float) -> float:
    """Standard error of Bennett's ratio of two distributions (Shirts, Bair, Hooker & Pande 2003).

    The ratio is a fit of logistic regression, with D as the variable and the direction as the
    class: the error is that of its intercept, less what comes from the numbers being fixed.
    Infinite where the directions do not meet at all; too small for fewer than ten chains or so.

    Parameters
    ----------
    forward : array (n,)
        D at samples of p_0, or log weights of paths from there.
    backward : array (m,)
        D at samples of p_1.
    ratio : float
        What `bennett_ratio` found.
    """
    n, m = len(forward), len(backward)
    chance = _logistic(np.concatenate([forward, backward]) - ratio + np.log(m / n))
    information = float(np.sum(chance * (1.0 - chance)))
    if information == 0.0:
        return np.inf
    return float(np.sqrt(max(0.0, 1.0 / information - 1.0 / n - 1.0 / m)))


def _ratios(forward: np.ndarray, backward: np.ndarray) -> np.ndarray:
    """Of each of some neighbours, (K,), by bisection."""
    shift = np.log(backward.shape[1] / forward.shape[1])
    both = np.concatenate([forward, backward], axis=1)
    # at these ends one side of the equation certainly outweighs the other
    low, high = both.min(axis=1) - abs(shift) - 40.0, both.max(axis=1) + abs(shift) + 40.0
    for _ in range(STEPS):
        middle = 0.5 * (low + high)
        gap = _logistic(forward - middle[:, None] + shift).sum(axis=1)
        gap -= _logistic(middle[:, None] - backward - shift).sum(axis=1)
        low, high = np.where(gap > 0, middle, low), np.where(gap > 0, high, middle)
    return 0.5 * (low + high)


def _logistic(x: np.ndarray) -> np.ndarray:
    return 0.5 * (1.0 + np.tanh(0.5 * x))
