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
from numba import types
from numba.extending import intrinsic

from paysage.backends.cpu.compiling import compiled
from paysage.backends.cpu.listing import by_columns, list_rows

_jit = compiled(nogil=True, fastmath={"contract", "nsz"}, error_model="numpy")

LANES = 16
GROUP = 2 * LANES

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
    def add(typing, words, start, stride, places, factors, first, last, sums, to):
        """sums[to:] = of factors[k] * (vectors from word `start` of row places[k])."""

        def generate(context, builder, signature, args):
            kinds = signature.args
            matrix, listed, scales, total = (
                _data(context, builder, kinds[k], args[k]) for k in (0, 3, 4, 7)
            )
            start, stride, first, last, to = (args[k] for k in (1, 2, 5, 6, 8))
            entry = builder.block
            head, body, end = (builder.append_basic_block(x) for x in ("head", "body", "end"))
            builder.branch(head)
            builder.position_at_end(head)
            k, sums = builder.phi(_LONG), [builder.phi(_FLOATS) for _ in range(2 * vectors)]
            k.add_incoming(first, entry)
            for x in sums:
                x.add_incoming(ir.Constant(_FLOATS, [0.0] * LANES), entry)
            builder.cbranch(builder.icmp_signed("<", k, last), body, end)
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
        kinds = (words, long, long, places, factors, long, long, sums, long)
        return types.void(*kinds), generate

    return add


_add_1, _add_2, _add_3, _add_4, _add_5, _add_6, _add_7, _add_8 = map(_adder, range(1, 9))


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
def _add_up(words, places, factors, first, last, sums):
    """The sums of factors[k] * row places[k] of a matrix over these k."""
    row, start, to = words.shape[1], 0, 0
    width = row
    while width > 8 * LANES:
        _add_8(words, start, row, places, factors, first, last, sums, to)
        start, width, to = start + 8 * LANES, width - 8 * LANES, to + 8 * GROUP
    # a branch for each number of vectors, so that all sums of one stay in registers
    if width == 8 * LANES:
        _add_8(words, start, row, places, factors, first, last, sums, to)
    elif width == 7 * LANES:
        _add_7(words, start, row, places, factors, first, last, sums, to)
    elif width == 6 * LANES:
        _add_6(words, start, row, places, factors, first, last, sums, to)
    elif width == 5 * LANES:
        _add_5(words, start, row, places, factors, first, last, sums, to)
    elif width == 4 * LANES:
        _add_4(words, start, row, places, factors, first, last, sums, to)
    elif width == 3 * LANES:
        _add_3(words, start, row, places, factors, first, last, sums, to)
    elif width == 2 * LANES:
        _add_2(words, start, row, places, factors, first, last, sums, to)
    else:
        _add_1(words, start, row, places, factors, first, last, sums, to)


@_jit
def product(x, words, out, most):
    """Make out = x matrix, (B, m), (m, n) -> (B, n), if x has at most so many nonzero elements."""
    ends = np.empty(x.shape[0] + 1, np.int64)
    places = list_rows(x, 0, x.shape[1], ends, most)
    if places.size == 0:
        return False
    factors = np.empty(ends[-1], np.float32)
    for b in range(x.shape[0]):
        for k in range(ends[b], ends[b + 1]):
            factors[k] = x[b, places[k]]
    sums = np.empty(2 * words.shape[1], np.float32)
    for b in range(x.shape[0]):
        _add_up(words, places, factors, ends[b], ends[b + 1], sums)
        out[b] = sums[: out.shape[1]]
    return True


@_jit
def moment_gap(x, y, data_x, data_y, first, last, part, out):
    """For columns first to last of x make out = x^T y / B - data_x^T data_y / B', (m, n).

    Only if in these columns at most such a part of either's elements is not zero.
    """
    size = last - first
    starts, data_starts = np.empty(size + 1, np.int64), np.empty(size + 1, np.int64)
    most, data_most = np.int64(part * x.shape[0] * size), np.int64(part * data_x.shape[0] * size)
    rows, factors = by_columns(x, first, last, most, starts)
    data_rows, data_factors = by_columns(data_x, first, last, data_most, data_starts)
    if starts[-1] < 0 or data_starts[-1] < 0:
        return False
    sums, data_sums = np.empty(2 * y.shape[1], np.float32), np.empty(2 * y.shape[1], np.float32)
    scale, data_scale = np.float32(1 / x.shape[0]), np.float32(1 / data_x.shape[0])
    begin, data_begin = np.int64(0), np.int64(0)
    for j in range(size):
        _add_up(y, rows, factors, begin, starts[j], sums)
        _add_up(data_y, data_rows, data_factors, data_begin, data_starts[j], data_sums)
        _write_gap(out[first + j], sums, scale, data_sums, data_scale)
        begin, data_begin = starts[j], data_starts[j]
    return True


@_jit
def _write_gap(row, sums, scale, data_sums, data_scale):
    for j in range(row.size):
        row[j] = scale * sums[j] - data_scale * data_sums[j]
