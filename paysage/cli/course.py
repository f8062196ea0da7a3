"""The course of a training: pretraining, arguments, metrics and callbacks that settings ask for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from paysage import fit, metrics
from paysage.batch import Batch
from paysage.checks import check_whole
from paysage.cli.machines import make_optimizer
from paysage.fit import callbacks
from paysage.metrics.monitor import default_metrics
from paysage.models import BoltzmannMachine

#: metrics of which more is better
LIKELIHOODS = ("PseudoLikelihood", "ExactLogLikelihood", "AISLogLikelihood")


def pretrain(
    settings: dict[str, Any], model: BoltzmannMachine, data: Batch, verbose: bool, called: list[Any]
) -> bool:
    """Let the layers learn one after the other, if that is asked for; whether it came to its end.

    A checkpoint 'run.h5' has 'run_0.h5', 'run_1.h5' and so on beside it, one of each machine.
    """
    epochs = check_whole("pretrain", settings["pretrain"])
    if not epochs:
        return True
    trainer = fit.LayerwisePretrain(model, data)
    trainer.train(
        make_optimizer(settings, epochs),
        epochs,
        init_method="glorot_normal",
        callbacks=called,
        **_shared(settings, verbose),
    )
    return not trainer.paused


def train(
    settings: dict[str, Any], model: BoltzmannMachine, data: Batch, verbose: bool, called: list[Any]
) -> Any:
    """Train the whole machine; gives the monitor."""
    trainer = fit.SGD(model, data)
    trainer.monitor.generator_metrics = _metrics(settings, data.tables["validate"].batch_size)
    trainer.train(
        make_optimizer(settings, settings["epochs"]),
        settings["epochs"],
        burn_in=settings["burn_in"],
        positive_phase=fit.MeanField() if settings["mean_field"] else None,
        average_last=settings["average_last"],
        callbacks=[*called, *_callbacks(settings, data.ncols)],
        **_shared(settings, verbose),
    )
    return trainer.monitor


def _shared(settings: dict[str, Any], verbose: bool) -> dict[str, Any]:
    """Arguments of a training, and of a pretraining as well."""
    return {
        "mcsteps": settings["k"],
        "method": getattr(fit, settings["method"]),
        "beta_std": settings["beta_std"],
        "negative_phase_batch_size": settings["chains"],
        "precision": settings["precision"],
        "verbose": verbose,
        "checkpoint": settings["checkpoint"],
        "every": 1 if settings["every"] is None else settings["every"],
        "resume": settings["resume"],
    }


def _metrics(settings: dict[str, Any], rows: int) -> list[Any]:
    """Those of every training, and the one that is watched, in every epoch.

    Few rows to validate with have too few neighbours for the divergences.
    """
    found, watched = default_metrics(), settings["watch"]
    if watched not in [metric.name for metric in found]:
        measured = getattr(metrics, watched)
        found.append(measured(every=1) if "every" in measured.option_names else measured())
    kind = metrics.KLDivergence, metrics.ReverseKLDivergence
    least = next(metric.k for metric in found if isinstance(metric, kind)) + 1
    return found if rows >= least else [m for m in found if not isinstance(m, kind)]


def _callbacks(settings: dict[str, Any], pixels: int) -> list[Any]:
    found: list[Any] = [
        (callbacks.CSVLog if Path(log).suffix == ".csv" else callbacks.JSONLinesLog)(log)
        for log in settings["log"]
    ]
    if settings["tensorboard"] is not None:
        side = round(pixels**0.5)
        shape = (side, side) if side * side == pixels else None
        found.append(callbacks.TensorBoard(settings["tensorboard"], shape=shape))
    watched = settings["watch"]
    extremum = "max" if watched in LIKELIHOODS else "min"
    if settings["best"] is not None:
        found.append(callbacks.SaveBest(settings["best"], watched, extremum))
    if settings["patience"] is not None:
        found.append(callbacks.EarlyStopping(watched, settings["patience"], extremum))
    return found
