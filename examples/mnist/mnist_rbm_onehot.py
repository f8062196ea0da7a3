"""Train an RBM whose hidden layer is one categorical variable: a mixture of image templates."""

from pathlib import Path
from typing import Any

import mnist_util as util

from paysage import backends as be
from paysage import fit, layers, optimizers
from paysage.models import BoltzmannMachine, ModelGradient, State

SETTINGS = {
    "mnist": util.Settings(100, 10, 100, learning_rate=2e-2, decay=0.2, mcsteps=1),
    "digits": util.Settings(50, 60, 50, learning_rate=2e-2, decay=0.05, mcsteps=1),
}


def run(
    num_epochs: int | None = None,
    show_plot: bool = False,
    data: str | Path | None = None,
    out: str | Path | None = None,
    verbose: bool = True,
):
    """Train the model and draw what it learned.

    One hidden unit is on at a time, so each is the template of a whole image instead of a stroke,
    and the hidden layer has so few states that the model can be summed over them: samples are
    independent, and no Markov chain is needed. (A chain would hardly ever leave a template. The
    metrics compare data with such short chains, which is why only the ReconstructionError,
    the distance from an image to its template, says much here.)

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
    hidden = layers.OneHotLayer(chosen.num_hidden)
    model = BoltzmannMachine([visible, hidden])
    model.initialize(batch, method="hinton")
    start_at_images(model, next(batch.iterate("train")))

    rate = util.decaying_rate(chosen.learning_rate, chosen.decay)
    trainer = fit.SGD(model, batch)
    with util.until_interrupted():
        trainer.train(
            optimizers.ADAM(stepsize=rate),
            chosen.num_epochs if num_epochs is None else num_epochs,
            mcsteps=chosen.mcsteps,
            method=exact_negative_phase,
            verbose=verbose,
        )
    util.show_all(model, trainer.monitor, batch, folder, show_plot, draw=draw_images)
    util.show_images(templates(model), folder / "templates.png", show_plot)
    return model, trainer.monitor


def start_at_images(model: BoltzmannMachine, images: Any) -> None:
    """Start each hidden unit halfway between the mean and an image, all of them equally probable.

    From random weights a few units would take all images, and the others never learn.
    """
    visible, hidden = model.layers
    mean = be.unsqueeze(be.expit(visible.params.loc), axis=0)
    image = images[: hidden.num_units]
    field = be.logit(be.clip(0.5 * (image + mean), 0.01, 0.99)) - be.logit(
        be.clip(mean, 0.01, 0.99)
    )
    model.connections[0].weights.params.matrix[:] = be.transpose(field)
    hidden.params.loc[:] = -visible.log_partition(field)


def draw(model: BoltzmannMachine, num: int) -> State:
    """Independent samples of the model, hidden units as means: a template, then an image of it."""
    visible, hidden = model.layers
    weights = model.connections[0].weights.W()
    # summed over images, hidden unit i has the weight exp(loc_i) Π_v (1 + exp(loc_v + W_vi))
    sums = be.unsqueeze(visible.log_partition(be.transpose(weights)), axis=0)
    chosen = hidden.sample(be.copy_tensor(be.broadcast(sums, (num, hidden.num_units))))
    images = visible.sample(be.dot(chosen, be.transpose(weights)))
    return State([images, hidden.mean(be.dot(images, weights))])


def exact_negative_phase(visible: Any, phases: fit.Phases) -> ModelGradient:
    """A training method: the gradient of the likelihood with fresh samples of the model."""
    data = phases.positive_state(visible)
    return phases.gradient(data, draw(phases.model, len(visible)))


def draw_images(model: BoltzmannMachine, num: int) -> Any:
    """Independent images of the model, black and white, (num, pixels)."""
    return be.to_numpy_array(draw(model, num).get_visible())


def templates(model: BoltzmannMachine, num: int = 100) -> Any:
    """The mean image of each hidden unit, (num, pixels)."""
    visible, _ = model.layers
    return be.to_numpy_array(visible.mean(model.connections[0].weights.W(trans=True)[:num]))


if __name__ == "__main__":
    util.main(run, __doc__)
