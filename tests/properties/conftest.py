"""How many inputs hypothesis tries: few, always the same ones; PAYSAGE_EXAMPLES asks for more."""

import os

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "paysage",
    max_examples=int(os.environ.get("PAYSAGE_EXAMPLES", "15")),
    derandomize=True,
    deadline=None,
    database=None,
    # the backend is chosen once for all inputs of a test
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
settings.load_profile("paysage")


@pytest.fixture(autouse=True)
def somewhere_else(tmp_path_factory, monkeypatch):
    """What should be no name of a file, and is taken for one, leaves none in the checkout."""
    monkeypatch.chdir(tmp_path_factory.mktemp("odd"))
