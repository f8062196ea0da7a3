"""States: what they take, and which tensors meet which model."""

import numpy as np
import pytest
from machines import arrays, pair, random_state, skip

from paysage import backends as be
from paysage.batch import in_memory_batch
from paysage.errors import BackendError, ConfigError, DataError, ShapeError
from paysage.fit import SGD
from paysage.likelihood import AIS
from paysage.models import State
from paysage.optimizers import ADAM
from paysage.samplers import SequentialMC
from paysage.testing import ExactMachine


@pytest.fixture
def other(backend):
    """The name of the backend that is not in use."""
    pytest.importorskip("torch", reason="PyTorch is not installed")
    return {"python": "pytorch", "pytorch": "python"}[backend]


@pytest.mark.parametrize("form", [np.float64, np.int64, np.float32, np.ndarray.tolist])
def test_units_of_any_kind_become_float_tensors(form):
    model = skip()
    wanted = random_state(model, 5)
    given = [form(np.array(units)) for units in arrays(wanted)]
    state = State(given)
    assert all(be.is_tensor(units) and be.dtype(units) == be.Float for units in state)
    for start in (State.from_state(state), model.markov_chain(0, state)):
        for a, b in zip(arrays(start), arrays(wanted), strict=True):
            np.testing.assert_array_equal(a, b)
    model.joint_energy(state)
    model.gradient(state, state)
    assert model.markov_chain(2, state).batch_size() == 5


def test_float_tensors_are_held_and_not_copied():
    units = [be.zeros((2, 4)), be.zeros((2, 3))]
    state = State(units)
    units[0][:] = 7.0
    assert arrays(state)[0].min() == 7.0


def test_rows_that_differ_are_refused():
    with pytest.raises(ShapeError, match="rows"):
        State([be.zeros((2, 4)), be.zeros((3, 3))])


def test_a_state_of_another_backend_is_refused_and_converted_on_request(other):
    model = pair("GB", center=True)
    old = random_state(model, 3)
    be.set_backend(other)
    model = model.copy()
    for use in (
        lambda: model.markov_chain(1, old),
        lambda: model.joint_energy(old),
        lambda: model.gradient(old, old),
        lambda: SequentialMC(model).set_state(old),
    ):
        with pytest.raises(BackendError, match="units"):
            use()
    assert model.markov_chain(1, State(old)).batch_size() == 3
    assert model.markov_chain(1, State.from_state(old)).batch_size() == 3


@pytest.mark.filterwarnings("error::DeprecationWarning")  # NumPy has no look at the parameters
def test_a_model_of_another_backend_is_refused_and_unharmed(other, backend):
    model = pair("GB", center=True)
    data = np.random.default_rng(0).normal(size=(40, 4))
    start = random_state(model, 3)
    be.set_backend(other)
    for use in (
        lambda: model.markov_chain(1, State(start)),
        lambda: model.compute_reconstructions(data),
        lambda: AIS(model),
        lambda: SGD(model, in_memory_batch(data, 10)).train(ADAM(), 1, verbose=False),
    ):
        with pytest.raises(BackendError, match="parameters"):
            use()
    assert model.num_parameters() == 4 + 4 + 3 + 12  # no tensor is touched
    be.set_backend(backend)
    model.markov_chain(1, start)
    model.compute_reconstructions(data)


@pytest.mark.parametrize(
    "value, words", [(255.0, "from 0 to 1, got values from 0 to 255"), (np.nan, "NaN")]
)
def test_visible_units_that_the_layer_cannot_have_are_refused(value, words):
    model = pair("BB")
    visible = np.zeros((3, 4))
    visible[1, 2] = value
    for start in (
        lambda: State.from_visible(visible, model),
        lambda: model.compute_reconstructions(visible),
        lambda: SequentialMC.from_visible(model, visible),
    ):
        with pytest.raises(DataError, match=words):
            start()


@pytest.mark.parametrize("rows", [-1, 2.5, "3", None])
def test_numbers_of_rows_are_whole(rows):
    with pytest.raises(ConfigError, match="batch_size must be a whole number"):
        State.from_model(rows, pair("BB"))


def test_arguments_in_another_order_are_named():
    model = pair("BB")
    for call in (
        lambda: State.from_model(model, 3),
        lambda: State.from_visible(model, np.zeros((3, 4))),
        lambda: SequentialMC(State.from_model(3, model)),
        lambda: AIS(in_memory_batch(np.zeros((10, 4)), 2)),
        lambda: ExactMachine(State.from_model(3, model)),
    ):
        with pytest.raises(ConfigError, match="expected a BoltzmannMachine, got"):
            call()


def test_chains_and_first_guesses_of_a_machine_of_the_other_backend_are_refused(other):
    model = pair("BB")
    chains = SequentialMC.from_model(model, 3)
    be.set_backend(other)
    data = in_memory_batch(np.eye(4), 2, train_fraction=0.5)
    for call in (
        chains.update_state,
        lambda: model.initialize(data),
        lambda: SequentialMC(model),
        lambda: AIS(model),
    ):
        with pytest.raises(BackendError, match=f"backend in use, '{other}'"):
            call()


def test_an_array_is_no_state():
    model = pair("BB")
    units = be.zeros((5, 4))
    for call in (
        lambda: model.joint_energy(units),
        lambda: model.markov_chain(1, units),
        lambda: model.gradient([units, be.zeros((5, 3))], State.from_visible(units, model)),
        lambda: SequentialMC(model).set_state(None),
    ):
        with pytest.raises(ConfigError, match=r"expected a state, such as .* got"):
            call()


def test_visible_units_have_rows():
    for kinds in ("BB", "GB", "OB"):
        with pytest.raises(DataError, match=r"units of shape \(0, 4\), needs rows"):
            State.from_visible(be.zeros((0, 4)), pair(kinds))
