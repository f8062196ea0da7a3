"""Extended mean field beside the exact partition function."""

import numpy as np
import pytest
from machines import build, pair, skip

from paysage import backends as be
from paysage.errors import ConfigError, ShapeError
from paysage.layers import BernoulliLayer, Layer
from paysage.likelihood import LikelihoodWarning, exact_log_partition, tap_log_partition
from paysage.models import BoltzmannMachine, StateTAP
from paysage.testing import ExactMachine


@pytest.mark.parametrize("kinds", ["BB", "BG", "GB", "OB"])
def test_where_couplings_are_weak_it_is_the_exact_one(kinds):
    model = build(kinds, (4, 3), scale=0.2)
    assert tap_log_partition(model, order=3) == pytest.approx(exact_log_partition(model), abs=2e-3)


def test_naive_mean_field_is_below_the_truth_and_the_second_order_nearer():
    for seed in range(5):
        model = build("BB", (8, 6), seed=seed, scale=0.5)
        truth = exact_log_partition(model)
        naive = tap_log_partition(model, order=1)
        assert naive <= truth + 1e-4
        assert abs(tap_log_partition(model) - truth) < 0.5 * (truth - naive)


def test_of_two_equal_modes_one_is_counted():
    model = build("BB", (6, 6), scale=0.0)
    model.connections[0].weights.params.matrix[:] = 3.0
    for layer in model.layers:
        layer.params.loc[:] = -9.0
    # each mode holds half of the weight
    found = tap_log_partition(model, order=1)
    assert found == pytest.approx(exact_log_partition(model) - np.log(2), abs=0.01)


def test_a_ring_of_three_layers_has_one_too():
    model = skip(scale=0.2)
    assert tap_log_partition(model, order=3) == pytest.approx(
        ExactMachine(model).log_partition, abs=0.01
    )


def test_the_start_may_be_given():
    model = pair("BB")
    start = StateTAP.from_visible(be.ones((1, 4)), model)
    assert tap_log_partition(model, start=start) == pytest.approx(
        tap_log_partition(model), abs=1e-3
    )
    with pytest.raises(ShapeError):
        tap_log_partition(model, start=StateTAP.from_model(2, build("BB", (5, 3))))


def test_a_search_that_has_not_converged_says_so():
    with pytest.warns(LikelihoodWarning, match="not converged after 1 iter"):
        tap_log_partition(build("BB", (6, 5), scale=2.0), max_iters=1)


class WithoutAbility(Layer):
    """Units for which nobody has written the ability."""

    init_params = BernoulliLayer.init_params
    mean = BernoulliLayer.mean


def test_what_it_cannot_do_is_named():
    with pytest.raises(ConfigError, match=r"WithoutAbility\(3\)"):
        tap_log_partition(BoltzmannMachine([WithoutAbility(3), BernoulliLayer(2)]))
    with pytest.raises(ConfigError, match="BoltzmannMachine"):
        tap_log_partition(None)
    for wrong in ({"order": 4}, {"num_samples": 0}, {"tolerance": -1}, {"max_iters": 2.5}):
        with pytest.raises(ConfigError):
            tap_log_partition(pair("BB"), **wrong)
