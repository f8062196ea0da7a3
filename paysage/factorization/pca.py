"""Principal component analysis of data in memory or in minibatches."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from paysage import backends as be
from paysage import storage
from paysage.backends.contract import Tensor
from paysage.backends.conversion import plain_array
from paysage.checks import check_whole, is_whole
from paysage.errors import ConfigError, DataError, ShapeError, StorageError
from paysage.factorization.streaming import (
    OVERSAMPLING,
    Spectrum,
    by_block_lanczos,
    by_covariance,
    warn_unless_converged,
)

#: up to so many columns the covariance is held whole: 32 MiB
MOST_COLUMNS = 2048


class PCA:
    """The k directions along which rows of data vary most (Pearson 1901; Hotelling 1933).

    Made by `from_batch`, `from_svd` or `from_saved`. The sign of a direction is such that its
    entry of greatest absolute value is positive.

    Parameters
    ----------
    W : tensor (n, k)
        Orthonormal columns, the principal directions.
    var : tensor (k,)
        Variance of the data along each, descending. It is divided by N − 1 for N rows, and zero
        for one row.
    mean : tensor (n,)
        Mean of the data.

    Raises
    ------
    ShapeError
        The three do not fit one another.
    """

    def __init__(self, W: Any, var: Any, mean: Any) -> None:
        self.W, self.var, self.mean = map(be.float_tensor, (W, var, mean))
        shape, var, mean = (tuple(be.shape(x)) for x in (self.W, self.var, self.mean))
        if len(shape) != 2 or (mean, var) != (shape[:1], shape[1:]):
            raise ShapeError(
                f"PCA got W {shape}, var {var} and mean {mean}, expected (n, k), (k,) and (n,)"
            )

    def __repr__(self) -> str:
        return f"PCA({self.num_components} components of {be.shape(self.W)[0]} columns)"

    @property
    def num_components(self) -> int:
        """The number k of directions."""
        return int(be.shape(self.W)[1])

    @classmethod
    def from_batch(
        cls,
        batch: Any,
        num_components: int = 10,
        epochs: int = 10,
        grad_steps_per_minibatch: Any = None,
        stepsize: Any = None,
        minimum_stepsize: Any = None,
        convergence: Any = None,
        orthogonalize_rate: Any = None,
        verbose: Any = None,
    ) -> PCA:
        """Find the components of a batch's training data, which need not fit into memory.

        Up to 2048 columns, the covariance is accumulated in one pass in double precision, and the
        result is exact to rounding. Beyond, each pass adds k + 10 directions to a basis (block
        Lanczos), until |C w − λ w| ≤ 1e-5 λ for each component; memory is (k + 10) · n · 16 bytes
        a pass.

        Parameters
        ----------
        batch : Batch
            Its 'train' minibatches, after their transform, are read.
        num_components : int
            The number k, at most the number of columns and of rows.
        epochs : int
            Maximum number of passes over data of more than 2048 columns.
        grad_steps_per_minibatch, stepsize, minimum_stepsize, convergence, orthogonalize_rate, \
        verbose
            Ignored. They controlled the gradient descent of version 0.2.

        Returns
        -------
        PCA

        Raises
        ------
        ConfigError
            If a number is not a positive integer, or `batch` is not a batch.
        DataError
            If there are fewer columns or rows than components, or values that are not finite.

        Warns
        -----
        UserWarning
            If the passes were too few for the accuracy above.
        """
        num_components = check_whole("num_components", num_components, 1)
        epochs = check_whole("epochs", epochs, 1)
        if not hasattr(batch, "iterate"):
            raise ConfigError(
                f"got a {type(batch).__name__} for a batch: PCA.from_svd takes a tensor, "
                "batch.in_memory_batch(tensor, batch_size) makes a batch of one"
            )
        _check_enough(num_components, batch.ncols, "columns")
        if batch.ncols <= MOST_COLUMNS:
            spectrum = by_covariance(lambda: _in_double(batch), num_components)
        else:
            width = min(num_components + OVERSAMPLING, batch.ncols)
            start = be.to_numpy_array(be.randn((batch.ncols, width))).astype(np.float64)
            spectrum, residual = by_block_lanczos(
                lambda: _in_double(batch), num_components, epochs, start
            )
            warn_unless_converged(residual, epochs)
        _check_enough(num_components, spectrum.num_rows, "rows")
        return cls._of(spectrum)

    @classmethod
    def from_svd(cls, tensor: Tensor, num_components: int = 10, verbose: Any = None) -> PCA:
        """Find the components of a table in memory, by its singular value decomposition.

        Parameters
        ----------
        tensor : tensor (N, n)
            One sample a row.
        num_components : int
            The number k, at most n and N.
        verbose
            Ignored; it is a parameter of version 0.2.

        Returns
        -------
        PCA

        Raises
        ------
        ConfigError, ShapeError, DataError
            For an impossible number, a tensor that is no table, too few rows or columns, or values
            that are not finite or masked.
        """
        num_components = check_whole("num_components", num_components, 1)
        rows = np.asarray(plain_array(tensor), dtype=np.float64)
        if rows.ndim != 2:
            raise ShapeError(f"PCA got data of shape {rows.shape}, expected (rows, columns)")
        for count, what in zip(rows.shape, ("rows", "columns"), strict=True):
            _check_enough(num_components, count, what)
        _check_finite(rows)
        mean = rows.mean(axis=0)
        _, strengths, directions = be.svd(be.from_numpy_array(rows - mean))
        values = np.square(be.to_numpy_array(strengths)[:num_components]) / max(len(rows) - 1, 1)
        vectors = be.to_numpy_array(directions)[:, :num_components]
        return cls._of(Spectrum(len(rows), mean, vectors, values))

    @classmethod
    def _of(cls, spectrum: Spectrum) -> PCA:
        vectors = spectrum.vectors
        largest = np.abs(vectors).argmax(axis=0)
        signs = np.where(vectors[largest, np.arange(vectors.shape[1])] < 0, -1.0, 1.0)
        return cls(
            np.ascontiguousarray(vectors * signs), np.maximum(spectrum.values, 0.0), spectrum.mean
        )

    def project(self, tensor: Tensor) -> Tensor:
        """Return the products of rows with the principal directions, x W: (B, n) → (B, k).

        The mean of the data is not subtracted; `transform` does that.
        """
        tensor = be.float_tensor(tensor)
        self._check_rows(tensor)
        return be.dot(tensor, self.W)

    def transform(self, tensor: Tensor) -> Tensor:
        """Return the coordinates of rows along the directions, (x − mean) W: (B, n) → (B, k)."""
        tensor = be.float_tensor(tensor)
        self._check_rows(tensor)
        return be.dot(tensor - self.mean, self.W)

    def inverse_transform(self, coordinates: Tensor) -> Tensor:
        """Return the rows that have the given coordinates, mean + c Wᵀ: (B, k) → (B, n).

        `inverse_transform(transform(x))` is the point of the plane mean + span(W) that is nearest
        to x.
        """
        coordinates = be.float_tensor(coordinates)
        shape = tuple(be.shape(coordinates))
        if len(shape) != 2 or shape[1] != self.num_components:
            raise ShapeError(
                f"{self!r} got coordinates of shape {shape}, expected (rows, {self.num_components})"
            )
        return self.mean + be.dot(coordinates, be.transpose(self.W))

    def _check_rows(self, tensor: Tensor) -> None:
        shape, width = tuple(be.shape(tensor)), be.shape(self.W)[0]
        if len(shape) != 2 or shape[1] != width:
            raise ShapeError(f"{self!r} got a tensor of shape {shape}, expected (rows, {width})")

    def save(self, store: str | Path | Any, num_components_save: int | None = None) -> None:
        """Write the components to a file.

        Parameters
        ----------
        store : path or open pandas.HDFStore
        num_components_save : int, optional
            Number of components to save, from the first on; all by default.

        Raises
        ------
        ConfigError
            If there are not so many components.
        StorageError
            If the file cannot be written; what was there before is left as it was.
        """
        number = self.num_components if num_components_save is None else num_components_save
        if not is_whole(number, 1) or number > self.num_components:
            raise ConfigError(
                f"num_components_save is {num_components_save!r}, expected from 1 to "
                f"{self.num_components}"
            )
        parts = {"W": self.W[:, :number], "var": self.var[:number], "mean": self.mean}
        tree = {name: np.array(be.to_numpy_array(part)) for name, part in parts.items()}
        storage.write_tree(store, tree, kind="pca", key="pca")

    @classmethod
    def from_saved(cls, store: str | Path | Any) -> PCA:
        """Read the components from a file that `save` wrote; values are restored to the last bit.

        Files of version 0.2 are read too; nothing is unpickled.

        Parameters
        ----------
        store : path or open pandas.HDFStore

        Raises
        ------
        StorageError
            If the file is absent, damaged or of another program.

        Warns
        -----
        UserWarning
            If a file of version 0.2 does not hold the mean of the data; it is set to zero.
        """
        tree: Any = storage.read_legacy_pca(store)
        if tree is None:
            tree = storage.read_tree(store, kind="pca", key="pca")
        elif "mean" not in tree:
            warnings.warn(
                f"{store} does not hold the mean of the data: it is set to zero, so transform(x) "
                "equals project(x); write the mean into pca.mean if you know it",
                UserWarning,
                stacklevel=2,
            )
            tree["mean"] = np.zeros(len(tree["W"]), np.float32)
        try:
            return cls(tree["W"], tree["var"], tree["mean"])
        except (KeyError, TypeError, ValueError) as error:
            raise StorageError(f"{store} does not hold principal components: {error!r}") from error


def _in_double(batch: Any) -> Iterator[np.ndarray]:
    """The training minibatches on the host."""
    for rows in batch.iterate("train", shuffle=False):
        doubled = np.asarray(be.to_numpy_array(rows), dtype=np.float64)
        _check_finite(doubled)
        yield doubled


def _check_finite(rows: np.ndarray) -> None:
    if not np.isfinite(rows).all():
        row, column = np.argwhere(~np.isfinite(rows))[0]
        raise DataError(f"PCA got {rows[row, column]} in column {column}, expected finite numbers")


def _check_enough(num_components: int, count: int, what: str) -> None:
    if num_components > count:
        raise DataError(f"{num_components} components were asked of data with {count} {what}")
