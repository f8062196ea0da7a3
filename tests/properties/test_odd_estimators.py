"""scikit-learn's estimators: what they learn of odd arrays is what they learn of plain ones."""

import warnings

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from hypothesis import assume, example
from hypothesis import strategies as st
from odd import (
    FLOATS,
    INTEGERS,
    ONE_HOT_ROWS,
    Handed,
    attempt,
    given,
    handed,
    is_number,
    is_whole,
    ordinary,
    things,
)

pytest.importorskip("sklearn", reason="scikit-learn is not installed")

from paysage import backends as be
from paysage.sklearn import (
    BernoulliRBM,
    DeepBoltzmannMachine,
    GaussianRBM,
    HopfieldNetwork,
    RBMClassifier,
)

#: the errors that scikit-learn's users expect of bad input
CONTRACT = (ValueError, TypeError)
REFUSED = "refused"
SMALL = {"n_iter": 2, "batch_size": 3, "random_state": 0}
KINDS = {
    "BernoulliRBM": lambda **o: BernoulliRBM(2, **{**SMALL, **o}),
    "GaussianRBM": lambda **o: GaussianRBM(2, **{**SMALL, **o}),
    "HopfieldNetwork": lambda **o: HopfieldNetwork(2, **{**SMALL, **o}),
    "DeepBoltzmannMachine": lambda **o: DeepBoltzmannMachine((2, 2), **{**SMALL, **o}),
}
NAMES = st.sampled_from(sorted(KINDS))
VALUES = ("binary", "means", "constant", "nan", "inf", "huge", "normal", "tiny")
_TABLES = handed(
    st.one_of(st.tuples(st.integers(0, 7), st.integers(0, 4)), st.sampled_from([(), (3,)])),
    values=VALUES,
    dtypes=(*FLOATS, *INTEGERS),
)


def is_for_sklearn(x):
    """It takes no tensor with a gradient; the estimators take sparse matrices, see below."""
    return not getattr(x.what, "requires_grad", False) and x.made != "sparse"


TABLES = _TABLES.filter(is_for_sklearn)


def quietly(function, *args, **kwargs):
    """The result, or REFUSED; words about the range of data are not what is looked at."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        warnings.simplefilter("ignore", FutureWarning)
        warnings.simplefilter("ignore", DeprecationWarning)
        found = attempt(function, *args, **kwargs, also=CONTRACT)
    return REFUSED if isinstance(found, str) else found


def same_type(x):
    """The numbers as a plain array of the precision that the estimator works in."""
    dtype = np.asarray(x.what).dtype if not hasattr(x.what, "detach") else x.means.dtype
    single = dtype.kind == "f" and dtype.itemsize == 4
    return np.ascontiguousarray(x.means, np.float32 if single else np.float64)


def attributes(estimator):
    found = {k: v for k, v in vars(estimator).items() if k.endswith("_") and k != "generator_"}
    return {k: v for k, v in found.items() if k not in ("feature_names_in_", "chains_")}


def assert_alike(one, other):
    ours, theirs = attributes(one), attributes(other)
    assert ours.keys() == theirs.keys()
    for name, value in ours.items():
        pairs = (
            zip(value, theirs[name], strict=True)
            if isinstance(value, list)
            else [(value, theirs[name])]
        )
        for a, b in pairs:
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
            assert np.isfinite(np.asarray(a, np.float64)).all()


DATES = np.zeros((3, 2), "datetime64[s]")


@given(NAMES, TABLES)
@example("BernoulliRBM", Handed(DATES, None, "dates"))
@example("GaussianRBM", Handed(pd.DataFrame(DATES), None, "dates"))
@example("GaussianRBM", Handed(list(map(list, DATES)), None, "dates"))
@example("GaussianRBM", Handed(np.array([[DATES[0, 0], 1.0]] * 3, object), None, "a date"))
@example("BernoulliRBM", Handed(pd.Series([0.0, 1.0]), np.array([0.0, 1.0]), "a column"))
def test_fits(name, x):
    found = quietly(KINDS[name]().fit, x.what)
    good = x.means is not None and x.means.ndim == 2 and x.means.size > 0
    good = good and bool(np.isfinite(x.means).all())
    if not good:
        assert found is REFUSED
    if found is REFUSED:
        # some of the numbers that scikit-learn takes are too large to learn from
        assert not good or np.abs(x.means).max() > 1e10 or _not_for_sklearn(x)
        return
    again = quietly(KINDS[name]().fit, same_type(x))
    assert_alike(found, again)
    for act in ("transform", "reconstruct"):
        a, b = getattr(found, act)(x.what), getattr(again, act)(same_type(x))
        assert len(a) == len(x.means)
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
    assert x.same_now()


def _not_for_sklearn(x):
    """What NumPy takes for numbers and scikit-learn does not."""
    return any(word in x.made for word in ("longdouble", "objects", "matrix", "gradient"))


@given(st.tuples(st.integers(1, 7), st.integers(1, 4)), st.integers(0, 99), NAMES)
def test_sparse_rows(shape, seed, name):
    rng = np.random.default_rng(seed)
    x = rng.integers(0, 2, shape).astype(rng.choice([np.float32, np.float64]))
    plain = KINDS[name]().fit(x)
    for kind in (scipy.sparse.csr_array, scipy.sparse.csc_matrix, scipy.sparse.coo_array):
        sparse = KINDS[name]().fit(kind(x))
        assert_alike(sparse, plain)
        np.testing.assert_allclose(sparse.transform(kind(x)), plain.transform(x), rtol=1e-6)


OPTIONS = {
    "learning_rate": lambda v: is_number(v, 0) and v > 0,
    "batch_size": lambda v: is_whole(v, 1),
    "n_iter": lambda v: is_whole(v, 0),
    "n_components": lambda v: is_whole(v, 1),
}


SETTINGS = [*OPTIONS, "random_state", "verbose", "hidden_layer_sizes"]


@given(NAMES, st.sampled_from(SETTINGS), things())
def test_settings(name, option, thing):
    deep = name == "DeepBoltzmannMachine"
    assume(option != ("n_components" if deep else "hidden_layer_sizes"))
    estimator = KINDS[name]().set_params(**{option: thing})
    found = quietly(estimator.fit, np.eye(5)[:, :3])
    if option in OPTIONS:
        assert (found is REFUSED) == (not OPTIONS[option](thing))
    if found is not REFUSED:
        assert np.isfinite(estimator.transform(np.eye(3))).all()


@given(NAMES, things(), things())
def test_samples_and_scores(name, number, steps):
    estimator = KINDS[name]().fit(np.eye(6)[:, :3])
    found = quietly(estimator.sample, number, 2)
    assert (found is REFUSED) == (not is_whole(number, 1))
    found = quietly(estimator.sample, 2, steps)
    assert (found is REFUSED) == (not is_whole(steps, 0))
    assert found is REFUSED or found.shape == (2, 3)
    for option in ("num_chains", "betas"):
        quietly(estimator.score, np.eye(3), **{option: number})


@given(NAMES, TABLES)
@example("BernoulliRBM", ordinary(ONE_HOT_ROWS))
@example("GaussianRBM", ordinary(ONE_HOT_ROWS))
def test_rows_after_a_fit(name, x):
    estimator = KINDS[name]().fit(np.eye(6)[:, :3])
    acts = ["transform", "reconstruct", "score"]
    acts += ["score_samples", "gibbs", "partial_fit"] if name == "BernoulliRBM" else []
    good = x.means is not None and x.means.ndim == 2 and x.means.shape[1:] == (3,)
    good = good and x.means.size > 0 and bool(np.isfinite(x.means).all())
    for act in acts:
        found = quietly(getattr(estimator, act), x.what)
        assert good or found is REFUSED
        if found is not REFUSED and np.abs(x.means).max() < 1e3 and act != "partial_fit":
            again = KINDS[name]().fit(np.eye(6)[:, :3])
            found = quietly(getattr(KINDS[name]().fit(np.eye(6)[:, :3]), act), x.what)
            expected = quietly(getattr(again, act), same_type(x))
            np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
            assert np.isfinite(found).all()
    assert x.same_now()


LABELS = st.one_of(
    st.lists(st.sampled_from([0, 1, 2]), min_size=6, max_size=6),
    st.lists(st.sampled_from(["a", "b"]), min_size=4, max_size=6),
    handed(st.sampled_from([(6,), (6, 1), (5,), ()]), values=("binary", "nan", "normal"))
    .filter(is_for_sklearn)
    .map(lambda h: h.what),
    things(),
)


@given(LABELS, things())
def test_labels(labels, generative):
    rows = np.eye(6)[:, :4]

    def made(**options):
        return RBMClassifier(3, **{**SMALL, **options})

    found = quietly(made().fit, rows, labels)
    if found is not REFUSED:
        assert set(found.predict(rows)) <= set(found.classes_)
        np.testing.assert_allclose(found.predict_proba(rows).sum(axis=1), 1, rtol=1e-5)
        assert set(np.ravel(labels)) == set(found.classes_)
    found = quietly(made(generative=generative).fit, rows, [0, 1] * 3)
    assert (found is REFUSED) == (not (is_number(generative, 0, 1) and generative > 0))


@given(TABLES)
def test_rows_of_a_classifier(x):
    labels = np.arange(np.shape(x.means)[0] if np.ndim(x.means) else 3) % 2
    found = quietly(RBMClassifier(3, **SMALL).fit, x.what, labels)
    good = x.means is not None and x.means.ndim == 2 and min(x.means.shape) > 0
    good = good and len(labels) > 1 and bool(np.isfinite(x.means).all())
    if not good:
        assert found is REFUSED
    if found is not REFUSED:
        be.set_seed(137)
        again = quietly(RBMClassifier(3, **SMALL).fit, same_type(x), labels)
        assert_alike(found, again)
        np.testing.assert_allclose(
            found.predict_proba(x.what), again.predict_proba(same_type(x)), rtol=1e-4, atol=1e-5
        )
