"""Everything that Paysage raises on purpose: what was got, and what was expected."""


class PaysageError(Exception):
    """Root of all errors of the library."""


class ShapeError(PaysageError, ValueError):
    """A tensor has another shape than the operation needs."""


class DataError(PaysageError, ValueError):
    """Data that cannot be meant: NaN, values out of range, too few rows."""


class DataWarning(UserWarning):
    """The data can be used, but a part of the work was skipped or replaced: see the message."""


class ConfigError(PaysageError, ValueError):
    """An unknown name or an impossible setting."""


class BackendError(PaysageError):
    """The backend or the processor that was asked for cannot be used."""


class StorageError(PaysageError, OSError):
    """A file cannot be read as, or written as, one of ours."""


class DivergenceError(PaysageError, ArithmeticError):
    """Training produced a parameter or a metric that is NaN or infinite."""


class ProcessError(PaysageError, RuntimeError):
    """Another process of a training has failed, or cannot be reached."""


class ConformanceError(PaysageError, AssertionError):
    """A layer breaks one of the promises that ``paysage.testing.check_layer`` looks at.

    Attributes
    ----------
    promise : str
        Name of the first promise that is broken.
    """

    def __init__(self, message: str, promise: str) -> None:
        super().__init__(message)
        self.promise = promise


class MissingDependencyError(PaysageError, ImportError):
    """An optional package is needed and not installed."""


def missing_dependency(package: str, purpose: str, extra: str) -> MissingDependencyError:
    """The error for an optional package that is absent, with the command that installs it."""
    return MissingDependencyError(
        f"{purpose} needs the package '{package}', which is not installed: "
        f"pip install 'paysage[{extra}]'"
    )


def in_brief(error: Exception) -> str:
    """The last line of what an error says; HDF5 puts its whole stack of calls before it."""
    return (str(error).strip().splitlines() or [type(error).__name__])[-1]
