"""Print what a class costs as it grows: time each, memory of the grader, memory of a kernel.

    python tests/benchmarks/growth.py [N ...] [--jobs J]          default: 10 100 1000
    python tests/benchmarks/growth.py --hostile 50 1000           with hostile ones, killed once

A toy notebook of four cells is handed in N times, each with a number of its own, and graded by
the whole command, keeping results in a file of its own. Linux: processes are measured in /proc.

seconds each      wall time from the first result to the last, by N - 1
cpu each          processor time of the whole command and all that it started, by N, s
grader, worker    peak resident memory of the command's process, and of the largest worker, MiB
kernel            private memory of a process that runs a notebook (what it does not share with the
                  one that it was forked from), the median of their peaks, MiB

With --hostile, so many of the N begin with a hostile cell; every answer is right but for that. The
command is killed (SIGKILL) when half of the results are there, and run again to its end. The run
is held against what must come: every submission has a verdict, honest ones have all points, what
was graded before the kill is not graded again, no process is left.
"""

import argparse
import itertools
import json
import os
import random
import re
import resource
import shutil
import signal
import sqlite3
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

[limits]
cell_s = 2
notebook_s = 10
check_s = 2

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
"""
HIDDEN_CHECKS = """\
import pytest
from grader.checks import assert_close


@pytest.mark.exercise("square", points=2)
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


# What a hostile submission does before it answers; one of each kind that a class may hold:
# what hangs, dies, takes all there is, stays behind, floods, patches or looks around.
HOSTILE = {
    "a loop": "while True: pass",
    "a sleep": "import time\ntime.sleep(10**6)",
    "a loop that catches everything":
        "while True:\n    try:\n        while True: pass\n    except BaseException: continue",
    "C that holds the lock": "import itertools\nsum(itertools.repeat(0))",
    "os._exit": "import os\nos._exit(0)",
    "a segfault": "import ctypes\nctypes.string_at(0)",
    "sys.exit": "import sys\nsys.exit(1)",
    "memory at once": "kept = bytearray(3 << 30)",
    "memory slowly": "kept = []\nfor _ in range(300): kept.append(bytearray(10 << 20))",
    "disk": "f = open('big', 'wb')\nfor _ in range(200): f.write(bytes(10 << 20)); f.flush()",
    "descriptors": "kept = [open('/dev/null') for _ in range(100_000)]",
    "forks": "import os, time\nfor _ in range(4000):\n    if os.fork() == 0:\n"
             "        time.sleep(600)\n        os._exit(0)",
    "a daemon": "import subprocess, sys\nsubprocess.Popen([sys.executable, '-c', "
                "'import time; time.sleep(600)'], start_new_session=True, env={})",
    "threads": "import threading\ndef spin():\n    while True: pass\n"
               "for _ in range(3): threading.Thread(target=spin, daemon=True).start()",
    "a later end": "import os, threading\nthreading.Timer(0.3, os._exit, [7]).start()",
    "a flood": "for _ in range(2000): print('x' * 10_000)",
    "a flood of lines": "for n in range(10**6): print(n)",
    "numpy patched": "import numpy as np\nnp.allclose = np.array_equal = lambda *a, **k: True\n"
                     "np.exp = np.sum = None",
    "builtins patched": "import builtins\nbuiltins.abs = builtins.all = lambda *a: True",
    "a hook": "get_ipython().events.register('post_run_cell', lambda *a: 1 / 0)",
    "looks around": "import os\nfor folder, _, names in os.walk('/'):\n    for name in names:\n"
                    "        if name == 'test_toy.py': print(open(f'{folder}/{name}').read())",
    "the network": "import socket\nsocket.create_connection(('127.0.0.1', 9), 2)",
    "forged messages": "import os\nfor n in range(3, 64):\n    try: os.write(n, b'{}' * 1000)\n"
                       "    except OSError: pass",
    "no Python": "def (:",
    "signals": "import os, signal\nos.kill(os.getppid(), signal.SIGKILL)",
}  # fmt: skip


def notebook(number: int, *, first: str = "", wrong: bool = False) -> str:
    sources = [
        *([first] if first else []),
        "import numpy as np",
        FUNCTION.format("sum" if wrong else "mean"),
        f"own = np.full(1000, {number})",
        "print(mean_square(own, 0 * own))",
    ]
    cells = [
        {"cell_type": "code", "id": f"c{n}", "metadata": {}, "execution_count": None,
         "outputs": [], "source": source}
        for n, source in enumerate(sources)
    ]  # fmt: skip
    return json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5})


def hand_in(folder: Path, count: int, *, hostile: int | None = None) -> dict[str, str]:
    """Write the submissions; return what is hostile about which, by the file's name.

    hostile : how many are; the others are right then. None: a third of them are wrong
    """
    folder.mkdir()
    drawn = random.Random(count).sample(range(1, count + 1), hostile or 0)
    kinds = dict(zip(drawn, itertools.cycle(HOSTILE), strict=False))
    for number in range(1, count + 1):
        text = notebook(
            number,
            first=HOSTILE[kinds[number]] if number in kinds else "",
            wrong=hostile is None and number % 3 == 0,
        )
        with zipfile.ZipFile(folder / f"student-{number}.zip", "w") as archive:
            archive.writestr("toy.ipynb", text)
    return {f"student-{number}.zip": kind for number, kind in kinds.items()}


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
        top: dict[int, int] = {}  # of a process that runs a notebook, the one that it began in
        for pid, parent in below(self.pid):
            if read(pid, "cmdline") == read(self.pid, "cmdline"):  # a fork of the command
                self.workers[pid] = max(self.workers.get(pid, 0.0), peak_mib(pid))
            elif is_kernel(pid):
                # The forks that checks use are the largest there.
                top[pid] = session = top.get(parent, pid)
                self.kernels[session] = max(self.kernels.get(session, 0.0), private_mib(pid))


def is_kernel(pid: int) -> bool:
    """Whether it has the libraries in memory, and numbers of its own for its processes."""
    status = read(pid, "status")
    numbers = re.search(r"^NSpid:(.*)$", status, re.MULTILINE)
    size = re.search(r"^VmRSS:\s+(\d+) kB", status, re.MULTILINE)
    return bool(numbers and size and len(numbers[1].split()) > 1 and int(size[1]) > 50 * 1024)


def below(pid: int) -> list[tuple[int, int]]:
    """Return every process that descends from this one, with its parent; parents come first."""
    found = [(child, pid) for child in children(pid)]
    return found + [deeper for child, _ in found for deeper in below(child)]


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
    times = [time.perf_counter() for line in process.stderr if re.match(r"\d+/\d+ ", line)]
    code = process.wait()
    ended.set()
    watching.join()
    if code != 0 or len(times) != count:
        raise SystemExit(f"{' '.join(command)} ended with {code} after {len(times)} results")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Measured((times[-1] - times[0]) / (count - 1), cpu / count, family)


# --- a class with hostile submissions -----------------------------------------------------


def survive(command: list[str], root: Path, count: int, kinds: dict[str, str]) -> None:
    """Kill the command when half of the results are there, run it to its end, judge all of it."""
    results, tmp = root / "hostile.sqlite", root / "tmp"
    tmp.mkdir()
    environment = dict(os.environ, GRADE_RESULTS=str(results), TMPDIR=str(tmp))
    start = time.perf_counter()
    first = subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    assert first.stderr is not None
    told = set()
    for line in first.stderr:
        told.add(line.split()[1])
        if len(told) >= count // 2:
            break
    first.send_signal(signal.SIGKILL)
    told |= {line.split()[1] for line in first.stderr.read().splitlines() if "/" in line[:10]}
    first.wait()
    left = wait_for_none(tmp)
    shutil.rmtree(tmp, ignore_errors=True)  # what the killed process could not delete
    tmp.mkdir()
    kept = keys(results)
    second = subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    family = Family(second.pid)
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(0.2):
            family.look()

    watching = threading.Thread(target=watch)
    watching.start()
    assert second.stderr is not None
    said = second.stderr.read()
    code = second.wait()
    ended.set()
    watching.join()
    again = {line.split()[1] for line in said.splitlines() if line.endswith("an earlier run")}
    submissions = json.loads((root / "report.json").read_text())["submissions"]
    by_name = {Path(s["path"]).name: s for s in submissions}
    graded = {name for name, s in by_name.items() if s["status"] == "graded"}
    honest = set(by_name) - set(kinds)
    full = {name for name in honest & graded if by_name[name]["score"] == 4.0}
    each = [times for _, times in keys(results).items()]
    rows = {
        "submissions": f"{count}",
        "hostile among them": f"{len(kinds)}, of {len(set(kinds.values()))} kinds",
        "killed by SIGKILL after": f"{len(told)} results, {len(kept)} of them kept",
        "exit code of the second run": f"{code}",
        "have a verdict": f"{len(graded)} of {len(by_name)}",
        "honest ones with all their points": f"{len(full)} of {len(honest)}",
        "told before the kill, and graded again": f"{len(told - again)}",
        "graded more than once": f"{sum(times > 1 for times in each)}",
        "processes left after the kill, after the end": f"{left}, {wait_for_none(tmp)}",
        "files left after the end": f"{sum(1 for _ in tmp.rglob('*'))}",
        "peak memory of the grader, MiB": f"{family.grader:.1f}",
        "seconds, both runs": f"{time.perf_counter() - start:.0f}",
    }
    for what, value in rows.items():
        print(f"{what:46} {value}", flush=True)
    for name in sorted(set(by_name) - graded):
        print(f"no verdict: {name} ({kinds.get(name, 'honest')}): {by_name[name]['message']}")
    for name in sorted(honest & graded - full):
        print(f"points lost: {name}: {by_name[name]['score']}")
    for name in sorted(set(kinds) & graded):
        if by_name[name]["score"] != 4.0:
            print(f"hostile: {name} ({kinds[name]}): {by_name[name]['score']}")


def keys(results: Path) -> dict[str, int]:
    """Return how often each content was graded."""
    connection = sqlite3.connect(results)
    try:
        return dict(
            connection.execute(
                "SELECT input_hash, count(*) FROM results WHERE status = 'graded' GROUP BY 1"
            )
        )
    finally:
        connection.close()


def wait_for_none(mark: Path) -> int:
    """Return how many processes with this in their environment are alive after a moment."""
    end = time.monotonic() + 30
    while True:
        alive = [
            pid
            for pid in map(int, filter(str.isdigit, os.listdir("/proc")))  # noqa: PTH208
            if str(mark) in read(pid, "environ") + read(pid, "cmdline")
        ]
        if not alive or time.monotonic() > end:
            return len(alive)
        time.sleep(0.1)


def main(counts: list[int], jobs: int, hostile: int | None) -> None:
    if hostile is None:
        print(
            f"{'N':>6} {'seconds each':>13} {'cpu each':>9} "
            f"{'grader':>8} {'worker':>8} {'kernel':>8}",
            flush=True,
        )
    for count in counts:
        with tempfile.TemporaryDirectory() as name:
            measure(Path(name), count, jobs, hostile)


def write_assignment(toy: Path) -> None:
    toy.mkdir(parents=True)
    (toy / "assignment.toml").write_text(ASSIGNMENT)
    (toy / "toy.ipynb").write_text(notebook(1))
    (toy / "test_toy.py").write_text(CHECKS)
    (toy / "hidden").mkdir()
    (toy / "hidden" / "test_toy.py").write_text(HIDDEN_CHECKS)


def measure(root: Path, count: int, jobs: int, hostile: int | None) -> None:
    write_assignment(root / "reference" / "toy")
    kinds = hand_in(root / "handed in", count, hostile=hostile)
    command = [
        *(sys.executable, "-P", "-m", "grader", str(root / "handed in")),
        *("--assignments", str(root / "reference"), "--assignment", "toy"),
        *("--jobs", str(jobs), "--json", str(root / "report.json")),
    ]
    if hostile is not None:
        survive(command, root, count, kinds)
        return
    got = run(command, root / "results.sqlite", count)
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
    parser.add_argument("--hostile", metavar="H", type=int)
    arguments = parser.parse_args()
    main(arguments.counts, arguments.jobs, arguments.hostile)
