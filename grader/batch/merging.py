"""Joins what was graded apart into one run: parts of a class (`grade --shard`), a late export."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from grader.batch.merging_marks import carry_marks
from grader.batch.serialization import Packed, unpack
from grader.batch.store import Store, open_store
from grader.errors import StoreError
from grader.records import Result, RunRecord

SUFFIX = ".sqlite"


def merge(folder: Path, into: Path) -> tuple[int, int, int]:
    """Return how many parts, submissions and judged answers were joined, in the file `into`.

    The joined class is its latest run. What people said in a part's file goes with it.

    folder : holds a file of results for each part; the latest run of each counts
    Raises StoreError where the parts are not of one class: of two assignments, with other
    settings, or with one submission in two of them. Nothing is written then.
    """
    files = sorted(p for p in folder.glob(f"*{SUFFIX}") if p.resolve() != into.resolve())
    if not files:
        raise StoreError(f"{folder} holds no file of results (*{SUFFIX})")
    runs = {file: _latest(file) for file in files}
    first = next(iter(runs.values()))
    for file, run in runs.items():
        if (run.assignment, _asked(run)) != (first.assignment, _asked(first)):
            raise StoreError(
                f"{file.name} is of {run.assignment} with {_asked(run)}, and {files[0].name} of "
                f"{first.assignment} with {_asked(first)}: parts of one class are graded alike"
            )
        if run.results < run.submissions:
            raise StoreError(
                f"{file.name} has {run.results} of {run.submissions} results: let that part end"
            )
    _refuse_twice(runs)
    total = sum(run.submissions for run in runs.values())
    with open_store(into) as store:
        made = store.begin(
            assignment=first.assignment,
            title=first.title,
            submissions=total,
            settings=dict(first.settings),
            key="",
        )
        number = 0
        for file, run in runs.items():
            with open_store(file, create=False) as part:
                for item in part.items(run.id, evidence=True):
                    packed = item.relabelled()
                    result = unpack(Packed(packed.verdict))
                    made.add(number, result, packed, input_hash="", kept=False)
                    number += 1
        made.end(first.isolation)
        judged = 0
        for file in runs:
            with open_store(file, create=False) as part:
                judged += carry_marks(part, store, first.assignment)
    return len(files), total, judged


@dataclass(frozen=True)
class Joined:
    """What a later run added to a class, as the run `id`.

    new : students who were not there; again : other work of who was; as_before : all others
    """

    id: int
    new: int
    again: int
    as_before: int


def join(
    store: Store, before: RunRecord, after: RunRecord, *, who_is: Callable[[Result], str]
) -> Joined:
    """Add a later run of the same assignment to an earlier one; both stay as they are.

    who_is : tells whose a submission is

    Of a student who handed in again both are in the new run: the rules of the deadline say which
    attempt counts. The same work twice is there once. Raises StoreError for runs that were asked
    for differently.
    """
    if (before.assignment, _asked(before)) != (after.assignment, _asked(after)):
        raise StoreError(
            f"run {before.id} is of {before.assignment} with {_asked(before)}, and run {after.id} "
            f"of {after.assignment} with {_asked(after)}: what is joined is graded alike"
        )
    packed: list[tuple[Result, Packed]] = []
    known: dict[str, set[str]] = {}
    counts = {"new": 0, "again": 0, "as_before": 0}
    for run in (before, after):
        there = {who: set(works) for who, works in known.items()}
        for item in store.items(run.id, evidence=True):
            kept = item.relabelled()
            result = unpack(Packed(kept.verdict))
            who = who_is(result)
            # A submission that could not be read has no fingerprint, so its path replaces it.
            work = result.work or result.path
            if work in there.get(who, ()):
                continue
            if run is after:
                counts["again" if who in there else "new"] += 1
            known.setdefault(who, set()).add(work)
            packed.append((result, kept))
    made = store.begin(
        assignment=after.assignment,
        title=after.title,
        submissions=len(packed),
        settings=dict(after.settings),
        key="",
    )
    for number, (result, kept) in enumerate(packed):
        made.add(number, result, kept, input_hash="", kept=False)
    made.end(after.isolation)
    counts["as_before"] = len(known) - counts["new"] - counts["again"]
    return Joined(made.id, **counts)


def _latest(file: Path) -> RunRecord:
    with open_store(file, create=False) as store:
        runs = store.runs()
    if not runs:
        raise StoreError(f"{file} holds no run")
    return runs[0]


def _asked(run: RunRecord) -> str:
    return ", ".join(f"{key} {value}" for key, value in sorted(run.settings.items()))


def _refuse_twice(runs: dict[Path, RunRecord]) -> None:
    seen: dict[tuple[str, str], str] = {}
    for file, run in runs.items():
        with open_store(file, create=False) as part:
            for item in part.items(run.id):
                ids = str(sorted(unpack(item.packed).origin.ids.items()))
                other = seen.setdefault((item.path, ids), file.name)
                if other != file.name:
                    raise StoreError(f"{item.path} is in {other} and in {file.name}")
