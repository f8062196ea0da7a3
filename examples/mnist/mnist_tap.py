"""Train a restricted Boltzmann machine by extended mean field (TAP): no chain is run."""

from pathlib import Path

import mnist_util as util

from paysage import fit, layers, metrics, optimizers, penalties
from paysage.models import BoltzmannMachine

# Steps are small: with larger ones the means of the model jump from one minimum of the free energy
# to another. The penalty keeps the couplings in the range of the expansion, which is one in them.
SETTINGS = {
    "mnist": util.Settings(100, 5, 100, learning_rate=1e-3, decay=0.1, mcsteps=1, l2=1e-2),
    "digits": util.Settings(50, 100, 50, learning_rate=1e-3, decay=0.01, mcsteps=1, l2=1e-2),
}


def run(
    num_epochs: int | None = None,
    show_plot: bool = False,
    data: str | Path | None = None,
    out: str | Path | None = None,
    verbose: bool = True,
):
    """Train the model and draw what it learned.

    Parameters
    ----------
    num_epochs : int, optional
        Passes through the data; by default those of the settings.
    show_plot : bool
        Show the pictures as well as write them.
    data : path, optional
        mnist.h5, or 'digits'; see `mnist_util.find_images`.
    out : path, optional
        Folder for the pictures.
    verbose : bool
        Print the metrics of each epoch.

    Returns
    -------
    model : BoltzmannMachine
    monitor : ProgressMonitor
    """
    folder = util.output_folder(out, __file__)
    images = util.find_images(data)
    chosen = util.choose(SETTINGS, images)
    batch = util.create_batch(chosen.batch_size, data=images)

    visible = layers.BernoulliLayer(batch.ncols)
    hidden = layers.BernoulliLayer(chosen.num_hidden)
    model = BoltzmannMachine([visible, hidden])
    model.connections[0].weights.add_penalty({"matrix": penalties.l2_penalty(chosen.l2)})
    model.initialize(batch, method="glorot_normal")

    rate = util.decaying_rate(chosen.learning_rate, chosen.decay)
    trainer = fit.SGD(model, batch)
    trainer.monitor.generator_metrics += [metrics.TAPFreeEnergy(), metrics.TAPLogLikelihood()]
    with util.until_interrupted():
        trainer.train(
            optimizers.ADAM(stepsize=rate),
            chosen.num_epochs if num_epochs is None else num_epochs,
            method=fit.TAP().tap_update,
            verbose=verbose,
        )
    util.show_all(model, trainer.monitor, batch, folder, show_plot)
    return model, trainer.monitor


if __name__ == "__main__":
    util.main(run, __doc__)
