"""What ends a program that can't hear Ctrl-C: a guard; where there is none, a thread."""

import os
import signal
import subprocess
import sys
import time

import pytest

from grader.session.processes import cpu_s

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

HOLDS = "sum(itertools.repeat(0))"
LETS_GO = (
    "sqlite3.connect(':memory:').execute('with recursive t(n) as (select 1 union all select n + 1 '"
    " 'from t) select count(*) from t').fetchall()"
)
PROGRAM = """
import itertools, sqlite3, subprocess, sys, threading, time
from grader.session import guard
from grader.suite.interrupting import interruptible_in_c
from grader.temporary import TemporaryFolder

with TemporaryFolder() as folder:
    {before}
    with interruptible_in_c():
        child = subprocess.Popen(["sleep", "600"], stdout=-3, stderr=-3)
        print(child.pid, folder, flush=True)
        {then}
"""
MANY = "threading.Thread(target=time.sleep, args=(600,), daemon=True).start()"


def state(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:  # noqa: PTH123
            return file.read().rpartition(")")[2].split()[0]
    except OSError:
        return "X"


def alive(pid):
    return state(pid) not in "ZX"


def ended(number, *, then, before="pass"):
    """Return how a program ends that gets a signal, its folder, and whether its child lives."""
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM.format(before=before, then=then)],
        env=os.environ | {"OPENBLAS_NUM_THREADS": "1"},  # as the command has it
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        pid, folder = process.stdout.readline().split()
        busy_s = cpu_s(process.pid) + 0.2
        # Until it is in C, or asleep.
        while state(process.pid) != "S" if "sleep" in then else cpu_s(process.pid) < busy_s:
            time.sleep(0.02)
        process.send_signal(number)
        try:
            _, said = process.communicate(timeout=60)
        finally:
            process.kill()
            end = (
                time.monotonic() + 5.0
            )  # it was killed; the system needs a moment on a busy machine
            while alive(pid) and time.monotonic() < end:
                time.sleep(0.02)
            child = alive(pid)
            if child:
                os.kill(int(pid), signal.SIGKILL)
    return process.returncode, os.path.exists(folder), child, said  # noqa: PTH110


def test_a_guard_ends_what_holds_the_interpreters_lock_and_all_that_it_began():
    code, folder, child, said = ended(signal.SIGINT, then=HOLDS)
    assert (code, folder, child) == (-signal.SIGINT, False, False)
    assert said == "grade: interrupted in a check\n"


def test_a_guard_deletes_no_folder_that_only_looks_like_one_of_ours(tmp_path):
    handed_in = tmp_path / "grade-aaaaaaaa" / ".in-use"
    handed_in.parent.mkdir()
    handed_in.write_text("a student's")
    code, folder, _, _ = ended(signal.SIGINT, then=HOLDS, before=f"x = open({str(handed_in)!r})")
    assert (code, folder) == (-signal.SIGINT, False)
    assert handed_in.exists()


def test_where_there_are_threads_one_more_ends_what_lets_go_of_the_lock():
    code, folder, child, said = ended(signal.SIGINT, then=LETS_GO, before=MANY)
    assert (code, folder, child) == (130, False, False)
    assert said == "grade: interrupted in a check\n"


RAISES = (
    'def no_thread(*_, **__): raise RuntimeError("can\'t start new thread")\n'
    "    threading._start_new_thread = threading._start_joinable_thread = no_thread"
)


def test_where_no_thread_can_be_started_ctrl_c_is_heard_as_ever():
    code, folder, _, said = ended(
        signal.SIGINT, then="time.sleep(600)", before=f"{MANY}\n    {RAISES}"
    )
    assert (code, folder) == (-signal.SIGINT, False)  # as Python itself ends
    assert "KeyboardInterrupt" in said


def test_who_hears_goes_on_as_the_program_likes():
    hears = (
        "try: time.sleep(600)\n        except KeyboardInterrupt: pass\n"
        "    time.sleep(2); child.kill(); print('went on')"
    )
    code, folder, child, _ = ended(signal.SIGINT, then=hears)
    assert (code, folder, child) == (0, False, False)
