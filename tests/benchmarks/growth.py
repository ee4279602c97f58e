"""Print what a class costs as it grows: time each, memory of the grader, memory of a kernel.

    python tests/benchmarks/growth.py [N ...] [--jobs J]          default: 10 100 1000

A toy notebook of four cells is handed in N times, each with a number of its own, and graded by
the whole command, keeping results in a file of its own. Linux: processes are measured in /proc.

seconds each      wall time from the first result to the last, by N - 1
cpu each          processor time of the whole command and all that it started, by N, s
grader, worker    peak resident memory of the command's process, and of the largest worker, MiB
kernel            private memory of a process that runs a notebook (what it does not share with the
                  one that it was forked from), the median of their peaks, MiB
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path

ASSIGNMENT = """\
id = "toy"
title = "Toy"

[[notebooks]]
file = "toy.ipynb"

[[exercises]]
id = "square"
title = "Mean square"
points = 4
notebook = "toy.ipynb"
functions = ["mean_square"]
"""
CHECKS = """\
import numpy as np
import pytest
from grader.checks import assert_close


@pytest.mark.exercise("square", points=2)
def test_mean_of_squares(student, rng):
    p = rng.normal(size=7)
    assert_close(student.mean_square(p, 0 * p), np.mean(p * p), called="mean_square(p, y)")


@pytest.mark.exercise("square", points=2, hidden=True)
def test_like_the_solution(student, reference, rng):
    p = rng.normal(size=(3, 4))
    assert_close(student.mean_square(p, p + 1), reference.mean_square(p, p + 1))
"""
FUNCTION = """\
def mean_square(p, y):
    ### START YOUR CODE ###
    return ((p - y) ** 2).{}()
    ### END YOUR CODE ###
"""


def notebook(number: int) -> str:
    sources = [
        "import numpy as np",
        FUNCTION.format("sum" if number % 3 == 0 else "mean"),
        f"own = np.full(1000, {number})",
        "print(mean_square(own, 0 * own))",
    ]
    cells = [
        {"cell_type": "code", "id": f"c{n}", "metadata": {}, "execution_count": None,
         "outputs": [], "source": source}
        for n, source in enumerate(sources)
    ]  # fmt: skip
    return json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5})


def hand_in(folder: Path, count: int) -> None:
    folder.mkdir()
    for number in range(1, count + 1):
        with zipfile.ZipFile(folder / f"student-{number}.zip", "w") as archive:
            archive.writestr("toy.ipynb", notebook(number))


# --- measuring ----------------------------------------------------------------------------


class Family:
    """The processes below one, and the most memory that each was seen with, MiB."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.grader = 0.0
        self.workers: dict[int, float] = {}
        self.kernels: dict[int, float] = {}

    def look(self) -> None:
        self.grader = max(self.grader, peak_mib(self.pid))
        for pid in below(self.pid):
            words = read(pid, "cmdline")
            if "grader.worker" in words:
                self.workers[pid] = max(self.workers.get(pid, 0.0), peak_mib(pid))
                for warm in children(pid):
                    for session in children(warm):
                        # The kernel, and the forks of it that checks use, are the largest there.
                        most = max(map(private_mib, (session, *below(session))), default=0.0)
                        self.kernels[session] = max(self.kernels.get(session, 0.0), most)


def below(pid: int) -> list[int]:
    """Return every process that descends from this one."""
    found = children(pid)
    return found + [deeper for child in found for deeper in below(child)]


def read(pid: int, name: str) -> str:
    try:
        return Path(f"/proc/{pid}/{name}").read_text(errors="replace")
    except OSError:
        return ""


def children(pid: int) -> list[int]:
    try:
        tasks = [task.name for task in Path(f"/proc/{pid}/task").iterdir()]
    except OSError:  # it has just ended
        return []
    return [int(child) for task in tasks for child in read(pid, f"task/{task}/children").split()]


def peak_mib(pid: int) -> float:
    return sum(
        int(line.split()[1]) / 1024
        for line in read(pid, "status").splitlines()
        if line.startswith("VmHWM:")
    )


def private_mib(pid: int) -> float:
    return sum(
        int(line.split()[1]) / 1024
        for line in read(pid, "smaps_rollup").splitlines()
        if line.startswith(("Private_Clean:", "Private_Dirty:"))
    )


@dataclass
class Measured:
    seconds_each: float
    cpu_each: float
    family: Family


def run(command: list[str], results: Path, count: int) -> Measured:
    """Run the command on that many submissions and measure it."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    process = subprocess.Popen(
        command,
        env=dict(os.environ, GRADE_RESULTS=str(results)),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    family = Family(process.pid)
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(0.05):
            family.look()

    watching = threading.Thread(target=watch)
    watching.start()
    assert process.stderr is not None
    times = [time.perf_counter() for line in process.stderr if line[0].isdigit()]
    code = process.wait()
    ended.set()
    watching.join()
    if code != 0 or len(times) != count:
        raise SystemExit(f"{' '.join(command)} ended with {code} after {len(times)} results")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Measured((times[-1] - times[0]) / (count - 1), cpu / count, family)


def main(counts: list[int], jobs: int) -> None:
    print(
        f"{'N':>6} {'seconds each':>13} {'cpu each':>9} {'grader':>8} {'worker':>8} {'kernel':>8}",
        flush=True,
    )
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        toy = root / "reference" / "toy"
        toy.mkdir(parents=True)
        (toy / "assignment.toml").write_text(ASSIGNMENT)
        (toy / "toy.ipynb").write_text(notebook(1))
        (toy / "test_toy.py").write_text(CHECKS)
        for count in counts:
            hand_in(root / str(count), count)
            command = [
                *(sys.executable, "-P", "-m", "grader.cli", str(root / str(count))),
                *("--assignments", str(root / "reference"), "--assignment", "toy"),
                *("--jobs", str(jobs), "--json", str(root / "report.json")),
            ]
            got = run(command, root / f"{count}.sqlite", count)
            kernels = [*got.family.kernels.values()] or [float("nan")]
            workers = [*got.family.workers.values()] or [float("nan")]
            print(
                f"{count:6d} {got.seconds_each:13.3f} {got.cpu_each:9.3f} "
                f"{got.family.grader:8.1f} {max(workers):8.1f} {statistics.median(kernels):8.1f}",
                flush=True,
            )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    # A rate needs two results.
    parser.add_argument("counts", metavar="N", type=int, nargs="*", default=[10, 100, 1000])
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    arguments = parser.parse_args()
    main(arguments.counts, arguments.jobs)
