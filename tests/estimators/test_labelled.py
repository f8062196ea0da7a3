"""RBMClassifier: probabilities of labels against sums over hidden states, and what it learns."""

import itertools
import pickle

import numpy as np
import pytest
import stationarity
from scipy.sparse import csr_matrix
from scipy.special import softmax

pytest.importorskip("sklearn", reason="scikit-learn is not installed")

from sklearn.datasets import load_digits

from paysage import backends as be
from paysage.errors import ConfigError, DataError, ShapeError
from paysage.models import State
from paysage.sklearn import RBMClassifier
from paysage.sklearn.joint import JointTraining
from paysage.testing import ExactMachine


def toy(rows=60):
    """Six binary features, three of which say which of three labels there is."""
    rng = np.random.RandomState(1)
    labels = rng.randint(3, size=rows)
    X = (rng.rand(rows, 6) < 0.3) * 1.0
    X[:, :3] = np.eye(3)[labels]
    return X, np.array(["a", "b", "c"])[labels]


def fitted(**settings):
    settings = {"n_components": 4, "n_iter": 60, "learning_rate": 0.05, **settings}
    return RBMClassifier(batch_size=10, random_state=0, **settings).fit(*toy())


@pytest.mark.parametrize("generative", [0.1, 1.0])
def test_probabilities_are_those_of_the_machine(generative):
    classifier, (X, y) = fitted(generative=generative), toy()
    model = classifier.machine()
    hidden = np.array(list(itertools.product([0.0, 1.0], repeat=4)))
    log_weights = np.empty((len(X), 3))
    for i, k in itertools.product(range(len(X)), range(3)):
        rows = [np.tile(X[i], (16, 1)), hidden, np.tile(np.eye(3)[k], (16, 1))]
        energy = be.to_numpy_array(model.joint_energy(State(rows))).astype(np.float64)
        log_weights[i, k] = np.log(np.exp(-energy).sum())
    expected = softmax(log_weights, axis=1)
    np.testing.assert_allclose(classifier.predict_proba(X), expected, atol=1e-5)
    assert (classifier.predict(X) == classifier.classes_[expected.argmax(axis=1)]).all()
    assert classifier.score(X, y) > 0.95


def test_the_conditional_part_is_the_gradient_of_log_p_of_the_label():
    classifier, (X, y) = fitted(n_iter=2), toy()
    number, step = np.searchsorted(classifier.classes_, y), 1e-5

    def loss(name, place, change):
        twin = pickle.loads(pickle.dumps(classifier))
        getattr(twin, name)[place] += change
        return np.log(twin.predict_proba(X)[np.arange(len(X)), number]).mean()

    training = JointTraining(classifier.machine(), None, len(X), 1e-9)
    labels = be.float_tensor(np.eye(3)[number])
    p, hidden, moments = map(be.to_numpy_array, training._conditional(be.float_tensor(X)))
    data = be.to_numpy_array(training._with_hidden_means(be.float_tensor(X), labels)[1])
    slopes = {
        "components_": (data - hidden).T @ X,
        "class_components_": data.T @ np.eye(3)[number] - moments.T,
        "intercept_classes_": (np.eye(3)[number] - p).sum(axis=0),
        "intercept_hidden_": (data - hidden).sum(axis=0),
    }
    for name, slope in slopes.items():
        for place in ((1, 2), (3, 0)) if slope.ndim == 2 else ((2,),):
            numeric = loss(name, place, step) - loss(name, place, -step)
            assert np.isclose(slope[place] / len(X), numeric / (2 * step), atol=1e-5), name


def test_a_step_joins_chains_and_the_conditional_part():
    classifier, (X, y) = fitted(n_iter=2), toy()
    seen = []

    class Spy:
        def update(self, model, gradient):
            seen.append(be.to_numpy_array(gradient.weights[1].matrix).copy())

    training = JointTraining(classifier.machine(), Spy(), len(X), 0.2)
    rows = be.float_tensor(X)
    labels = be.float_tensor(np.eye(3)[np.searchsorted(classifier.classes_, y)])
    training._step(rows, labels)
    chains = training._chains.get_state()
    assert chains.batch_size() == 15
    moments = be.to_numpy_array(training._conditional(rows)[2])

    def product(units, classes):
        hidden = be.to_numpy_array(training._with_hidden_means(units, classes)[1])
        return be.to_numpy_array(classes).T @ hidden

    expected = (product(chains[0], chains[2]) + moments) / 75 - product(rows, labels) / len(X)
    np.testing.assert_allclose(seen[0], expected, atol=1e-5)


def test_learns_to_read_digits():
    images, labels = load_digits(return_X_y=True)
    images = (images / 16).astype(np.float32)
    classifier = RBMClassifier(
        100, n_iter=20, learning_rate=0.01, batch_size=20, random_state=0
    ).fit(images[:1000], labels[:1000])
    assert classifier.score(images[1000:], labels[1000:]) > 0.85


def test_sparse_data_pickles_and_seeds():
    X, y = toy()
    state = be.get_random_state()
    first = fitted(n_iter=3)
    assert be.get_random_state() == state
    again = RBMClassifier(**first.get_params()).fit(csr_matrix(X), y)
    np.testing.assert_allclose(again.predict_proba(X), first.predict_proba(X), atol=1e-5)
    twin = pickle.loads(pickle.dumps(first))
    np.testing.assert_array_equal(twin.predict_proba(csr_matrix(X)), first.predict_proba(X))
    assert first.predict_proba(X.astype(np.float32)).dtype == np.float32


def test_rows_are_shuffled_unless_they_are_to_keep_their_order():
    X, _ = toy()
    found = [fitted(n_iter=3, shuffle=s).predict_proba(X) for s in (True, True, False)]
    np.testing.assert_array_equal(found[0], found[1])
    assert not np.allclose(found[0], found[2])


def test_verbose_says_how_many_are_right(capsys):
    fitted(n_iter=1, verbose=1)
    assert "[RBMClassifier] Iteration 1, accuracy = " in capsys.readouterr().out


def test_bad_parts_are_named():
    with pytest.raises(ConfigError, match="generative"):
        fitted(generative=0)


def test_one_class_is_named():
    with pytest.raises(DataError, match="one class"):
        RBMClassifier(2).fit(toy()[0], np.zeros(60))


def random_classifier():
    """Couplings of order one, so that a hundred sweeps forget where they began."""
    classifier, rng = fitted(n_iter=1), np.random.default_rng(2)
    for name in ("components_", "class_components_", "intercept_visible_"):
        shape = getattr(classifier, name).shape
        setattr(classifier, name, rng.standard_normal(shape))
    return classifier


def positions(rows):
    """Of binary rows among all of their width, last unit fastest."""
    return (rows @ 2.0 ** np.arange(rows.shape[1] - 1, -1, -1)).astype(int)


def test_samples_are_of_the_marginal_and_of_the_conditional_distributions():
    classifier, number = random_classifier(), 20000
    joint = ExactMachine(classifier.machine()).probabilities.reshape(64, 16, 3).sum(axis=1)
    rows = classifier.sample(number, n_steps=100)
    assert stationarity.chi_square(positions(rows), joint.sum(axis=1)) > 1e-4
    for k, label in enumerate("abc"):
        rows = classifier.sample(number, n_steps=100, label=label)
        right, other = (joint[:, i] / joint[:, i].sum() for i in (k, k - 1))
        assert stationarity.chi_square(positions(rows), right) > 1e-4
        assert stationarity.chi_square(positions(rows), other) < 1e-12


def test_each_sample_may_have_a_label_of_its_own():
    classifier, y = fitted(), toy()[1]
    rows = classifier.sample(len(y), n_steps=20, label=y)
    # the first three features say it, and are all that the label says
    assert np.mean(rows[:, :3].argmax(axis=1) == np.searchsorted(classifier.classes_, y)) > 0.9


def test_samples_follow_the_seed_and_go_on():
    first, second = fitted(n_iter=2), fitted(n_iter=2)
    state = be.get_random_state()
    drawn = [classifier.sample(50, n_steps=5) for classifier in (first, second)]
    assert be.get_random_state() == state
    np.testing.assert_array_equal(*drawn)
    assert not np.array_equal(first.sample(50, n_steps=5), drawn[0])
    assert first.sample().shape == (1, 6)


@pytest.mark.parametrize(
    ("settings", "error", "words"),
    [
        ({"label": "d"}, DataError, "got the label 'd'; the labels are"),
        ({"label": 1}, DataError, "got the label 1"),
        ({"label": [["a"], ["a", "b"]]}, ShapeError, "one for each: .* inhomogeneous"),
        ({"label": ["a", "b"]}, ShapeError, r"one for all 3 samples or one for each, got .*\(2,\)"),
        ({"n_samples": 0}, ConfigError, "n_samples"),
        ({"n_steps": -1}, ConfigError, "n_steps"),
    ],
)
def test_samples_that_cannot_be_drawn_are_named(settings, error, words):
    with pytest.raises(error, match=words):
        fitted(n_iter=1).sample(**{"n_samples": 3, **settings})
