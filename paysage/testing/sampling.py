"""Promises about what is drawn: states, moments, the law, and sweeps of a small machine."""

from __future__ import annotations

from typing import Any

import numpy as np

from paysage import backends as be
from paysage.layers import BernoulliLayer
from paysage.models import BoltzmannMachine
from paysage.testing.enumeration import ExactMachine
from paysage.testing.subject import Subject, array, betas, expect, expect_close, repeated

#: standard errors that a right answer may be off
SIGMAS = 5.5
#: draws that may be missing of what is expected less often than these times: the count is Poisson's
RARE = 16
#: draws of each field, and numbers in all of them
DRAWS, NUMBERS = 20000, 200_000
#: chains of the small machine, and units of its other layer
CHAINS, PARTNERS = 20000, 2


def states(subject: Subject) -> None:
    """What is drawn is in the support, and one of the listed states."""
    layer, listed = subject.layer, subject.listed()
    units = array(layer.sample(subject.fields(1000)))
    if layer.support is not None:
        low, high = layer.support
        inside = (units.min() >= low) and (units.max() <= high)
        span = f"from {units.min():g} to {units.max():g}"
        expect(inside, f"sample: got values {span}, expected {low:g} to {high:g}")
    layer.check_values(be.float_tensor(units))
    if listed is None:
        return
    rows = array(listed)
    number, different = layer.num_states(), len(np.unique(rows, axis=0))
    expect(
        rows.shape == (number, layer.num_units) and different == number,
        f"all_states(): got {different} different ones in a tensor of shape {rows.shape}, "
        f"expected {number} of {layer.num_units} units",
    )
    known = set(map(tuple, rows))
    strange = [row for row in units if tuple(row) not in known]
    expect(not strange, f"sample: got {strange[:1]}, expected one of all_states()")


def sample(subject: Subject) -> None:
    """Draws have the mean, and the law of which `log_partition` is the sum."""
    layer = subject.layer
    number = max(1000, min(DRAWS, NUMBERS // layer.num_units))
    for field in subject.fields(3):
        for name, (given, column) in betas(number).items():
            rows = repeated(field, number)
            units = layer.sample(rows, given)
            for start in (0, 1):  # rows of one beta
                part = slice(start, None, 2)
                draws = array(units)[part]
                _expect_mean(draws, array(layer.mean(rows, given))[start], name)
                _expect_law(subject, draws, field, float(column[start, 0]), name)


def _expect_mean(units: np.ndarray, mean: np.ndarray, name: str) -> None:
    error = SIGMAS * units.std(axis=0) / np.sqrt(len(units))
    expect_close(f"mean of draws with {name}", units.mean(axis=0), mean, error + RARE / len(units))


def _expect_law(subject: Subject, units: np.ndarray, field: Any, beta: float, name: str) -> None:
    """Draws of one field, weighted to those of another, have the total weight of the other.

    The mean of exp(beta δ·rescaled(x)) over draws in the field f is Z(f + δ) / Z(f), which sees
    variances, correlations and tails of the law.
    """
    layer = subject.layer
    seen = array(layer.rescaled(be.float_tensor(units)))
    together = subject.rng.uniform(-1, 1, (2, layer.num_units))
    for shift in [*np.eye(layer.num_units)[subject.some(layer.num_units)], *together]:
        shift = shift / max(1.0, float((beta * seen @ shift).std()))
        moved = np.stack([array(field) + t * shift for t in range(3)])
        before, after, twice = array(layer.log_partition(be.float_tensor(moved), beta))
        weights = np.exp(beta * seen @ shift - (after - before))
        # their mean square is Z(f + 2δ) Z(f) / Z(f + δ)²
        variance = np.expm1(max(0.0, twice - 2 * after + before))
        error = SIGMAS * np.sqrt(variance / len(weights)) + RARE / len(weights)
        expect_close(
            f"mean weight of draws with {name}, moved to another field by log_partition",
            weights.mean(),
            1.0,
            error,
        )


def stationarity(subject: Subject) -> bool:
    """Sweeps of a small machine with a Bernoulli layer leave its exact distribution alone."""
    if subject.listed() is None:
        return False
    for center in (False, True):
        model = small_machine(subject, center)
        exact = ExactMachine(model, 0.7)
        start = exact.draw(CHAINS, subject.rng)
        end = model.markov_chain(2, start, exact.beta)
        surprise = chi_square(exact.index(end), exact.probabilities)
        expect(
            surprise < SIGMAS,
            f"2 sweeps of a machine with {PARTNERS} Bernoulli units: got counts of states "
            f"{surprise:.1f} standard errors off its exact distribution, expected at most {SIGMAS}",
        )
    return True


def small_machine(subject: Subject, center: bool = False) -> BoltzmannMachine:
    """The layer, and a Bernoulli layer, connected at random."""
    layer, rng = subject.new(center), subject.rng
    model = BoltzmannMachine([layer, BernoulliLayer(PARTNERS)])
    model.layers[1].set_params([rng.normal(0, 0.5, PARTNERS)])
    weights = model.connections[0].weights
    weights.set_params([rng.normal(0, 0.7, weights.shape)])
    return model


def chi_square(positions: np.ndarray, probabilities: np.ndarray) -> float:
    """Surprise at counts of states, as standard errors of a normal number.

    Rare states are counted as one. Wilson & Hilferty (PNAS 17, 1931): the cube root of a chi-square
    number over its degrees of freedom is nearly normal.
    """
    counts = np.bincount(positions, minlength=len(probabilities)).astype(np.float64)
    expected = len(positions) * probabilities
    order = np.argsort(expected)
    cut = int(np.searchsorted(np.cumsum(expected[order]), 10.0)) + 1
    groups = [order[:cut], *order[cut:, None]]
    gaps = [(counts[g].sum() - expected[g].sum()) ** 2 / expected[g].sum() for g in groups]
    freedom = len(groups) - 1
    if freedom == 0:
        return 0.0
    spread = 2 / (9 * freedom)
    return float(((sum(gaps) / freedom) ** (1 / 3) - (1 - spread)) / np.sqrt(spread))
