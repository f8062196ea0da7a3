"""Train a Hopfield model, an RBM with Gaussian hidden units, on images of handwritten digits."""

from pathlib import Path

import mnist_util as util

from paysage import fit, layers, optimizers
from paysage.models import BoltzmannMachine

SETTINGS = {
    "mnist": util.Settings(200, 20, 100, learning_rate=1e-2, decay=0.1, mcsteps=5),
    "digits": util.Settings(64, 150, 50, learning_rate=2e-2, decay=0.05, mcsteps=10),
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
    hidden = layers.GaussianLayer(chosen.num_hidden)
    # mean 0 and variance 1 for good: summed over, such units leave the energy of a Hopfield model
    hidden.set_fixed_params(["loc", "log_var"])
    model = BoltzmannMachine([visible, hidden])
    model.initialize(batch, method="glorot_normal")

    rate = util.decaying_rate(chosen.learning_rate, chosen.decay)
    trainer = fit.SGD(model, batch)
    with util.until_interrupted():
        trainer.train(
            optimizers.ADAM(stepsize=rate),
            chosen.num_epochs if num_epochs is None else num_epochs,
            mcsteps=chosen.mcsteps,
            method=fit.pcd,
            verbose=verbose,
        )
    util.show_all(model, trainer.monitor, batch, folder, show_plot)
    return model, trainer.monitor


if __name__ == "__main__":
    util.main(run, __doc__)
