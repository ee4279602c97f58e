"""What the speed of grading is held to, as one table: each row against its peer, in turn.

    python tests/benchmarks/peers.py setup DIR               the other graders, once
    python tests/benchmarks/goals.py measure DIR PIECE...    peers, overhead, cold, real, ...
    python tests/benchmarks/goals.py table DIR               what was measured, as Markdown

Measure at a quiet moment. What was measured stays in DIR/goals.json, a figure a row, with its day.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import platform
import statistics
import sys
import tempfile
from collections.abc import Callable
from datetime import date
from pathlib import Path

import dask_workers
import growth
import peers
import real_work

DUE = {
    "batch, {cores} cores, against nbgrader's rate": "28",
    "processor time against the floor": "1.5",
    "processor seconds above the floor, by submissions": "0.045",
    "pw02's class against its cells, processor time": "1.15",
    "one cold zip against python": "1.15",
    "seconds each, by submissions": "flat to 5 %",
    "dask workers against one, of linear": "90 %",
}
PEER, FLOOR, OVERHEAD, REAL, COLD, SIZES, CLUSTER = DUE
SUBMISSIONS = 40
OVERHEAD_OF = (40, 100)
SIZE_LIST = (10, 100, 1000)


def measure_peers(root: Path) -> dict[str, str]:
    """Return the rows of the small notebook: all graders one after the other, in one run."""
    _, floor = peers.floor(root)
    rows = {name: (wall, cpu) for name, wall, cpu in peers.batch(root, SUBMISSIONS)}
    ours = rows[f"grade --jobs {os.cpu_count() or 1}"]
    nbgrader = rows["nbgrader autograde"]
    return {
        PEER: f"{nbgrader[0] / ours[0]:.1f} ({nbgrader[0]:.3f} s, {ours[0]:.3f} s)",
        FLOOR: f"{ours[1] / floor:.2f} ({ours[1]:.3f} s, {floor:.3f} s)",
    }


def measure_overhead(root: Path) -> dict[str, str]:
    """Return what a submission takes above a warm fork with its cells: medians of three pairs.

    The command's start is the same for a class of any size, so a larger one has less of it each.
    """
    told = []
    for count in OVERHEAD_OF:
        peers.hand_in(root, count)
        command = peers.grade_command(root, root / "grade" / "submitted", jobs=os.cpu_count() or 1)
        pairs = [
            (peers.run(command, root / "grade")[1] / count, peers.floor(root)[1]) for _ in range(3)
        ]
        above = statistics.median(ours - floor for ours, floor in pairs)
        ratio = statistics.median(ours / floor for ours, floor in pairs)
        told.append(f"{count}: {above:.3f} ({ratio:.2f} times)")
    return {OVERHEAD: ", ".join(told)}


def measure_cold(root: Path) -> dict[str, str]:
    graded, bare, ratio = peers.cold(root)
    return {COLD: f"{ratio:.2f} ({graded:.2f} s, {bare:.2f} s)"}


def measure_real(root: Path) -> dict[str, str]:
    (row,) = real_work.measured(real_work.ROOT / "reference" / "pw02", 12, 1)
    parts = f"{row.whole:.2f} s, {row.cells:.2f} s, {row.threads:.2f} with a thread a core; "
    parts += f"bare {row.bare:.2f} s: {row.whole / row.bare:.2f}; checks "
    parts += f"{row.whole - row.unchecked:.2f} s, pictures {row.drawn - row.bare:.2f} s"
    return {REAL: f"{row.whole / row.cells:.2f} ({parts})"}


def measure_sizes(root: Path) -> dict[str, str]:
    each: dict[int, float] = {}
    for count in SIZE_LIST:
        with tempfile.TemporaryDirectory() as place:
            told = io.StringIO()
            with contextlib.redirect_stdout(told):
                growth.measure(Path(place), count, os.cpu_count() or 1, None)
            each[count] = float(told.getvalue().split()[1])
    return {SIZES: ", ".join(f"{count}: {seconds:.3f}" for count, seconds in each.items())}


def measure_cluster(root: Path) -> dict[str, str]:
    each = dask_workers.measured(60, (1, 2, 4))
    cores = len(os.sched_getaffinity(0))
    parts = [
        f"{workers}: {each[1].seconds_each / rate.seconds_each / min(workers, cores):.0%}"
        f" ({rate.busy:.2f} cores busy, {each[1].busy:.2f} with one)"
        for workers, rate in each.items()
        if workers > 1
    ]
    if cores > 1:
        pinned = dask_workers.measured(60, (1, 2), pinned=True)
        share = pinned[1].seconds_each / pinned[2].seconds_each / 2
        parts.append(f"2 of a core each: {share:.0%}")
    return {CLUSTER: ", ".join(parts)}


PIECES: dict[str, Callable[[Path], dict[str, str]]] = {
    "peers": measure_peers,
    "overhead": measure_overhead,
    "cold": measure_cold,
    "real": measure_real,
    "sizes": measure_sizes,
    "cluster": measure_cluster,
}


def measure(root: Path, pieces: list[str]) -> None:
    file = root / "goals.json"
    known = json.loads(file.read_text()) if file.exists() else {}
    for piece in pieces:
        for row, figure in PIECES[piece](root).items():
            known[row] = {"figure": figure, "day": str(date.today())}
            print(f"{row}: {figure}", flush=True)
            file.write_text(json.dumps(known, indent=1))


def show(root: Path) -> None:
    known = json.loads((root / "goals.json").read_text())
    cores = os.cpu_count() or 1
    print(f"{platform.system()} {platform.release()}, {cores} cores, "
          f"Python {platform.python_version()}\n")  # fmt: skip
    print("| | measured | due | day |\n|---|---|---|---|")
    for row, due in DUE.items():
        told = known.get(row, {"figure": "-", "day": "-"})
        print(f"| {row.format(cores=cores)} | {told['figure']} | {due} | {told['day']} |")


if __name__ == "__main__":
    verb, place, *more = sys.argv[1:]
    if verb == "measure":
        measure(Path(place).resolve(), more or [*PIECES])
    else:
        show(Path(place).resolve())
