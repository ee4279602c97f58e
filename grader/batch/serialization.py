"""Converts results to bytes and back, for workers, for the file of results and for reports.

The bytes are JSON, compressed by zlib; nothing is ever unpickled. The verdict and its evidence are
packed separately, since most readers need only the verdict. Every result goes through this module
on its way to a report, so that a kept result can't differ from a new one.
"""

from __future__ import annotations

import json
import types
import typing
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from functools import cache
from typing import Any, TypeVar, overload

from grader.records import Evidence, Result

T = TypeVar("T")
# Level 1 packs a figure nearly as small as level 9, in a fifth of the time.
_LEVEL = 1


@dataclass(frozen=True)
class Packed:
    """A Result: its verdict, and its evidence (b"" if not requested).

    answers : the replies of its processes to the checks (session/kept_answers.py); b"" for none
    """

    verdict: bytes
    evidence: bytes = b""
    answers: bytes = b""


def pack(result: Result, *, evidence: bool = True) -> Packed:
    """Return the result as bytes, with or without its evidence."""
    verdict = _packed(replace(result, evidence=Evidence()))
    return Packed(verdict, _packed_evidence(result.evidence) if evidence else b"")


def unpack(packed: Packed) -> Result:
    """Return the result, with its evidence if that was packed."""
    result = record_of(Result, json.loads(zlib.decompress(packed.verdict)))
    if not packed.evidence:
        return result
    return replace(result, evidence=unpack_evidence(packed.evidence))


def unpack_evidence(evidence: bytes) -> Evidence:
    """Return the evidence of a Packed; empty if none was packed."""
    return record_of(Evidence, json.loads(zlib.decompress(evidence))) if evidence else Evidence()


class Results(Sequence[Result]):
    """Results in order, each unpacked when it is used, so that a thousand take little memory."""

    def __init__(self, verdicts: Sequence[bytes]) -> None:
        self._verdicts = verdicts

    @overload
    def __getitem__(self, index: int) -> Result: ...

    @overload
    def __getitem__(self, index: slice) -> Results: ...

    def __getitem__(self, index: int | slice) -> Result | Results:
        if isinstance(index, slice):
            return Results(self._verdicts[index])
        return unpack(Packed(self._verdicts[index]))

    def __len__(self) -> int:
        return len(self._verdicts)

    def __add__(self, more: Results) -> Results:
        return Results([*self._verdicts, *more._verdicts])


def _packed_evidence(evidence: Evidence) -> bytes:
    try:
        return _packed(evidence)
    except (RecursionError, TypeError, ValueError):
        # A notebook's outputs may be nested too deeply. The page then has no outputs; the verdict
        # does not need them.
        runs = {
            name: replace(run, cells=tuple(replace(cell, outputs=()) for cell in run.cells))
            for name, run in evidence.runs.items()
        }
        return _packed(replace(evidence, runs=runs))


def _packed(record: object) -> bytes:
    return zlib.compress(json.dumps(plain_of(record), default=_number).encode(), _LEVEL)


def _number(value: Any) -> Any:
    # A check may compute its credit with numpy.
    if hasattr(value, "item"):
        return value.item()
    raise TypeError(f"{type(value).__name__} can't be packed")


# --- records as plain values --------------------------------------------------------------


def plain_of(value: object) -> object:
    """Return a record as dicts and lists, without fields that have their default values."""
    if is_dataclass(value) and not isinstance(value, type):
        items = ((field, getattr(value, field.name)) for field in fields(value))
        return {field.name: plain_of(item) for field, item in items if item != field.default}
    if isinstance(value, Mapping):
        return {key: plain_of(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain_of(item) for item in value]
    return value


def record_of(kind: type[T], plain: Any) -> T:
    """Return a record from the plain values that plain_of returned.

    Keys that the record does not have are skipped, so that older results can be read.
    """
    makers = _makers(kind)  # type: ignore[arg-type]  # a class is hashable
    values = {}
    for name, item in plain.items():
        if name in makers:
            make = makers[name]
            values[name] = item if make is None else make(item)
    return kind(**values)


_Maker = Callable[[Any], Any]


@cache
def _makers(kind: type) -> dict[str, _Maker | None]:
    """Return for each field the function that makes its value; None if it stays plain.

    Cached, so that types are not examined for each of the millions of values of a class.
    """
    return {name: _maker(hint) for name, hint in typing.get_type_hints(kind).items()}


def _maker(hint: Any) -> _Maker | None:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if is_dataclass(hint) and isinstance(hint, type):
        record: type = hint
        return lambda value: record_of(record, value) if isinstance(value, dict) else value
    if origin is tuple:
        inner = _maker(arguments[0])
        if inner is None:
            return tuple
        return lambda value: tuple(map(inner, value))
    if origin is not None and isinstance(origin, type) and issubclass(origin, Mapping):
        of_values = _maker(arguments[1])
        if of_values is None:
            return dict
        return lambda value: {key: of_values(item) for key, item in value.items()}
    if origin in (typing.Union, types.UnionType):
        (known,) = (argument for argument in arguments if argument is not type(None))
        make = _maker(known)
        if make is None:
            return None
        return lambda value: None if value is None else make(value)
    return None
