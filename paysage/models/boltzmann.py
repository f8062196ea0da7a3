"""The Boltzmann machine: its topology, and the face of everything that can be done with it."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import nullcontext
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np

from paysage import backends as be
from paysage import storage
from paysage.backends.generator import Generator, GeneratorOwner
from paysage.checks import check_list, check_number, check_whole, is_whole
from paysage.errors import ConfigError, DataError, PaysageError, ShapeError, StorageError
from paysage.layers import Layer, layer_from_config
from paysage.models import centering
from paysage.models.blocks import Blocks
from paysage.models.finite import check_end, check_finite
from paysage.models.gradient import GradientBuilder, ModelGradient
from paysage.models.graph import Connection, chain, check_graph, check_machine
from paysage.models.initialize import check_batch, initializer
from paysage.models.legacy import legacy_parts
from paysage.models.state import State, StateTAP, check_is_state
from paysage.models.sweep import Sweeps, update_hook
from paysage.models.tap import GibbsFreeEnergy, check_means, gibbs_free_energy
from paysage.models.tap_descent import Minimizer, TAPReport, warn_unconverged
from paysage.registry import configuring
from paysage.threads import one_thread_each

Tensor = Any


class BoltzmannMachine(GeneratorOwner):
    """An energy-based model on a graph of layers.

    E(x) = Σ_i E_i(x_i) - Σ_c r(x_t)ᵀ W_c r(x_d), one term a layer and one a connection, and
    p_β(x) ∝ exp(-β E(x)).

    Parameters
    ----------
    layer_list : sequence of Layer
        The visible layer first.
    conn_list : sequence of Connection, optional
        The graph; by default each layer is connected to the next one.
    generator : backends.Generator or int, optional
        Generator, or its seed, that the methods of this model draw from where no other generator is
        active. By default one that is spawned from the global generator.

    Raises
    ------
    ConfigError, ShapeError
        If layers and connections do not fit one another.
    """

    def __init__(
        self,
        layer_list: Sequence[Layer],
        conn_list: Sequence[Connection] | None = None,
        generator: Generator | int | None = None,
    ) -> None:
        self.generator = generator
        self.layers = check_list(
            "layer_list is a list of layers: BoltzmannMachine([first, second])", layer_list
        )
        for layer in self.layers:
            if not isinstance(layer, Layer):
                raise ConfigError(f"layer_list takes layers, got {type(layer).__name__}")
        if conn_list is None:
            with self._given or nullcontext():  # the weights start at random numbers
                self.connections = chain(self.layers)
        else:
            self.connections = check_list(
                "conn_list is a list of connections: conn_list=[connection]", conn_list
            )
        check_graph(self.layers, self.connections)
        self.sweeps = Sweeps(self.layers, self.connections)
        self.blocks = Blocks(self.layers, self.connections)
        self.clamped_sampling: list[int] = []

    def __getstate__(self) -> dict[str, Any]:
        """Return what is pickled and copied.

        That is everything but the working memory of sweeps, and the model's own generator: a copy
        spawns another one. A generator that was given is copied.
        """
        left_out = ("sweeps", "blocks", "_own")
        return {key: kept for key, kept in vars(self).items() if key not in left_out}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self.sweeps = Sweeps(self.layers, self.connections)
        self.blocks = Blocks(self.layers, self.connections)

    def __repr__(self) -> str:
        return f"BoltzmannMachine({self.layers!r})"

    _yields_to_active = True  # in a training all draws come from the generator of the trainer

    @property
    def num_layers(self) -> int:
        """Number of layers, the visible one included."""
        return len(self.layers)

    @property
    def num_connections(self) -> int:
        """Number of connections between layers."""
        return len(self.connections)

    def num_parameters(self) -> int:
        """Number of scalars in all parameters of layers and weights."""
        owners = [*self.layers, *(c.weights for c in self.connections)]
        return sum(owner.num_parameters() for owner in owners)

    def num_weights(self) -> int:
        """Number of weights of all connections."""
        return sum(c.weights.shape[0] * c.weights.shape[1] for c in self.connections)

    def largest_matrix(self) -> int:
        """Number of weights of the connection that has most."""
        return max(c.weights.shape[0] * c.weights.shape[1] for c in self.connections)

    def initialize(self, batch: Any, method: str = "hinton", **kwargs: Any) -> None:
        """Give the parameters first values from the data.

        Parameters
        ----------
        batch : Batch
            Its training rows are read once; by 'pca' twice or more often.
        method : 'hinton', 'glorot_normal', 'stddev' or 'pca'
        **kwargs
            Of the method: `num_components` for 'pca'. Keywords of version 0.2, such as `epochs` and
            `stepsize`, are ignored; others raise a ConfigError.
        """
        fill = initializer(method)
        check_machine(self)
        check_batch(batch)
        if batch.ncols != self.layers[0].num_units:
            raise ShapeError(
                f"the visible layer has {self.layers[0].num_units} units, "
                f"the data have {batch.ncols} columns"
            )
        # the batch may multiply too, as layerwise pretraining's does
        with one_thread_each(), self.drawing():
            fill(batch, self, **kwargs)

    # sampling

    def set_clamped_sampling(self, clamped_sampling: Iterable[int]) -> None:
        """Layers that sweeps leave alone when they are not told otherwise."""
        self.clamped_sampling = self.clamped_layers(clamped_sampling)

    def clamped_layers(self, clamped: Iterable[int] | None) -> list[int]:
        """The layers to clamp as a list, by default those of ``set_clamped_sampling``.

        Raises
        ------
        ConfigError
            For something else than a collection of indices of layers.
        """
        if clamped is None:
            return self.clamped_sampling
        clamped = check_list("clamped takes a list of layers, such as [0]", clamped)
        for i in clamped:
            if not is_whole(i) or i >= self.num_layers:
                raise ConfigError(f"cannot clamp layer {i!r} of a machine of {self.num_layers}")
        return clamped

    def check_state(self, state: State) -> None:
        """Raise a named error unless it is a state, of the layers and widths of this machine."""
        check_is_state(state)
        if len(state) != self.num_layers:
            raise ShapeError(f"a state of {len(state)} layers does not fit {self!r}")
        for layer, units in zip(self.layers, state, strict=True):
            layer.check_units(units)

    def check_start(self, state: State) -> None:
        """Raise a named error unless units can be drawn, layer by layer, beginning at a state.

        NaN would go unnoticed in the draws of units that are on or off. Means of units will do as a
        start, as ``State.from_visible_means`` returns them. What is captured looks at shapes alone.

        Raises
        ------
        ConfigError, ShapeError
            If it is no state, or of other layers.
        DivergenceError
            If a parameter is NaN or infinite.
        DataError
            If a layer has units that are NaN, infinite or out of its range.
        """
        self.check_state(state)
        if be.is_capturing():
            return
        check_finite(self)
        if state.batch_size() == 0:  # no rows have no least unit
            return
        for i, (layer, units) in enumerate(zip(self.layers, state, strict=True)):
            low, high = layer.support or (-math.inf, math.inf)
            ends = be.item(be.tmin(units)), be.item(be.tmax(units))  # NaN if any unit is
            if not (all(map(math.isfinite, ends)) and low <= ends[0] and ends[1] <= high):
                raise DataError(
                    f"sweeps cannot begin where layer {i}, {layer!r}, has units that are NaN, "
                    f"infinite or not from {low:g} to {high:g}"
                )

    def update_state_(
        self,
        n: int,
        state: State,
        method: str = "markov_chain",
        beta: Any = None,
        clamped: Collection[int] | None = None,
        callbacks: Iterable[Callable[[State], Any]] | None = None,
    ) -> State:
        """Sweep n times, changing the state in place; see ``markov_chain``."""
        hook, held = update_hook(method), self.clamped_layers(clamped)
        calls = _functions(callbacks)
        parts = self.blocks.parts(state.batch_size())
        # what becomes NaN or infinite is told at the end
        with one_thread_each(), self.drawing(), np.errstate(all="ignore"):
            if calls or len(parts) == 1:
                self.sweeps.run(n, state, hook, beta, held, calls)
            else:
                self.blocks.run(n, state, hook, beta, held)
        return state

    def _updated(
        self, n: int, state: State, method: str, beta: Any, callbacks: Any, clamped: Any
    ) -> State:
        n = check_whole("n", n)
        self.check_start(state)
        beta = _checked_beta(beta, state.batch_size())
        state = self.update_state_(n, State.from_state(state), method, beta, clamped, callbacks)
        check_end(self, state)
        return state

    def markov_chain(
        self,
        n: int,
        state: State,
        beta: Any = None,
        callbacks: Iterable[Callable[[State], Any]] | None = None,
        clamped: Collection[int] | None = None,
    ) -> State:
        """Gibbs sampling: n sweeps, odd layers first, then even, each drawn given its neighbours.

        Parameters
        ----------
        n : int
            Number of sweeps.
        state : State
            Where to start; it is not changed.
        beta : float or tensor (B, 1), optional
            Inverse temperature, of all rows or of each.
        callbacks : function of a State, or iterable of such, optional
            Called after each sweep. The next one writes into the same state: a callback that keeps
            it takes a copy, ``State.from_state(state)``.
        clamped : collection of int, optional
            Layers that stay as they are; by default those of ``set_clamped_sampling``.

        Returns
        -------
        State
        """
        return self._updated(n, state, "markov_chain", beta, callbacks, clamped)

    def mean_field_iteration(
        self, n: int, state: State, beta: Any = None, callbacks: Any = None, clamped: Any = None
    ) -> State:
        """As ``markov_chain``, each layer set to its mean given its neighbours."""
        return self._updated(n, state, "mean_field_iteration", beta, callbacks, clamped)

    def deterministic_iteration(
        self, n: int, state: State, beta: Any = None, callbacks: Any = None, clamped: Any = None
    ) -> State:
        """As ``markov_chain``, each layer set to its mode given its neighbours."""
        return self._updated(n, state, "deterministic_iteration", beta, callbacks, clamped)

    def compute_reconstructions(self, visible: Tensor, method: str = "markov_chain") -> State:
        """Reconstruct visible units by one sweep over all layers, the visible one included.

        The sweep starts at ``State.from_visible_means``, so that the reconstructions of a deep
        model do not depend on random initial units.

        Parameters
        ----------
        visible : tensor (B, V)
        method : 'markov_chain', 'mean_field_iteration' or 'deterministic_iteration'

        Returns
        -------
        State
        """
        update_hook(method)  # refuses an unknown name before any work
        check_finite(self)
        start = State.from_visible_means(visible, self)
        start[0] = be.copy_tensor(start[0])
        state = self.update_state_(1, start, method, clamped=())
        check_end(self, state)
        return state

    # energies and gradients

    def joint_energy(self, state: State) -> Tensor:
        """Energy of each row of the state, (B,)."""
        self.check_state(state)
        with np.errstate(all="ignore"):  # energies beyond floats are infinite
            return self._joint_energy(state)

    def _joint_energy(self, state: State) -> Tensor:
        seen = [layer.connected(u) for layer, u in zip(self.layers, state, strict=True)]
        energy = sum(layer.energy(u) for layer, u in zip(self.layers, state, strict=True))
        for c in self.connections:
            energy = energy + c.weights.energy(seen[c.target_index], seen[c.domain_index])
        return energy

    def gradient(self, data_state: State, model_state: State) -> ModelGradient:
        """Descent direction of -log likelihood plus penalties, averaged over rows.

        Parameters
        ----------
        data_state, model_state : State
            Samples of the positive and of the negative phase. All layers hold given units: means
            in their place bias the gradient by parameters of layers whose energy is not linear.
        """
        self.check_state(data_state)
        self.check_state(model_state)
        with np.errstate(all="ignore"):
            return GradientBuilder(self).compute(data_state, model_state)

    # extended mean field

    def gibbs_free_energy(self, state: StateTAP, order: int = 2, beta: float = 1.0) -> Tensor:
        """Free energy of each row of means, (B,); -log Z is its value at a stationary point.

        See ``models.gibbs_free_energy``.
        """
        return gibbs_free_energy(self, state, order, beta)

    def compute_StateTAP(
        self,
        use_GD: bool = True,
        init_lr: float = 0.1,
        tolerance: float = 0.01,
        max_iters: int = 25,
        ratchet: bool = False,
        decrease_on_neg: float = 0.9,
        mean_weight: float = 0.9,
        mean_square_weight: float = 0.999,
        seed: StateTAP | None = None,
        *,
        order: int = 2,
        num_samples: int = 1,
        damping: float = 0.5,
        beta: float = 1.0,
    ) -> tuple[StateTAP, TAPReport]:
        """Means at which the free energy is stationary, and how the search for them ended.

        Parameters
        ----------
        use_GD, init_lr, tolerance, max_iters, ratchet, decrease_on_neg, mean_weight, \
mean_square_weight, damping
            See ``models.tap_descent.Minimizer``.
        seed : StateTAP, optional
            Where to start; it is not changed. By default at ``num_samples`` random means.
        order : 1, 2 or 3
            Of the expansion in the couplings.
        num_samples : int
            Rows of the random start, each of which may end at another stationary point.
        beta : float
            Inverse temperature.

        Raises
        ------
        ConfigError, ShapeError
            If a layer lacks the TAP ability, or a setting or the start cannot be used. That the
            search has not converged is no error: the report says so, and a warning is logged.
        """
        rule = Minimizer(
            use_GD,
            init_lr,
            tolerance,
            max_iters,
            ratchet,
            decrease_on_neg,
            mean_weight,
            mean_square_weight,
            damping,
        )
        energy = GibbsFreeEnergy(self, order, beta)
        if seed is None:
            seed = StateTAP.from_model(num_samples, self)
        check_means(self, seed)
        with one_thread_each():
            state, report = rule.run(energy, seed)
        if not report.converged:
            warn_unconverged(report, tolerance)
        return state, report

    def enforce_constraints(self) -> None:
        """Apply the constraints of all parameters, in place."""
        for owner in (*self.layers, *(c.weights for c in self.connections)):
            owner.enforce_constraints()

    def update_offsets(self, state: State) -> None:
        """Move the running means of centered layers towards the means of the state.

        Each neighbour takes the change of its field into its bias, so that the distribution of
        the machine stays as it is (Montavon & Müller 2012; Melchior, Fischer & Wiskott 2016). A
        layer keeps its offset where a neighbour cannot: its bias is fixed, or has a constraint.

        Parameters
        ----------
        state : State
            Of the positive phase, means or units.
        """
        self.check_state(state)
        centering.update_offsets(self, state)

    def centered(self, state: State) -> BoltzmannMachine:
        """Return a model of the same distribution whose layers are all centered at a state's means.

        Biases compensate for the offsets, including fixed biases; constraints on them are not
        applied.

        Energies change by a constant that is the same for all states: free energies, -log Z and
        joint energies of the two models differ by it, log-likelihoods do not. Without Gaussian
        layers, energies of the centered model minus those of the uncentered one are
        -Σ_c r(o_t)ᵀ W_c r(o_d), where o is the offset of a layer and r what connections see of it.
        Compute log Z of the model whose energies you use.

        Parameters
        ----------
        state : State
            Its means over rows become the offsets.

        Returns
        -------
        BoltzmannMachine
            A copy.

        Raises
        ------
        ConfigError
            If a layer has no bias ``loc``.
        """
        self.check_state(state)
        return centering.centered(self, state)

    def uncentered(self) -> BoltzmannMachine:
        """Return a copy of the same distribution without centered layers.

        As in ``centered``, energies of all states differ from those of this model by one constant.
        """
        return centering.uncentered(self)

    # copies and files

    def get_config(self) -> dict:
        """JSON-able description of layers, graph, penalties and constraints; no values."""
        return {
            "model_type": type(self).__name__,
            "layers": [layer.get_config() for layer in self.layers],
            "connections": [c.get_config() for c in self.connections],
        }

    @classmethod
    def from_config(cls, config: dict) -> BoltzmannMachine:
        """Make the machine that ``get_config`` described; parameters have initial values.

        Raises
        ------
        ConfigError
            If it is no such configuration, or names a class that has not been imported.
        """
        with configuring("machine"):
            layers = [layer_from_config(c) for c in config["layers"]]
            return cls(layers, [Connection.from_config(c) for c in config["connections"]])

    def get_values(self) -> dict:
        """Copies of all parameters and running means as NumPy arrays, in a tree like the graph."""

        def arrays(owner: Any) -> dict:
            return {n: _array_of_its_own(p) for n, p in owner.params._asdict().items()}

        return {
            "layers": [arrays(layer) for layer in self.layers],
            "offsets": [_array_of_its_own(layer.offset) for layer in self.layers],
            "weights": [arrays(c.weights) for c in self.connections],
        }

    def set_values(self, values: dict) -> None:
        """Write what ``get_values`` returned into the parameters.

        Raises
        ------
        ConfigError, ShapeError, DataError
            If these are no values of such a machine.
        """
        with configuring("set of values"):
            self._set_values(values)

    def _set_values(self, values: dict) -> None:
        for layer, params, offset in zip(
            self.layers, values["layers"], values["offsets"], strict=True
        ):
            layer.set_params([params[name] for name in layer.get_param_names()])
            layer.set_offset(offset)
        for c, params in zip(self.connections, values["weights"], strict=True):
            c.weights.set_params([params[name] for name in c.weights.get_param_names()])

    def copy_params(self, model: BoltzmannMachine) -> None:
        """Copy the parameters and running means of another model into this one.

        Parameters
        ----------
        model : BoltzmannMachine
            A model with the same layers and connections. It is not changed.

        Raises
        ------
        ConfigError, ShapeError
            If the two models differ in their layers or connections; this one is then unchanged.
        """
        check_machine(model)
        if _structure(self) != _structure(model):
            raise ConfigError(
                f"copy_params expected a model with the layers and connections of {self!r}, "
                f"got {model!r}"
            )
        self.set_values(model.get_values())

    def copy(self) -> BoltzmannMachine:
        """A machine with the same configuration and values, sharing nothing with this one.

        It belongs to the backend in use, also where this one was made with another. If this one was
        given a generator, the copy has one that is spawned from it.
        """
        twin = type(self).from_config(self.get_config())
        twin.set_values(self.get_values())
        twin.set_clamped_sampling(self.clamped_sampling)
        twin.generator = None if self._given is None else self._given.spawn()[0]
        return twin

    def save(self, store: str | Path | Any) -> None:
        """Write the machine to a file.

        Parameters
        ----------
        store : path or open pandas.HDFStore
            A path is written to a temporary name and renamed.

        Raises
        ------
        StorageError
            If the file cannot be written; what was there before is left as it was.
        """
        tree = {"config": self.get_config(), "values": self.get_values()}
        storage.write_tree(store, tree, kind="model")

    @classmethod
    def from_saved(
        cls, store: str | Path | Any, layer_types: Sequence[Any] | None = None
    ) -> BoltzmannMachine:
        """Read a model from a file that ``save`` wrote; values are restored to the last bit.

        Files of version 0.2 are read too. Their configuration is a pickle, which is not read: the
        layers form a chain without centering, penalties, constraints and fixed parameters, and
        their types are given by `layer_types`.

        Parameters
        ----------
        store : path or open pandas.HDFStore
        layer_types : sequence, optional
            For files of version 0.2 only: one type a layer. A type is a subclass of Layer, its
            name, 'bernoulli', 'gaussian' or 'onehot', or None for the default: BernoulliLayer
            where one parameter is stored and GaussianLayer where two are.

        Raises
        ------
        StorageError
            If the file is absent, truncated, damaged, of a newer schema or of another program; or
            if it is of version 0.2 and its layers do not form a chain.
        ConfigError
            If the file holds a layer whose class has not been imported, or `layer_types` does not
            fit the file.
        """
        legacy = storage.read_legacy_model(store)
        if legacy is not None:
            return cls(*legacy_parts(legacy, layer_types))
        if layer_types is not None:
            raise ConfigError(
                f"layer_types is for model files of version 0.2, which {store} is not; leave it out"
            )
        return rebuilt(storage.read_tree(store, kind="model"), store, cls)


def _structure(model: BoltzmannMachine) -> list[Any]:
    """Return what two models must share for their parameters to correspond."""
    layers = [(type(layer), layer.num_units) for layer in model.layers]
    return [layers, [(c.target_index, c.domain_index) for c in model.connections]]


def rebuilt(tree: Any, name: Any, kind: type[BoltzmannMachine] = BoltzmannMachine) -> Any:
    """The machine of a tree with its ``config`` and ``values``, from a file of this name.

    Raises
    ------
    StorageError
        If the tree is none of a machine.
    ConfigError
        If it has a layer whose class has not been imported.
    """
    try:
        _check_sizes(tree["config"], tree["values"])
        model = kind.from_config(tree["config"])
        model._set_values(tree["values"])
    except PaysageError:
        raise
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise StorageError(f"{name} holds no machine that can be rebuilt: {error!r}") from error
    return model


def _check_sizes(config: dict, values: dict) -> None:
    """Refuse a description that is larger than its values, before memory is taken for it."""
    pairs = [
        *zip(config["layers"], values["offsets"], strict=True),
        *(
            (c["weights"], v["matrix"])
            for c, v in zip(config["connections"], values["weights"], strict=True)
        ),
    ]
    for described, array in pairs:
        shape = described["shape"] if "shape" in described else [described["num_units"]]
        if list(shape) != list(array.shape):
            raise ValueError(f"{shape} is described, {list(array.shape)} is there")


def _functions(callbacks: Any) -> list[Callable[[State], Any]]:
    """Callbacks as a list; a ConfigError if one cannot be called."""
    if callbacks is None:
        return []
    if callable(callbacks):
        return [callbacks]
    functions = check_list("callbacks takes functions of a State", callbacks)
    if not all(map(callable, functions)):
        raise ConfigError(f"callbacks takes functions of a State, got {callbacks!r}")
    return functions


def _checked_beta(beta: Any, rows: int) -> Any:
    """An inverse temperature as layers take it: None, a number, or a tensor (B, 1) or (1, 1)."""
    if beta is None:
        return None
    if isinstance(beta, Real | np.bool_):
        # a float: NumPy's own numbers would turn units into double precision
        return check_number("beta", beta)
    column = be.reshape(be.float_tensor(beta), (-1, 1))
    if be.shape(column)[0] not in (1, rows):
        raise ShapeError(
            f"beta is one number or one a row, ({rows}, 1), got shape {tuple(be.shape(beta))}"
        )
    check_number("the least beta", float(be.tmin(column)))
    return column


def _array_of_its_own(tensor: Tensor) -> np.ndarray:
    # not be.copy_tensor: the tensor may be of the backend that was in use before
    return np.array(be.to_numpy_array(tensor), order="C")
