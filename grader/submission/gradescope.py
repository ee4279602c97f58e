"""Read submission_metadata.yml of Gradescope's export: who handed in what, and when."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

import yaml

from grader.errors import SubmissionError
from grader.records import Origin

METADATA = "submission_metadata.yml"
MAX_BYTES = 32 * 1024**2


class _PlainLoader(yaml.SafeLoader):
    """Ruby wrote the file: its symbols are read as texts, and its classes don't matter."""


def _plain(loader: yaml.SafeLoader, suffix: str, node: yaml.Node) -> Any:
    if isinstance(node, yaml.MappingNode):
        return loader.construct_mapping(node, deep=True)
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    assert isinstance(node, yaml.ScalarNode)
    return loader.construct_scalar(node)


_PlainLoader.add_multi_constructor("!", _plain)


def origins_of(content: bytes) -> dict[str, Origin]:
    """Return the origin of each submission, by its folder's name ("submission_98765").

    Raises SubmissionError if the file can't be read.
    """
    if len(content) > MAX_BYTES:
        raise SubmissionError(f"{METADATA} is larger than {MAX_BYTES // 1024**2} MiB")
    try:
        document = yaml.load(content, Loader=_PlainLoader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise SubmissionError(f"{METADATA} can't be read: download the export again") from error
    if not isinstance(document, Mapping):
        raise SubmissionError(f"{METADATA} lists no submissions: download the export again")
    entries = {str(n): entry for n, entry in document.items() if isinstance(entry, Mapping)}
    bearers: dict[str, set[str]] = defaultdict(set)
    for entry in entries.values():
        for person in _people(entry):
            bearers[_name(person)].add(_key(person))
    return {name: _origin(name, entry, bearers) for name, entry in entries.items()}


def _people(entry: Mapping[Any, Any]) -> list[Mapping[Any, Any]]:
    return [person for person in _get(entry, "submitters") or [] if isinstance(person, Mapping)]


def _name(person: Mapping[Any, Any]) -> str:
    return str(_get(person, "name") or _key(person))


def _key(person: Mapping[Any, Any]) -> str:
    return str(_get(person, "sid") or _get(person, "email"))


def _origin(name: str, entry: Mapping[Any, Any], bearers: Mapping[str, Collection[str]]) -> Origin:
    """Return whose it is. bearers : of each name the keys; two people of one name show theirs"""
    people = _people(entry)
    students = tuple(
        f"{_name(p)} ({_key(p)})" if len(bearers[_name(p)]) > 1 else _name(p) for p in people
    )
    ids = {"submission": name.removeprefix("submission_")}
    for key in ("sid", "email"):
        values = [str(value) for p in people if (value := _get(p, key))]
        if values:
            ids[key] = " ".join(values)
    made = _get(entry, "created_at")
    if isinstance(made, Mapping):  # Rails writes a time with its zone as a table
        made = made.get("utc", made.get("time"))
    handed_in = made.isoformat() if isinstance(made, datetime) else str(made or "")
    return Origin("gradescope", ", ".join(students), ids, handed_in=handed_in, students=students)


def _get(table: Mapping[Any, Any], key: str) -> Any:
    """Return a value by its Ruby symbol, ":name:" as YAML reads it, or by its plain name."""
    return table.get(f":{key}", table.get(key))
