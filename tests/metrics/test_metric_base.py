import json

import pytest

from paysage import metrics
from paysage.errors import ConfigError, DataError
from paysage.metrics import KLDivergence, Metric, ReconstructionError, default_metrics

pytestmark = pytest.mark.backend_free


class Echo(Metric):
    def measure(self, assessment):
        return assessment


def test_value_is_the_mean_over_minibatches():
    echo = Echo()
    for number in (1.0, 2.0, 6.0):
        echo.update(number)
    assert echo.value() == pytest.approx(3.0, abs=1e-15)


def test_many_updates_lose_no_accuracy():
    echo = Echo()
    for number in range(10_000):
        echo.update(1e6 + number % 2)
    # Each step of the running mean rounds once, to 1e6 * 2^-53 = 1e-10 at most.
    assert echo.value() == pytest.approx(1e6 + 0.5, abs=1e-6)


def test_reset_forgets():
    echo = Echo()
    echo.update(5.0)
    echo.reset()
    echo.update(1.0)
    assert echo.value() == 1.0


def test_no_minibatch_is_an_error():
    with pytest.raises(DataError, match="Echo has no value"):
        Echo().value()


def test_base_measures_nothing():
    with pytest.raises(NotImplementedError, match="Metric defines no measure"):
        Metric().update(None)


def test_default_metrics_are_the_seven_in_order():
    assert [metric.name for metric in default_metrics()] == [
        "ReconstructionError",
        "EnergyCoefficient",
        "HeatCapacity",
        "WeightSparsity",
        "WeightSquare",
        "KLDivergence",
        "ReverseKLDivergence",
    ]


def test_default_metrics_are_fresh():
    assert not set(map(id, default_metrics())) & set(map(id, first := default_metrics())), first


@pytest.mark.parametrize("metric", default_metrics(), ids=lambda m: m.name)
def test_config_round_trip(metric):
    config = json.loads(json.dumps(metric.get_config()))
    copy = type(metric).from_config(config)
    assert copy is not metric
    assert copy.get_config() == metric.get_config()


def test_config_keeps_options():
    metric = KLDivergence(k=3, divide_dimension=False)
    assert metric.get_config() == {"name": "KLDivergence", "k": 3, "divide_dimension": False}
    copy = KLDivergence.from_config(metric.get_config())
    assert (copy.k, copy.divide_dimension) == (3, False)
    assert repr(copy) == "KLDivergence(k=3, divide_dimension=False)"


@pytest.mark.parametrize("config", [{"name": "Other"}, {}, {"name": "ReconstructionError", "k": 1}])
def test_foreign_config_is_refused(config):
    with pytest.raises(ConfigError, match="ReconstructionError got the configuration"):
        ReconstructionError.from_config(config)


def test_every_published_name_exists():
    assert all(hasattr(metrics, name) for name in metrics.__all__)
