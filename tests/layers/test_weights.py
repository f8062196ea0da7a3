"""The weights of a connection."""

import json

import numpy as np
import pytest
from machines import array
from scipy import stats

from paysage import backends as be
from paysage import penalties
from paysage.errors import ConfigError
from paysage.layers import Weights, weights_from_config


def test_matrix_and_its_transpose_are_views_of_the_parameter():
    weights = Weights((4, 3))
    assert tuple(be.shape(weights.W())) == (4, 3)
    assert tuple(be.shape(weights.W(trans=True))) == (3, 4)
    view, turned = weights.W(), weights.W(trans=True)
    weights.params.matrix[:] = be.float_tensor(np.arange(12.0).reshape(4, 3))
    np.testing.assert_array_equal(array(view), np.arange(12).reshape(4, 3))
    np.testing.assert_array_equal(array(turned), np.arange(12).reshape(4, 3).T)


def test_new_weights_are_normal_with_deviation_one_hundredth():
    draws = array(Weights((100, 200)).W()).ravel() / 0.01
    assert stats.kstest(draws, "norm").pvalue > 1e-6


def test_scale_zero_draws_nothing():
    be.set_seed(1)
    weights = Weights((4, 3), scale=0.0)
    after = array(be.rand((3,)))
    be.set_seed(1)
    np.testing.assert_array_equal(array(be.rand((3,))), after)
    assert not array(weights.W()).any()


def test_energy_is_minus_the_bilinear_form_of_each_row():
    rng = np.random.default_rng(0)
    weights = Weights((4, 3), scale=1.0)
    left, right = rng.normal(size=(5, 4)), rng.normal(size=(5, 3))
    energy = weights.energy(be.float_tensor(left), be.float_tensor(right))
    wanted = -np.einsum("bi,ij,bj->b", left, array(weights.W()), right)
    # twelve products of numbers of order one in single precision
    np.testing.assert_allclose(array(energy), wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("shape", [(3,), (3, 4, 5), (0, 2), (3, -1), (2.5, 3), ("a", 3), 7, None])
def test_impossible_shapes(shape):
    with pytest.raises(ConfigError, match="shape"):
        Weights(shape)


def test_configuration_round_trip():
    weights = Weights((4, 3))
    weights.set_fixed_params(["matrix"])
    weights.add_penalty({"matrix": penalties.l1_penalty(0.25)})
    config = json.loads(json.dumps(weights.get_config()))
    again = weights_from_config(config)
    assert again.shape == (4, 3)
    assert again.get_fixed_params() == ["matrix"]
    assert again.get_config() == weights.get_config()
    assert again.penalties["matrix"] is not weights.penalties["matrix"]


def test_parameters_are_counted():
    assert Weights((4, 3)).num_parameters() == 12
    assert Weights((4, 3)).get_param_names() == ["matrix"]
