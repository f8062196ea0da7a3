import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from paysage import datasets
from paysage.datasets import images
from paysage.errors import MissingDependencyError, StorageError

pytestmark = pytest.mark.backend_free


@pytest.fixture
def nowhere(tmp_path, monkeypatch):
    """A working directory and a checkout without MNIST."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(datasets.DATA_VARIABLE, raising=False)
    monkeypatch.setattr(images, "__file__", str(tmp_path / "paysage" / "datasets" / "images.py"))
    return tmp_path


def small_mnist(path, rows=(5, 3)):
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(2)
    with pd.HDFStore(path, "w") as store:
        for part, n in zip(("train", "test"), rows, strict=True):
            images = pd.DataFrame(rng.integers(0, 256, (n, 784), dtype=np.uint8))
            store.put(f"{part}/images", images, track_times=False)
            store.put(f"{part}/labels", pd.Series(np.arange(n, dtype=np.uint8)), track_times=False)
    return path


def test_digits():
    digits = datasets.load_digits()
    assert digits.images.shape == (1797, 64)
    assert digits.images.dtype == np.float32
    assert (digits.images.min(), digits.images.max()) == (0, 255)
    assert digits.labels.shape == (1797,)
    assert digits.labels.dtype == np.int64
    assert set(digits.labels) == set(range(10))
    assert digits.shape == (8, 8)
    # the grey values are multiples of 255 / 16, to the precision of float32
    np.testing.assert_allclose(digits.images % (255 / 16) % (255 / 16 - 1e-4), 0, atol=1e-4)


def test_digits_are_fresh_arrays():
    datasets.load_digits().images[:] = -1
    assert datasets.load_digits().images.min() == 0


def test_digits_without_scikit_learn(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'paysage\[examples\]'"):
        datasets.load_digits()


def test_mnist_from_a_path(tmp_path):
    path = small_mnist(tmp_path / "some.h5")
    mnist = datasets.load_mnist(path)
    assert (mnist.train.images.shape, mnist.test.images.shape) == ((5, 784), (3, 784))
    assert mnist.train.images.dtype == np.float32
    assert mnist.train.images.flags.c_contiguous
    assert mnist.train.shape == mnist.test.shape == (28, 28)
    np.testing.assert_array_equal(mnist.train.images, pd.read_hdf(path, "train/images").values)
    np.testing.assert_array_equal(mnist.test.labels, np.arange(3))
    assert mnist.test.labels.dtype == np.int64


def test_labels_may_be_a_frame_of_one_column(tmp_path):
    path = small_mnist(tmp_path / "some.h5")
    with pd.HDFStore(path, "a") as store:
        store.put("test/labels", pd.DataFrame({"label": [7, 8, 9]}), track_times=False)
    np.testing.assert_array_equal(datasets.load_mnist(str(path)).test.labels, [7, 8, 9])


def test_places_are_searched_in_order(nowhere, monkeypatch):
    assert datasets.find_mnist() is None
    here = small_mnist(nowhere / "mnist.h5")
    assert datasets.find_mnist().resolve() == here.resolve()
    checkout = small_mnist(nowhere / "examples" / "mnist" / "mnist.h5")
    assert datasets.find_mnist().resolve() == checkout.resolve()
    named = small_mnist(nowhere / "elsewhere" / "mnist.h5", rows=(2, 1))
    for value in (named, named.parent):
        monkeypatch.setenv(datasets.DATA_VARIABLE, str(value))
        assert datasets.find_mnist() == Path(named)
    assert len(datasets.load_mnist().train.images) == 2


def test_a_variable_that_names_nothing_is_passed_over(nowhere, monkeypatch):
    monkeypatch.setenv(datasets.DATA_VARIABLE, str(nowhere / "absent"))
    assert datasets.find_mnist() is None
    with pytest.raises(StorageError, match="absent"):
        datasets.load_mnist()


def test_absent_mnist_is_told_with_the_remedy(nowhere):
    with pytest.raises(StorageError, match=r"run `paysage fetch mnist`"):
        datasets.load_mnist()
    with pytest.raises(StorageError, match=r"none\.h5 is not a file"):
        datasets.load_mnist("none.h5")


def test_other_files_are_refused(tmp_path):
    text = tmp_path / "text.h5"
    text.write_text("not HDF5")
    with pytest.raises(StorageError, match="no readable table 'train/images'"):
        datasets.load_mnist(text)
    path = small_mnist(tmp_path / "some.h5")
    with pd.HDFStore(path, "a") as store:
        store.put("test/labels", pd.Series([1, 2]), track_times=False)
    with pytest.raises(StorageError, match=r"test has images \(3, 784\) and labels \(2,\)"):
        datasets.load_mnist(path)
    with pd.HDFStore(path, "a") as store:
        store.remove("test/labels")
    with pytest.raises(StorageError, match="no readable table 'test/labels'"):
        datasets.load_mnist(path)


@pytest.mark.parametrize("key", ["train/images", "train/labels"])
def test_values_that_are_no_numbers_are_refused(tmp_path, key):
    path = small_mnist(tmp_path / "mnist.h5")
    with pd.HDFStore(path, "a") as store:
        letters = store[key].astype(str).iloc[:, :1] if "images" in key else store[key].astype(str)
        if "images" in key:
            letters = pd.concat([letters] * 784, axis=1, ignore_index=True)
        store.put(key, letters, track_times=False)
    with pytest.raises(StorageError, match="expected numbers"):
        datasets.load_mnist(path)


def test_a_file_that_is_no_hdf5_is_told_in_a_line(tmp_path):
    path = tmp_path / "mnist.h5"
    path.write_text("hello")
    with pytest.raises(StorageError, match="no readable table") as caught:
        datasets.load_mnist(path)
    assert "\n" not in str(caught.value)
    with pytest.raises(StorageError, match="got 3, expected the path"):
        datasets.load_mnist(3)
