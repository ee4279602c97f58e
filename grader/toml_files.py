"""Read TOML files into records; name each unknown, missing or ill-typed key."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from grader.errors import AssignmentError

T = TypeVar("T")

_NOUNS = {
    "str": "a text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "array": "a list",
    "object": "a table",
    "datetime": "a date with a time",
    "date": "a date",
    "time": "a time",
    "null": "nothing",
}
"""msgspec's names of types, in TOML's words."""
_PHRASES = (
    ("Expected", "must be"),
    (", got", ", not"),
    (" of length >= 1", " that is not empty"),
    (">=", "of at least"),
    ("<=", "of at most"),
    (">", "of more than"),
    ("<", "of less than"),
)


def read_toml(path: Path, kind: type[T], *, shown: str) -> T:
    """Return the file's content as a record of that kind.

    kind : a msgspec.Struct, or a type made of them
    shown : how messages call the file
    Raises AssignmentError, one line with the file, the key and what it may be.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise AssignmentError(f"{shown}: is not UTF-8: save it as UTF-8 text") from error
    except OSError as error:
        raise AssignmentError(f"{shown}: can't be read ({error.strerror})") from error
    return parse_toml(text, kind, shown=shown)


def parse_toml(text: str, kind: type[T], *, shown: str) -> T:
    """Return a TOML text as a record of that kind; see `read_toml`."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise AssignmentError(f"{shown}: is not TOML: {error}") from error
    for place, key, known in _unknown_keys(document, msgspec.inspect.type_info(kind), ()):
        near = get_close_matches(key, known, n=1)
        hint = f"did you mean `{near[0]}`?" if near else f"known are {', '.join(sorted(known))}"
        raise AssignmentError(f"{shown}:{_named(document, place)} unknown key `{key}`; {hint}")
    try:
        return msgspec.convert(document, kind)
    except msgspec.ValidationError as error:
        raise AssignmentError(f"{shown}:{_in_words(str(error), document, kind)}") from error


def _unknown_keys(
    value: object, info: msgspec.inspect.Type, place: tuple[str | int, ...]
) -> Iterator[tuple[tuple[str | int, ...], str, list[str]]]:
    """Yield (its place, the key, the known keys there) for each unknown key."""
    if isinstance(info, msgspec.inspect.UnionType):
        for option in info.types:
            if isinstance(option, msgspec.inspect.StructType | msgspec.inspect.DictType):
                yield from _unknown_keys(value, option, place)
    elif isinstance(info, msgspec.inspect.StructType) and isinstance(value, Mapping):
        fields = {field.encode_name: field for field in info.fields}
        for key, inner in value.items():
            if key in fields:
                yield from _unknown_keys(inner, fields[key].type, (*place, key))
            else:
                yield place, key, list(fields)
    elif isinstance(info, msgspec.inspect.VarTupleType | msgspec.inspect.ListType):
        if isinstance(value, list):
            for number, inner in enumerate(value):
                yield from _unknown_keys(inner, info.item_type, (*place, number))
    elif isinstance(info, msgspec.inspect.DictType) and isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _unknown_keys(inner, info.value_type, (*place, key))


def _named(document: Any, place: tuple[str | int, ...]) -> str:
    """Return the table of a place as in TOML: " [limits]", " [[exercises]] '1':"."""
    names: list[str] = []
    here: Any = document
    for step in place:
        try:
            here = here[step]
        except (LookupError, TypeError):
            here = None
        if isinstance(step, int):
            names[-1] = f"[[{names[-1].strip('[]')}]]"
            own = here.get("id", here.get("file")) if isinstance(here, Mapping) else None
            names.append(repr(own) if isinstance(own, str) else f"number {step + 1}")
        else:
            names.append(f"[{step}]")
    return f" {' '.join(names)}:" if names else ""


_PLACE = re.compile(r"^(?P<what>.*?)(?: - at `(?:key in )?\$(?P<place>.*)`)?$", re.DOTALL)
_STEP = re.compile(r"\.([^.\[]+)|\[(\d+)\]|\[\.\.\.\]")


def _choices(kind: Any, steps: Sequence[str | int]) -> list[str]:
    """Return the values that a key may have, if it takes one of a few words."""
    infos = [msgspec.inspect.type_info(kind)]
    for step in (*steps, None):
        infos = [one for info in infos for one in getattr(info, "types", (info,))]
        if step is None:
            break
        infos = [
            inner
            for info in infos
            for inner in (
                [field.type for field in info.fields if field.encode_name == step]
                if isinstance(info, msgspec.inspect.StructType)
                else [getattr(info, "item_type", getattr(info, "value_type", None))]
            )
            if inner is not None
        ]
    literals = [info for info in infos if isinstance(info, msgspec.inspect.LiteralType)]
    return [str(value) for info in literals for value in info.values]


def _in_words(message: str, document: Any, kind: Any) -> str:
    """Return msgspec's message with the place and the types named as in TOML."""
    found = _PLACE.match(message)
    assert found is not None
    place: list[str | int] = []
    here = document
    for step in _STEP.finditer(found["place"] or ""):
        name = int(step[2]) if step[2] is not None else step[1]
        if name is None:  # "[...]": any value of a table
            return f"{_named(document, tuple(place))} each value {_worded(found['what'])}"
        place.append(name)
        here = here[name] if isinstance(name, int) or name in here else None
    choices = _choices(kind, place) if found["what"].startswith("Invalid enum value") else []
    item = ""
    if place and isinstance(place[-1], int) and not isinstance(here, Mapping):
        item = f", item {int(place.pop()) + 1}"
    key = "" if isinstance(here, Mapping) or not place else f" `{place.pop()}`{item}"
    what = _worded(found["what"])
    if choices:
        what = f"must be {', '.join(choices[:-1])} or {choices[-1]}, not {here!r}"
    return f"{_named(document, tuple(place))}{key} {what}"


def _worded(what: str) -> str:
    lacking = re.fullmatch(r"Object missing required field (`.+`)", what)
    if lacking:
        return f"{lacking[1]} is missing"
    if not what.startswith("Expected "):  # the schema's own sentence
        return what
    text = re.sub(r"`(\w+)`", lambda m: _NOUNS.get(m[1], f"`{m[1]}`"), what)
    text = re.sub(r"(-?\d+)\.0\b", r"\1", text)
    for theirs, ours in _PHRASES:
        text = text.replace(theirs, ours)
    return text
