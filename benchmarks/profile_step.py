"""Where the time of a training step goes on the CPU: each compiled loop and each matrix product.

    python benchmarks/profile_step.py [--hidden 200] [--batch 100] [--steps 1]

An RBM of binary units on MNIST, persistent contrastive divergence with ADAM, after one epoch of
training. Every loop that is called is timed, in the thread in which it runs; "elsewhere" is what is
left of the update: Python, waking threads, and waiting for one another. Timing costs about half a
microsecond a call.
"""

from __future__ import annotations

import argparse
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from paysage import backends as be
from paysage import batch, datasets, fit, optimizers
from paysage.backends.cpu import kernels, zero_skipping
from paysage.fit import Phases
from paysage.layers import BernoulliLayer
from paysage.models import BoltzmannMachine
from paysage.threads import one_thread_each

LOOPS = {
    zero_skipping: ("product", "product_transposed", "moments", "write_transposed"),
    kernels: ("bernoulli_mean", "bernoulli_sample", "beta_step", "adam_step", "scale"),
    np: ("dot",),
}
UPDATES = 500
SEED = 137


class Stopwatch:
    """Seconds that each thread spent in each function."""

    def __init__(self) -> None:
        self.seconds: Counter[tuple[str, str]] = Counter()
        self.calls: Counter[tuple[str, str]] = Counter()

    def timed(self, name: str, function: Callable) -> Callable:
        def call(*args: Any, **kwargs: Any) -> Any:
            start = time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                key = threading.current_thread().name, name
                self.seconds[key] += time.perf_counter() - start
                self.calls[key] += 1

        return call

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Put timed functions into the places of the loops."""
        before = [(place, name, getattr(place, name)) for place in LOOPS for name in LOOPS[place]]
        for place, name, function in before:
            setattr(place, name, self.timed(name, function))
        try:
            yield
        finally:
            for place, name, function in before:
                setattr(place, name, function)


def update(model: BoltzmannMachine, phases: Phases, optimizer: Any, visible: Any) -> None:
    optimizer.update(model, fit.pcd(visible, phases))


def run(hidden: int, rows: int, steps: int) -> tuple[float, Stopwatch, list[float]]:
    """Seconds of all updates, where they went, and the share of units that are on."""
    found = datasets.find_mnist()
    if found is None or not found.is_file():
        sys.exit(f"MNIST is not at {found or 'hand'}: {datasets.HOW_TO_GET_MNIST}")
    images = np.round(datasets.load_mnist(found).train.images / 255).astype(np.float32)
    data = batch.in_memory_batch(be.float_tensor(images), rows, 0.95)
    model = BoltzmannMachine([BernoulliLayer(data.ncols), BernoulliLayer(hidden)])
    model.initialize(data, method="glorot_normal")
    trainer, optimizer = fit.SGD(model, data), optimizers.ADAM(stepsize=1e-2)
    trainer.monitor.generator_metrics.clear()
    trainer.train(optimizer, 1, mcsteps=steps, verbose=False)
    phases, watch = Phases(model, rows, mcsteps=steps), Stopwatch()
    with one_thread_each():
        minibatches = [v for v, _ in zip(data.iterate("train"), range(UPDATES), strict=False)]
        for visible in minibatches[:50]:
            update(model, phases, optimizer, visible)
        start = time.perf_counter()
        for visible in minibatches:
            update(model, phases, optimizer, visible)
        plain = time.perf_counter() - start
        with watch.watching():
            for visible in minibatches:
                update(model, phases, optimizer, visible)
    on = [float(be.mean(units)) for units in phases.negative.get_state()]
    return plain / len(minibatches), watch, [*on, len(minibatches)]


def report(seconds: float, watch: Stopwatch, on: list[float]) -> str:
    number = on.pop()
    threads = sorted({thread for thread, _ in watch.seconds})
    lines = [
        f"{1e6 * seconds:.0f} microseconds an update; of the chains' units "
        f"{', '.join(f'{100 * share:.0f} %' for share in on)} are on",
        "",
        "| microseconds an update (calls) | " + " | ".join(threads) + " |",
        "|---|" + "---:|" * len(threads),
    ]
    for name in sorted({name for _, name in watch.seconds}, key=str):
        cells = [
            f"{1e6 * watch.seconds[thread, name] / number:.0f} "
            f"({watch.calls[thread, name] / number:.1f})"
            for thread in threads
        ]
        lines.append(f"| `{name}` | " + " | ".join(cells) + " |")
    spent = [sum(v for (t, _), v in watch.seconds.items() if t == thread) for thread in threads]
    rest = [f"{1e6 * (seconds - total / number):.0f}" for total in spent]
    return "\n".join([*lines, "| elsewhere | " + " | ".join(rest) + " |"])


def main() -> None:
    text = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=text)
    parser.add_argument("--hidden", type=int, default=200, help="units (%(default)s)")
    parser.add_argument("--batch", type=int, default=100, help="rows (%(default)s)")
    parser.add_argument("--steps", type=int, default=1, help="sweeps an update (%(default)s)")
    options = parser.parse_args()
    be.set_backend("python", "cpu")
    be.set_seed(SEED)
    print(report(*run(options.hidden, options.batch, options.steps)))


if __name__ == "__main__":
    main()
