"""Train a deep Boltzmann machine on images of handwritten digits as one, without pretraining."""

from pathlib import Path

import mnist_util as util

from paysage import fit, layers, optimizers
from paysage.models import BoltzmannMachine

SETTINGS = {
    "mnist": util.Settings(200, 8, 100, learning_rate=5e-3, decay=1.0, mcsteps=5),
    "digits": util.Settings(100, 150, 50, learning_rate=1e-2, decay=0.03, mcsteps=5),
}

# The first hidden layer starts with most of its units off, so that each of them can come to stand
# for a stroke; the second one starts undecided.
HIDDEN_BIASES = (-2.0, 0.0)

# Two hidden layers drive one another to where all units are on or off for good if the temperatures
# of the negative chains wander as far as they do for an RBM.
BETA_STD = 0.2


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

    # Without centering, the upper layers learn nothing but a bias for the lower ones, and all of
    # the machine's samples are one blur (Montavon & Müller 2012).
    visible = layers.BernoulliLayer(batch.ncols, center=True)
    hidden = [layers.BernoulliLayer(chosen.num_hidden, center=True) for _ in HIDDEN_BIASES]
    model = BoltzmannMachine([visible, *hidden])
    model.initialize(batch, method="glorot_normal")
    for layer, bias in zip(hidden, HIDDEN_BIASES, strict=True):
        util.set_bias(layer, bias)

    rate = util.decaying_rate(chosen.learning_rate, chosen.decay)
    trainer = fit.SGD(model, batch)
    with util.until_interrupted():
        trainer.train(
            optimizers.ADAM(stepsize=rate),
            chosen.num_epochs if num_epochs is None else num_epochs,
            mcsteps=chosen.mcsteps,
            method=fit.pcd,
            beta_std=BETA_STD,
            verbose=verbose,
        )
    util.show_all(model, trainer.monitor, batch, folder, show_plot)
    return model, trainer.monitor


if __name__ == "__main__":
    util.main(run, __doc__)
