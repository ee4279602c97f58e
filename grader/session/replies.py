"""Check the form of a reply's claims: errors, observations, figures.

Everything here comes from the student's process. A function returns the checked value, or None
(or a BadReply) where the claim has another form. The form of a new operation's reply is added here,
its handler in in_kernel/operations.py, the method that sends it in proxies.py or student.py.
"""

from __future__ import annotations

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
    """What the student's own lines did in a call, as its process claims.

    products : of matrices: `@`, and each use of dot, matmul, einsum, ...
    arithmetic : the other operators; items : x[i] read or set; rounds : of loops
    """

    products: int
    arithmetic: int
    items: int
    rounds: int


@dataclass(frozen=True)
class Observation:
    """One call, watched.

    value : what it returned; None where it raised
    error : what it raised, or None
    arguments : the positional arguments as they are after the call; a Remote where one was given
    warnings : "RuntimeWarning: overflow encountered in exp", each time again
    seconds : inside the process
    steps : bytecodes that Python ran, numpy's own Python code included; None where they were
        not asked for or the student's code traces itself
    printed : the beginning of what it printed
    kept_bytes, peak_bytes : that it allocated and still holds, its value among them; that it held
        at the most; None where they were not asked for
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
    """One of a map's calls raised."""

    index: int = 0


def student_error(called: str, failure: Any) -> StudentFault:
    """Return the StudentError of a failure reply; a BadReply if it has none."""
    if type(failure) is not list or len(failure) != 8:
        return BadReply(f"{called}: no legal reply")
    kind, text, cell, line, source, index, base, sizes = failure
    if [type(part) for part in (kind, text, line, source, base)] != [str, str, int, str, str]:
        return BadReply(f"{called}: no legal reply")
    if type(sizes) is not list or len(sizes) > MAX_SIZES or any(type(n) is not int for n in sizes):
        return BadReply(f"{called}: no legal reply")
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


def observation(seen: Any, called: str, argument_count: int) -> Observation | None:
    if type(seen) is not dict or set(seen) != {
        "value",
        "error",
        "arguments",
        "warnings",
        "seconds",
        "steps",
        "operations",
        "memory",
        "printed",
    }:
        return None
    arguments, warnings, seconds = seen["arguments"], seen["warnings"], seen["seconds"]
    steps, printed, memory = seen["steps"], seen["printed"], seen["memory"]
    if memory is not None and not (
        type(memory) is list and len(memory) == 2 and all(type(n) is int for n in memory)
    ):
        return None
    operations = seen["operations"]
    if operations is not None and not (
        type(operations) is list
        and len(operations) == len(fields(Operations))
        and all(type(n) is int and 0 <= n < 1 << 62 for n in operations)
    ):
        return None
    error = None if seen["error"] is None else student_error(called, seen["error"])
    if (
        type(arguments) is not tuple
        or len(arguments) != argument_count
        or type(warnings) is not list
        or any(type(warning) is not str for warning in warnings)
        or type(seconds) is not float
        or not (steps is None or type(steps) is int)
        or type(printed) is not str
        or not (error is None or isinstance(error, StudentError))
    ):
        return None
    return Observation(
        value=seen["value"],
        error=error,
        arguments=arguments,
        warnings=tuple(clean(warning, TEXT_CHARS) for warning in warnings),
        seconds=seconds,
        steps=steps,
        printed=printed,
        kept_bytes=None if memory is None else memory[0],
        peak_bytes=None if memory is None else memory[1],
        operations=None if operations is None else Operations(*operations),
    )


_TEXTS = ("title", "xlabel", "ylabel", "xscale", "yscale")


def figures(claimed: Any) -> list[dict[str, Any]] | None:
    """Return the figures; None if they don't have the required form."""
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


def _axes(axes: dict[str, Any]) -> dict[str, Any]:
    """One checked axes. Raises what figures() catches where it has another form."""
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
        raise TypeError("no array of numbers")
    with np.errstate(all="ignore"):  # a longdouble may overflow
        return value.astype(np.float64)


def clean(text: Any, limit: int) -> str:
    """A claimed text, harmless on a terminal and cut. Raises TypeError where it is not a text."""
    if type(text) is not str:
        raise TypeError("no text")
    # Not one_line: a line of code keeps its blanks.
    return printable(text, limit).replace("\n", " ").strip()
