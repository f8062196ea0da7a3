"""What the scripts of this folder share: the data, the pictures and the command line."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from paysage import backends as be
from paysage import batch, datasets, plotting, preprocess, samplers, schedules
from paysage.errors import PaysageError, StorageError, missing_dependency

HERE = Path(__file__).resolve().parent
SEED = 137
DIGITS = "digits"


class Settings(NamedTuple):
    """How a model of one data set is trained and sampled."""

    num_hidden: int
    num_epochs: int
    batch_size: int
    learning_rate: float
    decay: float
    """see `decaying_rate`"""
    mcsteps: int
    l1: float = 0.0
    l2: float = 0.0
    noise: float = 0.0
    """standard deviation of Gaussian visible units, black being 1 and white 0"""


# the data


def find_images(data: str | Path | None = None) -> datasets.Dataset:
    """The images to learn from: MNIST, or the digits of 8 x 8 pixels where there is none.

    Parameters
    ----------
    data : path, optional
        The file that download_mnist.py makes, or 'digits' for the small ones. By default MNIST
        where `datasets.find_mnist` finds it.

    Returns
    -------
    Dataset
        Grey values 0..255, a row an image; 60,000 rows of MNIST or 1797 of the digits.
    """
    if data is None and datasets.find_mnist() is None:
        print(f"MNIST is not here ({datasets.HOW_TO_GET_MNIST}): learning scikit-learn's digits")
        data = DIGITS
    return datasets.load_digits() if data == DIGITS else datasets.load_mnist(data).train


def choose(settings: Mapping[str, Settings], images: datasets.Dataset) -> Settings:
    """The settings for these images, of those for 'mnist' and for 'digits'."""
    return settings[images.name.split("/")[0]]


def create_batch(
    batch_size: int,
    train_fraction: float = 0.95,
    transform: preprocess.Transformation | None = None,
    data: str | Path | datasets.Dataset | None = None,
) -> batch.Batch:
    """Minibatches of images in random order, the same order each time.

    Parameters
    ----------
    batch_size : int
    train_fraction : float
        Share of the rows that is learned from; the others validate.
    transform : Transformation, optional
        What is done to a minibatch; by default grey values become 0 or 1.
    data : path or Dataset, optional
        Images, or where they are, as in `find_images`.
    """
    images = data if isinstance(data, datasets.Dataset) else find_images(data)
    order = np.random.default_rng(SEED).permutation(len(images.images))
    return batch.in_memory_batch(
        be.float_tensor(images.images[order]),
        batch_size,
        train_fraction,
        transform or preprocess.Transformation(preprocess.binarize_color),
    )


def grey() -> preprocess.Transformation:
    """Grey values 0..255 to 0..1, for Gaussian pixels."""
    return preprocess.Transformation(preprocess.scale, kwargs={"denominator": 255})


def some_images(data: batch.Batch, num: int) -> Any:
    """The first images of the validation data, (num, pixels)."""
    return next(data.iterate("validate"))[:num]


# the training


def decaying_rate(learning_rate: float, decay: float) -> schedules.PowerLawDecay:
    """Return a schedule with the value learning_rate / (1 + decay * t) in epoch t = 0, 1, ..."""
    return schedules.PowerLawDecay(initial=learning_rate, coefficient=decay / learning_rate)


def set_bias(layer: Any, bias: float) -> None:
    """Start the units of a layer at this bias, and its running mean at the mean it gives them."""
    layer.params.loc[:] = bias
    layer.reset_offset()


@contextmanager
def until_interrupted() -> Iterator[None]:
    """Take Ctrl-C for the wish to stop training and see what has been learned."""
    try:
        yield
    except KeyboardInterrupt:
        print("\ninterrupted: going on with the model as it is")


# the pictures


def output_folder(out: str | Path | None, script: str) -> Path:
    """The folder for the pictures of a script, made if need be: before the training starts."""
    if find_spec("matplotlib") is None:
        raise missing_dependency("matplotlib", "the pictures of the examples", "examples")
    folder = HERE / "output" / Path(script).stem if out is None else Path(out)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"cannot make the folder {folder}: {error.strerror}") from error
    return folder


def _draw(
    draw: Callable[..., Any], *arrays: Any, to: Path, show_plot: bool, **options: Any
) -> None:
    draw(*arrays, filename=to, show=show_plot, **options)
    print(f"wrote {to}")


def _shape(num_pixels: int) -> tuple[int, int]:
    side = round(num_pixels**0.5)
    return side, side


def show_metrics(monitor: Any, out: Path, show_plot: bool = False) -> None:
    """Print the metrics of the first epoch beside those of the last, and draw all of them."""
    if not monitor.memory:
        return
    first, last = monitor.memory[0], monitor.memory[-1]
    heads = [f"epoch {epoch}" for epoch in (monitor.epochs[0], monitor.epochs[-1])]
    width = max(map(len, first))
    print(f"{'metric':<{width}}  {heads[0]:>12}  {heads[1]:>12}")
    for name in first:
        print(f"{name:<{width}}  {first[name]:>12.6f}  {last[name]:>12.6f}")
    print()
    _draw(
        plotting.metric_curves,
        monitor.memory,
        epochs=monitor.epochs,
        to=out / "metrics.png",
        show_plot=show_plot,
    )


def show_reconstructions(
    model: Any, data: batch.Batch, out: Path, show_plot: bool = False, num: int = 10
) -> None:
    """Draw validation images above the means of their reconstructions."""
    visible = some_images(data, num)
    state = model.compute_reconstructions(visible, method="mean_field_iteration")
    arrays = (be.to_numpy_array(visible), be.to_numpy_array(state.get_visible()))
    _draw(
        plotting.reconstruction_grid,
        *arrays,
        shape=_shape(arrays[0].shape[1]),
        to=out / "reconstructions.png",
        show_plot=show_plot,
    )


def compute_fantasy_particles(
    model: Any, num: int, num_steps: int = 1000, mean_field: bool = True
) -> np.ndarray:
    """Draw images from the model.

    Parameters
    ----------
    model : BoltzmannMachine
    num : int
        Number of images, each from a chain of its own that starts at random.
    num_steps : int
        Sweeps of a chain. Their temperatures wander at first, which carries the chains from one
        digit to another, and stay at one in the last tenth.
    mean_field : bool
        End with the means given the last sweep, which are grey, instead of a draw, which is not.

    Returns
    -------
    array (num, pixels)
    """
    cold = num_steps // 10
    warm = samplers.SequentialMC.generate_fantasy_state(model, num, num_steps - cold)
    state = model.markov_chain(cold, warm)
    if mean_field:
        state = model.mean_field_iteration(1, state)
    return np.array(be.to_numpy_array(state.get_visible()))


def show_images(images: np.ndarray, to: Path, show_plot: bool = False) -> None:
    """Draw images (n, pixels) from white at 0 to black at 1, ten a row."""
    shape = _shape(images.shape[1])
    _draw(plotting.image_grid, images, shape=shape, ncols=10, to=to, show_plot=show_plot)


def show_fantasy_particles(
    model: Any,
    out: Path,
    show_plot: bool = False,
    num: int = 50,
    draw: Callable[[Any, int], np.ndarray] = compute_fantasy_particles,
) -> None:
    """Draw images that the model made up, by `draw(model, num)`."""
    show_images(draw(model, num), out / "fantasy_particles.png", show_plot)


def show_weights(model: Any, out: Path, show_plot: bool = False, num: int = 50) -> None:
    """Draw the weights between the image and each of the first hidden units."""
    weights = be.to_numpy_array(model.connections[0].weights.W(trans=True))[:num]
    _draw(
        plotting.weight_grid,
        weights,
        shape=_shape(weights.shape[1]),
        ncols=10,
        vmax=float(np.quantile(np.abs(weights), 0.995)),  # the few largest would pale the rest
        to=out / "weights.png",
        show_plot=show_plot,
    )


def weight_norm_histogram(model: Any, out: Path, show_plot: bool = False) -> None:
    """Draw how long the weight vectors of the hidden units are."""
    weights = be.to_numpy_array(model.connections[0].weights.W())
    _draw(
        plotting.weight_norm_histogram,
        weights,
        to=out / "weight_norms.png",
        show_plot=show_plot,
    )


def show_all(
    model: Any,
    monitor: Any,
    data: batch.Batch,
    out: Path,
    show_plot: bool = False,
    draw: Callable[[Any, int], np.ndarray] = compute_fantasy_particles,
) -> None:
    """The table of metrics and all pictures of a trained model; `draw` makes images of it."""
    show_metrics(monitor, out, show_plot)
    show_reconstructions(model, data, out, show_plot)
    show_fantasy_particles(model, out, show_plot, draw=draw)
    show_weights(model, out, show_plot)
    weight_norm_histogram(model, out, show_plot)


# the command line


def make_parser(description: str | None) -> argparse.ArgumentParser:
    """The options that every script of this folder takes."""
    parser = argparse.ArgumentParser(description=description)
    add = parser.add_argument
    add("--epochs", type=int, metavar="N", help="passes through the data (a good number)")
    add("--data", metavar="PATH", help="mnist.h5, or 'digits' for images of 8 x 8 pixels")
    add("--out", metavar="FOLDER", help="where pictures go (output/<script> beside the script)")
    add("--seed", type=int, default=SEED, help="of all random numbers (%(default)s)")
    add("--backend", choices=("python", "pytorch"), help="what computes (as configured)")
    add("--processor", choices=("cpu", "gpu"), help="where it computes (as configured)")
    add("--show", action="store_true", help="show the pictures, too")
    add("--quiet", action="store_true", help="no metrics after each epoch")
    return parser


def main(run: Callable[..., Any], description: str | None, argv: list[str] | None = None) -> None:
    """Run a script with the options of its command line."""
    options = make_parser(description).parse_args(argv)
    try:
        if options.backend or options.processor:
            be.set_backend(options.backend, options.processor)
        be.set_seed(options.seed)
        run(
            num_epochs=options.epochs,
            show_plot=options.show,
            data=options.data,
            out=options.out,
            verbose=not options.quiet,
        )
    except PaysageError as error:
        sys.exit(f"{type(error).__name__}: {error}")
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)
