"""The two phases of a training step, with the chains and the memory that they keep."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any, NamedTuple

from paysage import backends as be
from paysage.errors import ConfigError
from paysage.fit.mean_field import MeanField
from paysage.fit.processes import Processes
from paysage.models import BoltzmannMachine, ModelGradient, State
from paysage.models.blocks import run_apart
from paysage.models.copies import STEPS_WORTH_COPIES, WeightCopies
from paysage.models.gradient import GradientBuilder
from paysage.models.state import PhaseState
from paysage.models.sweep import Sweeps, update_hook
from paysage.samplers import AutoregressiveGammaSampler, Chains, SequentialMC

Tensor = Any
Task = Callable[[], Any]


class _Block(NamedTuple):
    """Some rows of a phase, and what is theirs alone."""

    part: slice
    #: where they are in the whole block, as ``be.draws_of_rows`` takes it; None if they are it
    place: tuple[int, int, int] | None
    sweeps: Sweeps
    #: views of the units that sweeps move
    state: State
    #: views of what the gradient is computed from
    ends: PhaseState


class Phases:
    """Positive and negative phase of a model in training.

    The rows of both phases are cut into blocks that are made side by side, each by sweeps (and
    memory) of its own and with draws of its own, so that the result depends on the sizes and on the
    seed but not on the number of cores.

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
    sampler : Chains, optional
        Chains of the model that have a state and are the negative phase in the place of
        ``num_chains`` driven ones; they move by their own ``update_state``.
    positive_phase : MeanField, optional
        Means that settle, in the place of ``mcsteps`` sweeps of the positive phase.
    precision : 'float32' or 'bf16'
        Of the factors of matrix products; what is summed and what is learned is in float32.
    processes : Processes, optional
        Each makes its share of the rows of either phase, with the draws that are theirs in one
        process, and of the gradient.
    """

    # Sweeps move one state, and the gradient is computed from another one, which is called `ends`.
    # The two share the memory of all layers except those that are summed out at the end of a phase.

    def __init__(
        self,
        model: BoltzmannMachine,
        num_chains: int,
        mcsteps: int = 1,
        update_method: str = "markov_chain",
        beta_std: float = 0.6,
        sampler: Chains | None = None,
        positive_phase: MeanField | None = None,
        precision: str = "float32",
        processes: Processes | None = None,
    ) -> None:
        self.model = model
        self.processes = processes or Processes.alone()
        self._share = self.processes.share
        self.mean_field = positive_phase
        self.mcsteps = mcsteps
        self._update_method = update_method
        self._hook = update_hook(update_method)
        self.negative: Any = sampler
        self._betas: AutoregressiveGammaSampler | None = None
        if sampler is None:
            self.negative = SequentialMC.from_model(
                model,
                num_chains,
                mcsteps=mcsteps,
                clamped=(),
                updater=update_method,
                beta_std=beta_std,
            )
            self._betas = self.negative.beta_sampler
        self._bfloat16 = precision == "bf16"
        self._builder = GradientBuilder(model, self._bfloat16)
        self._copies = WeightCopies(model.layers, model.connections, self._kind_of_copies())
        self._own_sweeps: dict[tuple[int, int], Sweeps] = {}
        self._positive: dict[int, tuple[State, PhaseState]] = {}
        chains_at_means = update_hook(getattr(self.negative, "updater", update_method)) == "mean"
        #: of the positive and of the negative phase
        self._summed_out = (
            self._layers_to_sum_out(1, self._hook == "mean" or positive_phase is not None),
            self._layers_to_sum_out(0, chains_at_means),
        )
        self._memory_of_ends: dict[tuple[int, int], tuple[dict, dict]] = {}
        self._cut: dict[int, tuple[State, list[_Block | None]]] = {}
        #: rows of the minibatch in all processes, where there are several
        self.minibatch = 1
        self._sample: State | None = None
        #: positive state of the last gradient
        self.data: State | None = None

    def set_driven(self, driven: bool) -> None:
        """Let the negative chains' inverse temperatures wander, or keep them at one.

        Those of a sampler of the user are left to it.
        """
        if self._betas is None:
            return
        if driven:
            self._betas.set_beta(self.negative.get_state().batch_size())
        self.negative.beta_sampler = (
            self._betas if driven else AutoregressiveGammaSampler(beta_std=0.0)
        )

    @property
    def may_restart(self) -> bool:
        """Whether the chains may be put at a minibatch, and are then as many as it has rows."""
        return self._betas is not None

    def get_memory(self) -> dict[str, Any]:
        """What the chains remember, as arrays and JSON values; see ``Chains.get_memory``."""
        driven = self._betas is not None and self.negative.beta_sampler is self._betas
        return {"driven": driven, "chains": self.negative.get_memory()}

    def set_memory(self, memory: dict[str, Any]) -> None:
        """Go on from what ``get_memory`` gave."""
        self.set_driven(memory["driven"])
        self.negative.set_memory(memory["chains"])

    def gather(self) -> None:
        """Let each process have the chains of all."""
        state, beta = self.negative.get_state(), self.negative.beta_sampler.get_beta()
        mine = self._mine(state.batch_size())
        for tensor in (*state, *(() if beta is None else (beta,))):
            tensor[: mine.start] = 0.0
            tensor[mine.stop :] = 0.0
            self.processes.add_up_(tensor)

    def share_of(self, rows: int) -> float:
        """The part of so many rows that is made here."""
        mine = self._mine(rows)
        return (mine.stop - mine.start) / rows

    def positive_state(self, visible: Tensor) -> State:
        """Return the state of the positive phase, started at the minibatch, which stays clamped.

        The last layer is summed out; with mean fields, so are all hidden layers. Of several
        processes each has its share of the rows. The state is overwritten by the next call.
        """
        state, tasks = self._positive_tasks(visible)
        self._run(tasks)
        return state

    def negative_state(self) -> State:
        """Move the chains on, and return their state with the last layer summed out.

        The chains keep their own sample of the last layer: a mean in its place would bias the next
        sample of its neighbours. The state is overwritten by the next call.
        """
        state, tasks = self._negative_tasks(None)
        self._run(tasks)
        return state

    def states(self, visible: Tensor, restart: bool = False) -> tuple[State, State]:
        """Both states of a step, the positive and the negative one, made side by side.

        Of several processes each has its share of the rows.

        Parameters
        ----------
        visible : tensor (B, V)
        restart : bool
            Put the negative chains at the minibatch first, as many as it has rows.
        """
        data, positive = self._positive_tasks(visible)
        sample, negative = self._negative_tasks(visible if restart else None)
        if len(positive) == len(negative):
            self._run(
                [partial(_one_by_one, *pair) for pair in zip(positive, negative, strict=True)]
            )
        else:
            self._run([*positive, *negative])
        return data, sample

    def gradient(self, data: State, sample: State) -> ModelGradient:
        """The gradient between two states, into memory that the next call overwrites.

        Of several processes each has that of its rows: the sum, each times ``share_of`` the
        minibatch, is the gradient.
        """
        self.data = data
        return self._builder.compute(data, sample, self._weight(sample))

    def _weight(self, sample: State) -> float:
        """Of the sample's mean, where shares of chains and minibatch are no equal parts of them."""
        if self._share.size == 1 or sample is not self._sample:
            return 1.0
        chains = self.negative.get_state().batch_size()
        return self.share_of(chains) / self.share_of(self.minibatch)

    def positive_sampler(self) -> SequentialMC:
        """Return a sampler for the positive phase, with the visible layer clamped and no state."""
        return SequentialMC(
            self.model, self.mcsteps, clamped=[0], updater=self._update_method, beta_std=0.0
        )

    # layers that are summed out

    def _layers_to_sum_out(self, first: int, at_means: bool) -> list[int]:
        """Numbers, from the first one, of the layers that end a phase summed out.

        These are the last layer and, if sweeps set layers to their means, all layers for which the
        mean that they are left at is not enough.
        """
        last = len(self.model.layers) - 1
        return [
            i
            for i, layer in enumerate(self.model.layers)
            if i == last or (i >= first and at_means and not layer.mean_is_enough())
        ]

    def _ends_of(self, phase: int, state: State) -> PhaseState:
        """Return what the gradient is computed from: the state, except for summed-out layers."""
        key = phase, state.batch_size()
        if key not in self._memory_of_ends:
            means = {i: be.zeros_like(state[i]) for i in self._summed_out[phase]}
            layers = {i: self.model.layers[i] for i in means}
            with_field = [
                i for i, k in layers.items() if k.can_sum_out() and not k.mean_is_enough()
            ]
            self._memory_of_ends[key] = means, {i: be.zeros_like(state[i]) for i in with_field}
        means, fields = self._memory_of_ends[key]
        return PhaseState([means.get(i, units) for i, units in enumerate(state)], fields)

    def _sum_out(self, phase: int, block: _Block, newest: Tensor | None = None) -> None:
        """Sum layers out given the fields that they receive from the units of a block.

        Layers that cannot be summed out are sampled, which is unbiased.

        Parameters
        ----------
        newest : tensor, optional
            Field of the layer that is updated last in a sweep, if it is known.
        """
        sweeps, ends = block.sweeps, block.ends
        for i in self._summed_out[phase]:
            known = newest is not None and i == sweeps.order[-1]
            field = newest if known else sweeps.field(block.state, i)
            if i in ends.fields:
                ends.fields[i][:] = field
            hook = "mean" if self.model.layers[i].can_sum_out() else "sample"
            sweeps.apply(ends, i, hook, field)

    # blocks of rows

    def _parts(self, rows: int) -> list[slice]:
        return self.model.blocks.parts(rows)

    def _blocks(self, phase: int, state: State, ends: PhaseState) -> list[_Block | None]:
        """Blocks of the rows of a state; those of the last call if it is the same state.

        Of several processes each has what is its share of a block, or None.
        """
        if phase not in self._cut or self._cut[phase][0] is not state:
            wholes = self._parts(state.batch_size())
            pairs = zip(wholes, self._share.of_blocks(wholes), strict=True)
            blocks = [self._block(phase, k, *pair, state, ends) for k, pair in enumerate(pairs)]
            self._cut[phase] = state, blocks
        return self._cut[phase][1]

    def _block(
        self, phase: int, k: int, whole: slice, part: slice, state: State, ends: PhaseState
    ) -> _Block | None:
        count, total = part.stop - part.start, whole.stop - whole.start
        if count == 0:
            return None
        place = None if count == total else (part.start - whole.start, count, total)
        return _Block(part, place, self._sweeps(phase, k), state.rows(part), ends.rows(part))

    def _mine(self, rows: int) -> slice:
        """Those of so many rows that are made in this process."""
        return self._share.of(self._parts(rows))

    def _made(self, state: State) -> State:
        """What is made here of a state."""
        whole = self._share.size == 1
        return state if whole else state.rows(self._mine(state.batch_size()))

    def _sweeps(self, phase: int, k: int) -> Sweeps:
        """The sweeps of block k of a phase, with memory of their own."""
        if (phase, k) not in self._own_sweeps:
            self._own_sweeps[phase, k] = Sweeps(
                self.model.layers, self.model.connections, self._copies.copies
            )
        return self._own_sweeps[phase, k]

    def _kind_of_copies(self) -> str:
        """Weights in bfloat16; or transposed ones, where sweeps repay them; or none."""
        if self._bfloat16:
            return "bfloat16"
        few = self.mcsteps < STEPS_WORTH_COPIES
        return "none" if few or be.get_backend().processor == "gpu" else "transposed"

    def _run(self, tasks: Sequence[Task]) -> None:
        self._copies.update()
        run_apart(tasks)

    def _positive_tasks(self, visible: Tensor) -> tuple[State, list[Task]]:
        rows = int(be.shape(visible)[0])
        if rows not in self._positive:
            state = self.model.sweeps.empty_state(visible)
            self._positive[rows] = state, self._ends_of(0, state)
        state, ends = self._positive[rows]
        state[0] = visible
        ends[0] = state[0]
        blocks = self._blocks(0, state, ends)
        return self._made(ends), [
            partial(_inside, self._positive_block, visible, block) for block in blocks
        ]

    def _positive_block(self, visible: Tensor, block: _Block) -> None:
        state, last = block.state, len(block.state) - 1
        state[0] = visible[block.part]
        field = None
        # of two layers the second one is summed out: there is nothing to sample before
        if last > 1 and self.mean_field is not None:
            field = self.mean_field.settle(block.sweeps, state)
        elif last > 1:
            block.sweeps.pass_up(state)
            field = block.sweeps.run(self.mcsteps, state, self._hook, clamped=(0,))
        self._sum_out(0, block, field)

    def _sampler_tasks(self) -> tuple[State, list[Task]]:
        """Move the user's chains; the tasks that are left sum layers out."""
        self.negative.update_state(self.mcsteps)
        chains = self.negative.get_state()
        ends = self._ends_of(1, chains)
        tasks: list[Task] = []
        for k, part in enumerate(self._parts(chains.batch_size())):
            block = _Block(part, None, self._sweeps(1, k), chains.rows(part), ends.rows(part))
            tasks.append(partial(self._sum_out, 1, block))
        return ends, tasks

    def _negative_tasks(self, start: Tensor | None) -> tuple[State, list[Task]]:
        if self._betas is None:  # a sampler of the user
            if start is not None:
                raise ConfigError(f"{self.negative!r} cannot start at a minibatch: take fit.pcd")
            return self._sampler_tasks()
        if start is not None:
            self.negative.restart(int(be.shape(start)[0]))
        chains = self.negative.get_state()
        ends = self._ends_of(1, chains)
        blocks = self._blocks(1, chains, ends)
        self._sample = self._made(ends)
        return self._sample, [
            partial(_inside, self._negative_block, start, block) for block in blocks
        ]

    def _negative_block(self, start: Tensor | None, block: _Block) -> None:
        chains, sweeps, last = block.state, block.sweeps, len(block.state) - 1
        if start is not None:
            chains[0][:] = start[block.part]
            # of two layers the second is the first to be drawn
            if last > 1:
                sweeps.pass_up(chains)
        for _ in range(self.mcsteps):
            beta = self.negative.beta_sampler.next_beta(block.part)
            field = sweeps.run(1, chains, self._hook, beta)
        self._sum_out(1, block, field)


def _inside(
    work: Callable[[Any, _Block], None], units: Tensor | None, block: _Block | None
) -> None:
    """Make a block, or what is here of it, with the draws of its rows."""
    if block is not None:
        with _draws(block):
            work(units, block)


def _draws(block: _Block) -> AbstractContextManager[None]:
    return nullcontext() if block.place is None else be.draws_of_rows(*block.place)


def _one_by_one(*tasks: Task) -> None:
    for task in tasks:
        task()
