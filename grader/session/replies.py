"""Checks the form of claims in a reply: errors, observations, figures.

All arguments here come from the student's process. A function returns the checked value, or None
(or a BadReply) if the claim has another form. A new operation needs its reply's form here, its
handler in in_kernel/operations.py, and the method that sends it in proxies.py or student.py.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from grader.errors import BadReply, StudentError, StudentFault, student_error_class
from grader.text import printable

TEXT_CHARS = 500
NAME_CHARS = 80
MAX_SIZES = 20


@dataclass(frozen=True)
class Operations:
    """How often the student's own lines did something in a call, as the process claims.

    products : matrix products: `@`, and each use of dot, matmul, einsum, ...
    arithmetic : the other operators
    items : x[i] was read or set
    rounds : iterations of loops
    """

    products: int
    arithmetic: int
    items: int
    rounds: int


@dataclass(frozen=True)
class Observation:
    """What one call did.

    value : the returned value; None if it raised
    error : the exception that it raised, or None
    arguments : the positional arguments after the call; a Remote where one was given
    warnings : "RuntimeWarning: overflow encountered in exp", once for each time
    seconds : the duration inside the process
    steps : bytecodes that Python ran, in numpy's Python code too; None if not requested, or if the
        student's code traces itself
    printed : the beginning of its output
    kept_bytes, peak_bytes : memory that it allocated and still holds, with its value; the most that
        it held at once; None if not requested
    operations : counts of its own lines; None if not requested, or if the code traces itself
    """

    value: Any
    error: StudentError | None
    arguments: tuple[Any, ...]
    warnings: tuple[str, ...]
    seconds: float
    steps: int | None
    printed: str
    kept_bytes: int | None = None
    peak_bytes: int | None = None
    operations: Operations | None = None


class IndexedError(StudentError):
    """One call of a map raised; `index` is its number, from 0."""

    index: int = 0


def student_error(called: str, failure: Any) -> StudentFault:
    """Return the StudentError that a failure reply describes; a BadReply for another form."""
    if type(failure) is not list or len(failure) != 8:
        return BadReply(f"{called}: not a valid reply")
    kind, text, cell, line, source, index, base, sizes = failure
    if [type(part) for part in (kind, text, line, source, base)] != [str, str, int, str, str]:
        return BadReply(f"{called}: not a valid reply")
    if type(sizes) is not list or len(sizes) > MAX_SIZES or any(type(n) is not int for n in sizes):
        return BadReply(f"{called}: not a valid reply")
    where = ""
    if type(cell) is int and abs(cell) < 1 << 31 and abs(line) < 1 << 31:
        code = clean(source, TEXT_CHARS)
        where = f"cell {cell}, line {line}" + (f": {code}" if code else "")
    error = student_error_class(base, IndexedError if type(index) is int else StudentError)
    kept = tuple(n for n in sizes if 0 < n < 1 << 31)
    fault = error(called, clean(kind, NAME_CHARS), clean(text, TEXT_CHARS), where, kept)
    if isinstance(fault, IndexedError):
        fault.index = index
    return fault


def observation(claimed: Any, called: str, argument_count: int) -> Observation | None:
    """Return the Observation; None if the claim does not have the required form."""
    if type(claimed) is not dict or claimed.keys() != _OBSERVED.keys():
        return None
    if not all(is_sound(claimed[name]) for name, is_sound in _OBSERVED.items()):
        return None
    if len(claimed["arguments"]) != argument_count:
        return None
    error = None if claimed["error"] is None else student_error(called, claimed["error"])
    if not (error is None or isinstance(error, StudentError)):
        return None
    kept_bytes, peak_bytes = claimed["memory"] or (None, None)
    operations = claimed["operations"]
    return Observation(
        value=claimed["value"],
        error=error,
        arguments=claimed["arguments"],
        warnings=tuple(clean(warning, TEXT_CHARS) for warning in claimed["warnings"]),
        seconds=claimed["seconds"],
        steps=claimed["steps"],
        printed=claimed["printed"],
        kept_bytes=kept_bytes,
        peak_bytes=peak_bytes,
        operations=None if operations is None else Operations(*operations),
    )


def _are_ints(claim: Any, count: int) -> bool:
    return type(claim) is list and len(claim) == count and all(type(n) is int for n in claim)


# The fields of an observation, each with its form. student_error() checks the error.
_OBSERVED: dict[str, Callable[[Any], bool]] = {
    "value": lambda claim: True,
    "error": lambda claim: True,
    "arguments": lambda claim: type(claim) is tuple,
    "warnings": lambda claim: type(claim) is list and all(type(one) is str for one in claim),
    "seconds": lambda claim: type(claim) is float,
    "steps": lambda claim: claim is None or type(claim) is int,
    "operations": lambda claim: claim is None or (
        _are_ints(claim, len(fields(Operations))) and all(0 <= n < 1 << 62 for n in claim)
    ),
    "memory": lambda claim: claim is None or _are_ints(claim, 2),
    "printed": lambda claim: type(claim) is str,
}  # fmt: skip


_TEXTS = ("title", "xlabel", "ylabel", "xscale", "yscale")


def figures(claimed: Any) -> list[dict[str, Any]] | None:
    """Return the figures; None if the claim does not have the required form."""
    if type(claimed) is not list:
        return None
    try:
        return [
            {
                "cell": figure["cell"] if type(figure["cell"]) is int else None,
                "axes": [_axes(axes) for axes in figure["axes"]],
            }
            for figure in claimed
        ]
    except (LookupError, TypeError, ValueError, AttributeError):
        return None


def copied(figures: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return a copy of checked figures, which a check may change."""
    copy: list[dict[str, Any]] = _copied(figures)
    return copy


def _copied(value: Any) -> Any:
    if type(value) is dict:
        return {name: _copied(part) for name, part in value.items()}
    if type(value) is list:
        return [_copied(part) for part in value]
    return value.copy() if type(value) is np.ndarray else value


def _axes(axes: dict[str, Any]) -> dict[str, Any]:
    """Return one checked axes. For another form, raises an exception that figures() catches."""
    lines: list[dict[str, Any]] = [
        {
            "x": _numbers(line["x"], 1),
            "y": _numbers(line["y"], 1),
            "label": clean(line["label"], TEXT_CHARS),
        }
        for line in axes["lines"]
    ]
    bars = _numbers(axes["bars"], 2)
    points = [_numbers(cloud, 2) for cloud in axes["points"]]
    contours = [_numbers(vertices, 2) for vertices in axes["contours"]]
    images = [_numbers(image, image.ndim) for image in axes["images"]]
    extents = [_numbers(extent, 1) for extent in axes["extents"]]
    if (
        any(line["x"].shape != line["y"].shape for line in lines)
        or bars.shape[1] != 3
        or any(cloud.shape[1] != 2 for cloud in (*points, *contours))
        or [extent.shape for extent in extents] != [(4,)] * len(images)
    ):
        raise ValueError("coordinates that do not match")
    return {
        **{name: clean(axes[name], TEXT_CHARS) for name in _TEXTS},
        "legend": [clean(text, TEXT_CHARS) for text in axes["legend"]],
        "lines": lines,
        "images": images,
        "extents": extents,
        "contours": contours,
        "bars": bars,
        "points": points,
    }


def _numbers(value: Any, ndim: int) -> np.ndarray[Any, Any]:
    if type(value) is not np.ndarray or value.dtype.kind not in "biuf" or value.ndim != ndim:
        raise TypeError("not an array of numbers")
    with np.errstate(all="ignore"):  # a longdouble may overflow
        return value.astype(np.float64)


def clean(text: Any, limit: int) -> str:
    """Return a claimed text, cut and safe for a terminal. Raises TypeError if it is not a text."""
    if type(text) is not str:
        raise TypeError("not a text")
    # Not one_line, which would change the blanks in a line of code.
    return printable(text, limit).replace("\n", " ").strip()
