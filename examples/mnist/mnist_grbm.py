"""Train an RBM with Gaussian visible units on grey images of handwritten digits."""

import math
from pathlib import Path

import mnist_util as util

from paysage import fit, layers, optimizers
from paysage.models import BoltzmannMachine

# The noise stays as it is. Learned, it would follow the whole spread of a pixel before the hidden
# units explain any of it, and samples would stay blurs.
SETTINGS = {
    "mnist": util.Settings(400, 10, 100, learning_rate=2e-3, decay=0.5, mcsteps=5, noise=0.3),
    "digits": util.Settings(200, 100, 50, learning_rate=8e-3, decay=0.05, mcsteps=5, noise=0.15),
}

# Hidden units that are off most of the time each add a stroke; those that are on half of the time
# would have to cancel one another.
HIDDEN_BIAS = -4.0


def run(
    num_epochs: int | None = None,
    show_plot: bool = False,
    data: str | Path | None = None,
    out: str | Path | None = None,
    verbose: bool = True,
):
    """Train the model and draw what it learned.

    A reconstruction carries the noise of the visible units, so the ReconstructionError stays near
    one; in the pictures are the means.

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
    batch = util.create_batch(chosen.batch_size, transform=util.grey(), data=images)

    # Centered, the units act on the weights by their deviations from the mean, not by the mean.
    visible = layers.GaussianLayer(batch.ncols, center=True)
    visible.params.log_var[:] = 2 * math.log(chosen.noise)
    visible.set_fixed_params(["log_var"])
    hidden = layers.BernoulliLayer(chosen.num_hidden, center=True)
    model = BoltzmannMachine([visible, hidden])
    model.initialize(batch, method="hinton")
    util.set_bias(hidden, HIDDEN_BIAS)

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
