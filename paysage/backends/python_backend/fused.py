"""Fused primitives of the Python backend: the CPU's compiled loops on NumPy arrays."""

# ruff: noqa: D103 - the contract documents these functions

import numpy as np

from paysage.backends.cpu import draws, halves, products
from paysage.backends.cpu import fused as cpu
from paysage.backends.generator import active_generator
from paysage.backends.python_backend.linalg import dot


def bernoulli_mean(field, loc, beta=None, out=None):
    return cpu.bernoulli_mean(field, loc, beta, out)


def bernoulli_sample(field, loc, beta=None, out=None):
    return cpu.bernoulli_sample(active_generator(), field, loc, beta, out)


def gaussian_sample(field, loc, log_var, beta=None, out=None):
    return cpu.gaussian_sample(active_generator(), field, loc, log_var, beta, out)


def onehot_mean(field, loc, beta=None, out=None):
    return cpu.onehot_mean(field, loc, beta, out)


def onehot_sample(field, loc, beta=None, out=None):
    return cpu.onehot_sample(active_generator(), field, loc, beta, out)


def units_dot(units, matrix, out=None):
    if isinstance(matrix, halves.Halves):
        return halves.dot(units, matrix, out)
    if out is None:
        out = np.empty((len(units), matrix.shape[1]), np.result_type(units, matrix))
    if not products.fast_dot(units, matrix, out):
        products.check_product(units, matrix, out)
        dot(units, matrix, out)
    return out


def has_bfloat16():
    return True


def bfloat16_zeros(shape):
    return halves.Halves(shape)


def to_bfloat16_(out, x, part=None):
    halves.write(out, x, part)
    return out


def to_bfloat16_transposed_(out, x, part=None):
    halves.write_transposed(out, x, part)
    return out


def write_transposed(matrix, out, part=None):
    products.write_transposed(matrix, out, part)
    return out


def add_outer_(out, a, b, weight=1.0, part=None):
    products.add_outer(out, a, b, weight, part)
    return out


def moment_gap(data_a, data_b, model_a, model_b, out=None, scratch=None, part=None):
    products.check_moments(data_a, data_b, model_a, model_b, out)
    if halves.check_both(data_b, model_b):
        return halves.moment_gap(data_a, data_b, model_a, model_b, out, part)
    return cpu.moment_gap(data_a, data_b, model_a, model_b, out, scratch, part)


def beta_process_start(num, std):
    return draws.gamma_start(active_generator(), num, std)


def beta_process_step_(beta, momentum, std):
    beta[...] = draws.gamma_step(active_generator(), beta, momentum, std)
    return beta


def descent_step_(param, grad, lr):
    return cpu.optimizer_step("descent_step", param, grad, (), (lr,))


def momentum_step_(param, grad, velocity, lr, momentum):
    return cpu.optimizer_step("momentum_step", param, grad, (velocity,), (lr, momentum))


def rmsprop_step_(param, grad, mean_square, lr, decay, scale, epsilon):
    numbers = (lr, decay, scale, epsilon)
    return cpu.optimizer_step("rmsprop_step", param, grad, (mean_square,), numbers)


def adam_step_(
    param, grad, mean, mean_square, lr, beta1, beta2, mean_scale, mean_square_scale, epsilon
):
    numbers = (lr, beta1, beta2, mean_scale, mean_square_scale, epsilon)
    return cpu.optimizer_step("adam_step", param, grad, (mean, mean_square), numbers)
