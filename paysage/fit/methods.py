"""Estimates of the gradient of -log likelihood from a minibatch.

A method is a function of the visible units of a minibatch (B, V) and the ``Phases`` of the model;
it returns a ``ModelGradient``.
"""

from __future__ import annotations

from typing import Any

from paysage.capturable import capturable
from paysage.fit.phases import Phases
from paysage.models import ModelGradient

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
