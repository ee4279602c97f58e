"""Grade every sample of an assignment at two commits, and compare the reports but for times.

    python tests/benchmarks/same_verdicts.py BASE [HEAD] [--assignment ID] [--samples PATTERN]
                                             [--draw N] [--leave-out KEY] [--verdicts]
                                             [--with=OPTION]

BASE and HEAD are commits; HEAD is the working tree where it is left out. The samples are those of
the working tree, written as notebooks once: each commit grades the same files with its own code
and its own checks, in this environment. Prints whether the two reports are equal byte for byte
once times are left out, and otherwise every difference. --leave-out names a key of the report that
one of the commits doesn't have, and may be given more than once. --verdicts compares points and
outcomes alone, which a better message leaves as they are. --draw takes N of the samples, always the
same ones. --with gives HEAD's command one option more: `HEAD HEAD --with=--share-cells` holds a
commit against itself with shared cells. The exit code is 1 where they differ.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import random
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from grader.assignment import load_assignment
from grader.records import Notebook
from grader.verify.samples import apply_sample, load_samples

ROOT = Path(__file__).resolve().parents[2]
TIMES = {"seconds", "time", "created", "version", "checks_from"}
"""Keys that differ between any two runs, or between any two folders."""
VERDICTS = {
    *("submissions", "path", "status", "score", "max_score", "manual_points", "final"),
    *("exercises", "id", "points", "max_points", "checks", "name", "outcome"),
    *("derivation", "counts", "steps", "verdict", "reached", "suggested_points"),
}
"""The keys that say what somebody gets, and the lists that they stand in."""
SHOWN = 160
"""Characters of a value that a difference shows."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("base")
    parser.add_argument("head", nargs="?")
    parser.add_argument("--assignment", default="pw02")
    parser.add_argument("--samples", default="*", metavar="PATTERN", help="of these names alone")
    parser.add_argument("--leave-out", action="append", default=[], metavar="KEY")
    parser.add_argument("--draw", type=int, metavar="N", help="so many of them, by a fixed seed")
    parser.add_argument("--verdicts", action="store_true", help="no messages, no notes")
    parser.add_argument("--with", action="append", default=[], metavar="OPTION", dest="more")
    parser.add_argument("--jobs", default="2")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="same-verdicts-") as folder:
        scratch = Path(folder)
        samples = scratch / "samples"
        count = write_samples(given.assignment, samples, given.samples, given.draw)
        reports = []
        for name, commit in (("base", given.base), ("head", given.head)):
            tree = check_out(commit, scratch / name) if commit else ROOT
            more = given.more if name == "head" else []
            report = graded(tree, samples, given.assignment, given.jobs, *more)
            report = without(report, {*TIMES, *given.leave_out})
            reports.append(only(report, VERDICTS) if given.verdicts else report)
    base, head = reports
    same = json.dumps(base, sort_keys=True) == json.dumps(head, sort_keys=True)
    print(f"{count} samples of {given.assignment}: {'equal' if same else 'not equal'}")
    for line in differences(base, head, ""):
        print(f"  {line}")
    return 0 if same else 1


def write_samples(assignment_id: str, to: Path, pattern: str, draw: int | None) -> int:
    """Write a folder a sample, and one of the solved notebooks; return how many there are."""
    assignment = load_assignment(ROOT / "reference" / assignment_id)
    samples = [s for s in load_samples(assignment) if fnmatch(s.name, pattern)]
    if draw is not None:
        samples = random.Random(0).sample(samples, min(draw, len(samples)))
    for sample in samples:
        changed = apply_sample(sample, assignment.notebooks[sample.notebook])
        write_notebook(changed, to / sample.name / sample.notebook)
    for name, notebook in assignment.notebooks.items():
        write_notebook(notebook, to / "solved" / name)
    return len(samples) + 1


def write_notebook(notebook: Notebook, path: Path) -> None:
    cells: list[dict[str, Any]] = []
    for n, cell in enumerate(notebook.cells):
        written = {"cell_type": cell.kind, "id": f"c{n}", "metadata": {}, "source": cell.source}
        if cell.kind == "code":
            written |= {"execution_count": None, "outputs": []}
        cells.append(written)
    document = {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document), encoding="utf-8")


def check_out(commit: str, to: Path) -> Path:
    """Write the files of a commit into a folder."""
    done = subprocess.run(
        ["git", "archive", "--format=tar", commit], cwd=ROOT, capture_output=True, check=True
    )
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
        archive.extractall(to, filter="data")
    return to


def graded(tree: Path, samples: Path, assignment: str, jobs: str, *more: str) -> Any:
    """Return the report of that tree's command on the samples, paths made relative."""
    done = subprocess.run(
        [
            *(sys.executable, "-m", "grader", str(samples), "--json", "-", "--jobs", jobs),
            *("--assignment", assignment, "--assignments", str(tree / "reference"), "--regrade"),
            *more,
        ],
        cwd=samples,
        env=os.environ | {"PYTHONPATH": str(tree), "GRADE_RESULTS": "none"},
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode not in (0, 1):
        raise SystemExit(f"the command of {tree} ended with {done.returncode}")
    return json.loads(done.stdout.replace(f"{samples}/", ""))


def without(value: Any, keys: set[str]) -> Any:
    """Return a report without the keys, wherever they stand."""
    if isinstance(value, dict):
        return {key: without(item, keys) for key, item in value.items() if key not in keys}
    if isinstance(value, list):
        return [without(item, keys) for item in value]
    return value


def only(value: Any, keys: set[str]) -> Any:
    """Return a report with these keys alone, wherever they stand."""
    if isinstance(value, dict):
        return {key: only(item, keys) for key, item in value.items() if key in keys}
    if isinstance(value, list):
        return [only(item, keys) for item in value]
    return value


def differences(base: Any, head: Any, place: str) -> Iterator[str]:
    """Yield a line for each place at which the two reports differ."""
    if isinstance(base, dict) and isinstance(head, dict):
        for key in sorted({*base, *head}):
            where = f"{place}.{key}".lstrip(".")
            if key not in base or key not in head:
                yield f"{where}: only in {'head' if key not in base else 'base'}"
            else:
                yield from differences(base[key], head[key], where)
    elif (named := named_items(base)) and (others := named_items(head)):
        yield from (f"{place}[{name}]: only in base" for name in named if name not in others)
        yield from (f"{place}[{name}]: only in head" for name in others if name not in named)
        common = [name for name in named if name in others]
        if common != [name for name in others if name in named]:
            yield f"{place}: in another order"
        for name in common:
            yield from differences(named[name], others[name], f"{place}[{name}]")
    elif base != head:
        yield f"{place}: {shortened(base)} -> {shortened(head)}"


def named_items(value: Any) -> dict[str, Any]:
    """Return the items of a list of submissions, exercises or checks by what names them."""
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        return {}
    named = {str(item.get("path") or item.get("id") or item.get("name")): item for item in value}
    return named if len(named) == len(value) and "None" not in named else {}


def shortened(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."


if __name__ == "__main__":
    sys.exit(main())
