"""Compare a table (a frame or a series) that a student's function returned with the expected one.

pandas need not be installed here. Without it, a student's frame is an object of our codec, with
`columns`, `data` and `index`, and the expected one may be a dict of columns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from grader.checks.closeness import assert_close
from grader.checks.showing import describe_type, show, type_name
from grader.errors import CheckFailed

_KINDS = {"i": "integers", "u": "integers", "f": "floats", "b": "booleans", "M": "dates"}
_FRAMES = ("DataFrame", "Frame")
_BOTH = (*_FRAMES, "Series")


@dataclass(frozen=True)
class _Column:
    """A column without its labels.

    values : in their order; gone : mask of the missing ones; kind : the letter of the dtype's kind
    """

    values: Sequence[Any] | np.ndarray
    gone: np.ndarray
    dtype: str
    kind: str

    @property
    def words(self) -> str:
        return _KINDS.get(self.kind, self.dtype)


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

    expected : a DataFrame or a Series; or, without pandas, {label: values} for a frame with the
        rows 0, 1, 2, ..., with None for a missing value
    order : whether the order of the columns counts; index : whether the labels of rows count
    Raises CheckFailed, which names missing and extra columns, a dtype of another kind, missing
    rows, or the first value that differs.
    """
    is_frame = isinstance(expected, Mapping) or type_name(expected) in _FRAMES
    expected_type = "DataFrame" if is_frame else "Series"
    if type_name(got) not in (_FRAMES if is_frame else ("Series",)):
        raise CheckFailed(
            f"returned {describe_type(got)}, expected a {expected_type}",
            hint="df[['a']] is a DataFrame, df['a'] is a Series."
            if type_name(got) in _BOTH
            else "",
            called=called,
        )
    rows, expected_rows = list(got.index), _rows(expected)  # type: ignore[attr-defined]
    if not is_frame:
        _compare_rows(rows, expected_rows, index=index, called=called)
        _compare_column(_column(got), _column(expected), "the series", rtol, atol, called)
        return
    found, labels = list(got.columns), _labels(expected)  # type: ignore[attr-defined]
    _compare_labels(found, labels, order=order, called=called)
    _compare_rows(rows, expected_rows, index=index, called=called)
    columns, expected_columns = _columns(got), _columns(expected)
    for place, label in enumerate(labels):
        # By place, since two columns may have the same label.
        column = columns[place if order else found.index(label)]
        _compare_column(column, expected_columns[place], f"column {label!r}", rtol, atol, called)


def _labels(frame: Any) -> list[Any]:
    return list(frame) if isinstance(frame, Mapping) else list(frame.columns)


def _rows(table: Any) -> list[Any]:
    if not isinstance(table, Mapping):
        return list(table.index)
    lengths = {len(values) for values in table.values()}
    if len(lengths) > 1:
        raise ValueError(f"the expected columns have {sorted(lengths)} values")
    return list(range(*lengths))


def _columns(frame: Any) -> list[_Column]:
    if isinstance(frame, Mapping):
        return [_of_values(values) for values in frame.values()]
    if type_name(frame) == "Frame":
        return [_column(series) for series in frame.data]
    return [_column(frame.iloc[:, place]) for place in range(len(frame.columns))]


def _column(series: Any) -> _Column:
    if not hasattr(series, "isna"):  # pandas is not installed
        return _of_values(series.values, series.dtype)
    kind = str(getattr(series.dtype, "kind", "O"))
    gone = np.asarray(series.isna())
    return _Column(list(series), gone, str(series.dtype), "i" if kind == "u" else kind)


def _of_values(values: Any, dtype: str = "") -> _Column:
    if isinstance(values, np.ndarray):
        gone = np.isnan(values) if values.dtype.kind == "f" else np.zeros(len(values), bool)
        if values.dtype.kind in "mM":
            gone = np.isnat(values)
    else:
        values = list(values)
        gone = np.array([value is None or value != value for value in values], bool)
        numbers = np.asarray([v for v, lost in zip(values, gone, strict=True) if not lost])
        if numbers.size and numbers.dtype.kind in "biufM":
            dtype = dtype or ("float64" if gone.any() else str(numbers.dtype))
    dtype = dtype or str(getattr(values, "dtype", "object"))
    return _Column(values, gone, dtype, _kind_of(dtype))


def _kind_of(dtype: str) -> str:
    """Return the letter of a dtype's kind; a nullable dtype has that of its numbers, others "O"."""
    names = {"int": "i", "uint": "i", "float": "f", "bool": "b", "boolean": "b", "datetime": "M"}
    return names.get(dtype.lower().rstrip("0123456789").split("64[")[0], "O")


def _compare_labels(found: list[Any], expected: list[Any], *, order: bool, called: str) -> None:
    missing = [label for label in expected if label not in found]
    extra = [label for label in found if label not in expected]
    if missing or extra:
        parts = [f"has no column {_listed(missing)}"] if missing else []
        parts += [f"has a column {_listed(extra)} too many"] if extra else []
        raise CheckFailed(
            f"the frame {' and '.join(parts)}",
            hint="Is a column the index now? .reset_index() makes it a column again."
            if missing and not extra
            else "",
            called=called,
        )
    if (order and found != expected) or len(found) != len(expected):
        raise CheckFailed("the columns are in the wrong order", called=called, got=_listed(found))


def _compare_rows(found: list[Any], expected: list[Any], *, index: bool, called: str) -> None:
    if len(found) != len(expected):
        raise CheckFailed(
            f"it has {len(found)} rows, expected {len(expected)}",
            hint="Did the code drop missing values, or did a merge double rows?",
            called=called,
        )
    if not index:
        return
    if found == expected or all(
        a == b or (a != a and b != b) for a, b in zip(found, expected, strict=True)
    ):
        return
    same = sorted(map(repr, found)) == sorted(map(repr, expected))
    raise CheckFailed(
        "the rows are in the wrong order" if same else "the rows have the wrong labels",
        hint="Sort it as the exercise says." if same else "See .set_index and .reset_index.",
        called=called,
        got=_listed(found),
    )


def _compare_column(
    got: _Column, expected: _Column, noun: str, rtol: float, atol: float, called: str
) -> None:
    if got.dtype != expected.dtype and got.kind != expected.kind:
        raise CheckFailed(
            f"{noun} holds {got.words}, expected {expected.words}",
            hint="Convert it: .astype(...), pd.to_numeric, pd.to_datetime.",
            called=called,
        )
    if not np.array_equal(got.gone, expected.gone):
        raise CheckFailed(
            f"{noun} has {int(got.gone.sum())} missing values, expected {int(expected.gone.sum())}",
            hint="Look at how missing values are treated: dropna, fillna, skipna.",
            called=called,
            where=f"row {int(np.argmax(got.gone != expected.gone))}",
        )
    there = np.flatnonzero(~expected.gone)
    values, right = [got.values[row] for row in there], [expected.values[row] for row in there]
    if expected.kind in "iufb":
        assert_close(
            np.asarray(values, dtype=float),
            np.asarray(right, dtype=float),
            rtol=rtol,
            atol=atol,
            called=called,
            noun=noun,
        )
        return
    wrong = [
        place for place, (a, b) in enumerate(zip(values, right, strict=True)) if not _equal(a, b)
    ]
    if wrong:
        are = "is" if len(wrong) == 1 else "are"
        raise CheckFailed(
            f"{len(wrong)} of {len(right)} values of {noun} {are} wrong",
            called=called,
            expected=show(right[wrong[0]]),
            got=show(values[wrong[0]]),
            where=f"row {int(there[wrong[0]])}",
        )


def _equal(a: Any, b: Any) -> bool:
    try:
        return bool(np.all(a == b))
    except (TypeError, ValueError):
        return False


def _listed(labels: Sequence[Any]) -> str:
    text = ", ".join(repr(label) for label in labels[:6])
    return text + (", ..." if len(labels) > 6 else "")
