"""Other libraries as contestants, each as its documentation says and with its own threads."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import Any

import numpy as np

from contest.task import NUM_VISIBLE, SEED, Data, Task, minibatches
from contest.turns import Absent, Contestant, Work

SKLEARN = "scikit-learn"
RBMS = "rbms"
LEARNERGY = "learnergy"
LEARNERGY_CD = "learnergy, CD"
BY_HAND = "PyTorch by hand"


def sklearn(task: Task, rows: np.ndarray) -> Work:
    """`BernoulliRBM.fit`."""
    module = installed("sklearn.neural_network", "scikit-learn")
    if task.algorithm != "PCD-1" or not is_binary_rbm(task):
        raise Absent("it learns Bernoulli units by PCD-1 only")
    model = module.BernoulliRBM(
        n_components=task.hidden[0],
        batch_size=task.batch,
        n_iter=task.epochs,
        random_state=SEED,
    )
    return partial(model.fit, rows)


def rbms(task: Task, rows: np.ndarray, device: str = "cpu") -> Work:
    """`fit_batch_pcd` and a step of its optimizer.

    Its own `train` also writes to a file at every update, which is left out in its favour.
    """
    training = installed("rbms.training.pcd", "rbms")
    classes = installed("rbms.bernoulli_bernoulli.classes", "rbms")
    datasets = installed("rbms.dataset.dataset_class", "rbms")
    if not is_binary_rbm(task):
        raise Absent("it has no Gaussian units and no deep machines")
    import torch

    ones = np.ones(task.rows, np.float32)
    labels, names = -ones.astype(np.int32), np.arange(task.rows)
    dataset = datasets.RBMDataset(rows, labels, ones, names, "benchmark", True, device)
    with torch.no_grad():
        params = classes.BBRBM.init_parameters(task.hidden[0], dataset, device, torch.float32)
        params.init_grad()
        chains = params.init_chains(task.batch)
    optimizer = torch.optim.SGD(params.parameters(), lr=0.01, maximize=True)
    return partial(_rbms_epochs, training.fit_batch_pcd, task, dataset, params, optimizer, chains)


def _rbms_epochs(
    fit_batch: Any, task: Task, dataset: Any, params: Any, optimizer: Any, chains: Any
) -> None:
    import torch

    with torch.no_grad():
        pairs = zip(
            minibatches(dataset.data, task), minibatches(dataset.weights, task), strict=True
        )
        for rows, weights in pairs:
            if task.method == "cd":
                chains = params.init_chains(len(rows), weights=weights, start_v=rows)
            optimizer.zero_grad(set_to_none=False)
            chains, _ = fit_batch((rows, weights), chains, params, task.steps, 1.0)
            optimizer.step()
    wait_for(dataset.device)


def learnergy(task: Task, rows: np.ndarray) -> Work:
    """`RBM.fit` or `GaussianRBM.fit`, which also measure two numbers of each minibatch."""
    models = installed(
        "learnergy.models.gaussian" if task.gaussian else "learnergy.models.bernoulli", "learnergy"
    )
    if task.method != "cd" or len(task.hidden) > 1:
        raise Absent("it learns by CD only, and has no deep Boltzmann machines")
    import torch

    dataset = torch.utils.data.TensorDataset(torch.from_numpy(rows), torch.zeros(len(rows)))
    kind = models.GaussianRBM if task.gaussian else models.RBM
    model = kind(NUM_VISIBLE, task.hidden[0], steps=task.steps, learning_rate=0.01)
    return partial(model.fit, dataset, batch_size=task.batch, epochs=task.epochs)


def by_hand(task: Task, rows: np.ndarray, device: str = "cpu") -> Work:
    """What one writes oneself; see `by_hand.py`."""
    torch = installed("torch", "torch")
    if not is_binary_rbm(task):
        raise Absent("it has Bernoulli units and one hidden layer only")
    from contest.by_hand import HandWrittenRBM

    tensor = torch.from_numpy(rows).to(device)
    model = HandWrittenRBM(NUM_VISIBLE, task, device)

    def work() -> None:
        for minibatch in minibatches(tensor, task):
            model.update(minibatch)
        wait_for(device)

    return work


def is_binary_rbm(task: Task) -> bool:
    return len(task.hidden) == 1 and not task.gaussian


def installed(module: str, package: str) -> Any:
    try:
        return import_module(module)
    except ImportError as error:
        raise Absent(f"{package} is not installed, or not complete: {error}") from error


def wait_for(device: str) -> None:
    if device == "cuda":
        import torch

        torch.cuda.synchronize()


#: what gets them ready, given a task and its rows
STARTS: dict[str, Callable[[Task, np.ndarray], Work]] = {
    SKLEARN: sklearn,
    RBMS: rbms,
    LEARNERGY: learnergy,
    BY_HAND: by_hand,
}


def peers(task: Task, data: Data) -> list[Contestant]:
    """All of them; those that cannot do the task say so."""
    rows = data.rows(task)
    return [Contestant(name, partial(start, task, rows)) for name, start in STARTS.items()]
