"""The two phases of a training step, with the chains and the memory that they keep."""

from __future__ import annotations

from typing import Any

from paysage import backends as be
from paysage.models import BoltzmannMachine, ModelGradient, State
from paysage.models.gradient import GradientBuilder
from paysage.models.sweep import Sweeps
from paysage.samplers import AutoregressiveGammaSampler, SequentialMC
from paysage.threads import both

Tensor = Any


class Phases:
    """Positive and negative phase of a model in training.

    Parameters
    ----------
    model : BoltzmannMachine
    num_chains : int
        Chains of the negative phase.
    mcsteps : int
        Sweeps of either phase in one step.
    update_method : str
        How layers are updated; see ``SequentialMC``.
    beta_std : float
        Standard deviation of the inverse temperature of the negative chains.
    """

    def __init__(
        self,
        model: BoltzmannMachine,
        num_chains: int,
        mcsteps: int = 1,
        update_method: str = "markov_chain",
        beta_std: float = 0.6,
    ) -> None:
        self.model = model
        self.mcsteps = mcsteps
        self.update_method = update_method
        self.negative = SequentialMC.from_model(
            model,
            num_chains,
            mcsteps=mcsteps,
            clamped=(),
            updater=update_method,
            beta_std=beta_std,
        )
        # sweeps of its own: the memory for fields is not shared with the negative phase
        self._sweeps = Sweeps(model.layers, model.connections)
        self._side_by_side = len(model.layers) == 2 and be.get_backend().processor == "cpu"
        self._betas = self.negative.beta_sampler
        self._builder = GradientBuilder(model)
        self._positive: dict[int, State] = {}
        self._last_mean: dict[int, Tensor] = {}
        #: positive state of the last gradient
        self.data: State | None = None

    def set_driven(self, driven: bool) -> None:
        """Let the negative chains' inverse temperatures wander, or keep them at one."""
        if driven:
            self._betas.set_beta(self.negative.get_state().batch_size())
        self.negative.beta_sampler = (
            self._betas if driven else AutoregressiveGammaSampler(beta_std=0.0)
        )

    def positive_state(self, visible: Tensor) -> State:
        """Start at the minibatch with the visible layer clamped; the last layer at its mean.

        The state is overwritten by the next call.
        """
        sweeps, last = self._sweeps, len(self.model.layers) - 1
        rows = int(be.shape(visible)[0])
        if rows not in self._positive:
            self._positive[rows] = sweeps.empty_state(visible)
        state = self._positive[rows]
        state[0] = visible
        # of two layers the second is about to be replaced: nothing to draw before
        if last > 1:
            sweeps.pass_up(state)
            self.model.update_state_(self.mcsteps, state, self.update_method, clamped=(0,))
        sweeps.update(state, last, "mean")
        return state

    def negative_state(self) -> State:
        """Move the chains on; the last layer at its mean, the others as drawn.

        The chains keep their own draw of the last layer: a mean in its place would bias the next
        draw of its neighbours. The state is overwritten by the next call.
        """
        self.negative.update_state()
        chains = self.negative.get_state()
        last, rows = len(chains) - 1, chains.batch_size()
        if rows not in self._last_mean:
            self._last_mean[rows] = be.zeros_like(chains[last])
        state = State([*chains.units[:last], self._last_mean[rows]])
        self.model.sweeps.update(state, last, "mean")
        return state

    def states(self, visible: Tensor) -> tuple[State, State]:
        """Both states of a step, the positive and the negative one.

        Of two layers the positive phase draws nothing, so that the two can be made side by side.
        """
        if self._side_by_side:
            return both(lambda: self.positive_state(visible), self.negative_state)
        return self.positive_state(visible), self.negative_state()

    def restart_at(self, visible: Tensor) -> None:
        """Put the negative chains at a minibatch."""
        self.negative.set_state(State.from_visible(visible, self.model))

    def gradient(self, data: State, sample: State) -> ModelGradient:
        """The gradient between two states, into memory that the next call overwrites."""
        self.data = data
        return self._builder.compute(data, sample)
