"""Statistics that ask whether draws come from a known distribution; each gives a p-value."""

from __future__ import annotations

import numpy as np
from scipy import stats


def chi_square(positions: np.ndarray, probabilities: np.ndarray) -> float:
    """P-value of counts of discrete states; states expected less than 5 times share a cell."""
    expected = len(positions) * probabilities
    counts = np.bincount(positions, minlength=len(probabilities)).astype(np.float64)
    rare = expected < 5
    if rare.any():
        # a common cell that is itself too small would spoil the approximation: join the smallest
        expected = np.append(expected[~rare], expected[rare].sum())
        counts = np.append(counts[~rare], counts[rare].sum())
        if expected[-1] < 5:
            k = int(np.argmin(expected[:-1]))
            expected[k] += expected[-1]
            counts[k] += counts[-1]
            expected, counts = expected[:-1], counts[:-1]
    statistic = ((counts - expected) ** 2 / expected).sum()
    return float(stats.chi2.sf(statistic, len(expected) - 1))


def normality(standard: np.ndarray) -> float:
    """P-value of rows of standardized normal numbers: their means, variances and correlations."""
    rows, width = standard.shape
    gap = standard.T @ standard / rows - np.eye(width)
    upper = np.triu_indices(width, 1)
    statistic = rows * (
        (standard.mean(axis=0) ** 2).sum() + (np.diag(gap) ** 2).sum() / 2 + (gap[upper] ** 2).sum()
    )
    return float(stats.chi2.sf(statistic, 2 * width + len(upper[0])))


def shape(standard: np.ndarray) -> float:
    """Least p-value over columns that each is standard normal, times the number of columns."""
    each = [stats.kstest(column, "norm").pvalue for column in standard.T]
    return float(min(1.0, min(each) * len(each)))
