"""A toy assignment and a class that answered it, graded by the whole command.

klass(n)            n zips; every third of them lacks the mean, and has 2 of 6 points
klass.grade(...)    runs the command; gives its JSON
dask                a cluster of two workers, on this machine
"""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

from grader.session.guard import NAME as GUARD

TOML = """\
id = "toy"
title = "Toy"

[limits]
cell_s = 30
check_s = 10

[[notebooks]]
file = "toy.ipynb"

[[exercises]]
id = "a"
title = "Mean square"
points = 4
notebook = "toy.ipynb"
functions = ["mean_square"]

[[exercises]]
id = "b"
title = "Double"
points = 2
notebook = "toy.ipynb"
functions = ["double"]
"""
CHECKS = """\
import numpy as np
import pytest

from grader.checks import assert_close


@pytest.mark.exercise("a", points=4)
def test_mean_of_squares(student, rng):
    p = rng.normal(size=7)
    assert_close(student.mean_square(p, 0 * p), np.mean(p * p), called="mean_square(p, y)")
"""
HIDDEN_CHECKS = """\
import pytest

from grader.checks import assert_close


@pytest.mark.exercise("b", points=2, hidden=True)
def test_double(student, reference):
    assert_close(student.double(3.0), reference.double(3.0), called="double(x)")
"""
CELLS = """\
import numpy as np
#---
def mean_square(p, y):
    ### START YOUR CODE ###
    {mean_square}
    ### END YOUR CODE ###
#---
def double(x):
    ### START YOUR CODE ###
    {double}
    ### END YOUR CODE ###
#---
{more}
"""
MODULE = ["-m", "grader"]
RIGHT = {"mean_square": "return ((p - y) ** 2).mean()", "double": "return 2 * x", "more": ""}
SUM = {"mean_square": "return ((p - y) ** 2).sum()"}


def notebook(**bodies):
    """The text of an .ipynb, its gaps filled in right but for `bodies`."""
    sources = CELLS.format(**(RIGHT | bodies)).split("#---\n")
    cells = [
        {"cell_type": "code", "id": f"c{n}", "metadata": {}, "execution_count": None,
         "outputs": [], "source": source}
        for n, source in enumerate(sources)
    ]  # fmt: skip
    return json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5})


def regrade_with_another_check(klass):
    """What `grade regrade` says after the hidden check asks for one more than twice the number."""
    file = klass.reference / "toy" / "hidden" / "test_toy.py"
    file.write_text(file.read_text().replace("reference.double(3.0)", "reference.double(3.0) + 1"))
    done = subprocess.run(
        [*(sys.executable, *MODULE), *("regrade", "--lower", "it is 7", "--jobs", "1")],
        env=dict(klass.environment, GRADE_ASSIGNMENTS=str(klass.reference)),
        cwd=klass.root,
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr
    return done.stderr


class Class:
    """The assignment and who handed it in; `results` is the file of results."""

    def __init__(self, root):
        self.root = root
        self.reference = root / "reference"
        self.handed_in = root / "handed in"
        self.results = root / "results.sqlite"
        self.tmp = root / "tmp"
        toy = self.reference / "toy"
        for folder in (toy, self.handed_in, self.tmp):
            folder.mkdir(parents=True)
        (toy / "assignment.toml").write_text(TOML)
        (toy / "toy.ipynb").write_text(notebook())
        (toy / "test_toy.py").write_text(CHECKS)
        (toy / "hidden").mkdir()
        (toy / "hidden" / "test_toy.py").write_text(HIDDEN_CHECKS)

    def hand_in(self, name, **bodies):
        """A zip with a notebook, its gaps filled in right but for `bodies`."""
        path = self.handed_in / f"{name}.zip"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("toy.ipynb", notebook(**bodies))
        return path

    def fill(self, count, *, more=""):
        """As many zips, each with a notebook of its own."""
        for n in range(count):
            wrong = SUM if n % 3 == 0 else {}
            self.hand_in(f"Meier_{chr(65 + n)}x", more=f"def own(): return {n}\n{more}", **wrong)

    def add_to_checks(self, text):
        with (self.reference / "toy" / "test_toy.py").open("a") as file:
            file.write(text)

    def limit(self, name, value):
        """Change a limit of the assignment."""
        file = self.reference / "toy" / "assignment.toml"
        file.write_text(
            re.sub(rf"^{name} = .*$", f"{name} = {value}", file.read_text(), flags=re.M)
        )

    def command(self, *options, paths=None, first=""):
        """first : Python that is run before"""
        run = ["-c", f"{first}\nfrom grader.cli import main; main()"] if first else MODULE
        return [
            *(sys.executable, *run, *map(str, paths or [self.handed_in])),
            *("--assignments", str(self.reference), *options),
        ]

    @property
    def environment(self):
        return dict(os.environ, GRADE_RESULTS=str(self.results), TMPDIR=str(self.tmp))

    def start(self, *options, paths=None, first=""):
        """The command, running; its output in pipes."""
        return subprocess.Popen(
            self.command(*options, paths=paths, first=first),
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def grade(self, *options, code=0, paths=None, first=""):
        """Run the command; return (its JSON as text, what it wrote on standard error)."""
        done = subprocess.run(
            self.command("--json", "-", *options, paths=paths, first=first),
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == code, f"{done.returncode}\n{done.stderr}"
        return done.stdout, done.stderr

    def workers(self, of):
        """The grading processes of a running command, by their numbers."""
        # Forks of it have its words; its guard is one, too.
        return [
            pid
            for pid in children(of.pid)
            if words(pid) == words(of.pid) != b"" and words(pid, "comm").strip() != GUARD.encode()
        ]

    def processes(self, patience_s=15.0):
        """What is alive of this class's gradings; what was ended gets a moment to be gone."""
        end = time.monotonic() + patience_s
        mark = os.fsencode(self.tmp)
        while alive := [
            (pid, words(pid)[:200])
            for pid in map(int, filter(str.isdigit, os.listdir("/proc")))  # noqa: PTH208
            if pid != os.getpid() and (mark in words(pid) or mark in words(pid, "environ"))
        ]:
            if time.monotonic() > end:
                return alive
            time.sleep(0.05)
        return []


def children(pid):
    """The processes that a process started, as far as they live."""
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        try:
            found += map(int, (task / "children").read_text().split())
        except OSError:
            continue
    return found


def words(pid, file="cmdline"):
    try:
        # A process of another test may have a name that is no text.
        if Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0] in b"ZX":
            return b""
        return Path(f"/proc/{pid}/{file}").read_bytes()
    except OSError:
        return b""


WITHOUT_THIS_PACKAGE = "sys.modules['grader'] = None"


class Dask:
    """A scheduler, and two workers below one process that starts them anew when they end.

    The scheduler has dask alone; the workers have this package, and no files.
    """

    def __init__(self, tmp, workers=True):
        self.tmp = tmp
        self.file = tmp / "scheduler.json"
        self.processes = []
        self.scheduler = self.start("scheduler", "--host", "127.0.0.1", "--port", "0",
                                    "--scheduler-file", str(self.file),
                                    first=WITHOUT_THIS_PACKAGE)  # fmt: skip
        end = time.monotonic() + 60
        while not self.file.is_file():
            assert time.monotonic() < end, "no scheduler"
            time.sleep(0.05)
        self.nanny = self.add("--nworkers", "2") if workers else None

    def add(self, *options, first=""):
        """A process that is a worker, or that starts several; first : what it does before."""
        return self.start("worker", "--scheduler-file", str(self.file), "--nthreads", "1",
                          "--host", "127.0.0.1", *options, first=first)  # fmt: skip

    def start(self, kind, *options, first=""):
        words = [f"dask-{kind}", "--no-dashboard", *options]
        process = subprocess.Popen(
            [sys.executable, "-P", "-c", f"import sys; sys.argv[:] = {words!r}\n{first}\n"
             f"from distributed.cli.dask_{kind} import main; main()"],
            cwd=self.tmp, env=dict(os.environ, TMPDIR=str(self.tmp)),
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        self.processes.append(process)
        return process

    def graders(self, below=None):
        """The processes that grade: {number: that of the dask worker}."""
        found = {}
        for worker in [below] if below else alive_children(self.nanny.pid):
            waiting = [worker]
            while waiting:
                pid = waiting.pop()
                waiting += alive_children(pid)
                if b"grader.batch.worker" in words(pid):
                    found[pid] = worker
        return found

    def close(self):
        # Not in good order, which takes dask up to half a minute.
        for process in reversed(self.processes):
            below = alive_children(process.pid)
            process.kill()
            process.wait()
            for pid in below:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


def alive_children(pid):
    try:
        return children(pid)
    except OSError:
        return []


def plain(report):
    """A JSON report's text without its times."""
    document = json.loads(report)
    for submission in document["submissions"]:
        for exercise in submission["exercises"]:
            for check in exercise["checks"]:
                check["seconds"] = 0.0
    return json.dumps(document, indent=2)


@pytest.fixture
def klass(tmp_path):
    made = Class(tmp_path)
    yield made
    for pid, _ in made.processes(patience_s=0.0):
        os.kill(pid, signal.SIGKILL)


@pytest.fixture
def without_times():
    return plain


@pytest.fixture(scope="session")
def dask(tmp_path_factory):
    pytest.importorskip("distributed")
    made = Dask(tmp_path_factory.mktemp("dask"))
    yield made
    made.close()
