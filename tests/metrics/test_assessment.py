import numpy as np
import pytest
import stationarity
from machines import pair

from paysage import backends as be
from paysage.errors import ConfigError, ShapeError
from paysage.layers import BernoulliLayer
from paysage.metrics import ModelAssessment, default_metrics
from paysage.models import BoltzmannMachine
from paysage.testing import ExactMachine


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
        assert be.shape(assessment.reconstructions[0]) == (8, 6)
    assert sum(n for n, _ in model.calls) == 4 + 1


def test_as_many_particles_as_rows_unless_said_otherwise():
    for wanted, got in ((None, 8), (3, 3)):
        assessment = ModelAssessment(data(), machine(), num_fantasy_particles=wanted)
        assert be.shape(assessment.fantasy.get_visible()) == (got, 6)


def test_particles_follow_the_model_at_an_inverse_temperature_of_one():
    model = pair("BB")
    exact = ExactMachine(model)
    assessment = ModelAssessment(be.zeros((20_000, 4)), model, fantasy_steps=30)
    position = exact.index(assessment.fantasy)
    assert stationarity.chi_square(position, exact.probabilities) > 1e-4


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
    with pytest.raises(ConfigError, match=r"fantasy_steps.*got -1"):
        ModelAssessment(data(), machine(), fantasy_steps=-1)
    with pytest.raises(ConfigError, match=r"num_fantasy_particles.*got 0"):
        ModelAssessment(data(), machine(), num_fantasy_particles=0)


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
    [{"fantasy_steps": "10"}, {"fantasy_steps": None}, {"num_fantasy_particles": 2.5}],
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


def test_minibatches_share_their_draws():
    model = machine()
    parts = [data(5), data(8), data(2)]
    several = ModelAssessment.of_minibatches(parts, model, fantasy_steps=4)
    assert model.calls == []
    for part, assessment in zip(parts, several, strict=True):
        assert (be.to_numpy_array(assessment.data) == be.to_numpy_array(part)).all()
        rows = be.shape(part)[0]
        assert be.shape(assessment.reconstructions[0]) == (rows, 6)
        assert [tuple(be.shape(u)) for u in assessment.fantasy] == [(rows, 6), (rows, 3)]
        energies = model.joint_energy(assessment.fantasy)
        assert be.allclose(assessment.model_energy, energies, atol=1e-5)
    assert model.calls == [(1, 15), (4, 15)]
    joined = be.vstack([assessment.fantasy[0] for assessment in several])
    assert float(be.var(joined)) > 0  # the rows differ: none is another's copy


def test_chains_of_earlier_minibatches_serve_again():
    model = machine()
    first = ModelAssessment.of_minibatches([data(5), data(5)], model, fantasy_steps=4)
    later = ModelAssessment.of_minibatches([data(5), data(3)], model, 4, first)
    wider = ModelAssessment.of_minibatches([data(5), data(6)], model, 4, first)
    for a, b in zip(first, later, strict=True):
        rows = be.shape(b.data)[0]
        for mine, theirs in zip(a.fantasy, b.fantasy, strict=True):
            assert be.allclose(mine[:rows], theirs)
        assert be.allclose(a.model_energy[:rows], b.model_energy)
        assert be.shape(b.pairs.squares) == (2 * rows, 2 * rows)
    assert model.calls == [(4, 10)]
    assert be.shape(wider[1].fantasy[0]) == (6, 6)
    assert model.calls == [(4, 10), (4, 11)]


def test_what_is_of_the_model_alone_is_computed_once():
    first = ModelAssessment.of_minibatches([data(5), data(5)], machine())
    later = ModelAssessment.of_minibatches([data(5)], machine(), earlier=first)
    calls = []
    for assessment in [*first, *later]:
        assert assessment.once("name", lambda: calls.append(1) or 7) == 7
    assert len(calls) == 1
    assert ModelAssessment(data(), machine()).once("name", lambda: 8) == 8


def test_every_metric_of_minibatches_is_that_of_each():
    """Two assessments with the same draws, one of them as part of a group."""
    parts = ModelAssessment.of_minibatches([data(20), 1 - data(20)], machine())
    for part in parts:
        alone = ModelAssessment(part.data, part.model)
        alone.model_state, alone.reconstructions = part.model_state, part.reconstructions
        for metric in default_metrics():
            assert metric.measure(part) == pytest.approx(metric.measure(alone), rel=1e-5, abs=1e-6)
