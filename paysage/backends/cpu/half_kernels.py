"""Matrix products with a factor in bfloat16, which skip the zeros of the other one.

A product that skips zeros is as fast as rows of the matrix come from the cache; with 16 bits an
element they come in half of the time. A bfloat16 number is the upper half of a float32, so that
two shifts make floats of a word that holds two of them, and all sums are sums of float32.

The matrix (m, n) is kept in words (m, 16 ceil(n / 32)): word i of group g holds column 32 g + i in
its lower and column 32 g + 16 + i in its upper half, so that 16 words are two vectors of 16
neighbouring columns. What is beyond the last column is zero.

The loops over vectors are written in LLVM's own terms, since sums that stay in registers, and
transposing within them, are nothing that a loop over elements becomes. LLVM turns vectors of 16
floats into what the processor has. As elsewhere, NaN counts as not zero.
"""

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

_jit = njit(cache=True, nogil=True, fastmath={"contract", "nsz"}, error_model="numpy")

LANES = 16
GROUP = 2 * LANES
#: vectors of words that are added up at one go: their sums take twice as many registers
MOST_VECTORS = 8

_INT, _LONG, _FLOAT = ir.IntType(32), ir.IntType(64), ir.FloatType()
_WORDS, _FLOATS = ir.VectorType(_INT, LANES), ir.VectorType(_FLOAT, LANES)


def _vector(number):
    """A vector of words with the same number in all of its lanes."""
    return ir.Constant(_WORDS, [number] * LANES)


def _at(builder, pointer, index, kind):
    """Where a vector begins, as far behind a pointer as an index says."""
    return builder.bitcast(builder.gep(pointer, [index]), kind.as_pointer())


def _load(builder, pointer, index, kind):
    value = builder.load(_at(builder, pointer, index, kind))
    value.align = 4
    return value


def _store(builder, value, pointer, index):
    builder.store(value, _at(builder, pointer, index, value.type)).align = 4


def _everywhere(builder, number):
    """A vector of floats with the same number in all of its lanes."""
    empty = ir.Constant(_FLOATS, ir.Undefined)
    first = builder.insert_element(empty, number, ir.Constant(_INT, 0))
    return builder.shuffle_vector(first, empty, _vector(0))


def _halves(builder, words):
    """The lower and the upper halves of words, as floats."""
    low = builder.shl(words, _vector(16))
    high = builder.and_(words, _vector(0xFFFF0000))
    return builder.bitcast(low, _FLOATS), builder.bitcast(high, _FLOATS)


def _rounded(builder, values):
    """The bits of floats, rounded to the nearest bfloat16 (to even ones), in the upper half."""
    bits = builder.bitcast(values, _WORDS)
    odd = builder.and_(builder.lshr(bits, _vector(16)), _vector(1))
    near = builder.add(builder.add(bits, _vector(0x7FFF)), odd)
    # adding to the bits of NaN could make infinity of them
    nan = builder.fcmp_unordered("uno", values, values)
    return builder.select(nan, _vector(0x7FC00000), near)


def _packed(builder, low, high):
    """Words of two vectors of floats."""
    lower = builder.lshr(_rounded(builder, low), _vector(16))
    return builder.or_(lower, builder.and_(_rounded(builder, high), _vector(0xFFFF0000)))


def _transposed(builder, rows):
    """Sixteen vectors of sixteen words, transposed.

    Interleaving vector i with vector i + 8 moves the highest bit of a word's row number to the
    lowest bit of its place; four times, and rows and places are exchanged.
    """
    low = [k // 2 + LANES * (k % 2) for k in range(LANES)]
    masks = [ir.Constant(_WORDS, [k + half for k in low]) for half in (0, LANES // 2)]
    for _ in range(4):
        pairs = zip(rows[: LANES // 2], rows[LANES // 2 :], strict=True)
        rows = [builder.shuffle_vector(a, b, mask) for a, b in pairs for mask in masks]
    return rows


def _data(context, builder, kind, array):
    return context.make_array(kind)(context, builder, array).data


def _adder(vectors):
    """A loop that adds up rows of a matrix, over some vectors of words."""

    @intrinsic
    def add(typing, words, start, stride, places, factors, n, sums, to):
        """sums[to:] = of factors[k] * (vectors from word `start` of row places[k]), k < n."""

        def generate(context, builder, signature, args):
            kinds = signature.args
            matrix, listed, scales, total = (
                _data(context, builder, kinds[k], args[k]) for k in (0, 3, 4, 6)
            )
            start, stride, n, to = (args[k] for k in (1, 2, 5, 7))
            entry, zero = builder.block, ir.Constant(_LONG, 0)
            head, body, end = (builder.append_basic_block(x) for x in ("head", "body", "end"))
            builder.branch(head)
            builder.position_at_end(head)
            k, sums = builder.phi(_LONG), [builder.phi(_FLOATS) for _ in range(2 * vectors)]
            k.add_incoming(zero, entry)
            for x in sums:
                x.add_incoming(ir.Constant(_FLOATS, [0.0] * LANES), entry)
            builder.cbranch(builder.icmp_signed("<", k, n), body, end)
            builder.position_at_end(body)
            place = builder.sext(builder.load(builder.gep(listed, [k])), _LONG)
            factor = _everywhere(builder, builder.load(builder.gep(scales, [k])))
            row = builder.add(builder.mul(place, stride), start)
            for v in range(vectors):
                index = builder.add(row, ir.Constant(_LONG, LANES * v))
                some = _halves(builder, _load(builder, matrix, index, _WORDS))
                for x, half in zip(sums[2 * v : 2 * v + 2], some, strict=True):
                    # `contract` makes one operation of the two
                    product = builder.fmul(factor, half, flags=["contract"])
                    x.add_incoming(builder.fadd(x, product, flags=["contract"]), body)
            k.add_incoming(builder.add(k, ir.Constant(_LONG, 1)), body)
            builder.branch(head)
            builder.position_at_end(end)
            for v, x in enumerate(sums):
                _store(builder, x, total, builder.add(to, ir.Constant(_LONG, LANES * v)))
            return context.get_dummy_value()

        long = types.int64
        return types.void(words, long, long, places, factors, long, sums, long), generate

    return add


_add_8, _add_4, _add_2, _add_1 = (_adder(vectors) for vectors in (MOST_VECTORS, 4, 2, 1))


@intrinsic
def _pack(typing, values, start, words, to):
    """words[to : to + 16] = values[start : start + 32], rounded."""

    def generate(context, builder, signature, args):
        source = _data(context, builder, signature.args[0], args[0])
        target = _data(context, builder, signature.args[2], args[2])
        second = builder.add(args[1], ir.Constant(_LONG, LANES))
        pair = (_load(builder, source, k, _FLOATS) for k in (args[1], second))
        _store(builder, _packed(builder, *pair), target, args[3])
        return context.get_dummy_value()

    return types.void(values, types.int64, words, types.int64), generate


@intrinsic
def _unpack(typing, words, start, values, to):
    """values[to : to + 32] = what is in words[start : start + 16]."""

    def generate(context, builder, signature, args):
        source = _data(context, builder, signature.args[0], args[0])
        target = _data(context, builder, signature.args[2], args[2])
        low, high = _halves(builder, _load(builder, source, args[1], _WORDS))
        _store(builder, low, target, args[3])
        _store(builder, high, target, builder.add(args[3], ir.Constant(_LONG, LANES)))
        return context.get_dummy_value()

    return types.void(words, types.int64, values, types.int64), generate


@intrinsic
def _pack_transposed(typing, values, start, width, words, to, stride):
    """A tile of 32 rows and 16 columns of values becomes 16 rows of 16 words each, rounded."""

    def generate(context, builder, signature, args):
        source = _data(context, builder, signature.args[0], args[0])
        target = _data(context, builder, signature.args[3], args[3])
        start, width, to, stride = args[1], args[2], args[4], args[5]

        def place(first, step, k):
            return builder.add(first, builder.mul(step, ir.Constant(_LONG, k)))

        rows = [
            _packed(
                builder,
                *(_load(builder, source, place(start, width, j), _FLOATS) for j in (i, i + LANES)),
            )
            for i in range(LANES)
        ]
        for k, row in enumerate(_transposed(builder, rows)):
            _store(builder, row, target, place(to, stride, k))
        return context.get_dummy_value()

    long = types.int64
    return types.void(values, long, long, words, long, long), generate


# ------------------------------------------------------------------------------------------ loops


@_jit
def round_rows(matrix, first, last, words):
    """Rows first to last of a matrix (m, n), rounded."""
    n, groups = matrix.shape[1], words.shape[1] // LANES
    whole, rest = n // GROUP, np.zeros(GROUP, np.float32)
    for i in range(first, last):
        for g in range(whole):
            _pack(matrix, i * n + GROUP * g, words, LANES * (i * groups + g))
        if whole < groups:
            rest[: n - GROUP * whole] = matrix[i, GROUP * whole :]
            _pack(rest, 0, words, LANES * (i * groups + whole))


@_jit
def round_columns(matrix, first, last, words):
    """Columns first to last of a matrix (n, m), rounded; they are rows of the words."""
    n, m = matrix.shape
    groups = words.shape[1] // LANES
    columns, row = np.zeros((GROUP, LANES), np.float32), LANES * groups
    turned = np.empty((LANES, LANES), np.uint32)
    for j in range(first, last, LANES):
        size = min(LANES, last - j)
        for g in range(groups):
            low, high = GROUP * g, min(GROUP * (g + 1), n)
            if size == LANES and high - low == GROUP:
                _pack_transposed(matrix, low * m + j, m, words, j * row + LANES * g, row)
                continue
            columns[:] = 0
            columns[: high - low, :size] = matrix[low:high, j : j + size]
            _pack_transposed(columns, 0, LANES, turned, 0, LANES)
            words[j : j + size, LANES * g : LANES * (g + 1)] = turned[:size]


@_jit
def widen(words, out):
    """Floats (m, n) of the words of a matrix."""
    n, groups = out.shape[1], words.shape[1] // LANES
    whole, rest = n // GROUP, np.empty(GROUP, np.float32)
    for i in range(out.shape[0]):
        for g in range(whole):
            _unpack(words, LANES * (i * groups + g), out, i * n + GROUP * g)
        if whole < groups:
            _unpack(words, LANES * (i * groups + whole), rest, 0)
            out[i, GROUP * whole :] = rest[: n - GROUP * whole]


@_jit
def _count(x, first, last):
    """Elements in these columns that are not zero."""
    total = 0
    for b in range(x.shape[0]):
        row, count = x[b, first:last], np.int32(0)
        for j in range(row.size):
            count += np.int32(row[j] != 0)
        total += count
    return total


@_jit
def _list_row(row, places, factors):
    """Write where a row is not zero, and what is there; give the number of these places.

    Eight elements at a time are passed over if all their bits are zero, as most are in an image.
    """
    n, pairs = 0, row[: row.size // 2 * 2].view(np.int64)
    whole = pairs.size // 4 * 4
    for p in range(0, whole, 4):
        if pairs[p] | pairs[p + 1] | pairs[p + 2] | pairs[p + 3]:
            for j in range(2 * p, 2 * p + 8):
                places[n] = j
                factors[n] = row[j]
                n += row[j] != 0
    for j in range(2 * whole, row.size):
        places[n] = j
        factors[n] = row[j]
        n += row[j] != 0
    return n


@_jit
def _add_up(words, places, factors, n, sums):
    """Make the sums (16 ceil(n / 32) * 2,) of factors[k] * row places[k], k < n, of a matrix."""
    width, start = words.shape[1], 0
    while start + 8 * LANES <= width:
        _add_8(words, start, width, places, factors, n, sums, 2 * start)
        start += 8 * LANES
    if start + 4 * LANES <= width:
        _add_4(words, start, width, places, factors, n, sums, 2 * start)
        start += 4 * LANES
    if start + 2 * LANES <= width:
        _add_2(words, start, width, places, factors, n, sums, 2 * start)
        start += 2 * LANES
    if start < width:
        _add_1(words, start, width, places, factors, n, sums, 2 * start)


@_jit
def product(x, words, out, most):
    """Make out = x matrix, (B, m), (m, n) -> (B, n), if x has at most so many nonzero elements."""
    if _count(x, 0, x.shape[1]) > most:
        return False
    places, factors = np.empty(x.shape[1] + 1, np.int32), np.empty(x.shape[1] + 1, np.float32)
    sums = np.empty(2 * words.shape[1], np.float32)
    for b in range(x.shape[0]):
        n = _list_row(x[b], places, factors)
        _add_up(words, places, factors, n, sums)
        out[b] = sums[: out.shape[1]]
    return True


@_jit
def _list_columns(x, first, last, places, factors, lengths):
    """For each of these columns list the rows where it is not zero, and what is there."""
    for b in range(x.shape[0]):
        row = x[b, first:last]
        for j in range(row.size):
            if row[j] != 0:
                n = lengths[j]
                places[j, n] = b
                factors[j, n] = row[j]
                lengths[j] = n + 1


@_jit
def moments(x, words, first, last, scale, add, out, most):
    """For columns first to last of x make out = scale x^T y, plus out if `add`: (B, m), (B, n).

    Only if x has at most so many nonzero elements in these columns.
    """
    if _count(x, first, last) > most:
        return False
    size, rows = last - first, x.shape[0]
    places, factors = np.empty((size, rows + 1), np.int32), np.empty((size, rows + 1), np.float32)
    lengths = np.zeros(size, np.int64)
    _list_columns(x, first, last, places, factors, lengths)
    sums = np.empty(2 * words.shape[1], np.float32)
    for i in range(size):
        _add_up(words, places[i], factors[i], lengths[i], sums)
        _write(out[first + i], sums, scale, add)
    return True


@_jit
def _write(row, sums, scale, add):
    if add:
        for j in range(row.size):
            row[j] += scale * sums[j]
    else:
        for j in range(row.size):
            row[j] = scale * sums[j]
