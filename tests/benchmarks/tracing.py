"""What diagnosis costs a batch: 100 submissions, of which ten hold a mistake each.

    python tests/benchmarks/tracing.py [--submissions 100] [--mistakes 10]

Every submission is graded by one process. The time within what asks a failing check's questions
again, what runs a check with stand-ins, and what compares with the table of known mistakes is
measured in the same run as all the rest, so that a busy machine slows both alike. The table of
known mistakes is not in it: it is computed once for an assignment, by another process.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from grader import pipeline
from grader.assignment import load_assignment
from grader.building_on import Echoes
from grader.explaining import Explainer
from grader.notebook import replace_region
from grader.request import Request
from grader.tracing import Tracer
from grader.verify.samples import load_samples

REFERENCE = Path(__file__).parents[2] / "reference"
NOTEBOOK = "sigmoid.ipynb"
spent: Counter[str] = Counter()


def timed(owner: type, name: str) -> None:
    """Add the seconds within a method to `spent`, those of calls within it once."""
    original: Callable[..., Any] = getattr(owner, name)
    depth = [0]

    @functools.wraps(original)
    def measured(*args: Any, **more: Any) -> Any:
        depth[0] += 1
        started = time.perf_counter()
        try:
            return original(*args, **more)
        finally:
            depth[0] -= 1
            if not depth[0]:
                spent[f"{owner.__name__}.{name}"] += time.perf_counter() - started

    setattr(owner, name, measured)


def hand_in(folder: Path, count: int, mistakes: int) -> None:
    assignment = load_assignment(REFERENCE / "pw02")
    solved = json.loads((REFERENCE / "pw02" / NOTEBOOK).read_text())
    cells = {c.index: c.source for c in assignment.notebooks[NOTEBOOK].cells}
    samples = [
        s
        for s in load_samples(assignment)
        # One that adds statements has nothing to put into a gap.
        if s.notebook == NOTEBOOK and s.kind == "mistake" and s.regions
    ]
    wrong = 0
    for number in range(count):
        sources = dict(cells)
        if wrong < mistakes and number % (count // mistakes) == 0:
            for region, body in samples[wrong % len(samples)].regions.items():
                cell = assignment.notebooks[NOTEBOOK].regions[region].cell
                sources[cell] = replace_region(sources[cell], region, body) or sources[cell]
            wrong += 1
        document = dict(solved)
        document["cells"] = [
            {**cell, "source": sources[n]} for n, cell in enumerate(solved["cells"])
        ]
        one = folder / f"Student_{number:03d}"
        one.mkdir()
        # Equal bytes would be one submission: each is somebody's own.
        document["cells"].append(
            {"cell_type": "markdown", "metadata": {}, "source": f"# Student {number}", "id": "me"}
        )
        (one / NOTEBOOK).write_text(json.dumps(document))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--submissions", type=int, default=100)
    parser.add_argument("--mistakes", type=int, default=10)
    options = parser.parse_args()
    os.environ.setdefault("GRADE_RESULTS", "none")
    for owner, name in (
        (Tracer, "traced"),
        (Echoes, "told"),
        (Explainer, "explain"),
    ):
        timed(owner, name)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        hand_in(folder, options.submissions, options.mistakes)
        exercises = [e.id for e in load_assignment(REFERENCE / "pw02").exercises]
        only = [name for name in exercises if name.startswith("2") and "derivation" not in name]
        started = time.perf_counter()
        request = Request(assignment="pw02", assignments=REFERENCE, only=only, split=True)
        report = pipeline.grade([folder], request)
        whole = time.perf_counter() - started
    diagnosis = sum(spent.values())
    lost = sum(result.score < result.max_score - 1e-9 for result in report.results)
    print(f"{len(report.results)} submissions, {lost} of them lose points: {whole:.1f} s")
    for name, seconds in spent.most_common():
        print(f"  {name}: {seconds:.2f} s")
    print(f"diagnosis adds {100 * diagnosis / (whole - diagnosis):.1f} %")


if __name__ == "__main__":
    main()
