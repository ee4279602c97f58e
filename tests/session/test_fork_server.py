"""Kernels are forked from a process that has imported everything, and are as good as others."""

import contextlib
import ctypes
import errno
import json
import os
import platform
import signal
import socket
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from grader import records
from grader.assignment import load_assignment
from grader.errors import GraderFault
from grader.in_kernel import fork_server as in_kernel_fork_server
from grader.in_kernel import huge_pages
from grader.in_kernel.sandbox import spawner
from grader.session import ForkServer, Kernels, open_session, start_fork_server
from grader.session.processes import descendants

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="no fork server here")


@pytest.fixture
def parent():
    fork_server = start_fork_server()
    yield fork_server
    fork_server.close()


def opened(fork_server, *sources, **options):
    cells = tuple(records.Cell(i, "code", source) for i, source in enumerate(sources))
    options = {"folder": None, "limits": records.Limits()} | options
    return open_session(records.Notebook("a.ipynb", cells), fork_server=fork_server, **options)


def printed(session):
    return "".join(out["text"] for cell in session.run.cells for out in cell.outputs)


SEEN = """
import os, random, sys, tempfile
import numpy as np
print(random.random(), np.random.random(), sys.argv, sys.path[0] == os.getcwd(), __name__)
print(sorted(set(os.environ)), tempfile.gettempdir().startswith("/"), sys.flags.no_user_site)
print(hash("a"), [type(s).__name__ for s in (sys.stdout, sys.stdin)])
"""


def test_a_forked_kernel_sees_what_one_that_started_by_itself_sees(parent):
    with opened(parent, SEEN) as forked, opened(None, SEEN) as started:
        assert printed(forked) == printed(started)
        assert forked.isolation == started.isolation


def test_memory_is_put_into_huge_pages_once_for_many_kernels_and_not_for_few(monkeypatch):
    """A fork copies an entry for each page; what lies in huge ones has fewer."""
    calls = []
    monkeypatch.setattr(huge_pages, "collapse", lambda: calls.append("collapse"))
    grader, asked = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    parent = in_kernel_fork_server.ForkServer.__new__(in_kernel_fork_server.ForkServer)
    parent._grader, parent._collapsed = asked, False
    parent._make_clone = lambda descriptor: calls.append("clone")
    with grader, asked, Path(os.devnull).open() as end:
        for many in (False, True, True):
            request = json.dumps({"clone": True, "many": many}).encode()
            socket.send_fds(grader, [request], [end.fileno()])
            assert parent._answer()
    assert calls == ["clone", "collapse", "clone", "clone"]


def test_what_is_mostly_in_memory_is_put_into_huge_pages(monkeypatch):
    """What the system makes of it depends on its free memory: here it agrees."""
    size = huge_pages.HUGE
    kept = np.ones(4 * size, np.uint8)
    first, empty, last = (kept.ctypes.data // size * size + n * size for n in (1, 2, 3))
    advised = []

    def mincore(place, length, there):
        ctypes.memset(there, place.value != empty, ctypes.sizeof(there))
        return 0

    def madvise(place, length, advice):
        assert (length.value, advice) == (size, 25)  # MADV_COLLAPSE
        advised.append(place.value)
        return 0 if place.value == first else -1

    libc = SimpleNamespace(mincore=mincore, madvise=madvise)
    monkeypatch.setattr(ctypes, "CDLL", lambda name: libc)
    assert huge_pages.collapse() == 1
    assert {first, last} <= {*advised}
    assert empty not in advised
    assert not any(place % size for place in advised)


def test_memory_that_lies_in_huge_pages_already_is_not_copied(monkeypatch):
    told = "00-ff ---p 0 0:0 0 [rollup]\nAnonymous:  900 kB\nAnonHugePages:  500 kB\n"
    monkeypatch.setattr(Path, "read_text", lambda path: told)
    monkeypatch.setattr(ctypes, "CDLL", lambda name: pytest.fail("it was copied"))
    assert huge_pages.collapse() == 0


OBJECTS_IN_HEAP = """
import re, sys
from grader.in_kernel.huge_pages import ObjectsInHeap

def in_heap(objects):
    maps = open("/proc/self/maps").read()
    parts = re.findall(r"^([0-9a-f]+)-([0-9a-f]+) .*\\[heap\\]$", maps, re.M)
    parts = [(int(first, 16), int(last, 16)) for first, last in parts]
    return sum(any(f <= id(one) < l for f, l in parts) for one in objects) / len(objects)

def some(count):
    return [str(n).encode() for n in range(10**6, 10**6 + count)]

before = some(200_000)
objects = ObjectsInHeap()
during = some(200_000)
half, during = during[::2], None
half = None
during = some(200_000)
objects.end()
after = some(200_000)
print(round(in_heap(before)), round(in_heap(during)), round(in_heap(after)))
before = None
during = None
after = None
objects.end()
again = some(600_000)
print(round(in_heap(again), 1) < 0.5, again[-1])
"""


def test_what_is_imported_lies_in_the_heap_and_what_comes_later_does_not():
    """However much of it is freed: a piece is never given back to who has not given it."""
    if platform.libc_ver()[0] != "glibc":
        pytest.skip("another C library's heap")
    command = [sys.executable, "-c", OBJECTS_IN_HEAP]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[:2] == ["0 1 0", "True b'1599999'"]
    assert not done.stderr


def test_the_heap_that_kernels_are_forked_with_lies_in_huge_pages(parent):
    if not heap_in_huge_pages({"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}):
        pytest.skip("this C library, or this system, makes none of a heap")
    with opened(parent, "import os; print(os.environ.get('GLIBC_TUNABLES'))") as session:
        assert printed(session) == "None\n"
        assert NO_HUGE_PAGE not in Path(f"/proc/{parent.pid}/smaps_rollup").read_text()


NO_HUGE_PAGE = "AnonHugePages:         0 kB"


def heap_in_huge_pages(environment):
    script = (
        "kept = [bytearray(10_000) for _ in range(1600)]\n"
        f"raise SystemExit({NO_HUGE_PAGE!r} in open('/proc/self/smaps_rollup').read())"
    )
    done = subprocess.run([sys.executable, "-c", script], env=os.environ | environment)
    return done.returncode == 0


FIRST_CELL = """
import asyncio, sys
from grader.in_kernel import kernel
ready = kernel.make_kernel(sys.argv[1])
before = {*sys.modules}
ready.shell.run_cell("x = 1")
print(sorted({*sys.modules} - before))
"""


def test_the_first_cell_imports_nothing_that_the_fork_server_could_have_imported(tmp_path):
    command = [sys.executable, "-c", FIRST_CELL, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_what_one_notebook_changes_the_next_does_not_meet(parent):
    changes = "import numpy as np, sys; np.exp = None; sys.modules['mine'] = 1; import random"
    with opened(parent, changes, "mine = 3"):
        pass
    seen = "import numpy as np, sys\nprint(np.exp(0), 'mine' in sys.modules, 'mine' in globals())"
    with opened(parent, seen) as session:
        assert printed(session) == "1.0 False False\n"


def test_modules_are_imported_before_a_notebook_asks(parent):
    parent.preload(["fractions", "no.such.module"], datasets_dir=None, sets=[])
    with opened(parent, "import sys; print('fractions' in sys.modules)") as session:
        assert printed(session) == "True\n"


def test_a_module_that_breaks_when_it_is_imported_breaks_for_the_notebook_alone(parent):
    parent.preload(["antigravity.no"], datasets_dir=None, sets=[])
    with opened(parent, "import antigravity.no", "x = 2") as session:
        assert [cell.status for cell in session.run.cells] == ["error", "ok"]


def test_data_sets_are_read_once_and_every_notebook_may_change_its_own(parent, tmp_path):
    x = np.arange(10 * 784, dtype=np.uint8).reshape(10, 784)
    np.savez(tmp_path / "mnist.npz", x=x, y=np.arange(10))
    parent.preload(["sklearn.datasets"], datasets_dir=tmp_path, sets=["mnist"])
    source = (
        "from sklearn.datasets import fetch_openml\n"
        "x, y = fetch_openml('mnist_784', return_X_y=True)\n"
        "print(x.sum(), len(y)); x /= 255"
    )
    for _ in range(2):
        with opened(parent, source, datasets_dir=tmp_path) as session:
            assert printed(session) == f"{float(x.sum())} 10\n"
        (tmp_path / "mnist.npz").unlink(missing_ok=True)


def test_a_kernel_gets_the_sets_of_its_own_folder_whatever_its_parent_serves(parent, tmp_path):
    for name, count in (("parents", 3), ("own", 5)):
        (tmp_path / name).mkdir()
        x, y = np.zeros((count, 784), np.uint8), np.zeros(count, np.uint8)
        np.savez(tmp_path / name / "mnist.npz", x=x, y=y)
    parent.preload(["sklearn.datasets"], datasets_dir=tmp_path / "parents", sets=[])
    source = (
        "from sklearn.datasets import fetch_openml\n"
        "x, y = fetch_openml('mnist_784', return_X_y=True)\n"
        "print(len(x))"
    )
    for name, count in (("parents", 3), ("own", 5)):
        with opened(parent, source, datasets_dir=tmp_path / name) as session:
            assert printed(session) == f"{count}\n"


def test_a_parent_whose_libraries_start_threads_is_not_forked(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr("grader.session.scratch.ALLOWED_ENVIRONMENT", ("PATH", "PYTHONPATH"))
    (tmp_path / "threaded.py").write_text(
        "import threading, time\n"
        "threading.Thread(target=time.sleep, args=(600,), daemon=True).start()\n"
    )
    with start_fork_server() as threaded:
        threaded.preload(["threaded"], datasets_dir=None, sets=[])
        with opened(threaded, "import sys; print('threaded' in sys.modules)") as session:
            assert printed(session) == "False\n"


def children_of(pid):
    """The pids of its children that run its script: its kernels, its spawner and its copies."""
    found = []
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        with contextlib.suppress(OSError):  # it has just ended
            if "fork_server.py" in Path(f"/proc/{child}/cmdline").read_text():
                found.append(child)
    return found


def test_a_copy_of_the_parent_forks_what_the_parent_has_learnt(parent):
    parent.preload(["fractions"], datasets_dir=None, sets=[])
    with ForkServer(parent.clone()) as clone, ForkServer(parent.clone()) as other:
        for one in (clone, other, parent, clone):
            with opened(one, SEEN, "import sys; print('fractions' in sys.modules)") as session:
                assert printed(session).endswith("True\n")


def test_a_copy_of_the_parent_goes_on_without_it(parent, until):
    with ForkServer(parent.clone()) as clone:
        with opened(clone, "x = 1") as session:
            isolation = session.isolation
        os.kill(parent.pid, signal.SIGKILL)
        until(lambda: not parent.alive)
        assert clone.alive
        with opened(clone, "print(1 + 1)") as session:
            assert printed(session) == "2\n"
            assert session.isolation == isolation


def test_a_copy_of_the_parent_ends_when_it_is_let_go(parent, until):
    with opened(parent, "x = 1"):
        pass
    before = children_of(parent.pid)  # the spawner
    with ForkServer(parent.clone()) as clone, opened(clone, "x = 1"):
        assert len(children_of(parent.pid)) == len(before) + 1
    until(lambda: children_of(parent.pid) == before)


@pytest.mark.parametrize("asked_before", [True, False])
def test_a_copy_that_could_not_be_made_says_why(asked_before):
    """Whatever is asked first: the request may be there before the refusal, or after it."""

    def refuse(descriptor):
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    grader, asked = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    mine, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    parent = in_kernel_fork_server.ForkServer.__new__(in_kernel_fork_server.ForkServer)
    parent._grader, parent._make_clone = asked, refuse

    with grader, asked, ForkServer(mine) as clone:
        request = json.dumps({"clone": True, "many": False}).encode()
        socket.send_fds(grader, [request], [theirs.fileno()])
        if asked_before:
            mine.send(b"{}")
        theirs.close()
        assert parent._answer()
        with pytest.raises(GraderFault, match=os.strerror(errno.EAGAIN)):
            clone.run_given({})
        assert not clone.alive


def test_a_parent_that_fails_says_why(monkeypatch, tmp_path):
    """As where its machine has no process or thread left for what it imports."""
    mine, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    monkeypatch.setattr("grader.in_kernel.lifeline.end_with", lambda lifeline: None)
    monkeypatch.setattr(in_kernel_fork_server, "_serve", fail)
    with ForkServer(mine) as parent:
        with theirs, pytest.raises(RuntimeError):
            in_kernel_fork_server.main(str(tmp_path), theirs.fileno(), -1, apart=False)
        with pytest.raises(GraderFault, match="has ended: can't start new thread"):
            parent.run_given({})


def fail(*args, **options):
    raise RuntimeError("can't start new thread")


def test_no_copy_is_to_be_had_of_a_parent_that_is_gone(parent, until):
    os.kill(parent.pid, signal.SIGKILL)
    until(lambda: not parent.alive)
    with pytest.raises(GraderFault, match="forked from"):
        parent.clone()


def test_a_parent_that_was_closed_lives_no_longer(parent):
    """Where no other can be started in its place, the next submission asks it again."""
    assert parent.alive
    parent.close()
    assert not parent.alive


def test_a_killed_parent_is_a_fault_of_the_grader(parent):
    with opened(parent, "x = 1"):
        pass
    assert parent.alive
    os.kill(parent.pid, signal.SIGKILL)
    with pytest.raises(GraderFault, match="forked from"):
        opened(parent, "x = 1")
    assert not parent.alive


def test_a_parent_that_dies_under_a_running_notebook_is_a_fault_of_the_grader(parent):
    def kill(done, cells):
        if parent.alive:
            os.kill(parent.pid, signal.SIGKILL)

    with pytest.raises(GraderFault, match="forked from"):
        opened(parent, "x = 1", "import time; time.sleep(60)", on_cell=kill)


def test_closing_leaves_no_process_descriptor_or_folder(tmp_path, monkeypatch, alive):
    def held():
        return len([*Path("/proc/self/fd").iterdir()])

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with start_fork_server() as fork_server, opened(fork_server, "x = 1"):
        pass  # what is kept for good, is kept now
    before = held()
    with start_fork_server() as fork_server, opened(fork_server, "x = 1") as session:
        pids = [fork_server.pid, session._runner.kernel.provisioner.pid]
        assert all(map(alive, pids))
    assert not any(map(alive, pids))
    assert held() == before
    assert [*tmp_path.iterdir()] == []


@pytest.fixture
def kernels():
    assignment = load_assignment(Path(__file__).parents[2] / "reference" / "ecse552")
    with Kernels(assignment, start_fork_server(), preloaded=True) as opened_with:
        yield opened_with


STAYS = """
import os, time
if os.fork() == 0:
    os.setsid()
    time.sleep(1000)
"""


def left(kernels, source=STAYS):
    """A session that was left, and the numbers of all its processes."""
    notebook = records.Notebook("a.ipynb", (records.Cell(0, "code", source),))
    session = kernels.open(notebook, folder=None)
    if "namespaces" not in session.isolation.applied:
        pytest.skip("no namespaces here")
    kernel = session._runner.kernel.provisioner.pid
    pids = [kernel, *descendants(kernel)]
    kernels.leave([session])
    return session, pids


def test_what_a_session_that_is_left_has_started_ends_without_being_waited_for(
    kernels, alive, until
):
    _, pids = left(kernels)
    assert len(pids) == 2
    until(lambda: not any(map(alive, pids)))


def test_a_session_that_is_left_is_closed_when_the_next_one_is(kernels):
    first, _ = left(kernels)
    folder = first._runner.scratch.work
    assert folder.is_dir()
    second, _ = left(kernels)
    assert not folder.exists()
    assert second._runner.scratch.work.is_dir()


def test_the_last_session_that_is_left_is_closed_with_its_kernels(kernels):
    session, _ = left(kernels)
    folder = session._runner.scratch.work
    kernels.close()
    assert not folder.exists()


def test_nothing_looks_at_the_processes_of_a_session_that_is_left(kernels):
    # Their numbers may belong to other processes soon, and a watchdog kills by number.
    session, _ = left(kernels)
    assert not session._runner.kernel.provisioner._watchdog._thread.is_alive()


def test_a_kernel_that_nothing_ends_by_itself_is_waited_for(monkeypatch, alive):
    session = opened(None, "x = 1", sandbox="none")
    pid = session._runner.kernel.provisioner.pid
    session.begin_end()
    assert alive(pid)
    session.close()
    assert not alive(pid)


def test_a_room_is_given_up_where_no_process_can_be_forked_into_it(monkeypatch):
    (inside, lives), (gone, ends) = os.pipe(), os.pipe()
    spaces = tuple(spawner.namespaces.opened())
    sandbox = spawner.Sandbox(os.getpid(), spaces, lives, gone, {})
    parent = in_kernel_fork_server.ForkServer.__new__(in_kernel_fork_server.ForkServer)
    parent._settle = lambda: None
    parent._spawner = SimpleNamespace(sandbox=lambda plan, control: sandbox)
    monkeypatch.setattr(spawner.namespaces, "join_pids", lambda spaces: None)
    monkeypatch.setattr(os, "fork", no_process_left)
    with pytest.raises(OSError, match="no process left"):
        parent._fork({"options": {"plan": {}}}, -1, -1)
    assert os.read(inside, 1) == b""  # what keeps the sandbox is told so
    for descriptor in (*spaces, lives, gone):
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(descriptor)
    os.close(inside)
    os.close(ends)


def no_process_left():
    raise BlockingIOError(11, "no process left")


def test_the_parent_ends_with_the_grader(tmp_path, until, alive):
    script = tmp_path / "die.py"
    script.write_text(
        "import os\n"
        "from grader.session import start_fork_server\n"
        "print(start_fork_server().pid, flush=True)\n"
        "os._exit(0)\n"
    )
    done = subprocess.run(
        [sys.executable, script],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )
    until(lambda: not alive(done.stdout.strip()))


def test_the_parent_holds_nothing_of_the_graders(parent):
    with opened(parent, "x = 1") as session:
        modules = Path(f"/proc/{parent.pid}/maps").read_text()
        environment = Path(f"/proc/{parent.pid}/environ").read_text()
        links = [str(link.readlink()) for link in Path(f"/proc/{parent.pid}/fd").iterdir()]
    assert "nbclient" not in modules
    assert "GRADE" not in environment
    porters = 1 if "namespaces" in session.isolation.applied else 0
    assert sum(link.startswith("socket:") for link in links) == 1 + porters


def parent_of(pid):
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


needs_direct_sandboxes = pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0 or not hasattr(os, "pidfd_open"),
    reason="a launcher stands between the spawner and its sandboxes",
)


@needs_direct_sandboxes
def test_the_first_process_of_a_sandbox_is_the_spawners_own_child(parent):
    with opened(parent, "x = 1") as session:
        if "namespaces" not in session.isolation.applied:
            pytest.skip("no namespaces here")
        assert parent_of(parent_of(session._runner.kernel.provisioner._first)) == parent.pid


@needs_direct_sandboxes
def test_all_that_a_notebook_started_ends_when_the_grader_closes_control(parent, until, alive):
    stubborn = """
import os, signal, time
for number in {*signal.valid_signals()} - {signal.SIGKILL, signal.SIGSTOP}:
    signal.signal(number, signal.SIG_IGN)
for _ in range(3):
    if os.fork() == 0:
        os.setsid()
        time.sleep(1000)
"""
    with opened(parent, stubborn) as session:
        provisioner = session._runner.kernel.provisioner
        if "namespaces" not in session.isolation.applied:
            pytest.skip("no namespaces here")
        pids = [provisioner.pid, provisioner._first, *descendants(provisioner.pid)]
        assert len(pids) >= 5
        provisioner._close_pipes()
        until(lambda: provisioner.poll_now() is not None)
        assert not any(map(alive, pids))
