"""What is compiled is kept: found by another process, and never found when it is not right."""

import importlib
import os
import pkgutil
import sys

import numpy as np
import pytest
from numba.core.caching import FunctionCache
from numba.core.dispatcher import Dispatcher

from paysage.backends import cpu
from paysage.backends.cpu import compiling

pytestmark = pytest.mark.backend_free

SOURCE = "def double(x):\n    return x + x\n"


@pytest.fixture
def double(tmp_path, monkeypatch):
    """A new dispatcher at each call, as another process would have one."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    name = f"loops_of_{tmp_path.name}"
    (tmp_path / f"{name}.py").write_text(SOURCE)
    module = importlib.import_module(name)
    yield lambda: compiling.compiled(error_model="numpy")(module.double)
    del sys.modules[name]


def hits(dispatcher):
    return sum(dispatcher.stats.cache_hits.values())


def kept(tmp_path):
    return sorted((tmp_path / "__pycache__").iterdir())


def test_all_loops_of_the_library_are_kept_so():
    found = []
    for module in pkgutil.iter_modules(cpu.__path__, f"{cpu.__name__}."):
        values = vars(importlib.import_module(module.name)).values()
        found += [value for value in values if isinstance(value, Dispatcher)]
    assert len(found) > 40 and all(type(f._cache) is compiling.Cache for f in found)


def test_each_list_of_types_is_found_again(double, tmp_path):
    first = double()
    assert (first(2), first(2.5), hits(first)) == (4, 5.0, 0)
    assert len(kept(tmp_path)) == 2
    again = double()
    assert (again(2.5), again(2), hits(again)) == (5.0, 4, 2)
    again._cache.flush()
    assert kept(tmp_path) == []


@pytest.mark.parametrize("damage", ["cut", "flip", "empty", "gone"])
def test_what_is_damaged_is_compiled_anew(double, tmp_path, damage):
    double()(2)
    (path,) = kept(tmp_path)
    content = bytearray(path.read_bytes())
    if damage == "flip":
        content[len(content) // 2] ^= 1
    path.write_bytes(content[: {"cut": -9, "empty": 0}.get(damage, len(content))])
    if damage == "gone":
        path.unlink()
    again = double()
    assert (again(2), hits(again)) == (4, 0)
    once_more = double()
    assert (once_more(2), hits(once_more)) == (4, 1)


def test_code_of_other_sources_is_not_believed(double, tmp_path, monkeypatch):
    double()(2)
    monkeypatch.setattr(compiling, "_made_of", lambda: bytes(32))
    again = double()
    assert (again(2), hits(again)) == (4, 0)
    assert len(kept(tmp_path)) == 1


def test_a_kill_within_a_writing_leaves_no_wrong_code(double, tmp_path, monkeypatch):
    """In the place of renaming; numba's own files would name the old code as that of the new."""

    class Killed(BaseException):
        pass

    def die(*_):
        raise Killed

    old = double()
    old(2)
    with monkeypatch.context() as patch:
        patch.setattr(compiling, "_made_of", lambda: bytes(32))
        with patch.context() as last:
            last.setattr(os, "replace", die)
            with pytest.raises(Killed):
                double()(2)
        again = double()
        assert (again(2), hits(again)) == (4, 0)


def test_two_that_compile_at_once_keep_both(double):
    """Each looks first, then both write; numba would give both lists of types one number."""
    first, second = double(), double()
    waiting, save = [], compiling.Cache.save_overload
    for dispatcher, value in ((first, 2), (second, 2.5)):
        dispatcher._cache.save_overload = lambda *what, d=dispatcher: waiting.append((d, what))
        dispatcher(value)
    for dispatcher, what in reversed(waiting):
        save(dispatcher._cache, *what)
    again = double()
    assert (again(2), again(2.5), hits(again)) == (4, 5.0, 2)


def test_nothing_is_kept_where_no_folder_can_be_written(double, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(compiling.Path, "write_bytes", full)
        assert double()(2) == 4
    assert kept(tmp_path) == []

    def nowhere(self, function):
        raise RuntimeError("cannot cache function: no locator available")

    monkeypatch.setattr(FunctionCache, "__init__", nowhere)
    loops = double()
    assert (loops(2), loops._cache.cache_path) == (4, None)


def test_the_folder_of_the_user_is_taken(double, tmp_path, monkeypatch):
    monkeypatch.setattr("numba.core.config.CACHE_DIR", str(tmp_path / "mine"))
    loops = double()
    np.testing.assert_array_equal(loops(np.arange(3)), [0, 2, 4])
    assert len(list((tmp_path / "mine").rglob("*.code"))) == 1
