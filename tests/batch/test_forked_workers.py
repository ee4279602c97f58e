"""Grading processes are forks of the command where it has one thread; they hold nothing of its."""

import signal
import subprocess
import sys
import threading

import pytest

from grader.in_kernel.system import may_fork

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="forked on Linux alone")


def run(work, after=""):
    """Fork in a process of its own; return what it printed, and what the child said."""
    script = f"""
import os, signal, sys, tempfile
from pathlib import Path
from grader.batch.forked import fork
from grader.in_kernel.system import may_fork
held, far = os.pipe()
told, tell = os.pipe()
file = tempfile.TemporaryFile()
def work():
    {work}
child = fork(work, passed=[tell], stderr=file, environment={{"TMPDIR": "/dev"}})
os.close(tell)
{after}
print(os.read(told, 1 << 16).decode())
print(child.wait(30), child.poll())
file.seek(0)
print(file.read().decode())
"""
    done = subprocess.run(
        [sys.executable, "-P", "-c", script], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split("\n", 2)


def test_a_fork_keeps_of_what_is_open_only_what_it_is_given():
    work = (
        "links = {int(n): os.readlink(f'/proc/self/fd/{n}') for n in os.listdir('/proc/self/fd')"
        " if os.path.exists(f'/proc/self/fd/{n}')}\n"
        "    os.write(tell, repr([n for n, to in links.items() if to != '/dev/null'"
        " and n not in (2, tell) and not to.startswith('/proc/')]).encode())"
    )
    left, codes, said = run(work)
    assert (left, codes, said.strip()) == ("[]", "0 0", "")


def test_a_fork_ends_without_what_its_parent_would_do_at_its_end():
    _, codes, said = run("import atexit; atexit.register(print, 'x', file=sys.stderr)")
    assert (codes, said.strip()) == ("0 0", "")


def test_what_a_fork_dies_of_is_told():
    _, codes, said = run("raise ValueError('a disk is full')")
    assert codes == "1 1"
    assert said.strip().endswith("ValueError: a disk is full")


def test_a_fork_that_is_killed_is_known_by_its_signal():
    _, codes, _ = run("signal.pause()", after="child.kill()")
    assert codes == f"{-signal.SIGKILL} {-signal.SIGKILL}"


def test_a_fork_has_temporary_files_where_it_is_told():
    told, _, _ = run("os.write(tell, os.environ['TMPDIR'].encode())")
    assert told == "/dev"


def test_a_process_with_a_second_thread_is_not_forked():
    event = threading.Event()
    thread = threading.Thread(target=event.wait)
    thread.start()
    try:
        assert not may_fork()
    finally:
        event.set()
        thread.join()


def test_the_workers_of_a_command_are_forks_of_it(klass, until):
    klass.fill(2, more="while True: pass")
    process = klass.start("--jobs", "2")
    until(lambda: len(klass.workers(process)) == 2)
    process.kill()
    process.communicate()
    assert klass.processes() == []
