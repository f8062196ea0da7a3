"""The other machines, held against the library's own inference and exact sums."""

import itertools

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from scipy.special import logsumexp

pytest.importorskip("sklearn", reason="scikit-learn is not installed")

from sklearn.base import clone

from paysage import backends as be
from paysage import likelihood
from paysage.errors import ConfigError, DataWarning
from paysage.models import State
from paysage.sklearn import BernoulliRBM, DeepBoltzmannMachine, GaussianRBM, HopfieldNetwork
from paysage.sklearn.rows import Minibatches

SMALL = {"n_iter": 20, "learning_rate": 0.01, "batch_size": 20, "random_state": 2}
MACHINES = [
    GaussianRBM(4, **SMALL),
    HopfieldNetwork(3, **SMALL),
    DeepBoltzmannMachine((5, 4), **SMALL),
]
by_name = pytest.mark.parametrize("machine", MACHINES, ids=lambda m: type(m).__name__)


def data(machine, rows=200):
    """Pairs of features that agree more often than not."""
    rng = np.random.RandomState(3)
    halves = (rng.rand(rows, 3) < 0.4) * 1.0
    if isinstance(machine, GaussianRBM):
        halves = 2.0 * halves + rng.randn(rows, 3)
        return np.hstack([halves, 5.0 + 3.0 * halves + rng.randn(rows, 3)])
    return np.hstack([halves, np.abs(halves - (rng.rand(rows, 3) < 0.1))])


@by_name
def test_score_is_the_exact_log_likelihood_or_the_bound(machine):
    X = data(machine)
    machine.fit(X)
    model, rows = machine.machine(), be.float_tensor(X)
    log_z = likelihood.exact_log_partition(model)
    deep = isinstance(machine, DeepBoltzmannMachine)
    measure = likelihood.variational_bound if deep else likelihood.log_likelihood
    assert np.isclose(machine.score(X), measure(model, rows, log_z).mean, atol=1e-3)
    untrained = type(machine)(**{**machine.get_params(), "n_iter": 0}).fit(X)
    assert machine.score(X) > untrained.score(X) + 0.05


@by_name
def test_transform_is_the_mean_of_the_last_layer(machine):
    X = data(machine)
    model = machine.fit(X).machine()
    state = State.from_visible_means(be.float_tensor(X), model)
    state = model.mean_field_iteration(200, state, clamped=[0])
    means = be.to_numpy_array(state[len(state) - 1])
    np.testing.assert_allclose(machine.transform(X), means, atol=1e-4)
    back = be.to_numpy_array(model.mean_field_iteration(1, state)[0])
    np.testing.assert_allclose(machine.reconstruct(X), back, rtol=1e-3, atol=1e-3)


@by_name
def test_samples_are_those_of_the_machine(machine):
    machine.fit(data(machine))
    number, model = 4000, machine.machine()
    rows = machine.sample(number, n_steps=100)
    chains = model.markov_chain(300, State.from_model(number, model))
    other = be.to_numpy_array(chains[0])
    gap = rows.mean(axis=0) - other.mean(axis=0)
    error = np.sqrt((rows.var(axis=0) + other.var(axis=0)) / number)
    assert (np.abs(gap) < 4 * error).all()
    spread = np.abs(np.cov(rows.T) - np.cov(other.T))
    scale = np.sqrt(2 * np.outer(rows.var(axis=0), rows.var(axis=0)) / number)
    assert (spread < 6 * scale).all()  # fourth moments of the units are a few squared variances


@by_name
def test_sparse_data_give_what_dense_data_give(machine):
    X = data(machine)
    dense = machine.fit(X).transform(X)
    np.testing.assert_allclose(machine.transform(csr_matrix(X)), dense, rtol=1e-12)
    again = machine.fit(csr_matrix(X)).transform(X)
    np.testing.assert_allclose(again, dense, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("make", [np.array, csr_matrix], ids=["dense", "sparse"])
def test_minibatches_are_shuffled_in_every_iteration(make):
    X = np.arange(1, 26, dtype=np.float64).reshape(-1, 1)

    def orders(seed):
        minibatches = Minibatches(
            make(X), 10, None if seed is None else np.random.RandomState(seed)
        )
        passes = [[be.to_numpy_array(v)[:, 0] for v in minibatches] for _ in range(2)]
        assert [len(v) for v in passes[0]] == [10, 10, 5]
        return [np.concatenate(one).tolist() for one in passes]

    first, second = orders(1)
    assert first != second and sorted(first) == sorted(second) == X[:, 0].tolist()
    assert orders(1) == [first, second] and orders(2)[0] != first
    assert orders(None) == [X[:, 0].tolist()] * 2


@pytest.mark.parametrize("machine", [*MACHINES, BernoulliRBM(3, **SMALL)], ids=repr)
def test_rows_are_shuffled_unless_they_are_to_keep_their_order(machine):
    X = data(machine)
    X = X[np.argsort(X[:, 0], kind="stable")]
    found = [
        clone(machine).set_params(shuffle=shuffle, n_iter=2).fit(X).transform(X)
        for shuffle in (True, True, False)
    ]
    np.testing.assert_array_equal(found[0], found[1])
    assert not np.allclose(found[0], found[2])
    with pytest.raises(ConfigError, match="shuffle must be True or False"):
        clone(machine).set_params(shuffle="often").fit(X)


def test_the_interval_of_a_deep_machine_holds_the_truth():
    machine = DeepBoltzmannMachine((15, 15), **{**SMALL, "n_iter": 2})
    X = np.tile(data(machine), 3)
    score = machine.fit(X).score(X, betas=300)
    truth = likelihood.exact_log_partition(machine.machine())
    low, high = machine.log_partition_interval_
    assert low <= truth <= high
    assert machine.score_interval_[0] < score < machine.score_interval_[1]


def test_verbose_says_how_reconstructions_go(capsys):
    GaussianRBM(2, n_iter=1, verbose=1).fit(data(MACHINES[0]))
    assert "[GaussianRBM] Iteration 1, reconstruction error = " in capsys.readouterr().out


@pytest.mark.parametrize("sizes", [(), 5, (3, 0)])
def test_bad_sizes_are_named(sizes):
    with pytest.raises(ConfigError, match="hidden_layer_sizes"):
        DeepBoltzmannMachine(sizes).fit(data(MACHINES[1]))


def enumerated_log_likelihood(rbm, X):
    """Mean log-likelihood from the fitted attributes, in double precision, hidden states listed."""
    h = np.array(list(itertools.product([0.0, 1.0], repeat=len(rbm.components_))))
    mean, var = rbm.intercept_visible_, rbm.variance_visible_
    # the energy around the mean of the visible units, which shifts the hidden biases
    biases = rbm.intercept_hidden_ + rbm.components_ @ (mean / var)
    field = h @ rbm.components_
    log_z = logsumexp(h @ biases + (field**2 / (2 * var)).sum(axis=1))
    log_z += 0.5 * np.log(2 * np.pi * var).sum()
    gap = (X - mean) / var
    energy = logsumexp(h @ biases + gap @ field.T, axis=1)
    return (energy - 0.5 * ((X - mean) ** 2 / var).sum(axis=1)).mean() - log_z


@pytest.mark.parametrize("offset", [0.0, 1e5, 1e7])
def test_gaussian_score_does_not_depend_on_a_large_offset(offset):
    X = data(MACHINES[0])
    rbm = GaussianRBM(4, **SMALL).fit(X + offset)
    score = rbm.score(X + offset)
    assert score == pytest.approx(enumerated_log_likelihood(rbm, X + offset), abs=1e-6)
    assert score == pytest.approx(GaussianRBM(4, **SMALL).fit(X).score(X), abs=0.01)
    gap = rbm.sample(4000, 50).mean(axis=0) - offset - X.mean(axis=0)
    assert (np.abs(gap) < 0.3 * X.std(axis=0)).all()


@pytest.mark.parametrize("kind", ["small", "large", "mixed"])
def test_gaussian_features_of_any_scale_train_alike(kind):
    X = data(MACHINES[0])
    scale = {"small": 1e-3, "large": 1e3, "mixed": 10.0 ** np.linspace(-3, 3, X.shape[1])}[kind]
    unit = GaussianRBM(4, **SMALL).fit(X / X.std(axis=0))
    rbm = GaussianRBM(4, **SMALL).fit(X / X.std(axis=0) * scale)
    rows = X / X.std(axis=0)
    if kind != "mixed":  # the shrinkage of the variances depends on the other columns
        np.testing.assert_allclose(rbm.transform(rows * scale), unit.transform(rows), atol=0.02)
    errors = [
        np.sqrt(np.square(each.reconstruct(rows * by) / by - rows).mean())
        for each, by in ((unit, 1.0), (rbm, scale))
    ]
    assert errors[0] < 0.95
    assert errors[1] == pytest.approx(errors[0], rel=0.05)


def test_gaussian_machine_has_the_energies_of_the_attributes():
    X = data(MACHINES[0]) + 100.0
    rbm = GaussianRBM(4, **SMALL).fit(X)
    model = rbm.machine()
    log_z = likelihood.exact_log_partition(model)
    assert log_z == pytest.approx(rbm.log_partition_ if rbm.score(X) else 0.0, abs=1e-3)
    found = likelihood.log_likelihood(model, X, log_z).mean
    assert found == pytest.approx(rbm.score(X), abs=1e-3)


def test_constant_features_are_named():
    X = np.hstack([data(MACHINES[0]), np.full((200, 2), 3.0)])
    with pytest.warns(DataWarning, match=r"2 of 8 columns are constant .* column 6"):
        rbm = GaussianRBM(4, **SMALL).fit(X)
    np.testing.assert_allclose(rbm.reconstruct(X)[:, 6:], 3.0, atol=0.2)
