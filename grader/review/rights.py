"""The graders and their rights: from a file if there are several graders, else the user alone.

    [[graders]]
    name = "ann"
    may = ["mark", "rubric", "verdicts", "names", "assign"]

    [[graders]]
    name = "ben"
    may = ["mark"]
    exercises = ["4-review"]

| right | allows |
|---|---|
| mark | to mark answers: items, comments, points with a reason |
| rubric | to add and change items of rubrics |
| verdicts | to change a check's verdict |
| names | to see the students' names |
| assign | to share out the work, and to have answers graded twice |
| try | to run code in a student's sandboxed process |

Without `may` a grader has mark, rubric, names and try. With `exercises` a grader opens and marks
only these, and sees the points of the others.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import msgspec

from grader.errors import ReviewError
from grader.text import one_line

RIGHTS = ("mark", "rubric", "verdicts", "names", "assign", "try")
USUAL = ("mark", "rubric", "names", "try")
MAX_NAME = 60


@dataclass(frozen=True)
class Grader:
    """A person who marks. may : rights; exercises : ids, empty for all exercises"""

    name: str
    may: frozenset[str] = frozenset(RIGHTS)
    exercises: frozenset[str] = frozenset()

    def sees(self, exercise: str) -> bool:
        """Return whether the grader may open an exercise."""
        return not self.exercises or exercise in self.exercises


class _Entry(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    may: tuple[str, ...] = USUAL
    exercises: tuple[str, ...] = ()


class _File(msgspec.Struct, forbid_unknown_fields=True):
    graders: list[_Entry]


def read_graders(file: Path) -> tuple[Grader, ...]:
    """Return the graders of a rights file. Raises ReviewError."""
    shown = one_line(str(file))
    try:
        read = msgspec.toml.decode(file.read_bytes(), type=_File)
    except OSError as error:
        raise ReviewError(f"{shown} can't be read: {error.strerror or error}") from error
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ReviewError(f"{shown}: {one_line(str(error), 300)}") from error
    graders = []
    for entry in read.graders:
        name = one_line(entry.name, MAX_NAME).strip()
        if not name:
            raise ReviewError(f"{shown}: a grader needs a name")
        for right in entry.may:
            if right not in RIGHTS:
                raise ReviewError(
                    f"{shown}: {name} may {one_line(right)!r}: the rights are {', '.join(RIGHTS)}"
                )
        graders.append(Grader(name, frozenset(entry.may), frozenset(entry.exercises)))
    names = [grader.name.casefold() for grader in graders]
    if not graders or len(set(names)) < len(names):
        raise ReviewError(f"{shown}: name at least one grader, and no two graders the same")
    return tuple(graders)
