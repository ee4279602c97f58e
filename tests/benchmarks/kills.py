"""Kill a process of a batch at random moments, again and again: `python tests/benchmarks/kills.py`.

Each round grades 20 submissions with results kept, and kills one process of the grading: the
command, a worker, the process that kernels are forked from, a kernel or a check. A batch whose
command was killed is called again. Afterwards nobody may have lost a point, nothing may have been
graded twice that was kept, and no folder, process or shared memory may be left.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.threats.conftest import Host  # noqa: E402

SUBMISSIONS = 20
MAX, HALF = 8.0, 5.0
VICTIMS = ("command", "worker", "fork server", "student's")
# A whole batch takes longer; one that is killed later than it takes is not killed.
LATEST_S = 25.0


def members(host: Host) -> dict[str, list[int]]:
    """Return the live processes of this host's grading by what they are."""
    found: dict[str, list[int]] = {kind: [] for kind in VICTIMS}
    for pid, _ in host._marked_processes():
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            parent = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1]
            parents_words = Path(f"/proc/{parent}/cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if b"grader" in words:  # a worker is a fork of the command
            found["worker" if words == parents_words else "command"].append(pid)
        elif any(word.endswith(b"fork_server.py") for word in words):
            found["fork server"].append(pid)
        else:
            found["student's"].append(pid)
    return found


def shared_memory() -> set[str]:
    """Return what lies in the shared memory that no live process has open: others work here too."""
    place = Path("/dev/shm")
    lying = {str(path) for path in place.rglob("*") if path.is_file()} if place.is_dir() else set()
    for maps in Path("/proc").glob("[0-9]*/maps"):
        with contextlib.suppress(OSError):
            text = maps.read_text("utf-8", "replace")
            lying = {path for path in lying if path not in text}
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        with contextlib.suppress(OSError):
            lying.discard(str(link.readlink()))
    return lying


def grade(host: Host, paths: list[Path], results: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        host.command(*paths, options=("--jobs", "2")),
        cwd=host.handed_in,
        env=host.environment(GRADE_RESULTS=str(results)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def one_round(host: Host, paths: list[Path], rng: random.Random, number: int) -> str:
    """Kill once; return what was killed. Raises AssertionError for what must not be."""
    results = host.root / f"results-{number}.sqlite"
    memory = shared_memory()
    kind, after_s = rng.choice(VICTIMS), rng.uniform(0.2, LATEST_S)
    process = grade(host, paths, results)
    killed = "nothing"
    until = time.monotonic() + after_s
    while time.monotonic() < until and process.poll() is None:
        time.sleep(0.05)
    if process.poll() is None and (there := members(host)[kind]):
        os.kill(rng.choice(there), signal.SIGKILL)
        killed = kind
    out, err = process.communicate(timeout=600)
    calls = 1
    # A batch that was killed goes on; one submission that was at work may need another try.
    while process.returncode != 0 and calls < 4:
        assert process.returncode in (3, -signal.SIGKILL), err[-2000:]
        if process.returncode == 3:
            for one in json.loads(out)["submissions"]:
                assert one["status"] == "graded" or one["score"] is None, one
        left = host.processes(patience_s=20.0)
        assert left == [], (killed, left)
        process = grade(host, paths, results)
        out, err = process.communicate(timeout=600)
        calls += 1
    assert process.returncode == 0, err[-2000:]
    scores = [one["score"] for one in json.loads(out)["submissions"]]
    assert scores == [MAX, HALF] * (SUBMISSIONS // 2), (killed, scores)
    # Called once more, nothing is graded: all of it was kept, each once.
    process = grade(host, paths, results)
    _, err = process.communicate(timeout=600)
    assert err.count("kept from an earlier run") == SUBMISSIONS, err[-2000:]
    left = host.processes(patience_s=20.0)
    assert left == [], (killed, left)
    assert [path.name for path in host.tmp.iterdir()] == [], killed
    assert shared_memory() <= memory, (killed, shared_memory() - memory)
    for file in host.root.glob("results-*"):
        file.unlink()
    return killed


def run(kills: int, seed: int) -> Counter[str]:
    """Kill that often; return how often what was killed."""
    rng = random.Random(seed)
    done: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        host = Host(Path(folder))
        try:
            paths = []
            for number in range(SUBMISSIONS):
                make = host.half if number % 2 else host.right
                paths.append(make(name=f"s{number:02}"))
            number = 0
            while done.total() - done["nothing"] < kills:
                done[one_round(host, paths, rng, number)] += 1
                number += 1
                print(f"{number}: {dict(done)}", flush=True)
        finally:
            host.close()
    return done


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    started = time.monotonic()
    done = run(arguments.kills, arguments.seed)
    print(f"{dict(done)} in {time.monotonic() - started:.0f} s: nobody lost a point")


if __name__ == "__main__":
    main()
