"""Tables of minibatches: the rows that were handed over in their order, or a named error."""

import numpy as np
import pytest
from hypothesis import strategies as st
from odd import REFUSED, array, attempt, given, handed, is_number, is_whole, matrices, things

from paysage import backends as be
from paysage.batch import Batch, InMemoryTable, in_memory_batch, split_tensor
from paysage.preprocess import Transformation, binarize_color, l2_normalize, scale

pytestmark = pytest.mark.filterwarnings("ignore:.*scaled already")
SIZES = st.one_of(st.integers(1, 4), things())
TRANSFORMS = (
    None,
    Transformation(),
    Transformation(binarize_color),
    Transformation(scale, [2.0]),
    Transformation(l2_normalize),
)
EXPECTED = {
    "do_nothing": lambda x: x,
    "scale": lambda x: x / 2,
    "binarize_color": lambda x: 1.0 * (x >= 127.5),
    "l2_normalize": lambda x: _unit(x),
}


def _unit(x):
    top = np.abs(x).max(axis=1, keepdims=True)
    x = x / np.where(top == 0, 1, top)
    norm = np.sqrt(np.square(x).sum(axis=1, keepdims=True))
    return x / np.where(norm == 0, 1, norm)


def is_table(x):
    single = x.single()
    return single is not None and single.ndim == 2 and single.size > 0 and np.isfinite(single).all()


def takes(transform, single):
    grey = transform is not None and transform.function is binarize_color
    return not grey or bool((single >= 0).all() and (single <= 255).all())


def rows_of(minibatches):
    return np.concatenate([array(v) for v in minibatches])


def check_rows(minibatches, transform, single):
    name = "do_nothing" if transform is None else transform.name
    expected = EXPECTED[name](single.astype(np.float64))
    np.testing.assert_allclose(rows_of(minibatches), expected, rtol=1e-6, atol=1e-37)


@given(st.one_of(handed(), handed(matrices())), SIZES, st.sampled_from(TRANSFORMS))
def test_a_table_in_memory(x, size, transform):
    table = attempt(InMemoryTable, x.what, size, transform)
    good = is_table(x) and is_whole(size, 1) and size <= len(x.means)
    good = good and takes(transform, x.single())
    assert (table is REFUSED) == (not good)
    if good:
        minibatches = list(table.iterate())
        assert {len(v) for v in minibatches[:-1]} <= {int(size)}
        assert table.ncols == x.means.shape[1] and table.nrows == len(x.means)
        check_rows(minibatches, transform, x.single())
        gotten = [table.get() for _ in minibatches]
        np.testing.assert_array_equal(rows_of(gotten), rows_of(minibatches))
        assert x.same_now()


FRACTIONS = st.one_of(st.floats(0.1, 0.9), things())


@given(handed(matrices(rows=(0, 9))), st.integers(1, 3), FRACTIONS, st.sampled_from(TRANSFORMS))
def test_a_batch_in_memory(x, size, fraction, transform):
    batch = attempt(in_memory_batch, x.what, size, fraction, transform, shuffle=False)
    good = is_table(x) and is_number(fraction, 0, 1) and 0 < fraction < 1
    if good:
        train = round(len(x.means) * fraction)
        good = 0 < train < len(x.means) and size <= train and takes(transform, x.single())
    assert (batch is REFUSED) == (not good)
    if good:
        check_rows(batch.iterate("train"), transform, x.single()[:train])
        check_rows(batch.iterate("validate"), transform, x.single()[train:])
        assert batch.nrows == len(x.means) and x.same_now()


@given(handed(strange=False), SIZES)
def test_blocks_of_a_tensor(x, size):
    tensor = be.float_tensor(x.what)
    blocks = attempt(split_tensor, tensor, size)
    is_fraction = isinstance(size, float | np.floating) and 0 < size < 1
    good = x.means.ndim > 0 and (is_whole(size, 1) or is_fraction)
    assert (blocks is REFUSED) == (not good)
    if good and blocks:
        np.testing.assert_array_equal(rows_of(blocks), x.single())


@given(things())
def test_a_batch_of_anything(thing):
    good = InMemoryTable(np.eye(4), 2)
    for tables in (thing, {"train": good, "validate": thing}):
        assert attempt(Batch, tables) is REFUSED


@given(things())
def test_modes_of_a_batch(mode):
    batch = in_memory_batch(np.eye(10), 2)
    for act in (batch.get, lambda m: next(batch.iterate(m))):
        assert attempt(act, mode) is REFUSED
    assert attempt(batch.reset_generator, mode) is REFUSED


@given(things())
def test_transforms_of_a_batch(thing):
    batch = in_memory_batch(np.eye(10), 2, transform=Transformation(scale, [2.0]))
    empty = isinstance(thing, dict) and not thing  # nothing is asked for
    assert empty or attempt(batch.set_transforms, thing) is REFUSED
    assert attempt(batch.set_transforms, {"train": thing}) is REFUSED
    np.testing.assert_array_equal(rows_of(batch.iterate("validate")), np.eye(10)[9:] / 2)


@given(handed(matrices()), st.sampled_from(["stack", "none", "fail", "text", "nan", "flat"]))
def test_transforms_that_are_no_good(x, kind):
    """A table takes no function that makes something else of a row than a row of numbers."""
    functions = {
        "stack": lambda rows: be.vstack([rows, rows]),
        "none": lambda rows: None,
        "fail": lambda rows: 1 / 0,
        "text": lambda rows: "word",
        "nan": lambda rows: rows * float("nan"),
        "flat": lambda rows: be.flatten(rows),
    }
    assert attempt(InMemoryTable, x.what, 1, Transformation(functions[kind])) is REFUSED
