"""Two installations of grade, in turns in one run: a class of the small notebook, one cold zip.

    python tests/benchmarks/paired.py PYTHON PYTHON [--submissions 40] [--rounds 7]

Each PYTHON is that of an environment with one commit's package, made by

    git worktree add --detach OLD COMMIT && uv venv OLD-VENV
    uv pip install --python OLD-VENV/bin/python -e 'OLD[dev,docs]'

with the same extras in both: pytest looks at each package that is installed.

The notebook, its checks and the submissions are those of `peers.py`, the same files for both.
Each round grades them with both, the first one changes from round to round. Prints the medians,
and the median, least and largest of the rounds' ratios of the second to the first: wall time and
processor time. Nothing is kept between runs, and both have bytecode.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import tempfile
from datetime import date
from pathlib import Path

import peers
from notebooks import code, write_notebook


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("pythons", nargs=2, metavar="PYTHON", type=Path)
    parser.add_argument("--submissions", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=7)
    given = parser.parse_args()
    os.environ["GRADE_RESULTS"] = "none"
    pythons = [python.absolute() for python in given.pythons]
    for python in pythons:
        compile_all(python)
    with tempfile.TemporaryDirectory(prefix="grade-paired-") as folder:
        root = Path(folder)
        peers.set_up_grade(root / "grade")
        class_ = root / "grade" / "submitted"
        for number in range(given.submissions):
            cells = [*map(code, peers.cells_of(number))]
            write_notebook(class_ / f"s{number:04}" / "digits.ipynb", cells)
        zipped = Path(shutil.make_archive(str(root / "one"), "zip", class_ / "s0000"))
        cores = os.cpu_count() or 1
        print(f"{platform.system()} {platform.release()}, {cores} cores, {date.today()}; "
              f"{given.submissions} submissions, {given.rounds} rounds\n")  # fmt: skip
        print("| | first | second | second / first | least | largest |")
        print("|---|---:|---:|---:|---:|---:|")
        for name, path, jobs, each in (
            ("class, a submission", class_, cores, given.submissions),
            ("one cold zip", zipped, 1, 1),
        ):
            rounds = in_turns(root, pythons, path, jobs, given.rounds)
            for n, kind in enumerate(("wall", "processor")):
                pairs = [(first[n] / each, second[n] / each) for first, second in rounds]
                print(row(f"{name}, {kind} s", pairs), flush=True)


def compile_all(python: Path) -> None:
    """Write bytecode of the package and of all that it imports."""
    ask = (
        "import grader, sysconfig; print(grader.__path__[0]); print(sysconfig.get_path('purelib'))"
    )
    told = subprocess.run([python, "-c", ask], capture_output=True, text=True, check=True)
    # Some packages bring files for other versions of Python, which don't compile.
    subprocess.run([python, "-m", "compileall", "-q", *told.stdout.split()], capture_output=True)


def in_turns(
    root: Path, pythons: list[Path], path: Path, jobs: int, rounds: int
) -> list[list[tuple[float, float]]]:
    """Return for each round wall and processor seconds of the first and of the second."""
    measured = []
    for n in range(rounds + 1):
        took = {}
        for python in pythons if n % 2 else reversed(pythons):
            took[python] = graded(root, python, path, jobs)
        if n:  # the first fills the disk's cache
            measured.append([took[python] for python in pythons])
    return measured


def graded(root: Path, python: Path, path: Path, jobs: int) -> tuple[float, float]:
    words = [python, "-m", "grader", path, "--assignments", root / "grade" / "reference"]
    wall, cpu, out = peers.run([*words, "--jobs", jobs, "--regrade", "--json", "-"], root)
    scores = [submission["score"] for submission in json.loads(out)["submissions"]]
    assert set(scores) == {8.0}, scores
    return wall, cpu


def row(name: str, pairs: list[tuple[float, float]]) -> str:
    first, second = (statistics.median(side) for side in zip(*pairs, strict=True))
    ratios = [b / a for a, b in pairs]
    middle, least, most = statistics.median(ratios), min(ratios), max(ratios)
    return f"| {name} | {first:.3f} | {second:.3f} | {middle:.3f} | {least:.3f} | {most:.3f} |"


if __name__ == "__main__":
    main()
