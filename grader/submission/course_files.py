"""Submitted files with the names of the instructor's files."""

from __future__ import annotations

import filecmp
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath

from grader.records import Note, Notebook

# A text up to this size is compared without line ends, which git and editors change.
_TEXT_BYTES = 1 << 20
_NAMED = 5


def without_course_files(
    notebooks: Sequence[Notebook], files: Mapping[str, Path]
) -> list[Notebook]:
    """Return the notebooks and scripts without the course's modules."""
    own = [n for n in notebooks if not _is_one_of(PurePosixPath(n.name), files)]
    return own or list(notebooks)


def changed_files(
    files: Mapping[str, Path], folder: Path, notebooks: Iterable[Notebook]
) -> tuple[Note, ...]:
    """Return a note that names the instructor's files that were handed in with changes.

    folder : of the submission; notebooks : its graded notebooks
    A file that was not handed in needs no note: it is put beside the notebook.
    """
    places = dict.fromkeys(PurePosixPath(notebook.name).parent for notebook in notebooks)
    changed = [
        str(place / name)
        for place in places
        if ".." not in place.parts and not place.is_absolute()
        for name, own in files.items()
        if _is_other(folder / place / name, own)
    ]
    if not changed:
        return ()
    more = f" and {len(changed) - _NAMED} more" if len(changed) > _NAMED else ""
    was = "was" if len(changed) == 1 else "were"
    shown = f"{', '.join(changed[:_NAMED])}{more}"
    text = f"{shown} {was} changed: graded with the original"
    return (Note("changed_file", text),)


def _is_one_of(name: PurePosixPath, files: Mapping[str, Path]) -> bool:
    return name.suffix == ".py" and any(
        str(PurePosixPath(*name.parts[start:])) in files for start in range(len(name.parts))
    )


def _is_other(handed_in: Path, own: Path) -> bool:
    try:
        if handed_in.is_symlink() or not handed_in.exists():
            return False
        if not handed_in.is_file():
            return True
        if filecmp.cmp(handed_in, own, shallow=False):
            return False
        if max(handed_in.stat().st_size, own.stat().st_size) > _TEXT_BYTES:
            return True
        return _lines(handed_in) != _lines(own)
    except OSError:
        return True


def _lines(file: Path) -> bytes:
    data = file.read_bytes()
    return data if b"\0" in data else data.replace(b"\r\n", b"\n").removesuffix(b"\n")
