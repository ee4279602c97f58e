"""Honest notebooks work closed in, and what takes too much is ended with its limit named."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from grader.errors import StudentDied, StudentError
from grader.session.processes import descendants

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the sandbox is Linux's")


def statuses(session):
    return [(cell.status, cell.error) for cell in session.run.cells]


def printed(session):
    """What each cell printed."""
    return [
        "".join(str(out["text"]) for out in cell.outputs if out["output_type"] == "stream")
        for cell in session.run.cells
    ]


# --- honest notebooks -----------------------------------------------------------------------


def test_the_session_says_what_closes_it_in(run):
    isolation = run("x = 1").isolation
    assert {"limits", "privileges"} <= set(isolation.applied)
    assert (isolation.line() == "") == (not isolation.missing)


def test_no_sandbox_is_no_sandbox(run):
    session = run("import os\nprint(os.getpid() > 2)", sandbox="none")
    assert printed(session) == ["True\n"]
    assert session.isolation.applied == ()


@pytest.mark.parametrize("sandbox", ["auto", "none"])
def test_a_notebook_of_a_course_runs_closed_in_as_it_does_without(run, tmp_path, sandbox):
    folder = tmp_path / "with data"
    folder.mkdir()
    (folder / "points.csv").write_text("x,y\n0,1\n1,3\n2,5\n")
    session = run(
        "import matplotlib.pyplot as plt\nimport numpy as np\n"
        "plt.plot(np.arange(3))\nplt.title('A title')\nplt.show()",
        "from sklearn.linear_model import LinearRegression\n"
        "x = np.arange(6.0).reshape(-1, 1)\n"
        "print(round(LinearRegression().fit(x, 2 * x + 1).predict([[10.0]])[0, 0]))",
        "print(np.genfromtxt('points.csv', delimiter=',', skip_header=1)[:, 1].sum())",
        "import tempfile\nwith tempfile.NamedTemporaryFile() as file:\n"
        "    np.save(file, x)\n    file.seek(0)\n    print(np.load(file).shape)",
        "np.save('mine.npy', x)\nopen('/tmp/hard-coded-by-grade-test', 'w').write('x')\n"
        "import os; os.remove('/tmp/hard-coded-by-grade-test')",
        "from multiprocessing import Pool\nwith Pool(2) as pool:\n"
        "    print(pool.map(abs, [-1, 2]))",
        "%timeit -n 1 -r 1 np.ones(3).sum()",
        "import warnings\nwarnings.warn('mind this')",
        "a = np.random.rand(300, 300)\nprint((a @ a).shape)",
        "import subprocess\nprint(subprocess.run(['echo', 'shell'], capture_output=True).stdout)",
        "import threading\n"
        "t = threading.Thread(target=print, args=('thread',))\nt.start(); t.join()",
        folder=folder,
        sandbox=sandbox,
    )
    assert [text for text in statuses(session) if text[0] != "ok"] == []
    out = printed(session)
    assert out[1] == "21\n"
    assert out[2] == "9.0\n"
    assert out[3] == "(6, 1)\n"
    assert out[5] == "[1, 2]\n"
    assert out[9] == "b'shell\\n'\n"
    assert out[10] == "thread\n"


def test_pandas_reads_what_was_handed_in(run, tmp_path):
    pytest.importorskip("pandas")
    (tmp_path / "points.csv").write_text("x,y\n0,1\n1,3\n")
    session = run("import pandas as pd\nprint(pd.read_csv('points.csv').y.sum())", folder=tmp_path)
    assert printed(session) == ["4\n"]


def test_what_subprocesses_print_is_kept(run):
    session = run(
        "from multiprocessing import Process\ndef work():\n    print('from below')\n"
        "p = Process(target=work)\np.start()\np.join()\nimport time\ntime.sleep(0.3)"
    )
    assert printed(session) == ["from below\n"]


def test_what_the_notebook_writes_never_reaches_what_was_handed_in(run, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    run("open('notes.txt', 'w').write('changed')\nopen('new', 'w').close()", folder=tmp_path)
    assert (tmp_path / "notes.txt").read_text() == "mine"
    assert not (tmp_path / "new").exists()


# --- limits, named --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "error"),
    [
        ("x = bytearray(2 << 30)", "MemoryError: used more than 1024 MiB of memory"),
        (
            "f = open('big', 'wb')\nwhile True:\n    f.write(bytes(2**20))",
            "OSError: [Errno 27] File too large (wrote more than 64 MiB)",
        ),
        (
            "n = 0\nwhile True:\n    n += 1\n    open(str(n), 'wb').write(bytes(2**20))",
            "OSError: [Errno 28] No space left on device (wrote more than 64 MiB)",
        ),
        (
            "fs = []\nwhile True:\n    fs.append(open('/dev/null'))",
            "OSError: [Errno 24] Too many open files: '/dev/null' (opened more than 100 files)",
        ),
        (
            "import threading, time\nfor _ in range(100):\n"
            "    threading.Thread(target=time.sleep, args=(1,)).start()",
            "RuntimeError: can't start new thread (started more than 40 processes and threads)",
        ),
    ],
    ids=["memory", "file", "folder", "descriptors", "threads"],
)
def test_an_error_names_the_limit(run, source, error):
    session = run(source, memory_mib=1024, scratch_mib=64, open_files=100, processes=40)
    if "namespaces" in session.isolation.missing:
        pytest.skip("without namespaces others count as well")
    assert statuses(session) == [("error", error)]


GREEDY = """
import os, time
def greedy():
    # Each by itself has less than the limit; together they have more.
    for _ in range(5):
        if os.fork() == 0:
            kept = bytearray(os.urandom(1024)) * (150 * 1024)
            time.sleep(30)
            os._exit(0)
    time.sleep(30)
"""


def test_the_memory_of_a_whole_tree_is_limited_in_a_cell(run):
    session = run(GREEDY, "greedy()", "y = 1", memory_mib=512)
    assert session.run.cells[1].status == "crashed"
    assert session.run.cells[1].error == "used more than 512 MiB of memory"
    assert [cell.status for cell in session.run.cells] == ["ok", "crashed", "ok"]
    assert any("cell 1: used more than 512 MiB of memory" in n.message for n in session.run.notes)


def test_the_memory_of_a_whole_tree_is_limited_in_a_check(run):
    session = run(GREEDY, memory_mib=512)
    with session.student() as student, pytest.raises(StudentDied, match="used more than 512 MiB"):
        student.greedy()
    with session.student() as student:
        assert student.has("greedy")


def test_a_check_that_takes_all_memory_fails_with_the_limit(run):
    session = run("def f(n):\n    return len(bytearray(n))", memory_mib=512)
    with session.student() as student:
        with pytest.raises(StudentError, match="used more than 512 MiB of memory"):
            student.f(600 << 20)
        assert student.f(10) == 10


def test_nothing_is_left_when_the_grader_dies(tmp_path, until):
    script = tmp_path / "die.py"
    script.write_text(
        "import os\n"
        "from grader import records\n"
        "from grader.session import open_session\n"
        "from grader.session.processes import descendants\n"
        "cell = records.Cell(0, 'code', 'import os\\nif os.fork() == 0:\\n    os.setsid()\\n'\n"
        "                    '    import time\\n    time.sleep(1000)')\n"
        "s = open_session(records.Notebook('a.ipynb', (cell,)), folder=None,"
        " limits=records.Limits())\n"
        "print(*descendants(os.getpid()), flush=True)\n"
        "input()\n"
        "os._exit(0)\n"
    )
    with subprocess.Popen(
        [sys.executable, script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(tmp_path)},  # nobody is left to delete its folders
    ) as grader:
        started = grader.stdout.readline().split()
        assert len(started) >= 3
        assert all(tmp_path.name in command(pid) for pid in started)
        grader.communicate("\n", timeout=60)
    until(lambda: not any(tmp_path.name in command(pid) for pid in started))


def command(pid):
    """What a process runs; by now the number may be another one's, on a busy machine."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


def test_a_check_leaves_no_process_behind(run, until):
    session = run(
        "import os, time\n"
        "def spawn():\n"
        "    if os.fork() == 0:\n"
        "        os.setsid()\n"
        "        if os.fork() == 0:\n"
        "            time.sleep(1000)\n"
        "        os._exit(0)\n"
        "    os.wait()\n"
    )
    launcher = session._runner.kernel.provisioner.pid
    before = descendants(launcher)
    with session.student() as student:
        student.spawn()
        assert len(descendants(launcher)) == len(before) + 2
    # The check itself waits to be reaped until the next one.
    until(lambda: len(descendants(launcher)) <= len(before) + 1)
