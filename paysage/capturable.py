"""The promise that a part of a training step can be captured as a CUDA graph.

What a captured step computes is recorded once and replayed. A part of it keeps the promise if it

* works on tensors by ``be.`` functions and operators, and changes what it keeps in place;
* never looks at a number in a tensor: no ``float(x)``, ``if x > 0``, ``be.to_numpy_array(x)``, no
  reduction over all elements such as ``be.tsum(x)`` (``be.tsum(x, axis=0)`` is allowed), no boolean
  mask or list as an index, no number assigned where a tensor is the index, no ``be.float_tensor``
  of Python numbers or arrays;
* computes with Python numbers only that stay the same from step to step.
"""

from __future__ import annotations

import functools
from typing import Any, ClassVar


class Capturable:
    """Base of the parts of a training step that are objects."""

    #: the promise; a subclass, which may do anything in its methods, gives it anew
    capturable: ClassVar[bool] = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.capturable = vars(cls).get("capturable", False)

    def is_capturable(self) -> bool:
        """Whether the promise holds for this object, with its options."""
        return self.capturable


def is_capturable(part: Any) -> bool:
    """Whether a part of a training step, an object or a function, promises to be capturable.

    A function has an attribute ``capturable``; so has one with bound arguments, all of which must
    be numbers or text.
    """
    if isinstance(part, functools.partial):
        bound = (*part.args, *part.keywords.values())
        return is_capturable(part.func) and all(map(_is_plain, bound))
    if isinstance(part, Capturable):
        return part.is_capturable()
    return bool(getattr(part, "capturable", False))


def _is_plain(value: Any) -> bool:
    # a list or an array would be copied to the device in each step
    return isinstance(value, bool | int | float | str | slice)


def capturable(function: Any) -> Any:
    """Give the promise for a function; use it as a decorator."""
    function.capturable = True
    return function
