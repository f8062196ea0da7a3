"""What a training was asked for, as JSON values: a checkpoint goes on with the same only."""

from __future__ import annotations

import functools
import json
import types
from collections.abc import Callable, Iterator
from typing import Any

from paysage.errors import ConfigError
from paysage.fit.tap import TAP
from paysage.registry import encode_argument, encode_arguments

#: differences that are told
TOLD = 3
#: of some of the rows; checkpoints of the first days have none
CHECKSUM = "checksum_of_rows"
#: keys under which configurations have the name of what they configure
_NAMES = ("name", "type", "layer_type", "model_type")


def plain(tree: Any) -> Any:
    """The tree as JSON gives it back; infinity, which JSON does not know, as its name."""
    text = json.dumps(tree, default=lambda value: encode_argument(value, "a setting"))
    return json.loads(text, parse_constant=str)


def describe_batch(batch: Any) -> dict[str, Any]:
    """Return sizes, transforms, checksums and whether they are shuffled of a batch's tables."""
    return {
        mode: {**_describe_table(table), "shuffle": batch.is_shuffled(mode)}
        for mode, table in batch.tables.items()
    }


def _describe_table(table: Any) -> dict[str, Any]:
    transform = table.get_transform()
    return {
        "rows": table.nrows,
        "columns": table.ncols,
        "batch_size": table.batch_size,
        "transform": encode_arguments(transform.name, transform.args, transform.kwargs),
        # tables of other kinds need have none
        CHECKSUM: table.checksum() if hasattr(table, "checksum") else None,
    }


def describe_method(method: Callable) -> dict[str, Any]:
    """The name of a function with its bound arguments, or the options of ``fit.TAP``.

    Raises
    ------
    ConfigError
        For anything else, which may remember what a checkpoint would not hold.
    """
    if isinstance(method, functools.partial):
        inner = describe_method(method.func)
        return {**inner, "bound": encode_arguments(inner["name"], method.args, method.keywords)}
    owner = getattr(method, "__self__", None)
    if isinstance(owner, TAP):
        options = {"order": owner.order, "num_samples": owner.num_samples, **vars(owner.rule)}
        return {"name": "TAP", **options}
    if not isinstance(method, types.FunctionType):
        raise ConfigError(
            f"a checkpoint cannot hold what {method!r} remembers; expected a function, "
            "such as fit.pcd, or fit.TAP().tap_update"
        )
    return {"name": f"{method.__module__}.{method.__qualname__}"}


def describe_metrics(metrics: list[Any]) -> list[Any]:
    """Configurations of the metrics, or the names of those that have none."""
    return [m.get_config() if hasattr(m, "get_config") else {"name": m.name} for m in metrics]


def describe_part(part: Any) -> dict[str, Any] | None:
    """The type of an object and its attributes, which are numbers; None for None."""
    return None if part is None else {"type": type(part).__name__, **vars(part)}


def check_same(stored: Any, own: Any, name: str) -> None:
    """Raise a ConfigError that tells what differs between the settings of two trainings."""
    found = list(_differences(stored, own, ""))
    if found:
        more = f" and {len(found) - TOLD} more" if len(found) > TOLD else ""
        raise ConfigError(
            f"{name} is the checkpoint of another training: {'; '.join(found[:TOLD])}{more}"
        )


def _differences(stored: Any, own: Any, where: str) -> Iterator[str]:
    if isinstance(stored, dict) and isinstance(own, dict):
        # the options of another thing are other options
        named = [key for key in _NAMES if stored.get(key) != own.get(key)]
        for key in named or sorted({*stored, *own}):
            if key == CHECKSUM and stored.get(key) is None:
                continue
            place = f"{where}.{key}" if where else key
            yield from _differences(stored.get(key), own.get(key), place)
    elif isinstance(stored, list) and isinstance(own, list) and len(stored) == len(own):
        for k, pair in enumerate(zip(stored, own, strict=True)):
            yield from _differences(*pair, f"{where}[{k}]")
    elif stored != own:
        yield f"{where} was {stored!r}, is {own!r}"
