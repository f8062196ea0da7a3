"""Principal components against singular value decompositions in double precision."""

import numpy as np
import pandas as pd
import pytest

from paysage import backends as be
from paysage import preprocess as pre
from paysage import storage
from paysage.batch import in_memory_batch
from paysage.errors import ConfigError, DataError, ShapeError, StorageError
from paysage.factorization import PCA
from paysage.factorization import pca as pca_module

ROWS, COLUMNS, K = 300, 12, 4


def make(rows=ROWS, columns=COLUMNS, offset=3.0, decay=0.7, seed=1):
    """Correlated columns whose deviations along their principal directions fall like decay^j."""
    rng = np.random.default_rng(seed)
    rotation = np.linalg.qr(rng.normal(size=(columns, columns)))[0]
    spread = 5.0 * decay ** np.arange(columns)
    return (offset + rng.normal(size=(rows, columns)) * spread @ rotation.T).astype(np.float32)


def expected(data, k=K):
    """Directions, variances and mean, by NumPy; the largest entry of a direction is positive."""
    doubled = data.astype(np.float64)
    mean = doubled.mean(axis=0)
    _, strengths, rows = np.linalg.svd(doubled - mean, full_matrices=False)
    columns = rows[:k].T
    columns = columns * np.sign(columns[np.abs(columns).argmax(axis=0), range(k)])
    return columns, strengths[:k] ** 2 / (len(data) - 1), mean


def train_batch(data, size=64):
    """All but one row to train on, in minibatches of which the last one is smaller."""
    return in_memory_batch(data, size, (len(data) - 1) / len(data))


def assert_components(pca, data, atol=2e-6, rtol=1e-5):
    """Equal to rounding of single precision; gaps between variances are about as large as they."""
    columns, variances, mean = expected(data, pca.num_components)
    np.testing.assert_allclose(array(pca.W), columns, atol=atol)
    np.testing.assert_allclose(array(pca.var), variances, rtol=rtol)
    np.testing.assert_allclose(array(pca.mean), mean, rtol=1e-6, atol=1e-6)


def array(tensor):
    return be.to_numpy_array(tensor).astype(np.float64)


@pytest.fixture
def wide(monkeypatch):
    """Take the way of wide data for narrow ones."""
    monkeypatch.setattr(pca_module, "MOST_COLUMNS", 1)


def test_the_decomposition_of_a_table():
    data = make()
    pca = PCA.from_svd(be.float_tensor(data), K)
    assert_components(pca, data)
    assert all(be.dtype(x) == be.Float for x in (pca.W, pca.var, pca.mean))


@pytest.mark.parametrize("size", [1, 64, 299])
def test_one_pass_over_minibatches(size):
    data = make()
    assert_components(PCA.from_batch(train_batch(data, size), K), data[:-1])


def test_a_mean_far_from_zero_costs_no_digits():
    # float32 data about 1e4 with deviations below one: x xᵀ summed up would leave nothing of them
    data = make(offset=1e4, decay=0.5)
    assert_components(PCA.from_batch(train_batch(data), K), data[:-1])
    assert_components(PCA.from_svd(data, K), data)


def test_wide_data_by_block_lanczos(wide):
    data = make(columns=120, offset=100.0, decay=0.97)
    assert_components(PCA.from_batch(train_batch(data), K), data[:-1], atol=1e-4)


def test_wide_data_end_when_the_rank_is_exhausted(wide):
    """Five rows span four directions: the basis cannot grow, and is exact."""
    data = make(rows=6, columns=120, decay=0.97)
    pca = PCA.from_batch(train_batch(data, 2), 4)
    assert_components(pca, data[:-1], atol=1e-5)


def test_wide_data_and_all_components(wide):
    data = make()
    assert_components(PCA.from_batch(train_batch(data), COLUMNS), data[:-1], atol=1e-5)


def test_constant_data_have_no_variance(wide):
    pca = PCA.from_batch(in_memory_batch(np.ones((20, 5), np.float32), 4), 2)
    np.testing.assert_array_equal(array(pca.var), 0)


def test_too_few_passes_are_told(wide):
    batch = train_batch(make(columns=120, decay=0.999))
    with pytest.warns(UserWarning, match="after 1 passes.*raise epochs") as warned:
        PCA.from_batch(batch, K, epochs=1)
    assert warned[0].filename == __file__


def test_more_components_than_the_wide_way_doubles_are_orthonormal(wide):
    pca = PCA.from_batch(train_batch(make(columns=60, decay=0.9)), 20)
    np.testing.assert_allclose(array(pca.W).T @ array(pca.W), np.eye(20), atol=1e-6)


def test_the_transform_of_the_batch_comes_first():
    data = make()
    batch = in_memory_batch(data, 64, 299 / 300, pre.Transformation(pre.scale, [2.0]))
    assert_components(PCA.from_batch(batch, K), data[:-1] / 2)


def test_coordinates_and_projections():
    data = make()
    rows = be.float_tensor(data[:20])
    pca = PCA.from_svd(data, K)
    columns, _, mean = expected(data)
    coordinates = (data[:20].astype(np.float64) - mean) @ columns
    np.testing.assert_allclose(array(pca.transform(rows)), coordinates, atol=1e-4)
    np.testing.assert_allclose(array(pca.project(rows)), data[:20] @ columns, atol=1e-4)
    nearest = pca.inverse_transform(pca.transform(rows))
    np.testing.assert_allclose(array(nearest), mean + coordinates @ columns.T, atol=1e-4)
    with pytest.raises(ShapeError, match=r"coordinates of shape \(2, 12\), expected \(rows, 4\)"):
        pca.inverse_transform(be.ones((2, COLUMNS)))


def test_coordinates_are_uncorrelated_with_the_variances():
    data = make()
    pca = PCA.from_svd(data, K)
    coordinates = array(pca.transform(be.float_tensor(data)))
    np.testing.assert_allclose(coordinates.mean(axis=0), 0, atol=1e-5)
    covariance = coordinates.T @ coordinates / (ROWS - 1)
    np.testing.assert_allclose(covariance, np.diag(array(pca.var)), atol=1e-4)


def test_files(tmp_path):
    pca = PCA.from_svd(make(), K)
    pca.save(tmp_path / "pca.h5")
    with pd.HDFStore(tmp_path / "store.h5", "w") as store:
        store.put("other", pd.Series([1.0]), track_times=False)
        pca.save(store)
        loaded = [PCA.from_saved(store), PCA.from_saved(tmp_path / "pca.h5")]
    for twin in loaded:
        for name in ("W", "var", "mean"):
            np.testing.assert_array_equal(array(getattr(twin, name)), array(getattr(pca, name)))


def test_the_first_components_can_be_saved_alone(tmp_path):
    pca = PCA.from_svd(make(), K)
    pca.save(tmp_path / "pca.h5", num_components_save=2)
    loaded = PCA.from_saved(tmp_path / "pca.h5")
    np.testing.assert_array_equal(array(loaded.W), array(pca.W)[:, :2])
    np.testing.assert_array_equal(array(loaded.var), array(pca.var)[:2])
    np.testing.assert_array_equal(array(loaded.mean), array(pca.mean))
    for number in (0, K + 1, 1.0):
        with pytest.raises(ConfigError, match=f"num_components_save is {number}.* from 1 to 4"):
            pca.save(tmp_path / "pca.h5", num_components_save=number)


def test_one_row_has_variance_zero(wide):
    for pca in (
        PCA.from_svd(make(rows=1), 1),
        PCA.from_batch(in_memory_batch(make(rows=2), 1, 0.5), 1),
    ):
        np.testing.assert_array_equal(array(pca.var), [0])


def test_files_that_hold_none(tmp_path):
    with pytest.raises(StorageError, match="there is no file"):
        PCA.from_saved(tmp_path / "none.h5")
    path = tmp_path / "wrong.h5"
    storage.write_tree(path, {"W": np.ones((3, 2))}, kind="pca", key="pca")
    with pytest.raises(StorageError, match="does not hold principal components"):
        PCA.from_saved(path)


@pytest.mark.parametrize("value", [0, -1, 2.0, "3", True, None])
def test_numbers_are_positive_integers(value):
    for make_it in (
        lambda: PCA.from_svd(make(), value),
        lambda: PCA.from_batch(train_batch(make()), value),
        lambda: PCA.from_batch(train_batch(make()), 2, epochs=value),
    ):
        with pytest.raises(ConfigError, match="whole number"):
            make_it()


def test_more_components_than_data():
    with pytest.raises(DataError, match="13 components were asked of data with 12 columns"):
        PCA.from_batch(train_batch(make()), 13)
    with pytest.raises(DataError, match="4 components were asked of data with 3 rows"):
        PCA.from_batch(train_batch(make(rows=4), 3), 4)
    with pytest.raises(DataError, match="4 components were asked of data with 3 rows"):
        PCA.from_svd(make(rows=3), 4)


def test_what_cannot_be_meant():
    with pytest.raises(ConfigError, match="from_svd takes a tensor"):
        PCA.from_batch(make(), K)
    with pytest.raises(ShapeError, match=r"expected \(rows, columns\)"):
        PCA.from_svd(np.ones(5), 1)
    data = make()
    data[7, 3] = np.nan
    with pytest.raises(DataError, match="nan in column 3"):
        PCA.from_svd(data, K)
    with pytest.raises(ShapeError, match=r"expected \(n, k\), \(k,\) and \(n,\)"):
        PCA(np.ones((3, 2)), np.ones(3), np.ones(3))
    with pytest.raises(ShapeError, match=r"shape \(2, 3\), expected \(rows, 12\)"):
        PCA.from_svd(make(), K).transform(be.ones((2, 3)))


def test_a_transform_that_makes_nan_is_told():
    data = np.abs(make()) + 1
    data[100, 5] = 0
    batch = in_memory_batch(data, 64, 0.9, pre.Transformation(lambda x: be.log(x)))
    with pytest.raises(DataError, match="-inf in column 5"):
        PCA.from_batch(batch, K)


def test_rows_of_any_kind_are_transformed():
    components = PCA.from_svd([[1.0, 0.0], [0.0, 2.0], [0.0, 0.0]], 1)
    rows = [[3, 1], [2, 2]]
    wanted = be.to_numpy_array(components.transform(be.float_tensor(rows)))
    for given in (rows, np.array(rows), pd.DataFrame(rows)):
        assert be.is_tensor(components.project(given))
        np.testing.assert_array_equal(be.to_numpy_array(components.transform(given)), wanted)


def test_text_is_no_table():
    with pytest.raises(DataError, match="no table of numbers"):
        PCA.from_svd([[1, "a"]], 1)
