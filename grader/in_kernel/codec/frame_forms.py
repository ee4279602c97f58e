"""Forms of pandas: frames, series and indexes are sent as columns of plain values, never pickled.

    frame     [labels of the columns (an index), [column, ...], index]
    series    [name, column, index]
    index     [name, column], or [names, [row, ...]] with tuples as rows
    stamp     [datetime64 in ns]

A column is

    ["plain", array or list, name of the dtype]     numbers, dates; lists for text and objects
    ["nullable", array, mask, name of the dtype]    Int64, boolean, Float64
    ["zoned", dates in UTC, unit, name of the zone]
    ["category", codes, column of the categories, is ordered]
    ["range", start, stop, step]

If pandas can be imported, they become pandas objects again, else a `Frame` or a `Series`, which
can be sent back.
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
from numpy import ndarray

globals()["__builtins__"] = dict(vars(builtins))

_ZONE: Final = re.compile(r"(?!dateutil)[A-Za-z0-9_+\-:]{1,40}(/[A-Za-z0-9_+\-]{1,40}){0,2}")
_NULLABLE: Final = frozenset(
    ("Int8", "Int16", "Int32", "Int64", "UInt8", "UInt16", "UInt32", "UInt64",
     "Float32", "Float64", "boolean")
)  # fmt: skip
_TEXT: Final = frozenset(("object", "str", "string"))
_UNITS: Final = frozenset(("s", "ms", "us", "ns"))
_COLUMNS_MAX: Final = 10_000
_asarray = np.asarray


@dataclass(frozen=True)
class Series:
    """A pandas Series or a frame's column, if pandas can't be imported.

    values : array, or list if there is text
    dtype : its name
    index : list of labels
    """

    name: Any
    values: Any
    dtype: str
    index: list[Any]


@dataclass(frozen=True)
class Frame:
    """A pandas DataFrame, if pandas can't be imported.

    columns : the labels; data : a Series for each; index : list of labels
    """

    columns: list[Any]
    data: list[Series]
    index: list[Any]

    def __getitem__(self, label: Any) -> Series:
        return self.data[self.columns.index(label)]


def pandas_apart(value: Any) -> tuple[str, Any] | None:
    """Return the form of a pandas object; None for anything else, and for what is not sent."""
    pandas = dict.get(sys.modules, "pandas")
    kind = type(value)
    if pandas is None or kind.__module__.partition(".")[0] != "pandas":
        return None
    if kind is pandas.DataFrame:
        if len(value.columns) > _COLUMNS_MAX:
            return None
        columns = [_column(pandas, value.iloc[:, i]) for i in range(len(value.columns))]
        return "frame", [_index(pandas, value.columns), columns, _index(pandas, value.index)]
    if kind is pandas.Series:
        name = value.name
        return "series", [name, _column(pandas, value), _index(pandas, value.index)]
    if issubclass(kind, pandas.Index):
        return "index", _index(pandas, value)
    if kind is pandas.Timestamp and value.tzinfo is None:
        return "stamp", [value.to_datetime64()]
    return None


def _frame_apart(frame: Frame) -> list[Any]:
    """Return the form of a Frame, which may be an argument of the next call."""
    columns = [_own_column(series.values, series.dtype) for series in frame.data]
    return [_own_labels(frame.columns), columns, _own_labels(frame.index)]


def _series_apart(series: Series) -> list[Any]:
    column = _own_column(series.values, series.dtype)
    return [series.name, column, _own_labels(series.index)]


def _own_labels(labels: list[Any]) -> list[Any]:
    if labels and all(type(label) is tuple for label in labels):
        return [[None] * len(labels[0]), labels]
    if labels == list(range(len(labels))):
        return [None, ["range", 0, len(labels), 1]]
    array = _asarray(labels)
    plain = array.dtype.kind in "iufbM"
    return [None, ["plain", array if plain else labels, str(array.dtype) if plain else "object"]]


def _own_column(values: Any, name: str) -> list[Any]:
    """Return the column of values. Raises ValueError for categories and times in a zone."""
    if type(values) is range:
        values = _asarray(values)
    if type(values) is ndarray and "," not in name:
        return ["plain", values, name]
    if name in _NULLABLE:
        mask = _asarray([value is None for value in values], bool)
        plain = _asarray([0 if value is None else value for value in values])
        return ["nullable", plain.astype(name.lower().replace("boolean", "bool")), mask, name]
    if name not in _TEXT:
        raise ValueError(f"dtype {name} is not sent")
    return ["plain", values, name]


def _index(pandas: Any, index: Any) -> Any:
    if type(index) is pandas.RangeIndex:
        return [index.name, ["range", index.start, index.stop, index.step]]
    if type(index) is pandas.MultiIndex:
        return [list(index.names), list(index)]
    return [index.name, _column(pandas, index)]


def _column(pandas: Any, values: Any) -> Any:
    """Return the column of a pandas object. Raises ValueError for a dtype that is not sent."""
    layout = values.dtype
    name = str(layout)
    if isinstance(layout, np.dtype) and layout.kind in "biufcMm":
        return ["plain", _asarray(values), name]
    if isinstance(layout, pandas.CategoricalDtype):
        category = values.array
        codes = _asarray(category.codes)
        return ["category", codes, _column(pandas, category.categories), bool(category.ordered)]
    if name in _NULLABLE:
        mask = _asarray(values.isna())
        plain = values.array.to_numpy(layout.numpy_dtype, na_value=layout.numpy_dtype.type(0))
        return ["nullable", plain, mask, name]
    if isinstance(layout, pandas.DatetimeTZDtype):
        utc = values.array.tz_convert("UTC").tz_localize(None)
        return ["zoned", _asarray(utc), layout.unit, str(layout.tz)]
    if name in _TEXT or name.startswith("string"):
        missing = _asarray(values.isna())
        listed = list(values)
        listed = [None if gone else one for one, gone in zip(listed, missing, strict=True)]
        return ["plain", listed, name if name in _TEXT else "string"]
    raise ValueError(f"dtype {name} is not sent")


# --- built again ----------------------------------------------------------------------------


def _pandas() -> Any:
    try:
        return importlib.import_module("pandas")
    except ImportError:
        return None


def _values_of(column: Any) -> tuple[Any, str]:
    """Check a column; return its values without pandas, and its dtype. Raises ValueError."""
    kind, *parts = column
    if kind == "plain":
        values, name = parts
        if type(name) is not str or len(name) > 40:
            raise ValueError("another form")
        if type(values) is list:
            if name not in _TEXT:
                raise ValueError("another form")
        elif type(values) is not ndarray or values.ndim != 1 or values.dtype.kind not in "biufcMm":
            raise ValueError("another form")
        return values, name if type(values) is list else str(values.dtype)
    if kind == "nullable":
        values, mask, name = parts
        if name not in _NULLABLE or type(values) is not ndarray or type(mask) is not ndarray:
            raise ValueError("another form")
        if mask.dtype != bool or mask.shape != values.shape or values.ndim != 1:
            raise ValueError("another form")
        if values.dtype.kind not in "biuf":
            raise ValueError("another form")
        return [None if gone else v for v, gone in zip(values.tolist(), mask, strict=True)], name
    if kind == "zoned":
        dates, unit, zone = parts
        if type(dates) is not ndarray or dates.dtype.kind != "M" or dates.ndim != 1:
            raise ValueError("another form")
        if unit not in _UNITS or type(zone) is not str or not _ZONE.fullmatch(zone):
            raise ValueError("another form")
        return dates, f"datetime64[{unit}, {zone}]"
    if kind == "category":
        codes, categories, ordered = parts
        known, _ = _values_of(categories)
        if type(codes) is not ndarray or codes.dtype.kind != "i" or codes.ndim != 1:
            raise ValueError("another form")
        if type(ordered) is not bool or not ((codes >= -1) & (codes < len(known))).all():
            raise ValueError("another form")
        return [None if code < 0 else known[code] for code in codes], "category"
    if kind == "range" and all(type(part) is int for part in parts):
        start, stop, step = parts
        if len(range(start, stop, step)) > 1 << 31:
            raise ValueError("another form")
        return range(start, stop, step), "int64"
    raise ValueError("another form")


def _array_of(pandas: Any, column: Any) -> Any:
    """Check a column; return the values that pandas makes a series or an index of."""
    values, name = _values_of(column)
    kind, *parts = column
    if kind == "nullable":
        return pandas.array(values, dtype=name)
    if kind == "zoned":
        stamps = pandas.DatetimeIndex(values.astype(f"M8[{parts[1]}]"))
        return stamps.tz_localize("UTC").tz_convert(parts[2]).array
    if kind == "category":
        codes, categories, ordered = parts
        known = pandas.Index(_array_of(pandas, categories))
        return pandas.Categorical.from_codes(codes, known, ordered=ordered)
    if type(values) is list:
        return pandas.array(values, dtype=name) if name != "object" else _objects(values)
    return values


def _objects(values: list[Any]) -> ndarray:
    made = np.empty(len(values), object)
    made[:] = values
    return made


def _index_of(pandas: Any, contents: Any) -> Any:
    name, column = contents
    if (type(column) is list and column and type(column[0]) is tuple) or type(name) is list:
        width = len(name)
        if not all(type(row) is tuple and len(row) == width for row in column):
            raise ValueError("another form")
        return pandas.MultiIndex.from_tuples(column, names=name)
    if column[0] == "range":
        values, _ = _values_of(column)
        return pandas.RangeIndex(values, name=name)
    return pandas.Index(_array_of(pandas, column), name=name)


def _labels_of(contents: Any) -> list[Any]:
    name, column = contents
    if type(name) is list:
        return list(column)
    values, _ = _values_of(column)
    if len(values) > 1 << 22:
        raise ValueError("too many labels")
    return list(values)


def _series(contents: Any) -> Any:
    name, column, index = contents
    hash(name)
    pandas = _pandas()
    if pandas is None:
        values, layout = _values_of(column)
        return Series(name, values, layout, _labels_of(index))
    labels = _index_of(pandas, index)
    values = _array_of(pandas, column)
    if len(labels) != len(values):
        raise ValueError("another form")
    return pandas.Series(values, index=labels, name=name)


def _frame(contents: Any) -> Any:
    labels, columns, index = contents
    if type(columns) is not list or len(columns) > _COLUMNS_MAX:
        raise ValueError("another form")
    pandas = _pandas()
    if pandas is None:
        names, rows = _labels_of(labels), _labels_of(index)
        checked = [_values_of(column) for column in columns]
        if len(names) != len(checked) or any(len(values) != len(rows) for values, _ in checked):
            raise ValueError("another form")
        data = [Series(n, v, t, rows) for n, (v, t) in zip(names, checked, strict=True)]
        return Frame(names, data, rows)
    rows = _index_of(pandas, index)
    arrays = [_array_of(pandas, column) for column in columns]
    names = _index_of(pandas, labels)
    if len(names) != len(arrays) or any(len(values) != len(rows) for values in arrays):
        raise ValueError("another form")
    # Labels may repeat, so the frame is built with numbers and then gets its labels.
    frame = pandas.DataFrame(dict(enumerate(arrays)), index=rows)
    frame.columns = names
    return frame


def _index_built(contents: Any) -> Any:
    pandas = _pandas()
    if pandas is None:
        return Series(contents[0], _labels_of(contents), "index", [])
    return _index_of(pandas, contents)


def _stamp(contents: Any) -> Any:
    (when,) = contents
    if type(when) is not np.datetime64:
        raise ValueError("another form")
    pandas = _pandas()
    return when if pandas is None else pandas.Timestamp(when)


APART: Final[dict[type, tuple[str, Callable[[Any], Any]]]] = {
    Frame: ("frame", _frame_apart),
    Series: ("series", _series_apart),
}
BUILT: Final[dict[str, Callable[[Any], Any]]] = {
    "frame": _frame,
    "series": _series,
    "index": _index_built,
    "stamp": _stamp,
}
