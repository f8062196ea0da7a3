import numpy as np
import pytest

from paysage import backends as be
from paysage.errors import ConfigError, ShapeError
from paysage.layers import BernoulliLayer
from paysage.metrics import ModelAssessment, default_metrics
from paysage.models import BoltzmannMachine


class CountingMachine(BoltzmannMachine):
    """Counts how often it is asked for sweeps."""

    def __init__(self, *args):
        super().__init__(*args)
        self.calls = []

    def update_state_(self, n, state, *args, **kwargs):
        self.calls.append((n, state.batch_size()))
        return super().update_state_(n, state, *args, **kwargs)


def machine():
    return CountingMachine([BernoulliLayer(6), BernoulliLayer(3)])


def data(rows=8):
    return be.float_tensor(np.random.default_rng(0).integers(0, 2, size=(rows, 6)))


def test_nothing_is_computed_before_it_is_asked_for():
    model = machine()
    ModelAssessment(data(), model)
    assert model.calls == []


def test_each_part_is_computed_once():
    model = machine()
    assessment = ModelAssessment(data(), model, fantasy_steps=4)
    for _ in range(2):
        assert assessment.fantasy is assessment.model_state
        assert be.shape(assessment.reconstructions) == (8, 6)
    assert sum(n for n, _ in model.calls) == 4 + 1


def test_as_many_particles_as_rows_unless_said_otherwise():
    for wanted, got in ((None, 8), (3, 3)):
        assessment = ModelAssessment(data(), machine(), num_fantasy=wanted)
        assert be.shape(assessment.fantasy.get_visible()) == (got, 6)


def test_one_seed_gives_one_assessment():
    def particles():
        be.set_seed(5)
        return be.to_numpy_array(ModelAssessment(data(), machine()).fantasy.get_visible())

    assert (particles() == particles()).all()


def test_data_are_left_alone():
    visible = data()
    before = be.to_numpy_array(be.copy_tensor(visible))
    assessment = ModelAssessment(visible, machine())
    assert assessment.reconstructions is not None and assessment.fantasy is not None
    assert (be.to_numpy_array(visible) == before).all()


def test_every_default_metric_measures_a_real_model():
    assessment = ModelAssessment(data(20), machine())
    for metric in default_metrics():
        metric.update(assessment)
        assert np.isfinite(metric.value()), metric.name


def test_wrong_arguments():
    with pytest.raises(ShapeError, match=r"shape \(6,\)"):
        ModelAssessment(data()[0], machine())
    with pytest.raises(ConfigError, match="fantasy_steps is -1"):
        ModelAssessment(data(), machine(), fantasy_steps=-1)
    with pytest.raises(ConfigError, match="num_fantasy is 0"):
        ModelAssessment(data(), machine(), num_fantasy=0)


def test_fantasy_particles_ignore_the_clamping_that_the_user_samples_with():
    model = BoltzmannMachine([BernoulliLayer(6), BernoulliLayer(3)])
    model.set_clamped_sampling([0])
    model.layers[0].params.loc[:] = -30.0
    model.connections[0].weights.params.matrix[:] = 60.0
    model.layers[1].params.loc[:] = 30.0
    # alone the visible units are all off; with the hidden ones, which are on, they are all on
    assert float(be.tmin(ModelAssessment(data(), model).fantasy.get_visible())) == 1.0
    assert model.clamped_sampling == [0]


@pytest.mark.parametrize(
    "options",
    [{"fantasy_steps": "10"}, {"fantasy_steps": None}, {"num_fantasy": 2.5}],
    ids=str,
)
def test_numbers_that_are_none(options):
    with pytest.raises(ConfigError, match=next(iter(options))):
        ModelAssessment(data(), machine(), **options)


def test_arrays_serve_as_well_as_tensors():
    rows = be.to_numpy_array(data()).astype(np.float64)
    for metric in default_metrics():
        metric.update(ModelAssessment(rows, machine()))
        assert np.isfinite(metric.value())
