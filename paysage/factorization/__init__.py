"""Principal components of data that come in minibatches."""

from paysage.factorization.pca import PCA

__all__ = ["PCA"]
