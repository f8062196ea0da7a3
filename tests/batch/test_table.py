import numpy as np
import pandas as pd
import pytest

from paysage import backends as be
from paysage import preprocess as pre
from paysage.batch import InMemoryTable
from paysage.errors import ConfigError, DataError, ShapeError


def numbers(rows, columns):
    return np.arange(rows * columns, dtype=np.float32).reshape(rows, columns)


def shares_memory(view, whole):
    # the CPU tensors of both backends are NumPy memory
    return np.shares_memory(be.to_numpy_array(view), be.to_numpy_array(whole))


def one_pass(table):
    blocks = []
    while True:
        try:
            blocks.append(be.to_numpy_array(table.get()))
        except StopIteration:
            return blocks


def test_a_pass_gives_all_rows_in_order_and_the_rest_last():
    data = numbers(10, 3)
    table = InMemoryTable(data, 4)
    blocks = one_pass(table)
    assert [len(block) for block in blocks] == [4, 4, 2]
    np.testing.assert_array_equal(np.concatenate(blocks), data)
    assert (table.nrows, table.ncols, table.batch_size, table.output_batch_size) == (10, 3, 4, 4)


def test_after_the_end_comes_the_next_pass():
    table = InMemoryTable(numbers(6, 2), 3)
    first, second = one_pass(table), one_pass(table)
    np.testing.assert_array_equal(first, second)


def test_a_whole_number_of_batches_ends_without_an_empty_one():
    assert [len(block) for block in one_pass(InMemoryTable(numbers(6, 2), 2))] == [2, 2, 2]


def test_reset_begins_anew():
    table = InMemoryTable(numbers(6, 2), 2)
    table.get()
    table.reset_generator()
    np.testing.assert_array_equal(be.to_numpy_array(table.get()), numbers(6, 2)[:2])


def test_iterate_is_a_whole_pass_of_its_own():
    data = numbers(5, 2)
    table = InMemoryTable(data, 2)
    table.get()
    whole = [be.to_numpy_array(rows) for rows in table.iterate()]
    np.testing.assert_array_equal(np.concatenate(whole), data)
    np.testing.assert_array_equal(be.to_numpy_array(table.get()), data[2:4])


def test_two_iterations_do_not_disturb_one_another():
    table = InMemoryTable(numbers(4, 1), 2)
    seen = [(float(a[0, 0]), float(b[0, 0])) for a in table.iterate() for b in table.iterate()]
    assert seen == [(0, 0), (0, 2), (2, 0), (2, 2)]


@pytest.mark.parametrize("kind", ["array", "memmap", "tensor"])
def test_changes_to_the_callers_data_do_not_reach_the_table(kind, tmp_path):
    data = {
        "array": lambda: numbers(6, 3),
        "memmap": lambda: np.memmap(tmp_path / "rows", np.float32, "w+", shape=(6, 3)),
        "tensor": lambda: be.float_tensor(numbers(6, 3)),
    }[kind]()
    before = np.array(be.to_numpy_array(data))
    table = InMemoryTable(data, 4)
    data[:] = -1.0
    np.testing.assert_array_equal(np.concatenate(one_pass(table)), before)


def test_float_tensors_are_not_copied_with_copy_false():
    data = be.float_tensor(numbers(6, 3))
    table = InMemoryTable(data, 4, copy=False)
    assert shares_memory(table.get(), data)
    assert shares_memory(next(table.iterate()), data)


def test_minibatches_are_views_of_the_copy():
    table = InMemoryTable(be.float_tensor(numbers(6, 3)), 4)
    assert shares_memory(table.get(), table.tensor)


@pytest.mark.backend_free
def test_copy_must_be_a_bool():
    with pytest.raises(ConfigError, match="copy must be True or False"):
        InMemoryTable(numbers(6, 3), 4, copy="no")


@pytest.mark.parametrize(
    "data",
    [
        np.asfortranarray(numbers(6, 3)),
        numbers(6, 3).astype(np.uint8),
        numbers(6, 3).tolist(),
        pd.DataFrame(numbers(6, 3)),
    ],
    ids=["column-major", "uint8", "list", "DataFrame"],
)
def test_other_data_become_float_rows(data):
    batch = InMemoryTable(data, 4).get()
    assert be.dtype(batch) == be.Float
    np.testing.assert_array_equal(be.to_numpy_array(batch), numbers(6, 3)[:4])
    assert be.to_numpy_array(batch).flags.c_contiguous


def test_column_major_float_tensors_become_row_major():
    data = be.transpose(be.float_tensor(numbers(3, 6)))
    assert not be.to_numpy_array(data).flags.c_contiguous
    batch = be.to_numpy_array(InMemoryTable(data, 4).get())
    assert batch.flags.c_contiguous
    np.testing.assert_array_equal(batch, numbers(3, 6).T[:4])


def test_the_transform_is_applied_to_each_minibatch():
    grey = np.array([[0, 127], [128, 255], [255, 3]], dtype=np.uint8)
    table = InMemoryTable(grey, 2, pre.Transformation(pre.binarize_color))
    np.testing.assert_array_equal(be.to_numpy_array(table.get()), [[0, 0], [1, 1]])
    np.testing.assert_array_equal(be.to_numpy_array(table.get()), [[1, 0]])


def test_the_width_is_that_after_the_transform():
    table = InMemoryTable([[0], [2], [1]], 2, pre.Transformation(pre.one_hot, args=[[0, 1, 2]]))
    assert table.ncols == 3
    assert tuple(be.shape(table.get())) == (2, 3)
    table.set_transform(pre.Transformation())
    assert table.ncols == 1
    assert tuple(be.shape(table.get())) == (1, 1)


def test_a_refused_transform_changes_nothing():
    table = InMemoryTable([[0, 300], [1, 2]], 1)
    before = table.get_transform()
    with pytest.raises(DataError, match="300"):
        table.set_transform(pre.Transformation(pre.binarize_color))
    assert table.get_transform() is before
    with pytest.raises(ShapeError, match=r"\(2,\)"):
        table.set_transform(pre.Transformation(be.flatten))
    assert table.get_transform() is before
    assert table.ncols == 2


def test_tables_do_not_share_their_default_transform():
    first, second = InMemoryTable(numbers(2, 2), 1), InMemoryTable(numbers(2, 2), 1)
    assert first.get_transform() is not second.get_transform()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_refused(bad):
    data = numbers(4, 3)
    data[2, 1] = bad
    with pytest.raises(DataError, match="row 2, column 1"):
        InMemoryTable(data, 2)


@pytest.mark.parametrize("shape", [(4,), (2, 2, 2), ()])
def test_data_must_have_two_axes(shape):
    with pytest.raises(ShapeError, match="expected \\(rows, columns\\)"):
        InMemoryTable(np.zeros(shape, dtype=np.float32), 1)


@pytest.mark.parametrize("shape", [(0, 3), (3, 0)])
def test_data_must_have_rows_and_columns(shape):
    with pytest.raises(DataError, match="at least one row"):
        InMemoryTable(np.zeros(shape, dtype=np.float32), 1)


def test_a_batch_larger_than_the_data_is_refused():
    with pytest.raises(DataError, match=r"7 but there are only 6 rows: use a smaller batch_size"):
        InMemoryTable(numbers(6, 2), 7)
    assert InMemoryTable(numbers(6, 2), 6).batch_size == 6


@pytest.mark.parametrize("size", [0, -1, 2.5, "3", None, True])
def test_the_batch_size_is_a_positive_integer(size):
    with pytest.raises(ConfigError, match="batch_size"):
        InMemoryTable(numbers(6, 2), size)


def test_a_bare_function_is_no_transformation():
    with pytest.raises(ConfigError, match="Transformation"):
        InMemoryTable(numbers(6, 2), 2, pre.binarize_color)


@pytest.mark.parametrize(
    "data",
    [[[1, 2], [3]], np.array([["a"]]), "mnist.h5", {"a": 1}, np.ones((3, 2)) * 1j],
    ids=["ragged", "letters", "path", "dict", "complex"],
)
def test_what_is_no_table_of_numbers_is_refused(data):
    with pytest.raises(DataError, match=f"of type {type(data).__name__} are no table of numbers"):
        InMemoryTable(data, 1)


def test_numbers_too_large_for_a_float_are_told_with_their_place(recwarn):
    with pytest.raises(DataError, match="the data have the value inf in row 1, column 0"):
        InMemoryTable(np.array([[1.0], [1e300]]), 1)
    assert not recwarn.list


@pytest.mark.parametrize(
    ("transform", "error", "words"),
    [
        (pre.Transformation(pre.scale, ["a"]), DataError, "no table of numbers"),
        (pre.Transformation(pre.scale, kwargs={"denom": 2}), ConfigError, "denom"),
        (pre.Transformation(pre.scale, [[1.0, 2.0]]), ShapeError, r"shape \(2,\) for .* \(1, 3\)"),
        (pre.Transformation(pre.scale, [[1.0, 0.0, 1.0]]), ConfigError, "numbers but zero"),
        (pre.Transformation(lambda x: x / 0.0 * 0.0), DataError, "NaN or infinite"),
        (pre.Transformation(lambda x: 1 / 0), ConfigError, r"row of shape \(1, 3\): ZeroDivision"),
        (pre.Transformation(lambda x: x[0]), ShapeError, r"expected \(1, columns\)"),
    ],
)
def test_a_transform_that_cannot_work_is_told_at_once(transform, error, words):
    with pytest.raises(error, match=words):
        InMemoryTable(numbers(4, 3), 2, transform)


def test_a_transform_that_loses_rows_is_told():
    table = InMemoryTable(numbers(4, 3), 2, pre.Transformation(lambda x: x[:1]))
    with pytest.raises(ShapeError, match=r"makes \(1, 3\) of 2 rows, expected \(2, 3\)"):
        table.get()


def test_minibatches_are_float_tensors_whatever_a_transform_makes():
    doubled = pre.Transformation(lambda x: 2.0 * be.to_numpy_array(x).astype(np.float64))
    rows = InMemoryTable(numbers(4, 3), 4, doubled).get()
    assert be.is_tensor(rows)
    assert be.dtype(rows) == be.Float
    np.testing.assert_array_equal(be.to_numpy_array(rows), 2 * numbers(4, 3))
