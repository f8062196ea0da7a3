"""Train a deep Boltzmann machine on images of handwritten digits: layer by layer, then as one."""

from pathlib import Path

import mnist_util as util

from paysage import fit, layers, optimizers, penalties
from paysage.models import BoltzmannMachine

SETTINGS = {
    "mnist": util.Settings(200, 20, 100, learning_rate=1e-2, decay=0.1, mcsteps=1, l1=1e-3),
    "digits": util.Settings(100, 60, 50, learning_rate=2e-2, decay=0.05, mcsteps=5, l1=1e-3),
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
        Passes through the data for each machine of the pretraining, and as many for the whole;
        by default those of the settings.
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
    epochs = chosen.num_epochs if num_epochs is None else num_epochs

    visible = layers.BernoulliLayer(batch.ncols)
    hidden = [layers.BernoulliLayer(chosen.num_hidden) for _ in range(2)]
    model = BoltzmannMachine([visible, *hidden])
    for connection in model.connections:
        connection.weights.add_penalty({"matrix": penalties.l1_penalty(chosen.l1)})
    model.initialize(batch, method="glorot_normal")

    trainer = fit.SGD(model, batch)
    with util.until_interrupted():
        fit.LayerwisePretrain(model, batch).train(
            adam(chosen.learning_rate, chosen.decay),
            epochs,
            mcsteps=chosen.mcsteps,
            method=fit.pcd,
            init_method="glorot_normal",
            verbose=verbose,
        )
        # The stack is nearly right: the machine as a whole is trained ten times as gently.
        trainer.train(
            adam(0.1 * chosen.learning_rate, chosen.decay),
            epochs,
            mcsteps=chosen.mcsteps,
            method=fit.pcd,
            verbose=verbose,
        )
    util.show_all(model, trainer.monitor, batch, folder, show_plot)
    return model, trainer.monitor


def adam(learning_rate: float, decay: float) -> optimizers.ADAM:
    """ADAM whose learning rate falls with the epochs."""
    return optimizers.ADAM(stepsize=util.decaying_rate(learning_rate, decay))


if __name__ == "__main__":
    util.main(run, __doc__)
