"""A minibatch, a model, and what the model makes of it: the material of every metric."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property, partial
from itertools import accumulate, pairwise
from typing import Any

from paysage import backends as be
from paysage.checks import check_number, check_whole
from paysage.errors import ShapeError
from paysage.math_utils.pairs import SamplePairs
from paysage.models import BoltzmannMachine, State
from paysage.models.graph import check_machine
from paysage.samplers import SequentialMC
from paysage.threads import side_by_side


class ModelAssessment:
    """Compute what metrics look at; each part once, when the first metric asks for it.

    Parameters
    ----------
    data : tensor (B, V)
        A validation minibatch.
    model : BoltzmannMachine
        The model that is measured.
    fantasy_steps : int
        Number of sweeps of the chains of fantasy particles.
    num_fantasy_particles : int, optional
        Number of fantasy particles; by default the number of data rows.
    beta_std : float
        Standard deviation of the inverse temperature of the fantasy particles; with 0 it is one.

    Attributes
    ----------
    data : tensor (B, V)
        The minibatch.
    data_state : State
        The minibatch, and hidden units sampled given it.
    model_state : State
        Fantasy particles; ``fantasy`` is the same state.
    reconstructions : State
        The minibatch after one sweep over all layers.

    Raises
    ------
    ShapeError, DataError
        If the visible layer cannot have such units.
    ConfigError
        If `fantasy_steps` or `beta_std` is negative, or `num_fantasy_particles` is not positive.
    """

    def __init__(
        self,
        data: Any,
        model: Any,
        fantasy_steps: int = 10,
        num_fantasy_particles: int | None = None,
        beta_std: float = 0.0,
    ) -> None:
        visible = be.float_tensor(data)
        if isinstance(model, BoltzmannMachine):  # metrics of the data alone look at no model
            check_machine(model)
            model.layers[0].check_units(visible)
            model.layers[0].check_values(visible)
        elif be.ndim(visible) != 2:
            raise ShapeError(
                f"ModelAssessment got visible units of shape {tuple(be.shape(visible))}, "
                "expected (rows, visible units)"
            )
        given = num_fantasy_particles is not None
        particles = num_fantasy_particles if given else be.shape(visible)[0]
        self.data = visible
        self.model = model
        self.fantasy_steps = check_whole("fantasy_steps", fantasy_steps)
        self.num_fantasy_particles = check_whole(
            "num_fantasy_particles", particles, 1 if given else 0
        )
        self.beta_std = check_number("beta_std", beta_std)

    @classmethod
    def of_minibatches(
        cls,
        minibatches: Sequence[Any],
        model: Any,
        fantasy_steps: int = 10,
        earlier: Sequence[ModelAssessment] = (),
    ) -> list[ModelAssessment]:
        """One assessment a minibatch (B_i, V); what the model draws, it draws for all at once.

        Chains and reconstructions are independent of one another, so that it makes no difference
        in distribution; a large product costs less than many small ones.

        Parameters
        ----------
        minibatches : sequence of tensors
        model : BoltzmannMachine
        fantasy_steps : int
        earlier : sequence of ModelAssessment, optional
            What this method gave for other minibatches, not fewer rows, of the model as it is:
            their chains serve again. A mean over minibatches keeps its expectation.
        """
        elder = earlier[0]._whole if earlier and isinstance(earlier[0], _Part) else None
        whole = _Whole(minibatches, model, fantasy_steps, elder)
        return [_Part(whole, k) for k in range(len(minibatches))]

    def once(self, name: str, function: Callable[[], Any]) -> Any:
        """What a function of the model alone gives, called once for all minibatches.

        Parameters
        ----------
        name : str
            What tells it from other functions.
        function : callable
        """
        return function()

    @cached_property
    def data_state(self) -> State:
        """Return the data with hidden units after `fantasy_steps` sweeps given the data."""
        start = State.from_visible(self.data, self.model)
        return self.model.markov_chain(self.fantasy_steps, start, clamped=[0])

    @cached_property
    def model_state(self) -> State:
        """Return fantasy particles after `fantasy_steps` sweeps of all layers."""
        return SequentialMC.generate_fantasy_state(
            self.model,
            self.num_fantasy_particles,
            self.fantasy_steps,
            clamped=(),
            beta_std=self.beta_std,
        )

    @property
    def fantasy(self) -> State:
        """The same state under the name of its rows: fantasy particles."""
        return self.model_state

    @cached_property
    def model_energy(self) -> Any:
        """Return the joint energy of each fantasy particle, (num_fantasy_particles,)."""
        state = self.model_state
        return self.model.joint_energy(state)

    @cached_property
    def reconstructions(self) -> State:
        """Return the data after one sweep over all layers."""
        check_machine(self.model)
        return self.model.compute_reconstructions(self.data)

    @cached_property
    def pairs(self) -> SamplePairs:
        """Distances among the data (sample 0) and the visible units of the particles (1)."""
        return SamplePairs(self.data, self.fantasy.get_visible())


class _Whole(ModelAssessment):
    """Several minibatches as one."""

    def __init__(
        self, minibatches: Sequence[Any], model: Any, fantasy_steps: int, elder: _Whole | None
    ) -> None:
        super().__init__(be.vstack(minibatches), model, fantasy_steps)
        ends = accumulate((be.shape(visible)[0] for visible in minibatches), initial=0)
        self.parts = [slice(*ends_of_one) for ends_of_one in pairwise(ends)]
        rows = be.shape(self.data)[0]
        self._elder = elder if elder and be.shape(elder.data)[0] >= rows else None
        self._once: dict[str, Any] = elder._once if elder else {}

    @cached_property
    def model_state(self) -> State:
        if self._elder is None:
            return super().model_state
        rows = be.shape(self.data)[0]
        return State(units[:rows] for units in self._elder.model_state)

    @cached_property
    def model_energy(self) -> Any:
        if self._elder is None:
            return super().model_energy
        return self._elder.model_energy[: be.shape(self.data)[0]]

    @cached_property
    def pairs_of_parts(self) -> list[SamplePairs]:
        """The distances of each minibatch, computed side by side."""
        fantasy = self.model_state[0]
        return side_by_side(
            *(partial(SamplePairs, self.data[rows], fantasy[rows]) for rows in self.parts)
        )

    def once(self, name: str, function: Callable[[], Any]) -> Any:
        if name not in self._once:
            self._once[name] = function()
        return self._once[name]


class _Part(ModelAssessment):
    """One of several minibatches, and the same of everything that these have row by row."""

    def __init__(self, whole: _Whole, number: int) -> None:
        super().__init__(whole.data[whole.parts[number]], whole.model, whole.fantasy_steps)
        self._whole, self._number, self._rows = whole, number, whole.parts[number]

    @cached_property
    def model_state(self) -> State:
        return State(units[self._rows] for units in self._whole.model_state)

    @cached_property
    def model_energy(self) -> Any:
        return self._whole.model_energy[self._rows]

    @cached_property
    def data_state(self) -> State:
        return State(units[self._rows] for units in self._whole.data_state)

    @cached_property
    def reconstructions(self) -> State:
        return State(units[self._rows] for units in self._whole.reconstructions)

    @cached_property
    def pairs(self) -> SamplePairs:
        return self._whole.pairs_of_parts[self._number]

    def once(self, name: str, function: Callable[[], Any]) -> Any:
        return self._whole.once(name, function)
