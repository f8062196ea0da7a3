"""Generators of estimators, from scikit-learn's ``random_state``."""

from __future__ import annotations

from typing import Any

from sklearn.utils.validation import check_random_state

from paysage.backends.generator import Generator


def new_generator(random_state: Any) -> Generator:
    """Return a generator whose seed is drawn from a ``random_state``.

    The estimator draws everything else from the generator, so that neither the generators of the
    backend nor those of NumPy are moved.

    Parameters
    ----------
    random_state : int, numpy.random.RandomState or None
        None draws the seed from NumPy's global generator, as everywhere in scikit-learn.
    """
    return Generator(int(check_random_state(random_state).randint(2**31 - 1)))
