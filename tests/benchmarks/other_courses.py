"""What the documented commands take for each made-up course of tests/other_courses.

    python tests/benchmarks/other_courses.py [PYTEST ARGUMENT...]

Runs those tests, which go from a course's own source files to a verified assignment that is handed
out, and prints a row of Markdown for each: seconds of `grade new`, `verify` (two seeds, and all
mutants) and `stubs`, of a processor and on the clock. What a person needs is not measured: edits
are what the tests make.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections import defaultdict
from datetime import date
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1] / "other_courses"
COMMANDS = ("new", "verify", "stubs")


def main(arguments: list[str]) -> int:
    with tempfile.TemporaryDirectory() as folder:
        times = Path(folder, "times")
        times.touch()
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                "pytest",
                "-q",
                "-m",
                "slow or not slow",
                str(TESTS),
                *arguments,
            ],
            env=os.environ | {"GRADE_TIMES": str(times)},
        )
        rows = [json.loads(line) for line in times.read_text().splitlines()]
    taken: dict[str, dict[str, list[float]]] = defaultdict(dict)
    for test, command, cpu, wall in rows:
        name = test.partition(" ")[0].rpartition("/")[2]
        before = taken[name].get(command, [0.0, 0.0])
        taken[name][command] = [before[0] + cpu, before[1] + wall]
    print(f"\n{date.today()}, seconds of a processor / on the clock\n")
    print("| course | new | verify | stubs | together |")
    print("|---|---|---|---|---|")
    for name, of in taken.items():
        if not {"new", "verify"} <= set(of):
            continue
        parts = [of.get(command, [0.0, 0.0]) for command in COMMANDS]
        whole = [sum(column) for column in zip(*parts, strict=True)]
        cells = [f"{cpu:.1f} / {wall:.1f}" for cpu, wall in (*parts, whole)]
        print(f"| {name} | {' | '.join(cells)} |")
    return done.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
