"""Recording and replaying work, which is for the GPU: here nothing can be captured."""

# ruff: noqa: D103 - the contract documents these functions

from paysage.errors import BackendError


def can_capture():
    return False


def warm_up(function):
    function()


def is_capturing():
    return False


def capture(function):
    raise BackendError(f"the backend 'python' cannot capture {function!r}: only the GPU can")
