"""The plain value inside an instance of a subclass."""

from __future__ import annotations

import builtins
from collections.abc import Callable
from typing import Any, Final

from numpy import generic, ndarray

globals()["__builtins__"] = dict(vars(builtins))


def base_value(value: Any) -> Any:
    """Return the plain value inside an instance of a subclass; the same object if there is none.

    Uses only C methods of the base class, none that a subclass may override.
    """
    kind = type(value)
    if issubclass(kind, ndarray):
        return ndarray.view(value, ndarray) if kind is not ndarray else value
    if kind in _BASES or issubclass(kind, generic):
        return value
    for base, plain in _BASES.items():
        if issubclass(kind, base):
            return plain(value)
    return value


def _plain_dict(value: dict[Any, Any]) -> dict[Any, Any]:
    return dict(zip(dict.keys(value), dict.values(value), strict=True))


_BASES: Final[dict[type, Callable[[Any], Any]]] = {
    int: lambda value: int.__pos__(value),
    float: lambda value: float.__pos__(value),
    complex: lambda value: complex.__pos__(value),
    str: lambda value: str.__str__(value),
    bytes: lambda value: bytes.__getitem__(value, slice(None)),
    list: lambda value: list.__getitem__(value, slice(None)),
    tuple: lambda value: tuple.__getitem__(value, slice(None)),
    dict: _plain_dict,
}
