"""How the rate of a class grows with the workers of a dask cluster, all on this machine.

    python tests/benchmarks/dask_workers.py [N] [--workers 1 2 4]

Starts a scheduler and as many workers of one thread each, grades growth.py's toy class of N (60)
over it, and prints Markdown. The time is that between the first result and the last; linear is the
rate of one worker times the workers, or times the cores of the machine where these are fewer.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import growth


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


def measured(count: int, numbers: Sequence[int]) -> dict[int, float]:
    """Return the seconds each between the first result and the last, by how many workers."""
    each: dict[int, float] = {}
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        growth.write_assignment(root / "reference" / "toy")
        growth.hand_in(root / "handed in", count)
        for workers in numbers:
            with cluster(root / f"with {workers}", workers) as file:
                command = [sys.executable, "-m", "grader", str(root / "handed in"),
                           "--assignments", str(root / "reference"), "--dask", str(file),
                           "--regrade", "--json", os.devnull]  # fmt: skip
                got = growth.run(command, root / f"{workers}.sqlite", count)
                each[workers] = got.seconds_each
    return each


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("count", nargs="?", type=int, default=60)
    parser.add_argument("--workers", nargs="+", type=int, default=[1, 2, 4])
    options = parser.parse_args()
    cores = len(os.sched_getaffinity(0))
    each = measured(options.count, options.workers)
    print(f"{options.count} submissions, {cores} cores\n")
    print("| dask workers | seconds each | rate to one | of linear |\n|---:|---:|---:|---:|")
    first = options.workers[0]
    alone = each[first] * first
    for workers, seconds in each.items():
        linear = alone / seconds / min(workers, cores)
        print(f"| {workers} | {seconds:.3f} | {alone / seconds:.2f} | {linear:.0%} |")


if __name__ == "__main__":
    main()
