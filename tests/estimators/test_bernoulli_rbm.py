"""BernoulliRBM: scikit-learn's meanings, held against sums over all states."""

import itertools

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from scipy.special import expit, logsumexp

pytest.importorskip("sklearn", reason="scikit-learn is not installed")

from sklearn.neural_network import BernoulliRBM as TheirRBM

from paysage import backends as be
from paysage import likelihood
from paysage.errors import ConfigError, DivergenceError, PaysageError
from paysage.sklearn import BernoulliRBM

V, H = 6, 4
FITTED = ("components_", "intercept_visible_", "intercept_hidden_")


def data(rows=200, seed=3):
    """Rows in which neighbouring units agree more often than not."""
    rng = np.random.RandomState(seed)
    halves = rng.rand(rows, V // 2) < 0.4
    flips = rng.rand(rows, V // 2) < 0.1
    return np.hstack([halves, halves ^ flips]).astype(np.float64)


def fitted(**settings):
    settings = {"n_components": H, "n_iter": 5, "random_state": 5, **settings}
    return BernoulliRBM(**settings).fit(data())


def log_weights(rbm, v):
    """Log of the sum over hidden states, by listing them."""
    h = np.array(list(itertools.product([0.0, 1.0], repeat=len(rbm.components_))))
    energy = v @ rbm.components_.T @ h.T + h @ rbm.intercept_hidden_
    return v @ rbm.intercept_visible_ + logsumexp(energy, axis=1)


def all_rows():
    return np.array(list(itertools.product([0.0, 1.0], repeat=V)))


def test_score_is_the_mean_log_likelihood():
    rbm, v = fitted(), data()
    log_z = logsumexp(log_weights(rbm, all_rows()))
    assert np.isclose(rbm.score(v), log_weights(rbm, v).mean() - log_z, atol=1e-4)
    assert rbm.score_interval_ == (rbm.score(v), rbm.score(v))
    assert np.isclose(rbm.log_partition_, log_z, atol=1e-4)


def test_score_of_a_larger_machine_has_an_interval_that_holds_the_truth():
    rbm, v = fitted(n_components=15), np.tile(data(), 3)
    rbm.fit(v)
    score = rbm.score(v, betas=300)
    low, high = rbm.score_interval_
    exact = rbm.machine()
    truth = likelihood.log_likelihood(
        exact, be.float_tensor(v), likelihood.exact_log_partition(exact)
    )
    assert low < score < high
    assert low <= truth.mean <= high
    assert rbm.score(v, betas=300) == score


def test_score_samples_is_the_exact_pseudo_likelihood():
    rbm, v = fitted(), data(20)
    expected = np.zeros(len(v))
    for i in range(V):
        other = v.copy()
        other[:, i] = 1 - other[:, i]
        expected -= np.logaddexp(0, log_weights(rbm, other) - log_weights(rbm, v))
    np.testing.assert_allclose(rbm.score_samples(v), expected, rtol=1e-9)


@pytest.mark.parametrize("strength", [40.0, 1e4])
def test_score_samples_does_not_cancel_at_strong_couplings(strength):
    rbm, v = fitted(), all_rows()
    rbm.components_ = np.round(strength * rbm.components_)
    rbm.intercept_visible_ = np.round(strength * rbm.intercept_visible_)
    expected = np.zeros(len(v))
    for i in range(V):
        other = v.copy()
        other[:, i] = 1 - other[:, i]
        expected -= np.logaddexp(0, log_weights(rbm, other) - log_weights(rbm, v))
    assert expected.min() < -50
    np.testing.assert_allclose(rbm.score_samples(v), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.filterwarnings("ignore:binary units")
def test_score_samples_of_scikit_learns_own_test_input_is_finite():
    """As in scikit-learn's test_score_samples: values far from zero and one."""
    X = np.vstack([np.zeros(1000), np.ones(1000)])
    rbm = BernoulliRBM(n_components=10, batch_size=2, n_iter=10, random_state=42).fit(X)
    assert np.isfinite(rbm.score_samples([np.arange(1000) * 100])).all()
    np.testing.assert_allclose(rbm.score_samples(csr_matrix(X)), rbm.score_samples(X), rtol=1e-12)


def test_score_samples_is_the_mean_of_scikit_learns():
    rbm, v = fitted(), data(10)
    theirs = TheirRBM(n_components=H, n_iter=0).fit(v)
    for name in FITTED:
        setattr(theirs, name, getattr(rbm, name))
    draws = np.array([theirs.set_params(random_state=s).score_samples(v) for s in range(1000)])
    error = draws.std(axis=0) / np.sqrt(len(draws))
    assert (np.abs(draws.mean(axis=0) - rbm.score_samples(v)) < 4 * error).all()


def test_transform_and_reconstruct_are_means():
    rbm, v = fitted(), data()
    means = expit(v @ rbm.components_.T + rbm.intercept_hidden_)
    np.testing.assert_allclose(rbm.transform(v), means, rtol=1e-12)
    back = expit(means @ rbm.components_ + rbm.intercept_visible_)
    np.testing.assert_allclose(rbm.reconstruct(v), back, rtol=1e-12)


def test_gibbs_and_sample_keep_the_distribution():
    rbm, number = fitted(), 4000
    states = all_rows()
    p = np.exp(log_weights(rbm, states) - logsumexp(log_weights(rbm, states)))
    mean = p @ states
    error = np.sqrt(mean * (1 - mean) / number)
    start = states[np.random.RandomState(0).choice(len(states), number, p=p)]
    moved = rbm.gibbs(start)
    assert moved.dtype == bool and not (moved == start).all()
    for rows in (moved, rbm.sample(number, n_steps=50)):
        assert rows.shape == (number, V)
        assert (np.abs(rows.mean(axis=0) - mean) < 4 * error).all()


def test_partial_fit_steps_along_the_gradient():
    v, rate, repeats = data(50), 0.01, 300
    first = fitted(batch_size=50)
    states = all_rows()
    p = np.exp(log_weights(first, states) - logsumexp(log_weights(first, states)))
    means = [expit(x @ first.components_.T + first.intercept_hidden_) for x in (v, states)]
    expected = means[0].T @ v / len(v) - (means[1] * p[:, None]).T @ states
    steps = []
    for k in range(repeats):
        rbm = BernoulliRBM(H, learning_rate=rate, batch_size=50, random_state=k)
        for name in (*FITTED, "n_features_in_"):
            setattr(rbm, name, getattr(first, name))
        start = states[np.random.RandomState(k).choice(len(states), 50, p=p)]
        rbm.chains_ = [start, np.zeros((50, H))]
        rbm.partial_fit(v)
        steps.append((rbm.components_ - first.components_) / rate)
    error = np.std(steps, axis=0) / np.sqrt(repeats)
    # float32 parameters around one, of which a hundredth of the gradient is added
    assert (np.abs(np.mean(steps, axis=0) - expected) < 4.5 * error + 2e-5).all()


def test_partial_fit_goes_on_with_its_chains():
    rbm = BernoulliRBM(H, batch_size=8, random_state=1)
    assert rbm.partial_fit(data()) is rbm
    before = rbm.h_samples_.copy()
    assert before.shape == (8, H)
    rbm.partial_fit(data())
    assert not (rbm.h_samples_ == before).all()
    with pytest.raises(ValueError, match="features"):
        rbm.partial_fit(data()[:, :4])


def test_learns_as_well_as_scikit_learns():
    settings = {"n_components": 8, "learning_rate": 0.2, "n_iter": 30, "random_state": 0}
    ours, theirs = BernoulliRBM(**settings).fit(data(400)), TheirRBM(**settings).fit(data(400))
    judge, held_out = fitted(n_components=8), data(400, seed=8)
    for name in FITTED:
        setattr(judge, name, getattr(theirs, name))
    assert ours.score(held_out) > judge.score(held_out) - 0.1
    untrained = BernoulliRBM(**{**settings, "n_iter": 0}).fit(data(400))
    assert ours.score(held_out) > untrained.score(held_out) + 0.4


def test_visible_biases_start_from_the_means_of_the_columns():
    v = data(50)
    v[:, 0] = 0.0
    means = (50 * v.mean(axis=0) + 0.5) / 51
    settings = {"n_components": H, "n_iter": 0, "random_state": 0}
    start = BernoulliRBM(**settings).fit(v).intercept_visible_
    np.testing.assert_allclose(expit(start), means, rtol=1e-5)
    zeros = BernoulliRBM(**settings, visible_init="zeros").fit(v).intercept_visible_
    np.testing.assert_array_equal(zeros, 0.0)
    with pytest.raises(ConfigError, match="visible_init must be 'means' or 'zeros', got 'mean'"):
        BernoulliRBM(visible_init="mean").fit(v)


def test_hidden_features_of_wide_sparse_data_differ_between_rows():
    """A thousand columns, ten words of one of five topics in each row; from zero biases, the
    hidden units are all on.
    """
    rng = np.random.RandomState(0)
    columns = [rng.choice(20, 10, replace=False) + 20 * (i % 5) for i in range(300)]
    rows = np.repeat(np.arange(300), 10)
    X = csr_matrix((np.ones(3000), (rows, np.concatenate(columns))), shape=(300, 8000))
    settings = {"n_components": 8, "learning_rate": 0.1, "n_iter": 10, "random_state": 0}
    features = BernoulliRBM(**settings).fit(X).transform(X)
    assert features.std(axis=0).min() > 0.01
    assert 0.05 < features.mean() < 0.95
    saturated = BernoulliRBM(**settings, visible_init="zeros").fit(X).transform(X)
    assert saturated.std(axis=0).max() < 0.01 and saturated.mean() > 0.99


def test_sparse_data_give_what_dense_data_give():
    v = data()
    dense, sparse = fitted(), BernoulliRBM(H, n_iter=5, random_state=5).fit(csr_matrix(v))
    for name in FITTED:
        np.testing.assert_allclose(getattr(sparse, name), getattr(dense, name), atol=1e-6)
    for method in ("transform", "reconstruct", "score_samples", "score"):
        expected = getattr(dense, method)(v)
        np.testing.assert_allclose(
            getattr(dense, method)(csr_matrix(v)), expected, rtol=1e-12, err_msg=method
        )
    assert sparse.gibbs(csr_matrix(v)).shape == v.shape
    assert sparse.partial_fit(csr_matrix(v)) is sparse


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_precision_is_that_of_the_data(dtype):
    rbm = BernoulliRBM(H, n_iter=1, random_state=5).fit(data().astype(dtype))
    for name in FITTED:
        assert getattr(rbm, name).dtype == dtype, name
    assert rbm.transform(data().astype(dtype)).dtype == dtype
    assert rbm.reconstruct(data().astype(dtype)).dtype == dtype
    assert rbm.sample(3, n_steps=2).dtype == dtype


def test_random_state_alone_decides_and_the_backends_stream_goes_on():
    state = be.get_random_state()
    first = fitted(random_state=np.random.RandomState(4))
    sample, step = first.sample(5, n_steps=3), first.gibbs(data())
    assert be.get_random_state() == state
    be.set_seed(99)
    second = fitted(random_state=np.random.RandomState(4))
    for name in FITTED:
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))
    np.testing.assert_array_equal(sample, second.sample(5, n_steps=3))
    np.testing.assert_array_equal(step, second.gibbs(data()))
    assert not (fitted(random_state=6).components_ == first.components_).all()


def test_verbose_says_what_scikit_learn_says(capsys):
    fitted(n_iter=2, verbose=1)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert lines[1].startswith("[BernoulliRBM] Iteration 2, pseudo-likelihood = -")
    fitted()
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    "setting", [{"n_components": 0}, {"learning_rate": 0}, {"batch_size": 2.5}, {"n_iter": -1}]
)
def test_bad_settings_are_named(setting):
    with pytest.raises(ConfigError, match=next(iter(setting))):
        fitted(**setting)


def test_bad_data_are_named():
    with pytest.warns(UserWarning, match=r"from 0 to 1, got values from 0 to 255"):
        BernoulliRBM(2, n_iter=1).fit(np.array([[0.0, 255.0]]))
    with pytest.raises(ValueError, match="3 features"):
        fitted().gibbs(np.zeros((2, 3)))
    with pytest.raises(PaysageError, match="n_samples"):
        fitted().sample(0)
    with pytest.raises(DivergenceError, match="NaN or infinite"):
        fitted(learning_rate=1e39)
