"""Forms of arrays that a .npy file of plain numbers can't store, and of objects with arrays.

    dates        [array of int64, "<M8[D]"]                  datetime64 and timedelta64, arrays
    date64       the same, of shape ()                       a scalar of these types
    structured   [[[name, array], ...], shape]               for each field an array of shape
                                                             (*shape, *the field's own)
    record       the same, of shape ()
    masked       [array, array of bool, fill value]
    poly1d       [coefficients, variable]
    polynomial   [class, coefficients, domain, window, symbol]
    sparse       [format, "array" or "matrix", shape, rows, columns, values]

A sparse matrix becomes scipy's own if scipy can be imported, else a `Sparse`.
"""

from __future__ import annotations

import builtins
import importlib
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy import dtype, ndarray
from numpy.ma import MaskedArray
from numpy.polynomial import (
    Chebyshev,
    Hermite,
    HermiteE,
    Laguerre,
    Legendre,
    Polynomial,
)

globals()["__builtins__"] = dict(vars(builtins))

_UNIT: Final = re.compile(r"[<>]?[Mm]8(\[[0-9]{0,6}(Y|M|W|D|h|m|s|ms|us|ns|ps|fs|as)\])?")
_poly1d: Final = np.poly1d
_SERIES: Final = {
    kind.__name__: kind for kind in (Polynomial, Chebyshev, Legendre, Laguerre, Hermite, HermiteE)
}
_SYMBOL_CHARS: Final = 50
_FIELDS_MAX: Final = 1000
_FORMATS: Final = frozenset(("csr", "csc", "coo", "bsr", "dia", "lil", "dok"))
# A format that has a pointer for each row or column takes a tenth of a second for this many.
_SPARSE_AXIS: Final = 1 << 24
_asarray, _empty, _full = np.asarray, np.empty, np.full


@dataclass(frozen=True)
class Sparse:
    """A sparse matrix, if scipy can't be imported.

    format : "csr", ...; shape : (rows, columns)
    row, col, data : (n,) each, for n entries; entries with the same row and column add up
    """

    format: str
    shape: tuple[int, int]
    row: ndarray
    col: ndarray
    data: ndarray

    def toarray(self) -> ndarray:
        """Return the dense array. Raises MemoryError if it is too large."""
        dense = np.zeros(self.shape, self.data.dtype)
        np.add.at(dense, (self.row, self.col), self.data)
        return dense


def array_apart(value: ndarray) -> tuple[str, Any] | None:
    """Return the form of an array that does not hold plain numbers; None if it has none."""
    layout = value.dtype
    if layout.kind in "Mm":
        return "dates", [value.view(layout.str[0] + "i8"), layout.str]
    if layout.names is None or len(layout.names) > _FIELDS_MAX:
        return None
    fields = []
    for name in layout.names:
        column = value[name]
        if column.dtype.kind == "O":
            return None
        fields.append([name, column])
    return "structured", [fields, list(value.shape)]


def scalar_apart(value: Any) -> tuple[str, Any] | None:
    """Return the form of a datetime64, timedelta64 or record; None for other numpy scalars."""
    form = array_apart(_asarray(value))
    return form and ({"dates": "date64", "structured": "record"}[form[0]], form[1])


def sparse_apart(value: Any) -> tuple[str, Any] | None:
    """Return the form of a scipy.sparse matrix or array; None for anything else."""
    kind = type(value)
    if not kind.__module__.startswith("scipy.sparse.") or "scipy.sparse" not in sys.modules:
        return None
    layout, _, flavour = kind.__name__.partition("_")
    if layout not in _FORMATS or flavour not in ("array", "matrix") or len(value.shape) != 2:
        return None
    entries = value.tocoo()
    parts = [_asarray(part) for part in (entries.row, entries.col, entries.data)]
    return "sparse", [layout, flavour, [int(axis) for axis in value.shape], *parts]


def _dates(contents: Any) -> ndarray:
    values, layout = contents
    if type(layout) is not str or not _UNIT.fullmatch(layout):
        raise ValueError("another form")
    if type(values) is not ndarray or values.dtype.kind != "i" or values.dtype.itemsize != 8:
        raise ValueError("another form")
    return values.astype("<i8").view("<" + layout.lstrip("<>")).astype(layout, copy=False)


def _structured(contents: Any) -> ndarray:
    fields, shape = contents
    if len(fields) > _FIELDS_MAX or not fields:
        raise ValueError("another form")
    shape = tuple(shape)
    columns = {}
    for name, column in fields:
        if type(name) is not str or type(column) is not ndarray:
            raise ValueError("another form")
        if column.shape[: len(shape)] != shape or name in columns:
            raise ValueError("another form")
        columns[name] = column
    layout = dtype([(n, c.dtype, c.shape[len(shape) :]) for n, c in columns.items()])
    made = _empty(shape, layout)
    for name, column in columns.items():
        made[name] = column
    return made


def _masked_apart(value: Any) -> Any:
    data = ndarray.view(value, ndarray)
    if data.dtype.names is not None:
        raise ValueError("a mask for each field")
    mask = _full(data.shape, False) if value._mask is np.ma.nomask else _asarray(value._mask)
    return [data, mask, value.fill_value]


def _masked(contents: Any) -> Any:
    data, mask, fill = contents
    if type(data) is not ndarray or type(mask) is not ndarray or mask.dtype != bool:
        raise ValueError("another form")
    if mask.shape != data.shape or data.dtype.names is not None or isinstance(fill, ndarray):
        raise ValueError("another form")
    return MaskedArray(data, mask, fill_value=fill)


def _vector(claimed: Any) -> ndarray:
    if type(claimed) is not ndarray or claimed.ndim != 1 or claimed.dtype.kind not in "biufc":
        raise ValueError("another form")
    return claimed


def _word(claimed: Any) -> str:
    if type(claimed) is not str or len(claimed) > _SYMBOL_CHARS or not claimed.isidentifier():
        raise ValueError("another form")
    return claimed


def _poly(contents: Any) -> Any:
    coefficients, variable = contents
    return _poly1d(_vector(coefficients), variable=_word(variable))


def _series_apart(value: Any) -> Any:
    symbol = getattr(value, "symbol", "x")  # since numpy 1.24
    return [type(value).__name__, value.coef, value.domain, value.window, symbol]


def _series(contents: Any) -> Any:
    name, coefficients, domain, window, symbol = contents
    made = _SERIES[name](_vector(coefficients), _vector(domain), _vector(window))
    if _word(symbol) != "x":
        made = type(made)(made.coef, made.domain, made.window, symbol)
    return made


def _sparse(contents: Any) -> Any:
    layout, flavour, shape, row, col, data = contents
    if layout not in _FORMATS or flavour not in ("array", "matrix"):
        raise ValueError("another form")
    rows, columns = shape
    for axis, places in ((rows, row), (columns, col)):
        if type(axis) is not int or not 0 <= axis <= _SPARSE_AXIS:
            raise ValueError("another form")
        if type(places) is not ndarray or places.dtype.kind not in "iu" or places.ndim != 1:
            raise ValueError("another form")
        if len(places) != len(_vector(data)) or (
            len(places) and not (places.min() >= 0 and places.max() < axis)
        ):
            raise ValueError("another form")
    try:
        sparse = importlib.import_module("scipy.sparse")
    except ImportError:
        return Sparse(layout, (rows, columns), row, col, data)
    made = getattr(sparse, f"coo_{flavour}")((data, (row, col)), shape=(rows, columns))
    if layout in ("dia", "bsr") and rows + columns > len(data) + 1000:
        return made  # else each entry may become a dense block or diagonal
    return made.asformat(layout)


APART: Final[dict[type, tuple[str, Callable[[Any], Any]]]] = {
    MaskedArray: ("masked", _masked_apart),
    type(np.ma.masked): ("masked", lambda value: [_full((), 0.0), _full((), True), 0.0]),
    _poly1d: ("poly1d", lambda value: [_asarray(value.coeffs), str(value.variable)]),
    **dict.fromkeys(_SERIES.values(), ("polynomial", _series_apart)),
}
BUILT: Final[dict[str, Callable[[Any], Any]]] = {
    "dates": _dates,
    "date64": lambda contents: _dates(contents).reshape(())[()],
    "structured": _structured,
    "record": lambda contents: _structured(contents).reshape(())[()],
    "masked": _masked,
    "poly1d": _poly,
    "polynomial": _series,
    "sparse": _sparse,
}
