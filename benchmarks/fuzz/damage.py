"""Ways to damage a file: its bytes, what its format knows of it, or a tree, newly sealed."""

from __future__ import annotations

import contextlib
import io
import json
import struct
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from paysage import storage

EDGES = (0, 1, 2, 7, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 2**31 - 1, 2**31, 2**32 - 1, 10**12, 2**63)
VALUES = (None, True, 0, -1, 3, 10**12, 2**70, 1e308, 0.5, "", "x", "matrix", [], {}, [[]], [0, 1])
NUMBERS = (np.nan, np.inf, -np.inf, 0.0, -1.0, 1e38, 3.0)
DTYPES = ("u1", ">i4", "f2", "f8", "i8", "c8", "S3", "V4", "?")
#: what runs when a file is unpickled; see `loaders`
CANARY = b"cfuzz.loaders\nfire\n(tR."
PICKLES = (CANARY, b"(lp0\n" + CANARY, b"N.", b"(lp0\nI0\na.", b"I0x10\n" + CANARY, b"Hello world.")
TYPES = ("frame", "frame_table", "series", "series_table", "appendable_frame", "wide", "", "x")


def patched(data: Any, seed: bytes) -> bytes:
    """Bytes of the seed replaced, a piece taken out, or the end cut off."""
    image = bytearray(seed)
    for _ in range(data.ConsumeIntInRange(1, 6)):
        place = data.ConsumeIntInRange(0, max(0, len(image) - 1))
        kind, width = data.ConsumeIntInRange(0, 9), (1, 2, 4, 8)[data.ConsumeIntInRange(0, 3)]
        if kind < 4:
            image[place : place + 1] = data.ConsumeBytes(1)
        elif kind < 7:
            edge = EDGES[data.ConsumeIntInRange(0, len(EDGES) - 1)] % 256**width
            image[place : place + width] = edge.to_bytes(width, "little")
        elif kind == 7:
            image[place : place + width] = data.ConsumeBytes(width)
        elif kind == 8:
            other = data.ConsumeIntInRange(0, max(0, len(image) - 1))
            image[place : place + 64] = image[other : other + 64]
        else:
            del image[place:]
    return bytes(image)


def restructured(data: Any, seed: bytes) -> bytes:
    """A file that HDF5 finds sound, with other objects, attributes, shapes and types."""
    buffer = io.BytesIO(seed)
    with h5py.File(buffer, "r+") as file:
        for _ in range(data.ConsumeIntInRange(1, 4)):
            names: list[str] = []
            file.visit(names.append)
            if names:
                name = names[data.ConsumeIntInRange(0, len(names) - 1)]
                change = CHANGES[data.ConsumeIntInRange(0, len(CHANGES) - 1)]
                with contextlib.suppress(OSError, TypeError, ValueError, KeyError, RuntimeError):
                    change(data, file, name)
    return buffer.getvalue()


def _pick(data: Any, choices: Any) -> Any:
    return choices[data.ConsumeIntInRange(0, len(choices) - 1)]


def _remove(data: Any, file: Any, name: str) -> None:
    del file[name]


def _link(data: Any, file: Any, name: str) -> None:
    """A link that hangs, leads into another file, leads back to the root, or to another place."""
    kind = data.ConsumeIntInRange(0, 3)
    other = f"{name}{_pick(data, ('', '2', '/loop'))}"
    if other == name:
        del file[name]
    if kind == 0:
        file[other] = h5py.SoftLink("/nowhere")
    elif kind == 1:
        file[other] = h5py.ExternalLink("/etc/hostname", "/x")
    elif kind == 2:
        file[other] = file["/"]
    else:
        file[other] = h5py.SoftLink("/")


def _declare(data: Any, file: Any, name: str) -> None:
    """A dataset that declares more than it holds."""
    shape = _pick(data, ((10**12, 6), (20, 10**12), (10**12,), (0, 6), (20, 0), (), (2**40, 2**20)))
    dtype = _pick(data, DTYPES)
    chunks = {"chunks": tuple(min(n, 100) for n in shape)} if min(shape, default=0) else {}
    if not data.ConsumeBool():
        chunks = {}
    del file[name]
    file.create_dataset(name, shape=shape, dtype=dtype, **chunks)


def _retype(data: Any, file: Any, name: str) -> None:
    node = file[name]
    old = node[()] if getattr(node, "size", 10**9) < 10**5 else np.zeros((20, 6))
    choice = data.ConsumeIntInRange(0, 5)
    del file[name]
    if choice == 0:
        file.create_dataset(name, shape=(20,), dtype=h5py.vlen_dtype(np.uint8))
        file[name][0] = np.frombuffer(_pick(data, PICKLES), np.uint8)
        file[name].attrs["PSEUDOATOM"] = np.bytes_(_pick(data, (b"object", b"vlstring")))
        file[name].attrs["CLASS"] = np.bytes_(b"VLARRAY")
        file[name].attrs["VERSION"] = np.bytes_(b"1.4")
    elif choice == 1:
        file[name] = np.zeros(20, dtype=[("index", "i8"), ("values_block_0", "f4", (3,))])
    elif choice == 2:
        file[name] = np.array(["a"] * 20, dtype=h5py.string_dtype())
    elif choice == 3:
        file[name] = np.full(np.shape(old), _pick(data, NUMBERS))
    elif choice == 4:
        file[name] = np.resize(old, _pick(data, ((20, 6), (3,), (1, 1), (20, 2, 2), (0, 3))))
    else:
        file[name] = np.asarray(old).astype(_pick(data, DTYPES))


def _attribute(data: Any, file: Any, name: str) -> None:
    attrs = file[name].attrs
    known = [*attrs, "pandas_type", "nblocks", "non_index_axes", "TITLE", "PSEUDOATOM"]
    which = _pick(data, known)
    choice = data.ConsumeIntInRange(0, 5)
    if choice == 0:
        del attrs[which]
    elif choice == 1:
        attrs[which] = np.bytes_(_pick(data, PICKLES))
    elif choice == 2:
        attrs[which] = _pick(data, TYPES)
    elif choice == 3:
        attrs[which] = np.int64(_pick(data, (-1, 0, 3, 10**12)))
    elif choice == 4:
        attrs[which] = np.arange(data.ConsumeIntInRange(0, 9))
    else:
        attrs[which] = np.bytes_(data.ConsumeBytes(data.ConsumeIntInRange(1, 40)) + b".")


CHANGES = (_remove, _link, _declare, _retype, _attribute, _attribute, _attribute)


def resealed(data: Any, path: Path, kind: str, key: str) -> None:
    """Change the tree that the file holds, and write it with digests that agree."""
    tree = storage.read_tree(path, kind=kind, key=key)
    for _ in range(data.ConsumeIntInRange(1, 3)):
        tree = changed(data, tree)
    storage.write_tree(path, tree, kind=kind, key=key)


def changed(data: Any, node: Any) -> Any:
    """A tree with one node, somewhere in it, replaced or gone."""
    descend = data.ConsumeIntInRange(0, 7) > 0
    if isinstance(node, dict) and node and descend:
        key = _pick(data, sorted(node))
        if data.ConsumeIntInRange(0, 15) == 0:
            return {k: v for k, v in node.items() if k != key}
        return {**node, key: changed(data, node[key])}
    if isinstance(node, list) and node and descend:
        at = data.ConsumeIntInRange(0, len(node) - 1)
        if data.ConsumeIntInRange(0, 15) == 0:
            return [*node[:at], *node[at + 1 :]]
        return [*node[:at], changed(data, node[at]), *node[at + 1 :]]
    if isinstance(node, np.ndarray) and data.ConsumeBool():
        return _changed_array(data, node)
    return _pick(data, VALUES)


def _changed_array(data: Any, array: np.ndarray) -> np.ndarray:
    choice = data.ConsumeIntInRange(0, 3)
    if choice == 0:
        return array.astype(_pick(data, ("u1", "i8", "f2", "f8", "?")))
    if choice == 1:
        return np.full_like(array, _pick(data, NUMBERS), dtype=np.float32)
    if choice == 2:
        return np.resize(array, _pick(data, ((3, 6), (6,), (), (0,), (1, 1, 1), (7, 3))))
    return array.reshape(-1)


def forged(data: Any, seed: bytes, key: str) -> bytes:
    """A file whose document says something else, under a digest that agrees."""
    buffer = io.BytesIO(seed)
    with h5py.File(buffer, "r+") as file:
        group = file[key]
        text = json.dumps(changed(data, json.loads(group["document"][()].tobytes())))
        raw = np.frombuffer(text.encode(), np.uint8)
        del group["document"], group["digest"]
        group["document"], group["digest"] = raw, storage.document.digest(raw)
    return buffer.getvalue()


#: what the header of an array may say
DESCR = ("<f4", "|b1", "|O", "<U9", "V0", "<M8[s]", "x", [("a", "<f8", (3,))], [], 3, None)
SHAPES = ((20, 6), (6,), (), (0, 6), (10**12, 6), (2**62, 4), (2**80,), (-1, 6), (True, 6), 3, "x")
WAYS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
NAMES = ("arr_0.npy", "arr_0", "../x.npy", "a\x1b[2J.npy", "x")


def headed(data: Any, seed: bytes) -> bytes:
    """An array of NumPy, the numbers those of the seed, under another header."""
    head: Any = {"descr": "<i8", "fortran_order": data.ConsumeBool(), "shape": (20, 6)}
    head |= {"descr": _pick(data, DESCR)} if data.ConsumeBool() else {"shape": _pick(data, SHAPES)}
    text = repr(head).encode() + b"\n"
    depth = data.ConsumeIntInRange(0, 15)
    if depth == 0:
        text = b"-" * 9000 + b"1\n"
    elif depth == 1:
        text = _pick(data, (b"{", b"'", b"\xff", b"(" * 300, b"{1: 2}")) + b"\n"
    version = data.ConsumeIntInRange(1, 3)
    length = struct.pack("<H" if version == 1 else "<I", len(text))
    return b"\x93NUMPY" + bytes([version, 0]) + length + text + seed[128:]


def zipped(data: Any, seed: bytes) -> bytes:
    """An archive of such arrays."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for _ in range(data.ConsumeIntInRange(0, 2)):
            with contextlib.suppress(UserWarning):
                archive.writestr(_pick(data, NAMES), headed(data, seed), _pick(data, WAYS))
    return buffer.getvalue()


def toml(data: Any, settings: dict[str, Any]) -> bytes:
    """Settings, one of them another, or one that no file should have."""
    other = changed(data, settings)
    pairs = other.items() if isinstance(other, dict) else [("x", other)]
    lines = [f"{key} = {json.dumps(value)}" for key, value in pairs]
    odd = (
        "",
        "k = 0x" + "f" * 9000,
        "seed = 1979-05-27",
        "k = " + "[" * 3000,
        "data.x = 1",
        "a=nan",
    )
    return "\n".join([*lines, _pick(data, odd)]).encode()


def written_json(data: Any, settings: dict[str, Any]) -> bytes:
    """The same in JSON, of which Python takes more than there is."""
    text = json.dumps(changed(data, settings))
    return _pick(
        data, (text, text, text, "[" * 9000, "NaN", text[:-1] + ', "l1": -Infinity}')
    ).encode()
