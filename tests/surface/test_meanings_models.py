"""Meanings that version 0.2 had, or should have had: energies, β, sampling, metrics, storage.

Expected numbers were computed by hand, with plain NumPy or by enumeration.
"""

import itertools

import numpy as np
import pytest
from machines import array, build, pair, skip, state_of

from paysage import backends as be
from paysage import batch, fit, metrics, optimizers, penalties, preprocess, samplers
from paysage.errors import PaysageError
from paysage.layers import BernoulliLayer, GaussianLayer, OneHotLayer
from paysage.metrics import ModelAssessment
from paysage.models import BoltzmannMachine, State

LOG2 = float(np.log(2))


def data_batch(rows=60, columns=4):
    units = np.random.default_rng(0).integers(0, 2, (rows, columns)).astype(np.float32)
    return batch.in_memory_batch(units, 10, train_fraction=0.5)


# energies


def gaussian_bernoulli(center=False):
    """Two Gaussian units of variances 4 and 1, and one Bernoulli unit."""
    model = BoltzmannMachine([GaussianLayer(2, center=center), BernoulliLayer(1, center=center)])
    model.layers[0].params.loc[:] = be.float_tensor([1.0, 2.0])
    model.layers[0].params.log_var[:] = be.float_tensor([2 * LOG2, 0.0])
    model.layers[1].params.loc[:] = 0.5
    model.connections[0].weights.params.matrix[:] = be.float_tensor([[2.0], [1.0]])
    return model


def test_energy_of_a_gaussian_layer_is_a_sum_over_units():
    """Layers: 4/8 + 9/2 and -h/2; coupling: -(3/4·2 + 5·1) h."""
    model, visible = gaussian_bernoulli(), [[3.0, 5.0]] * 2
    energy = model.joint_energy(state_of([visible, [[0.0], [1.0]]]))
    np.testing.assert_allclose(array(energy), [5.0, 5.0 - 0.5 - 6.5], rtol=1e-6)


def test_centered_couplings_see_units_minus_their_running_mean():
    """Coupling: -((3 - 1)/4·2 + (5 - 4)·1) (1 - 0.25)."""
    model = gaussian_bernoulli(center=True)
    model.layers[0].offset[:] = be.float_tensor([1.0, 4.0])
    model.layers[1].offset[:] = 0.25
    energy = model.joint_energy(state_of([[[3.0, 5.0]], [[1.0]]]))
    np.testing.assert_allclose(array(energy), [5.0 - 0.5 - 2.0 * 0.75], rtol=1e-6)


def test_energy_of_a_deep_model_has_one_term_for_each_layer_and_connection():
    model = build("BOB", (1, 2, 1), scale=0.0)
    for layer, loc in zip(model.layers, ([1.0], [2.0, 4.0], [8.0]), strict=True):
        layer.params.loc[:] = be.float_tensor(loc)
    model.connections[0].weights.params.matrix[:] = be.float_tensor([[16.0, 32.0]])
    model.connections[1].weights.params.matrix[:] = be.float_tensor([[64.0], [128.0]])
    energy = model.joint_energy(
        state_of([[[1.0], [1.0]], [[0.0, 1.0], [1.0, 0.0]], [[1.0], [0.0]]])
    )
    np.testing.assert_array_equal(array(energy), [-(1 + 4 + 8 + 32 + 128), -(1 + 2 + 16)])


# the inverse temperature multiplies the whole energy


def test_beta_tempers_biases_and_fields():
    """Field and bias of one-hot units: log 4 and 0, so 2:1 at β = 1/2; Bernoulli: odds 9, so 3."""
    half = be.float_tensor([[0.5]])
    onehot, bernoulli = OneHotLayer(2), BernoulliLayer(1)
    onehot.params.loc[:] = be.float_tensor([LOG2, 0.0])
    mean = onehot.mean(be.float_tensor([[LOG2, 0.0]]), half)
    np.testing.assert_allclose(array(mean), [[2 / 3, 1 / 3]], rtol=1e-6)
    bernoulli.params.loc[:] = float(np.log(3))
    mean = bernoulli.mean(be.float_tensor([[np.log(3)]]), half)
    np.testing.assert_allclose(array(mean), [[0.75]], rtol=1e-6)


def test_beta_divides_the_variance_of_gaussian_units():
    layer, rows = GaussianLayer(1), 40_000
    layer.params.log_var[:] = LOG2
    layer.params.loc[:] = 3.0
    units = array(layer.sample(be.zeros((rows, 1)), 4.0 * be.ones((rows, 1))))
    assert units.var() == pytest.approx(2 / 4, rel=5 * (2 / rows) ** 0.5)
    assert units.mean() == pytest.approx(3.0, abs=5 * (0.5 / rows) ** 0.5)


# sweeps and samplers


def test_odd_layers_are_updated_first_and_even_ones_see_them():
    """Strong couplings copy layer 1 from layer 2 and then layers 0 and 2 from layer 1."""
    model = build("BBB", (1, 1, 1), scale=0.0)
    for layer in model.layers:
        layer.params.loc[:] = -1.0
    model.connections[0].weights.params.matrix[:] = 2.0
    model.connections[1].weights.params.matrix[:] = 8.0
    start = state_of([[[0.0]], [[0.0]], [[1.0]]])
    end = model.deterministic_iteration(1, start)
    assert [array(units).item() for units in end] == [1.0, 1.0, 1.0]
    assert [array(units).item() for units in start] == [0.0, 0.0, 1.0]


def test_clamping_is_an_argument_or_a_setting_of_the_model():
    model, rows = pair("BB"), np.eye(4)
    start = State.from_visible(be.float_tensor(rows), model)
    sampler = samplers.SequentialMC(model, clamped=[0])
    sampler.set_state(start)
    sampler.update_state(20)
    np.testing.assert_array_equal(array(sampler.state[0]), rows)
    assert model.clamped_sampling == []
    np.testing.assert_array_equal(array(model.markov_chain(20, start, clamped=[0])[0]), rows)
    assert not np.array_equal(array(model.markov_chain(20, start)[0]), rows)
    model.set_clamped_sampling([0])
    np.testing.assert_array_equal(array(model.markov_chain(20, start)[0]), rows)


def test_one_seed_governs_chains_and_inverse_temperatures():
    model, found = pair("GB"), []
    before = np.random.get_state()[1].copy()
    for _ in range(2):
        be.set_seed(11)
        sampler = samplers.SequentialMC.from_model(model, 5)
        sampler.update_state(3)
        found.append([array(sampler.beta_sampler.get_beta()), *map(array, sampler.state)])
    for one, other in zip(*found, strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(np.random.get_state()[1], before)


# metrics, by hand


def assessment(data, particles, reconstructions=None, model=None):
    seen = ModelAssessment(be.float_tensor(data), model)
    seen.model_state = state_of([particles])
    if reconstructions is not None:
        seen.reconstructions = state_of([reconstructions])
    return seen


def test_reconstruction_error_is_relative_to_the_variance_of_the_minibatch():
    """Mean squared errors 1 and 4; variance of 0, 2, 4, 6 with n - 1: 20/3."""
    seen = assessment([[0.0, 2.0], [4.0, 6.0]], [[0.0, 0.0]], [[1.0, 3.0], [4.0 + 8**0.5, 6.0]])
    expected = np.sqrt(2.5 / (20 / 3))
    assert metrics.ReconstructionError().measure(seen) == pytest.approx(expected, rel=1e-6)


def test_energy_coefficient_counts_all_pairs():
    """Data 0 and 2, particles 4 and 4: A = 3, B = 1 with the pairs of a row with itself, C = 0."""
    seen = assessment([[0.0], [2.0]], [[4.0], [4.0]])
    expected = np.sqrt((2 * 3 - 1 - 0) / 6)
    assert metrics.EnergyCoefficient().measure(seen) == pytest.approx(expected, rel=1e-6)


def test_divergence_compares_distances_to_the_kth_neighbour():
    """First neighbours: ρ = 3, 3, 4 among the data and ν = 1, 4, 8 among two particles."""
    seen = assessment([[0.0, 0.0], [3.0, 0.0], [7.0, 0.0]], [[-1.0, 0.0], [-2.0, 0.0]])
    logs, number = np.log([1 / 3, 4 / 3, 8 / 4]).mean(), np.log(2 / 2)
    for divide, factor in ((True, 1), (False, 2)):
        metric = metrics.KLDivergence(1, divide_dimension=divide)
        assert metric.measure(seen) == pytest.approx(factor * logs + number, abs=1e-5)
    # ρ = 1, 1 among the particles and ν = 1, 2 among the three rows of data
    expected = np.log([1 / 1, 2 / 1]).mean() + np.log(3 / 1)
    assert metrics.ReverseKLDivergence(1).measure(seen) == pytest.approx(expected, abs=1e-5)


def test_metrics_of_weights():
    """Columns (1, 1, 0) and (2, 0, 0): participation 4/(3·2) and 16/(3·16); squares 2 and 4."""
    model = build("BBB", (3, 2, 2))
    model.connections[0].weights.params.matrix[:] = be.float_tensor([[1, 2], [1, 0], [0, 0]])
    seen = ModelAssessment(np.zeros((1, 3)), model)
    assert metrics.WeightSparsity().measure(seen) == pytest.approx((2 / 3 + 1 / 3) / 2, rel=1e-6)
    assert metrics.WeightSquare().measure(seen) == pytest.approx(6 / 2, rel=1e-6)


def test_heat_capacity_is_a_variance_of_the_energy():
    """Energies 0 and -2 have the variance 2 with n - 1; the model has 1 + 1 + 1 parameters."""
    model = build("BB", (1, 1), scale=0.0)
    model.layers[0].params.loc[:] = 2.0
    model.layers[1].params.loc[:] = 0.0
    seen = ModelAssessment(np.zeros((2, 1)), model)
    seen.model_state = state_of([[[0.0], [1.0]], [[0.0], [0.0]]])
    assert metrics.HeatCapacity().measure(seen) == pytest.approx(2 / 3**0.5, rel=1e-6)


class Broken(metrics.Metric):
    """A metric that cannot be computed."""

    def measure(self, assessment):
        raise ValueError("no number")


def test_errors_of_metrics_reach_the_user_with_the_name_of_the_metric():
    trainer = fit.SGD(pair("BB"), data_batch())
    trainer.monitor.generator_metrics.append(Broken(name="mine"))
    with pytest.raises(PaysageError, match=r"mine.*ValueError: no number"):
        trainer.train(optimizers.ADAM(stepsize=0.01), 1, verbose=False)


# defaults, penalties, graphs and storage


def test_default_objects_are_not_shared():
    model, data = pair("BB"), data_batch()
    one, other = fit.SGD(model, data).monitor, fit.SGD(model, data).monitor
    one.generator_metrics.clear()
    assert len(other.generator_metrics) == len(metrics.default_metrics())
    assert optimizers.ADAM().stepsize is not optimizers.ADAM().stepsize
    assert samplers.SequentialMC(model).beta_sampler.schedule is not (
        samplers.SequentialMC(model).beta_sampler.schedule
    )
    tables = [batch.InMemoryTable(np.zeros((4, 2)), 2) for _ in range(2)]
    first, second = (batch.Batch({"train": table}).get_transforms()["train"] for table in tables)
    assert isinstance(first, preprocess.Transformation) and first is not second


def test_sums_of_penalties_are_saved_and_loaded(tmp_path):
    """Σ|w|/10 + Σw²/10 is 0.3 + 0.5 for weights 1 and -2."""
    model = build("BB", (2, 1))
    weights = model.connections[0].weights
    weights.params.matrix[:] = be.float_tensor([[1.0], [-2.0]])
    weights.add_penalty({"matrix": penalties.l1_penalty(0.1) + penalties.l2_penalty(0.2)})
    model.save(tmp_path / "model.h5")
    loaded = BoltzmannMachine.from_saved(tmp_path / "model.h5").connections[0].weights
    penalty = loaded.penalties["matrix"]
    assert penalty.value(loaded.W()) == pytest.approx(0.8, rel=1e-6)
    np.testing.assert_allclose(array(penalty.grad(loaded.W())), [[0.3], [-0.5]], rtol=1e-6)


class Loud(BernoulliLayer):
    """A layer type of a user."""


def test_layers_of_a_user_are_loaded(tmp_path):
    model = BoltzmannMachine([Loud(3), BernoulliLayer(2)])
    model.layers[0].params.loc[:] = 1.5
    model.save(tmp_path / "model.h5")
    loaded = BoltzmannMachine.from_saved(tmp_path / "model.h5")
    assert type(loaded.layers[0]) is Loud
    np.testing.assert_array_equal(array(loaded.layers[0].params.loc), [1.5] * 3)


def test_tap_free_energy_of_a_triangle_of_layers():
    """Against enumeration; at couplings of 0.05 the expansion is exact to third order."""
    model = skip(scale=0.05)
    units = np.array(list(itertools.product([0.0, 1.0], repeat=11)))
    energy = array(model.joint_energy(state_of(np.split(units, [4, 8], axis=1))))
    state, _ = model.compute_StateTAP(tolerance=1e-5, max_iters=500)
    free = array(model.gibbs_free_energy(state)).item()
    assert free == pytest.approx(-np.log(np.exp(-energy).sum()), abs=1e-3)


# training


def test_burn_in_epochs_run_at_beta_one_and_later_ones_at_beta_std():
    seen = []

    def method(visible, model, positive, negative):
        positive.set_state_from_visible(visible)
        positive.update_state()
        negative.update_state()
        seen.append(negative.beta_sampler.get_beta())
        return model.gradient(positive.state, negative.state)

    trainer = fit.SGD(pair("BB"), data_batch())
    trainer.monitor = None
    settings = {"method": method, "negative_phase_batch_size": 4000, "verbose": False}
    trainer.train(optimizers.ADAM(stepsize=0.01), 2, burn_in=1, beta_std=0.6, **settings)
    assert seen[:3] == [None] * 3 and len(seen) == 6
    beta = array(seen[-1])
    # a Gamma distribution of standard deviation 0.6 has an excess kurtosis of 6·0.36
    assert beta.std() == pytest.approx(0.6, rel=5 * 0.5 * ((2 + 2.16) / 4000) ** 0.5)
    assert beta.mean() == pytest.approx(1.0, abs=5 * 0.6 / 4000**0.5)


def test_penalties_are_added_once_to_means_over_rows():
    """Gradient of a bias: mean over particles - mean over data + its penalty."""
    model = build("BB", (1, 1))
    model.layers[0].params.loc[:] = 3.0
    model.layers[0].add_penalty({"loc": penalties.l2_penalty(0.5)})
    weights = model.connections[0].weights
    weights.params.matrix[:] = -2.0
    weights.add_penalty({"matrix": penalties.l1_penalty(0.25)})
    data = state_of([[[1.0]] * 4, [[1.0], [0.0], [1.0], [1.0]]])
    particles = state_of([[[1.0], [0.0]], [[1.0], [1.0]]])
    gradient = model.gradient(data, particles)
    np.testing.assert_allclose(array(gradient.layers[0].loc), [0.5 - 1.0 + 1.5], rtol=1e-6)
    np.testing.assert_allclose(array(gradient.weights[0].matrix), [[0.5 - 0.75 - 0.25]], rtol=1e-6)
