import builtins
import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("matplotlib")

from paysage import backends as be
from paysage import plotting
from paysage.errors import (
    ConfigError,
    DataError,
    MissingDependencyError,
    ShapeError,
    StorageError,
)
from paysage.models import State

IMAGES = np.random.default_rng(0).random((7, 12)).astype(np.float32)
MEMORY = [{"A": 1.0, "B": 5.0}, {"A": 2.0, "B": 4.0}, {"A": 4.0}]
free = pytest.mark.backend_free


def pixels(figure):
    """The picture that a grid shows."""
    return figure.axes[0].images[0].get_array()


@free
def test_image_grid_writes_a_picture(tmp_path):
    path = tmp_path / "grid.png"
    figure = plotting.image_grid(IMAGES, (3, 4), title="Digits", filename=path)
    assert path.read_bytes().startswith(b"\x89PNG")
    assert figure.texts[0].get_text() == "Digits"


def test_image_grid_takes_tensors():
    tensor = plotting.image_grid(be.float_tensor(IMAGES), (3, 4))
    assert (pixels(tensor) == pixels(plotting.image_grid(IMAGES, (3, 4)))).all()


@free
def test_tile_puts_every_pixel_in_its_place():
    grid = np.arange(2 * 3 * 4 * 5, dtype=np.float32).reshape(2, 3, 4, 5) / 119
    picture = plotting.tile(grid, "gray", (0.0, 1.0), zoom=2, gap=1)
    assert picture.shape == (2 * 9 + 1, 3 * 11 + 1, 4)
    for row, column, y, x in ((0, 0, 0, 0), (1, 2, 3, 4), (1, 0, 2, 1)):
        corner = picture[1 + row * 9 + 2 * y, 1 + column * 11 + 2 * x]
        # A grey of 256 steps is within half a step and the rounding of the colour itself.
        assert abs(int(corner[0]) - 255 * grid[row, column, y, x]) <= 1.5
    assert (picture[0, :, :3] == picture[0, 0, :3]).all()


@free
def test_values_beyond_the_limits_are_cut():
    picture = plotting.tile(np.array([[[[-5.0, 9.0]]]]), "gray", (0.0, 1.0), gap=0)
    assert picture[0, :, 0].tolist() == [0, 255]


@free
def test_every_data_pixel_has_the_same_size_on_the_screen():
    figure = plotting.image_grid(IMAGES, (3, 4), row_titles=["a", "b", "c"], title="Title")
    shown = figure.axes[0].get_window_extent()
    height, width = pixels(figure).shape[:2]
    assert (shown.width, shown.height) == pytest.approx((width, height), abs=1e-6)


@free
@pytest.mark.parametrize(
    "layout, expected", [({}, (3, 3)), ({"ncols": 4}, (2, 4)), ({"nrows": 1}, (1, 7))]
)
def test_layout(layout, expected):
    figure = plotting.image_grid(IMAGES, (3, 4), **layout)
    one = pixels(plotting.image_grid(IMAGES[:1], (3, 4))).shape
    high, wide = pixels(figure).shape[:2]
    gap = 2
    assert ((high - gap) // (one[0] - gap), (wide - gap) // (one[1] - gap)) == expected


@free
def test_missing_images_are_white():
    picture = pixels(plotting.image_grid(np.ones((3, 4)), (2, 2), ncols=2))
    assert (picture[-10, -10, :3] == 255).all()
    assert (picture[-10, 10, :3] == 0).all()


@free
def test_rows_of_images_with_titles():
    figure = plotting.image_grid(IMAGES[:6].reshape(2, 3, 12), (3, 4), row_titles=["Data", "RBM"])
    texts = figure.axes[0].texts
    assert [text.get_text() for text in texts] == ["Data", "RBM"]
    figure.canvas.draw()
    for text in texts:  # inside the picture, left of the images
        box = text.get_window_extent()
        assert box.x0 >= 0 and box.x1 < figure.axes[0].get_window_extent().x0


@free
def test_long_title_fits():
    figure = plotting.image_grid(IMAGES[:1], (3, 4), title="a title much longer than the image")
    figure.canvas.draw()
    assert figure.texts[0].get_window_extent().x1 <= figure.bbox.x1


@free
def test_many_images_are_one_picture_of_bounded_size():
    picture = pixels(plotting.image_grid(np.zeros((2500, 784)), (28, 28)))
    assert max(picture.shape) < 4300


@free
@pytest.mark.parametrize("images", [np.ones((3, 5)), np.ones(4), np.ones((0, 4))])
def test_wrong_number_of_pixels(images):
    with pytest.raises(ShapeError, match=r"expected \(n, 4\)"):
        plotting.image_grid(images, (2, 2))


@free
def test_wrong_layout():
    with pytest.raises(ShapeError, match="7 images do not fit into 2 rows of 3 columns"):
        plotting.image_grid(IMAGES, (3, 4), ncols=3, nrows=2)
    with pytest.raises(ShapeError, match="got 1 row titles for 3 rows"):
        plotting.image_grid(IMAGES, (3, 4), row_titles=["a"])


@free
def test_weights_are_symmetric_about_zero():
    figure = plotting.weight_grid(np.array([[0.5, -2.0, 0.0, 0.0]]), (2, 2))
    assert figure.axes[1].get_ylim() == (-2.0, 2.0)
    picture = pixels(figure)
    assert picture[-10, 10, :3].min() > 240  # zero is white
    assert picture[10, -10, 2] > picture[10, -10, 0]  # negative is blue
    assert picture[10, 10, 0] > picture[10, 10, 2]  # positive is red


@free
def test_weights_of_zero_are_white():
    assert pixels(plotting.weight_grid(np.zeros((1, 4)), (2, 2)))[10, 10, :3].min() > 240


@free
def test_reconstructions_below_their_data():
    figure = plotting.reconstruction_grid(IMAGES, {"RBM": IMAGES, "DBM": 1 - IMAGES}, (3, 4))
    assert [t.get_text() for t in figure.axes[0].texts] == ["Data", "RBM", "DBM"]
    figure = plotting.reconstruction_grid(IMAGES, IMAGES, (3, 4), max_images=2)
    assert [t.get_text() for t in figure.axes[0].texts] == ["Data", "Reconstruction"]


@free
def test_reconstructions_of_other_data():
    with pytest.raises(ShapeError, match="one shape"):
        plotting.reconstruction_grid(IMAGES, {"RBM": IMAGES[:3]}, (3, 4))


@free
def test_curves_hold_the_memory(tmp_path):
    figure = plotting.metric_curves(MEMORY, epochs=[1, 2, 5], filename=tmp_path / "curves.png")
    assert [axes.get_title() for axes in figure.axes] == ["A", "B"]
    assert figure.axes[0].lines[0].get_xydata().tolist() == [[1, 1], [2, 2], [5, 4]]
    assert figure.axes[1].lines[0].get_xydata().tolist() == [[1, 5], [2, 4]]


@free
def test_curves_need_metrics():
    with pytest.raises(DataError, match="got no metrics"):
        plotting.metric_curves([])
    with pytest.raises(ShapeError, match="got 1 epochs for 3 entries"):
        plotting.metric_curves(MEMORY, epochs=[1])
    with pytest.raises(ConfigError, match="an epoch must be a finite number"):
        plotting.metric_curves(MEMORY, epochs=["a", "b", "c"])


@free
def test_histogram_counts_every_value():
    figure = plotting.histogram(np.arange(100).reshape(4, 25), title="T", xlabel="x")
    assert sum(bar.get_height() for bar in figure.axes[0].patches) == 100
    assert len(figure.axes[0].patches) == 10


@free
@pytest.mark.parametrize("values", [np.array([]), np.array([1.0, np.nan])])
def test_histogram_needs_finite_values(values):
    with pytest.raises(DataError, match="all of them finite"):
        plotting.histogram(values)


def test_weight_norms_are_those_of_columns():
    weights = be.float_tensor([[3.0, 0.0], [4.0, 1.0]])
    bars = plotting.weight_norm_histogram(weights, bins=4).axes[0].patches
    assert [bar.get_height() for bar in bars] == [1, 0, 0, 1]
    assert bars[0].get_x() == pytest.approx(1.0)
    assert bars[-1].get_x() + bars[-1].get_width() == pytest.approx(5.0)
    with pytest.raises(ShapeError, match=r"expected \(V, H\)"):
        plotting.weight_norm_histogram(weights[0])


@free
@pytest.mark.parametrize("name", ["nowhere/grid.png", "grid.unknown"])
def test_a_picture_that_cannot_be_written(tmp_path, name):
    with pytest.raises(StorageError, match="cannot write the picture"):
        plotting.image_grid(IMAGES, (3, 4), filename=tmp_path / name)


@free
def test_matplotlib_is_missing(monkeypatch):
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name.split(".")[0] == "matplotlib":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    for draw in (
        lambda: plotting.image_grid(IMAGES, (3, 4)),
        lambda: plotting.metric_curves(MEMORY),
        lambda: plotting.histogram(IMAGES),
    ):
        with pytest.raises(MissingDependencyError, match=r"pip install 'paysage\[examples\]'"):
            draw()


@free
def test_matplotlib_loads_late_and_pyplot_only_to_show():
    code = """
import sys
from paysage import plotting
assert "matplotlib" not in sys.modules
plotting.image_grid([[0.0, 1.0, 1.0, 0.0]], (2, 2))
plotting.metric_curves([{"A": 1.0}])
assert "matplotlib" in sys.modules and "matplotlib.pyplot" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)


@free
def test_show_uses_pyplot_and_leaves_no_figure_open(monkeypatch):
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    shown = []
    monkeypatch.setattr(plt, "show", lambda: shown.append(plt.get_fignums()))
    plotting.image_grid(IMAGES, (3, 4), show=True)
    assert len(shown) == 1 and len(shown[0]) == 1
    assert plt.get_fignums() == []


@free
def test_a_picture_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    from matplotlib.figure import Figure

    def half(figure, file, **options):
        file.write_text("half")
        raise OSError("No space left on device")

    path = tmp_path / "grid.png"
    plotting.image_grid(IMAGES, (3, 4), filename=path)
    before = path.read_bytes()
    monkeypatch.setattr(Figure, "savefig", half)
    with pytest.raises(StorageError, match="No space left"):
        plotting.image_grid(IMAGES, (3, 4), filename=path)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["grid.png"]


@free
def test_the_suffix_of_a_picture_is_its_format(tmp_path):
    for name, start in (("a.PNG", b"\x89PNG"), ("b.svg", b"<?xml"), ("c", b"\x89PNG")):
        plotting.image_grid(IMAGES, (3, 4), filename=tmp_path / name)
        written = tmp_path / (name if "." in name else f"{name}.png")
        assert written.read_bytes().startswith(start)
    with pytest.raises(StorageError, match="it is a folder"):
        plotting.image_grid(IMAGES, (3, 4), filename=tmp_path)
    with pytest.raises(StorageError, match="cannot write the picture '3'"):
        plotting.image_grid(IMAGES, (3, 4), filename=3)


@free
@pytest.mark.parametrize("shape", ["3x4", 12, None, (3, 4, 1), (-3, -4), (3.0, 4.0)], ids=repr)
def test_what_is_no_shape(shape):
    with pytest.raises(ShapeError, match="shape is"):
        plotting.image_grid(IMAGES, shape)


@pytest.mark.parametrize("kind", ["list", "State"])
def test_what_are_no_images(kind):
    state = State([be.zeros((2, 3)), be.zeros((2, 4))])
    images = state if kind == "State" else [[1.0], [1.0, 2.0]]
    with pytest.raises(ShapeError, match=f"got a {type(images).__name__}, expected an array"):
        plotting.image_grid(images, (1, 1))


@free
def test_impossible_options_are_named():
    with pytest.raises(ShapeError, match=r"ncols is 1\.5"):
        plotting.image_grid(IMAGES, (3, 4), ncols=1.5)
    with pytest.raises(ConfigError, match="unknown colormap 'nope'"):
        plotting.image_grid(IMAGES, (3, 4), cmap="nope")
    with pytest.raises(ConfigError, match=r"bins.*got -1"):
        plotting.histogram(IMAGES, bins=-1)
    with pytest.raises(DataError, match="expected numbers"):
        plotting.histogram(["a"])
    with pytest.raises(DataError, match=r"got a object, .* monitor\.memory"):
        plotting.metric_curves(object())


@free
def test_grey_values_drawn_as_black_are_noticed():
    with pytest.warns(UserWarning, match="values up to 255 .* vmax=255"):
        plotting.image_grid(255 * np.ones((2, 12)), (3, 4))
