"""The demo assignments of nbgrader and otter-grader: the same points for the same submissions?

    python tests/benchmarks/demos.py setup DIR                      two venvs by uv, some minutes
    python tests/benchmarks/demos.py run DIR NBGRADER OTTER         the tables, in Markdown

NBGRADER and OTTER are checkouts of the two projects; nothing of theirs is kept here. Each demo is
built by its own tool and by `grade new --from`, without an edit. Each submission is graded by both,
question by question: the solution and what students are given, those that lie beside the demo, and
four that `made` makes of the first two (half, wrong, broken, raising).
"""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
import tokenize
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

Points = Mapping[str, float]
"""What each question earned."""

NBGRADER_DEMOS = Path("nbgrader/docs/source/user_guide")
"""source/ and submitted/ of the user guide."""
OTTER_DEMOS = ("docs/tutorial/demo.ipynb", "test/test_assign/files/example.ipynb")
OTTER_SUBMISSIONS = Path("docs/tutorial/submissions/ipynbs")

# In nbgrader's Python: what each graded cell of each student's notebooks earned by itself.
ASK = """
import json, sys
from nbgrader.api import Gradebook
with Gradebook("sqlite:///gradebook.db") as book:
    found = {}
    for name in sys.argv[1:]:
        submission = book.find_submission("demo", name)
        found[name] = {
            grade.name: grade.auto_score
            for notebook in submission.notebooks for grade in notebook.grades
            if grade.auto_score is not None and grade.cell.cell_type == "code"
        }
print(json.dumps(found))
"""


def main(words: list[str]) -> None:
    if len(words) == 2 and words[0] == "setup":
        setup(Path(words[1]).resolve())
    elif len(words) == 4 and words[0] == "run":
        root, nbgrader, otter = (Path(word).resolve() for word in words[1:])
        print(f"{date.today()}, exercise by exercise\n")
        print("| demo | submission | questions | their points | grade's | what differs |")
        print("|---|---|---|---|---|---|")
        for name in ("ps1", "ps1_autotest"):
            table(f"nbgrader, {name}", *of_nbgrader(root, nbgrader / NBGRADER_DEMOS, name))
        for demo in OTTER_DEMOS:
            path = otter / demo
            beside = otter / OTTER_SUBMISSIONS if "tutorial" in demo else None
            table(f"otter, {path.stem}", *of_otter(root, path, beside))
    else:
        raise SystemExit(__doc__)


def setup(root: Path) -> None:
    for name, packages in (
        ("v-nbgrader", ["nbgrader"]),
        # Its tests compare what is printed, and numpy 2 prints np.True_: there its own solution
        # loses half of a question.
        ("v-otter", ["otter-grader>=7,<8", "ipykernel", "pandas<3", "matplotlib", "numpy<2"]),
    ):
        subprocess.run(["uv", "venv", "-q", "--clear", root / name], check=True)
        install = ["uv", "pip", "install", "-q", "--python", root / name / "bin" / "python"]
        subprocess.run([*install, *packages], check=True)


def table(demo: str, theirs: Mapping[str, Points], ours: Mapping[str, Points]) -> None:
    for name, points in theirs.items():
        own = ours[name]
        differs = ", ".join(
            f"{key}: {points.get(key, 0):g} there, {own.get(key, 0):g} here"
            for key in sorted({*points, *own})
            if abs(points.get(key, 0.0) - own.get(key, 0.0)) > 1e-3  # a report has four digits
        )
        print(
            f"| {demo} | {name} | {len(points)} | {sum(points.values()):g} "
            f"| {sum(own.values()):g} | {differs or 'nothing'} |"
        )


def of_nbgrader(root: Path, demos: Path, name: str) -> tuple[dict[str, Points], dict[str, Points]]:
    """Return what nbgrader and grade give, by submission."""
    course = fresh(root / f"nbgrader-{name}")
    shutil.copytree(demos / "source" / name, course / "source" / "demo")
    shutil.copy(demos / "autotests.yml", course / "source" / "demo")
    (course / "nbgrader_config.py").write_text(
        "c = get_config()\nc.CourseDirectory.course_id = 'c'\nc.ExecutePreprocessor.timeout = 60\n"
    )
    nbgrader = root / "v-nbgrader" / "bin" / "nbgrader"
    run([nbgrader, "generate_assignment", "demo"], course)
    handed_in = {"solution": course / "source" / "demo", "stub": course / "release" / "demo"}
    if name == "ps1":
        handed_in |= {p.name: p / name for p in sorted((demos / "submitted").iterdir())}
    for student, folder in handed_in.items():
        shutil.copytree(folder, course / "submitted" / student / "demo")
    run([nbgrader, "autograde", "demo", "--force"], course, may_fail=True)
    told = run([root / "v-nbgrader" / "bin" / "python", "-c", ASK, *handed_in], course)
    theirs: dict[str, Points] = json.loads(told.splitlines()[-1])
    sources = sorted((course / "source" / "demo").glob("*.ipynb"))
    grade(course, "new", "demo", "--from", *sources)
    ours = {
        student: graded(course, course / "submitted" / student / "demo") for student in handed_in
    }
    return {s: questions(p, ours[s]) for s, p in theirs.items()}, ours


def of_otter(
    root: Path, demo: Path, beside: Path | None
) -> tuple[dict[str, Points], dict[str, Points]]:
    course = fresh(root / f"otter-{demo.stem}")
    for file in demo.parent.iterdir():
        if file.is_file():
            shutil.copy(file, course)
    otter = root / "v-otter" / "bin" / "otter"
    run([otter, "assign", "--no-run-tests", "--no-pdfs", demo.name, "dist"], course)
    (archive,) = (course / "dist" / "autograder").glob("*.zip")
    solution = course / "dist" / "autograder" / demo.name
    stub = course / "dist" / "student" / demo.name
    handed_in = {"solution": solution, "stub": stub}
    for name, document in made(read(solution), read(stub)).items():
        handed_in[name] = fresh(course / "made" / name) / demo.name
        handed_in[name].write_text(json.dumps(document), encoding="utf-8")
    handed_in |= {p.stem: p for p in sorted(beside.glob("*.ipynb"))} if beside else {}
    grade(course, "new", "demo", "--from", demo.name)
    theirs: dict[str, Points] = {}
    ours: dict[str, Points] = {}
    for name, path in handed_in.items():
        out = fresh(course / "results" / name)
        copied = Path(shutil.copy(path, fresh(course / "handed in" / name) / demo.name))
        run([otter, "run", "--no-logo", "-a", archive, "-o", out, copied], course)
        tests = json.loads((out / "results.json").read_text())["tests"]
        theirs[name] = {
            test["name"]: test["score"] for test in tests if test["name"] != "Public Tests"
        }
        ours[name] = graded(course, copied.parent)
    return {s: questions(p, ours[s]) for s, p in theirs.items()}, ours


Document = dict[str, Any]
"""A notebook, as its JSON is."""


def made(solution: Document, stub: Document) -> dict[str, Document]:
    """Return four submissions: every second answer, other numbers, a broken and a raising cell.

    An answer is a code cell of the solution that isn't the stub's. What is broken or raises is the
    second answer; the others are right.
    """
    solved, given = code_of(solution), code_of(stub)
    texts = {n: solved[n] for n, other in zip(solved, given.values(), strict=True)
             if solved[n] != other}  # fmt: skip
    empty = dict(zip(solved, given.values(), strict=True))
    second = list(texts)[1]
    half = {n: text if place % 2 else empty[n] for place, (n, text) in enumerate(texts.items())}
    changes = {
        "half": half,
        "wrong": {n: other_numbers(text) for n, text in texts.items()},
        "broken": {second: f"{texts[second]}\nif (:\n"},
        "raising": {second: f"raise RuntimeError('not today')\n{texts[second]}"},
    }
    return {name: changed(solution, new) for name, new in changes.items()}


def code_of(notebook: Document) -> dict[int, str]:
    """Return the sources of its code cells, by their place."""
    cells = enumerate(notebook["cells"])
    return {n: "".join(cell["source"]) for n, cell in cells if cell["cell_type"] == "code"}


def other_numbers(source: str) -> str:
    """Return the source, each of its numbers one larger."""
    try:
        tokens = list(tokenize.generate_tokens(io.StringIO(source).readline))
    except (tokenize.TokenError, SyntaxError):
        return source
    lines = source.splitlines(keepends=True)
    for token in reversed(tokens):
        if token.type == tokenize.NUMBER:
            (row, first), (_, last) = token.start, token.end
            line = lines[row - 1]
            lines[row - 1] = f"{line[:first]}({token.string} + 1){line[last:]}"
    return "".join(lines)


def changed(notebook: Document, sources: Mapping[int, str]) -> Document:
    cells = [
        cell | ({"source": sources[n]} if n in sources else {})
        for n, cell in enumerate(notebook["cells"])
    ]
    return notebook | {"cells": cells}


def read(path: Path) -> Document:
    document: Document = json.loads(path.read_text(encoding="utf-8"))
    return document


def questions(theirs: Points, ours: Points) -> Points:
    """Return their questions that grade scores by checks: what people mark is in neither."""
    return {name: score or 0.0 for name, score in theirs.items() if name in ours}


def graded(course: Path, folder: Path) -> Points:
    """Return what `grade` gives a folder's notebooks, by exercise."""
    report = course / "report.json"
    grade(course, folder, "--json", report, "--assignments", course / "reference")
    (submission,) = json.loads(report.read_text())["submissions"]
    return {e["id"]: e["points"] for e in submission["exercises"] if e["status"] != "manual"}


def grade(course: Path, *words: object) -> None:
    run([sys.executable, "-m", "grader", *words], course)


def fresh(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def run(command: list[object], cwd: Path, *, may_fail: bool = False) -> str:
    """Run a command; return what it printed. nbgrader looks for jupyter on PATH, otter too."""
    path = f"{Path(str(command[0])).parent}:{os.environ['PATH']}"
    environment = os.environ | {"PATH": path, "GRADE_RESULTS": "none"}
    words = [*map(str, command)]
    done = subprocess.run(words, cwd=cwd, capture_output=True, text=True, env=environment)
    if done.returncode and not may_fail:
        raise SystemExit(f"{words[:3]} ended with {done.returncode}:\n{done.stderr[-3000:]}")
    return done.stdout


if __name__ == "__main__":
    main(sys.argv[1:])
