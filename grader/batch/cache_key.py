"""Keys of everything that a verdict depends on: two gradings with the same keys agree.

    input_hash(path)            what was handed in, and under which name
    environment()               the grader's code, Python and every package that a notebook could
                                import, the data sets
    key(options, environment)   the cache key: the environment, the assignment, seed and options

A result is kept under its input hash and cache key. Anything that can't be determined exactly
counts as changed.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import platform
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Protocol

import grader
from grader import datasets
from grader.assignment import FILE, environment_in
from grader.environments import fingerprint
from grader.errors import AssignmentError
from grader.records import Assignment, Options
from grader.submission import ENVIRONMENTS, SKIPPED_FOLDERS

MAX_BYTES = 1 << 30
"""A larger submission has no hash: it will be refused anyway."""
CHUNK = 1 << 20
# Parts of the grader that affect no verdict, and parts of an assignment that only `verify` reads.
NO_PART_OF_GRADING = ("report", "verify", "batch", "cli", "gradebook", "notebook_magic.py")
NO_PART_OF_CHECKS = ("samples", "survivors.toml", "known")


class _Hash(Protocol):
    def update(self, data: bytes, /) -> None: ...


class _TooMuch(Exception):
    pass


def input_hash(path: Path) -> str:
    """Return the fingerprint of a submission; "" if it can't be read or is much too large."""
    digest = hashlib.sha256()
    try:
        whole = path.is_dir()
        if not whole and not path.is_file():
            return ""
        # The name may tell who handed it in.
        _add(digest, "folder" if whole else "file", path.resolve().name if whole else path.name)
        left = MAX_BYTES
        for name, file in files_in(path) if whole else [("", path)]:
            if not file.is_file() or (whole and file.is_symlink()):
                _add(digest, "no file", name)
                continue
            _add(digest, "file", name)
            left = _add_file(digest, file, left)
    except (OSError, _TooMuch):
        return ""
    return digest.hexdigest()


def key(options: Options, environment: str) -> str:
    """Return the cache key: the fingerprint of everything besides the submission.

    environment : from environment(), of the machine that grades
    Raises OSError if the assignment can't be read.
    """
    digest = hashlib.sha256()
    alone = options.public and options.alone
    settings = (
        sorted(options.only),
        options.public,
        alone,
        options.seed,
        options.sandbox,
        options.figures,
        *([sorted(options.checks)] if options.checks else []),
    )
    folder = Path(options.folder)
    _add(digest, repr(settings), environment_with(environment, folder))
    for name, file in files_in(folder):
        if name.partition("/")[0] not in NO_PART_OF_CHECKS:
            _add(digest, name)
            if name == FILE:
                _add(digest, _what_is_graded(file))
            else:
                _add_file(digest, file, MAX_BYTES)
    return digest.hexdigest()


def session_key(options: Options, assignment: Assignment, environment: str) -> str:
    """Return the fingerprint of everything besides the submission that its processes depend on.

    It does not include the checks and the solved notebooks.
    Raises OSError if a file of the assignment can't be read.
    """
    digest = hashlib.sha256()
    settings = (options.seed, options.sandbox, assignment.limits)
    _add(digest, repr(settings), environment_with(environment, Path(options.folder)))
    for name, file in sorted(assignment.files.items()):
        _add(digest, name)
        _add_file(digest, file, MAX_BYTES)
    return digest.hexdigest()


def _what_is_graded(file: Path) -> str:
    """Return assignment.toml without [deadline], which is applied to finished results."""
    text = file.read_text(encoding="utf-8")
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return text
    document.pop("deadline", None)
    return json.dumps(document, sort_keys=True, default=str)


def environment() -> str:
    """Return the fingerprint of this machine's grader code, Python, packages and data sets."""
    digest = hashlib.sha256()
    _add(digest, code(), sys.version, platform.system(), platform.machine(), *_packages())
    for folder in dict.fromkeys((datasets.datasets_dir(), datasets.SHIPPED)):
        for file in sorted(folder.glob("*.npz")):
            _add(digest, file.name, _data_file(file, file.stat().st_mtime_ns))
    return digest.hexdigest()


def environment_with(environment: str, folder: Path) -> str:
    """Return the fingerprint of an environment together with the assignment's own Python."""
    own = ""
    with contextlib.suppress(AssignmentError):  # loading the assignment reports the error
        own = fingerprint(environment_in(folder), folder)
    if not own:
        return environment
    return hashlib.sha256(f"{environment} {own}".encode()).hexdigest()


@cache
def code() -> str:
    """Return the fingerprint of the code that grades, so that a changed checkout is noticed."""
    digest = hashlib.sha256(grader.__version__.encode())
    for name, file in files_in(Path(grader.__file__).parent):
        if name.endswith(".py") and name.partition("/")[0] not in NO_PART_OF_GRADING:
            _add(digest, name)
            _add_file(digest, file, MAX_BYTES)
    return digest.hexdigest()


@cache
def _data_file(file: Path, changed_ns: int) -> str:
    digest = hashlib.sha256()
    _add_file(digest, file, MAX_BYTES)
    return digest.hexdigest()


def _packages() -> Iterator[str]:
    """Yield the name and version of every installed package."""
    for place in sorted({place for place in sys.path if place}):
        try:
            names = sorted(entry.name for entry in os.scandir(place))
        except OSError:
            continue
        yield from (name for name in names if name.endswith((".dist-info", ".egg-info")))


def files_in(folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield (relative name, path) of every file below the folder, in order, without caches."""
    for place, folders, names in os.walk(folder, onerror=_raise):
        folders[:] = sorted(
            name
            for name in folders
            if name.casefold() not in SKIPPED_FOLDERS and name.lower() not in ENVIRONMENTS
        )
        for name in sorted(names):
            file = Path(place, name)
            yield file.relative_to(folder).as_posix(), file


def _raise(error: OSError) -> None:
    raise error


def _add(digest: _Hash, *texts: str) -> None:
    for text in texts:
        raw = os.fsencode(text)
        # Each with its length, so that "ab", "c" differs from "a", "bc".
        digest.update(len(raw).to_bytes(8, "big") + raw)


def _add_file(digest: _Hash, file: Path, left: int) -> int:
    """Add a file's bytes; return how many more may come. Raises _TooMuch."""
    inner = hashlib.sha256()
    with file.open("rb") as stream:
        while chunk := stream.read(CHUNK):
            left -= len(chunk)
            if left < 0:
                raise _TooMuch
            inner.update(chunk)
    digest.update(inner.digest())
    return left
