"""The conformance suite of layers: what an extension author runs on a type of units."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from threadpoolctl import threadpool_limits

from paysage import backends as be
from paysage.backends.generator import Generator
from paysage.errors import ConfigError, ConformanceError
from paysage.layers import Layer
from paysage.testing.promises import PROMISES
from paysage.testing.subject import Broken, Subject


def check_layer(
    layer_type: type[Layer],
    num_units: int = 4,
    factory: Callable[[int], Layer] | None = None,
    seed: int = 137,
) -> list[str]:
    """Check that a type of units keeps every promise of ``Layer``, on every available backend.

    The promises, in the order in which they are checked:

    * ``hooks``: every hook is defined; parameters are new Float tensors for each layer
    * ``shapes``: each hook gives finite Float tensors of the shapes in ``Layer``'s table
    * ``inputs``: field and units are not changed; ``out`` may be the field, and whether it is given
      or not makes no difference to the result
    * ``beta``: None is one; a number, and a tensor (B, 1), apply to the rows they belong to
    * ``states``: what is drawn is in ``support``, and one of ``all_states()`` if listed
    * ``enumeration``: if states are listed: ``log_partition`` is the logarithm of their sum
    * ``derivative``: the derivative of ``log_partition`` by the field is beta times the rescaled
      ``mean``
    * ``mode``: no state, listed or drawn, has a lower energy than the ``mode``
    * ``sample``: draws have the ``mean``, and the law of which ``log_partition`` is the sum
    * ``stationarity``: if states are listed: sweeps of a small machine with a Bernoulli layer leave
      its exact distribution alone
    * ``gradient``: ``energy_gradient`` is the derivative of energy - connected · field by each
      parameter, also of a centered layer
    * ``field_gradient``: if the layer can be summed out: ``field_gradient`` is the derivative of
      -conditional_log_partition(field) by each parameter, also of a centered layer
    * ``training``: the gradients that ``fit.pcd``, ``fit.cd`` and ``fit.MeanField`` compute, with
      the layer as visible, hidden and middle layer of a small model, are the derivatives of the
      exact log-likelihood (of the exact lower bound with ``MeanField``)
    * ``config``: ``get_config`` is JSON, and makes the same layer, with its options
    * ``save``: a layer from a file is the same to the last bit, and acts the same
    * ``marginal``: ``fit_marginal`` gives the isolated layer the mean it is asked for

    Tolerances come from single precision and, where something is drawn, from the Monte-Carlo
    error: five and a half standard errors, one false alarm in 2·10⁷ comparisons of a fixed seed.

    Parameters
    ----------
    layer_type : type
        A subclass of ``Layer``; its parameters are moved from their initial values at random, by
        up to 0.5.
    num_units : int
        Width of the layers that are checked.
    factory : function of a number of units, optional
        Makes a new layer each time, always the same one, to be checked with its own parameters.
        For types that take further arguments, or whose parameters may not be moved at random.
    seed : int
        Of everything that is drawn.

    Returns
    -------
    list of str
        The promises that were checked: those that need listed states only where there are some.

    Raises
    ------
    ConformanceError
        At the first broken promise, with what was got and what was expected.
    ConfigError
        If the type is no subclass of ``Layer``.
    """
    if not isinstance(layer_type, type) or not issubclass(layer_type, Layer):
        raise ConfigError(f"check_layer takes a subclass of Layer, got {layer_type!r}")
    checked: list[str] = []
    for backend, processor in _available():
        with _in_use(backend, processor, seed):
            subject = Subject(layer_type, num_units, factory, seed)
            checked = [
                name for name, check in PROMISES.items() if _keeps(subject, name, check, backend)
            ]
    return checked


def _keeps(subject: Subject, name: str, check: Callable, backend: str) -> bool:
    """Whether a promise could be checked; a ConformanceError if it is broken."""
    where = f"{subject.layer_type.__name__} breaks the promise '{name}' on the {backend} backend"
    try:
        return check(subject) is not False
    except Broken as error:
        raise ConformanceError(f"{where}: {error}", name) from None
    except Exception as error:
        said = f"{where}: got {type(error).__name__}: {error}, expected no error"
        raise ConformanceError(said, name) from error


def _available() -> list[tuple[str, str]]:
    """The backends and processors that this process can use."""
    found = [("python", "cpu")]
    if importlib.util.find_spec("torch") is not None:
        from torch import cuda

        found += [("pytorch", "cpu")] + ([("pytorch", "gpu")] if cuda.is_available() else [])
    return found


@contextmanager
def _in_use(backend: str, processor: str, seed: int) -> Iterator[None]:
    """Use a backend and a generator of this seed; afterwards those that were in use before."""
    former = be.get_backend()
    be.set_backend(backend, processor)
    try:
        # matrices are tiny here: threads of BLAS or PyTorch would only wait for each other
        with Generator(seed), threadpool_limits(limits=1):
            yield
    finally:
        be.set_backend(*former)
