"""The mean of the parameters over the last epochs: what it is the mean of, and who sees it."""

import functools

import numpy as np
import pytest
from machines import array, build, random_state

from paysage import backends as be
from paysage import constraints, fit, optimizers
from paysage.batch import in_memory_batch
from paysage.errors import ConfigError, DivergenceError

EPOCHS, STEPS = 5, 4


def values_of(model):
    parts = [*model.layers, *(c.weights for c in model.connections)]
    tensors = [x for part in parts for x in part.params] + [x.offset for x in model.layers]
    return [array(x) for x in tensors]


class Recording(optimizers.Gradient):
    """Remembers the parameters that each update finds, so those after the update before."""

    def __init__(self, rate):
        super().__init__(rate)
        self.seen = []

    def update(self, model, gradient):
        self.seen.append(values_of(model))
        super().update(model, gradient)


def trained(optimizer, seed=1, model=None, **kwargs):
    be.set_seed(seed)
    model = build("BB", (5, 3), center=True) if model is None else model
    batch = in_memory_batch(array(random_state(model, 50)[0]), 10, 0.8)
    trainer = fit.SGD(model, batch)
    trainer.monitor.generator_metrics = []
    trainer.train(optimizer, EPOCHS, verbose=False, **kwargs)
    return model, trainer


@pytest.mark.parametrize("part, epochs", [(0.2, 1), (0.4, 2), (0.41, 3), (1.0, 5)])
def test_the_model_ends_with_the_mean_over_the_last_updates(part, epochs):
    optimizer = Recording(0.1)
    end, _ = trained(optimizer)
    after = [*optimizer.seen[1:], values_of(end)]  # each update
    mean, _ = trained(optimizers.Gradient(0.1), average_last=part)
    for k, found in enumerate(values_of(mean)):
        wanted = np.mean([values[k] for values in after[-epochs * STEPS :]], axis=0)
        # a running mean of up to twenty numbers below one, in single precision
        np.testing.assert_allclose(found, wanted, atol=20 * 6e-8)
    # and training does not notice
    assert any(np.any(a != b) for a, b in zip(values_of(end), values_of(mean), strict=True))


def test_none_of_the_epochs_is_no_mean():
    for a, b in zip(
        values_of(trained(optimizers.Gradient(0.1))[0]),
        values_of(trained(optimizers.Gradient(0.1), average_last=0.0)[0]),
        strict=True,
    ):
        np.testing.assert_array_equal(a, b)


def test_what_is_saved_after_the_last_epoch_is_the_mean(tmp_path):
    be.set_seed(1)
    model = build("BB", (5, 3), center=True)
    trainer = fit.SGD(model, in_memory_batch(array(random_state(model, 50)[0]), 10, 0.8))
    trainer.monitor.generator_metrics = []
    trainer.monitor.save_every(str(tmp_path / "model"), 1)
    trainer.train(optimizers.Gradient(0.1), EPOCHS, verbose=False, average_last=0.4)
    found = sorted(tmp_path.iterdir())
    last = type(model).from_saved(found[-1])
    for a, b in zip(values_of(last), values_of(model), strict=True):
        np.testing.assert_array_equal(a, b)


def test_training_that_comes_to_rest_ends_with_the_mean_so_far():
    optimizer = Recording(0.1)
    optimizer.tolerance = 1e3
    mean, trainer = trained(optimizer, average_last=1.0)
    assert len(trainer.monitor.memory) == 1
    # three of the four updates of the epoch are known, and how far the last one went is bounded
    known = np.mean([v[0] for v in optimizer.seen[1:]], axis=0)
    last = STEPS * array(mean.layers[0].params.loc) - (STEPS - 1) * known
    assert 1e-4 < np.abs(last - optimizer.seen[-1][0]).max() < 0.1  # rate times a mean of bits


def test_divergence_goes_back_to_the_last_good_epoch_and_drops_the_mean():
    class Exploding(Recording):
        def update(self, model, gradient):
            super().update(model, gradient)
            if len(self.seen) == 3 * STEPS + 2:
                model.layers[0].params.loc[:] = np.inf

    optimizer, model = Exploding(0.1), build("BB", (5, 3), center=True)
    with pytest.raises(DivergenceError):
        trained(optimizer, model=model, average_last=0.6)
    for a, b in zip(values_of(model), optimizer.seen[3 * STEPS], strict=True):
        np.testing.assert_array_equal(a, b)


def test_fixed_parameters_stay_and_constraints_hold():
    model = build("BB", (5, 3), center=True)
    model.layers[0].set_fixed_params(["loc"])
    model.connections[0].weights.add_constraint(
        {"matrix": functools.partial(constraints.fixed_column_norm, norm=1.0)}
    )
    before = array(model.layers[0].params.loc)
    trained(optimizers.Gradient(0.3), model=model, average_last=0.5)
    np.testing.assert_array_equal(array(model.layers[0].params.loc), before)
    norms = np.linalg.norm(array(model.connections[0].weights.W()), axis=0)
    np.testing.assert_allclose(norms, 1.0, rtol=1e-5)


@pytest.mark.parametrize("part", [-0.1, 1.1, "half", float("nan")])
def test_a_part_is_from_zero_to_one(part):
    with pytest.raises(ConfigError, match="average_last"):
        trained(optimizers.Gradient(0.1), average_last=part)
