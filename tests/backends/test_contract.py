"""The vocabulary is published whole, as the contract says, and switching is all or nothing."""

import inspect

import pytest

from paysage import backends as be
from paysage.backends import common, contract, loading
from paysage.backends.generator import Generator, active_generator
from paysage.errors import BackendError

# What scripts written for earlier versions use, name by name.
SURFACE = """
set_seed rand rand_like rand_bernoulli randn randn_like rand_int rand_samples shuffle_ rand_softmax
rand_softmax_units float_scalar float_tensor long_tensor cast_float cast_long to_numpy_array
from_numpy_array copy_tensor is_tensor shape ndim dtype num_elements zeros zeros_like ones
ones_like identity diagonal_matrix diag fill_diagonal_ trange stack hstack vstack repeat broadcast
reshape flatten unsqueeze transpose index_select scatter_ tsum mean var std tprod tmax tmin argmax
argmin norm normalize center cov corr cumsum sort argsort tany tall dot outer batch_dot
batch_outer batch_quadratic affine quadratic inv pinv qr svd matrix_sqrt logdet tabs exp log sqrt
square tpow reciprocal tanh atanh cosh acosh cos sin expit logit softplus softmax logaddexp
logcosh normal_pdf sign clip clip_ tclip tclip_ tround tfloor tceil maximum minimum mix mix_
square_mix_ sqrt_div equal not_equal greater greater_equal lesser lesser_equal allclose
logical_not logical_and logical_or EPSILON Float Double Int Long Byte Tensor apply apply_ mapzip
mapzip_ accumulate maybe_print maybe_key do_nothing force_list force_unlist
""".split()  # noqa: SIM905 - as literals they would fill pages
RETIRED = {
    "add": "a + b",
    "subtract": "b - a",
    "multiply": "a * b",
    "divide": "b / a",
    "add_": "b += a",
    "subtract_": "b -= a",
    "multiply_": "b *= a",
    "divide_": "b /= a",
}


@pytest.mark.parametrize("name", SURFACE)
@pytest.mark.backend_free
def test_the_contract_holds_the_surface(name):
    assert name in loading.vocabulary()


def test_everything_is_published():
    missing = [name for name in loading.vocabulary() if name not in vars(be)]
    assert missing == []


def test_published_functions_carry_the_contract():
    for name, stub in loading.stubs().items():
        function = getattr(be, name)
        assert function.__doc__ == stub.__doc__
        assert list(inspect.signature(function).parameters) == list(
            inspect.signature(stub).parameters
        )


def test_common_functions_are_the_same_everywhere():
    for function in contract.COMMON:
        assert getattr(be, function.__name__) is function


def test_functions_come_from_the_chosen_backend(backend):
    for name in loading.stubs():
        assert f".{backend}_backend." in getattr(be, name).__module__


def test_dir_lists_the_vocabulary():
    assert loading.vocabulary() <= set(dir(be))
    assert {"set_backend", "get_backend"} <= set(dir(be))


@pytest.mark.parametrize("name", RETIRED)
def test_retired_names_say_what_to_write(name):
    with pytest.raises(AttributeError) as error:
        getattr(be, name)
    assert RETIRED[name] in str(error.value)


def test_unknown_names_get_a_hint():
    with pytest.raises(AttributeError, match="did you mean 'softplus'"):
        _ = be.softpluss
    with pytest.raises(AttributeError, match=r"no attribute 'zzzzzz'$"):
        _ = be.zzzzzz
    assert not hasattr(be, "__wrapped__")


# --------------------------------------------------------------------------- the contract itself

free = pytest.mark.backend_free


@free
def test_every_entry_is_documented():
    undocumented = [
        name
        for name in loading.vocabulary() - contract.CONSTANTS.keys()
        if not (getattr(contract, name).__doc__ or "").strip()
    ]
    assert undocumented == []


@free
def test_names_say_what_happens_in_place():
    """A trailing underscore and the words "in place" come together."""
    for name, stub in loading.stubs().items():
        assert name.endswith("_") == ("in place" in stub.__doc__.lower()), name


@free
def test_common_functions_are_all_listed():
    defined = {
        function
        for name, function in vars(common).items()
        if inspect.isfunction(function) and not name.startswith("_")
    }
    assert defined == set(contract.COMMON) - {Generator, active_generator}


# ------------------------------------------------------------------------------ broken backends


def complete():
    """What a backend must define; the contract's own stubs will do."""
    return dict.fromkeys(contract.CONSTANTS, 0) | loading.stubs()


def complaint(found):
    with pytest.raises(BackendError) as error:
        loading.checked(found, "broken")
    return str(error.value)


@free
def test_a_whole_backend_passes():
    assert loading.checked(complete(), "whole").keys() == loading.vocabulary()


@free
@pytest.mark.parametrize("name", ["dot", "EPSILON"])
def test_a_missing_name_is_named(name):
    found = complete()
    del found[name]
    message = complaint(found)
    assert "'broken'" in message
    assert name in message


@free
@pytest.mark.parametrize(
    "function",
    [
        lambda a, c, out=None: None,
        lambda b, a, out=None: None,
        lambda a, b: None,
        lambda a, b, out=0: None,
        lambda a, b, out=None, more=None: None,
        lambda a, b, *, out=None: None,
    ],
    ids=["name", "order", "fewer", "default", "more", "kind"],
)
def test_other_parameters_are_named(function):
    message = complaint(complete() | {"dot": function})
    assert f"dot{inspect.signature(function)}" in message
    assert "EPSILON" not in message


@free
def test_a_failed_switch_changes_nothing(monkeypatch):
    be.set_backend("python")
    before = {name: getattr(be, name) for name in loading.vocabulary()}
    package, found = loading._import("python")
    del found["dot"]
    monkeypatch.setattr(loading, "_import", lambda backend: (package, found))
    with pytest.raises(BackendError, match="dot"):
        be.set_backend("pytorch")
    assert be.get_backend() == ("python", "cpu")
    assert all(getattr(be, name) is value for name, value in before.items())


@free
def test_a_backend_that_cannot_reach_its_processor_changes_nothing(monkeypatch):
    from paysage.backends import python_backend

    def refuse(processor):
        raise BackendError("no such processor")

    be.set_backend("python")
    product = be.dot
    monkeypatch.setattr(python_backend, "use", refuse)
    with pytest.raises(BackendError, match="no such processor"):
        be.set_backend("python")
    assert be.dot is product


@free
def test_names_of_the_last_backend_are_removed(monkeypatch):
    be.set_backend("python")
    original = loading.load
    monkeypatch.setattr(loading, "load", lambda chosen: original(chosen) | {"extra": 1})
    be.set_backend("python")
    assert be.extra == 1
    monkeypatch.undo()
    be.set_backend("python")
    assert not hasattr(be, "extra")
