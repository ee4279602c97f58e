"""What one wrong submission takes with the search for its known mistake, and without.

    python tests/benchmarks/lone.py                    pw02's sigmoid notebook, ten mistake samples
    python tests/benchmarks/lone.py hw1 hw1-q1.ipynb --most 5

Each mistake sample is graded alone by the whole command, one way after the other. Seconds by the
clock: run it on a quiet machine.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import nbformat

from grader.assignment import load_assignment
from grader.records import Notebook
from grader.verify.samples import apply_sample, load_samples

REFERENCE = Path(__file__).parents[2] / "reference"
GRADE = "from grader.cli import main; main()"
WITHOUT = f"from grader.batch import known_builder; known_builder.CLASS = 0; {GRADE}"
WORDS = ("behaves exactly as the solution would", "this known mistake does")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("assignment", nargs="?", default="pw02")
    parser.add_argument("notebook", nargs="?", default="sigmoid.ipynb")
    parser.add_argument("--most", type=int, default=10)
    options = parser.parse_args()
    assignment = load_assignment(REFERENCE / options.assignment)
    solved = assignment.notebooks[options.notebook]
    samples = [
        one
        for one in load_samples(assignment)
        if one.kind == "mistake" and one.notebook == options.notebook
    ][: options.most]
    seconds: dict[str, list[float]] = {"with": [], "without": []}
    named = 0
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, options.notebook)
        for sample in samples:
            nbformat.write(as_document(apply_sample(sample, solved)), file)
            for way, program in (("without", WITHOUT), ("with", GRADE)):
                taken, told = graded(program, file, assignment.id)
                seconds[way].append(taken)
                named += way == "with" and any(words in told for words in WORDS)
    print(f"{len(samples)} mistakes, {named} named; medians of the whole command:")
    for way, all_of_them in seconds.items():
        print(f"{way:>8} the search {statistics.median(all_of_them):.2f} s")
    more = [a - b for a, b in zip(seconds["with"], seconds["without"], strict=True)]
    print(f"    more {statistics.median(more):.2f} s, at most {max(more):.2f} s")


def as_document(notebook: Notebook) -> nbformat.NotebookNode:
    made = nbformat.v4.new_notebook()
    made.cells = [nbformat.v4.new_code_cell(cell.source) for cell in notebook.cells]
    return made


def graded(program: str, file: Path, assignment: str) -> tuple[float, str]:
    """Return how long the command took, and what it told."""
    began = time.perf_counter()
    done = subprocess.run(
        [
            *(sys.executable, "-c", program, str(file), "--assignment", assignment),
            *("--assignments", str(REFERENCE), "--json", "-"),
        ],
        env={**os.environ, "GRADE_RESULTS": "none"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    taken = time.perf_counter() - began
    report = json.loads(done.stdout)
    return taken, json.dumps(report["submissions"], ensure_ascii=False)


if __name__ == "__main__":
    main()
