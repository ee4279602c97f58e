"""Shapes: which ones are accepted, and the likely mistake behind a wrong one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from grader.checks.showing import Shape, shape_of


def each_shape(shape: Shape | Sequence[Shape]) -> list[Shape]:
    if any(isinstance(part, (tuple, list)) for part in shape):
        return [tuple(part) for part in shape]  # type: ignore[arg-type]
    return [tuple(shape)]  # type: ignore[arg-type]


def fits(got: tuple[int, ...], accepted: Shape) -> bool:
    return len(got) == len(accepted) and all(
        d is None or c == d for c, d in zip(got, accepted, strict=True)
    )


def shape_text(shape: Shape, spec: Shape, names: Mapping[str, int]) -> str:
    """Return "(120, 1) = (m, 1)", or only the numbers if no letter fits."""
    if not shape:
        return "a single number"
    letters = {size: letter for letter, size in reversed(list(names.items())) if size != 1}
    named = [
        s if isinstance(s, str) else letters.get(d, d) if isinstance(d, int) else d
        for d, s in zip(shape, spec, strict=True)
    ]
    plain = shape_of(shape)
    return plain if list(named) == list(shape) else f"{plain} = {shape_of(named)}"


def shape_hint(got: tuple[int, ...], accepted: Sequence[Shape]) -> str:
    for shape in accepted:
        sizes = tuple(d if isinstance(d, int) else -1 for d in shape)
        if hint := _one_shape_hint(got, sizes):
            return hint
    return ""


def _one_shape_hint(got: tuple[int, ...], expected: tuple[int, ...]) -> str:
    if got == ():
        return (
            "Does a sum, a mean or an argmax run over all axes? Name the axis: axis=0 or axis=1. "
            "Of several results, is it the wrong one?"
        )
    if expected == ():
        return "Is the sum or the mean over the elements missing?"
    if (
        len(got) == 2
        and got[0] == got[1] > 1
        and got[0] in expected
        and expected.count(got[0]) == 1
    ):
        return (
            "An array (m,) met an array (m, 1): broadcasting made every pair of them. "
            "Give both the same shape before you subtract or multiply."
        )
    if len(got) == 1 and expected == (got[0], 1):
        return "Make it a column: x.reshape(-1, 1), or keepdims=True in the sum."
    if len(got) == 1 and expected == (1, got[0]):
        return "Make it a row: x.reshape(1, -1), or keepdims=True in the sum."
    if len(expected) == 1 and len(got) == 2 and sorted(got) == sorted((1, expected[0])):
        return "Flatten it: x.ravel(), or x[:, 0]."
    if len(got) > 1 and got == expected[::-1]:
        return "Its axes are in reverse order. Is it transposed (x.T), or are two factors swapped?"
    if len(got) == len(expected):
        off = [c - d for c, d in zip(got, expected, strict=True) if c != d]
        if len(off) == 1 and abs(off[0]) == 1 and -1 not in expected:
            return (
                f"There is one element {'too many' if off[0] == 1 else 'too few'} along axis "
                f"{[c != d for c, d in zip(got, expected, strict=True)].index(True)}: "
                "is a range or a slice off by one?"
            )
    if len(got) < len(expected) and _is_subsequence(got, expected):
        return (
            "An axis is lost: a sum with keepdims=True keeps it. Or is it another axis to sum over?"
        )
    if len(got) == len(expected) + 1 and got[1:] == expected:
        return f"It has a first axis of {got[0]} too many. Is the sum or the mean over it missing?"
    if -1 not in expected and int(np.prod(got)) == int(np.prod(expected)):
        if sorted(got) == sorted(expected):
            return "Its axes are in another order. Is it transposed, or are two axes swapped?"
        return "The number of elements is right. Is a reshape missing, or is there one too many?"
    return ""


def _is_subsequence(short: tuple[int, ...], long: tuple[int, ...]) -> bool:
    rest = iter(long)
    return all(any(d == c for d in rest) for c in short)
