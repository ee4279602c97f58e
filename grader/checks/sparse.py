"""Compare a sparse matrix with the expected one: its format, its places and its values.

scipy need not be installed here. Without it, a student's matrix is an object of our codec, with
`format`, `shape`, `row`, `col` and `data`, and the expected one may be a dense array.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from grader.checks.arrays import as_array
from grader.checks.closeness import assert_close
from grader.checks.showing import describe_type, shape_of, show, type_name
from grader.errors import CheckFailed

_FORMATS = ("csr", "csc", "coo", "bsr", "dia", "lil", "dok")


@dataclass(frozen=True)
class _Entries:
    """The stored entries of a matrix: each place once, by rows and columns, with its value."""

    format: str
    shape: tuple[int, ...]
    places: np.ndarray
    values: np.ndarray

    def only(self, keep: np.ndarray) -> _Entries:
        return _Entries(self.format, self.shape, self.places[keep], self.values[keep])

    def index(self, place: int) -> str:
        row, column = divmod(int(place), self.shape[1])
        return f"[{row}, {column}]"


def assert_sparse(
    got: object,
    expected: Any,
    *,
    format: str = "",
    rtol: float = 1e-7,
    atol: float = 1e-12,
    zeros: bool = False,
    called: str = "",
) -> None:
    """Accept a sparse matrix with the shape, the places and the values of expected.

    expected : a scipy sparse matrix or array, or a dense array, whose nonzero elements count
    format : "csr", "csc", ...; "" for any
    zeros : whether it may also store zeros, at places that are empty in expected
    Several entries at one place are added up. Raises CheckFailed for a dense array, for the wrong
    format or shape, for missing or extra places, and as assert_close for the values.
    """
    right = _entries(expected)
    if right is None:
        right = _of_dense(np.asarray(expected))
    found = _entries(got)
    if found is None:
        dense = type_name(got) in ("ndarray", "matrix")
        shown = (
            f"a dense array of shape {shape_of(got.shape)}" if isinstance(got, np.ndarray) else ""
        )
        raise CheckFailed(
            f"returned {shown or describe_type(got)}, expected a sparse matrix",
            hint="Build it with scipy.sparse from the start, without .toarray(), .todense() and "
            "np.array(...): a dense matrix takes rows times columns of memory."
            if dense
            else "",
            called=called,
        )
    if found.shape != right.shape:
        raise CheckFailed(
            "the matrix has the wrong shape",
            called=called,
            expected=shape_of(right.shape),
            got=shape_of(found.shape),
        )
    if format and found.format != format:
        raise CheckFailed(
            f"the matrix is stored as {found.format}, expected {format}",
            hint=f"Convert it once, at the end: .to{format}(), or format={format!r}.",
            called=called,
        )
    right = right.only(right.values != 0)
    stored = np.isin(found.places, right.places)
    empty = found.values == 0
    # These two formats store whole blocks and whole diagonals.
    zeros = zeros or found.format in ("bsr", "dia")
    if not zeros and np.any(empty & ~stored):
        raise CheckFailed(
            f"it stores {int(np.sum(empty & ~stored))} zeros",
            hint="Leave them out when it is built, or call .eliminate_zeros().",
            called=called,
        )
    _compare_places(found.only(~empty), right, called)
    at = {int(place): value for place, value in zip(found.places, found.values, strict=True)}
    values = np.array([at[int(place)] for place in right.places])
    try:
        assert_close(values, right.values, rtol=rtol, atol=atol, called=called, noun="the entries")
    except CheckFailed as error:
        if values.size and np.all(np.isfinite(values)):
            worst = int(np.argmax(np.abs(values - right.values)))
            error.where = (
                f"worst at {right.index(right.places[worst])}: "
                f"expected {show(right.values[worst])}, got {show(values[worst])}"
            )
            error.args = (error.message(),)
        raise


def _compare_places(found: _Entries, expected: _Entries, called: str) -> None:
    missing = np.setdiff1d(expected.places, found.places)
    extra = np.setdiff1d(found.places, expected.places)
    if not missing.size and not extra.size:
        return
    parts = (
        [f"{missing.size} of {expected.places.size} entries are missing"] if missing.size else []
    )
    parts += [f"{extra.size} are at places that should be empty"] if extra.size else []
    where = [f"missing at {expected.index(missing[0])}"] if missing.size else []
    where += [f"one too many at {expected.index(extra[0])}"] if extra.size else []
    raise CheckFailed(
        " and ".join(parts), hint=_moved(found, expected), called=called, where=", ".join(where)
    )


def _moved(found: _Entries, expected: _Entries) -> str:
    """Return the likely mistake: the move that puts each entry where it belongs."""
    if found.places.size and expected.places.size and found.shape[0] == found.shape[1]:
        rows, columns = np.divmod(found.places, found.shape[1])
        wanted = {int(place) for place in expected.places}
        moves: list[tuple[str, Callable[[], tuple[np.ndarray, np.ndarray]]]] = [
            ("Rows and columns are swapped.", lambda: (columns, rows)),
            ("It is one row too far down: are rows counted from 1?", lambda: (rows - 1, columns)),
            ("It is one row too far up.", lambda: (rows + 1, columns)),
            (
                "It is one column too far right: are they counted from 1?",
                lambda: (rows, columns - 1),
            ),
            ("It is one column too far left.", lambda: (rows, columns + 1)),
        ]
        for words, move in moves:
            to_rows, to_columns = move()
            inside = (to_rows >= 0) & (to_columns >= 0)
            inside &= (to_rows < found.shape[0]) & (to_columns < found.shape[1])
            moved = to_rows[inside] * found.shape[1] + to_columns[inside]
            if {int(place) for place in moved} == wanted:
                return words
        # The entries are on other diagonals than expected.
        diagonals = {int(d) for d in np.unique(columns - rows)}
        expected_rows, expected_columns = np.divmod(expected.places, expected.shape[1])
        wanted_diagonals = {int(d) for d in np.unique(expected_columns - expected_rows)}
        if diagonals != wanted_diagonals and len(wanted_diagonals) < 2 * expected.shape[0] - 1:
            return (
                f"It fills the diagonals {_listed(diagonals)}, expected "
                f"{_listed(wanted_diagonals)}: look at the offsets."
            )
    return "Print .toarray() of a small matrix, and compare it with one that you made by hand."


def _listed(offsets: set[int]) -> str:
    shown = sorted(offsets, key=lambda offset: (abs(offset), offset))[:7]
    return ", ".join(map(str, sorted(shown))) + (", ..." if len(offsets) > 7 else "")


def _entries(value: Any) -> _Entries | None:
    """Return the entries of a sparse matrix; None for anything else."""
    # Only a matrix that was sent as a value counts: a student's object could claim anything.
    layout = type(value).__name__.partition("_")[0]
    if type(value).__name__ == "Sparse":
        parts = value.row, value.col, value.data
        layout = value.format
    elif layout in _FORMATS and hasattr(value, "tocoo"):
        entries = value.tocoo()
        parts = entries.row, entries.col, entries.data
    else:
        return None
    row, column, data = (np.asarray(part) for part in parts)
    shape = tuple(int(axis) for axis in value.shape)
    places, inverse = np.unique(
        row.astype(np.int64) * shape[1] + column.astype(np.int64), return_inverse=True
    )
    values = np.zeros(places.size, np.result_type(data.dtype, np.float64))
    np.add.at(values, inverse.reshape(-1), data)
    return _Entries(layout, shape, places, values)


def _of_dense(array: np.ndarray) -> _Entries:
    array = as_array(array, dtype_kind="fiubc")
    if array.ndim != 2:
        raise ValueError(f"the expected matrix has {array.ndim} axes, not two")
    places = np.flatnonzero(array)
    return _Entries("", array.shape, places, array.reshape(-1)[places])
