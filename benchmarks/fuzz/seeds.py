"""Whole files, small ones, by what they are."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
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
from paysage.datasets import fetching
from paysage.factorization import PCA
from paysage.layers import BernoulliLayer, GaussianLayer, OneHotLayer
from paysage.metrics import KLDivergence, ReconstructionError
from paysage.models import BoltzmannMachine

#: what pandas compresses by and h5py cannot undo
PACKED = ("blosc", "blosc:zstd", "bzip2")
#: of a training from the command line
SETTINGS = {
    "data": "rows.npy",
    "transform": "none",
    "train_fraction": 0.8,
    "hidden": [3],
    "hidden_bias": -2.0,
    "centered": True,
    "l1": 0.001,
    "l2": 0.01,
    "batch_size": 5,
    "method": "pcd",
    "beta_std": 0.2,
    "optimizer": "adam",
    "learning_rate": 0.01,
    "schedule": "power",
    "decay": 0.05,
    "burn_in": 0,
    "precision": "float32",
    "max_norm": 2.0,
    "average_last": 0.5,
    "halve": True,
    "watch": "ReconstructionError",
    "patience": 2,
    "seed": 3,
    "every": 1,
    "resume": False,
    "log": ["log.csv"],
}


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
    rule = optimizers.ADAM(schedules.PowerLawDecay(0.01, 10.0))
    options = {"verbose": False, "checkpoint": path, "resume": resume}
    trainer.train(rule, 2, **options)


def files() -> dict[str, list[bytes]]:
    """The seeds of each loader of files."""
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = Path(folder) / "seed.h5"
        return {
            "model": [_after(machine().save, path), _after(_deep().save, path)],
            "checkpoint": [_after(lambda p: train(machine(), p, False), path)],
            "legacy": [_after(_legacy_model, path), _after(_legacy_pca, path)],
            "pca": [_after(PCA.from_svd(be.float_tensor(rows()), 2).save, path)],
            "table": [_plain(), *_framed(path, "zlib")],
            "blosc": [frame for way in PACKED for frame in _framed(path, way)],
            "mnist": [_after(_digits, path)],
            "idx": _idx(),
            "npy": [_numbers(np.save, rows()), _numbers(np.save, rows()[:, :4].astype("f4"))],
            "npz": [_numbers(np.savez, rows()), _numbers(np.savez_compressed, rows(), rows() / 2)],
            "csv": [_text(",".join(map(str, row)) for row in rows())],
            "log": [_text(["epoch,seconds,error", "0,0.0,0.5", "1,0.2,", "2,0.2,0.25"])],
            "lines": [_text(json.dumps({"epoch": n, "error": 0.5, "x": None}) for n in range(3))],
            "toml": [_text(f"{key} = {json.dumps(value)}" for key, value in SETTINGS.items())],
            "json": [json.dumps(SETTINGS).encode()],
        }


def configs() -> list[Any]:
    """Configurations of everything that can be made from one."""
    made = preprocess.Transformation(preprocess.one_hot, kwargs={"category_list": [0, 1]})
    rules = [schedules.Linear(0.1, 0.01), schedules.Step(1.0, 0.1, 5)]
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


def _framed(path: Path, library: Any) -> list[bytes]:
    return [_after(_frames(form, library), path) for form in ("fixed", "table")]


def _frames(form: str, library: Any) -> Any:
    def write(path: Path) -> None:
        with pd.HDFStore(path, "w", complevel=4, complib=library) as store:
            store.put("x", pd.DataFrame(rows()), format=form)
            mixed = {"a": rows()[:, 0], "b": rows()[:, 1] / 2, "c": rows()[:, 2].astype("u1")}
            store.put("t/1", pd.DataFrame(mixed), format=form)
            store.put("t/2", pd.DataFrame(rows()[:, :2]), format=form)
            store.put("y", pd.Series(rows()[:, 3], name="label"), format=form)

    return write


def _legacy_model(path: Path) -> None:
    """Write a model as version 0.2 did."""
    with pd.HDFStore(path, "w") as store:
        for layer, column in (("layers_0", rows()[0]), ("layers_1", [0.5, 1.0, 2.0])):
            store.put(f"layers/{layer}/parameters/params0", pd.DataFrame(column))
        store.put("layers/layers_1/parameters/params1", pd.Series([0.0, 0.1, 0.2]))
        store.put("connections/weights_0/parameters/key0", pd.DataFrame(rows()[:6, :3] / 2))


def _legacy_pca(path: Path) -> None:
    """Write principal components as version 0.2 did."""
    with pd.HDFStore(path, "w") as store:
        store.put("PCA/W", pd.DataFrame(np.eye(6, 2)))
        store.put("PCA/var", pd.Series([2.0, 1.0]))
        store.put("PCA/mean", pd.DataFrame(rows().mean(axis=0)))


def _digits(path: Path) -> None:
    """A file like that of MNIST, with five images in a part."""
    with pd.HDFStore(path, "w", complevel=6, complib="zlib") as store:
        for part in ("train", "test"):
            images = np.arange(5 * 784, dtype=np.uint8).reshape(5, 784)
            store.put(f"{part}/images", pd.DataFrame(images), format="fixed")
            store.put(f"{part}/labels", pd.Series(np.arange(5, dtype=np.uint8)), format="fixed")


def _numbers(save: Any, *arrays: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    save(buffer, *arrays)
    return buffer.getvalue()


def _text(lines: Any) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()


def _idx() -> list[bytes]:
    """Files like those of MNIST, plain and compressed, for images of 2 x 2 pixels.

    The data set becomes what they hold: else nothing beyond the checksums would be reached.
    """
    found, small = [], []
    for part in fetching.PARTS:
        shape = (5, *(2 for _ in part.shape[1:]))
        content = fetching._header(part._replace(shape=shape)) + bytes(range(np.prod(shape)))
        small.append(part._replace(shape=shape, sha256=hashlib.sha256(content).hexdigest()))
        found += [content, gzip.compress(content, mtime=0)]
    fetching.PARTS[:] = small
    return found


#: made once, by the fuzzer
WHOLE: dict[str, list[bytes]] = {}
