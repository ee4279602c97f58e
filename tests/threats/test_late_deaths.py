"""What kills the kernel long after its cell is charged to the cell that started it."""

import re

import pytest

HALF = 5.0
# The cells that follow are innocent, and at work when the kernel dies.
AT_WORK = "import time\ntime.sleep(1.2)"
LATE = {
    "a thread": (
        "import os, threading, time\n"
        "threading.Thread(target=lambda: (time.sleep(0.5), os._exit(7)), daemon=True).start()"
    ),
    "a child": (
        "import subprocess, sys, os\n"
        "subprocess.Popen([sys.executable, '-c',\n"
        "    f'import os, time; time.sleep(0.7); os.kill({os.getpid()}, 9)'])"
    ),
    "a daemon": (
        "import os, time\n"
        "kernel = os.getpid()\n"
        "if os.fork() == 0:\n"
        "    os.setsid()\n"
        "    if os.fork() == 0:\n"
        "        time.sleep(0.7)\n"
        "        os.kill(kernel, 9)\n"
        "    os._exit(0)"
    ),
    "a thread that waits for the checks": (
        "import os, threading, time\n"
        "def end():\n"
        "    while 'model' not in globals(): time.sleep(0.01)\n"
        "    time.sleep(0.3)\n"
        "    os._exit(7)\n"
        "threading.Thread(target=end, daemon=True).start()"
    ),
    "a segfault in a thread": (
        "import ctypes, threading, time\n"
        "threading.Thread(target=lambda: (time.sleep(0.5), ctypes.string_at(0)),\n"
        "                 daemon=True).start()"
    ),
}
IDLE = (
    "from concurrent.futures import ThreadPoolExecutor\n"
    "pool = ThreadPoolExecutor(2)\n"
    "list(pool.map(str, range(9)))"
)


@pytest.fixture(scope="module")
def late(attacks, sandbox):
    return attacks(
        {kind: [source, AT_WORK, AT_WORK] for kind, source in LATE.items()}
        | {"idle threads": [IDLE, "import os\nos._exit(5)", AT_WORK]},
        notebook_s=20,
    )


def cells_named(said):
    return set(re.findall(r"cells? (\d+)", "\n".join(said.values())))


@pytest.mark.parametrize("kind", LATE)
def test_the_cell_that_started_it_is_named_and_no_other(late, notes, kind):
    assert late[kind]["score"] == HALF
    said = notes(late[kind])
    # The checks may be through before it comes to that.
    if "waits" not in kind or "cell_crash" in said:
        assert "killed after cell 0 had run, by what it started" in said["cell_crash"]
        assert cells_named(said) == {"0"}
    assert cells_named(said) <= {"0"}


def test_a_cell_that_left_idle_threads_is_not_blamed_for_another_s_death(late, notes):
    assert late["idle threads"]["score"] == HALF
    said = notes(late["idle threads"])
    assert "the kernel died in cell 1: exit code 5" in said["cell_crash"]
    assert cells_named(said) == {"1"}


def test_a_function_that_kills_the_kernel_when_it_is_checked_is_named(host, notes, closed_in):
    body = "import os, signal\nif is_closed_in():\n    os.kill(os.getppid(), signal.SIGKILL)\n"
    killer = host.right(closed_in, name="killer", mean_square=body + "return 0.0")
    graded = host.grade(killer, host.right(name="honest"))
    assert graded["killer"]["score"] >= 5.0
    said = notes(graded["killer"])
    assert "cell_not_run" not in said
    if "cell_crash" in said:
        assert "`mean_square`" in said["cell_crash"] or "cell 5" in said["cell_crash"]
    assert graded["honest"]["score"] == 8.0
