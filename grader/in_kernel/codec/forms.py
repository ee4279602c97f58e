"""Values that are more than JSON and arrays: taken apart into plain ones, and built again.

A form has a name, which travels, and two functions: what takes a value apart into plain values (or
values of other forms), and what builds it from them. The first goes by exact type, and by methods
of C that no subclass overrides. The second holds what came against its form.
"""

from __future__ import annotations

import builtins
from collections.abc import Callable
from typing import Any, Final

from numpy import dtype, generic, ndarray

from grader.in_kernel.codec import array_forms, frame_forms, generators, plain_forms
from grader.in_kernel.codec.limits import MalformedFrame

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
# They are made of what hashes: see limits.UNSALTED_KEYS.
HASHED: Final = frozenset(("set", "frozenset"))
_PANDAS_OR_SCIPY: Final = frozenset(("pandas", "scipy"))


def apart(value: Any) -> tuple[str, Any] | None:
    """Return the name of a value's form and what it is made of; None where it has no form.

    Not asked of what is plain, nor of arrays of numbers.
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
    except Exception:  # one of its parts is of another kind: it stays where it is
        return None
    return None


def built(name: Any, contents: Any) -> Any:
    """Return the value of a form, from what it is made of. Raises MalformedFrame."""
    build = _BUILT.get(name) if type(name) is str else None
    if build is None:
        raise MalformedFrame("an unknown form")
    try:
        return build(contents)
    # Of any kind: pandas and scipy have their own.
    except Exception as error:
        raise MalformedFrame(f"a {name} that is none") from error
