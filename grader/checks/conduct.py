"""How a function behaves, apart from its value: it changes no argument, repeats, stays finite."""

from __future__ import annotations

import datetime
import decimal
import fractions
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from grader.checks.arrays import as_array, assert_finite
from grader.checks.closeness import assert_close
from grader.checks.showing import first_index, index_text, show
from grader.diagnosis.wording import number
from grader.errors import CheckFailed, NonFiniteValue
from grader.text import one_line

# Bytecode steps that any call may need, whatever the input's size: argument checks, a debug print.
_FREE_STEPS = 200


def assert_unchanged(
    before: object,
    after: object,
    *,
    called: str = "",
    names: Sequence[str] = (),
) -> None:
    """Accept arguments that a call did not change.

    before, after : the positional arguments, a tuple each, or one array each; values that can't
        be compared (handles) are skipped
    names : of the arguments, for the message
    Raises CheckFailed, which names the argument.
    """
    old = before if isinstance(before, tuple) else (before,)
    new = after if isinstance(after, tuple) else (after,)
    if len(old) != len(new):
        raise ValueError(f"{len(old)} arguments before the call, {len(new)} after it")
    for i, (a, b) in enumerate(zip(old, new, strict=True)):
        if _same(a, b):
            continue
        name = names[i] if i < len(names) else "its input" if len(old) == 1 else f"argument {i + 1}"
        raise CheckFailed(
            f"the call changes {name} in place",
            hint="Work on a copy (x = x.copy()) and avoid in-place operations "
            "such as x /= 255 or x[i] = ... on an argument.",
            called=called,
            where=_first_change(a, b),
        )


def assert_deterministic(values: Sequence[object], *, called: str = "") -> None:
    """Accept results of repeated calls that are equal, bit for bit."""
    for i, value in enumerate(values[1:], start=2):
        if not _same(values[0], value):
            raise CheckFailed(
                "the same call returns a different result when it is repeated",
                hint="Does it draw random numbers without the given generator or seed, "
                "or keep a state (a list that grows, an input changed in place)?",
                called=called,
                where=f"call 1 and call {i}",
            )


_WARNING_HINTS = {
    "overflow": "exp of a large number overflows: rewrite the formula so that exp only sees "
    "arguments <= 0 (np.where, np.logaddexp, or subtract the maximum).",
    "divide by zero": "The code divides by 0 or computes log(0): combine log and exp into one "
    "stable formula, or guard the denominator.",
    "invalid value": "nan came up (0/0, inf - inf, log or root of a negative number): check what "
    "the formula does for extreme elements, including those that np.where discards.",
}


def assert_no_warnings(
    warnings: Sequence[str],
    *,
    called: str = "",
    kinds: Sequence[str] = ("overflow", "divide by zero", "invalid value"),
    hint: str = "",
) -> None:
    """Accept a call that raised no numerical warning.

    warnings : texts such as "RuntimeWarning: overflow encountered in exp"
    kinds : words of the warnings that count; others (a DeprecationWarning) cost nothing
    """
    for text in warnings:
        for kind in kinds:
            if kind in text and "Deprecat" not in text:
                raise CheckFailed(
                    f"the call warns: {one_line(text, 160)}",
                    hint=hint or _WARNING_HINTS.get(kind, ""),
                    called=called,
                )


def assert_stable(
    f: Callable[[Any], Any] | object,
    *,
    at: Any,
    limits: Any = None,
    rtol: float = 1e-7,
    atol: float = 1e-9,
    called: str = "",
    hint: str = "",
) -> None:
    """Accept a function that stays finite, and near its limits, at large inputs.

    f : array -> array, or its values at the inputs; at : the inputs
    limits : the right values there; None checks only that the values are finite
    Raises NonFiniteValue, CheckFailed.
    """
    x = np.asarray(at, dtype=np.float64)
    if callable(f):
        with np.errstate(all="ignore"):
            value = f(x.copy() if x.ndim else float(x))
    else:
        value = f
    array = as_array(value, called=called)
    try:
        assert_finite(array, called=called)
    except NonFiniteValue as failure:
        raise NonFiniteValue(
            f"for large inputs, {failure.problem}",
            hint=hint or failure.hint,
            called=called,
            got=failure.got,
            where=failure.where,
        ) from None
    if limits is None:
        return
    try:
        assert_close(array, limits, rtol=rtol, atol=atol, called=called, hint=hint)
    except CheckFailed as failure:
        raise CheckFailed(
            f"for large inputs, {failure.problem}",
            hint=failure.hint or "It should approach its limits on both sides.",
            called=called,
            expected=failure.expected,
            got=failure.got,
            where=failure.where,
        ) from None


def assert_vectorised(
    steps_small: int | None,
    steps_large: int | None,
    *,
    growth: float = 2.0,
    called: str = "",
    sizes: tuple[int, int] | None = None,
) -> None:
    """Accept a call whose Python steps do not grow with the size of its input.

    steps_small, steps_large : bytecode steps for a small and for a large input
    growth : the largest allowed steps_large / steps_small; sizes : of the inputs, for the message
    Raises CheckFailed if a Python loop runs over the elements.
    """
    if steps_small is None or steps_large is None:
        raise ValueError("the steps were not counted: ask for them with steps=True")
    if steps_large <= growth * steps_small + _FREE_STEPS:
        return
    times = steps_large / max(steps_small, 1)
    size = f"{number(sizes[1] / sizes[0])} times as many elements" if sizes else "A larger input"
    raise CheckFailed(
        "a Python loop runs over the elements",
        hint="Let numpy do the loop: use broadcasting, x[:, None], a matrix product or a sum "
        "over an axis.",
        called=called,
        got=f"{size} took {number(times)} times as many Python steps",
    )


_EXACT = (
    set,
    frozenset,
    range,
    slice,
    datetime.date,
    datetime.time,
    datetime.timedelta,
    decimal.Decimal,
    fractions.Fraction,
)


def _same(a: object, b: object) -> bool:
    """Return whether two values are equal; nan equals nan, unknown types are equal."""
    # A 0-d array and a numpy scalar are the same value.
    a, b = _unwrapped(a), _unwrapped(b)
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        if not (isinstance(a, np.ndarray) and isinstance(b, np.ndarray)):
            return False
        if a.shape != b.shape or a.dtype != b.dtype:
            return False
        return bool(np.array_equal(a, b, equal_nan=a.dtype.kind in "fc"))
    if isinstance(a, (list, tuple)):
        return (
            isinstance(b, (list, tuple))
            and len(a) == len(b)
            and all(_same(x, y) for x, y in zip(a, b, strict=True))
        )
    if isinstance(a, Mapping):
        return (
            isinstance(b, Mapping) and set(a) == set(b) and all(_same(a[key], b[key]) for key in a)
        )
    if a is None or isinstance(a, (bool, int, float, complex, str, bytes, np.generic)):
        if not (b is None or isinstance(b, (bool, int, float, complex, str, bytes, np.generic))):
            return False
        return bool(a == b) or (_is_nan(a) and _is_nan(b))
    if isinstance(a, _EXACT):
        return type(a) is type(b) and bool(a == b)
    equals = getattr(type(a), "equals", None)  # pandas' own: nan is equal to itself
    if type(a).__module__.partition(".")[0] == "pandas" and equals is not None:
        return type(a) is type(b) and bool(equals(a, b))
    return True


def _unwrapped(value: object) -> object:
    return value[()] if isinstance(value, np.ndarray) and value.ndim == 0 else value


def _is_nan(value: object) -> bool:
    return isinstance(value, (float, np.floating)) and bool(np.isnan(value))


def _first_change(a: object, b: object) -> str:
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        if a.shape != b.shape:
            return f"its shape was {a.shape} and is {b.shape}"
        if a.dtype != b.dtype:
            return f"its dtype was {a.dtype} and is {b.dtype}"
        changed = ~((a == b) | ((a != a) & (b != b)))
        index = first_index(changed)
        return (
            f"{int(changed.sum())} of {a.size} elements changed; {index_text(index)} was "
            f"{show(a[index])} and is {show(b[index])}"
        )
    if isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)) and len(a) == len(b):
        i = next(i for i, (x, y) in enumerate(zip(a, b, strict=True)) if not _same(x, y))
        return f"{index_text((i,))}: {_first_change(a[i], b[i])}"
    if isinstance(a, Mapping) and isinstance(b, Mapping) and set(a) == set(b):
        key = next(key for key in a if not _same(a[key], b[key]))
        return f"[{show(key)}]: {_first_change(a[key], b[key])}"
    return f"it was {show(a)} and is {show(b)}"
