"""Forms of Python's built-in values: sets, ranges, dates, exact numbers, types, records.

set, frozenset   [elements]                  deque        [elements, maxlen]
range, slice     [start, stop, step]         bytearray    bytes
date             [year, month, day]          timedelta    [days, seconds, microseconds]
datetime         [year ... microsecond, fold, offset]     time  [hour ... fold, offset]
timezone         seconds                     Decimal      text
Fraction         [numerator, denominator]    Ellipsis     null
type, dtype      name
named            [names, values]: a named tuple
namespace        dict
"""

from __future__ import annotations

import builtins
import datetime
import decimal
import fractions
import keyword
import types
from collections import deque
from collections.abc import Callable
from typing import Any, Final

import numpy as np
from numpy import dtype

from grader.in_kernel.codec.limits import KINDS, TooLarge

globals()["__builtins__"] = dict(vars(builtins))

# Limits, since the cost of arithmetic with these grows faster than their size.
_DECIMAL_CHARS: Final = 10_000
_DECIMAL_EXPONENT: Final = 10_000
_FRACTION_BITS: Final = 1 << 14
_DEQUE_MAX: Final = 1 << 22
# numpy makes a list of a range first. As many 64-bit numbers are the default for a reply.
_RANGE_MAX: Final = 1 << 23
_FIELDS_MAX: Final = 1000
_UTC: Final = datetime.UTC
_Decimal, _Fraction = decimal.Decimal, fractions.Fraction
_ROOM: Final = decimal.Context(prec=decimal.MAX_PREC, Emax=decimal.MAX_EMAX, Emin=decimal.MIN_EMIN)

_PYTHON_TYPES: Final = (
    bool, int, float, complex, str, bytes, bytearray, list, tuple, dict, set, frozenset, object,
)  # fmt: skip
_NUMPY_TYPES: Final = {
    f"numpy.{kind.__name__}": kind
    for kind in np.sctypeDict.values()
    if isinstance(kind, type) and dtype(kind).kind in KINDS
}
_TYPES: Final[dict[str, type]] = {
    **{kind.__name__: kind for kind in _PYTHON_TYPES},
    **_NUMPY_TYPES,
}
_TYPE_NAMES: Final = {kind: name for name, kind in _TYPES.items()}


class Named(tuple[Any, ...]):
    """A tuple whose fields have names, like a namedtuple. It equals the tuple of its values."""

    _fields: tuple[str, ...]

    def __new__(cls, names: Any, values: Any = None) -> Any:
        if values is None:  # called with values only, like tuple()
            return tuple(names)
        made = tuple.__new__(cls, values)
        made._fields = tuple(names)
        return made

    def __getattr__(self, name: str) -> Any:
        names = self.__dict__.get("_fields", ())
        if name not in names:
            raise AttributeError(f"no field `{name}`; there are {', '.join(names)}")
        return self[names.index(name)]

    def _asdict(self) -> dict[str, Any]:
        return dict(zip(self._fields, self, strict=True))

    def __repr__(self) -> str:
        return f"({', '.join(f'{k}={v!r}' for k, v in self._asdict().items())})"

    def __reduce__(self) -> Any:
        return Named, (self._fields, tuple(self))


def named_apart(value: Any) -> tuple[str, Any] | None:
    """Return a namedtuple's form; None for another subclass of tuple."""
    kind = type(value)
    names = value._fields if kind is Named else kind.__dict__.get("_fields")
    values = list(tuple.__getitem__(value, slice(None)))
    if type(names) is not tuple or len(names) != len(values) or not all(map(_is_name, names)):
        return None
    return "named", [list(names), values]


def _is_name(name: Any) -> bool:
    return (
        type(name) is str
        and name.isidentifier()
        and not keyword.iskeyword(name)
        and len(name) <= 200
        and not name.startswith("__")
    )


def _named(contents: Any) -> Named:
    names, values = contents
    if len(names) > _FIELDS_MAX or len(set(names)) != len(names) or len(names) != len(values):
        raise ValueError("another form")
    if not all(map(_is_name, names)):
        raise ValueError("another form")
    made: Named = Named(names, values)
    return made


def _namespace(contents: Any) -> types.SimpleNamespace:
    if type(contents) is not dict or not all(map(_is_name, contents)):
        raise ValueError("another form")
    return types.SimpleNamespace(**contents)


def dtype_apart(value: dtype) -> tuple[str, Any] | None:
    """Return a dtype's form; None for a dtype that is not sent."""
    return ("dtype", value.str) if value.kind in KINDS or value.kind in "Mm" else None


def _sorted(elements: Any) -> list[Any]:
    """Return the elements of a set, sorted if they can be, so that hashes don't change a frame."""
    listed = list(elements)
    try:
        return sorted(listed)
    except Exception:  # they have no order
        return listed


def _whole_or_none(*claimed: Any) -> None:
    if not all(part is None or type(part) is int for part in claimed):
        raise ValueError("another form")


def _range_apart(value: range) -> Any:
    if value[_RANGE_MAX:]:
        raise TooLarge(f"more than {_RANGE_MAX} items")
    return [value.start, value.stop, value.step]


def _range(contents: Any) -> range:
    start, stop, step = contents
    made = range(start, stop, step)
    if made[_RANGE_MAX:]:
        raise ValueError("too large to be sent")
    return made


def _slice(contents: Any) -> slice:
    start, stop, step = contents
    return slice(start, stop, step)


def _deque(contents: Any) -> deque[Any]:
    elements, longest = contents
    _whole_or_none(longest)
    if type(elements) is not list or (longest is not None and not 0 <= longest <= _DEQUE_MAX):
        raise ValueError("another form")
    return deque(elements, longest)


def _offset(zone: Any) -> int | None:
    """Return seconds east of Greenwich; None for no zone. Raises for a zone of another class."""
    if zone is None:
        return None
    if type(zone) is not datetime.timezone:
        raise ValueError("a zone of another class")
    return round(zone.utcoffset(None).total_seconds())


def _zone(offset: Any) -> datetime.timezone | None:
    _whole_or_none(offset)
    if offset is None:
        return None
    return datetime.timezone(datetime.timedelta(seconds=offset)) if offset else _UTC


def _datetime_apart(when: datetime.datetime) -> Any:
    day = [when.year, when.month, when.day]
    return [*day, *_time_apart(when)]


def _time_apart(when: Any) -> Any:
    clock = [when.hour, when.minute, when.second, when.microsecond, when.fold]
    return [*clock, _offset(when.tzinfo)]


def _datetime(contents: Any) -> datetime.datetime:
    *clock, fold, offset = contents
    year, month, day, hour, minute, second, micro = clock
    zone = _zone(offset)
    return datetime.datetime(year, month, day, hour, minute, second, micro, zone, fold=fold)


def _time(contents: Any) -> datetime.time:
    *clock, fold, offset = contents
    hour, minute, second, micro = clock
    return datetime.time(hour, minute, second, micro, _zone(offset), fold=fold)


def _timedelta(contents: Any) -> datetime.timedelta:
    days, seconds, microseconds = contents
    _whole_or_none(days, seconds, microseconds)
    return datetime.timedelta(days, seconds, microseconds)


def _decimal_apart(value: Any) -> str:
    text = str(value)
    if len(text) > _DECIMAL_CHARS or abs(value.adjusted()) > _DECIMAL_EXPONENT:
        raise ValueError("too large to be sent")
    return text


def _decimal(contents: Any) -> decimal.Decimal:
    if type(contents) is not str or len(contents) > _DECIMAL_CHARS:
        raise ValueError("another form")
    value = _Decimal(contents, _ROOM)
    if value.is_finite() and abs(value.adjusted()) > _DECIMAL_EXPONENT:
        raise ValueError("too large to be sent")
    return value


def _fraction_apart(value: Any) -> Any:
    parts = [value.numerator, value.denominator]
    _fraction(parts)
    return parts


def _fraction(contents: Any) -> fractions.Fraction:
    over, under = contents
    if type(over) is not int or type(under) is not int or under <= 0:
        raise ValueError("another form")
    if over.bit_length() > _FRACTION_BITS or under.bit_length() > _FRACTION_BITS:
        raise ValueError("too large to be sent")
    return _Fraction(over, under)


def _dtype(contents: Any) -> dtype:
    if type(contents) is not str or len(contents) > 20 or "," in contents:
        raise ValueError("another form")
    value = dtype(contents)
    if value.kind not in KINDS and value.kind not in "Mm":
        raise ValueError("another form")
    return value


def _bytearray(contents: Any) -> bytearray:
    if type(contents) is not bytes:
        raise ValueError("another form")
    return bytearray(contents)


def _listed(contents: Any) -> list[Any]:
    if type(contents) is not list:
        raise ValueError("another form")
    return contents


APART: Final[dict[type, tuple[str, Callable[[Any], Any]]]] = {
    set: ("set", _sorted),
    frozenset: ("frozenset", _sorted),
    deque: ("deque", lambda value: [list(value), value.maxlen]),
    bytearray: ("bytearray", bytes),
    range: ("range", _range_apart),
    slice: ("slice", lambda value: [value.start, value.stop, value.step]),
    type(...): ("Ellipsis", lambda value: None),
    datetime.date: ("date", lambda value: [value.year, value.month, value.day]),
    datetime.datetime: ("datetime", _datetime_apart),
    datetime.time: ("time", _time_apart),
    datetime.timezone: ("timezone", _offset),
    datetime.timedelta: (
        "timedelta",
        lambda value: [value.days, value.seconds, value.microseconds],
    ),
    _Decimal: ("Decimal", _decimal_apart),
    _Fraction: ("Fraction", _fraction_apart),
    type: ("type", lambda value: _TYPE_NAMES[value]),
    types.SimpleNamespace: ("namespace", lambda value: dict(vars(value))),
}
BUILT: Final[dict[str, Callable[[Any], Any]]] = {
    "set": lambda contents: set(_listed(contents)),
    "frozenset": lambda contents: frozenset(_listed(contents)),
    "deque": _deque,
    "bytearray": _bytearray,
    "range": _range,
    "slice": _slice,
    "Ellipsis": lambda contents: ...,
    "date": lambda contents: datetime.date(*contents),
    "datetime": _datetime,
    "time": _time,
    "timezone": lambda contents: _zone(contents) or _UTC,
    "timedelta": _timedelta,
    "Decimal": _decimal,
    "Fraction": _fraction,
    "type": lambda contents: _TYPES[contents],
    "dtype": _dtype,
    "named": _named,
    "namespace": _namespace,
}
