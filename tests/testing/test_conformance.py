"""The layers of the library keep every promise of layers, and broken ones are found out."""

from __future__ import annotations

import numpy as np
import pytest
from ternary import SampledTernary, TernaryLayer, TernaryParams

from paysage import backends as be
from paysage.errors import ConfigError, ConformanceError
from paysage.layers import BernoulliLayer, GaussianLayer, Layer, OneHotLayer
from paysage.layers.bernoulli import BernoulliParams
from paysage.testing import check_layer
from paysage.testing.promises import PROMISES
from paysage.testing.sampling import chi_square
from paysage.testing.subject import Broken, Subject
from paysage.testing.training import training

pytestmark = pytest.mark.backend_free  # the suite goes through the backends itself

LISTED = {"enumeration", "stationarity"}


@pytest.mark.parametrize("num_units", [1, 4])
@pytest.mark.parametrize("kind", [BernoulliLayer, OneHotLayer])
def test_layers_of_listed_states_keep_every_promise(kind, num_units):
    assert check_layer(kind, num_units) == list(PROMISES)


@pytest.mark.parametrize("num_units", [1, 4])
def test_gaussian_layers_keep_every_promise_that_can_be_asked_of_them(num_units):
    assert set(check_layer(GaussianLayer, num_units)) == set(PROMISES) - LISTED


def test_wide_layers_are_not_listed():
    assert set(check_layer(BernoulliLayer, 30)) == set(PROMISES) - LISTED


def test_many_categories_keep_every_promise():
    assert check_layer(OneHotLayer, 40) == list(PROMISES)


@pytest.mark.parametrize("kind", [BernoulliLayer, GaussianLayer, OneHotLayer])
def test_another_seed_raises_no_false_alarm(kind):
    check_layer(kind, 3, seed=1)


# each class breaks one promise, and no other that is asked before it

GLOBAL = {}


class NoMode(BernoulliLayer):
    mode = Layer.mode


class SharedParams(BernoulliLayer):
    def init_params(self):
        key = (be.get_backend(), self.num_units)
        return GLOBAL.setdefault(key, super().init_params())


class FlatMean(BernoulliLayer):
    def mean(self, field, beta=None, out=None):
        return be.mean(super().mean(field, beta), axis=0)


class ColumnOfEnergies(BernoulliLayer):
    def energy(self, units):
        return be.unsqueeze(super().energy(units), axis=1)


class BooleanMode(BernoulliLayer):
    def mode(self, field, beta=None, out=None):
        return field + self.params.loc > 0


class NanMean(BernoulliLayer):
    def mean(self, field, beta=None, out=None):
        return super().mean(field, beta) + float("nan")


class AnotherGradient(BernoulliLayer):
    def energy_gradient(self, units, field):
        return [-be.mean(units, axis=0)]


class OverwritesField(BernoulliLayer):
    def mean(self, field, beta=None, out=None):
        return super().mean(field, beta, out=field)


class TwiceIntoOut(BernoulliLayer):
    def sample(self, field, beta=None, out=None):
        first = super().sample(field, beta, out)
        return first if out is None else super().sample(first, beta, out)


class OverwritesUnits(GaussianLayer):
    def energy(self, units):
        energy = super().energy(units)
        units -= self.params.loc
        return energy


class OneBetaForAllRows(BernoulliLayer):
    def mean(self, field, beta=None, out=None):
        return super().mean(field, None if beta is None else float(be.mean(beta * be.ones(1))), out)


class NoneIsHalf(GaussianLayer):
    def log_partition(self, field, beta=None):
        return super().log_partition(field, 0.5 if beta is None else beta)


class HalfOn(BernoulliLayer):
    def sample(self, field, beta=None, out=None):
        return 0.5 * super().sample(field, beta, out)


class TooLarge(BernoulliLayer):
    def sample(self, field, beta=None, out=None):
        return 2.0 * super().sample(field, beta, out)


class ManyHot(OneHotLayer):
    def sample(self, field, beta=None, out=None):
        return be.bernoulli_sample(field, self.params.loc, beta)

    def check_values(self, units):
        return None


class StatesTwice(BernoulliLayer):
    def all_states(self):
        return be.zeros((self.num_states(), self.num_units))


class ConstantTooMuch(BernoulliLayer):
    def log_partition(self, field, beta=None):
        return super().log_partition(field, beta) + 1.0


class UntemperedBias(OneHotLayer):
    """The fault of the 0.2 line."""

    def log_partition(self, field, beta=None):
        if beta is None:
            return super().log_partition(field)
        loc = self.params.loc
        return super().log_partition(beta * field + loc - loc * (beta * 0 + 1), 1.0)


class HalfMean(GaussianLayer):
    def mean(self, field, beta=None, out=None):
        return 0.5 * field + self.params.loc


class NoSquare(GaussianLayer):
    def log_partition(self, field, beta=None):
        linear = be.tsum(self.rescaled(field * self.params.loc), axis=1)
        return linear if beta is None else be.flatten(beta * be.unsqueeze(linear, axis=1))


class LeastProbable(BernoulliLayer):
    def mode(self, field, beta=None, out=None):
        return 1.0 - super().mode(field, beta)


class ModeOfNoField(GaussianLayer):
    def mode(self, field, beta=None, out=None):
        return 0.0 * field + self.params.loc


class IgnoresBeta(BernoulliLayer):
    def sample(self, field, beta=None, out=None):
        return super().sample(field, None, out)


class WrongVariance(GaussianLayer):
    def sample(self, field, beta=None, out=None):
        return be.gaussian_sample(field, self.params.loc, 2.0 * self.params.log_var, beta, out)


class AllUnitsAlike(BernoulliLayer):
    """The right means, and the wrong correlations."""

    def sample(self, field, beta=None, out=None):
        return be.cast_float(be.rand((len(field), 1)) < self.mean(field, beta))


class FieldOfTheRowAbove(BernoulliLayer):
    def sample(self, field, beta=None, out=None):
        return super().sample(be.vstack([field[-1:], field[:-1]]), beta)


class WrongSign(BernoulliLayer):
    def energy_gradient(self, units, field):
        return BernoulliParams(be.mean(units, axis=0))


class NoCentering(GaussianLayer):
    def energy_gradient(self, units, field):
        center, self.center = self.center, False
        found = super().energy_gradient(units, field)
        self.center = center
        return found


class NeedsFieldAfterAll(GaussianLayer):
    gradient_needs_field = False


class EnergyGradientAtTheMean(SampledTernary):
    def field_gradient(self, field):
        return self.energy_gradient(self.mean(field), field)


class ClaimsLinearEnergy(SampledTernary):
    linear_energy = True


class GaussianAtTheMean(GaussianLayer):
    def field_gradient(self, field):
        return self.energy_gradient(self.mean(field), field)


class WrongSignOfFieldGradient(TernaryLayer):
    def field_gradient(self, field):
        return TernaryParams(*(-part for part in super().field_gradient(field)))


class FieldGradientWithoutCentering(GaussianLayer):
    def field_gradient(self, field):
        center, self.center = self.center, False
        found = super().field_gradient(field)
        self.center = center
        return found


class KeepsTheFirstFieldGradient(TernaryLayer):
    """Right in its first call, and wrong in the second step of a training."""

    def field_gradient(self, field):
        if not hasattr(self, "cache"):
            self.cache = super().field_gradient(field)
        return self.cache


class NoCenter(BernoulliLayer):
    def __init__(self, num_units):
        super().__init__(num_units)


class ForgetsOptions(BernoulliLayer):
    @classmethod
    def from_config(cls, config):
        return cls(config["num_units"], config["center"])


class NoJson(BernoulliLayer):
    def get_config(self):
        return {**super().get_config(), "loc": self.params.loc}


class ForgetsSharpness(BernoulliLayer):
    def __init__(self, num_units, center=False, sharpness=1.0):
        self.sharpness = sharpness
        super().__init__(num_units, center)

    def mode(self, field, beta=None, out=None):
        return super().mode(field)

    def mean(self, field, beta=None, out=None):
        return super().mean(self.sharpness * field, beta, out)

    def sample(self, field, beta=None, out=None):
        return super().sample(self.sharpness * field, beta, out)

    def rescaled(self, units):
        return self.sharpness * units

    def log_partition(self, field, beta=None):
        return super().log_partition(self.sharpness * field, beta)


class LogitForgotten(BernoulliLayer):
    def fit_marginal(self, moments):
        self.params.loc[:] = moments.mean


BROKEN = {
    "hooks": [NoMode, SharedParams],
    "shapes": [FlatMean, ColumnOfEnergies, BooleanMode, NanMean, AnotherGradient],
    "inputs": [OverwritesField, TwiceIntoOut, OverwritesUnits],
    "beta": [OneBetaForAllRows, NoneIsHalf],
    "states": [HalfOn, TooLarge, ManyHot, StatesTwice],
    "enumeration": [ConstantTooMuch, UntemperedBias],
    "derivative": [HalfMean, NoSquare],
    "mode": [LeastProbable, ModeOfNoField],
    "sample": [IgnoresBeta, WrongVariance, AllUnitsAlike],
    "stationarity": [FieldOfTheRowAbove],
    "gradient": [WrongSign, NoCentering, NeedsFieldAfterAll],
    "field_gradient": [
        EnergyGradientAtTheMean,
        ClaimsLinearEnergy,
        GaussianAtTheMean,
        WrongSignOfFieldGradient,
        FieldGradientWithoutCentering,
    ],
    "training": [KeepsTheFirstFieldGradient],
    "config": [NoCenter, ForgetsOptions, NoJson],
    "save": [ForgetsSharpness],
    "marginal": [LogitForgotten],
}
FACTORIES = {ForgetsSharpness: lambda n: ForgetsSharpness(n, sharpness=1.5)}


def test_every_promise_has_a_layer_that_breaks_it():
    assert list(BROKEN) == list(PROMISES)


@pytest.mark.parametrize(
    "promise, kind", [(promise, kind) for promise, kinds in BROKEN.items() for kind in kinds]
)
def test_a_broken_promise_is_named(promise, kind):
    with pytest.raises(ConformanceError) as caught:
        check_layer(kind, factory=FACTORIES.get(kind))
    error = caught.value
    assert error.promise == promise, error
    said = str(error)
    assert said.startswith(f"{kind.__name__} breaks the promise '{promise}' on the python backend")
    assert "got" in said and "expected" in said


@pytest.mark.parametrize("kind", [*BROKEN["field_gradient"], WrongSign, NoCentering])
def test_gradients_of_training_reveal_wrong_derivatives(kind):
    """Also without the checks of the single hooks."""
    be.set_backend("python", "cpu")
    be.set_seed(1)
    with pytest.raises(Broken, match=r"d\(-log likelihood\)/d.* by (pcd|cd|MeanField)"):
        training(Subject(kind, 4, None, 137))


def test_layers_without_field_gradient_keep_every_other_promise():
    assert set(check_layer(SampledTernary, 2)) == set(PROMISES) - {"field_gradient"}
    assert check_layer(TernaryLayer, 2) == list(PROMISES)


class BrokenOnPyTorch(BernoulliLayer):
    def mean(self, field, beta=None, out=None):
        wrong = 0.1 if be.get_backend().backend == "pytorch" else 0.0
        return super().mean(field + wrong, beta)


def test_the_backend_is_named():
    pytest.importorskip("torch", reason="PyTorch is not installed")
    with pytest.raises(ConformanceError, match=r"'derivative' on the pytorch backend: .*got 0"):
        check_layer(BrokenOnPyTorch)


def test_an_error_of_a_hook_is_chained():
    with pytest.raises(ConformanceError, match="TypeError") as caught:
        check_layer(NeedsFieldAfterAll)
    assert isinstance(caught.value.__cause__, TypeError)


@pytest.mark.parametrize("kind", [BernoulliLayer, WrongSign])
def test_backend_and_random_numbers_are_as_before(kind):
    be.set_backend("python", "cpu")
    be.set_seed(12)
    state = be.get_random_state()
    if kind is WrongSign:
        with pytest.raises(ConformanceError):
            check_layer(kind)
    else:
        check_layer(kind)
    assert be.get_backend() == ("python", "cpu")
    assert be.get_random_state() == state


def test_a_factory_makes_what_is_checked():
    made = []

    def factory(num_units):
        layer = BernoulliLayer(num_units)
        layer.params.loc[:] = be.float_tensor(np.linspace(-1, 1, num_units))
        made.append(layer)
        return layer

    check_layer(BernoulliLayer, 3, factory=factory)
    assert {layer.num_units for layer in made} == {3}

    def broken_factory(num_units):
        layer = factory(num_units)
        layer.mean = lambda field, beta=None, out=None: be.zeros_like(field)
        return layer

    with pytest.raises(ConformanceError, match="mean"):
        check_layer(BernoulliLayer, 3, factory=broken_factory)


@pytest.mark.parametrize("bad", [BernoulliLayer(3), dict, "BernoulliLayer", None])
def test_what_is_no_type_of_layer_is_refused(bad):
    with pytest.raises(ConfigError, match="subclass of Layer"):
        check_layer(bad)


def test_chi_square_agrees_with_the_distribution():
    from scipy import stats

    rng = np.random.default_rng(0)
    p = rng.dirichlet(np.ones(40))
    surprises = [chi_square(rng.choice(40, 5000, p=p), p) for _ in range(500)]
    assert stats.kstest(surprises, "norm").pvalue > 1e-3
    assert chi_square(rng.choice(40, 5000, p=rng.dirichlet(np.ones(40))), p) > 50
