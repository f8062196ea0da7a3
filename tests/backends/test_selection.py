"""Which backend is chosen: by the file, the environment and the call; and what refuses."""

import json
import os
import subprocess
import sys

import pytest

from paysage import backends as be
from paysage.backends import selection
from paysage.errors import BackendError

pytestmark = pytest.mark.backend_free


@pytest.fixture(autouse=True)
def default_backend(monkeypatch):
    """No environment variables before, the default backend after."""
    for variable in selection.ENVIRONMENT.values():
        monkeypatch.delenv(variable, raising=False)
    yield
    monkeypatch.undo()
    be.set_backend("python", "cpu")


@pytest.fixture
def config(tmp_path, monkeypatch):
    """Write another configuration file for the test: settings, or text as it is."""
    path = tmp_path / "config.json"
    monkeypatch.setattr(selection, "CONFIG_FILE", path)

    def write(content):
        path.write_text(content if isinstance(content, str) else json.dumps(content))

    return write


def fresh(code, **environment):
    """What a program prints in a process of its own."""
    result = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


# ------------------------------------------------------------------------------------- precedence


def test_the_file_that_is_shipped():
    settings = json.loads(selection.CONFIG_FILE.read_text())
    assert settings == {"backend": "python", "processor": "cpu"}
    assert selection.resolve() == ("python", "cpu")


def test_the_file_is_read(config):
    config({"backend": "pytorch", "processor": "gpu"})
    assert selection.resolve() == ("pytorch", "gpu")


def test_what_the_file_leaves_out_is_the_default(config):
    config({"backend": "pytorch"})
    assert selection.resolve() == ("pytorch", "cpu")
    config({})
    assert selection.resolve() == ("python", "cpu")


def test_the_environment_overrides_the_file(config, monkeypatch):
    config({"backend": "python", "processor": "cpu"})
    monkeypatch.setenv("PAYSAGE_BACKEND", "pytorch")
    assert selection.resolve() == ("pytorch", "cpu")
    monkeypatch.setenv("PAYSAGE_PROCESSOR", "gpu")
    assert selection.resolve() == ("pytorch", "gpu")


def test_an_empty_variable_counts_as_not_set(monkeypatch):
    monkeypatch.setenv("PAYSAGE_BACKEND", "")
    assert selection.resolve() == ("python", "cpu")


def test_the_call_overrides_the_environment(config, monkeypatch):
    config({"backend": "pytorch", "processor": "gpu"})
    monkeypatch.setenv("PAYSAGE_PROCESSOR", "cpu")
    assert selection.resolve() == ("pytorch", "cpu")
    assert selection.resolve(processor="gpu") == ("pytorch", "gpu")
    assert selection.resolve("python", "cpu") == ("python", "cpu")


def test_python_alone_means_the_cpu(config, monkeypatch):
    config({"backend": "pytorch", "processor": "gpu"})
    assert selection.resolve("python") == ("python", "cpu")
    monkeypatch.setenv("PAYSAGE_BACKEND", "python")
    assert selection.resolve() == ("python", "cpu")


def test_a_selection_has_names():
    chosen = selection.resolve("pytorch", "gpu")
    assert chosen.backend == "pytorch"
    assert chosen.processor == "gpu"


# --------------------------------------------------------------------------------------- refusals


def refusal(*args, **kwargs):
    with pytest.raises(BackendError) as error:
        selection.resolve(*args, **kwargs)
    return str(error.value)


def test_python_on_the_gpu_is_refused(monkeypatch):
    assert "set_backend('pytorch', 'gpu')" in refusal("python", "gpu")
    assert "'python'" in refusal(processor="gpu")
    monkeypatch.setenv("PAYSAGE_PROCESSOR", "gpu")
    assert "'gpu'" in refusal()


def test_unknown_names_of_a_call():
    message = refusal("numpy")
    assert "set_backend" in message
    assert "'numpy'" in message
    assert "'python' or 'pytorch'" in message
    assert "'cpu' or 'gpu'" in refusal("pytorch", "tpu")


def test_unknown_names_of_the_environment(monkeypatch):
    monkeypatch.setenv("PAYSAGE_BACKEND", "torch")
    message = refusal()
    assert "PAYSAGE_BACKEND" in message
    assert "'torch'" in message
    assert "'python' or 'pytorch'" in message


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        ("{", ["JSON"]),
        ("[1]", ["list", "'backend' or 'processor'"]),
        ({"backnd": "python"}, ["'backnd'", "'backend' or 'processor'"]),
        ({"backend": "jax"}, ["backend", "'jax'", "'python' or 'pytorch'"]),
        ({"processor": 1}, ["processor", "1", "'cpu' or 'gpu'"]),
        ({"processor": ["cpu"]}, ["processor", "['cpu']", "'cpu' or 'gpu'"]),
    ],
)
def test_a_bad_file_is_named(config, content, parts):
    config(content)
    message = refusal()
    assert str(selection.CONFIG_FILE) in message
    assert all(part in message for part in parts)


def test_a_missing_file_is_named(config):
    assert str(selection.CONFIG_FILE) in refusal()


# ------------------------------------------------------------------------------ choosing, for real


def test_get_backend_follows_set_backend():
    be.set_backend("python", "cpu")
    assert be.get_backend() == ("python", "cpu")
    pytest.importorskip("torch")
    be.set_backend("pytorch")
    assert be.get_backend() == ("pytorch", "cpu")


def test_set_backend_without_arguments_takes_the_configuration(monkeypatch):
    pytest.importorskip("torch")
    monkeypatch.setenv("PAYSAGE_BACKEND", "pytorch")
    be.set_backend()
    assert be.get_backend() == ("pytorch", "cpu")


def test_a_missing_gpu_is_refused_and_nothing_changes():
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    be.set_backend("python")
    product = be.dot
    with pytest.raises(BackendError, match=r"(?i)gpu"):
        be.set_backend("pytorch", "gpu")
    assert be.get_backend() == ("python", "cpu")
    assert be.dot is product


def test_a_missing_torch_is_refused_with_advice():
    code = (
        "import sys\n"
        "sys.modules['torch'] = None\n"
        "from paysage import backends as be\n"
        "from paysage.errors import BackendError\n"
        "be.zeros((1,))\n"
        "try:\n"
        "    be.set_backend('pytorch')\n"
        "except BackendError as error:\n"
        "    print(error, be.get_backend().backend, be.zeros((1,)))\n"
    )
    printed = fresh(code)
    assert "pip install 'paysage[torch]'" in printed
    assert printed.endswith("python [0.]")


# --------------------------------------------------------------------------------------- laziness


def test_importing_loads_nothing():
    code = (
        "import sys\n"
        "from paysage import backends as be\n"
        "assert be.get_backend() == ('python', 'cpu')\n"
        "print([m for m in ('numpy', 'torch', 'numba') if m in sys.modules])\n"
    )
    assert fresh(code) == "[]"


def test_the_python_backend_loads_neither_torch_nor_numba():
    code = (
        "import sys\n"
        "from paysage import backends as be\n"
        "print(be.dot(be.ones((1, 2)), be.ones((2, 1))))\n"
        "print([m for m in ('torch', 'numba', 'numexpr', 'pandas') if m in sys.modules])\n"
    )
    assert fresh(code).splitlines() == ["[[2.]]", "[]"]


def test_first_use_follows_the_environment():
    pytest.importorskip("torch")
    code = "from paysage import backends as be; print(type(be.ones((1,))).__module__)"
    assert fresh(code, PAYSAGE_BACKEND="pytorch") == "torch"
    assert fresh(code, PAYSAGE_BACKEND="python") == "numpy"


def test_a_name_can_be_imported_before_a_backend_is_chosen():
    assert fresh("from paysage.backends import zeros; print(zeros((1,)))") == "[0.]"
