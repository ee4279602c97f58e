"""The agent's protocol, spoken by hand: bytes in, bytes out. Real processes, no Jupyter."""

import os
import socket
import subprocess
import sys

import pytest

from grader.in_kernel import codec, protocol

# /proc, and a fork that dies with its parent.
linux = pytest.mark.skipif(sys.platform != "linux", reason="asks Linux")

_HOST = """
import sys
from grader.in_kernel import agent

namespace = {}
exec(sys.argv[2], namespace)
agent.serve(sys.argv[1], "the serving token", namespace)
"""


class Line:
    """One stream that the agent opened, and what it sent first."""

    def __init__(self, listener):
        self.connection, _ = listener.accept()
        self.connection.settimeout(60)
        self.hello = self.receive()

    def fill(self, target):
        while target:
            count = self.connection.recv_into(target)
            if not count:
                raise EOFError
            target = target[count:]

    def receive(self):
        return codec.decode(self.fill, handle=lambda handle: handle)

    def ask(self, *request):
        for piece in codec.encode([*request], keep=lambda value: value):
            self.connection.sendall(piece)
        return self.receive()


class Host:
    """A process that runs some source and then the agent; its serving stream is open."""

    def __init__(self, folder, source):
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(folder / "socket"))
        self.listener.listen()
        self.listener.settimeout(60)
        address = f"unix:{folder / 'socket'}"
        self.process = subprocess.Popen([sys.executable, "-c", _HOST, address, source])
        self.lines = []
        self.serving = self.accept()

    def accept(self):
        line = Line(self.listener)
        self.lines.append(line)
        return line

    def fork(self, reply_bytes=1 << 20):
        number, status, pid = self.serving.ask(1, "fork", "the check's token", reply_bytes)
        assert (number, status) == (1, "value")
        return self.accept(), pid

    def close(self):
        for line in self.lines:
            line.connection.close()
        self.listener.close()
        self.process.kill()
        self.process.wait()


@pytest.fixture
def host(tmp_path):
    hosts = []

    def start(source=""):
        hosts.append(Host(tmp_path, source))
        return hosts[-1]

    yield start
    for one in hosts:
        one.close()


def test_a_stream_opens_with_version_and_token(host):
    word, version, token, versions = host().serving.hello
    assert (word, version, token) == ("hello", protocol.VERSION, "the serving token")
    assert versions["python"] == ".".join(map(str, sys.version_info[:3]))


def test_a_fork_opens_a_stream_of_its_own_with_the_checks_token(host):
    line, pid = host("import os").fork()
    assert line.hello[:3] == ["hello", protocol.VERSION, "the check's token"]
    assert line.ask(5, "call", None, "os.getpid", (), {}) == [5, "value", pid]


def test_a_reply_repeats_the_number_of_its_request(host):
    line, _ = host("def f(x): return x").fork()
    assert line.ask(41, "call", None, "f", (1,), {}) == [41, "value", 1]
    assert line.ask(7, "call", None, "f", (2,), {}) == [7, "value", 2]


def test_an_object_gets_one_handle_however_often_it_comes(host):
    line, _ = host("x = object()\ny = [x, x]").fork()
    first = line.ask(1, "get", None, "x")[2]
    assert first == codec.Handle(0, "object")
    assert line.ask(2, "get", None, "y") == [2, "value", [first, first]]


def test_a_handle_is_an_argument(host):
    line, _ = host("x = object()\ndef is_x(y): return y is x").fork()
    handle = line.ask(1, "keep", None, "x")[2]
    assert line.ask(2, "call", None, "is_x", (handle,), {}) == [2, "value", True]


def test_a_missing_name_is_told_from_an_error(host):
    line, _ = host("def f(): return g()").fork()
    assert line.ask(1, "call", None, "g", (), {})[1:] == ["missing", "`g` is not defined"]
    number, status, failure = line.ask(2, "call", None, "f", (), {})
    assert (number, status) == (2, "raised")
    assert failure == ["NameError", "name 'g' is not defined", None, 0, "", None, "NameError", []]


def test_what_exceeds_the_replys_bytes_is_too_large_and_the_next_call_goes_on(host):
    line, _ = host("def f(n): return 'x' * n").fork(reply_bytes=10_000)
    assert line.ask(1, "call", None, "f", (20_000,), {})[1] == "too large"
    assert line.ask(2, "call", None, "f", (2,), {}) == [2, "value", "xx"]


def test_operations_that_nobody_knows_are_answered(host):
    serving = host().serving
    assert serving.ask(1, "reboot") == [1, "missing", "no such operation"]
    assert serving.ask(2, "ended", 1) == [2, "value", None]


def test_an_unknown_handle_is_an_error_not_an_end(host):
    line, _ = host("x = 1").fork()
    assert line.ask(1, "get", 12, "")[1] == "raised"
    assert line.ask(2, "get", None, "x") == [2, "value", 1]


@linux
def test_a_fork_leads_a_session_and_holds_no_socket_but_its_own(host):
    source = """
import os
def session():
    return os.getsid(0)
def sockets():
    links = []
    for name in os.listdir("/proc/self/fd"):
        try:
            links.append(os.readlink(f"/proc/self/fd/{name}"))
        except OSError:  # the listing's own
            pass
    return sum(link.startswith("socket:") for link in links)
"""
    line, pid = host(source).fork()
    assert line.ask(1, "call", None, "session", (), {}) == [1, "value", pid]
    assert line.ask(2, "call", None, "sockets", (), {}) == [2, "value", 1]


@linux
def test_standard_streams_of_a_fork_lead_nowhere(host):
    line, _ = host("import os\ndef f(n): return os.readlink(f'/proc/self/fd/{n}')").fork()
    assert line.ask(1, "map", None, "f", [0, 1, 2]) == [1, "value", [os.devnull] * 3]


def test_a_fork_ends_with_its_stream(host, until):
    one = host()
    line, pid = one.fork()
    line.connection.close()
    assert until(lambda: one.serving.ask(2, "ended", pid)[2]) == ["exit", 0]


def test_how_a_fork_ended_can_be_asked_again_after_it_was_reaped(host, until):
    one = host("import os")
    line, pid = one.fork()
    with pytest.raises((EOFError, ConnectionResetError)):
        line.ask(1, "call", None, "os._exit", (5,), {})
    until(lambda: one.serving.ask(2, "ended", pid)[2])
    one.fork()
    assert one.serving.ask(3, "ended", pid) == [3, "value", ["exit", 5]]


def test_the_agent_ends_its_process_with_the_serving_stream(host):
    one = host("import atexit\natexit.register(print, 'must not run')")
    one.serving.connection.close()
    assert one.process.wait() == 0


def test_an_agent_that_reaches_nobody_says_so_and_ends(tmp_path):
    address = f"unix:{tmp_path / 'nothing'}"
    done = subprocess.run(
        [sys.executable, "-c", _HOST, address, ""], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "agent: FileNotFoundError: [Errno 2] No such file or directory\n"
