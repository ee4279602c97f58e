"""Where the processor time of a batch goes: every process, the kernel's share included, by phase.

    python tests/benchmarks/phases.py [N] [--of ASSIGNMENT SUBMISSIONS] [--functions PHASE]

Grades N small notebooks (100; those of peers.py) in one grading process under `perf`, and prints a
table in Markdown: milliseconds of a processor that one submission takes, a row a phase. --of takes
an assignment's folder and a folder of submissions instead. --functions prints what a phase's
samples stood in, most first.

Each phase gives its thread a name (PR_SET_NAME), which perf notes with every sample; a process
starts with the name of the one that it was forked from. The hooks are put in from here: nothing of
it is in the package. What runs before the first submission and after the last is told apart.
perf comes with linux-perf (Debian), linux-tools (Ubuntu); it needs root, or
kernel.perf_event_paranoid at most 1.
"""

from __future__ import annotations

import argparse
import ctypes
import functools
import os
import re
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve()
HZ = 4000
PR_SET_NAME = 15

# name of a thread -> the row; in the order of the table
PHASES = {
    "start": "start of the command: imports, the checks collected",
    "preload": "start of the fork server: imports of notebooks",
    "read": "the submission is read and matched",
    "folders": "folders made",
    "session": "the grader's session: starts kernels, messages",
    "watchdog": "the watchdog's looks",
    "spawner": "sandbox: namespaces, mounts, its two small processes",
    "server": "fork server: forks kernels, hears of their ends",
    "room": "the kernel enters its sandbox",
    "boot": "the kernel gets ready",
    "cells": "the cells",
    "serve": "the kernel forks and serves checks",
    "checkfork": "a check's fork: its own start",
    "calls": "a check's fork: the calls",
    "suite": "pytest and the checks' own code",
    "asked": "the grader's side of forks and calls",
    "teardown": "the session is ended, its folders deleted",
    "results": "score, evidence, packing",
    "collect": "the result is taken in",
    "rest": "the rest of a submission",
    "end": "end of the command",
}
ONCE = ("start", "preload", "end")
KERNEL = {
    "fault": re.compile(r"exc_page_fault|handle_mm_fault"),
    "fork": re.compile(r"kernel_clone|copy_process"),
    "exit": re.compile(r"do_exit|exit_mmap|do_group_exit"),
    "mounts": re.compile(r"path_mount|umount|setns|unshare|copy_namespaces|pivot_root|cleanup_mnt"),
    "files": re.compile(r"unlink|mkdir|rmdir|openat|getdents|rename|vfs_stat|chown|chmod|execve"),
}  # fmt: skip

_libc = ctypes.CDLL(None)
_names = threading.local()


def enter(name: str) -> None:
    _libc.prctl(PR_SET_NAME, f"g:{name}".encode(), 0, 0, 0)


def within(owner: Any, attribute: str, name: str) -> None:
    """Have a function or method run under a phase's name, and what called it go on under its."""
    function: Callable[..., Any] = getattr(owner, attribute)

    @functools.wraps(function)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        before = getattr(_names, "now", "rest")
        _names.now = name
        enter(name)
        try:
            return function(*args, **kwargs)
        finally:
            _names.now = before
            enter(before)

    setattr(owner, attribute, wrapped)


def from_here(owner: Any, attribute: str, name: str, after: str = "") -> None:
    """Have what runs from this function's start on bear a name, and another one afterwards."""
    function: Callable[..., Any] = getattr(owner, attribute)

    @functools.wraps(function)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        enter(name)
        try:
            return function(*args, **kwargs)
        finally:
            if after:
                enter(after)

    setattr(owner, attribute, wrapped)


# --- the run that is measured -------------------------------------------------------------------


def grade_under_names(assignment: str, submissions: list[str]) -> None:
    enter("start")
    _names.now = "start"
    from grader import grading, pipeline
    from grader.batch.collector import Collector
    from grader.request import Request
    from grader.session import fork_server, scratch, watchdog, wire
    from grader.session.opened import Session
    from grader.session.runner import Runner
    from grader.session.server import AgentServer
    from grader.session.student import Student
    from grader.submission.incoming import Incoming
    from grader.suite import Suite

    fork_server.PARENT = HERE
    within(Incoming, "read", "read")
    for name in ("match_notebooks", "other_work", "without_course_files", "changed_files"):
        within(grading, name, "read")
    within(grading, "score_exercises", "results")
    within(grading, "evidence_of", "results")
    within(grading, "pack", "results")
    within(grading.Grader, "_with_derivations", "results")
    within(grading, "_breaches", "results")
    within(scratch.Scratch, "__init__", "folders")
    within(Suite, "run", "suite")
    within(AgentServer, "student", "asked")
    within(wire.Wire, "ask", "asked")
    within(Student, "close", "asked")
    within(Session, "close", "teardown")
    within(Collector, "done", "collect")
    within(Runner, "run", "session")
    within(watchdog.Watchdog, "_watch", "watchdog")
    each = grading.grade_each

    def graded(*args: Any) -> None:
        _names.now = "rest"
        enter("rest")
        each(*args)
        _names.now = "end"
        enter("end")

    grading.grade_each = graded
    # One folder holds a class; what --of names are submissions.
    request = Request(assignments=Path(assignment), split=len(submissions) == 1)
    report = pipeline.grade([Path(one) for one in submissions], request)
    print(len(report.results), "of", len({r.score for r in report.results}), "scores", flush=True)


def serve_under_names() -> None:
    """Be the fork server (it starts this file in its place)."""
    enter("preload")
    import importlib.util

    path = HERE.parents[2] / "grader" / "in_kernel" / "launch.py"
    spec = importlib.util.spec_from_file_location("launch", path)
    assert spec is not None and spec.loader is not None
    launch = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(launch)
    launch.hollow_package()
    from grader.in_kernel import fork_server
    from grader.in_kernel.sandbox import spawner

    from_here(spawner, "_serve", "spawner")
    from_here(fork_server.ForkServer, "_fork", "server", "server")
    from_here(fork_server.ForkServer, "_be_child", "room")
    hooked = False
    be_child = fork_server.ForkServer._be_child

    def named_child(*args: Any) -> None:
        nonlocal hooked
        if not hooked:
            from grader.in_kernel import launch, kernel, agent, operations  # noqa: I001

            from_here(launch, "become_kernel", "boot")
            from_here(kernel.Kernel, "do_execute", "cells", "cells")
            from_here(agent, "serve", "serve")
            from_here(agent, "_detach", "checkfork")
            from_here(operations.Check, "serve", "calls")
            hooked = True
        be_child(*args)

    fork_server.ForkServer._be_child = named_child
    fork_server.main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), apart=sys.argv[4] == "apart")


# --- the table ----------------------------------------------------------------------------------


def samples(data: Path) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """Yield each sample's name of the thread and its stack: (function, file), innermost first."""
    command = ["perf", "script", "-i", str(data), "-F", "comm,ip,sym,dso", "--no-inline"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                          text=True, errors="replace") as script:  # fmt: skip
        comm, stack = "", []
        assert script.stdout is not None
        for line in script.stdout:
            if line.strip() and not line[0].isspace():
                comm = line.strip()
                stack = []
            elif line.strip():
                found = re.match(r"\s*[0-9a-f]+ (.*) \((.*)\)$", line.rstrip())
                if found:
                    stack.append((found[1], found[2]))
            elif comm:
                yield comm, stack
                comm = ""
        if comm:
            yield comm, stack


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("count", nargs="?", type=int, default=100)
    parser.add_argument("--of", nargs=2, metavar=("ASSIGNMENT", "SUBMISSIONS"))
    parser.add_argument("--functions", metavar="PHASE")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        if options.of:
            assignment, place = options.of
            submissions = sorted(map(str, Path(place).iterdir()))[: options.count]
        else:
            import peers
            from notebooks import code, write_notebook

            peers.set_up_grade(root)
            assignment = str(root / "reference")
            for number in range(options.count):
                file = root / "submitted" / f"s{number:04}" / "digits.ipynb"
                write_notebook(file, [*map(code, peers.cells_of(number))])
            submissions = [str(root / "submitted")]
        data = root / "perf.data"
        subprocess.run(
            # Of the whole machine: what a process does at its own end is no part of its own record.
            ["perf", "record", "-q", "-a", "-o", data, "-e", "cpu-clock", "-F", str(HZ), "-g", "--",
             sys.executable, str(HERE), "--grade", assignment, *submissions],
            check=True, env=os.environ | {"GRADE_RESULTS": "none"})  # fmt: skip
        print_table(data, options.count, options.functions)


def print_table(data: Path, count: int, functions: str | None) -> None:
    rows: dict[str, Counter[str]] = {name: Counter() for name in PHASES}
    inner: Counter[str] = Counter()
    unnamed = 0
    for comm, stack in samples(data):
        name = comm.removeprefix("g:")
        if name not in rows:
            unnamed += 1
            continue
        row = rows[name]
        row["all"] += 1
        in_kernel = bool(stack) and stack[0][1].startswith("[")
        row["system"] += in_kernel
        if in_kernel:
            whole = " ".join(function for function, _ in stack)
            row[next((kind for kind, words in KERNEL.items() if words.search(whole)), "other")] += 1
        if name == functions and stack:
            inner[f"{stack[0][0]} ({Path(stack[0][1]).name})"] += 1
    kinds = ["all", "system", *KERNEL]
    print(f"Linux {os.uname().release}, {date.today()}; {count} submissions, one grading process\n")
    print("| ms of a processor, a submission | all | in the system | "
          + " | ".join(KERNEL) + " |\n|---|" + "---:|" * len(kinds))  # fmt: skip
    ms = 1000 / HZ / count
    total: Counter[str] = Counter()
    for name, row in rows.items():
        if row["all"]:
            print(f"| {PHASES[name]} | " + " | ".join(f"{row[k] * ms:.1f}" for k in kinds) + " |")
        if name not in ONCE:
            total += row
    print("| all but start and end | " + " | ".join(f"{total[k] * ms:.1f}" for k in kinds) + " |")
    if unnamed:
        print(f"\nOf no phase: {unnamed * ms:.1f} ms.")
    for name, number in inner.most_common(60):
        print(f"{number * ms:8.2f}  {name}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--grade"]:
        grade_under_names(sys.argv[2], sys.argv[3:])
    elif sys.argv[4:5] in (["apart"], ["together"]):
        del sys.path[0]
        serve_under_names()
    else:
        main()
