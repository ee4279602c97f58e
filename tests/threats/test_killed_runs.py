"""A command that is killed leaves no process, and what it leaves on the disk goes with the next."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from grader.session.guard import NAME as GUARD
from tests.benchmarks.kills import run as run_kills
from tests.threats.test_faults_of_ours import grading_processes, named, parent_of, sign_of
from tests.threats.test_stalls import SIGN, wait_for

MAX = 8.0
# The Python of the notebook's process can't be told anything while this runs.
HOLDS_THE_LOCK = "import itertools\nsum(itertools.repeat(0))"
ASLEEP = "import time\ntime.sleep(600)"
STARTS_OTHERS = (
    "import subprocess, sys\n"
    "for _ in range(3):\n"
    "    subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'],\n"
    "                     start_new_session=True)\n" + ASLEEP
)
# Runs the command with the variable taken away that children would else have from it,
# and with time for the whole of a table: how long it takes is the machine's.
UNSAFE = """
import os, sys
os.environ.pop("PYTHONSAFEPATH", None)
sys.argv = ["grade", *sys.argv[4:]]
from grader.batch import known_builder
from grader.cli import main
known_builder.LEAST_S = 120.0
main()
"""
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


def start(host, *paths, options=()):
    return subprocess.Popen(
        host.command(*paths, options=options),
        cwd=host.handed_in,
        env=host.environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def kill(command, after_s=0.0):
    time.sleep(after_s)
    command.send_signal(signal.SIGKILL)
    command.wait()


def begins(host, cell):
    """The cell, which says first that it is at work; what it then starts follows at once."""
    return f"{SIGN.format(name=sign_of(host))}{cell}"


def kill_at_work(host, command):
    """Kill a command whose cell is at work."""
    wait_for(lambda: [*named(sign_of(host))], command)
    kill(command)


def folders(host):
    """What lies in the temporary folder, and what of ours in the one for sockets."""
    return sorted(path.name for path in host.tmp.iterdir())


@pytest.mark.parametrize(
    ("cell", "options"),
    [
        (HOLDS_THE_LOCK, ()),
        (STARTS_OTHERS, ()),
        (HOLDS_THE_LOCK, ("--jobs", "2")),
        (HOLDS_THE_LOCK, ("--sandbox", "none")),
        (ASLEEP, ("--sandbox", "none", "--jobs", "2")),
    ],
)
def test_a_killed_command_leaves_no_process(host, cell, options):
    host.write_assignment(cell_s=60, notebook_s=60)
    paths = [host.half(begins(host, cell), name=name) for name in "ab"]
    kill_at_work(host, start(host, *paths, options=options))
    # A second on an idle machine; here a busy one gets more.
    assert host.processes(patience_s=5.0) == []


def test_what_computes_known_mistakes_of_a_class_ends_with_its_command(host):
    """It is begun when a class is through in which somebody was wrong."""
    host.write_assignment()
    paths = [host.half(name=f"{number:02}") for number in range(12)]
    results = str(host.home / "state" / "results.sqlite")
    command = subprocess.Popen(
        host.command(*paths, options=("--jobs", "2")),
        cwd=host.handed_in,
        env=host.environment(GRADE_RESULTS=results),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    end = time.monotonic() + 60
    while not any(b"known_build" in words for _, words in host._marked_processes()):
        assert time.monotonic() < end
        assert command.poll() is None
        time.sleep(0.05)
    kill(command, 0.5)
    assert host.processes(patience_s=10.0) == []


@pytest.mark.any_user
def test_a_module_in_the_current_folder_is_no_part_of_what_computes_for_a_class(host):
    """A folder of submissions may hold a file that is called as a library is."""
    said = host.root / "imported"
    for name in ("grader", "numpy", "msgspec", "pytest"):
        (host.handed_in / f"{name}.py").write_text(f"open({str(said)!r}, 'w').close()\n")
    paths = [host.half(name=f"{number:02}") for number in range(12)]
    state = host.root / "state"
    results = {"GRADE_RESULTS": str(state / "results.sqlite"), "PYTHONSAFEPATH": "1"}
    # The command itself is told not to look there; what it starts is to know that by itself.
    wrap = [sys.executable, "-P", "-c", UNSAFE]
    host.run(*paths, options=("--jobs", "2"), environment=results, wrap=wrap)
    assert [*state.glob("known/*/*.json.z")]
    assert not said.exists()


def test_a_kernel_that_started_by_itself_ends_with_its_grader(host, tmp_path):
    source = (
        "import sys, threading\n"
        "from pathlib import Path\n"
        "from grader import records\n"
        "from grader.session import open_session\n"
        f"cells = (records.Cell(0, 'code', {begins(host, HOLDS_THE_LOCK)!r}),)\n"
        "notebook = records.Notebook('a.ipynb', cells)\n"
        "open_session(notebook, folder=None, limits=records.Limits(), sandbox=sys.argv[1])\n"
    )
    for policy in ("auto", "none"):
        grader = subprocess.Popen(
            [sys.executable, "-c", source, policy], env=host.environment(), start_new_session=True
        )
        kill_at_work(host, grader)
        assert host.processes(patience_s=5.0) == [], policy


def test_killed_at_any_moment_it_leaves_no_process_and_the_next_run_cleans_up(host):
    """Six moments of one grading, from the imports to the report: one in each second of it."""
    rng = random.Random(os.environ.get("PYTEST_XDIST_TESTRUNUID", "any moment"))
    paths = [host.right(name=f"right-{n}") for n in range(4)]
    for second in range(5, -1, -1):
        command = start(host, *paths, options=("--jobs", "2"))
        end = time.monotonic() + second + rng.uniform(0.1, 1.0)
        while command.poll() is None and time.monotonic() < end:
            time.sleep(0.02)
        kill(command)
        assert host.processes(patience_s=5.0) == []
    graded = host.grade(*paths)  # which looks for what is left
    assert [one["score"] for one in graded.submissions.values()] == [MAX] * 4


def test_the_next_run_deletes_what_a_killed_one_left_and_nothing_else(host):
    """Where its guard was killed with it."""
    host.write_assignment(cell_s=60, notebook_s=60)
    asleep = host.half(begins(host, ASLEEP))
    command = start(host, asleep)
    wait_for(lambda: [*named(sign_of(host))], command)
    for pid in named(GUARD):
        if parent_of(pid) == command.pid:
            os.kill(pid, signal.SIGKILL)
    kill(command)
    assert host.processes() == []
    left = folders(host)
    assert left
    (host.tmp / "grade-of-somebody-else").mkdir()
    alive = start(host, asleep)
    wait_for(lambda: [*named(sign_of(host))], alive)
    assert not set(left) & set(folders(host))
    of_the_living = folders(host)
    host.run(host.right())
    assert set(of_the_living) <= set(folders(host))
    kill(alive)  # what it leaves its own guard deletes as well
    host.run(host.right())
    assert folders(host) == ["grade-of-somebody-else"]
    (host.tmp / "grade-of-somebody-else").rmdir()
    sockets = [path for place in ("/var/tmp", "/tmp") for path in Path(place).glob("grade-*")]
    assert all(host.mark not in str(path) for path in sockets)


@pytest.mark.slow
def test_whatever_is_killed_in_a_batch_costs_nobody_a_point_and_is_graded_once():
    """A short run of the script that does so 200 times: the command, workers, kernels, checks."""
    assert run_kills(3, seed=7).killed.total() >= 3


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_a_worker_that_is_killed_leaves_nothing_once_its_command_has_ended(host, number):
    """By the system, or because it was stopped and doesn't end; sockets have a folder elsewhere."""
    host.write_assignment(cell_s=20, notebook_s=20)
    sockets = host.tmp / "run"  # a short path, as a socket needs one
    sockets.mkdir(mode=0o700)
    sign = f"import ctypes\nctypes.CDLL(None).prctl(15, b'{sign_of(host)}')\n"
    paths = [host.half(f"{sign}import time\ntime.sleep(2)", name=name) for name in "ab"]
    command = subprocess.Popen(
        host.command(*paths, options=("--jobs", "2")),
        cwd=host.handed_in,
        env=host.environment(XDG_RUNTIME_DIR=str(sockets)),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    end = time.monotonic() + 60
    while not [*named(sign_of(host))] and time.monotonic() < end:
        time.sleep(0.05)
    for pid in grading_processes(host):
        os.kill(pid, number)
        if number == signal.SIGKILL:
            break
    else:
        command.send_signal(signal.SIGTERM)
    assert command.wait(60) == (0 if number == signal.SIGKILL else 143)
    assert host.processes() == []
    assert [path.name for path in sockets.iterdir()] == []
    assert folders(host) == ["run"]
