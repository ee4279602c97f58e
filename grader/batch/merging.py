"""Joins the parts of a class that were graded apart (`grade --shard`) into one run."""

from __future__ import annotations

from pathlib import Path

from grader.batch.serialization import Packed, unpack
from grader.batch.store import open_store
from grader.errors import StoreError
from grader.records import RunRecord

SUFFIX = ".sqlite"


def merge(folder: Path, into: Path) -> tuple[int, int]:
    """Return how many parts and submissions were joined, as the latest run of the file `into`.

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
    return len(files), total


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
