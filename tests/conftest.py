"""Every test runs on both backends, from one seed, unless it is marked `backend_free`."""

import os
import signal

import pytest

# Matrices here are tiny, and test processes may share the cores: threads would only wait for one
# another. It must be said before NumPy loads its BLAS.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from paysage import backends as be

BACKENDS = ("python", "pytorch")


@pytest.fixture(scope="session", autouse=True)
def interrupts_are_heard():
    """A shell starts what runs in its background deaf to Ctrl-C, which some tests send."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


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
        torch.set_num_threads(1)
    be.set_backend(name, "cpu")
    be.set_seed(137)
    yield name
    be.set_backend("python", "cpu")


@pytest.fixture
def gpu_path(monkeypatch):
    """The code for the GPU, on tensors of the CPU: for tests marked `backend_free`."""
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    from paysage.backends.generator import GLOBAL
    from paysage.backends.pytorch_backend import device, transfer

    monkeypatch.setitem(device.DEVICES, "gpu", torch.device("cpu"))
    monkeypatch.setattr(device, "has_gpu", lambda: True)
    monkeypatch.setattr(GLOBAL, "gpu", None)
    monkeypatch.setattr(transfer, "free_memory", lambda: 2**30)
    be.set_backend("pytorch", "gpu")
    be.set_seed(137)
    yield
    be.set_backend("python", "cpu")


@pytest.fixture
def on_gpu():
    """The GPU, where there is one."""
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    if not torch.cuda.is_available():
        pytest.skip("torch.cuda finds no NVIDIA GPU")
    be.set_backend("pytorch", "gpu")
    be.set_seed(137)
    yield
    be.set_backend("python", "cpu")
