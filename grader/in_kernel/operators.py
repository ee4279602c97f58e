"""The operators that a check may use on an object. They are kept before student code runs."""

from __future__ import annotations

import builtins
import operator
from collections.abc import Callable
from typing import Any

from numpy import ndarray

globals()["__builtins__"] = dict(vars(builtins))

_TWO = (
    "add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul", "and_", "or_", "xor",
    "lshift", "rshift", "eq", "ne", "lt", "le", "gt", "ge", "contains", "delitem",
    "iadd", "isub", "imul", "itruediv", "ifloordiv", "imod", "ipow", "imatmul",
)  # fmt: skip
_ONE = ("neg", "pos", "abs", "invert")


def _next(iterator: Any) -> tuple[Any, ...]:
    """Return the next element in a tuple; an empty tuple at the end."""
    for element in iterator:
        return (element,)
    return ()


def _enter(manager: Any) -> Any:
    return type(manager).__enter__(manager)


def _exit(manager: Any) -> Any:
    return type(manager).__exit__(manager, None, None, None)


def _fill(root: Any, name: str, keys: tuple[Any, ...], value: Any) -> None:
    """Change an element of root.name, or of root for ""; an array's numbers stay in that array."""
    path = (name, *keys) if name else keys
    target = parent = root
    for number, key in enumerate(path):
        parent = target
        last = number == len(path) - 1
        if name and not number:
            target = getattr(parent, key)
        elif last and type(parent) is dict:
            target = parent.get(key)
        else:
            target = parent[key]
    if type(target) is ndarray and type(value) is ndarray and target.shape == value.shape:
        target[...] = value
    elif name and len(path) == 1:
        setattr(parent, name, value)
    elif path:
        parent[path[-1]] = value


OPERATORS: dict[str, Callable[..., Any]] = {
    **{name: getattr(operator, name) for name in (*_ONE, *_TWO)},
    "setitem": operator.setitem,
    "divmod": divmod,
    "len": len,
    "bool": bool,
    "int": int,
    "float": float,
    "complex": complex,
    "round": round,
    "iter": iter,
    "next": _next,
    "enter": _enter,
    "exit": _exit,
    "fill": _fill,
}
