"""The stages in order: submission -> notebook -> session -> checks -> score -> report.

`grade` takes paths and gives a Report; what goes wrong with one submission stays inside
its Result. Whose fault it was decides: the student's code costs the exercises it breaks,
the submission's form refuses it, ours stops its grading and costs nothing.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from grader.assignment import find_assignments
from grader.batch import cache_key
from grader.batch.collector import Collector, Job, NoProgress, Progress
from grader.batch.known_builder import building
from grader.batch.serialization import Results
from grader.batch.workers import Workers, cores
from grader.choosing import (
    require_exercises,
    require_known_course,
    require_students_machine,
    tell_apart,
)
from grader.environments import python_of
from grader.errors import GraderFault, Interrupted
from grader.explaining import explainer_of
from grader.plugins import take_export_apart
from grader.records import Assignment, Options, Report, Sandbox
from grader.session import (
    Kernels,
    remove_session_leftovers,
    require_open_files,
    require_sandbox,
    start_fork_server,
)
from grader.session.fork_server import ForkServer
from grader.submission.incoming import Incoming, find_incoming
from grader.temporary import TemporaryFolder

if TYPE_CHECKING:
    from grader.warm.held import Held

__all__ = ["cores", "grade"]


def grade(
    paths: Sequence[Path],
    *,
    assignment: str | None = None,
    assignments: Path | None = None,
    only: Sequence[str] = (),
    public: bool = False,
    seed: int = 0,
    sandbox: Sandbox = "auto",
    jobs: int = 1,
    dask: str | None = None,
    keep: bool = False,
    regrade: bool = False,
    evidence: bool = False,
    progress: Progress | None = None,
    split: bool | None = None,
    shard: tuple[int, int] | None = None,
    held: Held | None = None,
    share_cells: bool = False,
) -> Report:
    """Return the verdict on every submission found in paths, in order.

    Where several assignments were handed in, each is graded by itself, and the report has parts.

    assignment : its id; recognised, submission by submission, where None
    assignments : folder of assignments; found from $GRADE_ASSIGNMENTS or upwards where None
    only : ids of exercises; empty for all
    public : run the public checks alone
    sandbox : how student code is closed in
    jobs : grading processes; 1 grades in this one, as a single submission is graded always
    dask : address of a dask scheduler; its workers grade instead
    keep : keep results, and take up those of earlier runs, where batch/store.py says
    regrade : take up none
    evidence : give it to `progress` with each result; the report holds verdicts alone
    progress : hears how it goes on
    split : what a path holds is a class's, or one submission; None: as its names say
    shard : (3, 16) for the third of 16 parts of the class; None for all of it
    share_cells : run the template's first cells once for all submissions that have them unchanged
    held : checks and a fork server of an earlier run. Raises NotHeld where they are not these
    Raises AssignmentError and SubmissionError for what the user must put right first, before any
    kernel starts: no such path, no such assignment or exercise, checks that don't load. Raises
    SandboxError, ClusterError, Interrupted.
    """
    require_open_files()
    require_sandbox(sandbox)
    remove_session_leftovers()
    folders = find_assignments(Path.cwd(), assignments, os.environ, graded=paths)
    progress = progress or NoProgress()
    with ExitStack() as stack:
        # It starts while submissions are read, checks are loaded and pytest is imported.
        fork_server = None if dask is not None else _fork_server(sandbox, progress, held)
        if fork_server is not None:
            stack.callback(fork_server.close)

        # Who handed in what, and which assignment it answers.
        scratch = stack.enter_context(TemporaryFolder())
        submissions, remarks = find_incoming(
            paths, scratch, split=split, shard=shard, unpacker=take_export_apart
        )
        for line in remarks:
            progress.warn(line)
        asked = _Asked(
            assignments, tuple(only), public, seed, sandbox, jobs, dask, keep, regrade, evidence,
            progress, alone=len(submissions) == 1, share_cells=share_cells,
            about={"paths": [os.path.abspath(path) for path in paths], "split": split,  # noqa: PTH100
                   "shard": shard},
        )  # fmt: skip
        chosen = tell_apart(assignment, folders, submissions, progress.warn, asked.kept_assignments)
        if not chosen:
            found = [incoming.shown for incoming in submissions]
            collector = Collector(
                found, progress=progress, origins=[incoming.origin for incoming in submissions]
            )
            progress.begin("", "", seed, found)
            for number, incoming in enumerate(submissions):
                collector.put(number, incoming.result())
            return Report("", "", seed, collector.results())
        for one, _ in chosen:
            # What is wrong with any of them is said before a kernel starts.
            if held is not None:
                held.require(one, sandbox)
            asked.require(one)
        if len(chosen) == 1:
            return _grade_class(chosen[0][0], submissions, asked, fork_server, held)
        progress.several([one.id for one, _ in chosen])
        parts: list[Report] = []
        for one, places in chosen:
            if parts and dask is None:  # whoever has used one has closed it
                fork_server = _fork_server(sandbox, progress, held)
            mine = [submissions[place] for place in places]
            parts.append(_grade_class(one, mine, asked, fork_server, held))
        return _together(parts)


@dataclass(frozen=True)
class _Asked:
    """What `grade` was asked for, the same for each assignment."""

    assignments: Path | None
    only: tuple[str, ...]
    public: bool
    seed: int
    sandbox: Sandbox
    jobs: int
    dask: str | None
    keep: bool
    regrade: bool
    evidence: bool
    progress: Progress
    alone: bool
    share_cells: bool
    about: Mapping[str, object]
    """Where the submissions lay, for the run that is kept."""

    def require(self, chosen: Assignment) -> None:
        """Raise AssignmentError where that assignment can't be graded so."""
        require_exercises(chosen, self.only)
        if chosen.public_only and self.assignments is None:
            require_students_machine(chosen, self.progress.warn)
        elif self.keep and not chosen.public_only:
            require_known_course(chosen, self.assignments, self.progress.warn)

    def options(self, chosen: Assignment) -> Options:
        """Return what each grading process is told."""
        return Options(
            str(chosen.folder.resolve()),
            self.only,
            self.public,
            self.seed,
            self.sandbox,
            evidence=self.evidence or self.keep,
            # A page shows them, and whoever grades by hand wants them beside the words.
            figures=self.evidence or any(e.manual or e.answer_cells for e in chosen.exercises),
            kernels=cores(),
            alone=self.alone,
            share_cells=self.share_cells and not self.alone,
        )

    def kept_assignments(
        self, known: Mapping[str, Assignment], submissions: Sequence[Incoming]
    ) -> Mapping[int, str]:
        """Return which assignment the submissions answered that an earlier run has graded."""
        if not self.keep or self.dask is not None:
            return {}
        from grader.batch.keeping import kept_assignments

        return kept_assignments(
            {name: self.options(one) for name, one in known.items()},
            [cache_key.input_hash(Path(i.path)) if not i.refused else "" for i in submissions],
        )


def _together(parts: Sequence[Report]) -> Report:
    """Return one report of several assignments."""
    results = Results([])
    for part in parts:
        assert isinstance(part.results, Results)
        results += part.results
    names = ", ".join(part.assignment for part in parts)
    isolation = next((part.isolation for part in parts if part.isolation), "")
    return Report(names, "", parts[0].seed, results, isolation, parts=tuple(parts))


def _fork_server(sandbox: Sandbox, progress: Progress, held: Held | None) -> ForkServer | None:
    try:
        return held.fork_server() if held else start_fork_server(sandbox)
    except GraderFault as fault:
        # Each kernel is started by itself; what can't be is told submission by submission.
        progress.warn(f"{fault}: it goes on without, more slowly")
        return None


def _grade_class(
    chosen: Assignment,
    submissions: Sequence[Incoming],
    asked: _Asked,
    fork_server: ForkServer | None,
    held: Held | None,
) -> Report:
    """Return the verdict on every submission of one assignment, in order.

    fork_server : is closed at the end
    held : checks and a fork server of an earlier run
    """
    seed, progress, keep, dask = asked.seed, asked.progress, asked.keep, asked.dask
    found = [incoming.shown for incoming in submissions]
    origins = [incoming.origin for incoming in submissions]
    with ExitStack() as stack:
        if fork_server is not None:
            stack.callback(fork_server.close)
        # What they are graded with.
        options = asked.options(chosen)
        chosen = replace(chosen, sandbox=asked.sandbox)
        python = python_of(chosen)
        if fork_server is not None and held is None and python is not None:
            # It was started before anybody knew which interpreter is asked for.
            fork_server.close()
            fork_server = start_fork_server(asked.sandbox, python)
            if fork_server is not None:
                stack.callback(fork_server.close)
        kernels = stack.enter_context(
            Kernels(
                chosen,
                fork_server,
                preloaded=held is not None,
                draw=options.figures,
                share_cells=options.share_cells,
            )
        )

        # Where it is graded, and where the results go.
        cluster = None
        if dask is not None:
            # Imported here: it is an extra, and takes half a second to load.
            from grader.batch.cluster import Cluster

            cluster = stack.enter_context(Cluster(dask))
            cluster.find_environment(progress.warn)
        run = None
        environment = cluster.environment if cluster else ""
        if not environment and not chosen.public_only:
            environment = cache_key.environment()
        if keep:
            # Imported here: a student's machine has no use for it.
            from grader.batch.keeping import kept_run

            run = stack.enter_context(
                kept_run(
                    chosen,
                    options,
                    submissions=len(found),
                    environment=environment or cache_key.environment(),
                    warn=progress.warn,
                    about=asked.about,
                )
            )
        # Imported here: pytest loads while the fork server imports what notebooks need.
        from grader.batch.worker import serve_with
        from grader.grading import Grader, grade_each
        from grader.session.cell_runner import cell_runner as load_for_kernels
        from grader.suite import open_suite
        from grader.suite.interrupting import heard_in_c

        # What is wrong with the checks is said first. Where results of them are kept, they loaded.
        suite = held.suite if held is not None else None
        if suite is None and (run is None or not run.has_results()):
            suite = stack.enter_context(open_suite(chosen))
        collector = Collector(
            found,
            progress=progress,
            run=run,
            evidence=asked.evidence,
            origins=origins,
        )
        explainer, tables = explainer_of(
            chosen, seed=seed, environment=environment, environ=os.environ
        )
        if explainer is not None:
            collector.explain = explainer.explain
        progress.begin(chosen.id, chosen.title, seed, found, options.folder)

        # Each submission that has no result yet is graded.
        try:
            for number, incoming in enumerate(submissions):
                if incoming.refused is not None:
                    collector.put(number, incoming.refused)
            waiting = collector.without_kept(
                [
                    Job(number, one.path, cache_key.input_hash(Path(one.path)) if run else "")
                    for number, one in enumerate(submissions)
                    if one.refused is None
                ],
                regrade=asked.regrade,
            )
            if keep and tables is not None:
                # More is known by the end, and for the next time.
                stack.enter_context(
                    building(chosen, tables, seed=seed, sandbox=asked.sandbox, count=len(waiting))
                )
            count = min(asked.jobs, len(waiting))
            if cluster is not None and waiting:
                cluster.run(options, waiting, collector)
            elif count > 1:
                options = replace(
                    options, kernels=max(1, cores() // count), shared=str(kernels.shared or "")
                )
                suite = suite or stack.enter_context(open_suite(chosen))
                load_for_kernels()  # once, not in each worker
                with Workers(
                    options,
                    count=count,
                    fork_server=kernels.fork_server,
                    serve=serve_with(suite, chosen),
                ) as workers:
                    workers.run(waiting, collector)
            elif waiting:
                suite = suite or stack.enter_context(open_suite(chosen))
                read = {n: one for n, one in enumerate(submissions) if one.was_opened}
                with heard_in_c(), Grader(suite, kernels, options) as grader:
                    grade_each(grader, waiting, collector, read)
            if explainer is not None:
                collector.explain_again()
        except KeyboardInterrupt as stop:
            raise Interrupted(collector.interrupted()) from stop
        collector.end()
        return Report(
            chosen.id,
            chosen.title,
            seed,
            collector.results(),
            collector.isolation,
            checks_from=options.folder,
            run=collector.run.id if collector.run is not None else None,
        )
