"""Tables: pandas frames and series as they came back, held against what is due."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from grader.checks.closeness import assert_close
from grader.checks.showing import describe_type, show, type_name
from grader.errors import CheckFailed

_KINDS = {"i": "integers", "u": "integers", "f": "floats", "b": "booleans", "M": "dates"}


def assert_frame(
    got: object,
    expected: Any,
    *,
    rtol: float = 1e-7,
    atol: float = 1e-9,
    order: bool = True,
    index: bool = True,
    called: str = "",
) -> None:
    """Accept a frame (or a series) with the labels, the kinds and the values of expected.

    expected : a DataFrame or a Series
    order : whether the order of the columns counts; index : whether the labels of rows count
    Raises CheckFailed, which names columns that are missing or odd, a dtype of another kind, rows
    that are missing, and the first value that differs.
    """
    kind = type_name(expected)
    if type_name(got) != kind:
        raise CheckFailed(
            f"returned {describe_type(got)} where a {kind} is due",
            hint="df[['a']] is a frame, df['a'] a series." if type_name(got) in _BOTH else "",
            called=called,
        )
    if kind == "Series":
        _compare_rows(got, expected, index=index, called=called)
        _compare_column(got, expected, "the series", rtol, atol, called)
        return
    found, due = list(got.columns), list(expected.columns)  # type: ignore[attr-defined]
    _compare_labels(found, due, order=order, called=called)
    _compare_rows(got, expected, index=index, called=called)
    for place, label in enumerate(due):
        # By place: a label may be there twice.
        at = place if order else found.index(label)
        column = got.iloc[:, at]  # type: ignore[attr-defined]
        _compare_column(column, expected.iloc[:, place], f"column {label!r}", rtol, atol, called)


_BOTH = ("DataFrame", "Series")


def _compare_labels(found: list[Any], due: list[Any], *, order: bool, called: str) -> None:
    missing = [label for label in due if label not in found]
    odd = [label for label in found if label not in due]
    if missing or odd:
        parts = [f"has no column {_listed(missing)}"] if missing else []
        parts += [f"has a column {_listed(odd)} too many"] if odd else []
        raise CheckFailed(
            f"the frame {' and '.join(parts)}",
            hint="Is a column the index now? .reset_index() makes a column of it again."
            if missing and not odd
            else "",
            called=called,
        )
    if (order and found != due) or len(found) != len(due):
        raise CheckFailed(
            "the columns stand in another order than is due", called=called, got=_listed(found)
        )


def _compare_rows(got: Any, expected: Any, *, index: bool, called: str) -> None:
    if len(got) != len(expected):
        raise CheckFailed(
            f"it has {len(got)} rows where {len(expected)} are due",
            hint="Are missing values dropped, or rows doubled by a merge?",
            called=called,
        )
    if not index:
        return
    found, due = list(got.index), list(expected.index)
    if found == due or all(a == b or (a != a and b != b) for a, b in zip(found, due, strict=True)):
        return
    same = sorted(map(repr, found)) == sorted(map(repr, due))
    raise CheckFailed(
        "the rows stand in another order than is due" if same else "the rows have other labels",
        hint="Sort it as the exercise says." if same else "See .set_index and .reset_index.",
        called=called,
        got=_listed(found),
    )


def _compare_column(
    got: Any, expected: Any, noun: str, rtol: float, atol: float, called: str
) -> None:
    if str(got.dtype) != str(expected.dtype) and _kind(got) != _kind(expected):
        raise CheckFailed(
            f"{noun} holds {_words(got)} where {_words(expected)} are due",
            hint="Convert it: .astype(...), pd.to_numeric, pd.to_datetime.",
            called=called,
        )
    gone, due_gone = np.asarray(got.isna()), np.asarray(expected.isna())
    if not np.array_equal(gone, due_gone):
        raise CheckFailed(
            f"{noun} misses {int(gone.sum())} values where {int(due_gone.sum())} are missing",
            hint="Look at how missing values are treated: dropna, fillna, skipna.",
            called=called,
            where=f"row {int(np.argmax(gone != due_gone))}",
        )
    values, due = got[~gone], expected[~due_gone]
    if _kind(expected) in "iufb":
        assert_close(
            np.asarray(values, dtype=float),
            np.asarray(due, dtype=float),
            rtol=rtol,
            atol=atol,
            called=called,
            noun=noun,
        )
        return
    pairs = zip(list(values), list(due), strict=True)
    wrong = [(row, a, b) for row, (a, b) in enumerate(pairs) if not _equal(a, b)]
    if wrong:
        row, a, b = wrong[0]
        raise CheckFailed(
            f"{len(wrong)} of {len(due)} values of {noun} are wrong",
            called=called,
            expected=show(b),
            got=show(a),
            where=f"row {row}",
        )


def _equal(a: Any, b: Any) -> bool:
    try:
        return bool(np.all(a == b))
    except (TypeError, ValueError):
        return False


def _kind(column: Any) -> str:
    """The letter of a dtype; of nullable ones that of their numbers, "O" for text and others."""
    layout = column.dtype
    kind = getattr(layout, "kind", "O")
    return "i" if kind == "u" else str(kind)


def _words(column: Any) -> str:
    return _KINDS.get(_kind(column), str(column.dtype))


def _listed(labels: Sequence[Any]) -> str:
    text = ", ".join(repr(label) for label in labels[:6])
    return text + (", ..." if len(labels) > 6 else "")
