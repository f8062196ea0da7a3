"""The partition function by extended mean field, without a chain."""

from __future__ import annotations

import warnings

import numpy as np

from paysage import backends as be
from paysage.likelihood.normalizable import check_normalizable, checked_finite
from paysage.likelihood.warning import LikelihoodWarning
from paysage.models import BoltzmannMachine, StateTAP


def tap_log_partition(
    model: BoltzmannMachine,
    order: int = 2,
    num_samples: int = 10,
    tolerance: float = 1e-3,
    max_iters: int = 1000,
    start: StateTAP | None = None,
) -> float:
    """Logarithm of the partition function by extended mean field: minus the least free energy.

    Fast, and biased by an amount that nothing tells but a comparison with ``AIS``, so no number
    to be published by itself. At order 1 (naive mean field) it is a lower bound; at orders 2
    (Thouless, Anderson & Palmer 1977) and 3 it is a truncated series in the couplings, no bound
    on either side, good while they are weak and wrong by nats or tens of nats for trained
    machines with strong ones. It counts one stationary point, the best that was found: of n equally
    good modes log n is missing, and random starts may miss the best.

    Parameters
    ----------
    model : BoltzmannMachine
    order : 1, 2 or 3
        Of the expansion in the couplings.
    num_samples : int
        Number of random starts.
    tolerance, max_iters
        Of the self-consistent iteration; see ``models.tap_descent.Minimizer``.
    start : StateTAP, optional
        Where to start in the place of random means, ``StateTAP.from_visible(data, model)`` say.

    Raises
    ------
    ConfigError
        If a layer lacks the TAP ability, a setting cannot be meant, or there is no partition
        function.
    DivergenceError
        If a parameter is NaN or infinite, or energies are.

    Warns
    -----
    LikelihoodWarning
        If the search from some start has not converged.
    """
    check_normalizable(model)
    with np.errstate(all="ignore"):  # infinities are looked for at the end
        _, report = model.compute_StateTAP(
            use_GD=False,
            tolerance=tolerance,
            max_iters=max_iters,
            seed=start,
            order=order,
            num_samples=num_samples,
        )
    if not report.converged:
        warnings.warn(
            f"the means have not converged after {report.iterations} iterations: residual "
            f"{report.residual:.3g}, more than {tolerance:g}; take more of them",
            LikelihoodWarning,
            stacklevel=2,
        )
    return checked_finite(-float(be.tmin(report.free_energy)))
