"""Two ways to a student's process, closed after each test.

serve, student_of    without Jupyter: it runs some source, then serves the grader
run                  whole notebooks, in real kernels
"""

import subprocess
import sys
import textwrap

import pytest

from grader import records
from grader.session import open_session, start_fork_server
from grader.session.server import AgentServer

_HOST = """
import linecache, sys
from grader.in_kernel import agent

address, token, source = sys.argv[1:]
linecache.cache["<notebook>"] = (len(source), None, source.splitlines(True), "<notebook>")
namespace = vars(sys.modules["__main__"])
before = dict(namespace)
exec(compile(source, "<notebook>", "exec"), namespace)
agent.serve(
    address,
    token,
    namespace,
    locate=lambda filename: 4 if filename == "<notebook>" else None,
    figures=namespace.get("figures_of_the_test"),
)
"""


@pytest.fixture
def serve():
    """Start a process that runs `source` as a notebook's cell 4; give its AgentServer."""
    running = []

    def start(source="", **options):
        server = AgentServer(**options)
        text = "import os, sys, time; import numpy as np\n" + textwrap.dedent(source)
        process = subprocess.Popen(
            [sys.executable, "-c", _HOST, server.address, server.token, text],
            stdin=subprocess.DEVNULL,
        )
        running.append((server, process))
        server.wait(alive=lambda: process.poll() is None)
        server.process = process
        return server

    yield start
    for server, process in running:
        server.close()
        process.kill()
        process.wait()


@pytest.fixture
def student_of(serve):
    """Give the Student of a process that ran `source`."""

    def open_student(source, limit_s=20.0, **options):
        return serve(source, **options).student(limit_s)

    return open_student


@pytest.fixture(scope="session")
def fork_server():
    """A fork server, where there is one to be had."""
    parent = start_fork_server()
    yield parent
    if parent is not None:
        parent.close()


@pytest.fixture(scope="session")
def fork_server_for_none():
    """One whose kernels are not sandboxed, and have the host's numbers."""
    parent = start_fork_server("none")
    yield parent
    if parent is not None:
        parent.close()


@pytest.fixture
def run(tmp_path, request):
    """run(source, source, ..., cell_s=...) -> a Session that has run these code cells.

    Its kernel is forked from a fork server; with `forked=False` it starts by itself.
    """
    sessions = []

    def run_cells(
        *sources,
        name="answer.ipynb",
        folder=None,
        datasets_dir=None,
        seed=0,
        sandbox="auto",
        on_cell=None,
        forked=True,
        draw=True,
        **limits,
    ):
        if folder is None:
            folder = tmp_path / "handed in"
            folder.mkdir(exist_ok=True)
        parent = "fork_server_for_none" if sandbox == "none" else "fork_server"
        cells = tuple(records.Cell(i, "code", source) for i, source in enumerate(sources))
        session = open_session(
            records.Notebook(name, cells),
            folder=folder,
            limits=records.Limits(**limits),
            datasets_dir=datasets_dir,
            seed=seed,
            sandbox=sandbox,
            fork_server=request.getfixturevalue(parent) if forked else None,
            draw=draw,
            on_cell=on_cell,
        )
        sessions.append(session)
        return session

    yield run_cells
    for session in sessions:
        session.close()
