"""Estimates of the gradient of the negative log-likelihood from a minibatch.

A method is a function of the visible units of a minibatch (B, V) and the ``Phases`` of the model.
It returns a ``ModelGradient``. Functions of the form that version 0.2 has,
``method(visible, model, positive, negative)``, are adapted by ``SamplerMethod``.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from paysage.capturable import capturable
from paysage.errors import ConfigError
from paysage.fit.phases import Phases
from paysage.models import ModelGradient
from paysage.samplers import SequentialMC

Tensor = Any


@capturable
def contrastive_divergence(visible: Tensor, phases: Phases) -> ModelGradient:
    """CD-k: the negative chains start at the minibatch each time (Hinton 2002)."""
    return phases.gradient(*phases.states(visible, restart=True))


@capturable
def persistent_contrastive_divergence(visible: Tensor, phases: Phases) -> ModelGradient:
    """PCD-k: the negative chains go on from where they were (Tieleman 2008)."""
    return phases.gradient(*phases.states(visible))


cd = contrastive_divergence
pcd = persistent_contrastive_divergence


class SamplerMethod:
    """Adapt a function of (visible, model, positive, negative) to the form that training calls.

    ``positive`` and ``negative`` are samplers. ``positive`` has the visible layer clamped and
    samples at inverse temperature one; the function sets its state from the minibatch. ``negative``
    holds the persistent chains of the training. The function moves both and returns
    ``model.gradient(data_state, model_state)``.

    Parameters
    ----------
    function : function

    Examples
    --------
    >>> def pcd(visible, model, positive, negative):
    ...     positive.set_state_from_visible(visible)
    ...     positive.update_state()
    ...     negative.update_state()
    ...     return model.gradient(positive.state, negative.state)
    """

    def __init__(self, function: Callable) -> None:
        self.function = function
        self._positive: SequentialMC | None = None

    def __repr__(self) -> str:
        return f"SamplerMethod({self.function!r})"

    def __call__(self, visible: Tensor, phases: Phases) -> ModelGradient:
        """Return the gradient of a minibatch (B, V)."""
        positive = self._positive
        if positive is None or positive.model is not phases.model:
            positive = self._positive = phases.positive_sampler()
        gradient = self.function(visible, phases.model, positive, phases.negative)
        phases.data = positive.state  # the running means of centered layers follow it
        return gradient


def takes_samplers(method: Callable) -> bool:
    """Return True if a method has the form (visible, model, positive, negative).

    Raises
    ------
    ConfigError
        If it takes neither two nor four positional arguments.
    """
    try:
        signature = inspect.signature(method)
    except (TypeError, ValueError):  # some functions of extension modules have none
        return False
    if _can_take(signature, 2):
        return False
    if _can_take(signature, 4):
        return True
    raise ConfigError(
        "method must take the arguments (visible, phases) or (visible, model, positive, negative), "
        f"got {method!r} with the arguments {signature}"
    )


def _can_take(signature: inspect.Signature, count: int) -> bool:
    try:
        signature.bind(*range(count))
    except TypeError:
        return False
    return True
