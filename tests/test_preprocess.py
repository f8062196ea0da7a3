"""Transformations against NumPy, what their check refuses, and what a stored one comes back as."""

import json
import warnings

import numpy as np
import pytest

from paysage import backends as be
from paysage import preprocess as pre
from paysage.batch import in_memory_batch
from paysage.errors import ConfigError, DataError

TABLE = np.array([[0.0, 3.0, -4.0], [0.0, 0.0, 0.0], [1.0, 1.0, 2.0]])


def computed(transformation, data):
    result = transformation.compute(data)
    assert be.is_tensor(result)
    assert be.dtype(result) == be.Float
    return be.to_numpy_array(result)


def test_the_default_changes_nothing():
    tensor = be.float_tensor(TABLE)
    assert pre.Transformation().compute(tensor) is tensor


def test_scale():
    tensor = be.float_tensor(TABLE)
    np.testing.assert_array_equal(computed(pre.Transformation(pre.scale), tensor), TABLE)
    half = pre.Transformation(pre.scale, args=[2.0])
    np.testing.assert_array_equal(computed(half, tensor), TABLE / 2)
    each = pre.Transformation(pre.scale, kwargs={"denominator": [1.0, 2.0, 4.0]})
    np.testing.assert_array_equal(computed(each, tensor), TABLE / [1.0, 2.0, 4.0])


@pytest.mark.parametrize("dtype", ["uint8", "int32", "int64", "float32", "float64"])
def test_binarize_color_rounds_every_grey_value(dtype):
    grey = np.arange(256)
    tensor = be.from_numpy_array(grey.astype(dtype).reshape(16, 16))
    result = computed(pre.Transformation(pre.binarize_color), tensor)
    np.testing.assert_array_equal(result.ravel(), np.round(grey / 255))


def test_binarize_color_between_grey_values():
    tensor = be.float_tensor([[127.4, 127.5, 127.6]])
    np.testing.assert_array_equal(be.to_numpy_array(pre.binarize_color(tensor)), [[0, 1, 1]])


@pytest.mark.parametrize("dtype", ["uint8", "int64", "float32", "float64"])
def test_sample_color_draws_anew_with_the_grey_value(dtype):
    grey = np.tile(np.arange(0, 256, 51), (20_000, 1))
    transformation = pre.Transformation(pre.sample_color)
    tensor = be.from_numpy_array(grey.astype(dtype))
    draws = [computed(transformation, tensor) for _ in range(2)]
    p = grey[0] / 255
    for drawn in draws:
        assert drawn.dtype == np.float32
        assert set(np.unique(drawn)) == {0.0, 1.0}
        # five standard errors; black and white are certain
        assert np.all(np.abs(drawn.mean(axis=0) - p) <= 5 * np.sqrt(p * (1 - p) / len(grey)))
    both = (draws[0] * draws[1]).mean(axis=0)
    assert np.all(np.abs(both - p**2) <= 5 * np.sqrt(p**2 * (1 - p**2) / len(grey)))


def test_sample_color_depends_on_the_seed_alone():
    grey = np.full((50, 7), 100, np.uint8)
    draws = []
    for _ in range(2):
        be.set_seed(4)
        given = in_memory_batch(grey, 20, transform=pre.Transformation(pre.sample_color))
        draws.append([be.to_numpy_array(x) for _ in range(2) for x in given.iterate("train")])
    assert len(draws[0]) == 6
    for first, second in zip(*draws, strict=True):
        np.testing.assert_array_equal(first, second)
    assert not np.array_equal(draws[0][0], draws[0][3])  # the first minibatch, an epoch later


@pytest.mark.parametrize("order", [1, 2])
def test_rows_are_normalized_and_rows_of_zeros_stay(order):
    function = {1: pre.l1_normalize, 2: pre.l2_normalize}[order]
    norms = np.linalg.norm(TABLE, ord=order, axis=1, keepdims=True)
    expected = TABLE / np.where(norms == 0, 1, norms)
    result = computed(pre.Transformation(function), be.float_tensor(TABLE))
    np.testing.assert_allclose(result, expected, rtol=1e-6)


def test_one_hot_of_numbers():
    data = be.float_tensor([[0.1], [7.0], [0.1]])
    result = computed(pre.Transformation(pre.one_hot, [[7, 0.1, 5]]), data)
    np.testing.assert_array_equal(result, [[0, 1, 0], [1, 0, 0], [0, 1, 0]])


def test_one_hot_of_strings_and_of_several_columns():
    data = np.array([["a", "c"], ["b", "b"]])
    result = be.to_numpy_array(pre.one_hot(data, ["a", "b", "c"]))
    np.testing.assert_array_equal(result, [[1, 0, 0, 0, 0, 1], [0, 1, 0, 0, 1, 0]])
    vector = be.to_numpy_array(pre.one_hot(data[:, 0], ["a", "b", "c"]))
    np.testing.assert_array_equal(vector, [[1, 0, 0], [0, 1, 0]])


def test_one_hot_refuses_what_it_does_not_know():
    with pytest.raises(DataError, match=r"9.* in row 1; the categories are"):
        pre.one_hot(be.float_tensor([1.0, 9.0]), [1, 2])
    with pytest.raises(ConfigError, match="twice"):
        pre.one_hot(be.float_tensor([1.0]), [1, 2, 1])


@pytest.mark.parametrize(
    "transformation",
    [
        pre.Transformation(),
        pre.Transformation(pre.binarize_color),
        pre.Transformation(pre.scale, [2.0]),
        pre.Transformation(pre.scale, None, {"denominator": np.array([1.0, 2.0, 4.0])}),
        pre.Transformation(pre.l2_normalize),
        pre.Transformation(pre.one_hot, kwargs={"category_list": (0.0, 3.0, -4.0, 1.0, 2.0)}),
    ],
    ids=repr,
)
def test_config_round_trip(transformation):
    text = json.dumps(transformation.get_config(), allow_nan=False)
    again = pre.Transformation.from_config(json.loads(text))
    assert again.function is transformation.function
    grey = transformation.function is pre.binarize_color
    tensor = be.float_tensor(np.abs(TABLE) if grey else TABLE)
    np.testing.assert_array_equal(
        be.to_numpy_array(again.compute(tensor)), be.to_numpy_array(transformation.compute(tensor))
    )


@pytest.mark.backend_free
def test_a_function_of_ones_own():
    def add_one(tensor, much=1):
        return tensor + much

    transformation = pre.Transformation(add_one, kwargs={"much": 2})
    with pytest.raises(ConfigError, match=r"preprocess\.register"):
        transformation.get_config()
    assert pre.register(add_one) is add_one
    again = pre.Transformation.from_config(transformation.get_config())
    np.testing.assert_array_equal(again.compute(TABLE), TABLE + 2)


@pytest.mark.backend_free
@pytest.mark.parametrize(
    ("act", "words"),
    [
        (lambda: pre.Transformation("scale"), "needs a function"),
        (lambda: pre.Transformation.from_config({"name": "binarise_color"}), "did you mean"),
        (lambda: pre.Transformation(pre.scale, [print]).get_config(), "cannot hold"),
    ],
)
def test_impossible_settings_are_named(act, words):
    with pytest.raises(ConfigError, match=words):
        act()


@pytest.mark.backend_free
def test_arguments_are_not_shared():
    args, kwargs = [2.0], {}
    one, other = pre.Transformation(pre.scale, args, kwargs), pre.Transformation(pre.scale)
    args.append(3.0)
    other.kwargs["denominator"] = 5.0
    assert one.args == [2.0]
    assert one.kwargs == {} == pre.Transformation(pre.scale).kwargs


# --- the check of a whole table


@pytest.fixture
def grey():
    """More rows than are looked at together."""
    return np.random.default_rng(1).integers(0, 256, (10_000, 5)).astype(np.float32)


def test_good_tables_pass_without_a_word(grey):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pre.Transformation(pre.sample_color).check(be.float_tensor(grey))
        pre.Transformation(pre.binarize_color).check(be.float_tensor(grey))
        pre.Transformation(pre.binarize_color).check(grey.astype(np.uint8))
        pre.Transformation(pre.binarize_color).check(np.zeros((4, 3)))
        pre.Transformation().check(be.float_tensor(-grey))
        pre.Transformation(pre.one_hot, [["a", "b"]]).check(np.array([["a"], ["b"]]))
        pre.Transformation().check(np.zeros((0, 3)))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("row", [0, 4095, 4096, 9999])
def test_what_is_not_finite_is_refused_with_its_place(grey, value, row):
    grey[row, 3] = value
    with pytest.raises(DataError, match=f"value {value} in row {row}, column 3"):
        pre.Transformation().check(be.float_tensor(grey))
    with pytest.raises(DataError, match="from 0 to 255"):
        pre.Transformation(pre.binarize_color).check(be.float_tensor(grey))


@pytest.mark.parametrize("value", [255.5, -1.0])
def test_what_is_outside_of_the_domain_is_refused(grey, value):
    grey[5000, 2] = value
    with pytest.raises(DataError, match=rf"color got the value {value} in row 5000, .* 0 to 255"):
        pre.Transformation(pre.binarize_color).check(be.float_tensor(grey))
    pre.Transformation(pre.scale, [255]).check(be.float_tensor(grey))


def test_data_that_were_scaled_already_are_noticed(grey):
    with pytest.warns(UserWarning, match="scaled already"):
        pre.Transformation(pre.binarize_color).check(be.float_tensor(grey / 255))


@pytest.mark.backend_free
def test_the_blocks_of_a_table_are_judged_together(grey):
    """The greatest value of the whole table counts, not that of one block."""
    grey[:8192] = 0
    grey[9000] = 200
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pre.Transformation(pre.binarize_color).check(grey)


@pytest.mark.parametrize("options", [{"args": 255}, {"kwargs": [255]}, {"kwargs": "ab"}])
def test_arguments_that_are_no_list_or_dictionary(options):
    with pytest.raises(ConfigError, match="a list args and a dictionary kwargs; got"):
        pre.Transformation(pre.scale, **options)


@pytest.mark.parametrize("kind", [list, np.asarray], ids=["list", "array"])
@pytest.mark.parametrize("function", [pre.scale, pre.binarize_color, pre.l1_normalize])
def test_plain_numbers_become_tensors(function, kind):
    rows = [[0.0, 51.0], [255.0, 204.0]]
    got, expected = function(kind(rows)), function(be.float_tensor(rows))
    assert be.is_tensor(got)
    np.testing.assert_array_equal(be.to_numpy_array(got), be.to_numpy_array(expected))
