"""How the rate of a class grows with the workers of a dask cluster, all on this machine.

    python tests/benchmarks/dask_workers.py [N] [--workers 1 2 4] [--who]
    python tests/benchmarks/dask_workers.py [N] --a-core-each [--workers 1 2] [--who]

Starts a scheduler and as many workers of one thread each, grades growth.py's toy class of N (60)
over it, and prints Markdown. The time is that between the first result and the last; linear is the
rate of one worker times the workers, or times the cores of the machine where these are fewer.

`busy` is how many cores the cluster and the command kept busy meanwhile (as root: by a control
group). One worker may keep more than one busy: a kernel works beside what asks it, the scheduler
and the command beside both. All workers together can have no more than cores / busy times its rate,
which is the last column's measure. Other work on the machine makes both meaningless.

--a-core-each holds worker n, and all that it starts, to core n, and the scheduler and the command
to the cores of the workers: one worker then has one core for everything, and two have two. That
tells what a machine more brings; on all cores, one worker uses what two would.

--who tells what used the processor, by process: milliseconds a submission between the first result
and the last. What has ended by then counts as the kernels': they, their sandboxes and checks.
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
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import growth
from peers import CpuMeter


@contextlib.contextmanager
def cluster(folder: Path, workers: int, *, pinned: bool = False) -> Iterator[Path]:
    """Yield the scheduler's file once all workers are there.

    pinned : worker n has core n alone, and the scheduler the cores of all workers
    """
    folder.mkdir()
    file = folder / "scheduler.json"
    processes: list[subprocess.Popen[bytes]] = []

    def start(kind: str, *words: str, cores: Sequence[int]) -> None:
        program = f"from distributed.cli.dask_{kind} import main; main()"
        arguments = [f"dask-{kind}", "--scheduler-file", str(file), "--no-dashboard", *words]
        processes.append(
            subprocess.Popen(
                [sys.executable, "-P", "-c", f"import sys; sys.argv[:] = {arguments!r}\n{program}"],
                cwd=folder, env=os.environ | {"TMPDIR": str(folder)},
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                preexec_fn=lambda: os.sched_setaffinity(0, cores),
            )
        )  # fmt: skip

    try:
        here = cores_of(workers, pinned=pinned)
        start("scheduler", "--host", "127.0.0.1", "--port", "0", cores=here)
        for n in range(workers):
            start("worker", "--nthreads", "1", "--host", "127.0.0.1", "--no-nanny",
                  cores=here[n : n + 1] if pinned else here)  # fmt: skip
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


def cores_of(workers: int, *, pinned: bool) -> list[int]:
    """Return the cores that the cluster and the command may use."""
    cores = sorted(os.sched_getaffinity(0))
    if pinned and workers > len(cores):
        raise SystemExit(f"{workers} workers can't have one of {len(cores)} cores each")
    return cores[:workers] if pinned else cores


@dataclass(frozen=True)
class Rate:
    """Between the first result and the last: seconds each, and cores busy (nan where unknown).

    who : milliseconds of a processor a submission, by what used them
    """

    seconds_each: float
    busy: float
    who: dict[str, float]


def used_by_process(group: Path | None) -> defaultdict[str, float]:
    """Return the processor seconds of the processes that live in a control group, by kind."""
    used: defaultdict[str, float] = defaultdict(float)
    for pid in (group / "cgroup.procs").read_text().split() if group is not None else ():
        words = growth.read(int(pid), "cmdline")
        kind = next((kind for kind, word in KINDS.items() if re.search(word, words)), "")
        fields = growth.read(int(pid), "stat").rpartition(")")[2].split()
        if kind and fields:
            used[kind] += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return used


KINDS = {
    "the scheduler": r"dask.scheduler",
    "the dask workers": r"dask.worker",
    "the grading processes": r"batch.worker",
    "the fork servers, and kernels that live": r"fork_server\.py",
    "the command": r"grader",
}
"""What each process has among its words (dask renames its own); the first that fits counts."""


def rate_of(
    command: list[str], results: Path, count: int, meter: CpuMeter, cores: Sequence[int]
) -> Rate:
    """Run the command on so many submissions over a cluster that the meter counts as well."""
    environment = os.environ | {"GRADE_RESULTS": str(results)}
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL,
                          stderr=subprocess.PIPE, text=True,
                          preexec_fn=lambda: os.sched_setaffinity(0, cores),
                          ) as process:  # fmt: skip
        assert process.stderr is not None
        looks, living = [], []
        for line in process.stderr:
            if re.match(r"\d+/\d+ ", line):
                looks.append((time.perf_counter(), meter.cpu_s()))
                if len(looks) in (1, count):
                    living.append(used_by_process(meter.group))
    if process.returncode or len(looks) != count:
        raise SystemExit(f"{command} ended with {process.returncode}, {len(looks)} results")
    wall, cpu = (last - first for first, last in zip(looks[0], looks[-1], strict=True))
    if meter.group is None:
        return Rate(wall / (count - 1), math.nan, {})
    each = {kind: living[1][kind] - living[0][kind] for kind in KINDS}
    each["kernels, sandboxes and checks that have ended"] = cpu - sum(each.values())
    who = {kind: 1000 * seconds / (count - 1) for kind, seconds in each.items()}
    return Rate(wall / (count - 1), cpu / wall, who)


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


def measured(count: int, numbers: Sequence[int], *, pinned: bool = False) -> dict[int, Rate]:
    """Return the rate by how many workers; pinned : as cluster() has it."""
    each: dict[int, Rate] = {}
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        growth.write_assignment(root / "reference" / "toy")
        growth.hand_in(root / "handed in", count)
        for workers in numbers:
            place_of = root / f"with {workers}"
            with counted() as meter, cluster(place_of, workers, pinned=pinned) as file:
                command = [sys.executable, "-m", "grader", str(root / "handed in"),
                           "--assignments", str(root / "reference"), "--dask", str(file),
                           "--regrade", "--json", os.devnull]  # fmt: skip
                cores = cores_of(workers, pinned=pinned)
                each[workers] = rate_of(command, root / f"{workers}.sqlite", count, meter, cores)
    return each


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("count", nargs="?", type=int, default=60)
    parser.add_argument("--workers", nargs="+", type=int)
    parser.add_argument("--a-core-each", action="store_true", dest="pinned")
    parser.add_argument("--who", action="store_true")
    options = parser.parse_args()
    cores = len(os.sched_getaffinity(0))
    options.workers = options.workers or [n for n in (1, 2, 4) if n <= cores or not options.pinned]
    each = measured(options.count, options.workers, pinned=options.pinned)
    print(f"{options.count} submissions, {cores} cores{', one a worker' * options.pinned}\n")
    print("| dask workers | seconds each | busy | rate to one | of linear | of cores / busy |\n"
          "|---:|---:|---:|---:|---:|---:|")  # fmt: skip
    first = options.workers[0]
    alone, busy = each[first].seconds_each * first, each[first].busy / first
    for workers, rate in each.items():
        to_one = alone / rate.seconds_each
        linear = min(workers, cores)
        possible = linear if options.pinned else min(workers, cores / busy)
        print(f"| {workers} | {rate.seconds_each:.3f} | {rate.busy:.2f} | {to_one:.2f} "
              f"| {to_one / linear:.0%} | {to_one / possible:.0%} |")  # fmt: skip
    if options.who:
        print(f"\n| ms of a processor, a submission | {' | '.join(map(str, each))} |\n"
              f"|---|{'---:|' * len(each)}")  # fmt: skip
        for kind in each[first].who:
            print(f"| {kind} | {' | '.join(f'{rate.who[kind]:.1f}' for rate in each.values())} |")


if __name__ == "__main__":
    main()
