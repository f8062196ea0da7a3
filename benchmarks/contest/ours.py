"""Our library as a contestant: a full `train` on either backend, in either precision."""

from __future__ import annotations

import inspect
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from contest.task import SEED, Data, Task
from contest.turns import Absent, Contestant, Work
from paysage import backends as be
from paysage import fit, optimizers
from paysage.batch import Batch, InMemoryTable
from paysage.errors import BackendError, ConfigError
from paysage.layers import BernoulliLayer, GaussianLayer, Layer
from paysage.models import BoltzmannMachine

OURS = "paysage"
TORCH = "paysage, PyTorch"
BF16 = "paysage, bf16"
TORCH_BF16 = "paysage, PyTorch, bf16"
OWN_LAYER = "paysage, a layer of one's own"
METRICS = "paysage, seven metrics"
EAGER = "paysage, PyTorch, eager"


def contestant(
    name: str,
    task: Task,
    data: Data,
    backend: str = "python",
    processor: str = "cpu",
    **options: Any,
) -> Contestant:
    """A trainer of this library; options are those of `trainer` and of `train`."""
    enter = partial(choose, backend, processor)
    return Contestant(name, partial(start, task, data, **options), enter)


def choose(backend: str, processor: str) -> None:
    try:
        be.set_backend(backend, processor)
    except BackendError as error:
        raise Absent(str(error)) from error


def both(task: Task, data: Data) -> list[Contestant]:
    """Both backends, in both precisions."""
    return [
        contestant(OURS, task, data),
        contestant(TORCH, task, data, "pytorch"),
        contestant(BF16, task, data, precision="bf16"),
        contestant(TORCH_BF16, task, data, "pytorch", precision="bf16"),
    ]


def start(
    task: Task, data: Data, own_layer: bool = False, metrics: bool = False, **options: Any
) -> Work:
    """The epochs of a task by a model that goes on learning from turn to turn."""
    for option in options:
        if option not in inspect.signature(fit.SGD.train).parameters:
            raise Absent(f"fit.SGD.train has no argument {option!r}")
    be.set_seed(SEED)
    rows = data.all_rows(task)
    trainer = own_trainer(task, rows) if own_layer else built_in_trainer(task, rows)
    if not metrics:
        trainer.monitor.generator_metrics.clear()
    train = partial(
        trainer.train,
        optimizers.ADAM(stepsize=1e-2),
        task.epochs,
        mcsteps=task.steps,
        method=getattr(fit, task.method),
        verbose=False,
        **options,
    )
    return partial(_work, train)


def _work(train: Work) -> None:
    """An option that is refused here or on this machine keeps its contestant away."""
    try:
        train()
    except (ConfigError, BackendError) as error:
        raise Absent(str(error)) from error
    synchronize()


def synchronize() -> None:
    """Wait for a GPU, where one computes."""
    if be.get_backend().processor == "gpu":
        import torch

        torch.cuda.synchronize()


def built_in_trainer(task: Task, rows: np.ndarray) -> fit.SGD:
    visible = GaussianLayer if task.gaussian else BernoulliLayer
    layers = [visible(rows.shape[1]), *(BernoulliLayer(n) for n in task.hidden)]
    return _trainer(task, layers, rows)


def own_trainer(task: Task, rows: np.ndarray) -> fit.SGD:
    return _trainer(task, [PlainLayer(n) for n in (rows.shape[1], *task.hidden)], rows)


class PlainParams(NamedTuple):
    """Parameters of a PlainLayer."""

    loc: Any


class PlainLayer(Layer):
    """Binary units as a user would write them, in plain functions of the backend."""

    support, values, gradient_needs_field = (0.0, 1.0), (0.0, 1.0), False
    linear_energy = True

    def init_params(self) -> PlainParams:
        return PlainParams(be.zeros((self.num_units,)))

    def energy(self, units: Any) -> Any:
        return -be.dot(units, self.params.loc)

    def mean(self, field: Any, beta: Any = None, out: Any = None) -> Any:
        total = field + self.params.loc
        return be.expit(total if beta is None else beta * total)

    def sample(self, field: Any, beta: Any = None, out: Any = None) -> Any:
        return be.cast_float(be.rand_like(field) < self.mean(field, beta))

    def energy_gradient(self, units: Any, field: Any) -> PlainParams:
        return PlainParams(-be.mean(units, axis=0))

    def fit_marginal(self, moments: Any) -> None:
        self.params.loc[:] = be.logit(be.clip(moments.mean, 1e-6, 1 - 1e-6))


def _trainer(task: Task, layers: list[Any], rows: np.ndarray) -> fit.SGD:
    tensor = be.float_tensor(rows)
    train, validate = tensor[: task.rows], tensor[task.rows :]
    batch = Batch(
        {
            "train": InMemoryTable(train, task.batch),
            "validate": InMemoryTable(validate, min(task.batch, len(validate))),
        }
    )
    model = BoltzmannMachine(layers)
    model.initialize(batch, method="glorot_normal")
    return fit.SGD(model, batch)
