"""First guesses of the parameters from the data."""

import numpy as np
import pytest
from machines import array, build
from scipy import stats

from paysage import backends as be
from paysage import constraints, fit, models, optimizers
from paysage.batch import in_memory_batch
from paysage.errors import ConfigError, DataError, DataWarning, ShapeError
from paysage.layers import BernoulliLayer, GaussianLayer, Weights
from paysage.layers.bernoulli import MIN_MEAN
from paysage.models import BoltzmannMachine, Connection

METHODS = ["hinton", "glorot_normal", "stddev", "pca"]
V, H = 40, 60


def binary_batch(rows=500):
    rng = np.random.default_rng(0)
    data = (rng.random((rows, V)) < np.linspace(0, 1, V)).astype(np.float32)
    return data, in_memory_batch(data, 64, train_fraction=0.8, shuffle=False)


def real_batch(rows=500):
    rng = np.random.default_rng(0)
    data = (rng.normal(size=(rows, V)) * np.linspace(0, 3, V) + np.arange(V)).astype(np.float32)
    return data, in_memory_batch(data, 64, train_fraction=0.8, shuffle=False)


def fresh(visible=BernoulliLayer, hidden=BernoulliLayer, **kwargs):
    return BoltzmannMachine([visible(V, **kwargs), hidden(H, **kwargs)])


@pytest.mark.parametrize("method", METHODS)
def test_bernoulli_visible_biases_are_the_logits_of_the_training_means(method):
    data, batch = binary_batch()
    model = fresh()
    model.initialize(batch, method=method)
    # the first column is never on, the last always
    mean = np.clip(data[:400].astype(np.float64).mean(axis=0), MIN_MEAN, 1 - MIN_MEAN)
    loc = array(model.layers[0].params.loc)
    np.testing.assert_allclose(1 / (1 + np.exp(-loc)), mean, atol=1e-6)
    assert not array(model.layers[1].params.loc).any()


@pytest.mark.parametrize("method", METHODS)
def test_gaussian_visible_moments_with_the_variance_shrunk_towards_the_mean(method):
    data, batch = real_batch()
    model = fresh(GaussianLayer)
    with pytest.warns(DataWarning, match=r"1 of 40 columns are constant .* column 0"):
        model.initialize(batch, method=method)
    train = data[:400].astype(np.float64)
    np.testing.assert_allclose(array(model.layers[0].params.loc), train.mean(axis=0), rtol=1e-5)
    var = np.exp(array(model.layers[0].params.log_var))
    own, typical = train.var(axis=0), train.var(axis=0)[1:].mean()
    wanted = np.minimum(0.99 * own + 0.01 * typical, 1.1 * own)
    wanted[0] = 0.01 * typical
    np.testing.assert_allclose(var, wanted, rtol=1e-5)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_variances_of_small_columns_are_those_of_the_data(scale):
    """At 0.2's floor of 0.01, columns of deviation 0.001 would lose log(100) nats each."""
    data = scale * np.random.default_rng(0).normal(size=(400, 5))
    model = BoltzmannMachine([GaussianLayer(5), BernoulliLayer(3)])
    model.initialize(in_memory_batch(data, 50, 0.5))
    ratio = np.exp(array(model.layers[0].params.log_var)) / data[:200].var(axis=0)
    assert ratio.min() > 0.99 and ratio.max() < 1.01


@pytest.mark.parametrize("method", ["hinton", "glorot_normal", "stddev"])
def test_initial_fields_do_not_depend_on_the_scale_of_the_columns(method):
    rng = np.random.default_rng(0)
    data = rng.normal(size=(400, 6)).astype(np.float32)
    scales = 2.0 ** np.array([-10, -5, 0, 0, 5, 10])
    fields = []
    for scale in (1.0, scales):
        be.set_seed(5)
        model = BoltzmannMachine([GaussianLayer(6), BernoulliLayer(4)])
        model.initialize(in_memory_batch(data * scale, 50, 0.5), method=method)
        seen = array(model.layers[0].connected(be.float_tensor(data * scale)))
        fields.append(seen @ array(model.connections[0].weights.W()))
    assert 0.005 < fields[0].std() < 2
    # variances of narrow columns grow by 10% at most, as they shrink towards the mean variance
    assert np.corrcoef(fields[0].ravel(), fields[1].ravel())[0, 1] > 0.99
    assert 0.85 < fields[1].std() / fields[0].std() < 1.15


@pytest.mark.parametrize("connected_as", ["target", "domain"])
def test_initial_fields_of_pca_are_the_same_for_narrow_columns(connected_as):
    rng = np.random.default_rng(0)
    data = (rng.normal(size=(400, 6)) * np.linspace(0.8, 1.2, 6)).astype(np.float32)
    ends = (0, 1) if connected_as == "target" else (1, 0)
    shape = (6, 4) if connected_as == "target" else (4, 6)
    fields = []
    for factor in (1.0, 2.0**-10):
        model = BoltzmannMachine(
            [GaussianLayer(6), BernoulliLayer(4)], [Connection(*ends, Weights(shape))]
        )
        model.initialize(in_memory_batch(data * factor, 50, 0.5), method="pca")
        matrix = array(model.connections[0].weights.W())
        seen = array(model.layers[0].connected(be.float_tensor(data * factor)))
        fields.append(seen @ (matrix if connected_as == "target" else matrix.T))
    np.testing.assert_allclose(fields[1], fields[0], rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("kind", ["small", "tenth", "tenfold", "large", "mixed"])
def test_columns_of_any_scale_train_as_well_as_columns_of_unit_scale(kind):
    rng = np.random.default_rng(0)
    causes = rng.random((600, 2)) < 0.5
    data = causes @ (2.0 * rng.normal(size=(2, 6))) + rng.normal(size=(600, 6))
    data = (data - data.mean(axis=0)) / data.std(axis=0)
    scales = {
        "small": 1e-3,
        "tenth": 0.1,
        "tenfold": 10.0,
        "large": 1e3,
        "mixed": 10.0 ** np.linspace(-3, 3, 6),
    }
    errors = []
    for scale in (1.0, scales[kind]):
        be.set_seed(1)
        batch = in_memory_batch(data * scale, 50)
        model = BoltzmannMachine([GaussianLayer(6), BernoulliLayer(4)])
        model.initialize(batch, method="glorot_normal")
        trainer = fit.SGD(model, batch)
        trainer.monitor.generator_metrics = []
        trainer.train(optimizers.ADAM(0.01), 20, verbose=False)
        rows = be.float_tensor(data * scale)
        found = model.compute_reconstructions(rows, "mean_field_iteration").get_visible()
        errors.append(np.sqrt(np.square(array(found) / scale - data).mean()))
    assert errors[0] < 0.8  # the deviation of the columns is 1
    assert errors[1] == pytest.approx(errors[0], rel=0.1)


def weights_of(method, batch, **kwargs):
    model = fresh(**kwargs)
    model.initialize(batch, method=method)
    return array(model.connections[0].weights.W())


@pytest.mark.parametrize(
    "method, deviation", [("hinton", 0.01), ("glorot_normal", np.sqrt(2 / (V + H)))]
)
def test_weights_are_normal_with_the_deviation_of_the_method(method, deviation):
    standard = weights_of(method, binary_batch()[1]).ravel() / deviation
    assert stats.kstest(standard, "norm").pvalue > 1e-6


def test_stddev_scales_the_rows_of_glorot_by_the_deviation_of_the_data():
    data, batch = binary_batch()
    be.set_seed(5)
    glorot = weights_of("glorot_normal", batch)
    be.set_seed(5)
    scaled = weights_of("stddev", batch)
    deviation = data[:400].astype(np.float64).std(axis=0)
    np.testing.assert_allclose(scaled, glorot * deviation[:, None], rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(
    "method, deviation", [("hinton", 0.01), ("glorot_normal", np.sqrt(2 / (V + H)))]
)
def test_weights_of_gaussian_units_are_scaled_where_their_deviation_is_unusual(method, deviation):
    rows = np.random.default_rng(0).normal(size=(500, V))
    data = rows * np.array([2.0**-10, 0.25, 1.0, 2.0, 4.0, 2.0**10])[np.arange(V) % 6]
    wanted = np.array([2.0**-10, 1.0, 1.0, 1.0, 4.0, 2.0**10])[np.arange(V) % 6, None]
    model = fresh(GaussianLayer)
    model.initialize(in_memory_batch(data, 50), method=method)
    standard = array(model.connections[0].weights.W()) / wanted / deviation
    assert stats.kstest(standard.ravel(), "norm").pvalue > 1e-6


def test_stddev_scales_columns_where_the_visible_layer_is_the_domain():
    data, batch = binary_batch()
    layers = [BernoulliLayer(V), BernoulliLayer(3)]
    model = BoltzmannMachine(layers, [Connection(1, 0, Weights((3, V)))])
    be.set_seed(5)
    model.initialize(batch, method="stddev")
    scaled = array(model.connections[0].weights.W())
    be.set_seed(5)
    model.initialize(batch, method="glorot_normal")
    deviation = data[:400].astype(np.float64).std(axis=0)
    glorot = array(model.connections[0].weights.W())
    np.testing.assert_allclose(scaled, glorot * deviation, rtol=1e-5, atol=1e-7)


def test_stddev_leaves_deeper_weights_as_glorot_draws_them():
    _, batch = binary_batch()
    model = build("BBB", (V, 30, 20))
    model.initialize(batch, method="stddev")
    standard = array(model.connections[1].weights.W()).ravel() / np.sqrt(2 / 50)
    assert stats.kstest(standard, "norm").pvalue > 1e-6


@pytest.mark.parametrize("method", METHODS)
def test_what_was_learned_before_is_forgotten_but_for_fixed_parameters(method):
    model = build("GBG", (V, 5, 4), seed=3)
    model.layers[0].set_fixed_params(["log_var"])
    model.layers[2].set_fixed_params(["loc", "log_var"])
    model.connections[1].weights.set_fixed_params(["matrix"])
    before = model.get_values()
    model.initialize(real_batch()[1], method=method)
    after = model.get_values()
    np.testing.assert_array_equal(after["layers"][0]["log_var"], before["layers"][0]["log_var"])
    assert not np.array_equal(after["layers"][0]["loc"], before["layers"][0]["loc"])
    assert not after["layers"][1]["loc"].any()
    for name in ("loc", "log_var"):
        np.testing.assert_array_equal(after["layers"][2][name], before["layers"][2][name])
    np.testing.assert_array_equal(after["weights"][1]["matrix"], before["weights"][1]["matrix"])
    assert not np.array_equal(after["weights"][0]["matrix"], before["weights"][0]["matrix"])


def test_hidden_parameters_set_before_and_fixed_survive_as_in_a_hopfield_machine():
    model = fresh(hidden=GaussianLayer)
    model.layers[1].set_fixed_params(["loc", "log_var"])
    model.initialize(binary_batch()[1], method="glorot_normal")
    assert not array(model.layers[1].params.loc).any()
    assert not array(model.layers[1].params.log_var).any()


@pytest.mark.parametrize("method", METHODS)
def test_constraints_hold_from_the_start(method):
    model = fresh()
    model.connections[0].weights.add_constraint({"matrix": constraints.non_negative})
    model.layers[0].add_constraint({"loc": constraints.non_positive})
    model.initialize(binary_batch()[1], method=method)
    assert array(model.connections[0].weights.W()).min() == 0
    assert array(model.layers[0].params.loc).max() == 0


def test_offsets_of_centered_layers_start_at_the_data_and_at_the_isolated_mean():
    data, batch = binary_batch()
    model = fresh(center=True)
    model.initialize(batch)
    mean = np.clip(data[:400].astype(np.float64).mean(axis=0), MIN_MEAN, 1 - MIN_MEAN)
    np.testing.assert_allclose(array(model.layers[0].offset), mean, atol=1e-6)
    np.testing.assert_allclose(array(model.layers[1].offset), 0.5, atol=1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_the_seed_decides(method):
    _, batch = binary_batch()
    be.set_seed(5)
    first, second = weights_of(method, batch), weights_of(method, batch)
    be.set_seed(5)
    np.testing.assert_array_equal(weights_of(method, batch), first)
    assert not np.array_equal(first, second)


def test_the_default_is_hinton_and_the_functions_are_public():
    _, batch = binary_batch()
    be.set_seed(5)
    by_name = weights_of("hinton", batch)
    be.set_seed(5)
    model = fresh()
    model.initialize(batch)
    np.testing.assert_array_equal(array(model.connections[0].weights.W()), by_name)
    for name in METHODS:
        assert callable(getattr(models, name))


def test_parameters_are_written_in_place_and_the_batch_is_left_ready():
    data, batch = binary_batch()
    model = fresh()
    held = model.connections[0].weights.W()
    batch.get("train")
    model.initialize(batch, method="glorot_normal")
    np.testing.assert_array_equal(array(held), array(model.connections[0].weights.W()))
    np.testing.assert_array_equal(array(batch.get("train")), data[64:128])


def test_errors():
    _, batch = binary_batch()
    model = fresh()
    before = model.get_values()
    with pytest.raises(ConfigError, match=r"xavier.*hinton"):
        model.initialize(batch, method="xavier")
    with pytest.raises(ShapeError, match=rf"{V + 1} units.*{V} columns"):
        BoltzmannMachine([BernoulliLayer(V + 1), BernoulliLayer(2)]).initialize(batch)
    after = model.get_values()["layers"][0]["loc"]
    np.testing.assert_array_equal(after, before["layers"][0]["loc"])


def test_what_beginners_give_instead_of_a_batch_or_a_list():
    first, second = BernoulliLayer(4), BernoulliLayer(3)
    with pytest.raises(ConfigError, match="list of layers"):
        BoltzmannMachine(first, second)
    model = BoltzmannMachine([first, second])
    rows = np.zeros((10, 4), dtype=np.float32)
    for make in (
        lambda: model.initialize(rows),
        lambda: fit.SGD(model, rows),
        lambda: fit.LayerwisePretrain(model, rows),
    ):
        with pytest.raises(ConfigError, match="in_memory_batch"):
            make()
    with pytest.raises(ConfigError, match="BoltzmannMachine"):
        fit.SGD(rows, model)


def test_data_outside_of_the_layers_support_are_refused():
    model = BoltzmannMachine([BernoulliLayer(4), BernoulliLayer(3)])
    grey = in_memory_batch(be.float_tensor(np.full((10, 4), 255.0)), 5, 0.5)
    with pytest.raises(DataError, match="binarize"):
        model.initialize(grey)


def expected_columns(data, count, hidden):
    """sqrt(2V/(V+H)) std_j/|std| component_j, from NumPy's decomposition.

    The entry of greatest absolute value of a component is positive.
    """
    centred = data.astype(np.float64) - data.astype(np.float64).mean(axis=0)
    _, strengths, rows = np.linalg.svd(centred, full_matrices=False)
    columns, std = rows[:count].T, strengths[:count]
    columns = columns * np.sign(columns[np.abs(columns).argmax(axis=0), range(count)])
    return np.sqrt(2 * V / (V + hidden)) * std / np.linalg.norm(std) * columns


@pytest.mark.parametrize("count", [None, 4])
def test_pca_sets_the_first_columns_by_components_and_standard_deviations(count):
    # the first of the 40 columns is constant, so that the data vary along 39 directions
    data, batch = real_batch()
    be.set_seed(5)
    glorot = weights_of("glorot_normal", batch, visible=GaussianLayer)
    be.set_seed(5)
    model = fresh(GaussianLayer)
    model.initialize(batch, method="pca", num_components=count)
    weights, width = array(model.connections[0].weights.W()), count or V - 1
    # gaps between the variances are 1 % and more, so that single precision decides the rest
    expected = expected_columns(data[:400], width, H)
    expected *= np.minimum(array(model.layers[0].unit_scale()), 1)[:, None]
    np.testing.assert_allclose(weights[:, :width], expected, atol=1e-4)
    np.testing.assert_array_equal(weights[:, width:], glorot[:, width:])


def test_pca_lays_rows_along_the_components_where_the_visible_layer_is_the_domain():
    data, batch = real_batch()
    layers = [GaussianLayer(V), BernoulliLayer(3), BernoulliLayer(2)]
    links = [Connection(1, 0, Weights((3, V))), Connection(1, 2, Weights((3, 2)))]
    model = BoltzmannMachine(layers, links)
    model.initialize(batch, method="pca")
    expected = expected_columns(data[:400], 3, 3).T
    expected *= np.minimum(array(layers[0].unit_scale()), 1)
    np.testing.assert_allclose(array(model.connections[0].weights.W()), expected, atol=1e-4)
    assert array(model.connections[1].weights.W()).all()


@pytest.mark.parametrize("method", METHODS)
def test_keywords_of_version_02_are_ignored_and_others_refused(method):
    _, batch = binary_batch()
    be.set_seed(5)
    plain = weights_of(method, batch)
    be.set_seed(5)
    model = fresh()
    model.initialize(batch, method=method, epochs=10, stepsize=0.001, verbose=False)
    np.testing.assert_array_equal(array(model.connections[0].weights.W()), plain)
    before = model.get_values()["layers"][0]["loc"]
    with pytest.raises(ConfigError, match=f"{method}.*unknown keyword.* step_size; expected"):
        model.initialize(batch, method=method, step_size=0.001)
    np.testing.assert_array_equal(model.get_values()["layers"][0]["loc"], before)


def test_pca_of_constant_data_is_glorot():
    batch = in_memory_batch(np.ones((20, V), np.float32), 5)
    be.set_seed(5)
    constant = weights_of("pca", batch)
    be.set_seed(5)
    np.testing.assert_array_equal(constant, weights_of("glorot_normal", batch))


@pytest.mark.parametrize("count", [0, H + 1, 2.5])
def test_pca_refuses_an_impossible_number_of_components(count):
    with pytest.raises(ConfigError, match=f"expected from 1 to {H}"):
        fresh().initialize(binary_batch()[1], method="pca", num_components=count)
