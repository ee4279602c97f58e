"""What `grade regrade` takes from kept answers and afresh, and what it takes to keep them.

    python tests/benchmarks/regrade.py [N] [--assignment FOLDER] [--check NAME ...]

Hands in an assignment's samples N times (12) as zips: right variants and mistakes. Grades them with
kept answers and without, in turn. Then the tolerance of one check after the other is made wider by
nothing at all (`+ 0` in its code), and each time the class is graded again both ways: the verdicts
must be the same. Times are of the clock and of processors, with two grading processes.
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import re
import shutil
import sqlite3
import statistics
import sys
import tempfile
from pathlib import Path

from peers import run
from real_work import write_zip
from sandbox import verdicts

ROOT = Path(__file__).resolve().parents[2]
GRADE = Path(sys.executable).with_name("grade")


def hand_in(assignment: Path, folder: Path, count: int) -> None:
    """Write so many zips: every third one right, the others with a sample's mistake."""
    from grader.assignment import load_assignment
    from grader.verify.samples import apply_sample, load_samples

    loaded = load_assignment(assignment)
    samples = load_samples(loaded)
    right = [s for s in samples if s.kind == "right"] or [*samples]
    wrong = [s for s in samples if s.kind == "mistake"] or [*samples]
    folder.mkdir(parents=True)
    for number in range(count):
        kind = right if number % 3 == 0 else wrong
        sample = kind[number * 7 % len(kind)]
        changed = {sample.notebook: apply_sample(sample, loaded.notebooks[sample.notebook])}
        write_zip(folder / f"student-{number}.zip", {**loaded.notebooks, **changed}, number)


def exercises_of_checks(assignment: Path) -> dict[str, str]:
    """Return the first check of each exercise: its name by the exercise's id."""
    found: dict[str, str] = {}
    for file in sorted([*assignment.glob("test_*.py"), *assignment.glob("hidden/test_*.py")]):
        text = file.read_text()
        for exercise, name in re.findall(
            r'exercise\("([^"]+)"[^\n]*\)\n(?:@[^\n]*\n)*def (test_\w+)\(', text
        ):
            found.setdefault(exercise, name)
    return found


def change(assignment: Path, name: str) -> None:
    """Change a check's code so that its verdicts stay."""
    for file in [*assignment.glob("test_*.py"), *assignment.glob("hidden/test_*.py")]:
        module = ast.parse(file.read_text())
        for part in module.body:
            if isinstance(part, ast.FunctionDef) and part.name == name:
                lines = file.read_text().splitlines(keepends=True)
                first = part.body[1 if ast.get_docstring(part) else 0]
                lines.insert(first.lineno - 1, " " * first.col_offset + "assert 1 + 0\n")
                file.write_text("".join(lines))
                return
    raise SystemExit(f"no check {name}")


class Class:
    """A class, an assignment that may be changed, a file of results."""

    def __init__(self, root: Path, assignment: Path, count: int) -> None:
        self.root, self.count = root, count
        self.assignment = root / "reference" / assignment.name
        shutil.copytree(
            assignment, self.assignment, ignore=shutil.ignore_patterns("samples", "known")
        )
        hand_in(assignment, root / "class", count)

    def grade(self, answers: str, results: str) -> tuple[float, float]:
        os.environ["GRADE_ANSWERS"] = answers
        return self._run(results, self.root / "class", "--assignment", self.assignment.name)[:2]

    def regrade(self, results: str, *options: str) -> tuple[float, float, dict[str, object], str]:
        os.environ["GRADE_ANSWERS"] = ""
        seconds, cpu_s, _ = self._run(
            results, "regrade", "1", "--lower", "measured", "--json", self.root / "gains.json",
            *options,
        )  # fmt: skip
        report = json.loads(self._run(results, "results", "latest", "--json", "-", jobs=())[2])
        with sqlite3.connect(self.root / results) as store:
            run_of_results = json.loads(
                store.execute("SELECT about FROM runs ORDER BY id DESC").fetchone()[0]
            )
        return seconds, cpu_s, verdicts(report), str(run_of_results.get("exercises"))

    def _run(
        self, results: str, *words: object, jobs: tuple[object, ...] = ("--jobs", 2)
    ) -> tuple[float, float, str]:
        os.environ["GRADE_RESULTS"] = str(self.root / results)
        return run([GRADE, *words, *jobs, "--assignments", self.assignment.parent], self.root)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("count", nargs="?", type=int, default=12)
    parser.add_argument("--assignment", type=Path, default=ROOT / "reference" / "pw02")
    parser.add_argument("--check", action="append", help="default: the first of four exercises")
    parser.add_argument("--rounds", type=int, default=1)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        klass = Class(Path(folder), asked.assignment.resolve(), asked.count)
        print("| | seconds | processor seconds | each |\n|---|---:|---:|---:|")
        for number in range(asked.rounds):
            for how, answers in (("without", "none"), ("with", "")):
                seconds, cpu_s = klass.grade(answers, f"{how}-{number}.sqlite")
                row(f"graded, {how} kept answers", seconds, cpu_s, asked.count)
        kept = Path(folder, "with-0.sqlite")
        with sqlite3.connect(kept) as store:
            sizes = [size for (size,) in store.execute("SELECT size FROM kept_answers")]
        before = Path(folder, "without-0.sqlite").stat().st_size
        print(
            f"\n{len(sizes)} of {asked.count} have kept answers: "
            f"{statistics.mean(sizes) / 1024:.0f} "
            f"KiB each, at most {max(sizes) / 1024:.0f}; the file of results is "
            f"{kept.stat().st_size / 1024:.0f} KiB, without them {before / 1024:.0f} KiB\n"
        )
        first_checks = exercises_of_checks(klass.assignment)
        names = asked.check or [*first_checks.values()][:: max(1, len(first_checks) // 4)]
        print("| changed | seconds | processor seconds | each |\n|---|---:|---:|---:|")
        for name in names:
            original = Path(folder, "original")
            shutil.copytree(klass.assignment, original)
            change(klass.assignment, name)
            *kept_way, found, exercises = klass.regrade("with-0.sqlite")
            *fresh_way, expected, _ = klass.regrade("with-0.sqlite", "--afresh")
            row(f"{name} ({exercises}), from kept answers", *kept_way, asked.count)
            row("the same, afresh", *fresh_way, asked.count)
            if found != expected:
                raise SystemExit(f"{name}: the verdicts differ")
            shutil.rmtree(klass.assignment)
            original.rename(klass.assignment)


def row(what: str, seconds: float, cpu_s: float, count: int) -> None:
    print(f"| {what} | {seconds:.2f} | {cpu_s:.2f} | {cpu_s / count:.3f} |", flush=True)


if __name__ == "__main__":
    main()
