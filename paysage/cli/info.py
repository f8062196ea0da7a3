"""`paysage info`: what a file holds. Nothing is unpickled, and nothing of it is carried out."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from paysage.cli.options import add_output
from paysage.cli.output import Result

SUMMARY = "tell what a file holds"
EXAMPLE = """\
  paysage info model.h5
  paysage info run.h5 --json"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """The file."""
    parser.add_argument("file", metavar="FILE", help="a model, checkpoint, data (.h5) or .npy file")
    add_output(parser)


def command(options: argparse.Namespace) -> Result:
    """Look through the trees and the tables of the file; checksums are compared."""
    path = Path(options.file)
    if path.suffix == ".npy":
        return _of_array(path)
    from paysage.batch.contents import contents
    from paysage.storage import read_all

    trees = {key: _of_tree(key, entry) for key, entry in read_all(path).items()}
    tables = contents(path)
    lines = [line for tree in trees.values() for line in tree[0]]
    lines += [f"{t.key}: {_shape(t.shape)} of {t.dtype}, by {t.written_by}" for t in tables]
    if any(t.key == "layers/layers_0/parameters/params0" for t in tables):
        lines.append("a model of version 0.2, which `paysage convert` rewrites")
    facts = {
        "file": path,
        "trees": {key: facts for key, (_, facts) in trees.items()},
        "tables": [table._asdict() for table in tables],
    }
    return Result([f"{path}: HDF5", *(lines or ["nothing that Paysage knows"])], facts)


def _of_array(path: Path) -> Result:
    from paysage.cli.data import load_array

    array = load_array(path)
    shape, dtype = tuple(array.shape), str(array.dtype)
    return Result(
        [f"{path}: an array, {_shape(shape)} of {dtype}"],
        {"file": path, "shape": shape, "dtype": dtype},
    )


def _of_tree(key: str, entry: Any) -> tuple[list[str], dict[str, Any]]:
    """Lines and facts of a tree; one that is not as its kind says is listed by its arrays."""
    head = f"{key}: a {entry.kind}, by Paysage {entry.version}, schema {entry.schema}, intact"
    facts = {"kind": entry.kind, "version": entry.version, "schema": entry.schema}
    of_kind = {"model": _of_model, "checkpoint": _of_checkpoint}.get(entry.kind, _of_any)
    try:
        lines, more = of_kind(entry.tree)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
        lines, more = _of_any(entry.tree)
    return [head, *(f"  {line}" for line in lines)], {**facts, **more}


def _of_any(tree: Any) -> tuple[list[str], dict[str, Any]]:
    found = dict(_arrays(tree))
    lines = [f"{place}: {_shape(shape)} of {dtype}" for place, (shape, dtype) in found.items()]
    return lines, {"arrays": {place: list(entry) for place, entry in found.items()}}


def _of_model(tree: Any) -> tuple[list[str], dict[str, Any]]:
    config, number = tree["config"], _count(tree)
    layers = [_layer(layer) for layer in config["layers"]]
    graph = [[c["target_index"], c["domain_index"]] for c in config["connections"]]
    drawn = ", ".join(f"{a}-{b}" for a, b in graph)
    lines = [*layers, f"connections {drawn}", f"{number} parameters, running means included"]
    return lines, {"layers": config["layers"], "connections": graph, "num_numbers": number}


def _layer(config: dict[str, Any]) -> str:
    options = ", ".join(
        f"{name} {value}"
        for name, value in config.items()
        if name not in ("name", "layer_type", "num_units") and value
    )
    name = config.get("layer_type") or config.get("name")
    return f"{name}({config['num_units']})" + (f": {options}" if options else "")


def _of_checkpoint(tree: Any) -> tuple[list[str], dict[str, Any]]:
    place, origin, settings = tree["position"], tree["written_by"], tree["settings"]
    over = ", ended" if place["ended"] else ""
    lines, facts = _of_model(tree["memory"]["model"])
    lines += [
        f"after {place['epoch']} epochs and {place['minibatch']} minibatches{over}",
        "written by " + ", ".join(f"{name} {value}" for name, value in origin.items()),
    ]
    return lines, {**facts, "position": place, "written_by": origin, "settings": settings}


def _arrays(tree: Any, place: str = "") -> Any:
    """Place, shape and dtype of the arrays in a tree."""
    if hasattr(tree, "dtype"):
        yield place, (tuple(tree.shape), str(tree.dtype))
    elif isinstance(tree, dict):
        for name, part in tree.items():
            yield from _arrays(part, f"{place}/{name}")
    elif isinstance(tree, list):
        for number, part in enumerate(tree):
            yield from _arrays(part, f"{place}/{number}")


def _count(tree: Any) -> int:
    total = 0
    for _, (shape, _) in _arrays(tree):
        size = 1
        for length in shape:
            size *= length
        total += size
    return total


def _shape(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape)) or "one number"
