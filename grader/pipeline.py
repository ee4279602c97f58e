"""The stages in order: submission -> notebook -> session -> checks -> score -> report.

`grade` takes paths and gives a Report; what goes wrong with one submission stays inside
its Result. Whose fault it was decides: the student's code costs the exercises it breaks,
the submission's form refuses it, ours stops its grading and costs nothing.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from grader.assignment import ENVIRONMENT_VARIABLE, find_assignments, load_assignment
from grader.batch import cache_key
from grader.batch.collector import Desk, Item, NoWatch, Receiver, Watch
from grader.batch.serialization import pack
from grader.batch.workers import Workers, cores
from grader.errors import AssignmentError, GraderFault, Interrupted, StoreError, SubmissionError
from grader.records import Assignment, Order, Report, Sandbox
from grader.session import ForkServer, Kernels, require_sandbox, start_fork_server
from grader.submission.incoming import Incoming, find_incoming
from grader.submission.matching import recognise_assignment

if TYPE_CHECKING:
    from collections.abc import Iterable

    from grader.batch.cluster import Cluster
    from grader.batch.store import KeptRun

__all__ = ["cores", "grade", "grade_stream", "write_stubs"]


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
    watch: Watch | None = None,
    split: bool | None = None,
) -> Report:
    """Return the verdict on every submission found in paths, in order.

    assignment : its id; recognised from the first readable submission where None
    assignments : folder of assignments; found from $GRADE_ASSIGNMENTS or upwards where None
    only : ids of exercises; empty for all
    public : run the public checks alone
    sandbox : how student code is closed in
    jobs : grading processes; 1 grades in this one, as a single submission is graded always
    dask : address of a dask scheduler; its workers grade instead
    keep : keep results, and take up those of earlier runs, where batch/store.py says
    regrade : take up none
    evidence : give it to `watch` with each result; the report holds verdicts alone
    watch : hears how it goes on
    split : what a path holds is a class's, or one submission; None: as its names say
    Raises AssignmentError and SubmissionError for what the user must put right first:
    no such path, no such assignment or exercise, no such sandbox. Raises ClusterError,
    Interrupted.
    """
    require_sandbox(sandbox)
    folders = find_assignments(Path.cwd(), assignments, os.environ, graded=paths)
    watch = watch or NoWatch()
    with ExitStack() as stack:
        # It warms up while submissions are read, checks are loaded and pytest is imported.
        warm = start_fork_server(sandbox) if dask is None else None
        if warm is not None:
            stack.callback(warm.close)
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="grade-")))
        handed, remarks = find_incoming(paths, scratch, split=split)
        found = [one.shown for one in handed]
        for line in remarks:
            watch.warn(line)
        chosen = _choose(assignment, folders, handed)
        if chosen is None:
            refused = [replace(h.refused, path=h.shown) for h in handed if h.refused]
            watch.begin("", "", seed, found)
            for number, result in enumerate(refused):
                watch.done(number, result, False)
            return Report("", "", seed, tuple(refused))
        _require_exercises(chosen, only)
        if chosen.public_only and assignments is None:
            _require_students_machine(chosen, watch)
        order = Order(
            str(chosen.folder.resolve()),
            tuple(only),
            public,
            seed,
            sandbox,
            evidence=evidence or keep,
            # A page shows them, and whoever grades by hand wants them beside the words.
            figures=evidence or any(e.manual or e.answer_cells for e in chosen.exercises),
            kernels=cores(),
            alone=len(handed) == 1,
        )
        cluster = _connect(stack, dask, watch) if dask is not None else None
        environment = cluster.environment if cluster else cache_key.environment()
        run = _begin_run(stack, chosen, order, len(found), environment, watch) if keep else None
        origins = [one.origin for one in handed]
        desk = Desk(found, watch=watch, run=run, evidence=evidence, origins=origins)
        watch.begin(chosen.id, chosen.title, seed, found)
        try:
            kernels = stack.enter_context(
                Kernels(replace(chosen, sandbox=sandbox), warm, draw=order.figures)
            )
            _grade_at(desk, order, kernels, handed, jobs=jobs, cluster=cluster, regrade=regrade)
        except KeyboardInterrupt as stop:
            raise Interrupted(desk.interrupted()) from stop
        desk.end()
        return Report(
            chosen.id,
            chosen.title,
            seed,
            desk.results(),
            desk.isolation,
            checks_from=str(chosen.folder.resolve()),
        )


def _require_students_machine(copy: Assignment, watch: Watch) -> None:
    """Say whose checks run, where they are those beside the notebook.

    Raises AssignmentError where solutions were graded with: there the notebook is a student's,
    and so may be the checks beside it, which would run with the instructor's rights.
    """
    # Imported here, as the store is: a folder that the user names needs no such question.
    from grader.batch.store import graded_with_solutions

    if os.environ.get(ENVIRONMENT_VARIABLE):
        return
    if graded_with_solutions(os.environ):
        raise AssignmentError(
            f"{copy.folder} lies beside what is graded, and may be a student's; this machine has "
            "graded with solutions, so its checks are not used: name the course's folder with "
            "--assignments"
        )
    watch.warn(f"graded by the public checks beside the notebook, in {copy.folder}")


def _grade_at(
    desk: Desk,
    order: Order,
    kernels: Kernels,
    handed: Sequence[Incoming],
    *,
    jobs: int,
    cluster: Cluster | None,
    regrade: bool,
) -> None:
    """Grade what has no result yet, here, by workers or on a cluster; all goes to the desk."""
    for number, one in enumerate(handed):
        if one.refused is not None:
            desk.put(number, one.refused)
    items = desk.without_kept(
        [
            Item(number, one.path, cache_key.content(Path(one.path)) if desk.run else "")
            for number, one in enumerate(handed)
            if one.refused is None
        ],
        regrade=regrade,
    )
    count = min(jobs, len(items))
    if cluster is not None and items:
        cluster.run(order, items, desk)
    elif count > 1:
        order = replace(order, kernels=max(1, cores() // count))
        with Workers(order, count=count, warm=kernels.fork_server) as workers:
            workers.run(items, desk)
    elif items:
        read = {number: one for number, one in enumerate(handed) if one.submission}
        _grade_here(order, kernels, items, desk, read)


def grade_stream(
    order: Order, items: Iterable[Item], receiver: Receiver, *, warm: ForkServer | None = None
) -> None:
    """Grade items as they come, over one collection of the checks: what a worker process does.

    warm : has imported what the assignment needs
    """
    assignment = replace(load_assignment(Path(order.folder)), sandbox=order.sandbox)
    warmed = warm or start_fork_server(order.sandbox)
    with Kernels(assignment, warmed, preloaded=warm is not None, draw=order.figures) as kernels:
        _grade_here(order, kernels, items, receiver, {})


def _grade_here(
    order: Order,
    kernels: Kernels,
    items: Iterable[Item],
    receiver: Receiver,
    read: Mapping[int, Incoming],
) -> None:
    # Imported here: pytest loads while the process to fork kernels from warms up.
    from grader.grading import Grader, fault_result, grade_each
    from grader.suite import open_suite

    try:
        with open_suite(kernels.assignment) as suite, Grader(suite, kernels, order) as grader:
            grade_each(grader, items, receiver, read)
    except GraderFault as fault:  # a check file that can't be loaded stops them all
        receiver.broken(pack(fault_result("", fault)))


def _connect(stack: ExitStack, address: str, watch: Watch) -> Cluster:
    # Imported here: it is an extra, and takes half a second to load.
    from grader.batch.cluster import Cluster

    cluster = stack.enter_context(Cluster(address))
    cluster.find_environment(watch.warn)
    return cluster


def _begin_run(
    stack: ExitStack,
    assignment: Assignment,
    order: Order,
    submissions: int,
    environment: str,
    watch: Watch,
) -> KeptRun | None:
    """Return a run in the file of results; None where nothing is to be kept, or can be."""
    # Imported here: a student's machine has no use for it.
    from grader.batch.store import open_store, place

    try:
        file = place(os.environ, student=assignment.public_only)
        if file is None:
            return None
        return stack.enter_context(open_store(file)).begin(
            assignment=assignment.id,
            title=assignment.title,
            submissions=submissions,
            settings={
                "seed": order.seed,
                "only": order.only,
                "public": order.public or assignment.public_only,
                "sandbox": order.sandbox,
            },
            circumstances=cache_key.circumstances(order, environment),
            # Figures more than are asked for do no harm.
            will_do=[cache_key.circumstances(replace(order, figures=True), environment)],
        )
    except (StoreError, OSError) as error:
        watch.warn(f"no result is kept: {error}")
        return None


def write_stubs(ids: Sequence[str], *, assignments: Path | None, check: bool) -> list[str]:
    """Write student_templates/ beside reference/; return the files written.

    check : write nothing; return the files that are out of date
    """
    from grader.authoring.templates import check_templates, write_templates

    folders = find_assignments(Path.cwd(), assignments, os.environ)
    touched: list[str] = []
    for assignment_id in ids or sorted(folders):
        loaded = load_assignment(_folder_of(assignment_id, folders))
        if loaded.public_only:
            raise AssignmentError(
                f"{loaded.folder} is a student's copy: stubs are made from reference/{loaded.id}, "
                "name its folder with --assignments"
            )
        to = loaded.folder.parent.parent / "student_templates" / loaded.id
        if check:
            touched += check_templates(loaded, to)
        else:
            touched += [str(path) for path in write_templates(loaded, to)]
    return touched


def _choose(
    assignment_id: str | None, folders: Mapping[str, Path], handed: Sequence[Incoming]
) -> Assignment | None:
    """Return the assignment named, or the first submission's that is recognised."""
    if assignment_id is not None:
        return load_assignment(_folder_of(assignment_id, folders))
    known = {name: load_assignment(folder) for name, folder in folders.items()}
    for submission in handed:
        if not submission.read():
            continue
        try:
            return known[recognise_assignment(submission.notebooks, known)]
        except SubmissionError as error:
            submission.refuse(error)
    return None


def _folder_of(assignment_id: str, folders: Mapping[str, Path]) -> Path:
    if assignment_id not in folders:
        raise AssignmentError(
            f"there is no assignment {assignment_id!r}; there is: {', '.join(sorted(folders))}"
        )
    return folders[assignment_id]


def _require_exercises(assignment: Assignment, only: Sequence[str]) -> None:
    ids = [exercise.id for exercise in assignment.exercises]
    for wanted in only:
        if wanted not in ids:
            raise AssignmentError(
                f"{assignment.id} has no exercise {wanted!r}; it has: {', '.join(ids)}"
            )
