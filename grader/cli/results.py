"""`grade results`: earlier runs."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from grader.cli import gradebook, marks, options, output, unexplained_groups
from grader.cli.options import GRADED, Invocation

if TYPE_CHECKING:
    from grader.batch.store import Store
    from grader.records import Report, Result, RunRecord


@options.command("results", short_help="Show earlier runs, and what has changed between them.")
@click.argument("runs", nargs=-1, metavar="[RUN [RUN]]")
@click.option(
    "--changes", is_flag=True, help="Compare a run with the one before it, of the same assignment."
)
@click.option(
    "--join",
    is_flag=True,
    help="Make one run of two: add a late export to the class. Who handed in again has both.",
)
@click.option(
    "--only-up",
    metavar="REASON",
    help="Compare, and let nobody lose points: each check gives at least what it gave before. "
    "Every report shows this reason.",
)
@click.option(
    "--history",
    "history",
    is_flag=True,
    help="Show how each grade came about: every run, and who changed what, when and why.",
)
@click.option(
    "--student", metavar="TEXT", help="Show only submissions with this text in a name or path."
)
@options.json_file
@options.junit_file
@options.html_folder
@options.for_students
@gradebook.options
@click.option(
    "--merge",
    metavar="DIR",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Join the files of results in DIR, one for each part of `grade --shard`, into one run.",
)
@click.option(
    "--unexplained",
    is_flag=True,
    help="Show wrong answers that several submissions share and that no message explains.",
)
@click.option(
    "--as-sample",
    metavar="N NAME TITLE",
    type=(int, str, str),
    help="Make group N of --unexplained a sample of the assignment, with this file name and title.",
)
@marks.options
@click.option(
    "--forget", is_flag=True, help="Delete the run, and all results that no other run uses."
)
@click.pass_obj
def command(
    invocation: Invocation,
    runs: Sequence[str],
    changes: bool,
    join: bool,
    only_up: str | None,
    history: bool,
    student: str | None,
    json_file: str | None,
    junit_file: str | None,
    html_folder: str | None,
    for_students: bool,
    unexplained: bool,
    as_sample: tuple[int, str, str] | None,
    forget: bool,
    merge: Path | None,
    wanted: gradebook.Wanted,
    marks_file: Path | None,
    insight_file: str | None,
) -> int:
    """Show the results of earlier runs: their list, one run's report again, or what has changed.

    Results are kept in one file of your own, which $GRADE_RESULTS names; "none" keeps nothing. A
    run is named by its number in the list, or "latest".

    \b
    Examples:
      grade results                        the runs, the latest first
      grade results latest --html pages    its report again, with its pages
      grade results 12 13                  whose score has changed, and by which check
      grade results --changes              the same of the latest run and the one before
      grade results --only-up "the tolerance was wrong"
      grade results 12 13 --join           the late ones of run 13 and the class of run 12
      grade results --history --student rossi
      grade results 12 --forget
      grade results latest --unexplained
      grade results latest --as-sample 1 no-mean "the mean over the examples is missing"
      grade results latest --fill Grades-pw02.csv --feedback moodle
      grade results latest --roster class.toml --csv grades.csv
      grade results latest --marks marks.csv
      grade results latest --insight insight.md
    """
    from grader.batch import store
    from grader.report import changes as report_changes
    from grader.report import terminal

    output.check_targets(json_file, junit_file, html_folder)
    changes = changes or only_up is not None
    if only_up is not None and student:
        raise click.UsageError("--only-up is for the whole class: leave --student out.")
    if history and (changes or join or forget or len(runs) > 1):
        raise click.UsageError("--history shows one run's assignment.")
    if (marks_file or insight_file) and (changes or student or forget):
        raise click.UsageError(
            "--marks and --insight are for a whole run: name one run, and leave --student out."
        )
    marks.check_insight(insight_file)
    if wanted.anything and (changes or student or forget):
        raise click.UsageError(
            "Grades are written for a whole run: name one run, and leave --student out."
        )
    if forget and (changes or student or json_file or junit_file or html_folder):
        raise click.UsageError("--forget deletes a whole run: leave other options out.")
    file = store.place(os.environ)
    if file is None:
        raise click.UsageError(f"No results are kept: ${store.VARIABLE} is {store.NOWHERE}.")
    if merge is not None:
        from grader.batch import merging

        parts, joined, answers = merging.merge(merge, file)
        said = f", with what people said of {answers} answers" if answers else ""
        click.echo(f"{joined} submissions of {parts} parts are one run, the latest{said}", err=True)
        runs = runs or ("latest",)
    if join and (changes or student or forget or not runs):
        raise click.UsageError("--join makes one run of two: name both, or the late one.")
    console = output.console(stderr="-" in (json_file, junit_file))
    with store.open_store(file, create=False) as opened:
        listed = opened.runs()
        if history:
            from grader.cli import grade_history

            (run,) = chosen_runs(runs or ["latest"], listed, changes=False)
            grade_history.show(opened, run, student, wanted.assignments)
            return GRADED
        if join and len(runs) == 1:
            # A late export, named alone: the class that it belongs to is the run before.
            runs = [str(run.id) for run in chosen_runs(runs, listed, changes=True)]
        chosen = chosen_runs(runs, listed, changes=changes)
        if join:
            from grader.batch import merging
            from grader.gradebook.people import who_is

            one, other = sorted(chosen, key=lambda run: run.id)
            added = merging.join(opened, one, other, who_is=who_is)
            click.echo(
                f"run {added.id}: {added.new} new, {added.again} handed in again, "
                f"{added.as_before} as before",
                err=True,
            )
            chosen = [run for run in opened.runs() if run.id == added.id]
        if forget:
            if len(chosen) != 1:
                raise click.UsageError("--forget takes one run.")
            marks.before_forgetting(opened, chosen[0])
            opened.forget(chosen[0].id)
            click.echo(f"run {chosen[0].id} is forgotten")
        elif not chosen:
            unnamed = unexplained or as_sample is not None or marks_file or insight_file
            if junit_file or html_folder or student or wanted.anything or unnamed:
                raise click.UsageError("Which run? `grade results` lists them.")
            listed = marks.with_means(opened, listed, wanted.assignments)
            report_changes.show_runs(listed, console)
            if json_file is not None:
                output.write(json_file, report_changes.runs_as_json(listed))
        elif len(chosen) == 2:
            if for_students:
                raise click.UsageError("--for-students shows one run: a comparison is yours.")
            if junit_file or html_folder or wanted.anything or marks_file or insight_file:
                raise click.UsageError("A comparison is shown here or written by --json.")
            before, after = chosen
            pair = [
                _about(student, marks.judged(opened, run, None, wanted.assignments))
                for run in chosen
            ]
            if not any(pair):
                raise nobody(student)
            found = report_changes.find_changes(*pair)
            report_changes.show_changes(found, before, after, console)
            if json_file is not None:
                output.write(json_file, report_changes.changes_as_json(found, before, after))
            if only_up is not None:
                marks.keep_points(opened, before, after, only_up, wanted.assignments)
        else:
            (run,) = chosen
            if unexplained or as_sample is not None:
                unexplained_groups.show(opened, run, as_sample, wanted.assignments)
                return GRADED
            judged = marks.judged(opened, run, marks_file, wanted.assignments)
            if for_students:
                from grader.gradebook.for_students import ForStudents

                judged = ForStudents(judged)
            report = _report_of(run, _about(student, judged))
            if not report.results:
                raise nobody(student)
            output.write_reports(report, json_file, junit_file)
            if html_folder is not None:
                _write_pages_again(opened, run, report, judged, html_folder)
            if insight_file is not None:
                marks.write_insight(report.results, report.title, insight_file)
                if insight_file == "-":
                    return GRADED
            if wanted.anything:
                gradebook.write(opened, run, report, wanted)
                return GRADED
            terminal.show(report, console, tracebacks=invocation.tracebacks)
            if not for_students:
                unexplained_groups.hint(report.results, stderr="-" in (json_file, junit_file))
    return GRADED


def chosen_runs(
    names: Sequence[str], listed: Sequence[RunRecord], *, changes: bool
) -> list[RunRecord]:
    """Return the runs that are meant: none, one, or two to compare, the earlier one first."""
    by_name = {str(run.id): run for run in listed}
    if listed:
        by_name["latest"] = listed[0]
    for name in names:
        if name not in by_name:
            known = ", ".join(list(by_name)[:5]) or "none"
            raise click.UsageError(f"There is no run {name!r}; there is: {known}.")
    chosen = [by_name[name] for name in names]
    if len(chosen) > 2:
        raise click.UsageError("Two runs at most can be compared.")
    if changes and len(chosen) < 2:
        if not listed:
            raise click.UsageError("There is no run yet.")
        after = chosen[0] if chosen else listed[0]
        earlier = [r for r in listed if r.id < after.id and r.assignment == after.assignment]
        if not earlier:
            raise click.UsageError(f"There is no run of {after.assignment} before run {after.id}.")
        return [earlier[0], after]
    return chosen


def _about(student: str | None, results: Sequence[Result]) -> Sequence[Result]:
    return results if student is None else [r for r in results if matches_student(student, r)]


def matches_student(student: str, result: Result) -> bool:
    """Return whether that text is in a student's name or in the path."""
    return student.casefold() in " ".join((result.path, *result.students)).casefold()


def nobody(student: str | None) -> click.UsageError:
    """Return the error that says that a run holds nobody of the kind."""
    if student is None:
        return click.UsageError("This run has no results.")
    return click.UsageError(f"Nobody in this run has {student!r} in name or path.")


def _report_of(run: RunRecord, results: Sequence[Result]) -> Report:
    from grader.records import Report

    seed = run.settings.get("seed")
    return Report(
        run.assignment, run.title, seed if isinstance(seed, int) else 0, results, run.isolation
    )


def _write_pages_again(
    opened: Store, run: RunRecord, report: Report, judged: Sequence[Result], html_folder: str
) -> None:
    from dataclasses import replace

    from grader.batch.serialization import unpack
    from grader.report import html_page

    paths = [result.path for result in report.results]
    pages = html_page.Pages(Path(html_folder), report, paths)
    with output.clear_errors(html_folder):
        both = zip(opened.items(run.id, evidence=True), judged, strict=True)
        shown = ((item, result) for item, result in both if result.path in paths)
        for number, (item, result) in enumerate(shown):
            pages.write(number, replace(result, evidence=unpack(item.packed).evidence))
        pages.write_index(report)
