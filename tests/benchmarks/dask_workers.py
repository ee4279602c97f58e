"""How the rate of a class grows with the workers of a dask cluster, all on this machine.

    python tests/benchmarks/dask_workers.py [N] [--workers 1 2 4]

Starts a scheduler and as many workers of one thread each, grades growth.py's toy class of N (60)
over it, and prints Markdown. The time is that between the first result and the last; linear is the
rate of one worker times the workers, or times the cores of the machine where these are fewer.

`busy` is how many cores the cluster and the command kept busy meanwhile (as root: by a control
group). One worker may keep more than one busy: a kernel works beside what asks it, the scheduler
and the command beside both. All workers together can have no more than cores / busy times its rate,
which is the last column's measure. Other work on the machine makes both meaningless.
"""

from __future__ import annotations

import argparse
import contextlib
import math
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import growth
from peers import CpuMeter


@contextlib.contextmanager
def cluster(folder: Path, workers: int) -> Iterator[Path]:
    """Yield the scheduler's file once all workers are there."""
    folder.mkdir()
    file = folder / "scheduler.json"
    processes: list[subprocess.Popen[bytes]] = []

    def start(kind: str, *words: str) -> None:
        program = f"from distributed.cli.dask_{kind} import main; main()"
        arguments = [f"dask-{kind}", "--scheduler-file", str(file), "--no-dashboard", *words]
        processes.append(
            subprocess.Popen(
                [sys.executable, "-P", "-c", f"import sys; sys.argv[:] = {arguments!r}\n{program}"],
                cwd=folder, env=os.environ | {"TMPDIR": str(folder)},
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            )
        )  # fmt: skip

    try:
        start("scheduler", "--host", "127.0.0.1", "--port", "0")
        for _ in range(workers):
            start("worker", "--nthreads", "1", "--host", "127.0.0.1", "--no-nanny")
        end = time.monotonic() + 120
        while not file.is_file():
            if time.monotonic() > end:
                raise SystemExit("no scheduler after 120 s")
            time.sleep(0.1)
        from distributed import Client

        with Client(scheduler_file=str(file), set_as_default=False) as client:
            client.wait_for_workers(workers, timeout=120)
        yield file
    finally:
        for process in reversed(processes):
            process.terminate()
        for process in processes:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@dataclass(frozen=True)
class Rate:
    """Between the first result and the last: seconds each, and cores busy (nan where unknown)."""

    seconds_each: float
    busy: float


def rate_of(command: list[str], results: Path, count: int, meter: CpuMeter) -> Rate:
    """Run the command on so many submissions over a cluster that the meter counts as well."""
    environment = os.environ | {"GRADE_RESULTS": str(results)}
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL,
                          stderr=subprocess.PIPE, text=True) as process:  # fmt: skip
        assert process.stderr is not None
        looks = [
            (time.perf_counter(), meter.cpu_s())
            for line in process.stderr
            if re.match(r"\d+/\d+ ", line)
        ]
    if process.returncode or len(looks) != count:
        raise SystemExit(f"{command} ended with {process.returncode}, {len(looks)} results")
    wall, cpu = (last - first for first, last in zip(looks[0], looks[-1], strict=True))
    return Rate(wall / (count - 1), cpu / wall if meter.group is not None else math.nan)


@contextlib.contextmanager
def counted() -> Iterator[CpuMeter]:
    """Count this process and all that it starts from now on, as long as the block runs."""
    with CpuMeter() as meter:
        if meter.group is None:
            yield meter
            return
        me, home = str(os.getpid()), meter.group.parent / "cgroup.procs"
        (meter.group / "cgroup.procs").write_text(me)
        try:
            yield meter
        finally:
            home.write_text(me)


def measured(count: int, numbers: Sequence[int]) -> dict[int, Rate]:
    """Return the rate by how many workers."""
    each: dict[int, Rate] = {}
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        growth.write_assignment(root / "reference" / "toy")
        growth.hand_in(root / "handed in", count)
        for workers in numbers:
            with counted() as meter, cluster(root / f"with {workers}", workers) as file:
                command = [sys.executable, "-m", "grader", str(root / "handed in"),
                           "--assignments", str(root / "reference"), "--dask", str(file),
                           "--regrade", "--json", os.devnull]  # fmt: skip
                each[workers] = rate_of(command, root / f"{workers}.sqlite", count, meter)
    return each


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("count", nargs="?", type=int, default=60)
    parser.add_argument("--workers", nargs="+", type=int, default=[1, 2, 4])
    options = parser.parse_args()
    cores = len(os.sched_getaffinity(0))
    each = measured(options.count, options.workers)
    print(f"{options.count} submissions, {cores} cores\n")
    print("| dask workers | seconds each | busy | rate to one | of linear | of cores / busy |\n"
          "|---:|---:|---:|---:|---:|---:|")  # fmt: skip
    first = options.workers[0]
    alone, busy = each[first].seconds_each * first, each[first].busy / first
    for workers, rate in each.items():
        to_one = alone / rate.seconds_each
        linear, possible = min(workers, cores), min(workers, cores / busy)
        print(f"| {workers} | {rate.seconds_each:.3f} | {rate.busy:.2f} | {to_one:.2f} "
              f"| {to_one / linear:.0%} | {to_one / possible:.0%} |")  # fmt: skip


if __name__ == "__main__":
    main()
