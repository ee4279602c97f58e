"""Checks with a student's objects that use their own operators, and with exceptions."""

from __future__ import annotations

from typing import Any

from grader.checks.showing import describe_type
from grader.errors import CheckFailed, StudentError


def live(value: Any) -> Any:
    """Return a student's object that uses its own operators: a * b + 1, a == b, a < b, x in a.

    The student's code decides what the operators return, and gets the operands: never pass an
    expected value. Compare the values that a result holds.

        Value = live(student.Value)
        out = Value(2.0) * Value(-3.0) + 10
        assert_close(out.data, 4.0)

    value : a student's object, class or function; results of a class or a function are then live
    Raises CheckFailed if it is neither.
    """
    to_live = getattr(type(value), "__live__", None)
    if to_live is not None:
        return to_live(value)
    if callable(value):

        def made(*args: Any, **kwargs: Any) -> Any:
            return live(value(*args, **kwargs))

        return made
    raise CheckFailed(f"returned {describe_type(value)}, expected an object")


def assert_raises(
    kind: type[Exception] | str, function: Any, *args: Any, called: str = "", **kwargs: Any
) -> StudentError:
    """Accept a call of the student's function if it raises this exception; return the exception.

    kind : a builtin class (ValueError), or the name of a class of the notebook ("NoBracket")
    Raises CheckFailed if the call returns, or raises another exception.
    """
    name = kind if isinstance(kind, str) else kind.__name__
    try:
        value = function(*args, **kwargs)
    except StudentError as error:
        right = error.kind == kind if isinstance(kind, str) else isinstance(error, kind)
        if right or error.kind == name:
            return error
        raise CheckFailed(
            f"raised {error.kind}, expected {name}",
            called=called or error.called,
            got=error.text,
            where=error.where,
        ) from error
    raise CheckFailed(
        f"returned {describe_type(value)}, expected it to raise {name}",
        hint=f"Check the arguments before you compute with them: raise {name}(...).",
        called=called,
    )
