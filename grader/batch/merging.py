"""Joins runs that were graded separately: parts of a class (`grade --shard`), a late export."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from grader.batch import answer_store
from grader.batch.merging_marks import carry_marks
from grader.batch.serialization import Packed, unpack
from grader.batch.store import Store, open_store
from grader.errors import StoreError
from grader.records import Result, RunRecord

SUFFIX = ".sqlite"


def merge(folder: Path, into: Path) -> tuple[int, int, int]:
    """Join the parts of a class; return the numbers of parts, submissions and judged answers.

    folder : holds a file of results for each part; the latest run in each counts
    into : the file that gets the joined class as its latest run, with the marks from all parts
    Raises StoreError if the parts differ in assignment or settings, or have a submission in common.
    Then nothing is written.
    """
    files = sorted(p for p in folder.glob(f"*{SUFFIX}") if p.resolve() != into.resolve())
    if not files:
        raise StoreError(f"{folder} holds no file of results (*{SUFFIX})")
    runs = {file: _latest(file) for file in files}
    first = next(iter(runs.values()))
    for file, run in runs.items():
        if (run.assignment, _settings(run)) != (first.assignment, _settings(first)):
            raise StoreError(
                f"{file.name} is of {run.assignment} with {_settings(run)}, and {files[0].name} of "
                f"{first.assignment} with {_settings(first)}: parts of one class are graded alike"
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
            about=_about([*runs.values()]),
        )
        made.answers_mib = answer_store.room_mib(os.environ)
        number = 0
        for file, run in runs.items():
            with open_store(file, create=False) as part:
                for item in part.items(run.id, evidence=True):
                    packed = item.relabelled()
                    result = unpack(Packed(packed.verdict))
                    carried = answer_store.of_part(part, run.id, item.number)
                    # One transaction, since answers belong to a result.
                    with store.writing():
                        made.add(number, result, packed, input_hash=carried.input_hash, kept=False)
                        answer_store.carry(made, number, carried)
                    number += 1
        made.end(first.isolation)
        judged = 0
        for file in runs:
            with open_store(file, create=False) as part:
                judged += carry_marks(part, store, first.assignment)
    return len(files), total, judged


@dataclass(frozen=True)
class Joined:
    """How the new run `id` differs from the earlier one, in numbers of submissions.

    new : of students who had none before
    again : other work of students who had handed in before
    as_before : all others
    """

    id: int
    new: int
    again: int
    as_before: int


def join(
    store: Store, before: RunRecord, after: RunRecord, *, who_is: Callable[[Result], str]
) -> Joined:
    """Join an earlier and a later run of one assignment in a new run; both stay as they are.

    who_is : returns the student of a result

    If a student handed in again, the new run has both attempts; the rules of the deadline say which
    counts. The same work appears only once. Raises StoreError if the runs have different settings.
    """
    if (before.assignment, _settings(before)) != (after.assignment, _settings(after)):
        raise StoreError(
            f"run {before.id} is of {before.assignment} with {_settings(before)}, and run "
            f"{after.id} of {after.assignment} with {_settings(after)}: only runs with the same "
            "assignment and settings can be joined"
        )
    packed: list[tuple[Result, Packed]] = []
    known: dict[str, set[str]] = {}
    counts = {"new": 0, "again": 0, "as_before": 0}
    for run in (before, after):
        earlier = {who: set(works) for who, works in known.items()}
        for item in store.items(run.id, evidence=True):
            item_packed = item.relabelled()
            result = unpack(Packed(item_packed.verdict))
            who = who_is(result)
            # A submission that could not be read has no fingerprint, so its path replaces it.
            work = result.work or result.path
            if work in earlier.get(who, ()):
                continue
            if run is after:
                counts["again" if who in earlier else "new"] += 1
            known.setdefault(who, set()).add(work)
            packed.append((result, item_packed))
    made = store.begin(
        assignment=after.assignment,
        title=after.title,
        submissions=len(packed),
        settings=dict(after.settings),
        key="",
        about=_about([before, after], apart=True),
    )
    for number, (result, item_packed) in enumerate(packed):
        made.add(number, result, item_packed, input_hash="", kept=False)
    made.end(after.isolation)
    counts["as_before"] = len(known) - counts["new"] - counts["again"]
    return Joined(made.id, **counts)


def _about(parts: Sequence[RunRecord], *, apart: bool = False) -> dict[str, Any]:
    """Return what `grade regrade` needs to know of the joined class.

    apart : each part was graded from paths of its own, one of which may be an export
    What the parts do not have in common is left out: of checks that differ, nothing is known.
    """
    first = parts[0].about
    names = ("split", "checks", "each_check", "environment")
    same = {
        n: first[n]
        for n in names
        if all(n in p.about and p.about[n] == first.get(n) for p in parts)
    }
    paths = dict.fromkeys(path for part in parts for path in part.about.get("paths", ()))
    if not paths:
        return same
    # Several zips in one command are a submission each, and stay so.
    alone = all(len(p.about.get("paths", ())) <= 1 or p.about.get("apart") for p in parts)
    found = {**same, "split": same.get("split"), "paths": [*paths], "shard": None}
    return {**found, "apart": True} if apart and alone else found


def _latest(file: Path) -> RunRecord:
    with open_store(file, create=False) as store:
        runs = store.runs()
    if not runs:
        raise StoreError(f"{file} holds no run")
    return runs[0]


def _settings(run: RunRecord) -> str:
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
