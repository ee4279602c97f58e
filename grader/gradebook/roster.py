"""The class list: class.toml beside the assignments, or a CSV file of the platform.

[[students]]
name = "Anna Meier"
ids = { participant = "1234", email = "anna.meier@example.org" }
group = "A"
extra_days = { pw02 = 2 }       # after the deadline; "*" for every assignment
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec

from grader.errors import SheetError
from grader.gradebook.names import Names
from grader.gradebook.people import KINDS, Person
from grader.gradebook.sheet import column_of, read_sheet
from grader.gradebook.worksheets import kind_of, people_in
from grader.text import full_name
from grader.toml_files import read_toml

FILE = "class.toml"

_Text = Annotated[str, msgspec.Meta(min_length=1)]


class _Student(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    name: _Text
    ids: dict[str, str | int] = {}
    group: str = ""
    other_names: tuple[_Text, ...] = ()
    extra_days: dict[str, float] = {}

    def __post_init__(self) -> None:
        for kind in self.ids:
            if kind not in KINDS:
                raise ValueError(f"ids: unknown kind `{kind}`; known are {', '.join(KINDS)}")

    def record(self) -> Person:
        ids = {KINDS[kind]: str(value) for kind, value in self.ids.items()}
        return Person(self.name, ids, self.group, self.other_names, self.extra_days)


class _Class(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    students: tuple[_Student, ...] = ()


def read_roster(path: Path) -> tuple[Person, ...]:
    """Return the people in a class.toml, in a platform's CSV file, or in the user's own.

    Raises AssignmentError for class.toml, SheetError for a CSV file without names.
    """
    if path.suffix.lower() == ".toml":
        return tuple(
            student.record() for student in read_toml(path, _Class, shown=str(path)).students
        )
    sheet = read_sheet(path)
    if kind_of(sheet):
        return people_in(sheet)
    header = sheet.header
    name = column_of(header, "name", "full name", "student", "student name")
    first = column_of(header, "first name", "given name", "firstname")
    last = column_of(header, "last name", "family name", "surname", "lastname")
    columns = {
        kind: column_of(header, *names)
        for kind, names in {
            "email": ("email", "e-mail", "email address", "mail"),
            "sid": ("id number", "student id", "sid", "matriculation number"),
            "username": ("username", "user name", "login", "github username", "github"),
        }.items()
    }
    group = column_of(header, "group", "team", "section")
    if name is None and (first is None or last is None):
        raise SheetError(
            f"{path.name} has no column with names: it needs `name`, or `first name` and "
            f"`last name`; it has {', '.join(header)[:200]}"
        )
    people = []
    for row in range(1, len(sheet.rows)):
        if name is not None:
            full = sheet.value(row, name)
        else:
            assert first is not None and last is not None
            full = full_name(sheet.value(row, first), sheet.value(row, last))
        if not full.strip():
            continue
        ids = {
            kind: sheet.value(row, column).strip()
            for kind, column in columns.items()
            if column is not None and sheet.value(row, column).strip()
        }
        people.append(
            Person(full.strip(), ids, sheet.value(row, group).strip() if group is not None else "")
        )
    return tuple(people)


def with_extra_days(people: tuple[Person, ...], roster: tuple[Person, ...]) -> tuple[Person, ...]:
    """Return the people of a worksheet with the groups and extensions of class.toml."""
    by_id = {
        (kind, value.casefold()): one for one in roster for kind, value in one.ids.items() if value
    }
    in_roster, in_sheet = Names([p.name] for p in roster), Names([p.name] for p in people)
    merged = []
    for place, person in enumerate(people):
        candidates = in_roster.find(person.name)
        namesakes = {p for one in candidates for p in in_sheet.find(roster[one].name)}
        known = next(
            (by_id[k, v.casefold()] for k, v in person.ids.items() if (k, v.casefold()) in by_id),
            roster[next(iter(candidates))]
            if len(candidates) == 1 and namesakes == {place}
            else None,
        )
        if known is not None:
            person = _merged(person, known)
        merged.append(person)
    return tuple(merged)


def _merged(person: Person, known: Person) -> Person:
    return Person(
        person.name,
        dict(known.ids) | dict(person.ids),
        person.group or known.group,
        (*person.other_names, known.name, *known.other_names),
        known.extra_days,
        person.row,
    )
