"""The pure Python part of the vocabulary."""

from collections import namedtuple

import pytest

from paysage.backends import common

pytestmark = pytest.mark.backend_free

Pair = namedtuple("Pair", ["first", "second"])


def double(x):
    return 2 * x


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([1, 2], [2, 4]),
        ((1, 2), (2, 4)),
        (Pair(1, 2), Pair(2, 4)),
        (range(3), [0, 2, 4]),
        ({1: "a"}, [2]),
        ([], []),
        ((), ()),
    ],
)
def test_apply_keeps_the_type(given, expected):
    result = common.apply(double, given)
    assert result == expected
    assert type(result) is type(expected)


@pytest.mark.parametrize("kind", [list, tuple, lambda values: Pair(*values)])
def test_mapzip_keeps_the_type_of_the_first(kind):
    result = common.mapzip(lambda x, y: x - y, kind([5, 7]), [1, 2])
    assert result == kind([4, 5])
    assert type(result) is type(kind([4, 5]))


def test_in_place_forms_visit_each_item():
    boxes = [[1], [2]]
    assert common.apply_(lambda box: box.append(0), boxes) is None
    assert boxes == [[1, 0], [2, 0]]
    assert common.mapzip_(lambda box, value: box.append(value), boxes, (3, 4)) is None
    assert boxes == [[1, 0, 3], [2, 0, 4]]


@pytest.mark.parametrize("function", [common.mapzip, common.mapzip_])
def test_unequal_lengths_are_refused(function):
    with pytest.raises(ValueError):
        function(max, [1, 2], [3])


def test_accumulate_sums():
    assert common.accumulate(double, [1, 2, 3]) == 12
    assert common.accumulate(double, (x for x in (1, 2))) == 6
    assert common.accumulate(double, []) == 0


def test_accumulate_starts_at_the_first_value():
    # A start at the number 0 could not add to a list.
    assert common.accumulate(lambda x: [x], "ab") == ["a", "b"]


def test_maybe_print(capsys):
    common.maybe_print("a", 1, verbose=True)
    common.maybe_print("b", verbose=False)
    common.maybe_print("c", "d", sep="-", end="!")
    assert capsys.readouterr().out == "a 1\nc-d!"


def test_maybe_key():
    assert common.maybe_key({"a": 2}, "a") == 2
    assert common.maybe_key({"a": 2}, "a", func=double) == 4
    assert common.maybe_key({"a": 2}, "b") is None
    assert common.maybe_key({"a": 2}, "b", default=3, func=double) == 3


def test_do_nothing_gives_its_argument_back():
    thing = object()
    assert common.do_nothing(thing) is thing


@pytest.mark.parametrize(
    ("given", "expected"),
    [(None, []), ([1, 2], [1, 2]), ((1, 2), [1, 2]), ("ab", ["ab"]), (3, [3])],
)
def test_force_list(given, expected):
    assert common.force_list(given) == expected


def test_force_list_makes_a_new_list():
    given = [1]
    assert common.force_list(given) is not given


@pytest.mark.parametrize(
    ("given", "expected"), [([1], 1), ((1,), 1), ([1, 2], [1, 2]), ("a", "a"), (3, 3), ([], [])]
)
def test_force_unlist(given, expected):
    assert common.force_unlist(given) == expected
