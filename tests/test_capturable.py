"""Who promises to be capturable, and that the promise is not inherited."""

from functools import partial

import pytest

from paysage import constraints, fit, optimizers, penalties
from paysage.capturable import Capturable, capturable, is_capturable
from paysage.layers import BernoulliLayer, GaussianLayer, OneHotLayer, Weights
from paysage.layers.layer import LAYER_TYPES
from paysage.models import BoltzmannMachine
from paysage.samplers import ParallelTempering, SequentialMC
from paysage.schedules import PowerLawDecay


def test_the_librarys_own_parts_promise_it():
    model = BoltzmannMachine([BernoulliLayer(3), GaussianLayer(2), OneHotLayer(2)])
    parts = [*model.layers, Weights((3, 2)), fit.cd, fit.pcd, SequentialMC(model)]
    parts += [rule() for rule in (optimizers.ADAM, optimizers.RMSProp, optimizers.Momentum)]
    parts += [constraints.non_negative, partial(constraints.zero_row, index=slice(0, 2))]
    parts += [penalties.l2_penalty(1.0) + penalties.log_norm(1.0, slice_tuple=(1, slice(2)))]
    assert all(map(is_capturable, parts))


def test_what_cannot_keep_it_does_not_promise_it():
    model = BoltzmannMachine([BernoulliLayer(3), BernoulliLayer(2)])
    parts = [fit.TAP().tap_update, lambda: None, partial(constraints.zero_mask, mask=[1, 0])]
    parts += [partial(constraints.zero_row, index=[0, 1]), penalties.logdet_penalty(1.0)]
    parts += [penalties.l1_penalty(1.0) + penalties.l2_penalty(1.0, slice_tuple=([0, 1],))]
    parts += [SequentialMC(model, schedule=PowerLawDecay(1.0, 0.1)), ParallelTempering(model)]
    parts += [SequentialMC(model, anneal=PowerLawDecay(1.0, 0.1))]
    assert not any(map(is_capturable, parts))


@pytest.mark.backend_free
def test_a_subclass_gives_the_promise_anew():
    class Part(Capturable):
        capturable = True

    class Silent(Part):
        pass

    class Promising(Silent):
        capturable = True

    found = [is_capturable(kind()) for kind in (Capturable, Part, Silent, Promising)]
    assert found == [False, True, False, True]


@pytest.mark.backend_free
def test_mean_fields_of_ones_own_promise_nothing():
    class Silent(fit.MeanField):
        """It may look at numbers."""

    found = [is_capturable(kind(tolerance=0)) for kind in (fit.MeanField, Silent)]
    assert found == [True, False] and not is_capturable(fit.MeanField(tolerance=0.1))


@pytest.mark.backend_free
def test_a_function_promises_by_the_decorator():
    @capturable
    def function(tensor, text="a"):
        return tensor

    assert is_capturable(function) and is_capturable(partial(function, text="b"))
    assert not is_capturable(partial(function, text=[1.0]))


@pytest.mark.backend_free
def test_every_layer_of_the_library_promises_it():
    own = {k for k in LAYER_TYPES.entries.values() if k.__module__.startswith("paysage.")}
    assert own and all(kind.capturable for kind in own)
