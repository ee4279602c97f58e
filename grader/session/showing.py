"""Describes a check's calls and values briefly, for messages."""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Any

import numpy as np

from grader.session.callbacks import is_function, name_of
from grader.session.wire import Proxy, place_of

_SHOWN_CHARS = 40


def show_call(label: str, args: Iterable[Any], kwargs: dict[str, Any]) -> str:
    """Return a call as text: "sigmoid(array (3, 4) float64)", "sigmoid(0.5)"."""
    parts = [show(value) for value in args]
    parts += [f"{name}={show(value)}" for name, value in kwargs.items()]
    return f"{label}({', '.join(parts)})"


def show(value: Any) -> str:
    """Return a value as short text: small values literally, arrays by shape and dtype."""
    if isinstance(value, Proxy):
        return place_of(value).label
    if isinstance(value, np.ndarray) and value.ndim:
        return f"array {value.shape} {value.dtype}"
    if isinstance(value, np.ndarray | np.generic):
        value = value.item()
    if isinstance(value, list | tuple | dict):
        return _show_container(value)
    if isinstance(value, np.random.Generator | np.random.RandomState | random.Random):
        return f"a {type(value).__name__}"
    if is_function(value):
        name = name_of(value)
        return "a function" if name == "<lambda>" else name
    text = repr(value)
    return text if len(text) <= _SHOWN_CHARS else text[: _SHOWN_CHARS - 3] + "..."


def show_operation(sign: str, label: str, operands: tuple[Any, ...]) -> str:
    """Return an operation on the object `label` as text: "len(model)", "model[0] = 1.5"."""
    shown = [label, *map(show, operands)]
    if sign == "[]=":
        return f"{shown[0]}[{shown[1]}] = {shown[2]}"
    return f"{sign}({', '.join(shown)})"


def _show_container(value: list[Any] | tuple[Any, ...] | dict[Any, Any]) -> str:
    if len(value) <= 4:
        if isinstance(value, dict):
            text = ", ".join(f"{key!r}: {show(item)}" for key, item in value.items())
        else:
            text = ", ".join(show(item) for item in value)
        brackets = "{}" if isinstance(value, dict) else "()" if isinstance(value, tuple) else "[]"
        if isinstance(value, tuple) and len(value) == 1:
            text += ","
        if len(text) <= _SHOWN_CHARS:
            return f"{brackets[0]}{text}{brackets[1]}"
    return f"{type(value).__name__} of {len(value)}"
