"""`grade results RUN --unexplained`: wrong answers that several have and that nothing names."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from grader.batch.store import Store
    from grader.new_sample import Written
    from grader.records import Outcome, Region, Result, RunRecord


_OTHERWISE = 3
"""Messages of one group that are shown beside the first one's."""


def hint(results: Sequence[Result], *, stderr: bool = False) -> None:
    """Say how many submissions answer alike, where nothing explains it."""
    if len(results) < 2:
        return
    from grader.unexplained import lines_of, unexplained

    for line in lines_of(unexplained(results)):
        click.echo(line, err=stderr)


def show(
    store: Store, run: RunRecord, as_sample: tuple[int, str, str] | None, assignments: Path | None
) -> None:
    """Show one submission of each group, or make one of a group a sample of the assignment."""
    from grader.text import one_line, printable
    from grader.unexplained import unexplained

    groups = unexplained(_explained(store.results(run.id), run, assignments))
    if as_sample is not None:
        number, name, title = as_sample
        if not 1 <= number <= len(groups):
            raise click.UsageError(f"There is no group {number}; there are {len(groups)}.")
        group = groups[number - 1]
        regions = _regions(store, run, group.paths[0], group.outcome.exercise)
        written = _write(run, group.outcome, regions, name, title, assignments)
        click.echo(
            f"{written.file} is written: complete it, then run `grade verify {run.assignment}`"
        )
        if written.students_read != title:
            click.echo(f"the title holds an expression of the solution: {said_instead(written)}")
        return
    if not groups:
        click.echo("every wrong answer that several submissions share is explained")
    for number, group in enumerate(groups, start=1):
        click.echo(
            f"{number}. {len(group.paths)} submissions give the same answers at "
            f"{group.outcome.exercise}, {group.outcome.name}"
        )
        click.echo(f"   one of them: {one_line(group.paths[0], 200)}")
        for line in printable(group.outcome.message).splitlines():
            click.echo(f"   | {line}")
        for path, message in [*group.otherwise.items()][:_OTHERWISE]:
            click.echo(f"   judged on other values: {one_line(path, 200)}")
            for line in printable(message).splitlines():
                click.echo(f"   | {line}")
        if len(group.otherwise) > _OTHERWISE:
            click.echo(f"   and {len(group.otherwise) - _OTHERWISE} more judged on other values")
        for region in _regions(store, run, group.paths[0], group.outcome.exercise):
            click.echo(f"   {one_line(region.name)}:")
            for line in printable(region.source).splitlines():
                click.echo(f"       {line}")


def said_instead(written: Written) -> str:
    """Return what students read of a sample whose title they don't get to read."""
    words = written.students_read
    return (
        f"students read its `says` instead: {words}"
        if words
        else 'students don\'t read it; write what they may read, as says = "..."'
    )


def _explained(
    results: Sequence[Result], run: RunRecord, assignments: Path | None
) -> Sequence[Result]:
    """Return the results with what is known by now, where their assignment lies here."""
    from grader.assignment import find_assignments, load_assignment
    from grader.batch import cache_key
    from grader.errors import AssignmentError
    from grader.explaining import explainer_of

    try:
        folder = find_assignments(Path.cwd(), assignments, os.environ)[run.assignment]
        assignment = load_assignment(folder)
    except (AssignmentError, KeyError):
        return results
    seed = run.settings.get("seed")
    explainer, _ = explainer_of(
        assignment,
        seed=seed if isinstance(seed, int) else 0,
        environment=cache_key.environment(),
        environ=os.environ,
    )
    return results if explainer is None else [explainer.explain(result) for result in results]


def _regions(store: Store, run: RunRecord, path: str, exercise: str) -> tuple[Region, ...]:
    from grader.batch.serialization import unpack

    for item in store.items(run.id, evidence=True):
        if item.path == path:
            return unpack(item.packed).evidence.regions.get(exercise, ())
    return ()


def _write(
    run: RunRecord,
    outcome: Outcome,
    regions: Sequence[Region],
    name: str,
    title: str,
    assignments: Path | None,
) -> Written:
    from grader.assignment import find_assignments, load_assignment
    from grader.new_sample import write_sample

    folders = find_assignments(Path.cwd(), assignments, os.environ)
    if run.assignment not in folders:
        raise click.UsageError(f"There is no assignment {run.assignment} here: --assignments.")
    assignment = load_assignment(folders[run.assignment])
    return write_sample(assignment, outcome, regions, name=name, title=title)
