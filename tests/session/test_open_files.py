"""A grader that holds more files than select() takes grades as any other."""

import contextlib
import os
import socket
import sys

import pytest

from grader import records
from grader.session import open_session, start_fork_server
from grader.session.messages import Client

resource = pytest.importorskip("resource")

FD_SETSIZE = 1024


@pytest.fixture
def many_files():
    """Open so many files that each further one has a descriptor that select() refuses."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 2 * FD_SETSIZE:
        pytest.skip("this machine lets a process open too few files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (2 * FD_SETSIZE, hard))
    files = [os.open(os.devnull, os.O_RDONLY)]
    while files[-1] < FD_SETSIZE:
        files.append(os.dup(files[0]))
    yield
    for file in files:
        os.close(file)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_client_receives_and_sends_through_any_descriptor(many_files):
    ours, theirs = socket.socketpair()
    assert ours.fileno() > FD_SETSIZE
    client = Client(ours)
    assert client.receive(0.0) is None
    client.send("execute_request", {"code": "x" * 3_000_000})  # more than the buffers hold
    taken = 0
    while taken < 3_000_000:
        assert client.receive(0.0) is None
        taken += len(theirs.recv(1 << 20))
    theirs.close()
    assert client.receive(1.0) is None
    assert client.broken == "it closed its connection"
    client.close()


@pytest.mark.skipif(sys.platform != "linux", reason="no fork server here")
@pytest.mark.parametrize("forked", [True, False])
def test_a_notebook_is_run_and_asked_whatever_the_grader_holds_open(many_files, forked):
    cells = (records.Cell(0, "code", "def double(x): return 2 * x\nprint(double(3))"),)
    notebook = records.Notebook("a.ipynb", cells)
    with contextlib.ExitStack() as opened:
        server = opened.enter_context(start_fork_server()) if forked else None
        session = opened.enter_context(
            open_session(notebook, folder=None, limits=records.Limits(), fork_server=server)
        )
        assert session.run.cells[0].outputs[0]["text"] == "6\n"
        with session.student() as student:
            assert student.double(21) == 42
