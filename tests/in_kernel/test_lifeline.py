"""A process of ours ends with the program that started it, whatever either of them is at."""

import os
import signal
import subprocess
import sys

import pytest

TIED = """
import os, re, sys
from grader.in_kernel.lifeline import end_with
read_end = int(sys.argv[1])
end_with(read_end)
print("tied", flush=True)
{then}
"""
# Backtracks for ages inside one call, and holds the interpreter's lock meanwhile.
HOLDS_THE_LOCK = "re.match('(a+)+$', 'a' * 60 + 'b')"
IGNORES = (
    "import signal, time\nfor n in (1, 2, 15): signal.signal(n, signal.SIG_IGN)\ntime.sleep(600)"
)


def tied(then):
    read_end, write_end = os.pipe()
    process = subprocess.Popen(
        [sys.executable, "-c", TIED.format(then=then), str(read_end)],
        pass_fds=[read_end],
        stdout=subprocess.PIPE,
    )
    os.close(read_end)
    return process, write_end


@pytest.mark.parametrize("then", [HOLDS_THE_LOCK, IGNORES])
@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the lock must be free")
def test_a_process_is_killed_when_its_lifeline_closes_whatever_it_is_at(then):
    process, write_end = tied(then)
    with process:
        assert process.stdout.readline() == b"tied\n"
        assert process.poll() is None
        os.close(write_end)
        assert process.wait(60) == -signal.SIGKILL


def test_a_lifeline_that_closed_before_the_process_took_it_ends_the_process():
    process, write_end = tied("import time; time.sleep(600)")
    os.close(write_end)
    with process:
        assert process.wait(60) == -signal.SIGKILL


def test_where_the_kernel_sends_no_signal_a_thread_does():
    elsewhere = "import sys; sys.platform = 'elsewhere'"
    code = elsewhere + TIED.format(then="import time; time.sleep(600)")
    read_end, write_end = os.pipe()
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(read_end)], pass_fds=[read_end], stdout=subprocess.PIPE
    )
    os.close(read_end)
    with process:
        assert process.stdout.readline() == b"tied\n"
        os.close(write_end)
        assert process.wait(60) == -signal.SIGKILL


def _alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:  # noqa: PTH123
            return file.read().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False
