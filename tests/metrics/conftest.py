"""Stand-ins: what metrics look at, made of plain tensors."""

from types import SimpleNamespace

import numpy as np
import pytest

from paysage import backends as be
from paysage.metrics import ModelAssessment
from paysage.models import State


@pytest.fixture
def assess():
    """A function that puts arrays into the place of an assessment's parts."""

    def make(data, fantasy=None, reconstructions=None, model=None):
        def tensor(array):
            return be.float_tensor(np.asarray(array, dtype=np.float32))

        seen = ModelAssessment(tensor(data), model)
        if fantasy is not None:
            seen.model_state = State([tensor(fantasy)])
        if reconstructions is not None:
            seen.reconstructions = State([tensor(reconstructions)])
        return seen

    return make


@pytest.fixture
def weighted():
    """A function that makes a model of one connection with the given weights."""

    def make(weights):
        matrix = be.float_tensor(np.asarray(weights, dtype=np.float32))
        connection = SimpleNamespace(weights=SimpleNamespace(W=lambda trans=False: matrix))
        return SimpleNamespace(connections=[connection])

    return make
