"""The warning that the estimates share."""


class LikelihoodWarning(UserWarning):
    """An estimate of a likelihood that should not be believed as it is."""
