"""What a backend is: every name of the vocabulary, its parameters and its one docstring.

The functions here are never called. When a backend is chosen, each name is looked for in the
backend's files (the headings below are their names), its parameters and defaults are compared
with the stub's, and the stub's docstring is copied to it. Conventions:

* A trailing underscore means in place: the first argument is changed and returned.
* ``out`` is a tensor that is written and returned; without it a new tensor is made.
* Reductions take ``axis=None`` or the number of an axis. Over all elements they return a Python
  number, a float for floats, which waits for the GPU; with an axis or ``keepdims`` a tensor.
* Elementwise functions keep the tensor's dtype and never warn: outside of their domain they give
  infinities or NaN, which `is_finite_all` detects.
* Tensors of floats are in `Float` (single) precision unless somebody made them otherwise.
"""

# mypy: disable-error-code="empty-body"
# ruff: noqa: D403 - formulas begin with small letters

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any

from paysage.backends.common import (
    accumulate,
    apply,
    apply_,
    do_nothing,
    force_list,
    force_unlist,
    mapzip,
    mapzip_,
    maybe_key,
    maybe_print,
)
from paysage.backends.generator import Generator, active_generator

Tensor = Any
Scalar = Any  # a Python number, or the backend's scalar that behaves like one
Shape = Sequence[int] | int

FILES = ("tensor", "linalg", "nonlinearity", "random", "fused", "capture", "transfer")

CONSTANTS = {
    "EPSILON": "the machine epsilon of Float, as a Python float",
    "Float": "the dtype of single precision floats, the default of the library",
    "Double": "the dtype of double precision floats",
    "Int": "the dtype of 32 bit integers",
    "Long": "the dtype of 64 bit integers",
    "Byte": "the dtype of unsigned 8 bit integers",
    "Tensor": "the type of the backend's tensors",
}

# The same pure Python functions, and the class of generators, serve every backend.
COMMON: tuple[Callable[..., Any], ...] = (
    accumulate,
    apply,
    apply_,
    do_nothing,
    force_list,
    force_unlist,
    mapzip,
    mapzip_,
    maybe_key,
    maybe_print,
    Generator,
    active_generator,
)


# ------------------------------------------------------------- tensor: conversion and inspection


def float_scalar(x: Any) -> Scalar:
    """Round a number to Float precision; gives the backend's scalar (0-dimensional)."""


def float_tensor(x: Any) -> Tensor:
    """Make a Float tensor of an array, a nested list, a tensor, a DataFrame or a number.

    What is a Float tensor already shares its memory with the result; anything else is copied.

    Raises
    ------
    DataError
        What are no real numbers: text, dates, complex or masked values, rows of unequal length.
    """


def long_tensor(x: Any) -> Tensor:
    """Make a Long tensor of an array, a nested list, a tensor or a number; cuts fractions off."""


def cast_float(x: Tensor) -> Tensor:
    """The tensor with dtype Float; the same object where it has that dtype already."""


def cast_long(x: Tensor) -> Tensor:
    """The tensor with dtype Long; the same object where it has that dtype already."""


def to_numpy_array(x: Any) -> Any:
    """The NumPy array of a tensor (a view where possible), an array, a list or a number."""


def from_numpy_array(x: Any) -> Tensor:
    """The tensor of a NumPy array with the array's dtype; shares its memory where possible."""


def copy_tensor(x: Tensor) -> Tensor:
    """A contiguous copy that shares no memory with the tensor."""


def is_tensor(x: Any) -> bool:
    """Whether the object is a tensor of the backend in use."""


def shape(x: Tensor) -> tuple[int, ...]:
    """The lengths of the axes, a tuple of Python integers."""


def ndim(x: Tensor) -> int:
    """The number of axes."""


def dtype(x: Tensor) -> Any:
    """The dtype of the elements, comparable with Float, Double, Int, Long and Byte."""


def num_elements(x: Tensor) -> int:
    """The number of elements, a Python integer."""


def item(x: Any) -> float:
    """The one element of a tensor or a scalar, as a Python float."""


def is_finite_all(x: Any) -> bool:
    """Whether no element is NaN or infinite, as a Python bool; cheap enough for every step."""


# ---------------------------------------------------------------------------- tensor: creation


def empty(shape: Shape) -> Tensor:
    """A Float tensor of the shape whose elements are arbitrary, to be written before it is read."""


def empty_like(x: Tensor) -> Tensor:
    """A tensor with the shape and dtype of x whose elements are arbitrary."""


def zeros(shape: Shape, dtype: Any = None) -> Tensor:
    """Return a tensor of zeros; Float unless a dtype is given."""


def zeros_like(x: Tensor) -> Tensor:
    """A tensor of zeros with the shape and dtype of x."""


def ones(shape: Shape, dtype: Any = None) -> Tensor:
    """Return a tensor of ones; Float unless a dtype is given."""


def ones_like(x: Tensor) -> Tensor:
    """A tensor of ones with the shape and dtype of x."""


def identity(n: int) -> Tensor:
    """The Float identity matrix, (n, n)."""


def diagonal_matrix(vec: Tensor) -> Tensor:
    """The matrix (n, n) that has the vector (n,) on its diagonal and zeros elsewhere."""


def diag(mat: Tensor) -> Tensor:
    """A copy of the diagonal of a matrix (m, n), a vector (min(m, n),)."""


def fill_(x: Tensor, value: float) -> Tensor:
    """Set every element of x, of any shape, to a number, in place; the device is not waited for."""


def fill_diagonal_(mat: Tensor, value: Any) -> Tensor:
    """Write a number, or a vector (min(m, n),), on the diagonal of a matrix (m, n), in place."""


def trange(start: float, end: float, step: float = 1, dtype: Any = None) -> Tensor:
    """Return the vector start, start + step, ... without end; Float unless a dtype is given."""


# ------------------------------------------------------------------- tensor: shape and indexing


def stack(tensors: Sequence[Tensor], axis: int = 0) -> Tensor:
    """Join tensors of one shape along a new axis."""


def hstack(tensors: Sequence[Tensor]) -> Tensor:
    """Join tensors side by side: along axis 1, or along axis 0 where they are vectors."""


def vstack(tensors: Sequence[Tensor]) -> Tensor:
    """Join tensors on top of each other: along axis 0; a vector counts as one row."""


def repeat(x: Tensor, n: int) -> Tensor:
    """Each element n times in a row, as a vector: (a, b) becomes (a, a, b, b) for n = 2."""


def broadcast(x: Tensor, shape: Any) -> Tensor:
    """A read-only view of x stretched to a shape, or to the shape of another tensor."""


def reshape(x: Tensor, newshape: Shape) -> Tensor:
    """The elements in another shape, in row-major order; a view if possible.

    One length may be -1: it is what the number of elements leaves over.
    """


def flatten(x: Any) -> Tensor:
    """All elements as a vector, in row-major order; a view if possible. A number gives (1,)."""


def unsqueeze(x: Tensor, axis: int) -> Tensor:
    """A view with one more axis, of length 1, at the given place."""


def transpose(x: Tensor) -> Tensor:
    """A view with the axes in reverse order."""


def index_select(x: Tensor, indices: Tensor, dim: int = 0) -> Tensor:
    """Return a copy of the slices of x at the Long indices (k,) along axis `dim`, in order."""


def scatter_(x: Tensor, indices: Tensor, value: Any) -> Tensor:
    """Set x[i, indices[i]] = value in each row i of x (B, n), in place.

    The Long indices are (B,); the value is a number or a tensor (B,).
    """


def where(cond: Tensor, a: Any, b: Any) -> Tensor:
    """Elements of a where the condition holds and of b elsewhere; all three broadcast."""


# -------------------------------------------------------------------------- tensor: reductions


def tsum(x: Tensor, axis: int | None = None, keepdims: bool = False) -> Any:
    """Return the sum; of booleans, the number of True as an integer."""


def mean(x: Tensor, axis: int | None = None, keepdims: bool = False) -> Any:
    """Arithmetic mean; of integers and booleans, a Float."""


def var(x: Tensor, axis: int | None = None, keepdims: bool = False) -> Any:
    """Return the sample variance: squared deviations from the mean over n - 1; NaN if n < 2."""


def std(x: Tensor, axis: int | None = None, keepdims: bool = False) -> Any:
    """Return the sample standard deviation, the square root of `var`; NaN if n < 2."""


def tprod(x: Tensor, axis: int | None = None, keepdims: bool = False) -> Any:
    """Product."""


def tmax(x: Tensor, axis: int | None = None, keepdims: bool = False) -> Any:
    """Greatest element."""


def tmin(x: Tensor, axis: int | None = None, keepdims: bool = False) -> Any:
    """Least element."""


def argmax(x: Tensor, axis: int | None = None, keepdims: bool = False) -> Any:
    """Long index of the first greatest element; with axis=None, its row-major position."""


def argmin(x: Tensor, axis: int | None = None, keepdims: bool = False) -> Any:
    """Long index of the first least element; with axis=None, its row-major position."""


def tany(x: Tensor, axis: int | None = None, keepdims: bool = False) -> Any:
    """Whether any element is true (not zero)."""


def tall(x: Tensor, axis: int | None = None, keepdims: bool = False) -> Any:
    """Whether all elements are true (not zero)."""


def cumsum(x: Tensor, axis: int = 0) -> Tensor:
    """Cumulative sums along an axis, in the shape of x."""


def sort(x: Tensor, axis: int | None = None) -> Tensor:
    """Return a copy sorted in ascending order along an axis; by default all elements, flattened."""


def argsort(x: Tensor, axis: int | None = None) -> Tensor:
    """Return the Long indices that sort x along an axis; by default those of the flattened x.

    The order is ascending, and equal elements keep theirs.
    """


# ------------------------------------------------------------------------- tensor: comparisons


def equal(x: Tensor, y: Any) -> Tensor:
    """Elementwise x == y, a boolean tensor; broadcasts, as all comparisons do."""


def not_equal(x: Tensor, y: Any) -> Tensor:
    """Elementwise x != y."""


def greater(x: Tensor, y: Any) -> Tensor:
    """Elementwise x > y."""


def greater_equal(x: Tensor, y: Any) -> Tensor:
    """Elementwise x >= y."""


def lesser(x: Tensor, y: Any) -> Tensor:
    """Elementwise x < y."""


def lesser_equal(x: Tensor, y: Any) -> Tensor:
    """Elementwise x <= y."""


def allclose(x: Tensor, y: Any, rtol: float = 1e-5, atol: float = 1e-8) -> bool:
    """Whether abs(x - y) <= atol + rtol * abs(y) everywhere, as a Python bool.

    NaN is close to nothing; equal infinities are close.
    """


def logical_not(x: Tensor) -> Tensor:
    """Elementwise negation; what is not zero counts as true."""


def logical_and(x: Tensor, y: Tensor) -> Tensor:
    """Elementwise conjunction; what is not zero counts as true."""


def logical_or(x: Tensor, y: Tensor) -> Tensor:
    """Elementwise disjunction; what is not zero counts as true."""


# ---------------------------------------------------------------------------- linalg: products


def dot(a: Tensor, b: Tensor, out: Tensor | None = None) -> Any:
    """Matrix product of matrices and vectors; transposed views are multiplied without a copy.

    Shapes (m, k)(k, n) -> (m, n), (m, k)(k,) -> (m,), (k,)(k, n) -> (n,), (k,)(k,) -> a number.
    """


def outer(a: Tensor, b: Tensor) -> Tensor:
    """Outer product a b^T of vectors (m,) and (n,), a matrix (m, n)."""


def batch_dot(a: Tensor, b: Tensor, axis: int = 1) -> Tensor:
    """Return the dot product of each row of a with the same row of b: (B, n), (B, n) -> (B,).

    With axis=0, of each column.
    """


def batch_quadratic(vis: Tensor, W: Tensor, hid: Tensor, axis: int = 1) -> Tensor:
    """Return v^T W h of each row: vis (B, V), W (V, H), hid (B, H) -> (B,).

    With axis=0, the sums over rows of (v^T W)_j h_j instead, (H,).
    """


def batch_outer(vis: Tensor, hid: Tensor) -> Tensor:
    """Sum (not mean) over rows of the outer products v h^T: (B, V), (B, H) -> (V, H)."""


def affine(a: Tensor, b: Tensor, W: Tensor) -> Tensor:
    """The affine map a + W b: a (m,), b (n,) or (n, k), W (m, n)."""


def quadratic(a: Tensor, b: Tensor, W: Tensor) -> float:
    """Return the number a^T W b: a (m,), b (n,), W (m, n)."""


# -------------------------------------------------------------------------- linalg: statistics


def norm(x: Tensor, axis: int | None = None, keepdims: bool = False) -> Any:
    """Euclidean norm of the elements (of a matrix with axis=None, the Frobenius norm)."""


def normalize(x: Tensor) -> Tensor:
    """x divided by the sum of all its elements."""


def center(x: Tensor, axis: int = 0) -> Tensor:
    """Return x minus its mean along an axis, by default over rows."""


def cov(x: Tensor, y: Tensor) -> Tensor:
    """Return the sample covariance over B rows, divided by B - 1: (B, m), (B, n) -> (m, n).

    It is NaN for one row.
    """


def corr(x: Tensor, y: Tensor) -> Tensor:
    """Pearson correlation over rows: (B, m), (B, n) -> (m, n); 0 where a column is constant."""


# ---------------------------------------------------------------------- linalg: decompositions


def inv(mat: Tensor) -> Tensor:
    """Inverse of a square matrix, computed in double precision; a singular one is a DataError."""


def pinv(mat: Tensor) -> Tensor:
    """Moore-Penrose pseudo-inverse, (m, n) -> (n, m), computed in double precision.

    Singular values below 1e-7 * max(m, n) times the greatest count as zero: that is what single
    precision entries can resolve.
    """


def qr(mat: Tensor) -> tuple[Tensor, Tensor]:
    """Reduced QR decomposition Q, R of (m, n): Q (m, k), R (k, n), k = min(m, n)."""


def svd(mat: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Reduced singular value decomposition U, S, V with mat = U diag(S) V^T, S descending.

    Shapes for (m, n) and k = min(m, n): U (m, k), S (k,), V (n, k).
    """


def matrix_sqrt(mat: Tensor) -> Tensor:
    """Symmetric positive root R, R R = mat, of a symmetric positive semi-definite matrix (n, n).

    By eigendecomposition in double precision; eigenvalues that rounding made negative become 0.
    """


def logdet(mat: Tensor) -> float:
    """Return the logarithm of the absolute determinant of a square matrix; -inf if singular.

    Computed in double precision.
    """


# ------------------------------------------------------------------ nonlinearity: one argument


def tabs(x: Tensor) -> Tensor:
    """Absolute value."""


def sign(x: Tensor) -> Tensor:
    """-1, 0 or 1."""


def tround(x: Tensor) -> Tensor:
    """The nearest integer; halves go to the even one."""


def tfloor(x: Tensor) -> Tensor:
    """The greatest integer that is not greater."""


def tceil(x: Tensor) -> Tensor:
    """The least integer that is not less."""


def square(x: Tensor) -> Tensor:
    """x * x."""


def sqrt(x: Tensor) -> Tensor:
    """Square root."""


def reciprocal(x: Tensor) -> Tensor:
    """1 / x."""


def exp(x: Tensor) -> Tensor:
    """Exponential function."""


def log(x: Tensor) -> Tensor:
    """Natural logarithm."""


def cos(x: Tensor) -> Tensor:
    """Cosine, of radians."""


def sin(x: Tensor) -> Tensor:
    """Sine, of radians."""


def tanh(x: Tensor) -> Tensor:
    """Hyperbolic tangent."""


def atanh(x: Tensor) -> Tensor:
    """Inverse hyperbolic tangent, on [-1, 1]."""


def cosh(x: Tensor) -> Tensor:
    """Hyperbolic cosine."""


def acosh(x: Tensor) -> Tensor:
    """Inverse hyperbolic cosine, on [1, inf)."""


def expit(x: Tensor) -> Tensor:
    """Logistic function 1 / (1 + exp(-x)), without overflow."""


def logit(p: Tensor) -> Tensor:
    """log(p / (1 - p)), the inverse of `expit`, on [0, 1]."""


def softplus(x: Tensor) -> Tensor:
    """log(1 + exp(x)), without overflow."""


def logcosh(x: Tensor) -> Tensor:
    """log(cosh(x)), without overflow."""


def normal_pdf(x: Tensor) -> Tensor:
    """Density of the standard normal distribution, exp(-x^2 / 2) / sqrt(2 pi)."""


# ----------------------------------------------------------------- nonlinearity: more arguments


def softmax(x: Tensor, axis: int = -1) -> Tensor:
    """exp(x) divided by its sum along an axis, without overflow."""


def logaddexp(x: Tensor, y: Any) -> Tensor:
    """log(exp(x) + exp(y)), without overflow."""


def tpow(x: Tensor, a: Any) -> Tensor:
    """x to the power of a number or of a tensor."""


def maximum(x: Tensor, y: Any) -> Tensor:
    """The greater of two elements; y is a tensor or a number."""


def minimum(x: Tensor, y: Any) -> Tensor:
    """The lesser of two elements; y is a tensor or a number."""


def clip(x: Tensor, a_min: float | None = None, a_max: float | None = None) -> Tensor:
    """x limited to [a_min, a_max], numbers or None for no bound."""


def clip_(x: Tensor, a_min: float | None = None, a_max: float | None = None) -> Tensor:
    """Limit x to [a_min, a_max], numbers or None for no bound, in place."""


def tclip(x: Tensor, a_min: Any = None, a_max: Any = None) -> Tensor:
    """Return x limited elementwise to [a_min, a_max].

    The bounds are tensors that broadcast to the shape of x, or None for no bound.
    """


def tclip_(x: Tensor, a_min: Any = None, a_max: Any = None) -> Tensor:
    """Limit x elementwise to [a_min, a_max], in place; bounds as in `tclip`."""


def mix(w: Any, x: Tensor, y: Tensor) -> Tensor:
    """w * x + (1 - w) * y; w is a number or a tensor that broadcasts."""


def mix_(w: Any, x: Tensor, y: Tensor) -> Tensor:
    """Change x to w * x + (1 - w) * y, in place (x is the second argument)."""


def square_mix_(w: Any, x: Tensor, y: Tensor) -> Tensor:
    """Change x to w * x + (1 - w) * y^2, in place (x is the second argument)."""


def sqrt_div(x: Tensor, y: Tensor) -> Tensor:
    """x / sqrt(EPSILON + y), for y >= 0."""


# --------------------------------------------------------------------------------------- random


# Random functions draw from the active generator: the innermost one whose `with` block is open in
# the thread, or the global one. See `Generator` and `active_generator`.


def set_seed(seed: int = 137) -> None:
    """Seed the global generator.

    Models, samplers and trainers that were not given a generator start again from the new seed at
    their next use; those that were given one are not affected.
    """


def get_random_state() -> dict[str, Any]:
    """Return the state of the global generator, a dictionary that JSON can hold."""


def set_random_state(state: dict[str, Any]) -> None:
    """Put the global generator back into a state that `get_random_state` returned.

    Models, samplers and trainers that were not given a generator start again at their next use.
    """


def separate_draws(number: int) -> list[AbstractContextManager[Any]]:
    """Return context managers, one for each of several tasks that may run in parallel.

    The numbers that a task draws inside its context manager depend on the state of the active
    generator now and on the position of the task, not on the thread or the time at which it runs.
    """


def draws_of_rows(first: int, count: int, total: int) -> AbstractContextManager[Any]:
    """Return a context manager in which some rows draw what they draw among all `total` rows.

    For tensors whose first axis is the rows first, ..., first + count - 1. Several processes, each
    with some of the rows and all in one state of the active generator, together draw the numbers
    that a single process draws. That holds for uniform and normal numbers, for units, and for steps
    of inverse temperatures with a standard deviation below sqrt(2). Integers and permutations come
    from a generator that belongs to these rows. On a GPU nothing changes.
    """


def rand(shape: Shape) -> Tensor:
    """Float tensor of uniform numbers in (0, 1)."""


def rand_like(x: Tensor) -> Tensor:
    """Float tensor of uniform numbers in (0, 1), in the shape of x."""


def randn(shape: Shape) -> Tensor:
    """Float tensor of standard normal numbers."""


def randn_like(x: Tensor) -> Tensor:
    """Float tensor of standard normal numbers, in the shape of x."""


def rand_bernoulli(x: Tensor, top: float = 1.0) -> Tensor:
    """Float zeros and ones in the shape of x, ones with the probabilities x / top, in one pass."""


def rand_int(a: int, b: int, shape: Shape) -> Tensor:
    """Long tensor of integers drawn uniformly from a, ..., b - 1."""


def rand_samples(x: Tensor, n: int) -> Tensor:
    """n elements of x drawn uniformly with replacement, (n,)."""


def shuffle_(x: Tensor) -> Tensor:
    """Bring the rows of x (its axis 0) into a random order, in place."""


def rand_softmax_units(phi: Tensor) -> Tensor:
    """For each row of phi (B, n), one Long index k with probability softmax(phi)_k, (B,).

    Drawn by inverting the cumulative distribution: one uniform number a row.
    """


def rand_softmax(phi: Tensor) -> Tensor:
    """Float one-hot rows (B, n) with the ones where `rand_softmax_units` would put its indices."""


# ---------------------------------------------------------------------------- fused: unit layers


def bernoulli_mean(
    field: Tensor, loc: Tensor, beta: Any = None, out: Tensor | None = None
) -> Tensor:
    """1 / (1 + exp(-beta (field + loc))): field (B, n), loc (n,).

    The inverse temperature beta is None (meaning 1), a number or a tensor (B, 1).
    """


def bernoulli_sample(
    field: Tensor, loc: Tensor, beta: Any = None, out: Tensor | None = None
) -> Tensor:
    """Float zeros and ones drawn with the probabilities `bernoulli_mean`, in one pass."""


def gaussian_sample(
    field: Tensor, loc: Tensor, log_var: Tensor, beta: Any = None, out: Tensor | None = None
) -> Tensor:
    """Normal numbers of mean field + loc and variance exp(log_var) / beta.

    field (B, n), loc (n,), log_var (n,); beta is None (meaning 1), a number or a tensor (B, 1).
    """


def onehot_mean(field: Tensor, loc: Tensor, beta: Any = None, out: Tensor | None = None) -> Tensor:
    """exp(beta (field + loc)) divided by its sum over the row: field (B, n), loc (n,), n >= 1.

    The inverse temperature beta is None (meaning 1), a number or a tensor (B, 1), not negative.
    No field is too large, and the sum is as accurate as its terms however wide the row is. A row
    that has no softmax, because it holds NaN or plus infinity, is NaN throughout.
    """


def onehot_sample(
    field: Tensor, loc: Tensor, beta: Any = None, out: Tensor | None = None
) -> Tensor:
    """Float rows of zeros with a single one, drawn with the probabilities `onehot_mean`.

    In one pass, by inverting the cumulative distribution: one uniform number a row. A row that has
    no softmax is NaN throughout.
    """


def units_dot(units: Tensor, matrix: Tensor, out: Tensor | None = None) -> Tensor:
    """The product of rows of units with a matrix: (B, m) @ (m, n) -> (B, n).

    As `dot`, but on the CPU elements that are zero are skipped where most of them are, which takes
    a fraction of the time. A zero then hides NaN and infinity in the matrix. The matrix may be a
    transposed view, or one in bfloat16 (see `bfloat16_zeros`); sums are of single precision even
    then. On the GPU the units are rounded to bfloat16 in this case, on the CPU they are not. An
    `out` of another shape is a ShapeError.
    """


def has_bfloat16() -> bool:
    """Whether there are products in bfloat16 where tensors are now: on any CPU, on newer GPUs."""


def bfloat16_zeros(shape: Shape) -> Any:
    """Room for a matrix (m, n) in bfloat16, zero at first.

    Not a tensor to compute with: `to_bfloat16_` and `to_bfloat16_transposed_` write it,
    `units_dot` and `moment_gap` read it. What is in it is known by its product with an identity.
    """


def to_bfloat16_(out: Any, x: Tensor, part: slice | None = None) -> Any:
    """In place, out (m, n) of `bfloat16_zeros` becomes x (m, n); with `part`, these of its rows.

    Rounded to the nearest, to even ones where there are two; NaN stays NaN.
    """


def to_bfloat16_transposed_(out: Any, x: Tensor, part: slice | None = None) -> Any:
    """In place, out (m, n) becomes the transpose of x (n, m), in the same way."""


def write_transposed(matrix: Tensor, out: Tensor, part: slice | None = None) -> Tensor:
    """Write the transpose of a matrix (m, n) to out (n, m); with `part`, of these of its rows."""


def add_outer_(
    out: Tensor, a: Tensor, b: Tensor, weight: float = 1.0, part: slice | None = None
) -> Tensor:
    """In place, out (m, n) += weight a b^T of vectors (m,) and (n,); with `part`, in these rows."""


def moment_gap(
    data_a: Tensor,
    data_b: Tensor,
    model_a: Tensor,
    model_b: Tensor,
    out: Tensor | None = None,
    scratch: Tensor | None = None,
    part: slice | None = None,
) -> Tensor:
    """<a b^T>_model - <a b^T>_data, means over rows: (B, m), (B, n) of each phase -> (m, n).

    The number of rows may differ between the phases. `scratch` (m, n) is overwritten if given,
    and saves an allocation on the backends that need one. With `part`, a slice without a step,
    only these rows of the result are computed, so that threads may share the work.
    Both b may be in bfloat16 (see `bfloat16_zeros`); the result is in single precision even then.
    """


# ------------------------------------------------------------------- fused: inverse temperatures


def beta_process_start(num: int, std: float) -> Tensor:
    """Inverse temperatures (num, 1), Gamma(shape 1/std^2, scale std^2), mean 1; ones if std = 0."""


def beta_process_step_(beta: Tensor, momentum: float, std: float) -> Tensor:
    """One step of the stationary autoregressive Gamma process on beta (B, 1), in place.

    With c = (1 - momentum) std^2: z ~ Poisson(momentum beta / c), then
    beta ~ Gamma(shape 1/std^2 + z, scale c). Mean 1, standard deviation `std` and
    autocorrelation `momentum`, in [0, 1), are kept (Gourieroux and Jasiak 2006). With std = 0
    beta becomes 1.
    """


# ------------------------------------------------------------------------- fused: optimizer steps


def descent_step_(param: Tensor, grad: Tensor, lr: Any) -> Tensor:
    """param <- param - lr grad, in place; lr is a number or a 0-dimensional tensor.

    As in the other steps, on the GPU the tensors may be lists of tensors, which move at once.
    """


def momentum_step_(
    param: Tensor, grad: Tensor, velocity: Tensor, lr: Any, momentum: float
) -> Tensor:
    """v <- mu v + (1 - mu) g, then param <- param - lr v, both in place."""


def rmsprop_step_(
    param: Tensor,
    grad: Tensor,
    mean_square: Tensor,
    lr: Any,
    decay: float,
    scale: float,
    epsilon: float,
) -> Tensor:
    """v <- decay v + (1 - decay) g^2, then param <- param - lr g / sqrt(epsilon + scale v).

    In place on both.
    """


def adam_step_(
    param: Tensor,
    grad: Tensor,
    mean: Tensor,
    mean_square: Tensor,
    lr: Any,
    beta1: float,
    beta2: float,
    mean_scale: Any,
    mean_square_scale: Any,
    epsilon: float,
) -> Tensor:
    """One ADAM step, in place on param, mean and mean_square (Kingma and Ba 2015).

    m <- beta1 m + (1 - beta1) g and v <- beta2 v + (1 - beta2) g^2, then
    param <- param - lr (mean_scale m) / sqrt(epsilon + mean_square_scale v).
    """


# -------------------------------------------------------------------------------------- capture


def can_capture() -> bool:
    """Whether what a function does to tensors can be recorded and replayed: on the GPU only."""


def warm_up(function: Callable[[], Any]) -> None:
    """Call a function that is about to be captured, on the GPU beside the stream in use.

    What the libraries below need of memory is taken then; the stream in use waits for the work.
    """


def is_capturing() -> bool:
    """Whether work is being recorded at this moment, so that no number in a tensor may be read."""


def capture(function: Callable[[], Any]) -> Callable[[], None]:
    """Record what a function does to tensors; gives a function that does all of it again.

    `function` is called once. None of its work on tensors is done then, so that what it computes
    must not decide what it does next; the same tensors are read and written by each replay, which
    draws on from the random state of that moment. They live as long as the replay does.

    Raises
    ------
    BackendError
        If the backend cannot capture, or the function does what cannot be recorded.
    """


# ------------------------------------------------------------------------------------- transfer


def fits_device(num_bytes: int) -> bool:
    """Whether a GPU has room to keep data of that size: half of the memory that is free there.

    Without a GPU there is no memory but the host's, and the answer is no.
    """


def resident_tensor(x: Any) -> Tensor:
    """As `float_tensor`; but what does not fit the GPU stays, as a Float array, with the host.

    Raises
    ------
    DataError
        As `float_tensor` does.
    """


def uploads(arrays: Iterable[Any]) -> Iterator[Tensor]:
    """Float tensors of NumPy arrays, in turn.

    On the GPU the next array is read, and copied by a stream of its own through pinned memory,
    before a tensor is given out, so that copies and work on tensors go on at the same time.
    """
