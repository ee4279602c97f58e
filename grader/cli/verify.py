"""`grade verify`: validate an assignment."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from grader.cli import options, output
from grader.cli.options import GRADED, UNDER
from grader.cli.output import complain
from grader.cli.watching_files import watched
from grader.session.guard import standing_by

if TYPE_CHECKING:
    from grader.records import Sandbox
    from grader.verify.verdicts import VerifyReport


@options.command("verify", short_help="Validate an assignment: are its checks right?")
@click.argument("ids", nargs=-1, metavar="[ASSIGNMENT...]")
@options.assignments
@click.option(
    "--seeds",
    metavar="N",
    type=click.IntRange(min=1),
    default=50,
    show_default=True,
    help="The number of seeds with which the reference must pass.",
)
@options.jobs("Processes at once. Default: one a core.")
@click.option("--samples-only", is_flag=True, help="Run only the samples: no mutants, no seeds.")
@click.option(
    "--write-survivors",
    is_flag=True,
    help="Add the mutants that survive to survivors.toml, where you explain each.",
)
@click.option(
    "--watch", is_flag=True, help="Validate again whenever a file of the assignment changes."
)
@click.option("--mutants/--no-mutants", default=True, help="Run automatic mutants, or not.")
@click.option(
    "--write-known",
    is_flag=True,
    help="Write the tables of known mistakes into the assignment's folder. With them the mistakes "
    "of a single submission are named, too.",
)
@options.sandbox
@options.json_file
@click.option(
    "--markdown",
    "markdown_file",
    metavar="FILE",
    help='Write the tables as Markdown; "-" is standard output.',
)
def command(
    ids: Sequence[str],
    assignments: Path | None,
    seeds: int,
    jobs: int | None,
    samples_only: bool,
    write_survivors: bool,
    watch: bool,
    mutants: bool,
    write_known: bool,
    sandbox: Sandbox,
    json_file: str | None,
    markdown_file: str | None,
) -> int:
    """Validate an assignment: are its checks right?

    The reference must score everything, the bare stub nothing, every sample what it declares;
    automatic mutants of the reference must lose points; and the reference must pass with every
    seed. What survives is listed like a failed test. Default: every assignment.

    \b
    Examples:
      grade verify pw02
      grade verify pw02 --samples-only
      grade verify --seeds 200 --no-mutants
      grade verify pw02 --samples-only --watch
      grade verify pw02 --write-known    also one submission's mistakes are named
    """
    click.get_current_context().with_resource(standing_by())
    if write_known and (samples_only or not mutants):
        raise click.UsageError(
            "--write-known needs the mutants: leave out --samples-only and --no-mutants."
        )
    if write_known and watch:
        raise click.UsageError(
            "--write-known changes what --watch looks at: leave one of them out."
        )
    output.check_targets(json_file, markdown_file, None)
    output.check_data()

    def once() -> int:
        from grader import verify as verification

        with output.progress() as tell:
            reports = verification.verify_assignments(
                ids,
                assignments=assignments,
                seeds=0 if samples_only else seeds,
                mutants=mutants and not samples_only,
                jobs=jobs,
                sandbox=sandbox,
                progress=tell,
                write_known=write_known,
            )
        console = output.console(stderr="-" in (json_file, markdown_file))
        for report in reports:
            verification.render(console, report)
        if write_survivors:
            _write_survivors(reports, assignments)
        if json_file is not None:
            output.write(json_file, verification.as_json(reports))
        if markdown_file is not None:
            tables = (verification.render_markdown(report) for report in reports)
            output.write(markdown_file, "\n".join(tables))
        return GRADED if all(report.passed for report in reports) else UNDER

    return watched(once, lambda: _folders(ids, assignments)) if watch else once()


def _folders(ids: Sequence[str], assignments: Path | None) -> list[Path]:
    """Return the folders that are verified."""
    from grader.assignment import find_assignments

    found = find_assignments(Path.cwd(), assignments, os.environ)
    return [found[name] for name in ids or sorted(found) if name in found]


def _write_survivors(reports: Sequence[VerifyReport], assignments: Path | None) -> None:
    from grader.assignment import find_assignments
    from grader.verify.explanations import draft_explanations

    folders = find_assignments(Path.cwd(), assignments, os.environ)
    for report in reports:
        folder = folders[report.assignment]
        if added := draft_explanations(folder, report.unexplained):
            complain(f"{folder / 'survivors.toml'}: {added} to explain, or to catch by a check")
