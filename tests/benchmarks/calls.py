"""How fast values travel: run `python tests/benchmarks/calls.py`; it prints a table.

Each figure is the best of a few runs, beside the slowest. A fork's first array is slower than
the next ones: its pages are new.
"""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np

from grader.checks import counted
from grader.session.server import AgentServer
from grader.session.student import Student

_HOST = """
import sys
import numpy as np
from grader.in_kernel import agent

def sigmoid(z):
    return 1 / (1 + np.exp(-z))

def cost(p, y):
    return float(((p - y) ** 2).mean())

def echo(x):
    return x

def often(f, x, times):
    for _ in range(times):
        f(x)

agent.serve(sys.argv[1], sys.argv[2], dict(sigmoid=sigmoid, cost=cost, echo=echo, often=often))
"""


def measure(name: str, target_s: float | None, run: Callable[[], object], repeat: int = 5) -> None:
    """Print the best and the slowest time of `run`."""
    times = []
    for _ in range(repeat):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    target = "" if target_s is None else f"{target_s:g} s"
    print(f"| {name} | {min(times):.5f} s | {max(times):.5f} s | {target} |")


def _calls_back(student: Student) -> None:
    """Calls of the check's functions by the notebook's code, and what two processes need at least.

    The last lines are per call. A message that goes there and back between two processes, by
    itself, is what nothing of ours can be faster than.
    """
    sine = counted(np.sin)
    row = np.zeros(5)
    measure("10,000 calls back, floats", None, lambda: student.often(abs, 0.5, 10_000))
    measure("10,000 calls back, np.sin, counted", None, lambda: student.often(sine, 0.5, 10_000))
    measure("10,000 calls back, arrays (5,)", None, lambda: student.often(np.sin, row, 10_000))
    bare = _bare_message_s()
    started = time.perf_counter()
    best = float("inf")
    while time.perf_counter() - started < 5:
        begin = time.perf_counter()
        student.often(abs, 0.5, 1000)
        best = min(best, (time.perf_counter() - begin) / 1000)
    print(f"\na call back: {best * 1e6:.0f} us, of 60 us; a bare message there and back: ", end="")
    print(f"{bare * 1e6:.1f} us; the ratio: {best / bare:.1f}")


def _bare_message_s() -> float:
    """Seconds that 60 bytes take to another process and back, the best of a few runs."""
    here, there = socket.socketpair()
    pid = os.fork()
    if not pid:
        here.close()
        while text := there.recv(100):
            there.sendall(text)
        os._exit(0)
    there.close()
    times = []
    for _ in range(20):
        begin = time.perf_counter()
        for _ in range(500):
            here.sendall(b"x" * 60)
            here.recv(100)
        times.append((time.perf_counter() - begin) / 500)
    here.close()
    os.waitpid(pid, 0)
    return min(times)


def main() -> None:
    rng = np.random.default_rng(0)
    floats = rng.normal(size=10_000).tolist()
    arrays = [*rng.normal(size=(10_000, 5))]
    pairs = [(p, y) for p, y in rng.normal(size=(10_000, 2, 5))]
    large = rng.normal(size=12_500_000)  # 100 MB
    server = AgentServer()
    host = subprocess.Popen([sys.executable, "-c", _HOST, server.address, server.token])
    server.wait()

    def first_large() -> None:
        with server.student(reply_mib=256) as fresh:
            fresh.echo(large)

    print("| | best | slowest | target |\n|---|---|---|---|")
    with server.student(600, reply_mib=256) as student:
        measure("10,000 mapped calls, floats", 0.3, lambda: student.sigmoid.map(floats))
        measure("10,000 mapped calls, arrays (5,)", 0.3, lambda: student.sigmoid.map(arrays))
        measure("10,000 mapped calls, two arrays (5,)", 0.3, lambda: student.cost.map(pairs))
        measure("one call", None, lambda: student.sigmoid(0.5), repeat=1000)
        measure("100 MB there and back", 1.0, lambda: student.echo(large))
        _calls_back(student)
    measure("100 MB there and back, in a new fork", 1.0, first_large)
    measure("a fork for a check", None, lambda: server.student().close(), repeat=20)
    server.close()
    host.wait()


if __name__ == "__main__":
    main()
