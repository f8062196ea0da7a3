"""Public checks: a layer of one's own against its promises, small machines by enumeration."""

from paysage.testing.conformance import check_layer
from paysage.testing.enumeration import ExactMachine, all_states

__all__ = ["ExactMachine", "all_states", "check_layer"]
