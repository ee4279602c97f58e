"""Tell whether several notebooks are those of a class, or of one student.

One student may hand in three notebooks of one assignment, and older copies of them. The notebooks
of a class have their students' names, or were all made from one template.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import PurePosixPath

from grader.submission.students import (
    SUFFIXES,
    has_students_name,
    is_students_folder,
    students_of,
)

ENOUGH_NAMES = 3
"""So many notebooks with students' names are a class."""
ENOUGH_ALIKE = 6
"""So many notebooks of one template are a class: no student keeps so many copies."""
MAX_READ_BYTES = 16 * 1024**2
"""Size of a notebook to compare. A larger one counts as unlike all others."""


def is_class(notebooks: Mapping[str, Callable[[], bytes]]) -> bool:
    """Return whether these notebooks are those of several students.

    notebooks : functions that return the bytes, by a distinct name of the file or the folder
    """
    if len(notebooks) < ENOUGH_NAMES:
        return False
    if are_students(notebooks):
        return True
    return len(notebooks) >= ENOUGH_ALIKE and _alike(read() for read in notebooks.values())


def are_students(names: Collection[str]) -> bool:
    """Return whether most names are students', and enough different ones."""
    named = [name for name in names if has_students_name(PurePosixPath(name).name)]
    different = {students_of(PurePosixPath(name).name) for name in named}
    return len(different) >= ENOUGH_NAMES and 2 * len(named) > len(names)


def are_students_folders(notebooks: Mapping[str, str]) -> bool:
    """Return whether these are folders of people, such as "Anna Meier", with the same notebook.

    notebooks : the first notebook's file name, by the folder's name
    """
    named = [name for name in notebooks if is_students_folder(name)]
    ((_, alike),) = Counter(notebooks.values()).most_common(1) or [("", 0)]
    return (
        2 * alike > len(notebooks)
        and len(named) >= ENOUGH_NAMES
        and 2 * len(named) > len(notebooks)
    )


def further_students(names: Iterable[str], taken: Collection[str]) -> list[str]:
    """Return the names that bear a student's name, where none that is taken has this name.

    Who handed in a RAR, a PDF or a folder without work is refused by name, and not lost.

    names : of files and folders that are no work
    taken : of the submissions; where most bear no students' names, the others need not either
    """
    if 2 * sum(map(is_students_folder, taken)) <= len(taken):
        return []
    known = set(map(students_of, taken))
    further = []
    for name in names:
        suffix = PurePosixPath(name).suffix.lower()
        # A file of two words, "Sheet One.pdf", needs more of a name than a folder does.
        bears = has_students_name(name) if suffix in SUFFIXES else is_students_folder(name)
        if suffix not in SUFFIXES and suffix[1:].isalnum():
            bears = False  # data, or a report
        if bears and students_of(name) not in known:
            known.add(students_of(name))
            further.append(name)
    return further


def _alike(documents: Iterable[bytes]) -> bool:
    """Return whether most of the notebooks share half of their cells with several others."""
    cells = [_cells_of(document) for document in documents]
    how_often = Counter(cell for one in cells for cell in one)
    alike = sum(
        2 * sum(how_often[cell] >= ENOUGH_ALIKE for cell in one) >= len(one) for one in cells if one
    )
    return alike >= ENOUGH_ALIKE and 2 * alike > len(cells)


def _cells_of(document: bytes) -> frozenset[bytes]:
    """Return a hash of each cell's text; none if it can't be read."""
    if len(document) > MAX_READ_BYTES:
        return frozenset()
    try:
        cells = json.loads(document)["cells"]
        return frozenset(
            hashlib.sha256(text.encode(errors="replace")).digest()
            for cell in cells
            if (text := _text_of(cell["source"])).strip()
        )
    except (ValueError, KeyError, TypeError, RecursionError):
        return frozenset()


def _text_of(source: str | Sequence[str]) -> str:
    return source if isinstance(source, str) else "".join(source)
