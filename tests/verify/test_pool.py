"""The processes of verify: what they are given comes back, and nothing of them is left."""

import os
import signal
import subprocess
import sys
import time
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import pytest

from grader.errors import AssignmentError
from grader.verify.pool import ProcessPool

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="looks at processes in /proc")

POOL = """
import os, time
from grader.verify.pool import ProcessPool

if __name__ == "__main__":
    with ProcessPool(2) as pool:
        # Each has a process of its own: the first one is still at work.
        futures = [pool.submit(time.sleep, 600), pool.submit(os.getpid)]
        print(futures[1].result(), flush=True)
        futures[0].result()
"""


def refuse(word):
    raise AssignmentError(word)


def end():
    os._exit(3)


def test_results_and_errors_come_back():
    with ProcessPool(2) as pool:
        lengths = [pool.submit(len, "x" * n) for n in range(20)]
        refused = pool.submit(refuse, "no such exercise")
        own = {pool.submit(os.getpid).result() for _ in range(3)}
    assert [future.result() for future in lengths] == list(range(20))
    with pytest.raises(AssignmentError, match="no such exercise"):
        refused.result()
    assert os.getpid() not in own


def test_a_process_that_ends_is_said_and_the_next_task_has_another():
    with ProcessPool(1) as pool:
        with pytest.raises(BrokenProcessPool, match="exit code 3"):
            pool.submit(end).result()
        assert pool.submit(len, "four").result() == 4


def test_what_runs_is_called_off_where_the_block_is_left_by_an_exception(until):
    with pytest.raises(KeyError), ProcessPool(1) as pool:
        running, waiting = pool.submit(time.sleep, 600), pool.submit(len, "four")
        until(running.running)
        raise KeyError
    assert isinstance(running.exception(), BrokenProcessPool)
    assert waiting.cancelled()


@linux_only
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_what_is_killed_leaves_neither_a_process_nor_a_name_in_shared_memory(
    tmp_path, until, number
):
    script = tmp_path / "pool.py"
    script.write_text(POOL)
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE) as command:
        worker = int(command.stdout.readline())
        others = children(command.pid)
        assert maps(worker)
        # It has taken nothing with a name, which would be left.
        assert [
            line for pid in (command.pid, *others) for line in maps(pid) if "sem." in line
        ] == []
        command.send_signal(number)
    assert worker in others
    until(lambda: not any(map(alive, others)))


def maps(pid):
    """What a process has mapped, a line each."""
    return Path(f"/proc/{pid}/maps").read_text().splitlines()


def children(pid):
    return [
        int(child)
        for task in Path(f"/proc/{pid}/task").glob("*/children")
        for child in task.read_text().split()
    ]


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False
