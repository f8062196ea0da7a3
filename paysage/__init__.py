"""Energy-based models: restricted, Gaussian, Hopfield and deep Boltzmann machines.

Importing the package has no side effect; PyTorch, Numba and matplotlib load on first use.
"""

__version__ = "1.0.0.dev0"
