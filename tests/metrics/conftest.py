"""Stand-ins: what metrics look at, made of plain tensors."""

from types import SimpleNamespace

import numpy as np
import pytest

from paysage import backends as be


class Units:
    """A state that holds visible units only."""

    def __init__(self, visible):
        self.visible = visible

    def get_visible(self):
        return self.visible


@pytest.fixture
def assess():
    """A function that puts arrays into the place of an assessment's parts."""

    def make(data, fantasy=None, reconstructions=None, model=None):
        def tensor(array):
            return None if array is None else be.float_tensor(np.asarray(array, dtype=np.float32))

        return SimpleNamespace(
            data=tensor(data),
            fantasy=Units(tensor(fantasy)),
            reconstructions=tensor(reconstructions),
            model=model,
        )

    return make


@pytest.fixture
def weighted():
    """A function that makes a model of one connection with the given weights."""

    def make(weights):
        matrix = be.float_tensor(np.asarray(weights, dtype=np.float32))
        connection = SimpleNamespace(weights=SimpleNamespace(W=lambda trans=False: matrix))
        return SimpleNamespace(connections=[connection])

    return make
