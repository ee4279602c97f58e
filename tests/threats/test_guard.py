"""Ctrl-C and SIGTERM end the command whatever a check of the instructor's does in it."""

import contextlib
import os
import signal
import subprocess
import sys
import time

import pytest

from grader.session.guard import NAME
from tests.threats.conftest import CHECKS, HIDDEN_CHECKS
from tests.threats.test_faults_of_ours import named, parent_of, sign_of
from tests.threats.test_stalls import SIGN, STUBBORN, interrupted, wait_for

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere there is no guard")

HOLDING = "in C, holding the interpreter's lock"
ENDLESS = {
    "in C, letting go of the interpreter's lock": (
        "import sqlite3\n"
        "    numbers = 'with recursive t(n) as (select 1 union all select n + 1 from t)'\n"
        "    sqlite3.connect(':memory:').execute(f'{numbers} select count(*) from t').fetchall()"
    ),
    HOLDING: "import itertools\n    sum(itertools.repeat(0))",
    "catching everything": (
        "while True:\n"
        "        try:\n"
        "            np.sort(rng.normal(size=9))\n"
        "        except BaseException:\n"
        "            pass"
    ),
}


def ended_by(code, number):
    """Whether a shell would show 128 and the signal's number."""
    return code in (128 + number, -number)


def endless(host, what, jobs=1):
    """Return the command over checks of which the first never ends, and its sign."""
    first = '    """The mean of the squares."""\n'
    sign = host.root / "now"
    begins = f"{first}    open({str(sign)!r}, 'w').close()\n    {ENDLESS[what]}\n"
    host.write_assignment(checks=CHECKS.replace(first, begins), hidden=f"{HIDDEN_CHECKS}\n")
    paths = [host.right(name=f"{n}") for n in range(jobs)]
    return host.command(*paths, options=("--jobs", str(jobs))), sign


@pytest.mark.parametrize(("what", "jobs"), [*((what, 1) for what in ENDLESS), (HOLDING, 3)])
def test_ctrl_c_ends_a_check_of_the_instructor_s_that_never_ends(host, what, jobs):
    command, sign = endless(host, what, jobs)
    before = host.snapshot()
    code, said = interrupted(host, command, begun=sign.exists)
    assert ended_by(code, signal.SIGINT)
    assert "grade: interrupted" in said
    assert "Traceback" not in said
    host.hold_clean(before)


@pytest.mark.parametrize("what", [HOLDING, "catching everything"])
def test_sigterm_ends_a_check_of_the_instructor_s_that_never_ends(host, what):
    command, sign = endless(host, what)
    before = host.snapshot()
    code, said = interrupted(host, command, begun=sign.exists, number=signal.SIGTERM)
    assert ended_by(code, signal.SIGTERM)
    assert "Traceback" not in said
    host.hold_clean(before)


def test_sigterm_ends_such_a_check_of_a_command_in_the_background(host):
    """Which a shell has ignore Ctrl-C."""
    command, sign = endless(host, HOLDING)
    before = host.snapshot()
    code, _ = interrupted(
        host,
        ["sh", "-c", 'trap "" INT; exec "$@"', "sh", *command],
        begun=sign.exists,
        number=signal.SIGTERM,
    )
    assert ended_by(code, signal.SIGTERM)
    host.hold_clean(before)


def test_ctrl_c_ends_a_check_file_that_never_loads(host):
    sign = host.root / "now"
    holds = f"import itertools\nopen({str(sign)!r}, 'w').close()\nsum(itertools.repeat(0))\n"
    host.write_assignment(checks=holds + CHECKS, hidden=f"{HIDDEN_CHECKS}\n")
    command = host.command(host.right())
    before = host.snapshot()
    code, _ = interrupted(host, command, begun=sign.exists)
    assert ended_by(code, signal.SIGINT)
    host.hold_clean(before)


@pytest.mark.parametrize(("cell", "jobs"), [("stops itself", 1), ("ignores signals", 2)])
def test_sigterm_ends_the_command_in_good_order(host, cell, jobs):
    """`timeout`, a batch system and a service manager send it to the command alone."""
    host.write_assignment(cell_s=60, notebook_s=60)
    sign = SIGN.format(name=sign_of(host))
    paths = [host.half(sign + STUBBORN[cell], name=f"{n}") for n in range(jobs)]
    before = host.snapshot()
    code, said = interrupted(
        host,
        host.command(*paths, options=("--jobs", str(jobs))),
        begun=lambda: [*named(sign_of(host))],
        number=signal.SIGTERM,
        group=False,
    )
    assert code == 143
    assert "grade: interrupted: 0 of" in said
    host.hold_clean(before)


@contextlib.contextmanager
def at_work(host):
    """Give a command whose only notebook sleeps, and the number of its guard."""
    host.write_assignment(cell_s=60, notebook_s=60)
    path = host.half(SIGN.format(name=sign_of(host)) + "import time\ntime.sleep(600)")
    command = subprocess.Popen(
        host.command(path),
        cwd=host.handed_in,
        env=host.environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        wait_for(lambda: [*named(sign_of(host))], command)
        (guard,) = (pid for pid in named(NAME) if parent_of(pid) == command.pid)
        yield command, guard
    finally:
        if command.poll() is None:
            os.killpg(command.pid, signal.SIGKILL)
        command.wait()


def wait_until_empty(folder, patience_s):
    end = time.monotonic() + patience_s
    while [*folder.iterdir()] and time.monotonic() < end:
        time.sleep(0.05)
    return [path.name for path in folder.iterdir()]


def test_what_a_killed_command_leaves_is_deleted_at_once(host):
    with at_work(host) as (command, _):
        before = host.snapshot()
        command.kill()
        command.wait()
        assert wait_until_empty(host.tmp, 5.0) == []
    host.hold_clean(before)


def test_ctrl_c_is_heard_where_the_guard_was_killed(host):
    with at_work(host) as (command, guard):
        before = host.snapshot()
        os.kill(guard, signal.SIGKILL)
        time.sleep(0.2)
        os.killpg(command.pid, signal.SIGINT)
        assert command.wait(20) == 130
    host.hold_clean(before)


def test_a_command_that_is_stopped_and_goes_on_is_not_ended(host):
    """Ctrl-Z and `fg`, for longer than the guard waits for what it was told."""
    with at_work(host) as (command, _):
        os.killpg(command.pid, signal.SIGSTOP)
        time.sleep(2.5)
        os.killpg(command.pid, signal.SIGCONT)
        time.sleep(0.5)
        assert command.poll() is None
