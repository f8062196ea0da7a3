"""Data sets as plain NumPy arrays: images in grey values 0..255, one row an image."""

from paysage.datasets.fetching import fetch_mnist, mnist_from_folder
from paysage.datasets.images import (
    DATA_VARIABLE,
    HOW_TO_GET_MNIST,
    Dataset,
    SplitDataset,
    find_mnist,
    load_digits,
    load_mnist,
)

__all__ = [
    "DATA_VARIABLE",
    "HOW_TO_GET_MNIST",
    "Dataset",
    "SplitDataset",
    "fetch_mnist",
    "find_mnist",
    "load_digits",
    "load_mnist",
    "mnist_from_folder",
]
