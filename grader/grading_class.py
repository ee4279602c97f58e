"""A class: every submission of one assignment that has no result yet is graded, and reported.

It reads straight down: prepare the kernels, choose where to grade and where to keep the results,
then grade each submission: in this process, in workers, or on a cluster.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from grader.batch import cache_key, known_builder
from grader.batch.collector import Collector, Job
from grader.batch.serialization import Packed
from grader.batch.workers import Workers, cores
from grader.environments import python_of
from grader.errors import Interrupted
from grader.explaining import explainer_of, notebooks_without_table
from grader.records import Assignment, Options, Report
from grader.request import Request
from grader.session import Kernels, start_fork_server
from grader.session.fork_server import ForkServer
from grader.submission.incoming import Incoming

if TYPE_CHECKING:
    from grader.batch.store import KeptRun
    from grader.suite import Suite
    from grader.warm.held import Held


def grade_class(
    chosen: Assignment,
    submissions: Sequence[Incoming],
    request: Request,
    options: Options,
    *,
    fork_server: ForkServer | None,
    held: Held | None = None,
    about: dict[str, object],
) -> Report:
    """Return the verdict on every submission of one assignment, in order.

    options : for each grading process
    fork_server : closed at the end
    held : checks and a fork server of an earlier run
    about : where the submissions lie, for the kept run
    Raises AssignmentError for checks that don't load, ClusterError, Interrupted.
    """
    progress = request.progress
    with ExitStack() as stack:
        # Prepare the kernels.
        if fork_server is not None:
            stack.callback(fork_server.close)
        python = python_of(chosen)
        if fork_server is not None and held is None and python is not None:
            # It was started before the assignment's interpreter was known.
            fork_server.close()
            fork_server = start_fork_server(request.sandbox, python)
            if fork_server is not None:
                stack.callback(fork_server.close)
        chosen = replace(chosen, sandbox=request.sandbox)
        kernels = stack.enter_context(
            Kernels(
                chosen,
                fork_server,
                preloaded=held is not None,
                draw=options.figures != "none",
                share_cells=options.share_cells,
            )
        )

        # Choose where to grade, and where to keep the results.
        cluster = None
        if request.dask is not None:
            # Imported here: it is an extra, and takes half a second to load.
            from grader.batch.cluster import Cluster

            cluster = stack.enter_context(Cluster(request.dask))
            cluster.find_environment(progress.warn)
        environment = cluster.environment if cluster else ""
        if not environment and not chosen.public_only:
            environment = cache_key.environment()
        run = None
        if request.keep:
            # Imported here: a student's machine has no use for it.
            from grader.batch.keeping import kept_run

            run = stack.enter_context(
                kept_run(
                    chosen,
                    options,
                    submissions=len(submissions),
                    environment=environment or cache_key.environment(),
                    warn=progress.warn,
                    about=about,
                )
            )

        if run is None or not run.answers_mib:
            options = replace(options, keep_answers=False)

        # Errors in the checks are reported first. If results of these checks are kept, they have
        # loaded.
        suite = _suite(chosen, run, held, stack)
        found = [incoming.shown for incoming in submissions]
        explainer, tables = explainer_of(
            chosen, seed=request.seed, environment=environment, environ=os.environ
        )
        collector = Collector(
            found,
            progress=progress,
            run=run,
            evidence=request.evidence,
            origins=[incoming.origin for incoming in submissions],
            explainer=explainer,
        )
        progress.begin(chosen.id, chosen.title, request.seed, found, options.folder)

        # Grade each submission that has no result yet.
        try:
            waiting = _waiting(submissions, collector, request)
            if len(waiting) < known_builder.CLASS:
                untold = notebooks_without_table(chosen, explainer)
                options = replace(options, try_mistakes=untold)
            began = time.monotonic()
            if cluster is not None and waiting:
                cluster.run(options, waiting, collector)
            elif waiting:
                if suite is None:
                    suite = _opened(chosen, stack)
                if min(request.jobs, len(waiting)) > 1:
                    _grade_in_workers(suite, kernels, options, waiting, collector, request)
                else:
                    _grade_here(suite, kernels, options, waiting, collector, submissions, request)
            if request.keep and tables is not None and len(waiting) >= known_builder.CLASS:
                # After the class, and only if a wrong answer has no name yet.
                known_builder.build(
                    chosen,
                    tables,
                    collector.unnamed,
                    seed=request.seed,
                    sandbox=request.sandbox,
                    class_s=time.monotonic() - began,
                    doing=collector.doing,
                )
                collector.explain_again()
        except KeyboardInterrupt as stop:
            raise Interrupted(collector.interrupted()) from stop
        collector.end()
        for line in collector.sharing_lines():
            progress.warn(line)
        return Report(
            chosen.id,
            chosen.title,
            request.seed,
            collector.results(),
            collector.isolation,
            checks_from=options.folder,
            run=collector.run.id if collector.run is not None else None,
            from_answers=collector.from_answers,
        )


def _suite(
    chosen: Assignment, run: KeptRun | None, held: Held | None, stack: ExitStack
) -> Suite | None:
    """Return the collected checks; None if results of them are kept: they may not be needed."""
    if held is not None and held.suite is not None:
        return held.suite
    return _opened(chosen, stack) if run is None or not run.has_results() else None


def _opened(chosen: Assignment, stack: ExitStack) -> Suite:
    # Imported here: pytest loads while the fork server imports what notebooks need.
    from grader.suite import open_suite

    return stack.enter_context(open_suite(chosen))


def _waiting(submissions: Sequence[Incoming], collector: Collector, request: Request) -> list[Job]:
    """Return the jobs to grade; give the collector the results of all others."""
    for number, incoming in enumerate(submissions):
        if incoming.refused is not None:
            collector.put(number, incoming.refused)
    jobs = [
        Job(number, one.path, cache_key.input_hash(Path(one.path)) if collector.run else "")
        for number, one in enumerate(submissions)
        if one.refused is None
    ]
    return collector.without_kept(jobs, regrade=request.regrade)


def _grade_in_workers(
    suite: Suite,
    kernels: Kernels,
    options: Options,
    waiting: Sequence[Job],
    collector: Collector,
    request: Request,
) -> None:
    from grader import grading  # noqa: F401  once, not in each worker
    from grader.batch.worker import serve_with
    from grader.session import cell_outputs

    count = min(request.jobs, len(waiting))
    options = replace(options, kernels=max(1, cores() // count), shared=str(kernels.shared or ""))
    cell_outputs.load()  # once, not in each worker
    with Workers(
        options,
        count=count,
        fork_server=kernels.fork_server,
        serve=serve_with(suite, kernels.assignment),
        kept=_kept_by(collector, request),
    ) as workers:
        workers.run(waiting, collector)


def _grade_here(
    suite: Suite,
    kernels: Kernels,
    options: Options,
    waiting: Sequence[Job],
    collector: Collector,
    submissions: Sequence[Incoming],
    request: Request,
) -> None:
    from grader.batch.worker import open_grader
    from grader.grading import grade_each
    from grader.suite.interrupting import interruptible_in_c

    read = {number: one for number, one in enumerate(submissions) if one.was_opened}
    kept = _kept_by(collector, request)
    jobs = (replace(job, kept=kept(job)) for job in waiting)
    with interruptible_in_c(), open_grader(suite, kernels, options) as grader:
        grade_each(grader, jobs, collector, read)


def _kept_by(collector: Collector, request: Request) -> Callable[[Job], Packed | None]:
    """Return what gives a submission's kept answers; nothing where they are not asked for."""
    return collector.kept_answers if request.from_answers else lambda job: None
