"""The process that `grade --keep-warm` leaves: who may ask it, and what it makes of what comes."""

import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from grader.warm.client import end_all
from grader.warm.place import Place, key

ROOT = Path(__file__).resolve().parents[2]
RIGHT = (
    "import numpy as np",
    "def sigmoid(z):\n    return 0.5 * (1 + np.tanh(np.asarray(z, dtype=float) / 2))",
    "def sigmoid_prime(z):\n    return sigmoid(z) * (1 - sigmoid(z))",
)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="processes are forked on Linux alone"),
]


@pytest.fixture(scope="module")
def warm(tmp_path_factory):
    """A student's folder, whose checks a process holds."""
    folder, runtime = tmp_path_factory.mktemp("work") / "pw02", tmp_path_factory.mktemp("run")
    shutil.copytree(ROOT / "student_templates" / "pw02", folder)
    runtime.chmod(0o700)
    patched = pytest.MonkeyPatch()
    patched.setenv("XDG_RUNTIME_DIR", str(runtime))
    patched.setenv("OPENBLAS_NUM_THREADS", "1")  # as the command has it
    patched.delenv("GRADE_ASSIGNMENTS", raising=False)
    write(folder, *RIGHT)
    told = {"graded": str(folder), "folder": str(folder / "checks"), "sandbox": "auto"}
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "grader.warm.process"],
        stdin=subprocess.PIPE,
        start_new_session=True,
    )
    with process.stdin as pipe:
        pipe.write(json.dumps(told | {"key": key(folder, os.environ)}).encode())
    yield folder, process
    end_all()
    process.wait(60)
    patched.undo()


@pytest.fixture
def ready(warm, until):
    folder, process = warm
    name = key(folder, os.environ)
    with Place(make=True) as place:
        until(lambda: place.socket_number(name) or process.poll() is not None)
        yield place, name
        # Whatever has come, the next one is served, by the same process.
        assert grade(folder)["exercises"][0]["status"] == "passed"
        assert process.poll() is None
        assert place.record(name)["pid"] == process.pid


def write(folder, *cells):
    made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    nbformat.write(made, folder / "sigmoid.ipynb")


def grade(folder, *arguments):
    done = subprocess.run(
        [sys.executable, "-P", "-m", "grader", "sigmoid.ipynb", "--json", "-", *arguments],
        cwd=folder,
        capture_output=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["submissions"][0]


def connected(place, name):
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    connection.settimeout(30)
    connection.connect(place.address(name))
    return connection


def heard(connection):
    """What comes back; b"" where the other end has hung up, in whichever way."""
    try:
        return connection.recv(100)
    except ConnectionError:
        return b""


HOSTILE = [
    b"\x00",
    b"\xff" * 50_000,
    b"[" * 100_000,
    b"{}",
    b"null",
    b'{"token": null}',
    b'{"token": "\xed\xa0\x80"}',
    b'{"token": "", "end": true}',
    b'{"token": "0", "arguments": ["sigmoid.ipynb"]}',
    b'{"token": "\\ud800", "end": true}',
    b"9" * 9000,
    b'{"end": true, "token": "' + b"0" * 150_000 + b'"}',
]


def test_who_does_not_know_the_token_is_hung_up_on(ready):
    for text in HOSTILE:
        with connected(*ready) as connection:
            connection.send(text)
            assert heard(connection) == b"", text[:40]


def test_a_flood_of_bytes_and_of_connections_is_hung_up_on(ready):
    place, name = ready
    for _ in range(20):
        with connected(place, name) as connection, pytest.raises(OSError):  # a pipe that is broken
            for _ in range(100_000):
                connection.send(b"x" * 100_000)
    silent = [connected(place, name) for _ in range(6)]
    for connection in silent:
        connection.close()


def test_descriptors_that_come_along_are_closed(ready, until):
    place, name = ready
    pid = place.record(name)["pid"]
    before = len([*Path(f"/proc/{pid}/fd").iterdir()])
    for _ in range(10):
        with connected(place, name) as connection:
            socket.send_fds(connection, [b"{}"], [0] * 100)
            assert heard(connection) == b""
    until(lambda: len([*Path(f"/proc/{pid}/fd").iterdir()]) <= before)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes another user")
def test_another_user_is_hung_up_on_even_where_the_folder_is_open_to_all(ready):
    place, name = ready
    token = place.record(name)["token"]
    folder = Path(os.environ["XDG_RUNTIME_DIR"], "grade-warm")
    request = json.dumps({"token": token, "end": True}).encode()
    told, tell = os.pipe()
    os.fchmod(place.descriptor, 0o755)
    (folder / f"{name}.sock").chmod(0o777)
    try:
        if os.fork() == 0:
            heard = b"?"
            try:
                os.setresgid(54321, 54321, 54321)
                os.setresuid(54321, 54321, 54321)
                with connected(place, name) as connection:
                    heard = b"connected"
                    connection.send(request)
                    heard = connection.recv(100) or b"hung up"
            except OSError as error:
                heard = b"hung up" if heard == b"connected" else str(error).encode()
            finally:
                os.write(tell, heard)
                os._exit(0)
        assert os.read(told, 100) == b"hung up"
        os.wait()
    finally:
        os.fchmod(place.descriptor, 0o700)
        os.close(told)
        os.close(tell)


def test_a_students_code_finds_no_way_to_it(warm, ready):
    folder, _ = warm
    _, name = ready
    runtime = os.environ["XDG_RUNTIME_DIR"]
    search = f"""
import os, socket
found = []
try:
    found += [open(f"{runtime}/grade-warm/{name}.json").read()]
except OSError:
    pass
try:
    asked = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    asked.connect("{runtime}/grade-warm/{name}.sock")
    found += ["connected"]
except OSError:
    pass
asked.close()
for entry in os.listdir("/proc/self/fd"):
    try:
        other = socket.socket(fileno=os.dup(int(entry)))
        if other.type == socket.SOCK_SEQPACKET:
            found += [entry]
    except OSError:
        pass
assert not found, found
"""
    write(folder, *RIGHT, search)
    try:
        notes = [note["kind"] for note in grade(folder)["notes"]]
        assert "cell_error" not in notes
        # It would find it, were it not closed in.
        free = subprocess.run([sys.executable, "-c", search], capture_output=True, text=True)
        assert "AssertionError" in free.stderr
    finally:
        write(folder, *RIGHT)
