"""Fill grades into the files that a learning platform exports and imports again.

| platform | the file | a student's id | the column |
|---|---|---|---|
| Moodle | offline grading worksheet | the number in `Identifier` | `Grade`, `Feedback comments` |
| Canvas | gradebook export | `ID`, `SIS User ID`, `SIS Login ID` | `Title (12345)` |
| Blackboard | gradebook download | `Username` | `Title [Total Pts: 10] |664617` |
| Brightspace | export of grades | `OrgDefinedId`, `Username` | `Title Points Grade <Numeric ...>` |

Headers are translated, and versions add columns. So the file's own header is read, two cells of
each row are filled, and every other byte stays unchanged (sheet.py).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from grader.errors import SheetError
from grader.gradebook.people import Person
from grader.gradebook.rules import Grade
from grader.gradebook.sheet import Sheet, column_of
from grader.text import full_name

Kind = Literal["moodle", "canvas", "blackboard", "brightspace", ""]

# Moodle's names of the columns, in its most frequent languages.
_GRADE = ("Grade", "Bewertung", "Note", "Calificación", "Valutazione", "Voto", "Nota",
          "Avaliação", "Cijfer", "Ocena", "Оценка", "成绩", "評点", "Karakter", "Betyg",
          "Arvosana", "Not")  # fmt: skip
_MAXIMUM = ("Maximum grade", "Maximum Grade", "Bestwertung", "Beste Bewertung",
            "Note maximale", "Calificación máxima", "Valutazione massima", "Nota máxima",
            "Maximumcijfer")  # fmt: skip
_COMMENTS = ("Feedback comments", "Feedback als Kommentar", "Feedback par commentaires",
             "Comentarios de retroalimentación", "Commenti di feedback")  # fmt: skip
_LOCKED = ("Grade can be changed", "Bewertung kann geändert werden", "La note peut être modifiée")
_NO = ("no", "nein", "non", "nee", "não", "нет")
_FULL_NAME = ("Full name", "Vollständiger Name", "Nom complet", "Nombre completo", "Nome completo",
              "Volledige naam")  # fmt: skip
_MOODLE_IDS = {
    "sid": ("ID number", "ID-Nummer", "Numéro d'identification"),
    "email": ("Email address", "E-Mail-Adresse", "E-Mail", "Adresse de courriel"),
}
_GROUP = ("Group", "Gruppe", "Groupe", "Grupo", "Gruppo")
_IDENTIFIER = re.compile(r"\D+(\d+)\s*$", re.DOTALL)
_CANVAS_TITLE = re.compile(r"(?P<title>.*?)\s*\((?P<id>\d+)\)\s*$", re.DOTALL)
_BLACKBOARD_COLUMN = re.compile(
    r"(?P<title>.*?)(?:\s*\[[^\]]*?(?P<most>[\d.,]+)[^\]\d]*\]?)?\s*\|\s*(?P<id>\d+)\s*$", re.DOTALL
)


_BRIGHTSPACE_COLUMN = re.compile(
    r"(?P<title>.*\S)\s+Points Grade(?:\s*<(?:[^>]*?MaxPoints:(?P<most>[\d.,]+))?[^>]*>)?\s*$",
    re.DOTALL | re.IGNORECASE,
)
EXCUSED = "ex"
"""Canvas's grade of a student who is excused, in small letters; a number would end that."""


@dataclass(frozen=True)
class Columns:
    """The columns that are filled. maximum : of a grade at the platform; None if unknown"""

    kind: Kind
    grade: int
    comments: int | None = None
    locked: int | None = None
    maximum: float | None = None


@dataclass(frozen=True)
class Filled:
    """A worksheet with its grades.

    content : the bytes to write; filled : how many grades were written
    without_grade : people of the worksheet without a grade, and why
    warnings : a line for each grade that the platform would ignore silently
    """

    content: bytes
    kind: Kind
    filled: int
    without_grade: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def kind_of(sheet: Sheet) -> Kind:
    """Return the platform of a file, by its header; "" if it is unknown."""
    header = sheet.header
    if not header:
        return ""
    first = header[0].strip()
    if (first in ("Student", "LastName") or "Student" in first) and any(
        cell.strip() == "ID" for cell in header[1:4]
    ):
        return "canvas"
    if column_of(header, "OrgDefinedId", "End-of-Line Indicator") is not None:
        return "brightspace"
    if column_of(header, "Username") is not None and any("|" in cell for cell in header):
        return "blackboard"
    if column_of(header, "Last Name") is not None and column_of(header, "Username") is not None:
        return "blackboard"
    bodies = [sheet.value(row, 0) for row in range(1, min(len(sheet.rows), 200))]
    numbered = bodies and all(_IDENTIFIER.match(text) for text in bodies if text.strip())
    return "moodle" if numbered and _grade_column(sheet) is not None else ""


def read_worksheet(sheet: Sheet) -> Kind:
    """Return the platform of a worksheet. Raises SheetError if it is unknown."""
    kind = kind_of(sheet)
    if not kind:
        raise SheetError(
            f"{sheet.name} is not a worksheet of Moodle, Canvas, Blackboard or Brightspace: its "
            f"columns are "
            f"{', '.join(sheet.header)[:200]}"
        )
    return kind


# --- the students in it --------------------------------------------------------------------


def people_in(sheet: Sheet) -> tuple[Person, ...]:
    """Return the people in a worksheet, each with the platform's ids and the row."""
    read = {
        "moodle": _moodle_person,
        "canvas": _canvas_person,
        "blackboard": _blackboard_person,
        "brightspace": _brightspace_person,
    }
    kind = read_worksheet(sheet)
    people = (read[kind](sheet, row) for row in range(1, len(sheet.rows)))
    return tuple(person for person in people if person is not None)


def _texts(sheet: Sheet, row: int, names: dict[str, tuple[str, ...]]) -> dict[str, str]:
    found = {}
    for kind, wanted in names.items():
        column = column_of(sheet.header, *wanted)
        if column is not None and (value := sheet.value(row, column).strip()):
            found[kind] = value
    return found


def _moodle_person(sheet: Sheet, row: int) -> Person | None:
    identifier = _IDENTIFIER.match(sheet.value(row, 0))
    if identifier is None:
        return None
    name = column_of(sheet.header, *_FULL_NAME)
    full = sheet.value(row, name).strip() if name is not None else ""
    group = column_of(sheet.header, *_GROUP)
    return Person(
        full or sheet.value(row, 0).strip(),  # blind marking has no names
        {"participant": identifier[1]} | _texts(sheet, row, _MOODLE_IDS),
        sheet.value(row, group).strip() if group is not None else "",
        row=row,
    )


def _canvas_person(sheet: Sheet, row: int) -> Person | None:
    first = column_of(sheet.header, "Student")
    if first is None:
        name = full_name(sheet.value(row, 1), sheet.value(row, 0))
    else:
        name = sheet.value(row, first)
    if _is_canvas_head(sheet, row) or not name.strip():
        return None
    ids = _texts(
        sheet, row, {"user": ("ID",), "sid": ("SIS User ID",), "username": ("SIS Login ID",)}
    )
    if not ids:
        return None  # "Student, Test" has no ids
    return Person(_given_first(name), ids, other_names=(name,), row=row)


def _given_first(name: str) -> str:
    family, comma, given = name.partition(",")
    return full_name(given, family) if comma else name.strip()


def _is_canvas_head(sheet: Sheet, row: int) -> bool:
    """Return whether the row is one of the head's rows above the students."""
    return (
        sheet.value(row, 0).strip() in ("Points Possible", "Student", "")
        and not sheet.value(row, 1).strip().isdigit()
    )


def _blackboard_person(sheet: Sheet, row: int) -> Person | None:
    ids = _texts(sheet, row, {"username": ("Username",), "sid": ("Student ID",)})
    if "username" not in ids:
        return None
    names = _texts(sheet, row, {"last": ("Last Name",), "first": ("First Name",)})
    name = full_name(names.get("first", ""), names.get("last", ""))
    return Person(name or ids["username"], ids, row=row)


def _brightspace_person(sheet: Sheet, row: int) -> Person | None:
    """Return the person. Brightspace writes "#" before ids, so that no spreadsheet changes them."""
    ids = _texts(sheet, row, {"sid": ("OrgDefinedId",), "username": ("Username",)})
    ids = {kind: value.removeprefix("#") for kind, value in ids.items() if value != "#"}
    if not ids:
        return None
    names = _texts(sheet, row, {"last": ("Last Name",), "first": ("First Name",)})
    name = full_name(names.get("first", ""), names.get("last", ""))
    return Person(name or next(iter(ids.values())), ids, row=row)


# --- where grades go ----------------------------------------------------------------------


def columns_of(sheet: Sheet, *, wanted: str = "", titles: Sequence[str] = ()) -> Columns:
    """Return the columns for the grades of an assignment.

    wanted : a column's name, or its number at the platform; "" to find it
    titles : the assignment's id and title, to find the column by
    Raises SheetError, which lists the columns.
    """
    kind = read_worksheet(sheet)
    if kind == "moodle":
        return _moodle_columns(sheet, wanted)
    pattern = {
        "canvas": _CANVAS_TITLE,
        "blackboard": _BLACKBOARD_COLUMN,
        "brightspace": _BRIGHTSPACE_COLUMN,
    }[kind]
    candidates: dict[int, tuple[str, str]] = {}
    for number, cell in enumerate(sheet.header):
        found = pattern.match(cell)
        if found:
            title = found["title"].strip()
            candidates[number] = title, found.groupdict().get("id", title)
    chosen = _chosen(sheet, candidates, wanted, titles)
    if kind in ("blackboard", "brightspace"):
        found = pattern.match(sheet.header[chosen])
        most = _number(found["most"]) if found and found["most"] else None
        comments = column_of(sheet.header, "Feedback to Learner")
        return Columns(kind, chosen, comments, maximum=most)
    heads = [row for row in range(1, min(4, len(sheet.rows))) if _is_canvas_head(sheet, row)]
    possible = [sheet.value(row, chosen).strip() for row in heads]
    if any("read only" in text for text in possible):
        raise SheetError(f"{sheet.name}: the column {sheet.header[chosen]!r} is read only")
    return Columns(kind, chosen, maximum=next(filter(None, map(_number, possible)), None))


def _chosen(
    sheet: Sheet,
    candidates: dict[int, tuple[str, str]],
    wanted: str,
    titles: Sequence[str],
) -> int:
    names = [wanted] if wanted else [title for title in titles if title]
    folded = {name.strip().casefold() for name in names}
    found = [
        number
        for number, (title, key) in candidates.items()
        if title.casefold() in folded
        or key in folded
        or sheet.header[number].strip().casefold() in folded
    ]
    if not found and not wanted and len(candidates) == 1:
        found = list(candidates)
    if len(found) != 1:
        names_there = ", ".join(sheet.header[number] for number in candidates) or "none"
        what = f"{len(found)} columns" if found else "no column"
        raise SheetError(
            f"{sheet.name} has {what} for {wanted or ' or '.join(names) or 'the assignment'}: name "
            f"one with --column; there are: {names_there[:400]}"
        )
    return found[0]


def _moodle_columns(sheet: Sheet, wanted: str) -> Columns:
    header = sheet.header
    grade = column_of(header, wanted) if wanted else _grade_column(sheet)
    if grade is None:
        raise SheetError(
            f"{sheet.name} has no column for grades: name it with --column; there are: "
            f"{', '.join(header)[:400]}. Moodle offers the worksheet where the assignment has "
            "simple direct grading (no rubric) and the feedback type Offline grading worksheet."
        )
    maximum = _maximum_column(sheet)
    values = {sheet.value(row, maximum) for row in range(1, len(sheet.rows))} if maximum else set()
    most = _number(next(iter(values))) if len(values) == 1 else None
    return Columns(
        "moodle",
        grade,
        column_of(header, *_COMMENTS),
        locked=column_of(header, *_LOCKED),
        maximum=most,
    )


def _grade_column(sheet: Sheet) -> int | None:
    """Return Moodle's column of grades: by its name, else the one before the maximum."""
    named = column_of(sheet.header, *_GRADE)
    if named is not None:
        return named
    maximum = _maximum_column(sheet)
    return maximum - 1 if maximum else None


def _maximum_column(sheet: Sheet) -> int | None:
    named = column_of(sheet.header, *_MAXIMUM)
    if named is not None:
        return named
    # In another language: the one column in which every row has the same number.
    same = []
    for column in range(2, len(sheet.header)):
        values = {sheet.value(row, column).strip() for row in range(1, len(sheet.rows))}
        if len(values) == 1 and len(sheet.rows) > 2 and (_number(values.pop()) or 0) > 0:
            same.append(column)
    return same[0] if len(same) == 1 else None


def _number(text: str) -> float | None:
    """Return a number in any platform's format: 8, 8.5, 8,5, 1.234,5. None for other text."""
    text = text.strip().replace("\u00a0", "")
    if re.fullmatch(r"-?\d{1,3}(\.\d{3})+,\d+|-?\d+,\d+", text):
        text = text.replace(".", "").replace(",", ".")
    elif re.fullmatch(r"-?\d{1,3}(,\d{3})+(\.\d+)?", text):
        text = text.replace(",", "")
    try:
        return float(text)
    except ValueError:
        return None


# --- filling ------------------------------------------------------------------------------


def fill_worksheet(
    sheet: Sheet,
    grades: Sequence[Grade],
    columns: Columns,
    *,
    scale: bool = False,
) -> Filled:
    """Return the worksheet with the grades filled in.

    grades : of the people that `people_in` read from this sheet
    scale : convert points to the platform's maximum
    """
    values: dict[tuple[int, int], str] = {}
    without: list[str] = []
    warnings: list[str] = []
    filled = 0
    for grade in grades:
        row = grade.person.row
        assert row is not None
        if grade.points is None:
            without.append(
                f"{grade.person.name}: {grade.lines[0] if grade.lines else grade.status}"
            )
            continue
        if columns.kind == "canvas" and _folded(sheet.value(row, columns.grade)) == EXCUSED:
            without.append(f"{grade.person.name}: is excused in Canvas (EX), which stays")
            continue
        points = grade.points
        most = columns.maximum
        if scale and most is not None and grade.max_points:
            points = points * most / grade.max_points
        text = f"{points:.2f}"
        warnings += _ignored_silently(sheet, grade, columns, text)
        if columns.grade >= len(sheet.rows[row]):
            warnings.append(f"{grade.person.name}: line {row + 1} ends before the column of grades")
            continue
        values[row, columns.grade] = text
        filled += 1
        comments = columns.comments
        # A comment that a person wrote stays.
        written = comments is None or sheet.value(row, comments).strip()
        if comments is not None and not written and comments < len(sheet.rows[row]):
            values[row, comments] = "; ".join(grade.lines)
    warnings = [*_on_the_scale(grades, columns, scale), *warnings]
    return Filled(sheet.filled(values), columns.kind, filled, tuple(without), tuple(warnings))


def _folded(cell: str) -> str:
    return cell.strip().casefold()


def _on_the_scale(grades: Sequence[Grade], columns: Columns, scale: bool) -> list[str]:
    maxima = {grade.max_points for grade in grades if grade.points is not None}
    if scale or columns.maximum is None or not maxima or maxima == {columns.maximum}:
        return []
    points = ", ".join(f"{maximum:g}" for maximum in sorted(maxima))
    return [
        f"the platform's maximum is {columns.maximum:g}, and {points} points can be earned here: "
        "grades are written as they are; --scale converts them"
    ]


def _ignored_silently(sheet: Sheet, grade: Grade, columns: Columns, text: str) -> list[str]:
    """Return the reasons why the platform would ignore this grade without a message."""
    assert grade.person.row is not None
    name, row = grade.person.name, grade.person.row
    warnings = []
    if columns.maximum is not None and float(text) > columns.maximum + 1e-9:
        warnings.append(f"{name}: {text} is more than the platform's maximum, {columns.maximum:g}")
    if float(text) < 0:
        warnings.append(f"{name}: {text} is less than 0")
    if columns.locked is not None:
        locked = sheet.value(row, columns.locked).strip().casefold()
        if locked in _NO:
            warnings.append(f"{name}: the grade is locked in Moodle and will not change")
    before = _number(sheet.value(row, columns.grade)) if row < len(sheet.rows) else None
    if columns.kind == "moodle" and before is not None and abs(before - float(text)) > 0.005:
        warnings.append(
            f"{name}: Moodle has {before:g} already; if that is newer than this worksheet, it "
            "stays unless you allow updating records that were modified more recently"
        )
    return warnings
