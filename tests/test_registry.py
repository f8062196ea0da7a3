"""Names and what they stand for; bound arguments as JSON and back."""

import json

import numpy as np
import pytest

from paysage.errors import ConfigError
from paysage.registry import Registry, decode_argument, encode_argument

pytestmark = pytest.mark.backend_free


def define(doc):
    def thing():
        return doc

    return thing


def test_a_new_definition_of_the_same_replaces_the_old_one():
    """A notebook's cell that is run twice."""
    registry = Registry("thing")
    first, second = define("first"), define("second")
    assert registry.add(first) is first
    registry.add(second)
    assert registry.get("thing")() == "second"
    assert registry.name_of(first) == registry.name_of(second) == "thing"


def test_another_one_of_the_same_name_is_refused():
    registry = Registry("thing")
    registry.add(define("first"))

    def thing():
        return "second"

    with pytest.raises(ConfigError, match="the thing name 'thing' belongs to"):
        registry.add(thing)
    assert registry.name_of(thing) is None


def test_unknown_names():
    registry = Registry("thing")
    registry.add(define("first"))
    with pytest.raises(ConfigError, match=r"unknown thing 'thinn' \(did you mean 'thing'\?\)"):
        registry.get("thinn")
    with pytest.raises(ConfigError, match=r"unknown thing None \(known: thing\)"):
        registry.get(None)
    assert registry.name_of(object()) is None


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        3,
        2.5,
        "a",
        [1, [2, "b"]],
        {"a": [1.5]},
        np.arange(6, dtype=np.int32).reshape(2, 3),
        np.array([0.1, 0.2], dtype=np.float32),
        np.array([True, False]),
        np.array(["a", "bc"]),
        {"mask": np.eye(2)},
    ],
    ids=repr,
)
def test_arguments_come_back(value):
    text = json.dumps(encode_argument(value, "it"), allow_nan=False)
    again = decode_argument(json.loads(text))
    np.testing.assert_equal(again, value)
    if isinstance(value, np.ndarray):
        assert again.dtype == value.dtype


def test_arguments_that_json_cannot_hold():
    with pytest.raises(ConfigError, match="it is bound to a set"):
        encode_argument([{1}], "it")
    assert encode_argument((1, np.float32(0.5)), "it") == [1, 0.5]
