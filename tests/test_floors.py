"""The floors of the house: a file imports only from floors below its own."""

import ast
from pathlib import Path

import pytest

import paysage

pytestmark = pytest.mark.backend_free

ROOT = Path(paysage.__file__).parent
FLOORS = {
    "errors": -1,  # below all: everyone raises
    "threads": -1,
    "backends": 0,
    "capturable": 0,
    "checks": 0,
    "files": 0,
    "progress": 0,
    "registry": 0,
    "schedules": 1,
    "constraints": 1,
    "penalties": 1,
    "preprocess": 1,
    "math_utils": 1,
    "plotting": 1,
    "storage": 1,
    "datasets": 2,
    "layers": 2,
    "batch": 2,
    "factorization": 2,
    "models": 3,
    "samplers": 4,
    "optimizers": 4,
    "likelihood": 4,
    "metrics": 5,
    "fit": 6,
    "testing": 7,
    "sklearn": 7,
    "cli": 8,
}


def room(module):
    """The first name below `paysage`; the package itself (its version) is no room."""
    return module.split(".")[1] if "." in module else None


def is_module(dotted):
    path = ROOT.parent.joinpath(*dotted.split("."))
    return path.is_dir() or path.with_suffix(".py").is_file()


def imports(tree, package):
    """Modules of ours that a syntax tree imports, wherever in it, with their lines."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*above, *([base] if base else [])])
            for alias in node.names:
                deeper = f"{base}.{alias.name}"
                ours = base.split(".")[0] == "paysage"
                yield (deeper if ours and is_module(deeper) else base), node.lineno


def crossings(source, module, package):
    """Sentences about imports that go up, or sideways into another room of the floor."""
    own = room(module)
    for target, line in imports(ast.parse(source), package):
        other = room(target) if target.split(".")[0] == "paysage" else None
        if other is None or other == own:
            continue
        if own is None or FLOORS[other] >= FLOORS[own]:
            yield f"{module}:{line} imports {target}"


def files():
    return sorted(p for p in ROOT.rglob("*.py") if "__pycache__" not in p.parts)


def names_of(path):
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    package = ".".join(parts[:-1])
    module = package if parts[-1] == "__init__" else ".".join(parts)
    return module, package


def test_every_room_has_a_floor():
    rooms = {room(names_of(path)[0]) for path in files()} - {None}
    assert rooms <= FLOORS.keys(), "a new room needs a floor"


def test_no_import_crosses_a_floor():
    found = [line for p in files() for line in crossings(p.read_text("utf-8"), *names_of(p))]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    "source, module, package, crosses",
    [
        ("from paysage.models import State", "paysage.layers.x", "paysage.layers", True),
        ("def f():\n    from paysage import fit", "paysage.samplers.x", "paysage.samplers", True),
        ("import paysage.optimizers", "paysage.samplers.x", "paysage.samplers", True),
        ("from ..metrics import base", "paysage.models.x", "paysage.models", True),
        ("from . import penalties", "paysage.constraints", "paysage", True),
        ("from paysage import layers", "paysage", "paysage", True),
        ("from .bernoulli import BernoulliLayer", "paysage.layers.x", "paysage.layers", False),
        ("from paysage import backends as be", "paysage.penalties", "paysage", False),
        ("from paysage import __version__", "paysage.storage.x", "paysage.storage", False),
        ("from paysage.errors import DataError", "paysage.backends.x", "paysage.backends", False),
        ("import numpy.linalg", "paysage.layers.x", "paysage.layers", False),
    ],
)
def test_the_walk_sees_what_it_should(source, module, package, crosses):
    assert bool(list(crossings(source, module, package))) is crosses


def test_no_assert_and_no_print_outside_of_the_trainer():
    """Users' mistakes are named exceptions; only training, its monitor and commands may print."""
    for path in files():
        module, _ = names_of(path)
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            assert not isinstance(node, ast.Assert), f"{module}:{node.lineno} asserts"
            if isinstance(node, ast.Call) and getattr(node.func, "id", None) == "print":
                allowed = (
                    room(module) in {"fit", "metrics", "sklearn", "cli"}
                    or module == "paysage.backends.common"
                )
                assert allowed, f"{module}:{node.lineno} prints"
