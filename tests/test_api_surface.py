"""The names that scripts rely on, as docs/api_surface.md lists them, are there and mean calls."""

import ast
import importlib
import inspect
import re
from operator import attrgetter
from pathlib import Path

import numpy as np
import pytest

from paysage import backends as be

PAGE = Path(__file__).resolve().parents[1] / "docs" / "api_surface.md"
ENTRY = re.compile(r"`([^`]+)`")


def tables():
    """The entries of each row of each table, by the heading above it and the row's first cell."""
    found, section = {}, None
    for line in PAGE.read_text("utf-8").splitlines():
        if line.startswith("## "):
            section = found.setdefault(line[3:], {})
        elif line.startswith("|") and section is not None and set(line) - set("|-"):
            _, head, entries, _ = line.split("|")
            section[head.strip().strip("`")] = ENTRY.findall(entries)
    return {section: {k: v for k, v in rows.items() if v} for section, rows in found.items()}


TABLES = tables()


def entries(section):
    """(row, entry) of a table, as parameters of a test."""
    rows = TABLES[section].items()
    pairs = [(row, entry) for row, listed in rows for entry in listed]
    return pytest.mark.parametrize(("row", "entry"), pairs, ids=[f"{r}.{e}" for r, e in pairs])


def resolved(node):
    """The value of a default on the page: a literal, or a name of `fit` or `schedules`."""
    if not isinstance(node, ast.Name):
        return ast.literal_eval(node)
    rooms = (importlib.import_module(f"paysage.{room}") for room in ("fit", "schedules"))
    return next(vars(room)[node.id] for room in rooms if node.id in vars(room))


def check(owner, entry):
    """Assert that the owner has what an entry names, with its arguments and their defaults."""
    name = entry.partition("(")[0]
    found = attrgetter(name)(owner)
    if name == entry:
        return
    call = ast.parse(entry, mode="eval").body
    listed = [(node.id, inspect.Parameter.empty) for node in call.args]
    listed += [(word.arg, resolved(word.value)) for word in call.keywords]
    parameters = inspect.signature(found).parameters
    check_order([key for key, _ in listed], list(parameters), len(call.args))
    for key, default in listed:
        if default is not inspect.Parameter.empty and default is not ...:
            assert parameters[key].default == default, f"{key} of {name}"
    for key, parameter in parameters.items():
        variadic = parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
        optional = variadic or parameter.default is not parameter.empty
        assert optional or key in dict(listed), f"{name} needs {key}, too"


def check_order(listed, present, num_positional):
    assert listed[:num_positional] == present[:num_positional]
    assert listed == [key for key in present if key in listed]


@pytest.fixture(scope="session")
def digits():
    return np.random.default_rng(0).integers(0, 2, size=(40, 6)).astype(np.float32)


@pytest.fixture
def objects(digits, tmp_path):
    """One of each kind of object that the page speaks of."""
    from paysage import (
        batch,
        factorization,
        fit,
        layers,
        math_utils,
        models,
        optimizers,
        penalties,
        preprocess,
        samplers,
        schedules,
    )

    data = batch.in_memory_batch(be.float_tensor(digits), 5)
    model = models.BoltzmannMachine([layers.BernoulliLayer(6), layers.GaussianLayer(3)])
    state = models.State.from_visible(data.get("train"), model)
    trainer = fit.SGD(model, data)
    calculator = math_utils.MeanVarianceArrayCalculator()
    calculator.update(digits)
    return {
        "model": model,
        "layer": model.layers[1],
        "connection": model.connections[0],
        "gradient": model.gradient(state, state),
        "state": state,
        "batch": data,
        "trainer": trainer,
        "monitor": trainer.monitor,
        "pretrainer": fit.LayerwisePretrain(model, data),
        "sampler": samplers.SequentialMC.from_model(model, 4),
        "beta_sampler": samplers.AutoregressiveGammaSampler(),
        "optimizer": optimizers.ADAM(stepsize=schedules.Constant(0.01)),
        "schedule": schedules.PowerLawDecay(0.1, 1.0),
        "penalty": penalties.l1_penalty(0.1) + penalties.l2_penalty(0.1),
        "transformation": preprocess.Transformation(preprocess.scale, args=[2.0]),
        "shuffler": batch.DataShuffler(*two_files(tmp_path, digits)),
        "principal_components": factorization.PCA.from_svd(be.float_tensor(digits), 2),
        "calculator": calculator,
    }


def two_files(folder, rows):
    h5py = pytest.importorskip("h5py", reason="HDF5 files need h5py")
    with h5py.File(folder / "data.h5", "w") as file:
        file["rows"] = rows
    return folder / "data.h5", folder / "shuffled.h5"


def the(name, objects):
    if name == "tap":
        return importlib.import_module("paysage.fit").TAP()
    return objects[name]


def test_the_page_was_read():
    counts = {section: sum(map(len, rows.values())) for section, rows in TABLES.items()}
    least = {
        "Modules": 91,
        "Objects": 89,
        "The backend": 137,
        "Operators in the place of functions": 8,
    }
    assert counts.keys() == least.keys()
    assert all(counts[section] >= least[section] for section in least), counts


@pytest.mark.backend_free
@entries("Modules")
def test_modules(row, entry):
    check(importlib.import_module(f"paysage.{row}"), entry)


@pytest.mark.parametrize("row", TABLES["Objects"])
def test_objects(row, objects):
    for entry in TABLES["Objects"][row]:
        check(the(row, objects), entry)


@pytest.mark.parametrize("row", TABLES["The backend"])
def test_backend(row, backend):
    for entry in TABLES["The backend"][row]:
        check(be, entry)
    names = [entry.partition("(")[0] for entry in TABLES["The backend"][row]]
    assert [name for name in names if not hasattr(be, name)] == []
    assert set(names) <= set(dir(be))
    functions = [getattr(be, name) for name in names if inspect.isroutine(getattr(be, name))]
    assert [f.__name__ for f in functions if not f.__doc__] == []


@entries("Operators in the place of functions")
def test_operators(row, entry):
    name = row.partition("(")[0]
    with pytest.raises(AttributeError) as caught:
        getattr(be, name)
    assert f"backends.{name} does not exist: write {entry}" in str(caught.value)


@pytest.mark.parametrize("method", ["hinton", "glorot_normal", "stddev", "pca"])
def test_initializers_by_name(objects, method):
    model = objects["model"]
    before = be.to_numpy_array(be.copy_tensor(model.connections[0].weights.W()))
    model.initialize(objects["batch"], method=method)
    assert (be.to_numpy_array(model.connections[0].weights.W()) != before).any()


@pytest.mark.parametrize(
    "entry",
    [
        "LayerwisePretrain(batch, model)",
        "SGD(model, batch, fantasy_steps=11)",
        "SGD(model)",
        "SGD(model, batch, sweeps=1)",
        "KLDivergence(divide_dimension=True, k=5)",
    ],
)
@pytest.mark.backend_free
def test_the_check_notices(entry):
    """Another order, another default, an argument too few or too many."""
    room = importlib.import_module("paysage.metrics" if entry[0] == "K" else "paysage.fit")
    with pytest.raises(AssertionError):
        check(room, entry)


def test_the_check_notices_an_absent_name():
    with pytest.raises(AttributeError):
        check(be, "no_such_name")
