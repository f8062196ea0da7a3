"""What a parameter costs beyond the likelihood: functions of one tensor, and their gradients.

Every `grad` is the derivative of its `value`. Penalties add up: `l1_penalty(0.1) +
l2_penalty(0.01)` is a penalty. In the formulas w are the elements of the tensor within the slice,
and λ is `penalty`.
"""

from paysage.penalties.base import Penalty, from_config, sum_penalty
from paysage.penalties.kinds import (
    exp_l2_penalty,
    l1_adaptive_decay_penalty_2,
    l1_penalty,
    l2_norm,
    l2_penalty,
    lasso,
    log_norm,
    log_penalty,
    logdet_penalty,
    ridge,
    trivial_penalty,
)

__all__ = [
    "Penalty",
    "exp_l2_penalty",
    "from_config",
    "l1_adaptive_decay_penalty_2",
    "l1_penalty",
    "l2_norm",
    "l2_penalty",
    "lasso",
    "log_norm",
    "log_penalty",
    "logdet_penalty",
    "ridge",
    "sum_penalty",
    "trivial_penalty",
]
