"""Stores tables of known mistakes beside the results, for each assignment and seed.

    folder = folder_of(environ, key_of(assignment, seed, environment))
    load(folder, notebook)             the parts of a notebook's table that exist
    save(folder, notebook, part, parts, known)
    publish(assignment, seed, tables)  writes whole tables into the assignment's own folder

The folder's name is the fingerprint of everything that a table depends on: the assignment with its
samples, the code that computes it, Python and the packages. So a table is never outdated. A table
in the assignment's folder depends only on the assignment, and works on any machine.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import grader
from grader.batch import cache_key
from grader.batch.store import place
from grader.diagnosis.known import Known, Mistake
from grader.diagnosis.traces import Print
from grader.files import write_whole
from grader.records import Assignment, Options

FOLDER = "known"
"""The name of the subfolder, beside the results and in an assignment."""


def key_of(assignment: Assignment, seed: int, environment: str) -> str:
    """Return the fingerprint of everything that a table depends on. Raises OSError.

    environment : of this machine, from cache_key.environment()
    """
    options = Options(str(assignment.folder.resolve()), seed=seed)
    digest = hashlib.sha256(cache_key.key(options, environment).encode())
    _add_sources(digest, assignment.folder / "samples", Path(grader.__file__).parent / "verify")
    return digest.hexdigest()[:32]


def _add_sources(digest: hashlib._Hash, *folders: Path) -> None:
    for folder in folders:
        if folder.is_dir():
            for name, file in cache_key.files_in(folder):
                if name.endswith((".py", ".toml")):
                    digest.update(name.encode() + file.read_bytes())


def folder_of(environ: Mapping[str, str], key: str) -> Path | None:
    """Return the folder for the parts of tables; None if results are not kept."""
    file = place(environ)
    return None if file is None else file.parent / FOLDER / key


def save(folder: Path, notebook: str, part: int, parts: int, known: Known) -> None:
    """Write a part of a notebook's table, in one step. Raises OSError."""
    text = json.dumps(_plain(known)).encode()
    write_whole(_file(folder, notebook, part, parts), zlib.compress(text, 6), mode=0o600)


def has(folder: Path, notebook: str, part: int, parts: int) -> bool:
    """Return whether a part of a notebook's table exists."""
    return _file(folder, notebook, part, parts).is_file()


def is_whole(folder: Path, notebook: str) -> bool:
    """Return whether all parts of a notebook's table exist."""
    names = [file.name.split(".")[1] for file in folder.glob(f"{_safe(notebook)}.*.json.z")]
    return any(
        len([name for name in names if name.endswith(f"of{count}")]) == int(count)
        for count in {name.rpartition("of")[2] for name in names}
    )


def load(folder: Path, notebook: str) -> Known | None:
    """Return the readable parts of a notebook's table as one; None if there are none."""
    parts = []
    for file in sorted(folder.glob(f"{_safe(notebook)}.*.json.z")):
        try:
            parts.append(_known(json.loads(zlib.decompress(file.read_bytes()))))
        except (OSError, ValueError, zlib.error, KeyError, TypeError):
            continue  # an unreadable part counts as missing
    return parts[0].merged(parts[1:]) if parts else None


# --- in the assignment's folder -------------------------------------------------------------


def publish(assignment: Assignment, seed: int, tables: Mapping[str, Known]) -> Path:
    """Write whole tables into the assignment's folder, over earlier ones; return their folder.

    tables : by notebook. Raises OSError.
    """
    place = assignment.folder / FOLDER
    key = _key_of_content(assignment, seed)
    for notebook, known in tables.items():
        text = json.dumps(_plain(known)).encode()
        # The key comes first, so that it can be compared without reading the table.
        write_whole(place / f"{notebook}{_PUBLISHED}", key.encode() + zlib.compress(text, 9))
    for old in place.glob(f"*{_PUBLISHED}"):
        if old.name.removesuffix(_PUBLISHED) not in assignment.notebooks:
            old.unlink()
    return place


def published(assignment: Assignment, seed: int) -> Published | None:
    """Return the tables in the assignment's folder; None if there are none."""
    files = sorted((assignment.folder / FOLDER).glob(f"*{_PUBLISHED}"))
    return Published(files, _key_of_content(assignment, seed)) if files else None


class Published:
    """The tables in an assignment's folder. key : of the assignment's current state"""

    def __init__(self, files: Sequence[Path], key: str) -> None:
        self._files = {file.name.removesuffix(_PUBLISHED): file for file in files}
        self._key = key

    def load(self, notebook: str) -> Known | None:
        """Return a notebook's table; None if it has none, or the assignment has changed."""
        if not self.holds(notebook):
            return None
        try:
            text = self._files[notebook].read_bytes()[len(self._key) :]
            return _known(json.loads(zlib.decompress(text)))
        except (OSError, ValueError, zlib.error, KeyError, TypeError):
            return None

    def holds(self, notebook: str) -> bool:
        """Return whether a notebook has a table, for the assignment's current state."""
        try:
            with self._files[notebook].open("rb") as file:
                return file.read(len(self._key)) == self._key.encode()
        except (OSError, KeyError):
            return False

    def stale(self) -> tuple[str, ...]:
        """Return the notebooks whose tables belong to an earlier state of the assignment."""
        return tuple(name for name in self._files if not self.holds(name))

    def serves(self, assignment: Assignment) -> bool:
        """Return whether every notebook that can run here has its table."""
        names = [name for name in assignment.notebooks if not assignment.lacking(name)]
        return all(self.holds(name) for name in names)


_PUBLISHED = ".json.z"
_FORMAT = "3"
"""Of tables in an assignment's folder; those of another one are out of date."""


def _key_of_content(assignment: Assignment, seed: int) -> str:
    """Return the fingerprint of only the assignment, since its table is valid on any machine."""
    options = Options(str(assignment.folder.resolve()), seed=seed)
    digest = hashlib.sha256(cache_key.key(options, _FORMAT).encode())
    _add_sources(digest, assignment.folder / "samples")
    return digest.hexdigest()[:32]


def _file(folder: Path, notebook: str, part: int, parts: int) -> Path:
    return folder / f"{_safe(notebook)}.{part}of{parts}.json.z"


def _safe(notebook: str) -> str:
    return hashlib.sha256(notebook.encode()).hexdigest()[:16]


def _plain(known: Known) -> dict[str, Any]:
    return {
        "mistakes": [
            [m.function, m.kind, m.phrase, m.text, m.place, m.title, m.says] for m in known.mistakes
        ],
        "traces": [
            [[*check, [_plain_trace(trace) for trace in pair]] for check, pair in traces.items()]
            for traces in known.traces
        ],
        "reach": [[*check, sorted(functions)] for check, functions in known.reach.items()],
    }


def _plain_trace(trace: Mapping[int, Print]) -> list[Any]:
    return [[n, p.form, p.shapes, p.sums, p.single, p.weight] for n, p in trace.items()]


def _known(plain: dict[str, Any]) -> Known:
    return Known(
        tuple(Mistake(*values) for values in plain["mistakes"]),
        tuple(
            {
                (exercise, name): tuple(_trace(trace) for trace in pair)
                for exercise, name, pair in traces
            }
            for traces in plain["traces"]
        ),
        {(exercise, name): frozenset(functions) for exercise, name, functions in plain["reach"]},
    )


def _trace(plain: list[Any]) -> dict[int, Print]:
    return {n: Print(p[0], p[1], tuple(p[2]), p[3], p[4]) for n, *p in plain}
