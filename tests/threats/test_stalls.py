"""A cell that keeps the grader busy has its limit, named; Ctrl-C ends the command all the same."""

import os
import signal
import subprocess
import sys
import time

import pytest

from tests.threats.test_faults_of_ours import named, parent_of, running, sign_of

HALF = 5.0
# What leads from sys.stdout to the kernel's connection; `send` takes a message's bytes.
CONNECTION = """
import json, sys
stream = sys.stdout._outlet._stream
number = sys.stdout._outlet.request["header"]["msg_id"]
def send(content, kind="stream", parent=None, channel="iopub"):
    head = {"channel": channel, "header": {"msg_type": kind}, "metadata": {},
            "parent_header": {"msg_id": number if parent is None else parent}}
    frame = json.dumps(head).encode()[:-1] + b', "content": ' + content + b"}"
    stream._socket.sendall(len(frame).to_bytes(4, "big") + frame)
"""
NODES = "b'{\"x\": [' + b\"[],\" * (1 << 18) + b'0]}'"
FLOODS = {
    "tiny values": f"content = {NODES}\nwhile True: send(content)",
    "tiny values of another cell": f"content = {NODES}\nwhile True: send(content, parent='')",
    "tiny values of an unknown kind": f"content = {NODES}\nwhile True: send(content, 'comm_msg')",
    "tiny values as replies": (
        f"content = {NODES}\nwhile True: send(content, 'execute_reply', channel='shell')"
    ),
    "small messages": "while True: send(b'{}')",
    "small messages of another cell": "while True: send(b'{}', parent='')",
    "states": "while True: send(b'{\"execution_state\": \"busy\"}', 'status')",
    "long texts": "text = b'\"' + b'a,[' * (1 << 20) + b'\"'\n"
    'while True: send(b\'{"name": "stdout", "text": \' + text + b\'}\')',
    "deep values": "while True: send(b'{\"x\": ' + b'[' * 900 + b']' * 900 + b'}')",
    "a message that never ends": (
        "stream._socket.sendall((1 << 20).to_bytes(4, 'big'))\n"
        "import time\nwhile True:\n    stream._socket.sendall(b'x'); time.sleep(0.2)"
    ),
    "by a thread, from then on": f"""
import threading
content = {NODES}
def flood():
    while True: send(content)
threading.Thread(target=flood, daemon=True).start()
""",
}


@pytest.fixture(scope="module")
def flooded(attacks):
    return attacks({title: CONNECTION + source for title, source in FLOODS.items()})


@pytest.mark.any_user
@pytest.mark.parametrize("flood", FLOODS)
def test_a_flood_over_the_kernels_connection_costs_its_cell_alone(flooded, flood):
    assert flooded[flood]["status"] == "graded"
    assert flooded[flood]["score"] == HALF


@pytest.mark.any_user
@pytest.mark.parametrize("flood", [name for name in FLOODS if "thread" not in name])
def test_what_was_too_much_is_named_with_its_cell(flooded, flood, notes):
    said = notes(flooded[flood])
    text = said.get("cell_crash", "") + said.get("cell_timeout", "")
    assert "cell 0" in text
    # What trickles in has the time that a cell has.
    assert "it sent" in text or "the limit of a cell is 2 s" in text
    if flood.startswith("tiny values"):
        assert "it sent messages of more than" in text


STUBBORN = {
    # Of all floods the one that no count of bytes or messages ends soon.
    "trickles": CONNECTION + FLOODS["a message that never ends"],
    "ignores signals": "import signal\n"
    "for n in (2, 15, 1): signal.signal(n, signal.SIG_IGN)\n"
    "while True: pass",
    "stops itself": "import os, signal\nos.kill(os.getpid(), signal.SIGSTOP)",
    "holds much memory": "import numpy as np\nx = [np.ones(1 << 20) for _ in range(60)]\n"
    "while True: pass",
    "has many files": "for n in range(20_000): open(f'f{n}', 'w').close()\nwhile True: pass",
}
# Side by side, each in a grading process of its own.
IN_WORKERS = [
    ("trickles", "ignores signals"),
    ("stops itself", "holds much memory"),
    ("has many files", "trickles"),
]


# Says from inside that it has begun: on a busy machine that may take a while.
SIGN = "import ctypes\nctypes.CDLL(None).prctl(15, b'{name}')\n"


def wait_for(begun, process):
    """Wait until that is so of a process that goes on, and a moment longer."""
    end = time.monotonic() + 120
    while not begun():
        assert process.poll() is None
        assert time.monotonic() < end
        time.sleep(0.05)
    time.sleep(0.3)


@pytest.mark.parametrize("cells", [*((cell,) for cell in STUBBORN), *IN_WORKERS], ids=" and ".join)
def test_ctrl_c_ends_the_command_soon_whatever_a_cell_does(host, cells):
    host.write_assignment(cell_s=60, notebook_s=60)
    sign = SIGN.format(name=sign_of(host))
    paths = [host.half(sign + STUBBORN[cell], name=f"{n}") for n, cell in enumerate(cells)]
    before = host.snapshot()
    command = subprocess.Popen(
        host.command(*paths, options=("--jobs", str(len(paths)))),
        cwd=host.handed_in,
        env=host.environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    # Each of them is at work.
    wait_for(lambda: len([*named(sign_of(host))]) >= len(paths), command)
    os.killpg(command.pid, signal.SIGINT)
    start = time.monotonic()
    try:
        command.communicate(timeout=60)
    finally:
        if command.poll() is None:
            os.killpg(command.pid, signal.SIGKILL)
    took = time.monotonic() - start
    assert command.returncode == 130
    assert took < 20, f"{took:.1f} s"  # on a busy machine; 2 s on an idle one
    host.hold_clean(before)


# Called by its own notebook it returns; in a check it never comes back from C.
ONLY_IN_CHECKS = (
    "if len(x) == 3:\n    return np.mean(x**2)\n"
    "import itertools\nSIGN\nreturn sum(itertools.repeat(0))"
)


def interrupted(host, command, after_s=0.0, *, begun=None, number=signal.SIGINT, group=True):
    """Return its exit code, and what it wrote, of a command that gets Ctrl-C after so long.

    begun : it gets it a moment after this is so
    number : the signal; group : all of its group get it, as from a terminal
    """
    process = subprocess.Popen(
        command,
        cwd=host.handed_in,
        env=host.environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    if begun is not None:
        wait_for(begun, process)
    time.sleep(after_s)
    assert process.poll() is None
    (os.killpg if group else os.kill)(process.pid, number)
    start = time.monotonic()
    try:
        _, said = process.communicate(timeout=60)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    took = time.monotonic() - start
    assert took < 20, f"{took:.1f} s"  # on a busy machine; 2 s on an idle one
    return process.returncode, said


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_ctrl_c_ends_a_check_that_never_comes_back_from_c(host, jobs):
    host.write_assignment(check_s=60)
    body = ONLY_IN_CHECKS.replace("SIGN", SIGN.format(name=sign_of(host)))
    paths = [host.right(name=f"{n}", mean_square=body) for n in range(int(jobs))]
    before = host.snapshot()
    command = host.command(*paths, options=("--jobs", jobs))
    code, _ = interrupted(host, command, begun=lambda: [*named(sign_of(host))])
    assert code == 130
    host.hold_clean(before)


def test_ctrl_c_ends_verify(host):
    where = ("--assignments", str(host.assignments))
    before = host.snapshot()
    command = [sys.executable, "-m", "grader", "verify", "toy", *where]
    code, _ = interrupted(host, command, begun=lambda: [*running(host, "in_kernel/fork_server.py")])
    assert code == 130
    host.hold_clean(before)


def test_ctrl_c_leaves_nothing_of_a_worker_that_had_to_be_killed(host):
    where = ("--assignments", str(host.assignments))
    before = host.snapshot()
    command = [sys.executable, "-m", "grader", "verify", "toy", *where]

    def stopped():
        """Whether a worker has begun its first session; from then on it can end nothing itself."""
        begun = [*running(host, "in_kernel/fork_server.py")]
        workers = [*running(host, "--multiprocessing-fork")] if begun else []
        # Not their guards and what they fork at this moment: it has their words until it runs its
        # own, and nobody would wake it.
        for pid in [pid for pid in workers if parent_of(pid) not in workers]:
            os.kill(pid, signal.SIGSTOP)
        return begun

    code, _ = interrupted(host, command, begun=stopped)
    assert code == 130
    host.hold_clean(before)


@pytest.mark.parametrize("after_s", [0.05, 0.3, 0.6, 0.9, 1.2])
def test_ctrl_c_in_the_first_second_ends_it_and_leaves_nothing(host, after_s):
    """While Python itself starts the code is Python's own."""
    command = host.command(host.right("while True: pass"))
    before = host.snapshot()
    code, _ = interrupted(host, command, after_s)
    assert code in (130, 1, -signal.SIGINT)
    host.hold_clean(before)
