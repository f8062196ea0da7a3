"""Pictures of odd arrays are drawn, or refused by a named error; the arrays stay as they are."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example
from hypothesis import strategies as st
from odd import REFUSED, Handed, attempt, given, handed, is_whole, things

from paysage import plotting

pytestmark = pytest.mark.backend_free
pytest.importorskip("matplotlib", reason="matplotlib is not installed")


def closed(function, *args, **kwargs):
    """What a call gives; no figure is left open."""
    from matplotlib import pyplot

    try:
        return attempt(function, *args, **kwargs)
    finally:
        pyplot.close("all")


IMAGES = handed(st.one_of(st.tuples(st.integers(0, 5), st.just(6)), st.sampled_from([(6,), ()])))


INF = np.array([[np.inf, 1.0, 0.0, 0.0, -1.0, 0.0]])


@given(IMAGES, st.one_of(st.none(), things()), share=5)
@example(Handed(INF, INF, "inf"), None)
def test_grids(x, columns):
    good = x.means is not None and x.means.ndim == 2 and x.means.size > 0
    good = good and (columns is None or is_whole(columns, 1))
    for draw in (plotting.image_grid, plotting.weight_grid):
        found = closed(draw, x.what, (2, 3), ncols=columns)
        assert good or found is REFUSED
        assert found is not REFUSED or not good or not np.isfinite(x.single()).all()
    assert x.same_now()


@given(handed(), share=5)
def test_histograms(x):
    good = x.means is not None and x.means.size > 0 and bool(np.isfinite(x.means).all())
    found = closed(plotting.histogram, x.what)
    assert good or found is REFUSED
    found = closed(plotting.weight_norm_histogram, x.what)
    assert (good and x.means.ndim == 2) or found is REFUSED
    assert x.same_now()


@given(things(), share=5)
@example(np.uint8(2))
@example(Fraction(1, 2))
def test_pictures_of_anything(thing):
    images = np.ones((2, 6))
    for act in (
        plotting.metric_curves,
        lambda t: plotting.metric_curves([{"a": 1.0}], epochs=t),
        lambda t: plotting.image_grid(images, t),
        lambda t: plotting.image_grid(images, (2, 3), vmin=t),
        lambda t: plotting.image_grid(images, (2, 3), cmap=t),
        lambda t: plotting.weight_grid(images, (2, 3), vmax=t),
        lambda t: plotting.reconstruction_grid(images, images, (2, 3), max_images=t),
        lambda t: plotting.reconstruction_grid(t, images, (2, 3)),
        lambda t: plotting.histogram(images, bins=t),
    ):
        closed(act, thing)
