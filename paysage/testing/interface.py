"""Promises about hooks alone: that they are there, and what goes in and comes out."""

from __future__ import annotations

from typing import Any

import numpy as np

from paysage import backends as be
from paysage.backends.generator import Generator
from paysage.layers import Layer
from paysage.testing.subject import ROUNDING, Subject, array, betas, expect, expect_close

REQUIRED = (
    "init_params",
    "energy",
    "mean",
    "mode",
    "sample",
    "log_partition",
    "energy_gradient",
    "fit_marginal",
)


def hooks(subject: Subject) -> None:
    """Every hook is defined; parameters are new Float tensors for each layer."""
    missing = [n for n in REQUIRED if getattr(subject.layer_type, n) is getattr(Layer, n)]
    expect(not missing, f"got no {', no '.join(missing)}, expected all hooks of Layer's table")
    layer, other = subject.layer, subject.new()
    expect(
        hasattr(layer.params, "_fields") and len(layer.params) > 0,
        f"got parameters {layer.params!r}, expected a named tuple of tensors",
    )
    for name, param in layer.params._asdict().items():
        expect(
            be.is_tensor(param) and be.dtype(param) == be.Float,
            f"got the parameter {name} = {param!r}, expected a Float tensor",
        )
        before = array(param)
        getattr(other.params, name)[:] = 7.0
        expect_close(f"{name} after a change in another layer", array(param), before, 0.0)


def shapes(subject: Subject) -> None:
    """Each hook gives finite Float tensors of the shapes in the table."""
    layer = subject.layer
    for rows in (subject.rows, 1):
        field = subject.fields(rows)
        units = layer.sample(field)
        wide: tuple[int, ...] = (rows, layer.num_units)
        flat = (rows,)
        for name, found, shape in (
            ("sample(field)", units, wide),
            ("mean(field)", layer.mean(field), wide),
            ("mode(field)", layer.mode(field), wide),
            ("rescaled(units)", layer.rescaled(units), wide),
            ("energy(units)", layer.energy(units), flat),
            ("log_partition(field)", layer.log_partition(field), flat),
        ):
            _expect_tensor(name, found, shape)
        _expect_gradient("energy_gradient", layer, layer.energy_gradient(units, field))
        if layer.can_sum_out():
            _expect_gradient("field_gradient", layer, layer.field_gradient(field))


def _expect_gradient(hook: str, layer: Layer, found: Any) -> None:
    expect(
        isinstance(found, type(layer.params)),
        f"{hook}(): got a {type(found).__name__}, expected a {type(layer.params).__name__}",
    )
    for name, param in layer.params._asdict().items():
        _expect_tensor(f"{hook}().{name}", getattr(found, name), tuple(be.shape(param)))


def _expect_tensor(name: str, found: Any, shape: tuple[int, ...]) -> None:
    expect(be.is_tensor(found), f"{name}: got a {type(found).__name__}, expected a tensor")
    got = tuple(be.shape(found))
    expect(got == shape, f"{name}: got shape {got}, expected {shape}")
    expect(be.dtype(found) == be.Float, f"{name}: got dtype {be.dtype(found)}, expected {be.Float}")
    expect(be.is_finite_all(found), f"{name}: got NaN or infinity, expected finite numbers")


def inputs(subject: Subject) -> None:
    """Inputs are not changed but as `out`, which makes no difference to the result."""
    layer, field = subject.layer, subject.fields()
    before = array(field)
    for hook in ("mean", "mode", "sample"):
        results = []
        for kind in ("no out", "out", "out=field"):
            mine = be.copy_tensor(field)
            out = {"no out": None, "out": be.zeros_like(mine), "out=field": mine}[kind]
            with Generator(5):  # the same numbers each time
                results.append(array(getattr(layer, hook)(mine, 0.6, out)))
            if kind != "out=field":
                expect_close(f"the field after {hook} with {kind}", array(mine), before, 0.0)
            expect_close(f"{hook} with {kind}", results[-1], results[0], 0.0)
    units = layer.sample(field)
    drawn = array(units)
    for name, call in (
        ("energy", lambda: layer.energy(units)),
        ("rescaled", lambda: layer.rescaled(units)),
        ("energy_gradient", lambda: layer.energy_gradient(units, field)),
        ("log_partition", lambda: layer.log_partition(field, 0.6)),
        ("field_gradient", lambda: layer.field_gradient(field) if layer.can_sum_out() else None),
    ):
        call()
        expect_close(f"the units after {name}", array(units), drawn, 0.0)
        expect_close(f"the field after {name}", array(field), before, 0.0)


def beta(subject: Subject) -> None:
    """None is one; a number, and a tensor (B, 1), apply to the rows they belong to."""
    layer, field = subject.layer, subject.fields()
    for hook in (layer.mean, layer.mode, layer.log_partition):
        for name, (given, column) in betas(subject.rows).items():
            got = array(hook(field, given))
            each = [
                array(hook(field[b : b + 1], float(column[b, 0])))[0] for b in range(subject.rows)
            ]
            what = f"{hook.__name__} with {name}, next to each row alone"
            expect_close(what, got, each, ROUNDING * (1 + np.abs(each)))
