"""A type of units of one's own: spins, which are -1 or 1, checked, trained, saved and sampled."""

import tempfile
from collections import namedtuple

import numpy as np

from paysage import backends as be
from paysage import batch, fit, layers, models, optimizers, samplers
from paysage.testing import check_layer

SpinParams = namedtuple("SpinParams", ["loc"])


class SpinLayer(layers.Layer):
    """Spins with energy -loc · x, x in {-1, 1}."""

    support, values = (-1.0, 1.0), (-1.0, 1.0)
    gradient_needs_field, linear_energy, capturable = False, True, True

    def init_params(self):
        return SpinParams(be.zeros((self.num_units,)))

    def energy(self, units):
        return -be.dot(units, self.params.loc)

    def mean(self, field, beta=None, out=None):
        return be.tanh((1.0 if beta is None else beta) * (field + self.params.loc))

    def mode(self, field, beta=None, out=None):
        return 2.0 * be.cast_float(field + self.params.loc > 0) - 1.0

    def sample(self, field, beta=None, out=None):
        return 2.0 * be.bernoulli_sample(2.0 * field, 2.0 * self.params.loc, beta) - 1.0

    def log_partition(self, field, beta=None):
        total = (1.0 if beta is None else beta) * (field + self.params.loc)
        return be.tsum(be.softplus(2.0 * total) - total, axis=1)  # log(2 cosh(total))

    def energy_gradient(self, units, field):
        return SpinParams(-be.mean(units, axis=0))

    def fit_marginal(self, moments):
        self.params.loc[:] = be.atanh(be.clip(moments.mean, -0.999999, 0.999999))


if __name__ == "__main__":
    print("promises kept:", ", ".join(check_layer(SpinLayer)))
    rng = np.random.default_rng(1)  # two patterns and their opposites, a tenth of the spins turned
    spins = np.repeat([[1, 1, 1, 1, -1, -1], [1, -1, 1, -1, 1, -1]], 250, axis=0)
    spins = spins * rng.choice([-1, 1], (500, 1)) * rng.choice([-1, 1], (500, 6), p=[0.1, 0.9])
    data = batch.in_memory_batch(rng.permutation(spins), 50)
    model = models.BoltzmannMachine([SpinLayer(6), SpinLayer(4)])
    model.initialize(data)
    fit.SGD(model, data).train(optimizers.ADAM(0.02), 20)
    with tempfile.TemporaryDirectory() as folder:
        model.save(f"{folder}/spins.h5")
        again = models.BoltzmannMachine.from_saved(f"{folder}/spins.h5")
    print(samplers.SequentialMC.generate_fantasy_state(again, 5, 50).get_visible())
