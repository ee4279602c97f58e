"""Kill processes of batches at random moments, again and again: `python tests/benchmarks/kills.py`.

Each round grades 20 submissions with results kept, and while it does, every few seconds one
process of the grading is killed: the command, its guard, a worker, the process that kernels are
forked from, a kernel or a check. Now and then a worker or a kernel is stopped for half a minute
instead, as by SIGSTOP. A batch that did not end well is called again. Afterwards nobody may have
lost a point, nothing may have been graded twice that was kept, and no folder, process or shared
memory may be left.

    --state FILE    what was done is kept there; the same call goes on where it was stopped
    --minutes N     begin no round after so long
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
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from grader.session.guard import NAME as GUARD  # noqa: E402
from tests.threats.conftest import Host  # noqa: E402

SUBMISSIONS = 20
MAX, HALF = 8.0, 5.0
VICTIMS = ("command", "guard", "worker", "fork server", "student's")
# A killed command ends its batch; the others go on. There is one guard a batch.
SHARES = {"command": 1, "guard": 0.5, "worker": 3, "fork server": 2, "student's": 4}
STOPPED = ("worker", "student's")
STOP_S = 30.0
STOPS_IN = 1 / 25
# Of one round. A later one must find something to kill: each costs what was at work its progress.
KILLS = 6
BETWEEN_S = (0.2, 4.0)
# Who is killed twice in the same place has ended itself, as far as anybody can tell.
BETWEEN_STUDENTS_S = 8.0
CALLS = 20


@dataclass
class Done:
    """What was done so far. killed : by what it was; calls : of the command"""

    seed: int
    rounds: int = 0
    calls: int = 0
    seconds: float = 0.0
    killed: Counter[str] = field(default_factory=Counter)

    def line(self) -> str:
        parts = ", ".join(f"{name} {count}" for name, count in sorted(self.killed.items()))
        return (
            f"{date.today()}: {self.killed.total()} in {self.rounds} batches of {SUBMISSIONS} "
            f"({self.calls} calls, {self.seconds:.0f} s, seed {self.seed}): {parts}"
        )


def members(host: Host) -> dict[str, list[int]]:
    """Return the live processes of this host's grading by what they are."""
    found: dict[str, list[int]] = {kind: [] for kind in VICTIMS}
    for pid, _ in host._marked_processes():
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            parent = (
                Path(f"/proc/{pid}/stat")
                .read_text("ascii", "replace")
                .rpartition(")")[2]
                .split()[1]
            )
            parents_words = Path(f"/proc/{parent}/cmdline").read_bytes().split(b"\0")
            name = Path(f"/proc/{pid}/comm").read_text("ascii", "replace").strip()
        except OSError:
            continue
        if name == GUARD:
            found["guard"].append(pid)
        elif b"grader" in words:  # a worker is a fork of the command
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


class Killer:
    """Kills or stops one process after the other, at moments that a seed decides."""

    def __init__(self, host: Host, rng: random.Random, *, most: int) -> None:
        self.host = host
        self.rng = rng
        self.most = most
        self.killed: Counter[str] = Counter()
        self._student_at = -BETWEEN_STUDENTS_S

    def work(self, process: subprocess.Popen[str]) -> None:
        """Kill while that command runs, until it ends or there was enough."""
        while process.poll() is None and self.killed.total() < self.most:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(self.rng.uniform(*BETWEEN_S))
                return
            self._one()

    def _one(self) -> None:
        stops = self.rng.random() < STOPS_IN
        found = members(self.host)
        if time.monotonic() - self._student_at < BETWEEN_STUDENTS_S:
            found["student's"] = []
        kinds = [kind for kind in (STOPPED if stops else VICTIMS) if found[kind]]
        if not kinds:
            return
        (kind,) = self.rng.choices(kinds, [SHARES[kind] for kind in kinds])
        victim = self.rng.choice(found[kind])
        with contextlib.suppress(ProcessLookupError):
            if stops:
                os.kill(victim, signal.SIGSTOP)
                time.sleep(STOP_S)
                os.kill(victim, signal.SIGCONT)
            else:
                os.kill(victim, signal.SIGKILL)
            self.killed[f"{kind} stopped" if stops else kind] += 1
        if kind == "student's":
            self._student_at = time.monotonic()


def one_round(host: Host, paths: list[Path], rng: random.Random, number: int, most: int) -> Done:
    """Grade a batch while it is killed; return what was. Raises AssertionError."""
    results = host.root / f"results-{number}.sqlite"
    memory = shared_memory()
    killer = Killer(host, rng, most=most)
    started = time.monotonic()
    kept = 0
    for call in range(1, CALLS + 1):  # noqa: B007
        process = grade(host, paths, results)
        killer.work(process)
        out, err = process.communicate(timeout=600)
        assert process.returncode in (0, 3, -signal.SIGKILL), err[-3000:]
        left = host.processes(patience_s=20.0)
        assert left == [], (killer.killed, left)
        again = err.count("kept from an earlier run")
        if process.returncode >= 0:
            hold_harmless(json.loads(out)["submissions"])
            # What was kept before is not graded again.
            assert again >= kept, err[-3000:]
            kept = again
        if process.returncode == 0:
            break
    scores = [one["score"] for one in json.loads(out)["submissions"]]
    assert scores == [MAX, HALF] * (SUBMISSIONS // 2), (killer.killed, scores)
    # Called once more, nothing is graded: all of it was kept, each once.
    process = grade(host, paths, results)
    _, err = process.communicate(timeout=600)
    assert err.count("kept from an earlier run") == SUBMISSIONS, err[-2000:]
    left = host.processes(patience_s=20.0)
    assert left == [], (killer.killed, left)
    assert [path.name for path in host.tmp.iterdir()] == [], killer.killed
    assert shared_memory() <= memory, (killer.killed, shared_memory() - memory)
    for file in host.root.glob("results-*"):
        file.unlink()
    return Done(0, 1, call + 1, time.monotonic() - started, killer.killed)


def hold_harmless(submissions: list[dict[str, Any]]) -> None:
    """Raise AssertionError where somebody has other points than theirs; none at all is fine."""
    for number, one in enumerate(submissions):
        right = HALF if number % 2 else MAX
        if one["status"] == "graded":
            assert one["score"] == right, one
        else:
            assert (one["status"], one["score"]) == ("grader_fault", None), one


def run(
    kills: int, seed: int, *, state: Path | None = None, minutes: float = 1e9, most: int = KILLS
) -> Done:
    """Kill that often; return what was done."""
    done = Done(seed)
    if state is not None and state.exists():
        done = Done(**json.loads(state.read_text()))
        done.killed = Counter(done.killed)
    until = time.monotonic() + 60 * minutes
    with tempfile.TemporaryDirectory() as folder:
        host = Host(Path(folder))
        try:
            paths = []
            for number in range(SUBMISSIONS):
                make = host.half if number % 2 else host.right
                paths.append(make(name=f"s{number:02}"))
            while (left := kills - done.killed.total()) > 0 and time.monotonic() < until:
                rng = random.Random(f"{done.seed}/{done.rounds}")
                one = one_round(host, paths, rng, done.rounds, min(most, left))
                done.rounds += 1
                done.calls += one.calls
                done.seconds += one.seconds
                done.killed += one.killed
                if state is not None:
                    state.write_text(json.dumps(vars(done)))
                print(f"{one.seconds:.0f} s: {done.line()}", flush=True)
        finally:
            host.close()
    return done


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--state", type=Path)
    parser.add_argument("--minutes", type=float, default=1e9)
    arguments = parser.parse_args()
    done = run(arguments.kills, arguments.seed, state=arguments.state, minutes=arguments.minutes)
    print(f"{done.line()}; nobody lost a point")


if __name__ == "__main__":
    main()
