"""The estimators among scikit-learn's tools: its own checks, pipelines, searches, pickles."""

import io
import os
import pickle
import subprocess
import sys
import warnings

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("sklearn", reason="scikit-learn is not installed")

import joblib
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline
from sklearn.utils.estimator_checks import check_estimator

from paysage import backends as be
from paysage.errors import DataError, PaysageError
from paysage.sklearn import (
    BernoulliRBM,
    DeepBoltzmannMachine,
    GaussianRBM,
    HopfieldNetwork,
    RBMClassifier,
)

SMALL = {"n_iter": 2, "random_state": 0}
ESTIMATORS = [
    BernoulliRBM(n_components=5, **SMALL),
    GaussianRBM(n_components=5, **SMALL),
    HopfieldNetwork(n_components=5, **SMALL),
    DeepBoltzmannMachine((6, 5), **SMALL),
]
by_name = pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda e: type(e).__name__)


everyone = pytest.mark.parametrize(
    "estimator", [*ESTIMATORS, RBMClassifier(5, **SMALL)], ids=lambda e: type(e).__name__
)


@everyone
def test_scikit_learn_finds_nothing_to_complain_about(estimator):
    with warnings.catch_warnings():
        # its data are no binary units, and it says which checks it cannot make
        warnings.simplefilter("ignore", UserWarning)
        results = check_estimator(clone(estimator), on_fail=None)
    found = {r["check_name"]: r["exception"] for r in results if r["status"] == "failed"}
    assert not found
    assert sum(r["status"] == "passed" for r in results) > 40


ROW_METHODS = (
    "fit",
    "fit_transform",
    "partial_fit",
    "transform",
    "reconstruct",
    "score_samples",
    "score",
    "predict",
    "predict_proba",
    "gibbs",
)
MET_BY_ROWS = [
    pytest.param(estimator, method, id=f"{type(estimator).__name__}-{method}")
    for estimator in [*ESTIMATORS, RBMClassifier(5, **SMALL)]
    for method in ROW_METHODS
    if hasattr(estimator, method)
]


def call(estimator, method, rows, labels):
    if method in ("fit", "fit_transform", "partial_fit", "score"):
        return getattr(estimator, method)(rows, labels)
    return getattr(estimator, method)(rows)


@pytest.mark.parametrize(("estimator", "method"), MET_BY_ROWS)
def test_masked_arrays_are_refused(estimator, method):
    rows = (np.random.default_rng(0).random((20, 4)) < 0.4).astype(float)
    labels = np.arange(20) % 2
    masked = np.ma.masked_array(rows, mask=np.eye(20, 4, dtype=bool))
    estimator = clone(estimator).fit(rows, labels)
    with pytest.raises(DataError, match="masked"):
        call(estimator, method, masked, labels)


@pytest.mark.parametrize(("estimator", "method"), MET_BY_ROWS)
def test_dates_and_reordered_columns_are_refused(estimator, method):
    rows = (np.random.default_rng(0).random((20, 4)) < 0.4).astype(float)
    labels = np.arange(20) % 2
    frame = pd.DataFrame(rows, columns=list("abcd"))
    estimator = clone(estimator).fit(frame, labels)
    with pytest.raises(DataError, match="dates"):
        call(estimator, method, np.full((20, 4), np.datetime64("2026-01-01")), labels)
    if method not in ("fit", "fit_transform"):
        with pytest.raises(ValueError, match="feature names"):
            call(estimator, method, frame[list("bacd")], labels)
        with pytest.raises(ValueError, match="features"):
            call(estimator, method, rows[:, :3], labels)


def attributes_of(estimator):
    """The attributes by name, with copies of arrays."""
    return pickle.loads(pickle.dumps(vars(estimator)))


def assert_same_attributes(estimator, before):
    assert vars(estimator).keys() == before.keys()
    for name, value in vars(estimator).items():
        if name == "generator_":
            assert value.get_state() == before[name].get_state()
        else:
            np.testing.assert_equal(value, before[name], err_msg=name)


REFUSED = {
    "setting": ({"batch_size": 0}, lambda rows: rows[:, :3]),
    "divergence": ({"learning_rate": 1e39, "n_iter": 3}, lambda rows: rows[:, :3]),
    "data": ({}, lambda rows: np.full((20, 3), np.nan)),
}


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize("why", REFUSED)
@everyone
def test_a_refused_fit_leaves_all_attributes_as_they_were(estimator, why, method):
    if not hasattr(estimator, method):
        pytest.skip("no such method")
    settings, data = REFUSED[why]
    rows = (np.random.default_rng(0).random((20, 4)) < 0.4).astype(float)
    labels = np.arange(20) % 2
    fitted = clone(estimator).fit(pd.DataFrame(rows, columns=list("abcd")), labels)
    fitted.set_params(**settings)
    before = attributes_of(fitted)
    other = (
        data(rows) if method == "fit" or why == "data" else pd.DataFrame(rows, columns=list("abcd"))
    )
    with pytest.raises((ValueError, PaysageError)):
        call(fitted, method, pd.DataFrame(other) if method == "fit" else other, np.arange(20) % 3)
    assert_same_attributes(fitted, before)


def test_masked_labels_are_refused():
    labels = np.ma.masked_array(np.arange(20) % 2, mask=np.arange(20) == 3)
    with pytest.raises(DataError, match="masked"):
        RBMClassifier(5, **SMALL).fit(np.eye(20), labels)


def digits():
    images, labels = load_digits(return_X_y=True)
    return (images[:300] / 16 > 0.5).astype(np.float32), labels[:300]


def arrays_only(thing):
    """Return True if nothing but arrays, numbers, names and generators is held."""
    if isinstance(thing, (list, tuple)):
        return all(map(arrays_only, thing))
    kinds = (np.ndarray, be.Generator, int, float, str, type(None))
    return isinstance(thing, kinds)


@by_name
def test_pickles_hold_arrays_and_serve_either_backend(estimator):
    X, y = digits()
    fitted = clone(estimator).fit(X, y)
    assert all(map(arrays_only, vars(fitted).values()))
    expected = fitted.transform(X[:5])
    sample = fitted.sample(4, n_steps=3)
    file = io.BytesIO()
    joblib.dump(fitted, file)
    file.seek(0)
    pickled = pickle.dumps(fitted)
    other = "pytorch" if be.get_backend().backend == "python" else "python"
    be.set_backend(other, "cpu")
    for twin in (pickle.loads(pickled), joblib.load(file)):
        np.testing.assert_allclose(twin.transform(X[:5]), expected, rtol=1e-4, atol=1e-5)
        assert twin.sample(4, n_steps=3).shape == sample.shape


@by_name
def test_names_of_features_come_out(estimator):
    X, y = digits()
    fitted = clone(estimator).fit(X, y)
    prefix = type(estimator).__name__.lower()
    assert fitted.get_feature_names_out()[0] == f"{prefix}0"
    frame = fitted.set_output(transform="pandas").transform(X[:3])
    assert list(frame.columns) == list(fitted.get_feature_names_out())
    assert len(frame.columns) == 5


@pytest.mark.backend_free
def test_a_column_alone_is_told_as_scikit_learn_tells_it():
    with pytest.raises(ValueError, match="Expected"):
        BernoulliRBM().fit(pd.Series([0.0, 1.0]))


@pytest.mark.backend_free
def test_a_search_over_a_pipeline_in_two_processes():
    X, y = digits()
    steps = [
        ("rbm", BernoulliRBM(60, n_iter=10, random_state=0)),
        ("logistic", LogisticRegression(C=1000, max_iter=500)),
    ]
    search = GridSearchCV(Pipeline(steps), {"rbm__learning_rate": [0.01, 0.1]}, cv=2, n_jobs=2)
    search.fit(X, y)
    assert search.best_score_ > 0.5  # a tenth by chance
    alone = clone(search).set_params(n_jobs=1).fit(X, y)
    np.testing.assert_allclose(
        alone.cv_results_["mean_test_score"], search.cv_results_["mean_test_score"], atol=0.02
    )


def run(code):
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ},
    )


@pytest.mark.backend_free
def test_without_scikit_learn_the_error_says_what_to_install():
    result = run("import sys; sys.modules['sklearn'] = None; import paysage.sklearn")
    assert "MissingDependencyError" in result.stderr
    assert "pip install 'paysage[sklearn]'" in result.stderr


@pytest.mark.backend_free
def test_the_package_does_not_hide_scikit_learn():
    code = "from paysage.sklearn import BernoulliRBM as R; import sklearn; "
    result = run(code + "print(sklearn.__version__, R().get_params()['n_components'])")
    assert result.returncode == 0, result.stderr
    assert result.stdout.split()[1] == "256"
