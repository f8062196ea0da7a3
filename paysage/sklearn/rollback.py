"""Fits that fail leave the estimator as it was."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any


def unchanged_on_error(method: Callable) -> Callable:
    """Decorate a method of an estimator so that an exception restores all of its attributes.

    scikit-learn sets ``n_features_in_`` while it validates the data, before settings are checked
    and before training may diverge. The state of the generator is restored too; other attributes
    by reference, so the method must replace them instead of changing them in place.
    """

    @functools.wraps(method)
    def wrapped(self: Any, *args: Any, **kwargs: Any) -> Any:
        before = dict(vars(self))
        generator = before.get("generator_")
        state = None if generator is None else generator.get_state()
        try:
            return method(self, *args, **kwargs)
        except Exception:
            vars(self).clear()
            vars(self).update(before)
            if generator is not None:
                generator.set_state(state)
            raise

    return wrapped
