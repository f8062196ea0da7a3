import numpy as np
import pytest

from paysage import backends as be
from paysage import preprocess as pre
from paysage.batch import Batch, InMemoryTable, in_memory_batch, split_tensor
from paysage.errors import ConfigError, DataError, ShapeError, StorageError


def numbers(rows, columns=2):
    return np.arange(rows * columns, dtype=np.float32).reshape(rows, columns)


def small_batch(rows=10, size=3, **options):
    data = be.float_tensor(numbers(rows))
    return in_memory_batch(data, size, train_fraction=0.7, shuffle=False, **options)


def array(tensor):
    return be.to_numpy_array(tensor)


def values(tensors):
    return np.concatenate([array(tensor) for tensor in tensors])


def test_first_rows_train_and_the_rest_validates():
    batch = small_batch()
    np.testing.assert_array_equal(values(batch.iterate("train")), numbers(10)[:7])
    np.testing.assert_array_equal(values(batch.iterate("validate")), numbers(10)[7:])
    assert (batch.ncols, batch.nrows, batch.batch_size, batch.output_batch_size) == (2, 10, 3, 3)


@pytest.mark.parametrize(
    ("rows", "fraction", "train"),
    [(60000, 0.95, 57000), (60000, 0.9, 54000), (1000, 0.29, 290), (3, 0.5, 2), (2, 0.5, 1)],
)
def test_the_split_is_rounded_to_whole_rows(rows, fraction, train):
    batch = in_memory_batch(be.zeros((rows, 1)), 1, train_fraction=fraction)
    assert batch.tables["train"].nrows == train
    assert batch.tables["validate"].nrows == rows - train


def test_changes_to_the_callers_array_do_not_reach_the_batch():
    data = numbers(10).astype(np.float32)
    before = data.copy()
    batch = in_memory_batch(data, 2, shuffle=False)
    data[:] = 1.0
    rows = np.concatenate([values(batch.iterate(mode)) for mode in ("train", "validate")])
    np.testing.assert_array_equal(rows, before)


def test_both_sides_are_views_of_the_data_with_copy_false():
    data = be.float_tensor(numbers(10))
    batch = in_memory_batch(data, 2, copy=False, shuffle=False)
    for mode in ("train", "validate"):
        assert np.shares_memory(array(next(batch.iterate(mode))), array(data))


def test_few_rows_to_validate_make_a_smaller_minibatch():
    batch = small_batch(rows=10, size=5)
    assert batch.batch_size == 5
    assert batch.tables["validate"].batch_size == 3
    assert [len(array(rows)) for rows in batch.iterate("validate")] == [3]


def test_too_few_rows_are_told_with_the_numbers():
    with pytest.raises(DataError, match="4 rows leaves 4 to train and 0 to validate"):
        in_memory_batch(numbers(4), 1, train_fraction=0.95)
    with pytest.raises(DataError, match="4 rows leaves 0 to train and 4 to validate"):
        in_memory_batch(numbers(4), 1, train_fraction=0.05)
    with pytest.raises(DataError, match="8 but there are only 7 rows"):
        small_batch(rows=10, size=8)


def test_a_bad_value_is_told_with_its_row_in_the_whole_data():
    data = numbers(10)
    data[9, 1] = np.nan
    with pytest.raises(DataError, match="row 9, column 1"):
        in_memory_batch(data, 1)
    with pytest.raises(ConfigError, match="Transformation"):
        in_memory_batch(numbers(10), 1, transform=pre.binarize_color)


@pytest.mark.parametrize("fraction", [0, 1, -0.1, 1.5, float("nan")])
def test_the_fraction_lies_between_0_and_1(fraction):
    with pytest.raises(ConfigError, match="train_fraction"):
        in_memory_batch(numbers(10), 1, train_fraction=fraction)


def test_get_defaults_to_training_and_ends_each_pass():
    batch = small_batch()
    for _ in range(2):
        rows = [batch.get(), batch.get(mode="train"), batch.get("train")]
        np.testing.assert_array_equal(values(rows), numbers(10)[:7])
        with pytest.raises(StopIteration):
            batch.get()


def test_modes_advance_independently_and_reset_one_by_one():
    batch = small_batch(size=2)
    train, validate = array(batch.get("train")), array(batch.get("validate"))
    batch.get("train")
    batch.reset_generator(mode="train")
    np.testing.assert_array_equal(array(batch.get("train")), train)
    assert not np.array_equal(array(batch.get("validate")), validate)
    batch.reset_generator("all")
    np.testing.assert_array_equal(array(batch.get("train")), train)
    np.testing.assert_array_equal(array(batch.get("validate")), validate)


def test_iterate_begins_at_the_first_row_whatever_was_read():
    batch = small_batch()
    batch.get("train")
    np.testing.assert_array_equal(values(batch.iterate("train")), numbers(10)[:7])
    np.testing.assert_array_equal(values(batch.iterate("train")), numbers(10)[:7])


@pytest.mark.parametrize("method", ["get", "iterate", "reset_generator"])
def test_an_unknown_mode_is_told_with_the_known_ones(method):
    with pytest.raises(ConfigError, match="'test', expected one of train, validate"):
        getattr(small_batch(), method)("test")


def test_the_transform_reaches_both_sides():
    batch = small_batch(transform=pre.Transformation(pre.scale, args=[2]))
    np.testing.assert_array_equal(values(batch.iterate("train")), numbers(10)[:7] / 2)
    np.testing.assert_array_equal(values(batch.iterate("validate")), numbers(10)[7:] / 2)


def twice_as_wide(tensor):
    return be.hstack([tensor, tensor])


HALF = pre.Transformation(pre.scale, args=[2])
WIDE = pre.Transformation(twice_as_wide)


@pytest.mark.parametrize(
    "given",
    [HALF, [HALF, HALF], (HALF, HALF), {"train": HALF, "validate": HALF}],
    ids=["one", "list", "tuple", "dict"],
)
def test_transforms_are_replaced(given):
    batch = small_batch()
    before = batch.get_transforms()
    batch.set_transforms(given)
    assert batch.get_transforms() == {"train": HALF, "validate": HALF}
    np.testing.assert_array_equal(values(batch.iterate("validate")), numbers(10)[7:] / 2)
    batch.set_transforms(before)
    np.testing.assert_array_equal(values(batch.iterate("validate")), numbers(10)[7:])


def test_one_transform_of_several_is_replaced():
    batch = small_batch()
    batch.set_transforms({"validate": HALF})
    np.testing.assert_array_equal(values(batch.iterate("train")), numbers(10)[:7])
    np.testing.assert_array_equal(values(batch.iterate("validate")), numbers(10)[7:] / 2)


def test_columns_follow_the_transforms():
    batch = small_batch()
    batch.set_transforms(WIDE)
    assert batch.ncols == 4
    assert tuple(be.shape(batch.get())) == (3, 4)


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"train": WIDE}, ShapeError),
        ([HALF], ConfigError),
        ({"train": HALF, "test": HALF}, ConfigError),
        ([HALF, abs], ConfigError),
    ],
)
def test_refused_transforms_leave_the_former_ones(given, error):
    batch = small_batch()
    before = batch.get_transforms()
    with pytest.raises(error):
        batch.set_transforms(given)
    assert batch.get_transforms() == before
    assert batch.ncols == 2
    np.testing.assert_array_equal(values(batch.iterate("train")), numbers(10)[:7])


def test_tables_of_different_widths_are_refused():
    with pytest.raises(ShapeError, match="'train': 2, 'validate': 3"):
        Batch(
            {
                "train": InMemoryTable(numbers(4, 2), 1),
                "validate": InMemoryTable(numbers(4, 3), 1),
            }
        )


def test_widths_are_compared_after_the_transform():
    batch = Batch(
        {
            "train": InMemoryTable(numbers(4, 2), 1, WIDE),
            "validate": InMemoryTable(numbers(4, 4), 1),
        }
    )
    assert batch.ncols == 4


def test_a_batch_needs_tables():
    with pytest.raises(ConfigError, match="at least one table"):
        Batch({})


def test_a_batch_may_have_one_mode_only():
    batch = Batch({"train": InMemoryTable(numbers(4), 2)})
    assert (batch.nrows, batch.batch_size) == (4, 2)
    with pytest.raises(ConfigError, match="expected one of train"):
        batch.get("validate")


class Closable(InMemoryTable):
    closed = 0

    def close(self):
        self.closed += 1


def test_leaving_the_context_closes_the_tables_once():
    table = Closable(numbers(4), 2)
    with Batch({"train": table}) as batch:
        batch.get()
    batch.close()
    assert table.closed == 1
    assert batch.ncols == 2
    for call in (batch.get, batch.iterate, batch.reset_generator, batch.get_transforms):
        with pytest.raises(StorageError, match="closed"):
            call()


@pytest.mark.parametrize(("size", "lengths"), [(2, [2, 2, 1]), (5, [5]), (9, [5])])
def test_split_tensor_gives_all_rows_in_blocks(size, lengths):
    data = be.float_tensor(numbers(5))
    blocks = split_tensor(data, size)
    assert [len(array(block)) for block in blocks] == lengths
    np.testing.assert_array_equal(values(blocks), numbers(5))
    assert np.shares_memory(array(blocks[0]), array(data))


def test_split_tensor_refuses_an_impossible_size():
    with pytest.raises(ConfigError, match="split_fraction is 0"):
        split_tensor(be.zeros((3, 2)), 0)


@pytest.mark.parametrize(
    ("tables", "words"),
    [
        (None, "got none"),
        (numbers(3), "got ndarray"),
        ([1, 2], "got list"),
        ({"train": numbers(3)}, "'train' table is a ndarray, which has no get;"),
    ],
)
def test_what_are_no_tables_is_told(tables, words):
    with pytest.raises(ConfigError, match=words):
        Batch(tables)


@pytest.mark.parametrize("fraction", ["0.9", None, [0.9]])
def test_the_fraction_is_a_number(fraction):
    with pytest.raises(ConfigError, match="expected a number between 0 and 1"):
        in_memory_batch(numbers(10), 2, train_fraction=fraction)


def test_the_warning_about_scaled_data_is_shown_once_and_where_the_user_wrote(recwarn):
    grey = pre.Transformation(pre.binarize_color)
    in_memory_batch(np.full((10, 2), 0.5, np.float32), 2, transform=grey)
    assert {warning.filename for warning in recwarn} == {__file__}
    assert len({warning.lineno for warning in recwarn}) == 1
