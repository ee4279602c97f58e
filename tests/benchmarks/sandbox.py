"""Print what the sandbox costs, or that it changes no verdict: `--sandbox auto` against `none`.

    python tests/benchmarks/sandbox.py [ROUNDS]                   pw02, what it costs; goal: 1.10
    python tests/benchmarks/sandbox.py verdicts [ASSIGNMENT]      every sample of it, graded twice

What it costs: the two run in turn, each first in every second round, so that both see the same
machine; the ratios of wall-clock and of processor time are taken pair by pair and their medians
printed. Once one zip of the three notebooks, once a batch of eight small ones. Processor time is
that of a control group, where this user may make one: no process that ended unseen is left out.
"""

import contextlib
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

from grader.assignment import load_assignment
from grader.verify.samples import apply_sample, load_samples

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "reference" / "pw02").glob("*.ipynb"))
POLICIES = ("auto", "none")


class Meter:
    """Adds up the processor time of commands and of all that they start."""

    def __init__(self) -> None:
        self.group: Path | None = None
        for place in (Path("/sys/fs/cgroup/cpuacct"), Path("/sys/fs/cgroup")):
            group = place / f"grade-benchmark-{os.getpid()}"
            if self.group is None and (place / "cgroup.procs").exists():
                with contextlib.suppress(OSError):
                    group.mkdir()
                    self.group = group

    def join(self) -> None:
        """Count this process, and its children, from now on."""
        if self.group is not None:
            (self.group / "cgroup.procs").write_text("0")

    def used_s(self) -> float:
        if self.group is None:
            used = resource.getrusage(resource.RUSAGE_CHILDREN)
            return used.ru_utime + used.ru_stime
        if (usage := self.group / "cpuacct.usage").exists():
            return int(usage.read_text()) / 1e9
        return int((self.group / "cpu.stat").read_text().split()[1]) / 1e6

    def close(self) -> None:
        if self.group is not None:
            self.group.rmdir()


METER = Meter()


def grade(paths: list[Path], assignment: str, folder: Path, *options: str) -> dict[str, object]:
    """Return the report of the whole command."""
    command = [sys.executable, "-m", "grader", *map(str, paths), "--assignment", assignment,
               "--assignments", str(ROOT / "reference"), "--json", "-",
               *options]  # fmt: skip
    done = subprocess.run(
        command,
        cwd=folder,
        env=os.environ | {"GRADE_RESULTS": "none", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        preexec_fn=METER.join,
    )
    if done.returncode:
        sys.exit(f"{options} ended with {done.returncode}:\n{done.stderr}")
    report: dict[str, object] = json.loads(done.stdout)
    return report


# --- what it costs --------------------------------------------------------------------------------


def hand_in(folder: Path) -> dict[str, list[Path]]:
    """Return what is graded, by its name."""
    whole = folder / "whole.zip"
    with zipfile.ZipFile(whole, "w") as archive:
        for path in NOTEBOOKS:
            archive.write(path, path.name)
    smallest = min(NOTEBOOKS, key=lambda path: path.stat().st_size)
    batch = []
    for n in range(8):
        batch.append(folder / f"student-{n}.zip")
        with zipfile.ZipFile(batch[-1], "w") as archive:
            archive.write(smallest, smallest.name)
            archive.writestr("name.txt", f"student {n}")  # what is the same is graded once
    return {"one zip of three notebooks": [whole], "eight small zips": batch}


def cost(paths: list[Path], policy: str, folder: Path) -> tuple[float, float]:
    """Return how long the whole command takes, on the wall and on all processors."""
    before_s = METER.used_s()
    started = time.perf_counter()
    grade(paths, "pw02", folder, "--sandbox", policy)
    return time.perf_counter() - started, METER.used_s() - before_s


def print_costs(rounds: int, folder: Path) -> None:
    for name, paths in hand_in(folder).items():
        for policy in POLICIES:
            cost(paths, policy, folder)  # font lists, compiled files: what is made once
        pairs = []
        for n in range(rounds):
            order = POLICIES if n % 2 else POLICIES[::-1]
            pairs.append({policy: cost(paths, policy, folder) for policy in order})
        for clock, what in enumerate(("wall", "processors")):
            ratio = statistics.median(pair["auto"][clock] / pair["none"][clock] for pair in pairs)
            auto, none = (statistics.median(p[policy][clock] for p in pairs) for policy in POLICIES)
            print(f"{name}, {what}: {auto:.2f} s closed in, {none:.2f} s not; ratio {ratio:.2f}")


# --- that it changes no verdict -------------------------------------------------------------------


def print_differences(assignment_id: str, folder: Path, ways: dict[str, list[str]]) -> int:
    """Grade every sample in two ways; print what differs, and return how many do.

    ways : options of the command, by what they stand for
    """
    assignment = load_assignment(ROOT / "reference" / assignment_id)
    paths = []
    for sample in load_samples(assignment):
        notebook = apply_sample(sample, assignment.notebooks[sample.notebook])
        cells = [
            {"cell_type": cell.kind, "source": cell.source, "metadata": {}}
            | ({"outputs": [], "execution_count": None} if cell.kind == "code" else {})
            for cell in notebook.cells
        ]
        document = {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 4}
        paths.append(folder / f"{sample.name}.zip")
        with zipfile.ZipFile(paths[-1], "w") as archive:
            archive.writestr(sample.notebook, json.dumps(document))
    one, other = (
        verdicts(grade(paths, assignment_id, folder, *options)) for options in ways.values()
    )
    different = [name for name in one if one[name] != other[name]]
    for name in different:
        for way, said in zip(ways, (one, other), strict=True):
            print(f"{name}, {way}: {said[name]}")
    print(f"{assignment_id}: {len(one) - len(different)} of {len(one)} samples have one verdict")
    return len(different)


def verdicts(report: dict[str, object]) -> dict[str, object]:
    """Return all that a report says of each submission but how long it took."""

    def timeless(value: object) -> object:
        if isinstance(value, dict):
            return {key: timeless(item) for key, item in value.items() if key != "seconds"}
        return [timeless(item) for item in value] if isinstance(value, list) else value

    submissions = report["submissions"]
    assert isinstance(submissions, list)
    return {Path(submission["path"]).stem: timeless(submission) for submission in submissions}


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch, contextlib.closing(METER):
        if sys.argv[1:2] == ["verdicts"]:
            named = sys.argv[2] if len(sys.argv) > 2 else "pw02"
            closed = {"closed in": ["--sandbox", "auto"], "not": ["--sandbox", "none"]}
            sys.exit(print_differences(named, Path(scratch), closed) > 0)
        print_costs(int(sys.argv[1]) if len(sys.argv) > 1 else 7, Path(scratch))
