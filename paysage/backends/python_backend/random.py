"""Random numbers of the Python backend, from the active generator."""

# ruff: noqa: D103 - the contract documents these functions

import numpy as np

from paysage.backends.cpu import draws
from paysage.backends.generator import GLOBAL, active_generator


def set_seed(seed=137):
    GLOBAL.seed(seed)


def get_random_state():
    return GLOBAL.get_state()


def set_random_state(state):
    GLOBAL.set_state(state)
    GLOBAL.renew_lineage()


def separate_draws(number):
    return active_generator().spawn(number)


def draws_of_rows(first, count, total):
    return active_generator().rows(first, count, total)


def rand(shape):
    return active_generator().uniform(shape)


def rand_like(x):
    return active_generator().uniform(x.shape)


def randn(shape):
    return active_generator().normal(shape)


def randn_like(x):
    return active_generator().normal(x.shape)


def rand_bernoulli(x, top=1.0):
    return draws.below(active_generator(), x, top)


def rand_int(a, b, shape):
    return draws.integers(active_generator(), a, b, shape)


def rand_samples(x, n):
    return x.reshape(-1)[draws.positions(active_generator(), x.size, n)]


def shuffle_(x):
    x[...] = x[draws.permutation(active_generator(), len(x))]
    return x


def rand_softmax_units(phi):
    return draws.softmax_units(active_generator(), phi)[0]


def rand_softmax(phi):
    units, ones = draws.softmax_units(active_generator(), phi)
    out = np.zeros(phi.shape, np.float32)
    out[np.arange(len(phi)), units] = ones
    return out
