"""What grading real notebooks takes above their cells: a class against the cells alone.

    python tests/benchmarks/real_work.py [N] [--assignment FOLDER] [--rounds 1]

Hands in an assignment's solved notebooks N times (12), as zips that differ by a comment, and grades
them with two processes. The floor is the same cells, each notebook in a fork of a process that has
imported what they import: no sandbox, no messages, no check. All in turn, in processor time,
whatever process used it. Prints a row of Markdown a round, and the medians.

The floor has two forms. `cells` is what a Jupyter kernel takes for them: IPython's shell, each
figure drawn inline, the data read in each fork; with one thread, as the grader's kernels have, or
with one for each core (`threads`), as a kernel has that nobody told otherwise. `bare` is the least
that they can take: plain `exec`, no figure drawn, the data read before the fork.

The checks call what the student wrote, and some train as well: that is no cell, and stands in the
last columns: `checks` is what a submission takes more with the checks than where none of them is
run, `pictures` what matplotlib takes to draw the figures that belong to answers which a person
reads, `rest` what the grader takes above these and the bare cells, its start and end included: that
is the same for a class of any size, so 2 zips and 12 tell it from what each submission takes.
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from peers import run

from grader.records import Notebook

ROOT = Path(__file__).resolve().parents[2]

BEGIN = """
import gc, importlib, json, os, random, resource, sys, warnings
told = json.load(sys.stdin)
warnings.simplefilter("ignore")
import numpy as np
from grader.in_kernel import figures, offline_data
for name in told["imports"]:
    try:
        importlib.import_module(name)
    except Exception:
        pass
"""
BARE = """
from IPython.core.inputtransformer2 import TransformerManager
if told["draw"]:
    import matplotlib.pyplot
    figures.rehearse()
    figures.rehearse(figures.FORMULA)
    figures.set_publisher(lambda *a: None)
if told["datasets"]:
    offline_data.keep(told["datasets"], told["sets"])
    offline_data.install(told["datasets"])
class Shell:
    def __getattr__(self, name):
        return lambda *a, **k: None
transform = TransformerManager().transform_cell
notebooks = [(drawn, [(index, compile(transform(cell), "cells", "exec")) for index, cell in cells])
             for drawn, cells in told["notebooks"]]
def run(drawn, cells):
    names = {"__name__": "__main__", "get_ipython": Shell}
    figures.draw_in(drawn if told["draw"] else False)
    for index, cell in cells:
        figures.begin_cell(index)
        exec(cell, names)
        figures.flush()
"""
KERNEL = """
import matplotlib.pyplot, matplotlib_inline.backend_inline
from IPython.core.interactiveshell import InteractiveShell
if told["datasets"]:
    offline_data.install(told["datasets"])
class Shell(InteractiveShell):
    def enable_gui(self, gui=None):
        pass
notebooks = told["notebooks"]
def run(drawn, cells):
    shell = Shell.instance()
    shell.run_line_magic("matplotlib", "inline")
    for _, cell in cells:
        shell.run_cell(cell).raise_error()
"""
END = """
gc.collect(); gc.freeze()
def once(drawn, cells):
    pid = os.fork()
    if not pid:
        code = 1
        try:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            random.seed(0); np.random.seed(0)
            run(drawn, cells)
            code = 0
        finally:
            os._exit(code)
    assert os.waitpid(pid, 0)[1] == 0, "a cell fails"
def used():
    return sum(sum(resource.getrusage(who)[:2]) for who in (0, -1))
before = used()
for _ in range(told["times"]):
    for drawn, cells in notebooks:
        once(drawn, cells)
print((used() - before) / told["times"])
"""


def cells_cpu_s(
    assignment: Path, times: int, *, program: str = BARE, draw: bool = False, threads: int = 1
) -> float:
    """Return the processor seconds of all cells of the solved notebooks, once.

    program : BARE for the bare ones, KERNEL for what a Jupyter kernel takes
    draw : make pictures of the figures, too, that `grade` draws for a person who reads answers
    """
    from grader import datasets
    from grader.assignment import load_assignment
    from grader.evidence import drawing_cells_of
    from grader.notebook import compare_with_stub, imports_of

    loaded = load_assignment(assignment)
    matched = {
        name: compare_with_stub(notebook, loaded.stubs[name], functions=loaded.functions_in(name))
        for name, notebook in loaded.notebooks.items()
    }
    drawn = drawing_cells_of(loaded, matched)
    place = datasets.datasets_dir()
    told = {
        "imports": [*imports_of(loaded.notebooks.values())],
        "datasets": str(place.resolve()) if place is not None else None,
        "sets": [*loaded.datasets],
        "notebooks": [
            (
                sorted(drawn[notebook.name]),
                [(cell.index, cell.source) for cell in notebook.cells if cell.kind == "code"],
            )
            for notebook in loaded.notebooks.values()
        ],
        "times": times,
        "draw": draw,
    }
    libraries = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
    environment = os.environ | dict.fromkeys(libraries, str(threads)) | {"PYTHONHASHSEED": "0"}
    if program == BARE:
        environment["MPLBACKEND"] = "module://grader.in_kernel.figures"
    words = [sys.executable, "-c", BEGIN + program + END]
    done = subprocess.run(words, input=json.dumps(told), text=True,
                          capture_output=True, cwd=assignment, env=environment)  # fmt: skip
    if done.returncode:
        raise SystemExit(done.stderr[-2000:])
    return float(done.stdout)


def hand_in(assignment: Path, folder: Path, count: int) -> None:
    """Write the solved notebooks as so many zips, no two the same."""
    from grader.assignment import load_assignment

    loaded = load_assignment(assignment)
    folder.mkdir(parents=True)
    for number in range(count):
        write_zip(folder / f"student-{number}.zip", loaded.notebooks, number)


def write_zip(path: Path, notebooks: Mapping[str, Notebook], number: int) -> None:
    """Write a zip of the notebooks; their last cells say the number, so no two zips are equal."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, notebook in notebooks.items():
            cells = [
                {"cell_type": "code" if cell.kind == "code" else "markdown", "metadata": {},
                 "id": f"c{n}", "source": cell.source,
                 **({"outputs": [], "execution_count": None} if cell.kind == "code" else {})}
                for n, cell in enumerate(notebook.cells)
            ]  # fmt: skip
            cells[-1]["source"] = f"{cells[-1]['source']}\n# handed in as number {number}"
            document = {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
            archive.writestr(Path(name).name, json.dumps(document))


def without_checks(assignment: Path, folder: Path) -> Path:
    """Return a copy of the assignment whose checks ask for nothing: each passes at once."""
    copy = folder / assignment.name
    shutil.copytree(assignment, copy, ignore=shutil.ignore_patterns("samples", "known"))
    for file in [*copy.glob("test_*.py"), *copy.glob("hidden/test_*.py")]:
        module = ast.parse(file.read_text())
        for part in module.body:
            if isinstance(part, ast.FunctionDef) and part.name.startswith("test_"):
                part.body, part.args = [ast.Pass()], ast.parse("lambda: 0", mode="eval").body.args  # type: ignore[attr-defined]
                part.decorator_list = [
                    d for d in part.decorator_list if "exercise" in ast.unparse(d)
                ]
        file.write_text(ast.unparse(module))
    return copy


def class_cpu_s(assignment: Path, folder: Path, count: int) -> float:
    """Return the processor seconds of one submission of the class, start and end included."""
    program = Path(sys.executable).with_name("grade")
    words = [program, folder, "--assignment", assignment.name, "--assignments", assignment.parent,
             "--jobs", 2, "--regrade", "--json", "-"]  # fmt: skip
    os.environ["GRADE_RESULTS"] = str(folder.with_name("results.sqlite"))
    _, cpu, out = run(words, folder.parent)
    for submission in json.loads(out)["submissions"]:
        assert submission["status"] == "graded", submission
        assert submission["score"] == submission["max_score"], submission["path"]
    return cpu / count


class Round(NamedTuple):
    """Processor seconds a submission.

    whole, unchecked : the class, and without its checks
    cells, threads, bare, drawn : its cells, in the forms above; drawn : bare, with pictures
    """

    whole: float
    unchecked: float
    cells: float
    threads: float
    bare: float
    drawn: float


def measured(assignment: Path, count: int, rounds: int) -> list[Round]:
    with tempfile.TemporaryDirectory() as folder:
        handed_in = Path(folder, "class")
        hand_in(assignment, handed_in, count)
        unchecked = without_checks(assignment, Path(folder, "unchecked"))
        return [
            Round(
                class_cpu_s(assignment, handed_in, count),
                class_cpu_s(unchecked, handed_in, count),
                cells_cpu_s(assignment, 2, program=KERNEL),
                cells_cpu_s(assignment, 2, program=KERNEL, threads=os.cpu_count() or 1),
                cells_cpu_s(assignment, 2),
                cells_cpu_s(assignment, 2, draw=True),
            )
            for _ in range(rounds)
        ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("count", nargs="?", type=int, default=12)
    parser.add_argument("--assignment", type=Path, default=ROOT / "reference" / "pw02")
    parser.add_argument("--rounds", type=int, default=1)
    options = parser.parse_args()
    rows = measured(options.assignment.resolve(), options.count, options.rounds)
    print(f"| {options.assignment.name}, {options.count} zips | class, s | cells, s | ratio "
          "| threads, s | bare, s | ratio | checks, s | pictures, s | rest, s |\n"
          "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|")  # fmt: skip
    for number, row in enumerate(rows, start=1):
        print(f"| round {number} | {row.whole:.2f} | {row.cells:.2f} | {row.whole / row.cells:.2f} "
              f"| {row.threads:.2f} | {row.bare:.2f} | {row.whole / row.bare:.2f} "
              f"| {row.whole - row.unchecked:.2f} | {row.drawn - row.bare:.2f} "
              f"| {row.unchecked - row.drawn:.2f} |")  # fmt: skip
    against = statistics.median(row.whole / row.cells for row in rows)
    least = statistics.median(row.whole / row.bare for row in rows)
    print(f"\nmedians: {against:.2f} against the cells, {least:.2f} against the bare ones")


if __name__ == "__main__":
    main()
