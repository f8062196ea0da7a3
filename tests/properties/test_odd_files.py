"""Tables of numbers in files: the rows that were written, or a named error."""

import h5py
import numpy as np
import pandas as pd
from hypothesis import example
from hypothesis import strategies as st
from odd import (
    FLOATS,
    INTEGERS,
    REFUSED,
    array,
    attempt,
    given,
    handed,
    is_number,
    is_whole,
    ordinary,
    things,
)

from paysage.batch import DataShuffler, HDFtable

STORABLE = [d for d in (*FLOATS, *INTEGERS) if d != "longdouble"]


def as_array(x):
    """What h5py can write: a plain array of the same numbers and, if it has one, dtype."""
    what = np.asarray(x.what.detach() if hasattr(x.what, "detach") else x.what)
    return what.astype(np.float64) if what.dtype.kind == "O" else what


@given(
    handed(dtypes=STORABLE, strange=False),
    st.one_of(st.integers(1, 4), things()),
    st.sampled_from([None, (0, 2), (1, None), (None, None)]),
    st.sampled_from([0, 1, 2]),
    share=2,
)
@example(ordinary([[0.0, 1.0], [2.0, np.nan], [3.0, 4.0]]), 1, None, 0)
@example(ordinary([[0.0, 1.0], [2.0, np.nan], [3.0, 4.0]]), 1, (0, 1), 1)
def test_a_dataset_of_h5py(tmp_path_factory, x, size, rows, ahead):
    path = tmp_path_factory.mktemp("odd") / "data.h5"
    with h5py.File(path, "w") as file:
        file["x"] = as_array(x)
    table = attempt(HDFtable, path, "x", size, rows=rows, read_ahead=ahead)
    single = x.single()
    good = single.ndim == 2 and single.size > 0
    if good:
        part = slice(*(rows or (None, None)))
        inside = rows is None or (rows[0] or 0) < (rows[1] or len(single)) <= len(single)
        wanted = single[part]
        good = inside and is_whole(size, 1) and size <= len(wanted)
    if not good:
        assert table is REFUSED
        return
    if table is not REFUSED:  # what is further on is looked at by a pass
        found = attempt(lambda: [array(v) for v in table.iterate()])
        table.close()
    if not np.isfinite(wanted).all():
        assert REFUSED in (table, found) if table is not REFUSED else True
        return
    np.testing.assert_array_equal(np.concatenate(found), wanted)


@given(
    handed(shape=st.tuples(st.integers(0, 5), st.integers(1, 4)), dtypes=STORABLE, strange=False),
    st.sampled_from(["fixed", "table"]),
    share=3,
)
def test_a_frame_of_pandas(tmp_path_factory, x, kind):
    path = tmp_path_factory.mktemp("odd") / "data.h5"
    frame = pd.DataFrame(as_array(x).astype(as_array(x).dtype.newbyteorder("=")))
    if frame.dtypes.iloc[0] == np.float16:
        frame = frame.astype(np.float32)  # which PyTables does not store in frames
    frame.to_hdf(path, key="x", format=kind)
    table = attempt(HDFtable, path, "x", 1)
    good = x.means.size > 0 and np.isfinite(x.single()).all()
    if table is not REFUSED:
        found = attempt(lambda: [array(v) for v in table.iterate()])
        table.close()
        table = REFUSED if found is REFUSED else table
    assert (table is REFUSED) == (not good)
    if good:
        np.testing.assert_array_equal(np.concatenate(found), x.single())


@given(things(), things(), things(), share=2)
def test_settings_of_a_table(tmp_path_factory, key, rows, ahead):
    path = tmp_path_factory.mktemp("odd") / "data.h5"
    with h5py.File(path, "w") as file:
        file["word"] = np.eye(7)
    table = attempt(HDFtable, path, key, 1)
    assert (table is REFUSED) == (key != "word" if isinstance(key, str) else True)
    table = attempt(HDFtable, path, "word", 1, rows=rows)
    assert (table is REFUSED) == (rows is not None and not _is_pair(rows))
    table = attempt(HDFtable, path, "word", 1, read_ahead=ahead)
    assert (table is REFUSED) == (not is_whole(ahead, 0))
    assert attempt(HDFtable, ahead, "word", 1) is REFUSED


def _is_pair(rows):
    return isinstance(rows, list | tuple) and list(rows) == [1, 2]


@given(
    handed(shape=st.tuples(st.integers(0, 40), st.integers(0, 4)), dtypes=STORABLE, strange=False),
    st.booleans(),
    share=3,
)
def test_shuffled_rows_are_the_rows(tmp_path_factory, x, small):
    folder = tmp_path_factory.mktemp("odd")
    with h5py.File(folder / "a.h5", "w") as file:
        file["x"] = as_array(x)
        file["number"] = np.arange(len(x.means))
    memory = max(1, x.means.nbytes) / 2**30 if small else 1
    DataShuffler(folder / "a.h5", folder / "b.h5", memory).shuffle()
    with h5py.File(folder / "b.h5") as file:
        assert file["x"].dtype == as_array(x).dtype
        order, rows = file["number"][:], file["x"][:]
    assert sorted(order) == list(range(len(order)))
    np.testing.assert_array_equal(rows, as_array(x)[order])


@given(things(), things(), things())
def test_settings_of_a_shuffler(memory, level, seed):
    made = attempt(DataShuffler, "a.h5", "b.h5", memory)
    assert (made is REFUSED) == (not (is_number(memory) and memory > 0))
    made = attempt(DataShuffler, "a.h5", "b.h5", 1, level)
    assert (made is REFUSED) == (not is_whole(level, 0) or level > 9)
    made = attempt(DataShuffler, "a.h5", "b.h5", 1, 5, seed)
    assert (made is REFUSED) == (not is_whole(seed, 0))
    assert isinstance(seed, str) or attempt(DataShuffler, seed, "b.h5") is REFUSED
