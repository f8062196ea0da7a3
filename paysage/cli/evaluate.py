"""`paysage evaluate`: the log-likelihood of data, with error bars, and the reconstruction error."""

from __future__ import annotations

import argparse
from typing import Any

from paysage.cli.options import add_backend, add_data, add_output, use_backend
from paysage.cli.output import Result

SUMMARY = "measure how well a machine knows data: log-likelihood with error bars"
EXAMPLE = """\
  paysage evaluate model.h5 --data digits
  paysage evaluate rbm.h5 --data mnist/test --steps 14500 --json"""

#: a half of the layers with at most 2 to the power of so many states is summed
FEW_BITS = 18


def add_options(parser: argparse.ArgumentParser) -> None:
    """The machine, the data, and how much work is put into the partition function."""
    add = parser.add_argument
    add("model", metavar="MODEL", help="file of a model, or a checkpoint")
    add_data(parser)
    add("--rows", type=int, metavar="N", help="only the first N rows")
    add("--method", choices=("exact", "ais"), help="of log Z (exact where there are few states)")
    add("--chains", type=int, default=100, metavar="N", help="of AIS (%(default)s)")
    add("--steps", type=int, default=5000, metavar="N", help="temperatures of AIS (%(default)s)")
    add("--burn-in", type=int, default=1000, metavar="N", help="sweeps from data (%(default)s)")
    add_backend(parser)
    add_output(parser)


def command(options: argparse.Namespace) -> Result:
    """Sum or estimate the partition function, and look at all rows."""
    from paysage.checks import check_whole
    from paysage.cli.loading import load_machine

    check_whole("--chains", options.chains, 2)
    check_whole("--steps", options.steps, 1)
    check_whole("--burn-in", options.burn_in, 1)  # data have means for hidden units
    with use_backend(options):
        model = load_machine(options.model)
        visible = _visible(options, model)
        found = _likelihood(model, visible, *_log_partition(options, model, visible))
        found["reconstruction_error"] = _reconstruction_error(model, visible)
    return Result(_lines(found), {"rows": len(visible), **found})


def _visible(options: argparse.Namespace, model: Any) -> Any:
    """The rows as visible units; a named error if they cannot be that."""
    from paysage import backends as be
    from paysage import layers
    from paysage.checks import check_whole
    from paysage.cli.data import read_rows, transformation

    rows = read_rows(options.data, options.key)
    values = rows.values
    if options.rows is not None:
        values = values[: check_whole("--rows", options.rows, 1)]
    real = isinstance(model.layers[0], layers.GaussianLayer)
    transform = transformation(options.transform, rows.grey, real)
    transform.check(values)
    visible = be.float_tensor(transform.compute(be.float_tensor(values)))
    model.layers[0].check_units(visible)
    model.layers[0].check_values(visible)
    return visible


def _log_partition(
    options: argparse.Namespace, model: Any, visible: Any
) -> tuple[str, float, float, float]:
    """How log Z was found, and its value and both ends of its interval."""
    from paysage import likelihood
    from paysage.likelihood.exact import fewest_bits
    from paysage.likelihood.normalizable import check_normalizable
    from paysage.models import State

    check_normalizable(model)  # chains of a machine that has no partition function run away
    few = options.method is None and fewest_bits(model) <= FEW_BITS
    if few or options.method == "exact":
        exact = likelihood.exact_log_partition(model)
        return "exact sum", exact, exact, exact
    starts = visible[[i % len(visible) for i in range(options.chains)]]
    samples = model.markov_chain(options.burn_in, State.from_visible_means(starts, model))
    ends = likelihood.sandwich(
        model, samples, options.chains, options.steps, base=visible, verbose=True
    )
    return "annealed from both sides", ends.log_partition, ends.lower.low, ends.upper.high


def _likelihood(
    model: Any, visible: Any, how: str, log_z: float, low: float, high: float
) -> dict[str, Any]:
    from paysage import likelihood
    from paysage.likelihood.halves import two_halves

    deep = two_halves(model)[0] != [0]
    rows = likelihood.variational_bound if deep else likelihood.log_likelihood
    found = rows(model, visible, log_z)
    return {
        "log_likelihood": found.mean,
        "is_lower_bound": deep,
        "standard_error": found.standard_error,
        "interval": [found.mean + log_z - high, found.mean + log_z - low],
        "log_partition": log_z,
        "log_partition_interval": [low, high],
        "log_partition_by": how,
    }


def _reconstruction_error(model: Any, visible: Any) -> float | None:
    from paysage import batch, metrics

    table = batch.InMemoryTable(visible, min(len(visible), 100), copy=False)
    monitor = metrics.ProgressMonitor([metrics.ReconstructionError()])
    data = batch.Batch({"train": table, "validate": table})
    return monitor.evaluate(data, model, fantasy_steps=1)["ReconstructionError"]


def _lines(found: dict[str, Any]) -> list[str]:
    low, high = found["interval"]
    z_low, z_high = found["log_partition_interval"]
    name = "bound on log-likelihood" if found["is_lower_bound"] else "log-likelihood"
    return [
        f"{name}: {found['log_likelihood']:.3f} nats a row",
        f"  {low:.3f} to {high:.3f} by log Z; ± {found['standard_error']:.3f} by the rows",
        f"log Z: {found['log_partition']:.3f}, {z_low:.3f} to {z_high:.3f}, "
        f"{found['log_partition_by']}",
        f"ReconstructionError: {found['reconstruction_error']:.6f}",
    ]
