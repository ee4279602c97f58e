"""The store of environments: one folder for each in the user's cache, named by fingerprint."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from grader.environments.recipe import digest_of
from grader.errors import AssignmentError
from grader.records import Assignment, Environment

VARIABLE = "GRADE_ENVIRONMENTS"
RECORD = "grade.json"
"""The file in each environment that describes it. One without it was not built completely."""
BUILDING = ".building-"


@dataclass(frozen=True)
class Built:
    """An environment that is built.

    packages : "numpy 1.26.4", in order
    assignments : the ids of the assignments that use it
    bytes : its size
    """

    folder: Path
    python: str
    packages: tuple[str, ...]
    assignments: tuple[str, ...]
    bytes: int

    @property
    def digest(self) -> str:
        return self.folder.name

    @property
    def interpreter(self) -> Path:
        return interpreter_in(self.folder)

    @property
    def fingerprint(self) -> str:
        """The fingerprint of the packages that were actually installed."""
        text = json.dumps([self.digest, self.python, *self.packages])
        return hashlib.sha256(text.encode()).hexdigest()


def place(environ: Mapping[str, str] | None = None) -> Path:
    """Return the folder of all environments: $GRADE_ENVIRONMENTS, else one in the user's cache."""
    environ = os.environ if environ is None else environ
    if named := environ.get(VARIABLE):
        return Path(named).expanduser()
    cache = environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache, "grade", "environments")


def interpreter_in(folder: Path) -> Path:
    """Return the path of an environment's Python."""
    return folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def read(folder: Path) -> Built | None:
    """Return the environment in a folder of the store; None if it is not complete."""
    try:
        record = json.loads((folder / RECORD).read_text("utf-8"))
        found = Built(
            folder,
            str(record["python"]),
            tuple(map(str, record["packages"])),
            tuple(map(str, record["assignments"])),
            int(record["bytes"]),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return found if interpreter_in(folder).exists() else None


def find(environment: Environment, folder: Path) -> Built | None:
    """Return the environment of the assignment in `folder`; None if it is not built."""
    return read(place() / digest_of(environment, folder))


def all_built() -> list[Built]:
    """Return all built environments, in the order of their fingerprints."""
    if not place().is_dir():
        return []
    found = (read(entry) for entry in sorted(place().iterdir()) if entry.is_dir())
    return [built for built in found if built is not None]


def remove(digest: str) -> None:
    """Delete one environment, complete or not. Raises OSError."""
    folder = place() / digest
    (folder / RECORD).unlink(missing_ok=True)  # from now on it does not count as complete
    shutil.rmtree(folder)


def python_of(assignment: Assignment) -> Path | None:
    """Return the interpreter of the assignment's notebooks; None for the grader's own.

    Raises AssignmentError if it is not built; the message says what to do.
    """
    if assignment.environment is None:
        return None
    built = find(assignment.environment, assignment.folder)
    if built is None:
        where = f" --assignments {assignment.folder}" if assignment.public_only else ""
        raise AssignmentError(
            f"the environment of {assignment.id} isn't built here: "
            f"grade env build {assignment.id}{where}"
        )
    return built.interpreter


def fingerprint(environment: Environment | None, folder: Path) -> str:
    """Return the fingerprint of an assignment's environment; "" if it has none.

    folder : the assignment's. Raises AssignmentError.
    """
    if environment is None:
        return ""
    built = find(environment, folder)
    return built.fingerprint if built is not None else "not built"
