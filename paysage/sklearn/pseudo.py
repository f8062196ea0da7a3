"""The pseudo-likelihood of binary rows, exactly and in double precision."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from paysage import backends as be
from paysage.sklearn.rows import dense
from paysage.threads import one_thread_each, side_by_side

Tensor = Any

#: rows that are looked at together
BLOCK = 256


def pseudo_log_likelihoods(
    X: Any, components: np.ndarray, visible: np.ndarray, hidden: np.ndarray
) -> np.ndarray:
    """Sum over units of log p(v_i | the other v) of each row, (N,), in nats.

    Another value of v_i, d = 1 - 2 v_i away, changes the log probability by
    d b_i + Σ_j log(1 + p_j (exp(d W_ji) - 1)), p_j the mean of hidden unit j: all units of the
    row share one matrix product.

    Parameters
    ----------
    X : array or CSR matrix (N, V) of double precision
    components, visible, hidden : arrays (H, V), (V,), (H,) of double precision
    """
    parameters = [be.from_numpy_array(p) for p in (components.T.copy(), visible, hidden)]
    blocks = [X[low : low + BLOCK] for low in range(0, X.shape[0], BLOCK)]
    with one_thread_each():
        return np.concatenate(side_by_side(*(partial(_of_rows, b, *parameters) for b in blocks)))


def _of_rows(rows: Any, weights: Tensor, visible: Tensor, hidden: Tensor) -> np.ndarray:
    v = be.from_numpy_array(dense(rows))
    means = be.expit(be.dot(v, weights) + hidden)
    total = 0.0
    for i in range(len(visible)):
        away = 1.0 - 2.0 * v[:, i]
        factors = 1.0 + means * (be.exp(be.outer(away, weights[i])) - 1.0)
        gain = away * visible[i] + be.tsum(be.log(factors), axis=1)
        total = total - be.softplus(gain)
    return np.asarray(be.to_numpy_array(total))
