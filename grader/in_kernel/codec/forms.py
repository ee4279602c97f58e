"""Values that are more than JSON and arrays: taken apart into plain ones, and built again.

A form has a name, which travels, and two functions: what takes a value apart into plain values (or
values of other forms), and what builds it from them. The first goes by exact type, and by methods
of C that no subclass overrides. The second holds what came against its form.
"""

from __future__ import annotations

import builtins
from collections.abc import Callable
from typing import Any, Final

from grader.in_kernel.codec import generators
from grader.in_kernel.codec.limits import MalformedFrame

globals()["__builtins__"] = dict(vars(builtins))

_MODULES: Final = (generators,)
_APART: Final[dict[type, tuple[str, Callable[[Any], Any]]]] = {
    kind: form for module in _MODULES for kind, form in module.APART.items()
}
_BUILT: Final[dict[str, Callable[[Any], Any]]] = {
    name: build for module in _MODULES for name, build in module.BUILT.items()
}


def apart(value: Any) -> tuple[str, Any] | None:
    """Return the name of a value's form and what it is made of; None where it has no form."""
    form = _APART.get(type(value))
    if form is None:
        return None
    name, take_apart = form
    try:
        return name, take_apart(value)
    except Exception:  # one of its parts is of another kind: it stays where it is
        return None


def built(name: Any, contents: Any) -> Any:
    """Return the value of a form, from what it is made of. Raises MalformedFrame."""
    build = _BUILT.get(name) if type(name) is str else None
    if build is None:
        raise MalformedFrame("an unknown form")
    try:
        return build(contents)
    except (ArithmeticError, LookupError, MemoryError, TypeError, ValueError) as error:
        raise MalformedFrame(f"a {name} that is none") from error
