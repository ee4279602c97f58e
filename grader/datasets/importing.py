"""Imports a data set into the folder from which notebooks get their data, as NAME.npz."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from grader.datasets.files import read_set
from grader.datasets.known import CONTENTS, SOURCES, Content, content_hash, find_content
from grader.errors import DataError
from grader.files import replaced


@dataclass(frozen=True)
class Imported:
    """The result of an import.

    path : the file; rows : how many images it has
    sha256 : see known.py
    content : the known content with that hash; None if unknown
    """

    path: Path
    rows: int
    sha256: str
    content: Content | None
    done: Literal["written", "replaced", "there already"]


def import_set(
    name: str,
    files: Sequence[Path],
    folder: Path,
    *,
    allow_unknown: bool = False,
    replace: bool = False,
) -> Imported:
    """Write folder/NAME.npz from IDX, npz or CSV files; return the result.

    allow_unknown : whether to accept images with an unknown hash
    replace : whether to replace a file with other content
    Raises DataError; then the folder is unchanged.
    """
    if name not in SOURCES:
        raise DataError(f"there is no data set {name!r}; there are {', '.join(SOURCES)}")
    x, y = read_set(files)
    sha256 = content_hash(x, y)
    content = find_content(sha256)
    if content is not None and content.set_name != name:
        raise DataError(f"this is {content.what}, not {name}: import it as {content.set_name}")
    if content is None and not allow_unknown:
        raise DataError(_unknown(name, len(x), sha256))
    path = folder / f"{name}.npz"
    done: Literal["written", "replaced", "there already"] = "written"
    if path.exists():
        done = "replaced"
        existing = _hash_of(path)
        if existing == sha256:
            return Imported(path, len(x), sha256, content, "there already")
        if not replace:
            raise DataError(
                f"{path} exists with other content ({_words(existing)}); --replace replaces it"
            )
    _write(path, x=x, y=y)
    return Imported(path, len(x), sha256, content, done)


def _unknown(name: str, rows: int, sha256: str) -> str:
    whole = next(c for c in CONTENTS if c.set_name == name and c.what.startswith("the whole"))
    if rows == whole.rows:
        why = f"as many images as {whole.what} has, but damaged, changed or in another order"
    else:
        why = f"{rows} images, where {whole.what} has {whole.rows}"
    return f"unknown content ({why}; SHA-256 {sha256[:16]}...); --allow-unknown imports it"


def _hash_of(path: Path) -> str:
    """Return the content's hash; "" if the file is not a valid set."""
    try:
        return content_hash(*read_set([path]))
    except DataError:
        return ""


def _words(sha256: str) -> str:
    content = find_content(sha256)
    if content is not None:
        return content.what
    return f"SHA-256 {sha256[:16]}..." if sha256 else "it can't be read"


def _write(path: Path, **arrays: np.ndarray) -> None:
    """Write the file in one step: a notebook that is graded meanwhile reads the old file."""
    try:
        # Readable for all: the student's process runs as another user.
        with replaced(path, mode=0o644, durable=True) as stream:
            np.savez_compressed(stream, **arrays)  # type: ignore[arg-type]
    except OSError as error:
        raise DataError(f"{path} can't be written: {error.strerror or error}") from error
