"""`grade PATH...`: grade submissions."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import grader
from grader.cli import options, output, unexplained_groups
from grader.cli.options import FAULT, GRADED, UNDER, WRONG_INPUT, Invocation
from grader.cli.watching import Watching
from grader.session.guard import standing_by

if TYPE_CHECKING:
    from grader.records import Report, Result, Sandbox
    from grader.warm.held import Held


class _UnnamedContext(click.Context):
    """The context of the default command, which needs no name."""

    @property
    def command_path(self) -> str:
        return self.parent.command_path if self.parent else super().command_path


class Unnamed(click.Command):
    """A command whose usage reads `grade PATH...`, not `grade grade PATH...`."""

    context_class = _UnnamedContext


class Given(click.Path):
    """A path to grade. If it does not exist, it may be a misspelt command."""

    def convert(self, value: Any, param: Any, context: Any) -> Any:
        if not os.path.lexists(value):
            from difflib import get_close_matches

            from grader.cli.commands import COMMANDS

            for near in get_close_matches(os.fspath(value), COMMANDS, n=1):
                self.fail(f"Path {value!r} does not exist. Did you mean `grade {near}`?")
        return super().convert(value, param, context)


def _finite(context: click.Context, option: click.Parameter, value: float | None) -> float | None:
    if value is not None and not math.isfinite(value):
        # A limit of nan would let everything pass.
        raise click.BadParameter(f"{value} is not a percentage.")
    return value


def _shard(
    context: click.Context, option: click.Parameter, value: str | None
) -> tuple[int, int] | None:
    if value is None:
        return None
    part, slash, parts = value.partition("/")
    if not (slash and part.isdecimal() and parts.isdecimal() and 1 <= int(part) <= int(parts)):
        raise click.BadParameter(f"{value!r} is not a part such as 3/16.")
    return int(part), int(parts)


@options.command("grade", cls=Unnamed)
@click.argument(
    "paths",
    nargs=-1,
    required=True,
    metavar="PATH...",
    type=Given(exists=True, path_type=Path),
)
@click.option("--assignment", metavar="ID", help="Which assignment it is. Default: recognised.")
@click.option(
    "--split/--no-split",
    default=None,
    help="--split: a PATH holds a class, one submission for each student. --no-split: a PATH is "
    "one submission. Default: the names of files and folders decide.",
)
@options.assignments
@click.option(
    "--only", metavar="EXERCISE", multiple=True, help="Grade only this exercise. Repeatable."
)
@click.option("--public", is_flag=True, help="Run only the public checks, as students do.")
@click.option(
    "--seed",
    metavar="N",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Seed of every random input: the same seed gives the same report.",
)
@click.option(
    "--shard",
    metavar="PART/PARTS",
    callback=_shard,
    help="Grade only one part of the class, for example 3/16. `grade results --merge` joins the "
    "parts.",
)
@options.jobs("Grading processes. Default: one for each core; a single submission uses one.")
@click.option(
    "--dask",
    metavar="ADDRESS",
    help="Grade on a dask.distributed cluster: its scheduler's address, or scheduler file.",
)
@click.option("--regrade", is_flag=True, help="Grade again, even if an earlier run has the result.")
@click.option(
    "--keep-warm/--no-keep-warm",
    default=None,
    help="Keep a process with everything loaded for an hour: it grades the next file of this "
    "folder faster. --no-keep-warm ends such processes. Linux only.",
)
@click.option(
    "--share-cells/--no-share-cells",
    default=False,
    show_default=True,
    help="Run the first cells of the template, which load data, once for all submissions that have "
    "not changed them. Linux only, as root or with --sandbox none.",
)
@click.option(
    "--watch",
    is_flag=True,
    help="Grade again after each save, until Ctrl-C, and show what has changed.",
)
@options.sandbox
@options.json_file
@options.junit_file
@options.html_folder
@options.reports
@options.for_students
@click.option(
    "--fail-under",
    metavar="PERCENT",
    type=click.FloatRange(0, 100),
    callback=_finite,
    help="Exit with 1 if a submission has less of its automatic points, or is refused.",
)
@click.version_option(grader.__version__, prog_name="grade")
@click.pass_obj
def command(
    invocation: Invocation,
    paths: Sequence[Path],
    assignment: str | None,
    split: bool | None,
    assignments: Path | None,
    only: Sequence[str],
    public: bool,
    seed: int,
    shard: tuple[int, int] | None,
    jobs: int | None,
    dask: str | None,
    regrade: bool,
    keep_warm: bool | None,
    share_cells: bool,
    watch: bool,
    sandbox: Sandbox,
    json_file: str | None,
    junit_file: str | None,
    html_folder: str | None,
    reports: Sequence[str],
    for_students: bool,
    fail_under: float | None,
) -> int:
    """Grade submissions: .zip files, notebooks, scripts or folders.

    The notebooks run in a process of their own. The report says what each exercise earned, and why
    not more. A submission that can't be read is refused in one line, and the rest goes on. Results
    are kept: a second run grades only what has changed, and a stopped run goes on.

    \b
    Examples:
      grade Dupont_Anne.zip
      grade submissions/ --html pages --json scores.json
      grade sigmoid.ipynb --only 2ab-sigmoid --public
      grade submissions/ --fail-under 50 --junit report.xml
      grade sigmoid.ipynb --watch

    To grade a folder with the name of a command, write ./stubs.
    """
    if keep_warm is False:
        from grader.warm.client import end_all

        end_all()
    one_file = len(paths) == 1 and paths[0].is_file() and dask is None and shard is None
    asks = one_file and keep_warm is not False and not watch and invocation.held is None
    if asks and (code := _done_by_another(invocation, paths[0])) is not None:
        return code
    # Before anything that makes a fork of this process more expensive.
    click.get_current_context().with_resource(standing_by())
    if dask is None and invocation.held is None:
        # Before anything that takes long to load: it warms up meanwhile.
        from grader.session.fork_server import started_early

        click.get_current_context().with_resource(started_early(sandbox))
    from grader import pipeline
    from grader.request import Request

    output.check_targets(json_file, junit_file, html_folder)
    plugin_reports = output.plugin_reports(reports)
    # Standard output belongs to a machine-readable report, if one goes there.
    to_stderr = "-" in (json_file, junit_file, *(file for _, file in plugin_reports))
    if dask is not None and jobs is not None:
        raise click.UsageError(
            "--jobs is for this machine and --dask for a cluster: give one of them."
        )
    if watch and (dask is not None or shard is not None or keep_warm):
        raise click.UsageError("--watch can't be used with --dask, --shard or --keep-warm.")
    if watch and to_stderr:
        raise click.UsageError("With --watch a report needs the name of a file, not '-'.")
    if dask is None:
        output.check_data()

    def once(held: Held | None, before: Report | None = None) -> tuple[Report, int]:
        with Watching(html_folder, for_students=for_students) as watching:
            request = Request(
                assignment=assignment,
                assignments=assignments,
                only=only,
                public=public,
                seed=seed,
                sandbox=sandbox,
                jobs=jobs or pipeline.cores(),
                dask=dask,
                keep=True,
                regrade=regrade,
                evidence=html_folder is not None or output.in_github_actions(),
                progress=watching,
                split=split,
                shard=shard,
                share_cells=share_cells,
            )
            report = pipeline.grade(paths, request, held=held)
        if report.isolation:
            output.complain(report.isolation)
        if for_students:
            from grader.gradebook.for_students import report_for_students

            report = report_for_students(report)
        # Not at the top: the kernels would wait while rich loads.
        from grader.report import terminal

        try:
            terminal.show(
                report,
                output.console(stderr=to_stderr),
                tracebacks=invocation.tracebacks,
                before=before,
            )
            if not for_students:
                unexplained_groups.hint(report.results, stderr=to_stderr)
        finally:  # `| head` ends the output, but must not lose the files
            output.write_reports(report, json_file, junit_file)
            output.write_plugin_reports(report, plugin_reports)
            if watching.annotations is not None:
                output.write_for_github(report, watching.annotations, stderr=to_stderr)
            watching.write_index(report)
        from grader.gradebook import summary
        from grader.report.class_summary import summarise

        # The report's own summary is on the same screen, or it went into a file.
        seen = to_stderr or sys.stdout.isatty()
        for part in report.each if not for_students else ():
            marks = () if seen else summarise(part.results).marks()
            for line in summary.lines(part.results, marks):
                click.echo(f"{part.assignment}: {line}" if report.parts else line, err=True)
        if report.parts and all(part.run is not None for part in report.parts):
            click.echo(_runs_of(report), err=True)
        if shard is not None and not report.results:
            return report, GRADED  # an empty part of the class
        code = exit_code(report, fail_under)
        if code == UNDER and fail_under is not None:
            under = sum(_is_under(result, fail_under) for result in report.results)
            output.complain(f"{under} of {len(report.results)} under {fail_under:g} %")
        return report, code

    if watch:
        from grader.cli.grading_again import grade_again

        return grade_again(once, paths, sandbox)
    report, code = once(invocation.held)
    if keep_warm and asks:
        _leave_behind(report, paths[0], sandbox)
    return code


def _done_by_another(invocation: Invocation, path: Path) -> int | None:
    """Return the exit code if a process that was kept warm did the run; else None.

    If no process was ever kept warm, its folder does not exist.
    """
    from grader.warm import client

    if not client.HERE:
        return None
    try:
        return client.answered(invocation.arguments, path, program=invocation.program)
    except client.Lost:
        output.complain("the process that was kept warm has ended meanwhile: grading without it")
        return None


def _leave_behind(report: Report, path: Path, sandbox: Sandbox) -> None:
    from grader.warm.client import leave_behind

    if not report.checks_from:
        return  # nothing was recognised: there is nothing to keep
    if why := leave_behind(Path(report.checks_from), path, sandbox):
        output.complain(why)


def _runs_of(report: Report) -> str:
    """Return the number of each assignment's run in the file of results."""
    counted = [(part, len(part.results)) for part in report.parts]
    return ", ".join(
        f"run {part.run} is {part.assignment} ({n} submission{'s' if n != 1 else ''})"
        for part, n in counted
    )


def exit_code(report: Report, fail_under: float | None) -> int:
    """Return the exit code of the whole run; the most serious of several wins.

    A fault of the grader always needs a person. If nothing at all could be read, the input is
    wrong. For --fail-under a refused submission counts as one below the limit.
    """
    statuses = [result.status for result in report.results]
    if "grader_fault" in statuses:
        return FAULT
    if "graded" not in statuses:
        return WRONG_INPUT
    if fail_under is not None and any(_is_under(result, fail_under) for result in report.results):
        return UNDER
    return GRADED


def _is_under(result: Result, fail_under: float) -> bool:
    from grader.report.wording import percent

    # 1e-9: the rounding of a sum of points must not fail a limit that the sum itself reaches.
    return result.status != "graded" or percent(result) < fail_under - 1e-9
