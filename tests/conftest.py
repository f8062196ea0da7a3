"""Every test runs on both backends, from one seed, unless it is marked `backend_free`."""

import pytest

from paysage import backends as be

BACKENDS = ("python", "pytorch")


def pytest_generate_tests(metafunc):
    """Run each test once a backend; a test that touches none runs once."""
    if metafunc.definition.get_closest_marker("backend_free") is None:
        metafunc.parametrize("backend", BACKENDS, indirect=True)


# `autouse` is what makes pytest keep the fixture for tests that do not name it.
@pytest.fixture(autouse=True)
def backend(request):
    """Choose the backend, seed it, and put the default back afterwards."""
    name = getattr(request, "param", None)
    if name is None:
        yield None
        return
    if name == "pytorch":
        torch = pytest.importorskip("torch", reason="PyTorch is not installed")
        torch.set_num_threads(1)  # tensors here are tiny: threads would wait for one another
    be.set_backend(name, "cpu")
    be.set_seed(137)
    yield name
    be.set_backend("python", "cpu")
