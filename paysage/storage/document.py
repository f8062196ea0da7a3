"""A tree as a JSON document and a list of arrays, and back. Knows no files."""

import hashlib
import json
import math
import re
from typing import Any, NoReturn

import numpy as np

from paysage import __version__
from paysage.errors import StorageError

FORMAT = "paysage"
SCHEMA = 1

# Little-endian numbers. Booleans are stored as bytes: h5py and PyTables disagree about them.
DTYPES = frozenset(
    ("|b1", "|i1", "|u1", "<i2", "<u2", "<i4", "<u4", "<i8", "<u8", "<f2", "<f4", "<f8")
)


def encode(tree: Any, kind: str) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """The document's bytes, and the arrays to store, by name."""
    if not isinstance(kind, str):
        raise StorageError(f"the kind of a tree is a word, got {kind!r}")
    arrays: list[np.ndarray] = []
    try:
        plain = _flatten(tree, "tree", arrays)
    except RecursionError as error:
        raise StorageError("the tree is nested too deeply, or holds itself") from error
    document = {
        "format": FORMAT,
        "schema": SCHEMA,
        "kind": kind,
        "library": __version__,
        "tree": plain,
        "arrays": [
            {
                "shape": list(array.shape),
                "dtype": array.dtype.str,
                "sha256": digest(array).tobytes().hex(),
            }
            for array in arrays
        ],
    }
    text = json.dumps(document, allow_nan=False, separators=(",", ":"))
    stored = {f"a{n}": _as_stored(array) for n, array in enumerate(arrays) if array.size}
    return np.frombuffer(text.encode(), dtype=np.uint8), stored


def _flatten(node: Any, where: str, arrays: list[np.ndarray]) -> Any:
    """The node as JSON values; its arrays are appended to the list."""
    if isinstance(node, np.generic):
        node = node.item()
    if isinstance(node, np.ndarray):
        arrays.append(_checked_array(node, where))
        return {"__array__": len(arrays) - 1}
    if isinstance(node, dict):
        _check_keys(node, where)
        return {key: _flatten(value, f"{where}.{key}", arrays) for key, value in node.items()}
    if isinstance(node, list | tuple):
        return [_flatten(value, f"{where}[{n}]", arrays) for n, value in enumerate(node)]
    if isinstance(node, float) and not math.isfinite(node):
        raise StorageError(f"{where} is {node}, which JSON does not know; arrays may hold it")
    if node is None or isinstance(node, bool | int | float | str):
        return node
    raise StorageError(
        f"{where} is a {type(node).__name__}; expected JSON values or NumPy arrays "
        "(be.to_numpy_array makes one of a tensor)"
    )


def _check_keys(node: dict, where: str) -> None:
    for key in node:
        if not isinstance(key, str):
            raise StorageError(f"{where} has the key {key!r}; expected strings")
    if "__array__" in node:
        raise StorageError(f"{where} has the key '__array__', which stands for a stored array")


def _checked_array(array: np.ndarray, where: str) -> np.ndarray:
    """The array in little-endian byte order and in one piece."""
    if np.ma.is_masked(array):
        raise StorageError(f"{where} is an array some of whose numbers are masked; fill them first")
    if array.dtype.kind in "biuf":
        array = np.asarray(array, dtype=array.dtype.newbyteorder("<"), order="C")
    if array.dtype.str not in DTYPES:
        raise StorageError(
            f"{where} is an array of {array.dtype}; "
            "expected booleans, integers or floats up to 64 bits"
        )
    return array


def _as_stored(array: np.ndarray) -> np.ndarray:
    return array.view(np.uint8) if array.dtype == np.bool_ else array


def digest(array: np.ndarray) -> np.ndarray:
    """The SHA-256 of an array's content, 32 bytes."""
    content = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
    return np.frombuffer(hashlib.sha256(content.data).digest(), dtype=np.uint8)


def decode_text(raw: bytes) -> Any:
    """The JSON values of a document's bytes."""
    return json.loads(raw.decode(), parse_constant=_refuse_constant)


def _refuse_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is not JSON")


def check_document(document: Any, kind: str | None, name: str) -> None:
    """Ours, of a schema we know, and of the kind that was asked for, if one was."""
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise StorageError(f"{name} is an HDF5 file, but its document is not one of ours")
    schema = document.get("schema")
    if type(schema) is not int or schema < 1:
        damaged(name, f"its schema is {schema!r}")
    if schema > SCHEMA:
        raise StorageError(
            f"{name} was written by a newer Paysage ({document.get('library')}, schema {schema}); "
            f"this is {__version__}, which reads schemas up to {SCHEMA}"
        )
    for part in ("kind", "library"):
        if not isinstance(document.get(part), str):
            damaged(name, f"its {part} is {document.get(part)!r}")
    if kind is not None and document["kind"] != kind:
        raise StorageError(f"{name} holds a {document['kind']!r}; expected a {kind!r}")


def unflatten(node: Any, arrays: list[np.ndarray]) -> Any:
    """The tree of a document, its arrays in their places."""
    if isinstance(node, dict):
        if set(node) == {"__array__"}:
            number = node["__array__"]
            if type(number) is not int or not 0 <= number < len(arrays):
                raise ValueError(f"the tree asks for array {number!r} of {len(arrays)}")
            return arrays[number]
        return {key: unflatten(value, arrays) for key, value in node.items()}
    if isinstance(node, list):
        return [unflatten(value, arrays) for value in node]
    return node


def damaged(name: str, what: str) -> NoReturn:
    """Refuse a file, by name, for what is wrong with it."""
    raise StorageError(f"{name} is damaged: {what}")


def split_key(key: str) -> list[str]:
    """The groups on the way to a key, each a name that h5py and PyTables both take."""
    parts = key.strip("/").split("/") if isinstance(key, str) else [""]
    if not all(re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", part) for part in parts):
        raise StorageError(
            f"the key {key!r} is not a path of names made of letters, digits and underscores"
        )
    return parts
