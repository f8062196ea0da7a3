"""The attributes that PyTables pickles, read without unpickling.

pandas keeps the names of columns so. Only what makes numbers, text, lists, tuples and dictionaries
is understood; a pickle that wants anything else, a function foremost, is refused and nothing of it
happens.
"""

import pickletools
from typing import Any

from paysage.errors import StorageError

_MARK = object()
_VALUES = ("NONE", "INT", "LONG", "FLOAT", "UNICODE")


def read_plain(raw: bytes, where: str) -> Any:
    """The value that a pickle of protocol 0 stands for.

    Raises
    ------
    StorageError
        If it is no such pickle, or one that makes more than plain values.
    """
    stack: list[Any] = []
    memory: dict[int, Any] = {}
    try:
        for code, argument, _ in pickletools.genops(raw):
            if code.name == "STOP":
                return stack.pop()
            _step(code.name, argument, stack, memory)
    except (IndexError, KeyError, TypeError, ValueError) as error:
        raise StorageError(f"{where} is a pickle of more than plain values: not read") from error
    raise StorageError(f"{where} is a pickle without an end")


def _step(code: str, argument: Any, stack: list[Any], memory: dict[int, Any]) -> None:
    if code in _VALUES:
        stack.append(argument)
    elif code == "MARK":
        stack.append(_MARK)
    elif code in ("LIST", "TUPLE", "DICT"):
        items = _from_mark(stack)
        stack.append(_made(code, items))
    elif code == "APPEND":
        item = stack.pop()
        stack[-1].append(item)
    elif code == "SETITEM":
        value, key = stack.pop(), stack.pop()
        stack[-1][key] = value
    elif code == "PUT":
        memory[argument] = stack[-1]
    elif code == "GET":
        stack.append(memory[argument])
    else:
        raise ValueError(code)


def _made(code: str, items: list[Any]) -> Any:
    if code == "DICT":
        return dict(zip(items[::2], items[1::2], strict=True))
    return tuple(items) if code == "TUPLE" else items


def _from_mark(stack: list[Any]) -> list[Any]:
    """What was put on the stack after the last mark."""
    items: list[Any] = []
    while (item := stack.pop()) is not _MARK:
        items.append(item)
    return items[::-1]
