"""Random numbers of the Python backend: the CPU's stream."""

# ruff: noqa: D103 - the contract documents these functions

import numpy as np

from paysage.backends.cpu import draws
from paysage.backends.cpu.stream import Stream

# From fresh entropy, until somebody sets a seed.
stream = Stream()


def set_seed(seed=137):
    stream.seed(seed)


def get_random_state():
    return stream.get_state()


def set_random_state(state):
    stream.set_state(state)


def separate_draws(number):
    return stream.parts(number)


def draws_of_rows(first, count, total):
    return stream.rows(first, count, total)


def rand(shape):
    return stream.uniform(shape)


def rand_like(x):
    return stream.uniform(x.shape)


def randn(shape):
    return stream.normal(shape)


def randn_like(x):
    return stream.normal(x.shape)


def rand_bernoulli(x, top=1.0):
    return draws.below(stream, x, top)


def rand_int(a, b, shape):
    return draws.integers(stream, a, b, shape)


def rand_samples(x, n):
    return x.reshape(-1)[draws.positions(stream, x.size, n)]


def shuffle_(x):
    x[...] = x[draws.permutation(stream, len(x))]
    return x


def rand_softmax_units(phi):
    return draws.softmax_units(stream, phi)[0]


def rand_softmax(phi):
    units, ones = draws.softmax_units(stream, phi)
    out = np.zeros(phi.shape, np.float32)
    out[np.arange(len(phi)), units] = ones
    return out
