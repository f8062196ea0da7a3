"""Where matrices are not zero: lists for the products that skip zeros, compiled by numba.

The loops over vectors are written in LLVM's own terms: choosing the places of a vector's elements
that are not zero by a table is nothing that a loop over elements becomes. NaN counts as not zero.
"""

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from paysage.backends.cpu.compiling import compiled

_jit = compiled(nogil=True, fastmath={"contract", "nsz"}, error_model="numpy")

_INT, _LONG, _FLOAT = ir.IntType(32), ir.IntType(64), ir.FloatType()

#: for each set of eight places, as bits: its members, and zeros up to eight
_MEMBERS = [[k for k in range(8) if bits >> k & 1] for bits in range(256)]


@intrinsic
def _list_eight(typing, values, start, first, places, n):
    """Append to the first n places those of values[start : start + 8] that are not zero.

    The place of values[start] is `first`. Gives the new number of places; writes eight.
    """

    def generate(context, builder, signature, args):
        kinds = signature.args
        source, target = (
            context.make_array(kinds[k])(context, builder, args[k]).data for k in (0, 3)
        )
        start, first, n = args[1], args[2], args[4]
        floats, bytes_, words = (ir.VectorType(kind, 8) for kind in (_FLOAT, ir.IntType(8), _INT))
        some = builder.load(_at(builder, source, start, floats))
        some.align = 4
        on = builder.fcmp_unordered("une", some, ir.Constant(floats, [0.0] * 8))
        bits = builder.bitcast(on, ir.IntType(8))
        table = _table(builder.module, bytes_)
        index = builder.zext(bits, _LONG)
        members = builder.load(builder.gep(table, [ir.Constant(_LONG, 0), index]))
        offset = builder.insert_element(
            ir.Constant(words, ir.Undefined), builder.trunc(first, _INT), ir.Constant(_INT, 0)
        )
        offset = builder.shuffle_vector(offset, offset, ir.Constant(words, [0] * 8))
        found = builder.add(builder.zext(members, words), offset)
        builder.store(found, _at(builder, target, n, words)).align = 4
        return builder.add(n, builder.zext(builder.ctpop(bits), _LONG))

    long = types.int64
    return types.int64(values, long, long, places, long), generate


def _at(builder, pointer, index, kind):
    """Where a vector begins, as far behind a pointer as an index says."""
    return builder.bitcast(builder.gep(pointer, [index]), kind.as_pointer())


def _table(module, kind):
    """The members of each set of eight places, in the memory of a compiled module."""
    name = "paysage_members"
    if name in module.globals:
        return module.globals[name]
    rows = [ir.Constant(kind, m + [0] * (8 - len(m))) for m in _MEMBERS]
    table = ir.GlobalVariable(module, ir.ArrayType(kind, 256), name)
    table.linkage, table.global_constant = "internal", True
    table.initializer = ir.Constant(table.value_type, rows)
    return table


@_jit
def _list_row(row, places, n):
    """Append to n places those where a row is not zero; gives their number."""
    whole = row.size // 8 * 8
    for j in range(0, whole, 8):
        n = _list_eight(row, j, j, places, n)
    for j in range(whole, row.size):
        places[n] = j
        n += row[j] != 0
    return n


@_jit
def list_rows(x, first, last, ends, most):
    """Where the rows of x are not zero between two columns, one row after the other.

    Row b ends at ends[b + 1]. If there are more than so many places there are none.
    """
    places = np.empty(most + (last - first) + 8, np.int32)
    ends[0] = 0
    for b in range(x.shape[0]):
        ends[b + 1] = _list_row(x[b, first:last], places, ends[b])
        if ends[b + 1] > most:
            return places[:0]
    return places


@_jit
def by_columns(x, first, last, most, starts):
    """For each column between two, one after the other: rows where x is not zero, what is there.

    Column j of them ends at starts[j]; the last of all is -1 if there are more than so many.
    """
    ends = np.empty(x.shape[0] + 1, np.int64)
    places = list_rows(x, first, last, ends, most)
    if places.size == 0:
        starts[-1] = -1
        return places, np.empty(0, np.float32)
    starts[:] = 0
    for k in range(ends[-1]):
        starts[places[k] + 1] += 1
    for j in range(last - first):
        starts[j + 1] += starts[j]
    rows, factors = np.empty(ends[-1], np.int32), np.empty(ends[-1], np.float32)
    for b in range(x.shape[0]):
        for k in range(ends[b], ends[b + 1]):
            j = places[k]
            rows[starts[j]] = b
            factors[starts[j]] = x[b, first + j]
            starts[j] += 1
    return rows, factors
