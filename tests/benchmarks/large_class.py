"""A class of 2,000 goes back to the platform; 10,000 submissions lie in the file of results.

    python tests/benchmarks/large_class.py                 both
    python tests/benchmarks/large_class.py --students 500 --rows 0

The results are made up: no kernel runs. First, what a teacher does at the end: the worksheet is
filled, a table is written, the zip of feedback pages is made, one command each, with the time and
the peak memory of its process, for a tenth of the class and for twice the class as well, and what
each further student costs.
Then, at 10,000 submissions: how large the file is, how long each of the store's queries takes, and
the pages of `grade review` (class, question) with a batch that still goes on.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

from grader.batch.serialization import pack
from grader.batch.store import open_store
from grader.records import (
    Cell,
    CellRun,
    Evidence,
    ExerciseScore,
    Notebook,
    Origin,
    Outcome,
    Region,
    Result,
    Run,
)

EXERCISES = 20
HEADER = (
    "Identifier,Full name,Email address,Status,Grade,Maximum Grade,Grade can be changed,"
    "Last modified (submission),Last modified (grade),Feedback comments\r\n"
)


def result_of(number: int, rng: random.Random) -> Result:
    """A submission as a course's are: 20 exercises of three checks, a notebook of 40 cells.

    Every other cell is the template's; the others hold a gap that no two students fill alike.
    """
    exercises, regions, sources = [], {}, []
    for e in range(EXERCISES):
        id_ = f"{e:02}-exercise"
        right = [rng.random() < 0.8 for _ in range(3)]
        checks = tuple(
            Outcome(id_, f"check {c} of the values", "passed" if ok else "failed", float(ok), 2.0,
                    hidden=c == 2, seconds=rng.random(), trace="" if ok else f"{rng.random():.6f}",
                    message="" if ok else f"f({number}) is {rng.random():.6f}, expected 0.5\n" * 3)
            for c, ok in enumerate(right)
        )  # fmt: skip
        points = 2.0 * sum(right)
        status = "passed" if all(right) else "partial" if any(right) else "failed"
        exercises.append(ExerciseScore(id_, f"Exercise {e}", points, 6.0, status, checks))
        source = "".join(f"    x{line} = {rng.random()} * x\n" for line in range(6))
        regions[id_] = (Region(f"f{e}", 2 * e, source, "filled"),)
        sources += [
            f"def f{e}(x):\n{source}",
            "".join(f"y{line} = f{e}({line})\n" for line in range(7)),
        ]
    cells = tuple(Cell(n, "code", source) for n, source in enumerate(sources))
    runs = {"work.ipynb": Run(tuple(CellRun(n, "ok", 0.01) for n in range(40)))}
    name = f"Student {number:05}"
    return Result(
        f"{name}_{100000 + number}_assignsubmission_file/work.ipynb", (name,), "graded",
        score=sum(e.points for e in exercises), max_score=6.0 * EXERCISES,
        exercises=tuple(exercises),
        evidence=Evidence(notebooks={"work.ipynb": Notebook("work.ipynb", cells)}, runs=runs,
                          regions=regions),
        origin=Origin("moodle", name, {"participant": str(100000 + number)}),
        work=f"{number:024x}",
    )  # fmt: skip


def make_class(file: Path, count: int, *, end: bool = True) -> float:
    """Write a run of so many submissions; return how many seconds each took."""
    rng = random.Random(count)
    with open_store(file) as store:
        store.connection.execute("PRAGMA synchronous = OFF")  # made up: nothing is lost
        run = store.begin(assignment="large", title="Large", submissions=count,
                          settings={"seed": 0}, key="k")  # fmt: skip
        spent = 0.0
        for number in range(count):
            result = result_of(number, rng)
            packed = pack(result)
            began = time.perf_counter()
            run.add(number, result, packed, input_hash=f"{number:064x}", kept=False)
            spent += time.perf_counter() - began
        if end:
            run.end("")
    return spent / max(1, count)


def worksheet(file: Path, count: int) -> None:
    rows = (
        f"Participant {100000 + n},Student {n:05},s{n}@example.org,Submitted for grading,,120.00,"
        "Yes,-,-,\r\n"
        for n in range(count)
    )
    file.write_text(HEADER + "".join(rows), encoding="utf-8", newline="")


PEAK = """
import resource, sys, time
from grader.cli.commands import run
code = run(sys.argv[1:])
of_children = resource.getrusage(resource.RUSAGE_CHILDREN)
spent = time.process_time() + of_children.ru_utime + of_children.ru_stime
print(f"spent {spent:.2f}", file=sys.stderr)
print(f"peak {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f}", file=sys.stderr)
sys.exit(code)
"""


def command(folder: Path, *arguments: str) -> tuple[float, float, float]:
    """Run a command; return its seconds, those of a processor, and its peak memory in MiB."""
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", PEAK, "results", "latest", *arguments],
        cwd=folder,
        env={**os.environ, "GRADE_RESULTS": str(folder / "results.sqlite")},
        capture_output=True,
        text=True,
        check=False,
    )
    seconds = time.perf_counter() - began
    if done.returncode:
        raise SystemExit(done.stderr)
    spent, peak = (float(done.stderr.rsplit(f"{what} ", 1)[1].split()[0])
                   for what in ("spent", "peak"))  # fmt: skip
    return seconds, spent, peak


def out(students: int) -> None:
    """What goes back to the platform."""
    peaks: dict[str, list[float]] = {}
    counts = (students // 10, students, 2 * students)
    for count in counts:
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place)
            make_class(folder / "results.sqlite", count)
            worksheet(folder / "Grades.csv", count)
            total = of_processor = 0.0
            for what, arguments in (
                ("worksheet", ["--fill", "Grades.csv"]),
                ("table", ["--csv", "table.csv"]),
                ("feedback zip", ["--roster", "Grades.csv", "--feedback", "moodle"]),
            ):
                seconds, spent, peak = command(folder, *arguments)
                peaks.setdefault(what, []).append(peak)
                total += seconds
                of_processor += spent
                print(
                    f"{count:6,} students: {what}: {seconds:.1f} s, of a processor {spent:.1f} s, "
                    f"peak {peak:.0f} MiB",
                    flush=True,
                )
            zipped = (folder / "feedback-large.zip").stat().st_size / 2**20
            print(
                f"{count:6,} students: all three {total:.1f} s, of a processor "
                f"{of_processor:.1f} s; the zip has {zipped:.1f} MiB"
            )
    for what, each in peaks.items():
        grown = 1024 * (each[2] - each[0]) / (counts[2] - counts[0])
        print(
            f"{what}: peak {' / '.join(f'{peak:.0f}' for peak in each)} MiB at "
            f"{' / '.join(f'{count:,}' for count in counts)} students: {grown:.1f} KiB for each"
        )


def timed(what: str, do: Callable[[], object], times: int = 5) -> None:
    seconds = []
    for _ in range(times):
        began = time.perf_counter()
        do()
        seconds.append(time.perf_counter() - began)
    print(
        f"{what}: {1000 * statistics.median(seconds):.1f} ms (first {1000 * seconds[0]:.1f} ms)",
        flush=True,
    )


def rows(count: int) -> None:
    """What the file of results does with so many submissions."""
    from grader.review.classroom import Classroom
    from grader.review.pages.whole import PER_PAGE

    with tempfile.TemporaryDirectory() as place:
        file = Path(place) / "results.sqlite"
        each = make_class(file, count, end=False)
        size = file.stat().st_size
        print(
            f"{count:,} submissions: {size / 2**20:.0f} MiB, {size / count / 1024:.1f} KiB each; "
            f"a row is written in {1000 * each:.2f} ms (without waiting for the disk)"
        )
        with open_store(file) as store:
            run = store.begin(assignment="large", title="", submissions=1, settings={}, key="k")
            number = count // 2
            (record,) = store.runs()
            path = store.item(1, number).path
            timed("a kept result by its input and key", lambda: run.kept(f"{number:064x}"), 50)
            timed("one submission with its evidence", lambda: store.item(1, number, evidence=True),
                  50)  # fmt: skip
            timed("the evidence of a path", lambda: store.evidence_of(1, path), 50)
            timed("the list of runs, with counts and means", store.runs)
            timed("the numbers that have a result", lambda: store.numbers(1))
            tracemalloc.start()
            timed("all verdicts, read one by one", lambda: sum(1 for _ in store.items(1)), 3)
            print(
                f"  at most {tracemalloc.get_traced_memory()[1] / 2**20:.1f} MiB of Python's memory"
            )
            tracemalloc.stop()
            room = Classroom(record.id, None)
            timed("review: what the first page shows is read for the first time",
                  lambda: room.update(store, most=PER_PAGE), 1)  # fmt: skip

            def the_rest() -> None:
                while room.waiting:
                    room.update(store)

            timed("review: the rest is read, while the first pages are looked at", the_rest, 1)
            timed("review: nothing is new", lambda: room.update(store), 20)
            rng = random.Random(1)
            kept = store.begin(assignment="large", title="", submissions=1, settings={}, key="k")
            kept._id = record.id

            def one_more(at: list[int] = [count]) -> None:  # noqa: B006
                result = result_of(at[0], rng)
                kept.add(at[0], result, pack(result), input_hash="", kept=False)
                at[0] += 1
                room.update(store)

            timed("review: one more has arrived, as a batch goes on", one_more, 10)
        pages(file, count)


def pages(file: Path, count: int) -> None:
    """What a browser's requests take: the class, and a question, of a server that has read it."""
    # Beside this file.
    from review_load import SERVER, Client

    server = subprocess.Popen(
        [sys.executable, "-c", SERVER, str(file), "ann"], stdout=subprocess.PIPE, text=True
    )
    try:
        assert server.stdout is not None
        client = Client("ann", server.stdout.readline().strip())
        client.enter()
        while b"more are being read" in client.ask("/")[2]:
            time.sleep(1.0)
        for what, path in (
            ("the class", "/"),
            ("its last rows", "/?page=999"),
            ("a search in it", "/?find=99&sort=-points"),
            ("a question", f"/q/0/{count // 2}"),
            ("insight", "/insight"),
        ):
            sizes: list[int] = []
            timed(f"page of {what}", lambda path=path, sizes=sizes: sizes.append(
                len(client.ask(path)[2])), 3)  # fmt: skip
            print(f"  {sizes[-1] / 1024:.0f} KiB", flush=True)
    finally:
        server.kill()
        server.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--students", type=int, default=2000)
    parser.add_argument("--rows", type=int, default=10_000)
    asked = parser.parse_args()
    if asked.students:
        out(asked.students)
    if asked.rows:
        rows(asked.rows)


if __name__ == "__main__":
    main()
