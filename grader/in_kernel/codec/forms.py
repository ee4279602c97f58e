"""Values beyond JSON and arrays: taken apart into plain values, and built again.

A form has a name, which is sent, and two functions. The first takes a value apart into plain values
(or values of other forms); it goes by exact types, and uses C methods that no subclass overrides.
The second checks the plain values and builds the value from them.
"""

from __future__ import annotations

import builtins
from collections.abc import Callable
from typing import Any, Final

from numpy import dtype, generic, ndarray

from grader.in_kernel.codec import array_forms, frame_forms, generators, plain_forms
from grader.in_kernel.codec.limits import MalformedFrame, TooLarge

globals()["__builtins__"] = dict(vars(builtins))

_APART: Final[dict[type, tuple[str, Callable[[Any], Any]]]] = {
    **plain_forms.APART,
    **array_forms.APART,
    **frame_forms.APART,
    **generators.APART,
}
_BUILT: Final[dict[str, Callable[[Any], Any]]] = {
    **plain_forms.BUILT,
    **array_forms.BUILT,
    **frame_forms.BUILT,
    **generators.BUILT,
}
# Forms whose elements are hashed: see limits.UNSALTED_KEYS.
HASHED: Final = frozenset(("set", "frozenset"))
_PANDAS_OR_SCIPY: Final = frozenset(("pandas", "scipy"))


def apart(value: Any) -> tuple[str, Any] | None:
    """Return the name and the contents of a value's form; None if it has no form.

    Not called for plain values and arrays of numbers. Raises TooLarge.
    """
    kind = type(value)
    form = _APART.get(kind)
    try:
        if form is not None:
            return form[0], form[1](value)
        if issubclass(kind, generic):
            return array_forms.scalar_apart(value)
        if issubclass(kind, ndarray):
            return array_forms.array_apart(value) if kind is ndarray else None
        if issubclass(kind, tuple):
            return plain_forms.named_apart(value)
        if issubclass(kind, dtype):
            return plain_forms.dtype_apart(value)
        if kind.__module__.partition(".")[0] in _PANDAS_OR_SCIPY:
            return frame_forms.pandas_apart(value) or array_forms.sparse_apart(value)
    except TooLarge:
        raise
    except Exception:  # a part of it has no form: the value gets a handle
        return None
    return None


def built(name: Any, contents: Any) -> Any:
    """Return the value of a form, built from its contents. Raises MalformedFrame."""
    build = _BUILT.get(name) if type(name) is str else None
    if build is None:
        raise MalformedFrame("an unknown form")
    try:
        return build(contents)
    except Exception as error:  # any class: pandas and scipy have their own
        raise MalformedFrame(f"not a valid {name}") from error
