"""Pictures of what models hold: image grids, weights, curves of metrics, histograms.

Arrays in, figures out. No display is needed and no global state of matplotlib is touched, unless
`show=True` asks for a window. Every function takes NumPy arrays and backend tensors alike, returns
the figure, and writes it to `filename` where one is given.
"""

from __future__ import annotations

import operator
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from paysage import backends as be
from paysage.checks import check_list, check_number, check_whole, is_whole
from paysage.errors import (
    ConfigError,
    DataError,
    ShapeError,
    StorageError,
    missing_dependency,
)
from paysage.files import written_whole

Shape = tuple[int, int]

_DPI = 100
_TILE = 84  # an image is drawn this many screen pixels wide, or the next whole multiple of its own
_TITLE_SIZE = 13
_TEXT = "#333333"
_LINE = "#2b5c8a"
_SEPARATOR = 205  # grey of the lines between images, of 255
_GAP = 2  # their width in screen pixels
_LARGEST = 4000  # screen pixels along the longer side of a picture, where that can be kept


def image_grid(
    images: Any,
    shape: Shape,
    ncols: int | None = None,
    nrows: int | None = None,
    vmin: float = 0.0,
    vmax: float = 1.0,
    cmap: Any = "gray_r",
    row_titles: Sequence[str] | None = None,
    title: str | None = None,
    filename: str | Path | None = None,
    show: bool = False,
) -> Any:
    """Draw images side by side as one picture.

    Parameters
    ----------
    images : array (n, pixels) or (rows, columns, pixels)
        One image a row of the last axis.
    shape : (height, width)
        Shape of an image.
    ncols, nrows : int, optional
        Layout of `n` images; as square as can be unless said otherwise.
    vmin, vmax : float
        Values at the two ends of the colours.
    cmap : str or matplotlib colormap
        The colours.
    row_titles : list of str, optional
        A title at the left of each row.
    title : str, optional
        A title above.
    filename : path, optional
        Where the picture is written.
    show : bool
        Whether it is put on the screen.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ShapeError
        The images have another number of pixels than `shape`, or do not fit the layout.
    StorageError
        The picture cannot be written.
    """
    vmin, vmax = check_number("vmin", vmin, -np.inf), check_number("vmax", vmax, -np.inf)
    grid = _as_grid(_array(images), shape, ncols, nrows)
    if row_titles is not None and len(row_titles) != len(grid):
        raise ShapeError(f"got {len(row_titles)} row titles for {len(grid)} rows of images")
    highest = float(np.nanmax(grid, initial=0.0))
    if vmax == 1.0 and highest >= 128:
        warnings.warn(
            f"image_grid got values up to {highest:g} and draws all above 1 alike: grey values "
            "from 0 to 255 want vmax=255",
            UserWarning,
            stacklevel=2,
        )
    figure, _ = _draw_grid(grid, (vmin, vmax), cmap, row_titles, title, 0, show)
    return _finish(figure, filename, show)


def weight_grid(
    weights: Any,
    shape: Shape,
    ncols: int | None = None,
    nrows: int | None = None,
    vmax: float | None = None,
    cmap: Any = "RdBu_r",
    title: str | None = None,
    filename: str | Path | None = None,
    show: bool = False,
) -> Any:
    """Draw weights as images, white at zero, with a scale at the right.

    Parameters
    ----------
    weights : array (n, pixels) or (rows, columns, pixels)
        One hidden unit a row: `W(trans=True)` of a connection, or some rows of it.
    shape : (height, width)
        Shape of an image.
    ncols, nrows : int, optional
        Layout, as in `image_grid`.
    vmax : float, optional
        Weight at the end of the colours; the largest finite absolute one unless said otherwise.
    cmap : str or matplotlib colormap
        Colours that diverge from the middle.
    title, filename, show
        As in `image_grid`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    grid = _as_grid(_array(weights), shape, ncols, nrows)
    finite = np.abs(grid[np.isfinite(grid)])
    vmax = check_number("vmax", vmax) if vmax is not None else float(finite.max(initial=0)) or 1.0
    figure, axes = _draw_grid(grid, (-vmax, vmax), cmap, None, title, 70, show)
    _add_scale(figure, axes, (-vmax, vmax), cmap)
    return _finish(figure, filename, show)


def reconstruction_grid(
    data: Any,
    reconstructions: Any,
    shape: Shape,
    max_images: int = 10,
    title: str | None = None,
    filename: str | Path | None = None,
    show: bool = False,
) -> Any:
    """Draw data in the first row and what models make of them in the rows below.

    Parameters
    ----------
    data : array (n, pixels)
        The data.
    reconstructions : array (n, pixels), or a mapping from titles to such arrays
        One row of images each, in order.
    shape : (height, width)
        Shape of an image.
    max_images : int
        How many rows of the arrays are drawn at most.
    title, filename, show
        As in `image_grid`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    if not isinstance(reconstructions, Mapping):
        reconstructions = {"Reconstruction": reconstructions}
    check_whole("max_images", max_images, 1)
    rows = {"Data": data, **reconstructions}
    arrays = [np.atleast_1d(_array(row))[:max_images] for row in rows.values()]
    if len({array.shape for array in arrays}) != 1:
        got = {name: a.shape for name, a in zip(rows, arrays, strict=True)}
        raise ShapeError(f"data and reconstructions must have one shape, got {got}")
    return image_grid(
        np.stack(arrays), shape, row_titles=list(rows), title=title, filename=filename, show=show
    )


def metric_curves(
    memory: Sequence[Mapping[str, float | None]],
    epochs: Sequence[int] | None = None,
    filename: str | Path | None = None,
    show: bool = False,
) -> Any:
    """Draw each metric against the epoch, a panel each.

    Parameters
    ----------
    memory : list of mappings
        Metrics by name, one mapping an epoch, as a `ProgressMonitor` remembers them; absent or None
        where it was not measured.
    epochs : list of int, optional
        The epochs; 0, 1, 2, … unless said otherwise.
    filename, show
        As in `image_grid`.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    DataError
        Nothing has been remembered.
    ConfigError, ShapeError
        The epochs are no numbers, or not as many.
    """
    if not isinstance(memory, Sequence):
        raise DataError(
            f"metric_curves got a {type(memory).__name__}, expected a list of metrics by name: "
            "monitor.memory"
        )
    if not all(isinstance(entry, Mapping) for entry in memory):
        raise DataError("metric_curves got a list of other things than metrics by name")
    names = list(dict.fromkeys(name for entry in memory for name in entry))
    if not names:
        raise DataError("metric_curves got no metrics, expected those of at least 1 epoch")
    listed = check_list(
        "epochs is a list of numbers", range(len(memory)) if epochs is None else epochs
    )
    times = [check_number("an epoch", time, -np.inf) for time in listed]
    if len(times) != len(memory):
        raise ShapeError(f"got {len(times)} epochs for {len(memory)} entries of the memory")
    ncols = min(len(names), 4 if len(names) > 4 else 3)
    nrows = -(-len(names) // ncols)
    figure = _new_figure((3.1 * ncols, 2.5 * nrows), show, layout="constrained")
    for place, name in enumerate(names):
        axes = figure.add_subplot(nrows, ncols, place + 1)
        values = [(t, entry.get(name)) for t, entry in zip(times, memory, strict=True)]
        points = [(t, value) for t, value in values if value is not None]
        axes.plot(*zip(*points, strict=True), color=_LINE, marker="o", markersize=3, linewidth=1.4)
        axes.xaxis.get_major_locator().set_params(integer=True)
        # The last panel of each column carries the label of the axis.
        _style(axes, name, "epoch" if place + ncols >= len(names) else "", "")
    return _finish(figure, filename, show)


def histogram(
    values: Any,
    bins: int | None = None,
    title: str | None = None,
    xlabel: str = "",
    ylabel: str = "count",
    filename: str | Path | None = None,
    show: bool = False,
) -> Any:
    """Draw how often values occur.

    Parameters
    ----------
    values : array of any shape
        The values.
    bins : int, optional
        Number of bars; the square root of the number of values, from 10 to 60, unless said
        otherwise.
    title, xlabel, ylabel : str
        What is written.
    filename, show
        As in `image_grid`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    array = _array(values).ravel()
    if array.size == 0 or not np.isfinite(array).all():
        raise DataError(f"histogram got {array.size} values, expected some, all of them finite")
    if bins is not None:
        check_whole("bins", bins, 1)
    figure = _new_figure((5.0, 3.2), show, layout="constrained")
    axes = figure.add_subplot()
    bins = bins or int(np.clip(np.sqrt(array.size), 10, 60))
    axes.hist(array, bins=bins, color=_LINE, edgecolor="white", linewidth=0.5)
    axes.margins(x=0.02)
    _style(axes, title or "", xlabel, ylabel)
    return _finish(figure, filename, show)


def weight_norm_histogram(
    weights: Any, bins: int | None = None, filename: str | Path | None = None, show: bool = False
) -> Any:
    """Draw how the norms of the hidden units' weights are distributed.

    Parameters
    ----------
    weights : array (V, H)
        Weights of a connection; the norms are those of the columns.
    bins, filename, show
        As in `histogram`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    array = _array(weights)
    if array.ndim != 2:
        raise ShapeError(
            f"weight_norm_histogram got weights of shape {array.shape}, expected (V, H)"
        )
    norms = np.sqrt((array.astype(np.float64) ** 2).sum(axis=0))
    return histogram(
        norms,
        bins=bins,
        title=f"Weight norms of {norms.size} hidden units",
        xlabel="norm",
        ylabel="hidden units",
        filename=filename,
        show=show,
    )


def tile(
    grid: np.ndarray, cmap: Any, limits: tuple[float, float], zoom: int = 1, gap: int = _GAP
) -> np.ndarray:
    """Colour images and put them into one picture with thin lines between them.

    Parameters
    ----------
    grid : array (rows, columns, height, width)
        The images; one that is NaN throughout leaves its place white.
    cmap : str or matplotlib colormap
        The colours.
    limits : (vmin, vmax)
        Values at the two ends of the colours.
    zoom : int
        Each pixel of an image becomes a square of so many.
    gap : int
        Width of the lines.

    Returns
    -------
    array of uint8 (rows * (zoom * height + gap) + gap, columns * (zoom * width + gap) + gap, 4)
    """
    import matplotlib

    try:
        colours = matplotlib.colormaps[cmap] if isinstance(cmap, str) else cmap
    except KeyError as error:
        raise ConfigError(f"unknown colormap {cmap!r}: {error.args[0]}") from error
    if not isinstance(colours, matplotlib.colors.Colormap):
        raise ConfigError(f"cmap takes a colormap or its name, got {cmap!r}")
    low, high = limits
    cells = colours(np.clip((grid - low) / ((high - low) or 1.0), 0.0, 1.0), bytes=True)
    cells[np.isnan(grid)] = 255
    cells = cells.repeat(zoom, axis=2).repeat(zoom, axis=3)
    nrows, ncols, height, width = cells.shape[:4]
    picture = np.full(
        (nrows * (height + gap) + gap, ncols * (width + gap) + gap, 4), _SEPARATOR, dtype=np.uint8
    )
    picture[..., 3] = 255
    inner = picture[gap:, gap:].reshape(nrows, height + gap, ncols, width + gap, 4)
    inner[:, :height, :, :width] = cells.transpose(0, 2, 1, 3, 4)
    return picture


def _array(values: Any) -> np.ndarray:
    """A NumPy array of an array, a list or a backend tensor."""
    try:
        plain = isinstance(values, (np.ndarray, list, tuple))
        array = np.asarray(values if plain else be.to_numpy_array(values))
    except (AttributeError, TypeError, ValueError) as error:
        raise ShapeError(
            f"got a {type(values).__name__}, expected an array of numbers (of a State: "
            "state.get_visible())"
        ) from error
    if array.dtype.kind not in "biuf":
        raise DataError(f"got {array.dtype} values, expected numbers")
    return array


def _checked_shape(shape: Any) -> Shape:
    """Height and width, or a ShapeError."""
    try:
        height, width = map(operator.index, shape)
    except (TypeError, ValueError) as error:
        raise ShapeError(f"shape is {shape!r}, expected two integers (height, width)") from error
    if height < 1 or width < 1:
        raise ShapeError(f"shape is {shape}, expected a height and a width of at least 1")
    return height, width


def _as_grid(images: np.ndarray, shape: Shape, ncols: int | None, nrows: int | None) -> np.ndarray:
    """Images as (rows, columns, height, width), missing ones at the end NaN."""
    height, width = _checked_shape(shape)
    if images.ndim not in (2, 3) or images.shape[-1] != height * width or images.size == 0:
        raise ShapeError(
            f"got images of shape {images.shape}, expected (n, {height * width}) "
            f"or (rows, columns, {height * width}) for images of {height} x {width} pixels"
        )
    if images.ndim == 3:
        return images.reshape(*images.shape[:2], height, width).astype(np.float32)
    rows, columns = _layout(len(images), ncols, nrows)
    grid = np.full((rows * columns, height, width), np.nan, dtype=np.float32)
    grid[: len(images)] = images.reshape(-1, height, width)
    return grid.reshape(rows, columns, height, width)


def _layout(count: int, ncols: int | None, nrows: int | None) -> tuple[int, int]:
    """Rows and columns for so many images."""
    for name, value in {"ncols": ncols, "nrows": nrows}.items():
        if value is not None and not is_whole(value):
            raise ShapeError(f"{name} is {value!r}, expected an integer")
    if ncols is None:
        ncols = int(np.ceil(np.sqrt(count))) if nrows is None else -(-count // max(1, nrows))
    if nrows is None:
        nrows = -(-count // max(1, ncols))
    if ncols < 1 or nrows < 1 or ncols * nrows < count:
        raise ShapeError(f"{count} images do not fit into {nrows} rows of {ncols} columns")
    return nrows, ncols


def _draw_grid(
    grid: np.ndarray,
    limits: tuple[float, float],
    cmap: Any,
    row_titles: Sequence[str] | None,
    title: str | None,
    right: int,
    show: bool,
) -> tuple[Any, Any]:
    """A figure in which every data pixel is the same whole number of screen pixels."""
    _matplotlib()
    nrows, ncols, height, width = grid.shape
    zoom = _zoom(nrows, ncols, height, width)
    picture = tile(grid, cmap, limits, zoom)
    size = max(9.0, min(16.0, zoom * height / 6.0))
    left = 8 if row_titles is None else 20 + max(_text_width(text, size) for text in row_titles)
    top = 8 if title is None else 36
    high, wide = picture.shape[:2]
    if title is not None:
        right = max(right, _text_width(title, _TITLE_SIZE) + 8 - wide)
    total = (left + wide + max(8, right), top + high + 8)
    figure = _new_figure((total[0] / _DPI, total[1] / _DPI), show)
    axes = figure.add_axes((left / total[0], 8 / total[1], wide / total[0], high / total[1]))
    axes.imshow(picture, interpolation="nearest", aspect="auto")
    axes.set_axis_off()
    for row, text in enumerate(row_titles or ()):
        place = {"ha": "right", "va": "center", "transform": axes.transAxes}
        y = 1.0 - (row + 0.5) / nrows
        axes.text(-10 / wide, y, text, fontsize=size, color=_TEXT, **place)
    if title is not None:
        place = {"ha": "left", "va": "center", "fontsize": _TITLE_SIZE, "color": _TEXT}
        figure.text(left / total[0], 1.0 - 18 / total[1], title, **place)
    return figure, axes


def _zoom(nrows: int, ncols: int, height: int, width: int) -> int:
    """Screen pixels a data pixel: enough for a good size, fewer where the picture is very large."""
    wanted = -(-_TILE // max(height, width))
    return max(1, min(wanted, _LARGEST // max(nrows * height, ncols * width)))


def _add_scale(figure: Any, axes: Any, limits: tuple[float, float], cmap: Any) -> None:
    """A bar of the colours beside the picture."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    box = axes.get_position()
    wide = figure.get_figwidth() * _DPI
    height = min(box.height, 3 * _TILE / (figure.get_figheight() * _DPI))
    bar = figure.add_axes((box.x1 + 12 / wide, box.y1 - height, 12 / wide, height))
    figure.colorbar(ScalarMappable(Normalize(*limits), cmap), cax=bar)
    bar.tick_params(labelsize=9, colors=_TEXT, length=2)
    bar.locator_params(nbins=5)
    for spine in bar.spines.values():
        spine.set_visible(False)


def _style(axes: Any, title: str, xlabel: str, ylabel: str) -> None:
    """Plain axes: two spines, a light grid, one colour of text."""
    axes.set_title(title, fontsize=11, color=_TEXT)
    axes.set_xlabel(xlabel, fontsize=10, color=_TEXT)
    axes.set_ylabel(ylabel, fontsize=10, color=_TEXT)
    axes.tick_params(labelsize=9, colors=_TEXT)
    axes.grid(True, color="#e6e6e6", linewidth=0.7)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color("#999999")


def _text_width(text: str, size: float) -> int:
    """Width of a text in screen pixels."""
    from matplotlib.textpath import TextPath

    if not text.strip():
        return 0
    return int(np.ceil(TextPath((0, 0), text, size=size).get_extents().width * _DPI / 72))


def _matplotlib() -> None:
    """Ask for matplotlib; say how to get it where it is missing."""
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise missing_dependency("matplotlib", "plotting", "examples") from error


def _new_figure(size: tuple[float, float], show: bool, layout: str | None = None) -> Any:
    """An empty white figure; pyplot, which needs a display, only where it is to be shown."""
    _matplotlib()
    settings: dict[str, Any] = {"dpi": _DPI, "facecolor": "white", "layout": layout}
    if show:
        import matplotlib.pyplot as plt

        return plt.figure(figsize=size, **settings)
    from matplotlib.figure import Figure

    return Figure(figsize=size, **settings)


def _save(figure: Any, filename: str | Path) -> None:
    """Write a figure, whole or not at all, in the format of the suffix; without one, PNG."""
    try:
        path = Path(filename)
        path = path if path.suffix or path.is_dir() else path.with_name(f"{path.name}.png")
        with written_whole(path) as partial:
            figure.savefig(partial, dpi=figure.dpi, format=path.suffix[1:].lower())
    except (OSError, TypeError, ValueError) as error:
        raise StorageError(f"cannot write the picture {str(filename)!r}: {error}") from error


def _finish(figure: Any, filename: str | Path | None, show: bool) -> Any:
    """Write and show a figure where that is asked for."""
    if filename is not None:
        _save(figure, filename)
    if show:
        import matplotlib.pyplot as plt

        plt.show()
        if not plt.isinteractive():
            plt.close(figure)
    return figure
