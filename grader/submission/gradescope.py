"""Read submission_metadata.yml of Gradescope's export: who handed in what, and when."""

from __future__ import annotations

from collections.abc import Mapping
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
    return {
        str(name): _origin(str(name), entry)
        for name, entry in document.items()
        if isinstance(entry, Mapping)
    }


def _origin(name: str, entry: Mapping[Any, Any]) -> Origin:
    people = [p for p in _get(entry, "submitters") or [] if isinstance(p, Mapping)]
    students = tuple(str(_get(p, "name") or _get(p, "email") or _get(p, "sid")) for p in people)
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
