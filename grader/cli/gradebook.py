"""What `grade results` does with one run for a course: worksheets, feedback, a table, rules."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from grader.cli import output
from grader.errors import AssignmentError
from grader.text import one_line

if TYPE_CHECKING:
    from grader.batch.store import Store
    from grader.gradebook import Person
    from grader.gradebook.rules import Grade, GradedClass
    from grader.gradebook.sheet import Sheet
    from grader.records import Assignment, Report, Result, RunRecord

_Function = TypeVar("_Function", bound=Callable[..., Any])
MAX_SHOWN = 20
ONE_LINE = 100
"""Characters of names that stand on one line; longer lists have a line for each."""


@dataclass(frozen=True)
class Wanted:
    """The options of the gradebook, as they were given."""

    roster: Path | None
    fill: Path | None
    column: str
    scale: bool
    feedback: str | None
    to: Path | None
    csv_file: str | None
    assignments: Path | None

    @property
    def anything(self) -> bool:
        return bool(self.roster or self.fill or self.feedback or self.csv_file)


def options(function: _Function) -> _Function:
    """Add the gradebook's options to a command; it gets them as `wanted`."""

    def with_wanted(*arguments: Any, **values: Any) -> Any:
        names = Wanted.__dataclass_fields__
        wanted = Wanted(**{name: values.pop(name) for name in names})
        return function(*arguments, wanted=wanted, **values)

    existing = click.Path(exists=True, dir_okay=False, path_type=Path)
    for option in (
        click.option(
            "--assignments",
            metavar="DIR",
            type=click.Path(exists=True, file_okay=False, path_type=Path),
            help="Folder of assignments, for the deadline's rules and class.toml. Default: as for "
            "grading, where there is one.",
        ),
        click.option("--csv", "csv_file", metavar="FILE", help="Write a table for a spreadsheet."),
        click.option(
            "--to",
            metavar="PATH",
            type=click.Path(path_type=Path),
            help="Where --fill or --feedback writes. Default: beside the worksheet, or here.",
        ),
        click.option(
            "--feedback",
            type=click.Choice(["moodle", "canvas", "folder"]),
            help="Write a page for each student: a zip that the platform takes, or a folder.",
        ),
        click.option(
            "--scale", is_flag=True, help="With --fill: turn points into the platform's maximum."
        ),
        click.option(
            "--column", metavar="TEXT", default="", help="With --fill: the column of the grades."
        ),
        click.option(
            "--fill",
            metavar="WORKSHEET",
            type=existing,
            help="Fill the grades into the CSV file of Moodle, Canvas, Blackboard or Brightspace; "
            "a new file is written.",
        ),
        click.option(
            "--roster",
            metavar="FILE",
            type=existing,
            help="Who is in the class: class.toml, or any CSV file of the platform.",
        ),
    ):
        function = option(function)
    with_wanted.__doc__ = function.__doc__
    with_wanted.__click_params__ = getattr(function, "__click_params__", [])  # type: ignore[attr-defined]
    return with_wanted  # type: ignore[return-value]


def graded_class(
    run: RunRecord, results: Sequence[Result], wanted: Wanted
) -> tuple[GradedClass, Assignment | None, Sheet | None]:
    """Return the class's grades under the rules, with the assignment and the worksheet, if any."""
    from grader.gradebook.roster import FILE, read_roster, with_extra_days
    from grader.gradebook.rules import grade_class
    from grader.gradebook.sheet import read_sheet
    from grader.gradebook.worksheets import people_in

    assignment = find_assignment(run.assignment, wanted.assignments)
    roster: tuple[Person, ...] = ()
    if wanted.roster is not None:
        roster = read_roster(wanted.roster)
    elif assignment is not None and (file := assignment.folder.parent / FILE).is_file():
        roster = read_roster(file)
    sheet = read_sheet(wanted.fill) if wanted.fill is not None else None
    people = with_extra_days(people_in(sheet), roster) if sheet is not None else roster
    graded = grade_class(
        results,
        people,
        assignment=run.assignment,
        deadline=assignment.deadline if assignment is not None else None,
    )
    return graded, assignment, sheet


def find_assignment(name: str, folder: Path | None) -> Assignment | None:
    """Return the assignment whose rules hold; None where it is not to be found."""
    from grader.assignment import find_assignments, load_assignment

    try:
        found = find_assignments(Path.cwd(), folder, os.environ)
    except AssignmentError:
        if folder is not None:
            raise
        return None
    if name not in found:
        if folder is not None:
            raise AssignmentError(f"{folder} holds no assignment {name!r}")
        return None
    return load_assignment(found[name])


def write(opened: Store, run: RunRecord, report: Report, wanted: Wanted) -> None:
    """Write what was asked for, and say what is missing on either side."""
    short = _in_short(report.results)
    graded, assignment, sheet = graded_class(run, short, wanted)
    _say_who(graded)
    if wanted.csv_file is not None:
        from grader.gradebook import grade_class, table

        exercises = [e.id for e in assignment.exercises] if assignment is not None else []
        strangers = grade_class(
            graded.unmatched,
            assignment=run.assignment,
            deadline=assignment.deadline if assignment is not None else None,
        ).grades
        rows = [*graded.grades, *map(_not_listed, strangers)]
        output.write(wanted.csv_file, table.render(rows, exercises))
    if sheet is not None:
        _fill(sheet, graded, assignment, run, wanted)
    if wanted.feedback is not None:
        # A grade's result is one of these very ones.
        places = {id(result): place for place, result in enumerate(short)}
        _feedback(opened, run, report, graded, wanted, lambda one: report.results[places[id(one)]])


def _not_listed(grade: Grade) -> Grade:
    """Return the grade of someone who is not in the class's list, with a line that says so."""
    return replace(grade, lines=(*grade.lines, "not found in the class's list"))


def _fill(
    sheet: Sheet,
    graded: GradedClass,
    assignment: Assignment | None,
    run: RunRecord,
    wanted: Wanted,
) -> None:
    from grader.files import write_whole
    from grader.gradebook.worksheets import columns_of, fill_worksheet

    assert wanted.fill is not None
    titles = (run.assignment, run.title, assignment.title if assignment is not None else "")
    columns = columns_of(sheet, wanted=wanted.column, titles=titles)
    filled = fill_worksheet(sheet, graded.grades, columns, scale=wanted.scale)
    to = wanted.to if wanted.to is not None and wanted.feedback is None else None
    to = to or wanted.fill.with_name(f"{wanted.fill.stem}-graded{wanted.fill.suffix}")
    if to.resolve() == wanted.fill.resolve():
        raise click.UsageError("--to names the worksheet itself: it stays as it was; name another.")
    with output.clear_errors(str(to)):
        write_whole(to, filled.content)
    tell("in the worksheet without a grade", filled.without_grade)
    open_ones = [
        f"{grade.person.name} ({grade.open_points:g})"
        for grade in graded.grades
        if grade.points is not None and grade.open_points
    ]
    tell("filled in, but not final: a person has yet to give points", open_ones)
    for line in filled.warnings:
        output.complain(line)
    column = sheet.header[columns.grade]
    click.echo(f"{to}: {filled.filled} of {len(graded.grades)} grades, in {column!r}", err=True)


def _feedback(
    opened: Store,
    run: RunRecord,
    report: Report,
    graded: GradedClass,
    wanted: Wanted,
    whole: Callable[[Result], Result],
) -> None:
    """Write the pages. whole : gives a grade's result with its checks"""
    from grader.batch.workers import cores
    from grader.gradebook.feedback import write_feedback

    folder = wanted.feedback == "folder"
    to = wanted.to or Path(f"feedback-{run.assignment}{'' if folder else '.zip'}")
    with output.clear_errors(str(to)):
        count = write_feedback(
            to,
            wanted.feedback,  # type: ignore[arg-type]
            graded.grades,
            report=replace(report, checks_from=""),
            render=_page,
            evidence=lambda result: opened.packed_evidence_of(run.id, result.path),
            whole=whole,
            processes=cores(),
        )
    click.echo(f"{to}: {count} page{'s' if count != 1 else ''}", err=True)


def _page(report: Report, result: Result, evidence: bytes) -> str:
    from grader.batch.serialization import unpack_evidence
    from grader.report.html_page import render_page

    return render_page(report, replace(result, evidence=unpack_evidence(evidence)))


def _in_short(results: Sequence[Result]) -> list[Result]:
    """Return the results as far as rules and tables ask: a class is held whole, in little room.

    What a check said takes most of it, and lines of exercises that are equal are one.
    """
    from grader.records import ExerciseScore

    lines: dict[ExerciseScore, ExerciseScore] = {}
    shortened = []
    for result in results:
        exercises = (
            ExerciseScore(e.id, "", e.points, e.max_points, e.status) for e in result.exercises
        )
        mine = tuple(lines.setdefault(line, line) for line in exercises)
        shortened.append(replace(result, exercises=mine, notes=()))
    return shortened


def _say_who(graded: GradedClass) -> None:
    tell("handed in, and not in the class's list", [one.path for one in graded.unmatched])
    tell("not clear whose it is", graded.unclear)
    by_name = [
        f"{grade.person.name} ({grade.result.path})"
        for grade in graded.grades
        if grade.by_name and grade.result is not None
    ]
    tell("given by the name of a file alone: look at these", by_name)
    absent = [grade.person.name for grade in graded.grades if grade.status == "absent"]
    tell("handed in nothing", absent)


def tell(what: str, names: object) -> None:
    """Say of how many something is true, and of whom."""
    lines = [str(name) for name in names]  # type: ignore[attr-defined]
    together = ", ".join(lines)
    if not lines:
        return
    if len(lines) == 1 or len(together) <= ONE_LINE:
        output.complain(f"{len(lines)} {what}: {together}")
        return
    output.complain(f"{len(lines)} {what}:")
    for line in lines[:MAX_SHOWN]:
        click.echo(f"  {one_line(line, 600)}", err=True)
    if len(lines) > MAX_SHOWN:
        click.echo(f"  and {len(lines) - MAX_SHOWN} more", err=True)
