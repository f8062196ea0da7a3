"""What backends make of arrays: the same numbers in single precision, or a named error."""

import numpy as np
from hypothesis import strategies as st
from odd import REFUSED, array, attempt, given, handed, is_whole, plain, shapes, things

from paysage import backends as be


def check_tensor(tensor, x):
    assert be.is_tensor(tensor) and be.dtype(tensor) == be.Float
    assert tuple(be.shape(tensor)) == x.means.shape
    np.testing.assert_array_equal(be.to_numpy_array(tensor), x.single())


@given(handed())
def test_float_tensors_hold_the_numbers(x):
    found = attempt(be.float_tensor, x.what)
    assert (found is REFUSED) == (x.means is None)
    if found is not REFUSED:
        check_tensor(found, x)
        assert x.same_now()


@given(handed())
def test_what_a_gpu_has_no_room_for_is_converted_alike(x):
    found = attempt(be.resident_tensor, x.what)
    assert (found is REFUSED) == (x.means is None)
    if found is not REFUSED:
        check_tensor(found, x)


@given(handed())
def test_long_tensors_hold_whole_parts(x):
    found = attempt(be.long_tensor, x.what)
    fits = x.means is not None and bool(np.all(np.abs(x.means) < 2.0**63))
    assert (found is REFUSED) == (not fits)
    if fits:
        assert be.dtype(found) == be.Long
        exact = plain(x.means)
        np.testing.assert_array_equal(be.to_numpy_array(found), np.trunc(exact).astype(np.int64))


@given(handed(strange=False))
def test_copies_share_nothing(x):
    tensor = be.float_tensor(x.what)
    copy = be.copy_tensor(tensor)
    be.fill_(copy, 0.0)
    np.testing.assert_array_equal(be.to_numpy_array(tensor), x.single())
    assert x.same_now()


@given(handed(shape=shapes(most=2), values=("normal", "binary", "far"), strange=False))
def test_arrays_survive_the_way_there_and_back(x):
    numbers = x.means
    np.testing.assert_array_equal(array(be.from_numpy_array(numbers)), numbers)


@given(things())
def test_seeds(thing):
    found = attempt(be.set_seed, thing)
    number = not isinstance(thing, np.ndarray) and is_whole(thing, 0)
    assert (found is REFUSED) == (thing is not None and not number)


@given(things(), st.one_of(st.just("cpu"), things()))
def test_backends_have_names(backend, processor):
    before = be.get_backend()
    known = backend is None or backend in ("python", "pytorch") if _hashable(backend) else False
    found = attempt(be.set_backend, backend, processor)
    if not known:
        assert found is REFUSED
    if found is REFUSED:
        assert be.get_backend() == before
    be.set_backend(before.backend, before.processor)


def _hashable(thing):
    return isinstance(thing, str | None)
