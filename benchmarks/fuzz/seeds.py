"""Whole files, small ones, by the loader that reads them."""

from __future__ import annotations

import io
import tempfile
import warnings
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd

from paysage import backends as be
from paysage import constraints, fit, optimizers, penalties, preprocess, schedules
from paysage.batch import in_memory_batch
from paysage.factorization import PCA
from paysage.layers import BernoulliLayer, GaussianLayer, OneHotLayer
from paysage.metrics import KLDivergence, ReconstructionError
from paysage.models import BoltzmannMachine


def rows() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 2, (20, 6))


def machine() -> BoltzmannMachine:
    be.set_seed(137)
    model = BoltzmannMachine([BernoulliLayer(6, center=True), BernoulliLayer(3)])
    model.connections[0].weights.add_penalty({"matrix": penalties.l2_penalty(0.1)})
    model.connections[0].weights.add_constraint({"matrix": constraints.non_negative})
    return model


def train(model: BoltzmannMachine, path: Path, resume: bool) -> None:
    trainer = fit.SGD(model, in_memory_batch(rows(), 6))
    trainer.monitor.generator_metrics = [ReconstructionError()]
    rule = optimizers.ADAM(schedules.PowerLawDecay(0.01, 0.1))
    options = {"lr_period": "epoch", "verbose": False, "checkpoint": path, "resume": resume}
    trainer.train(rule, 2, **options)


def files() -> dict[str, list[bytes]]:
    """The seeds of each loader of files."""
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = Path(folder) / "seed.h5"
        return {
            "model": [_after(machine().save, path), _after(_deep().save, path)],
            "checkpoint": [_after(lambda p: train(machine(), p, False), path)],
            "pca": [_after(PCA.from_svd(be.float_tensor(rows()), 2).save, path)],
            "table": [_plain(), _after(_frames("fixed"), path), _after(_frames("table"), path)],
            "mnist": [_after(_digits, path)],
        }


def configs() -> list[Any]:
    """Configurations of everything that can be made from one."""
    made = preprocess.Transformation(preprocess.one_hot, kwargs={"category_list": [0, 1]})
    rules = [schedules.Linear(0.1, 0.01, 0.0, 1.0), schedules.Step(1.0, 0.1, 5)]
    costs = [penalties.l1_penalty(0.1), penalties.l2_penalty(0.1, (slice(0, 2), 1))]
    return [
        machine().get_config(),
        _deep().get_config(),
        *(rule.get_config() for rule in rules),
        *(cost.get_config() for cost in costs),
        (costs[0] + costs[1]).get_config(),
        constraints.get_config(constraints.non_negative),
        made.get_config(),
        KLDivergence(k=3).get_config(),
    ]


def _deep() -> BoltzmannMachine:
    return BoltzmannMachine([GaussianLayer(4), OneHotLayer(3), BernoulliLayer(2)])


def _after(write: Any, path: Path) -> bytes:
    path.unlink(missing_ok=True)
    write(path)
    return path.read_bytes()


def _plain() -> bytes:
    """Datasets of h5py: in one piece, compressed, and of text."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        file["x"] = rows().astype(np.float32)
        file["x"].attrs["about"] = "Digits."
        file.create_dataset("t/1", data=rows().astype(np.uint8), chunks=(8, 3), compression=4)
        file.create_dataset("t/2", data=rows(), chunks=(5, 6), fletcher32=True, shuffle=True)
        file["names"] = ["a", "bc"] * 10
        file["number"] = 3.0
    return buffer.getvalue()


def _frames(form: str) -> Any:
    def write(path: Path) -> None:
        with pd.HDFStore(path, "w", complevel=4, complib="zlib") as store:
            store.put("x", pd.DataFrame(rows()), format=form)
            mixed = {"a": rows()[:, 0], "b": rows()[:, 1] / 2, "c": rows()[:, 2].astype("u1")}
            store.put("t/1", pd.DataFrame(mixed), format=form)
            store.put("t/2", pd.DataFrame(rows()[:, :2]), format=form)
            store.put("y", pd.Series(rows()[:, 3], name="label"), format=form)

    return write


def _digits(path: Path) -> None:
    """A file like that of MNIST, with five images in a part."""
    with pd.HDFStore(path, "w", complevel=6, complib="zlib") as store:
        for part in ("train", "test"):
            images = np.arange(5 * 784, dtype=np.uint8).reshape(5, 784)
            store.put(f"{part}/images", pd.DataFrame(images), format="fixed")
            store.put(f"{part}/labels", pd.Series(np.arange(5, dtype=np.uint8)), format="fixed")
