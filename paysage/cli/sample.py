"""`paysage sample`: draws of a machine, as numbers or as a picture."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from paysage.cli.options import add_backend, add_force, add_output, image_shape, use_backend
from paysage.cli.output import Result, check_free
from paysage.errors import ConfigError

SUMMARY = "draw samples of a machine"
EXAMPLE = """\
  paysage sample model.h5 --out samples.png
  paysage sample model.h5 -n 1000 --steps 5000 --out samples.npy"""
SUFFIXES = (".png", ".npy", ".h5")


def add_options(parser: argparse.ArgumentParser) -> None:
    """The machine, the chains, and the file."""
    add = parser.add_argument
    add("model", metavar="MODEL", help="file of a model, or a checkpoint")
    add("--out", metavar="FILE", required=True, help="a picture .png, or numbers .npy or .h5")
    add("-n", "--number", type=int, default=50, metavar="N", help="of samples (%(default)s)")
    add("--steps", type=int, default=1000, metavar="N", help="sweeps of a chain (%(default)s)")
    kinds = parser.add_mutually_exclusive_group()
    kinds.add_argument("--means", action="store_true", help="means given the last sweep (a .png)")
    kinds.add_argument("--draws", action="store_true", help="units themselves (numbers)")
    add("--shape", metavar="HxW", help="height and width of an image (a square)")
    add_backend(parser)
    add_force(parser)
    add_output(parser)


def command(options: argparse.Namespace) -> Result:
    """Run chains from a random start, each of them a sample."""
    from paysage.checks import check_whole
    from paysage.files import check_writable

    out = check_free(options.out, options.force)
    if out.suffix not in SUFFIXES:
        raise ConfigError(f"--out {out}: expected a file that ends with {', '.join(SUFFIXES)}")
    check_writable(out)
    number = check_whole("--number", options.number, 1)
    steps = check_whole("--steps", options.steps, 1)
    generator = use_backend(options)

    from paysage.cli.loading import load_machine

    model = load_machine(options.model)
    pixels = model.layers[0].num_units
    shape = image_shape(options.shape, pixels) if out.suffix == ".png" else None
    means = options.means or (out.suffix == ".png" and not options.draws)
    with generator:
        rows = draw(model, number, steps, means)
    _write(out, rows, shape, model)
    what = "means" if means else "draws"
    lines = [f"{out}: {number} {what} of {pixels} visible units after {steps} sweeps"]
    return Result(lines, {"out": out, "number": number, "units": pixels, "steps": steps})


def draw(model: Any, number: int, steps: int, means: bool) -> Any:
    """Visible units (number, V) of chains that start at random, as an array.

    The temperatures wander at first, which carries chains from mode to mode, and stay at one in
    the last tenth.
    """
    from paysage import backends as be
    from paysage import samplers

    cold = max(1, steps // 10)
    warm = samplers.SequentialMC.generate_fantasy_state(model, number, steps - cold)
    state = model.markov_chain(cold, warm)
    if means:
        state = model.mean_field_iteration(1, state)
    return be.to_numpy_array(state.get_visible())


def _write(out: Path, rows: Any, shape: tuple[int, int] | None, model: Any) -> None:
    if shape is None:
        from paysage.cli.data import write_tables

        write_tables(out, {"samples": rows})
        return
    from paysage import layers, plotting

    real = isinstance(model.layers[0], layers.GaussianLayer)
    low, high = (float(rows.min()), float(rows.max())) if real else (0.0, 1.0)
    # equal numbers throughout still need a scale
    high = high if high > low else low + 1.0
    plotting.image_grid(rows, shape, ncols=10, vmin=low, vmax=high, filename=out)
