"""`grade regrade`: a check was changed after the fact."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from grader.cli import marks, options, output
from grader.cli.options import GRADED, UNDER, Invocation
from grader.cli.results import chosen_runs
from grader.cli.watching import Watching
from grader.session.guard import standing_by
from grader.text import one_line

if TYPE_CHECKING:
    from grader.records import Assignment, Report, Result, RunRecord
    from grader.report.changes import Changes
    from grader.review.regrading import OneExercise, Regraded


@options.command("regrade", short_help="Grade again what changed checks touch; see who gains.")
@click.argument("run", default="latest")
@click.argument(
    "paths", nargs=-1, metavar="[PATH...]", type=click.Path(exists=True, path_type=Path)
)
@click.option(
    "--only",
    metavar="EXERCISE",
    multiple=True,
    help="Grade this exercise again, whether its checks have changed or not; repeatable.",
)
@click.option(
    "--only-up",
    metavar="REASON",
    help="Nobody may lose points: each check gives at least what it gave before. Reports show "
    "the reason.",
)
@click.option(
    "--lower", metavar="REASON", help="Some students may lose points. Reports show the reason."
)
@click.option(
    "--reason", metavar="TEXT", default="", help="The reason to show where nobody loses points."
)
@click.option(
    "--afresh",
    is_flag=True,
    help="Run the notebooks again, even if what they answered is kept.",
)
@options.assignments
@options.jobs("Grading processes. Default: one a core.")
@options.json_file
@click.pass_obj
def command(
    invocation: Invocation,
    run: str,
    paths: Sequence[Path],
    only: Sequence[str],
    only_up: str | None,
    lower: str | None,
    reason: str,
    afresh: bool,
    assignments: Path | None,
    jobs: int | None,
    json_file: str | None,
) -> int:
    """Grade a run's class again where checks have changed, and show who gains and who loses.

    The exercises that a changed check touches are graded, with the run's seed and options; all
    other verdicts stay as they are. What comes out is a run of its own, and each grade that
    changed is in the history. Where somebody would lose points, nothing is kept until you say
    --only-up or --lower; asked again, it takes no time.

    A submission's notebooks don't run if the checks ask what they asked before: the answers of
    then are kept with the results.

    \b
    Examples:
      grade regrade                        the latest run
      grade regrade 12 --only-up "the tolerance was too small"
      grade regrade 12 --lower "a wrong sign was accepted"
      grade regrade 12 --only 2c-softplus submissions/

    PATH is where the submissions lie; default: where the run found them. With --json -, who gains
    and who loses is written as `grade results 12 13 --json -` writes it.
    """
    click.get_current_context().with_resource(standing_by())
    from grader.batch import store
    from grader.review import regrading

    if only_up is not None and lower is not None:
        raise click.UsageError("--only-up and --lower exclude each other.")
    given = next((text for text in (only_up, lower) if text is not None), None)
    if given is not None and not given.strip():
        raise click.UsageError("A reason is needed: every report shows it.")
    output.check_targets(json_file, None, None)
    file = store.place(os.environ)
    if file is None:
        raise click.UsageError(f"No results are kept: ${store.VARIABLE} is {store.NOWHERE}.")
    with store.open_store(file, create=False) as opened:
        (before,) = chosen_runs([run], opened.runs(), changes=False)
        assignment = _assignment(before, assignments)
        exercises, checks = _touched(before, assignment, only)
        if not exercises:
            click.echo(f"no check has changed since run {before.id}: --only names an exercise")
            return GRADED
        part = None if only else _part(before, assignment, exercises)
        _say_what(exercises, part)
        report = _grade(before, paths, exercises, part, assignments, jobs, afresh=afresh)
        (after,) = opened.runs(report.run)
        _say_how(after, report.from_answers)
        from grader.gradebook.people import who_is

        regraded = regrading.regrade(opened, before, after, who_is=who_is, part=part)
        found = regrading.compare(opened, before, regraded, assignment)
        _say_who(regraded)
        losing = [change for change in found.changed if change.gained < -1e-9]
        opened.drop(after.id)
        if losing and given is None:
            _show(found, before, None, json_file)
            names = ", ".join(one_line(" · ".join(c.after.students) or c.after.path, 60)
                              for c in losing[:5])  # fmt: skip
            more = f" and {len(losing) - 5} more" if len(losing) > 5 else ""
            output.complain(
                f"{len(losing)} would lose points: {names}{more}. Nothing was changed: decide by "
                "--only-up REASON or --lower REASON"
            )
            return UNDER
        reason = given or reason
        about = _about(before, after, exercises, checks, reason)
        after = regrading.keep(opened, before, regraded, about=about)
        regrading.write_down(
            opened, before, after, found, assignment, grader=marks.grader_name(), reason=reason
        )
        _show(found, before, after, json_file)
        click.echo(f"run {after.id} is the class with these verdicts", err=True)
        if only_up is not None:
            marks.keep_points(opened, before, after, only_up, assignments)
    return GRADED


def _assignment(before: RunRecord, folder: Path | None) -> Assignment:
    from grader.assignment import find_assignments, folder_of, load_assignment

    return load_assignment(
        folder_of(before.assignment, find_assignments(Path.cwd(), folder, os.environ))
    )


def _touched(
    before: RunRecord, assignment: Assignment, only: Sequence[str]
) -> tuple[list[str], Mapping[str, str]]:
    """Return the exercises to grade again, and what the checks are now."""
    from grader.assignment.check_fingerprints import check_fingerprints, touched
    from grader.choosing import require_exercises

    now = check_fingerprints(assignment)
    require_exercises(assignment, only)
    graded = before.settings.get("only") or [exercise.id for exercise in assignment.exercises]
    assert isinstance(graded, list)
    if only:
        known = {name: "" if name in only else value for name, value in now.items()}
    elif not (known := before.about.get("checks") or {}):
        raise click.UsageError(
            f"What the checks of run {before.id} were is not kept (it is of an earlier version, or "
            "joins runs with different checks): name the exercises with --only."
        )
    return [name for name in touched(known, now, assignment.exercises) if name in graded], now


def _part(
    before: RunRecord, assignment: Assignment, exercises: Sequence[str]
) -> OneExercise | None:
    """Return the checks to grade again, if they are a part of one exercise's."""
    from grader.assignment.check_fingerprints import changed_checks, fingerprints_by_check
    from grader.review.regrading import OneExercise

    if len(exercises) != 1:
        return None
    (exercise,) = (e for e in assignment.exercises if e.id == exercises[0])
    known = (before.about.get("each_check") or {}).get(exercise.id) or {}
    now = fingerprints_by_check(assignment)[exercise.id]
    changed = changed_checks(known, now, exercise)
    names = [name for name in now if name]
    if not changed or len(changed) == len(names):
        return None
    return OneExercise(assignment, exercise.id, changed, names)


def _say_what(exercises: Sequence[str], part: OneExercise | None) -> None:
    which = f", {len(part.changed)} of its {len(part.names)} checks" if part is not None else ""
    click.echo(f"graded again: {', '.join(exercises)}{which}", err=True)


def _grade(
    before: RunRecord,
    paths: Sequence[Path],
    exercises: Sequence[str],
    part: OneExercise | None,
    assignments: Path | None,
    jobs: int | None,
    *,
    afresh: bool,
) -> Report:
    """Grade these exercises as a run of its own; return its report."""
    from grader import pipeline
    from grader.request import Request

    about = before.about
    where = [Path(path) for path in about.get("paths", ())]
    if not paths:
        gone = [path for path in where if not path.exists()]
        if gone or not where:
            why = f"{gone[0]} is not there any more" if gone else "the run doesn't tell where"
            raise click.UsageError(
                f"Where do the submissions of run {before.id} lie ({why})? "
                f"grade regrade {before.id} PATH..."
            )
    shard = about.get("shard") if not paths else None
    settings: dict[str, Any] = dict(before.settings)
    with Watching(None) as watch:
        request = Request(
            assignment=before.assignment,
            assignments=assignments,
            only=exercises,
            checks=[(part.id, name) for name in part.changed] if part is not None else (),
            public=bool(settings.get("public")),
            seed=int(settings.get("seed", 0)),
            sandbox=settings.get("sandbox", "auto"),
            jobs=jobs or pipeline.cores(),
            keep=True,
            regrade=afresh,
            part_of=before.id,
            from_answers=not afresh,
            progress=watch,
            split=about.get("split") if not paths else None,
            apart=bool(about.get("apart")) if not paths else False,
            shard=(int(shard[0]), int(shard[1])) if shard else None,
        )
        report = pipeline.grade(paths or where, request)
    if report.isolation:
        output.complain(report.isolation)
    if report.run is None:
        raise click.UsageError("Nothing could be kept, so nothing is graded again.")
    return report


def _say_how(after: RunRecord, from_answers: int) -> None:
    """Say for how many submissions a notebook had to run."""
    graded = after.results - after.not_graded
    anew = graded - after.kept - from_answers
    counts = {
        "from kept answers": from_answers,
        "anew": anew,
        "as graded before": after.kept,
        "not graded": after.not_graded,
    }
    told = ", ".join(f"{count} {how}" for how, count in counts.items() if count)
    plural = "" if after.results == 1 else "s"
    click.echo(f"{after.results} submission{plural}: {told or 'none found'}", err=True)


def _about(
    before: RunRecord,
    partial: RunRecord,
    exercises: Sequence[str],
    checks: Mapping[str, str],
    reason: str,
) -> dict[str, Any]:
    same = before.about.get("environment") == partial.about.get("environment")
    if before.about and not same:
        output.complain(
            f"the grader, a package or a data set has changed since run {before.id}; the other "
            "exercises keep the verdicts of that run"
        )
    return {
        **before.about,
        **{name: partial.about.get(name) for name in ("paths", "split", "shard", "apart")},
        "checks": dict(checks),
        "each_check": partial.about["each_check"],
        "of": before.id,
        "exercises": list(exercises),
        "reason": reason,
        "who": marks.grader_name(),
    }


def _say_who(regraded: Regraded) -> None:
    from grader.cli.gradebook import tell

    def named(results: Sequence[Result]) -> list[str]:
        return [one_line(" · ".join(r.students) or r.path, 60) for r in results]

    tell("not found, whose verdicts stay", named(regraded.missing))
    tell(
        "with other work since, whose verdicts stay: `grade` grades it", named(regraded.other_work)
    )
    tell("could not be graded again, whose verdicts stay", named(regraded.failed))


def _show(
    found: Changes, before: RunRecord, after: RunRecord | None, json_file: str | None
) -> None:
    from grader.report import changes

    changes.show_changes(found, before, after, output.console(stderr=json_file == "-"))
    if json_file is not None:
        output.write(json_file, changes.changes_as_json(found, before, after))
