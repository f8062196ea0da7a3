"""Pieces of datasets that h5py cannot unpack: what pandas compresses by blosc or by bzip2.

PyTables has these filters, but on its way to a table it unpickles attributes of whatever it meets.
So h5py hands the pieces over as they are stored, and they are unpacked here.
"""

from __future__ import annotations

import bz2
import itertools
from typing import Any

import numpy as np

from paysage.errors import StorageError

_SHUFFLE, _BZIP2, _BLOSC = 2, 307, 32001
#: in the head of a piece of blosc: the last format, both ways to shuffle (by which blosc2 tells its
#: own heads), and the last codec
_BLOSC_FORMAT, _EXTENDED, _ZSTD = 2, 0b101, 4
#: what a packed piece may be larger than an unpacked one
_OVERHEAD = 2**20


def readable(dataset: Any) -> Any:
    """The dataset itself, or where h5py lacks a filter something of its shape to take rows of."""
    import h5py

    made = dataset.id.get_create_plist()
    codes = [made.get_filter(n)[0] for n in range(made.get_nfilters())]
    return dataset if all(map(h5py.h5z.filter_avail, codes)) else Packed(dataset, codes)


class Packed:
    """Rows of a dataset of h5py that went through filters of these codes.

    Raises
    ------
    StorageError
        If one of them is unknown here.
    """

    def __init__(self, dataset: Any, codes: list[int]) -> None:
        unknown = [code for code in codes if code not in _UNPACK]
        if unknown or dataset.id.get_type().get_size() != dataset.dtype.itemsize:
            raise StorageError(
                f"{dataset.name} is compressed by the filters {codes} of HDF5, which are not all "
                "known: compress by zlib, blosc or bzip2"
            )
        self.shape, self.dtype = dataset.shape, dataset.dtype
        self._dataset, self._codes = dataset, codes

    def __getitem__(self, rows: slice) -> np.ndarray:
        """A range of rows."""
        start, stop, _ = rows.indices(self.shape[0])
        result = np.empty((stop - start, *self.shape[1:]), self.dtype)
        pieces = self._dataset.chunks
        ranges = [range(start - start % pieces[0], stop, pieces[0])]
        ranges += [range(0, n, piece) for n, piece in zip(self.shape[1:], pieces[1:], strict=True)]
        for place in itertools.product(*ranges):
            first, last = max(start, place[0]), min(stop, place[0] + pieces[0])
            others = [slice(n, n + piece) for n, piece in zip(place[1:], pieces[1:], strict=True)]
            part = result[tuple([slice(first - start, last - start), *others])]
            inside = [slice(0, n) for n in part.shape[1:]]
            of_piece = [slice(first - place[0], last - place[0]), *inside]
            part[...] = self._piece(place)[tuple(of_piece)]
        return result

    def _piece(self, place: tuple[int, ...]) -> np.ndarray:
        pieces, item = self._dataset.chunks, self.dtype.itemsize
        size = int(np.prod(pieces)) * item
        stored = self._dataset.id.get_chunk_info_by_coord(place)
        if stored.size > size + _OVERHEAD:
            raise StorageError(f"a piece of {size} bytes is said to take {stored.size}")
        _, content = self._dataset.id.read_direct_chunk(place)
        for n in reversed(range(len(self._codes))):
            if not stored.filter_mask >> n & 1:
                content = _UNPACK[self._codes[n]](content, size, item)
        return np.frombuffer(content, self.dtype).reshape(pieces)


def _unshuffled(content: bytes, size: int, item: int) -> bytes:
    """The bytes of each number side by side again."""
    return np.frombuffer(content, np.uint8).reshape(item, -1).T.tobytes()


def _of_bzip2(content: bytes, size: int, item: int) -> bytes:
    return bz2.BZ2Decompressor().decompress(content, size)


def _of_blosc(content: bytes, size: int, item: int) -> bytes:
    """The head must be of blosc itself, and both its sizes true: blosc reads what it says.

    Blosc2, which also reads its own kind of pieces, goes as far as to import Python modules, from
    the folder one is in, by the numbers of filters and of codecs that those may have.
    """
    import blosc2

    told = [int.from_bytes(content[n : n + 4], "little") for n in (4, 12)]
    if told != [size, len(content)]:
        raise StorageError(f"a piece packed by blosc is damaged: it declares {told} bytes")
    kind, flags = content[0], content[2]
    if kind > _BLOSC_FORMAT or flags & _EXTENDED == _EXTENDED or flags >> 5 > _ZSTD:
        raise StorageError(f"a piece is not packed by blosc: it is of kind {kind}, flags {flags}")
    return blosc2.decompress(content)


_UNPACK = {_SHUFFLE: _unshuffled, _BZIP2: _of_bzip2, _BLOSC: _of_blosc}
