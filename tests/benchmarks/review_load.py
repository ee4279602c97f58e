"""Four graders change marks of a class of 500 at the same time; the server is killed in the midst.

    python tests/benchmarks/review_load.py                    five minutes
    python tests/benchmarks/review_load.py --seconds 60

Each grader sends so many changes a second, now and then to an answer that others change as well.
After `kill -9` the file of results is read: each change that was acknowledged must stand in the
history once, none twice, and the answer must have the last of them. Printed, too: what the server
takes for the page of the whole class, and what a browser takes to show it.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from urllib.parse import urlencode, urlsplit

from grader.batch.serialization import pack
from grader.batch.store import open_store
from grader.records import Cell, Evidence, ExerciseScore, Outcome, Region, Result

GRADERS = ("ann", "ben", "cem", "dora")
SHARED_EVERY = 20
SERVER = """
import sys
from pathlib import Path
from grader.review.rights import Grader
from grader.review.server import Review
graders = [Grader(name) for name in sys.argv[2:]]
with Review(Path(sys.argv[1]), 1, graders=graders) as review:
    for _, address in review.addresses():
        print(address, flush=True)
    review.serve()
"""


def make_class(file: Path, students: int, questions: int) -> None:
    """A run of students; half of the questions are for a person, half have three checks."""
    with open_store(file) as store:
        run = store.begin(assignment="load", title="Load", submissions=students, settings={},
                          key="k")  # fmt: skip
        for number in range(students):
            exercises, regions, answers = [], {}, {}
            for q in range(questions):
                id_ = f"q{q:02}"
                if q % 2:
                    exercises.append(ExerciseScore(id_, f"Question {q}", 0.0, 5.0, "manual"))
                    answers[id_] = (Cell(q, "markdown", f"Answer of {number} to {q}: $x^{q}$."),)
                    continue
                right = [(number * 7 + q + c) % 3 > 0 for c in range(3)]
                checks = tuple(
                    Outcome(id_, f"check {c}", "passed" if ok else "failed", float(ok), 2.0,
                            message="" if ok else f"it is {number}, expected 6")
                    for c, ok in enumerate(right)
                )  # fmt: skip
                points = 2.0 * sum(right)
                status = "passed" if all(right) else "partial"
                exercises.append(ExerciseScore(id_, f"Question {q}", points, 6.0, status, checks))
                regions[id_] = (Region(f"f{q}", q, f"return x * {number}\n" * 8, "filled"),)
            result = Result(
                f"in/student_{number:03}.zip", (f"Student {number:03}",), "graded",
                score=sum(e.points for e in exercises), max_score=6.0 * (questions // 2),
                manual_points=5.0 * (questions // 2), exercises=tuple(exercises),
                evidence=Evidence(regions=regions, answers=answers),
            )  # fmt: skip
            run.add(number, result, pack(result), input_hash="", kept=False)
        run.end("")


@dataclass
class Client:
    """A grader's browser, as far as it sends forms."""

    name: str
    address: str
    kept: list[tuple[int, int, str]] = field(default_factory=list)
    pending: tuple[int, int, str] | None = None
    refused: int = 0
    times: list[float] = field(default_factory=list)

    def enter(self) -> None:
        parts = urlsplit(self.address)
        self.port, self.prefix = parts.port, parts.path.removesuffix("/enter")
        _, cookie, _ = self.ask(f"{parts.path}?{parts.query}", prefix="")
        self.cookie = cookie.partition(";")[0]

    def ask(self, path: str, form: dict[str, object] | None = None, prefix: str | None = None):
        connection = HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            own = f"127.0.0.1:{self.port}"
            headers = {"Host": own, "Cookie": getattr(self, "cookie", "")}
            body = None
            if form is not None:
                body = urlencode(form)
                headers |= {"Origin": f"http://{own}",
                            "Content-Type": "application/x-www-form-urlencoded"}  # fmt: skip
            where = (self.prefix if prefix is None else prefix) + path
            connection.request("POST" if form else "GET", where, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.getheader("set-cookie") or "", answer.read()
        finally:
            connection.close()

    def work(self, place: int, until: float, rate: float, students: int, questions: int) -> None:
        versions: dict[tuple[int, int], int] = {}
        begun, n = time.monotonic(), 0
        while time.monotonic() < until:
            time.sleep(max(0.0, begun + n / rate - time.monotonic()))
            shared = n % SHARED_EVERY == 0
            number = 0 if shared else (4 * n + place) % students
            q = 2 * (n % (questions // 2)) + 1
            text = f"{self.name}-{n:06}"
            form = {"do": "comment", "comment": text, "round": 1,
                    "version": versions.get((number, q), 0)}  # fmt: skip
            self.pending = (number, q, text)
            start = time.monotonic()
            try:
                status, _, body = self.ask(f"/q/{q}/{number}", form)
            except (OSError, HTTPException):
                return  # the server is dead
            self.times.append(time.monotonic() - start)
            if status == 303:
                self.kept.append(self.pending)
                versions[number, q] = versions.get((number, q), 0) + 1
            elif status == 409:
                self.refused += 1
                found = re.search(rb'name="version" value="(\d+)"', body)
                if found:
                    versions[number, q] = int(found[1])
            else:
                raise SystemExit(f"{self.name}: {status} {body[:300]!r}")
            self.pending = None
            n += 1


def start_server(file: Path) -> tuple[subprocess.Popen[str], list[str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", SERVER, str(file), *GRADERS], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    return process, [process.stdout.readline().strip() for _ in GRADERS]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("--seconds", type=float, default=300.0)
    options.add_argument("--students", type=int, default=500)
    options.add_argument("--questions", type=int, default=20)
    options.add_argument("--rate", type=float, default=10.0, help="changes a second, each grader")
    given = options.parse_args()
    folder = Path(tempfile.mkdtemp())
    try:
        measure(folder / "results.sqlite", given)
    finally:
        shutil.rmtree(folder)


def measure(file: Path, given: argparse.Namespace) -> None:
    start = time.monotonic()
    make_class(file, given.students, given.questions)
    print(f"{given.students} students, {given.questions} questions: made in "
          f"{time.monotonic() - start:.1f} s, {file.stat().st_size / 2**20:.1f} MiB")  # fmt: skip
    start = time.monotonic()
    process, addresses = start_server(file)
    print(f"the server is there after {time.monotonic() - start:.1f} s")
    clients = [Client(n, a) for n, a in zip(GRADERS, addresses, strict=True)]
    for client in clients:
        client.enter()
    print_pages(clients[0], process.pid)
    end = time.monotonic() + given.seconds
    threads = [
        threading.Thread(target=client.work,
                         args=(place, end + 60.0, given.rate, given.students, given.questions))
        for place, client in enumerate(clients)
    ]  # fmt: skip
    for thread in threads:
        thread.start()
    time.sleep(given.seconds)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    for thread in threads:
        thread.join()
    print_changes(clients, given.seconds)
    check(file, clients)
    process, addresses = start_server(file)
    again = Client(GRADERS[0], addresses[0])
    again.enter()
    print_pages(again, process.pid)
    show_in_browser(addresses[1])
    process.kill()
    process.wait()


def cpu_s(pid: int) -> float:
    """The processor time that a process has used."""
    parts = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(parts[11]) + int(parts[12])) / os.sysconf("SC_CLK_TCK")


def print_pages(client: Client, pid: int) -> None:
    print(f"load of the machine {os.getloadavg()[0]:.1f}")
    for path, name in (("/", "the class"), ("/q/1/3", "a question"), ("/insight", "insight")):
        times, begun = [], cpu_s(pid)
        for _ in range(9):
            start = time.perf_counter()
            status, _, body = client.ask(path)
            times.append(1000 * (time.perf_counter() - start))
            assert status == 200
        cpu = 1000 * (cpu_s(pid) - begun) / 9
        print(f"{name}: {statistics.median(times):.0f} ms (first {times[0]:.0f} ms), of which the "
              f"server computes {cpu:.0f} ms; {len(body) / 1024:.0f} KiB")  # fmt: skip


def print_changes(clients: list[Client], seconds: float) -> None:
    times = sorted(t for client in clients for t in client.times)
    kept = sum(len(client.kept) for client in clients)
    refused = sum(client.refused for client in clients)
    print(
        f"{kept} changes in {seconds:.0f} s ({kept / seconds:.1f} a second), {refused} refused "
        f"since another was quicker; median {1000 * statistics.median(times):.0f} ms, "
        f"99 %: {1000 * times[int(0.99 * len(times))]:.0f} ms; then kill -9"
    )


def check(file: Path, clients: list[Client]) -> None:
    with open_store(file, create=False) as store:
        assert store.connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        after = [a for (a,) in store.connection.execute("SELECT after FROM history")]
        stands = {
            (int(n), e): c
            for n, e, c in store.connection.execute(
                "SELECT number, gradings.exercise, comment FROM gradings JOIN answers "
                "ON answers.subject = gradings.subject AND answers.exercise = gradings.exercise"
            )
        }
    counts: dict[str, int] = {}
    for text in after:
        for token in re.findall(r"“(\w+-\d{6})”", text):
            counts[token] = counts.get(token, 0) + 1
    told = [one for client in clients for one in client.kept]
    lost = [token for _, _, token in told if counts.get(token, 0) == 0]
    doubled = [token for token, count in counts.items() if count > 1]
    pending = {client.pending[2] for client in clients if client.pending}
    unknown = set(counts) - {token for _, _, token in told} - pending
    last: dict[tuple[int, str], str] = {}
    for number, q, token in told:
        if number:  # of the shared one nobody knows who was last
            last[number, f"q{q:02}"] = token
    wrong = [k for k, token in last.items() if stands[k] != token and stands[k] not in pending]
    print(f"acknowledged {len(told)}, in the file {len(counts)}: lost {len(lost)}, doubled "
          f"{len(doubled)}, from nowhere {len(unknown)}, answers with another than the last "
          f"{len(wrong)}")  # fmt: skip
    assert not (lost or doubled or unknown or wrong)


def show_in_browser(address: str) -> None:
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
    if found is None:
        print("no browser is here")
        return
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=found, args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        page = browser.new_page()
        page.goto(address)
        page.wait_for_selector("#students")
        page.reload()
        times = page.evaluate(
            "() => { const t = performance.getEntriesByType('navigation')[0];"
            " return [t.responseEnd, t.loadEventEnd] }"
        )
        print(f"in the browser: {times[0]:.0f} ms until it is there, {times[1]:.0f} ms until it "
              "is shown")  # fmt: skip
        browser.close()


if __name__ == "__main__":
    main()
