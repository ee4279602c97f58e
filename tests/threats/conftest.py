"""A small assignment, hostile answers to it, and a host that is searched after every grading.

host.right(...), .half(...), .wrong(...)    a zip: the assignment filled in for 8, 5 or 0 points
host.grade(zip, ...)        the whole command; gives what its JSON says of each
attacks({title: source})    many hostile first cells over half-right answers, in one run of it:
                            an attack that gains or loses a point shows in a score that isn't 5
inside({title: body})       many hostile bodies of `mean_square` in right answers, in one run

Whatever is graded here, afterwards no process of it is alive, no file of it is left, nothing in
the home folder, the assignment or the folder of submissions has changed, and an honest answer
after them has its points.
"""

import ctypes
import hashlib
import json
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from grader.errors import SandboxError
from grader.session import require_sandbox

MAX = 8.0

TOML = """
id = "toy"
title = "Toy"

[limits]
{limits}

[rules]
forbidden_imports = ["scipy", "sklearn", "torch", "autograd"]
forbidden_calls = ["np.gradient"]

[[notebooks]]
file = "toy.ipynb"

[[exercises]]
id = "square"
title = "A mean of squares"
points = 2
notebook = "toy.ipynb"
functions = ["mean_square"]

[[exercises]]
id = "sigmoid"
title = "The logistic function"
points = 3
notebook = "toy.ipynb"
functions = ["sigmoid"]

[[exercises]]
id = "gradient"
title = "A cost and its gradient"
points = 3
notebook = "toy.ipynb"
functions = ["Model.cost", "Model.grad"]
"""

LIMITS = {"cell_s": 2, "notebook_s": 8, "check_s": 3, "output_mib": 1}

CHECKS = '''
"""The toy's checks. KEEP-secret-OUT stands here for whoever looks for it."""

import numpy as np
import pytest

from grader.checks import assert_close, assert_error_rate, assert_gradient, assert_unchanged


@pytest.mark.exercise("square", points=2)
def test_mean_of_squares(student, rng):
    """The mean of the squares."""
    x = rng.normal(size=9)
    seen = student.mean_square.observe(x.copy())
    if seen.error is not None:
        raise seen.error
    assert_close(seen.value, np.mean(x**2), called="mean_square(x)", noun="the mean")
    assert_unchanged(x, seen.arguments[0], called="mean_square(x)")


@pytest.mark.exercise("sigmoid", points=1)
def test_sigmoid_at_known_points(student):
    """sigmoid(-1), sigmoid(0), sigmoid(2)."""
    values = [0.2689414213699951, 0.5, 0.8807970779778823]
    got = student.sigmoid(np.array([-1.0, 0.0, 2.0]))
    assert_close(got, values, called="sigmoid(z)")

@pytest.mark.exercise("gradient", points=3)
def test_gradient_fits_the_cost(student, rng):
    """The cost is right, and so is its gradient."""
    x, y, w = rng.normal(size=(6, 3)), rng.normal(size=6), rng.normal(size=3)
    model = student.Model(x, y)
    assert_close(model.cost(w), np.mean((x @ w - y) ** 2), called="cost(w)", noun="the cost")
    assert_gradient(model.cost, model.grad, at=w, rng=rng, name="w", called="grad(w)")
    # The template's own `error` may say what it likes: this is computed here.
    fitted = w - 0.01 * np.ravel(model.grad(w))
    error = np.mean((x @ fitted - y) ** 2) - np.mean((x @ w - y) ** 2)
    assert error < 0
'''

HIDDEN_CHECKS = '''
"""The toy's hidden check. KEEP-secret-OUT stands here, too."""

import pytest

from grader.checks import assert_close


@pytest.mark.exercise("sigmoid", points=2, hidden=True)
def test_sigmoid_at_fresh_points(student, reference, rng):
    """As the solution has it."""
    z = rng.normal(size=(3, 4))
    assert_close(student.sigmoid(z), reference.sigmoid(z), called="sigmoid(z)")
'''

STUB_CELLS = (
    "import numpy as np",
    '''\
def mean_square(x):
    """Return the mean of the squares."""
    ### START YOUR CODE ###
    {mean_square}
    ### END YOUR CODE ###
''',
    '''\
def sigmoid(z):
    """Return 1 / (1 + exp(-z))."""
    ### START YOUR CODE ###
    {sigmoid}
    ### END YOUR CODE ###
''',
    """\
class Model:
    def __init__(self, x, y):
        self.x = x
        self.y = y

    def cost(self, w):
        ### START YOUR CODE ###
        {cost}
        ### END YOUR CODE ###

    def grad(self, w):
        ### START YOUR CODE ###
        {grad}
        ### END YOUR CODE ###

    def error(self, w):
        return np.mean(np.abs(self.x @ w - self.y))
""",
    "model = Model(np.eye(3), np.arange(3.0))\nprint(mean_square(np.arange(3.0)))",
)

# Before what would hurt the tester's own machine if nothing held: then it is said, not done.
CLOSED_IN = f"""
import os

def is_closed_in():
    if os.getuid() != {os.getuid()}:
        return True
    try:
        return os.readlink("/proc/self/ns/pid") != {str(Path("/proc/self/ns/pid").readlink())!r}
    except OSError:
        return False
"""

REFERENCE = {
    "mean_square": "return np.mean(x**2)  # KEEP-secret-OUT",
    "sigmoid": "return 1 / (1 + np.exp(-z))  # KEEP-secret-OUT",
    "cost": "return np.mean((self.x @ w - self.y) ** 2)",
    "grad": "return 2 * self.x.T @ (self.x @ w - self.y) / len(self.y)",
}
RIGHT = {
    "mean_square": "return (x * x).mean()",
    "sigmoid": "return 1.0 / (1.0 + np.exp(-z))",
    "cost": "return ((self.x @ w - self.y) ** 2).mean()",
    "grad": "return 2 * (self.x @ w - self.y) @ self.x / len(self.y)",
}
WRONG = {
    "mean_square": "return np.mean(x) + 7",
    "sigmoid": "return 0 * z - 3",
    "cost": "return 5.0 + np.sum(w)",
    "grad": "return 7 + 0 * w",
}
HALF = RIGHT | {"sigmoid": WRONG["sigmoid"]}


def cells_of(bodies, top=()):
    """The notebook's sources, hostile ones first. A body's lines stand at its gap's indent."""
    filled = {}
    for name, body in bodies.items():
        indent = " " * (8 if name in ("cost", "grad") else 4)
        filled[name] = textwrap.indent(textwrap.dedent(body).strip("\n"), indent).lstrip()
    return [
        *(textwrap.dedent(source).strip("\n") for source in top),
        *(cell.format(**filled) if "START" in cell else cell for cell in STUB_CELLS),
    ]


def notebook_of(sources, metadata=None):
    """An .ipynb's text."""
    cells = [
        {"cell_type": "code", "id": f"c{n}", "metadata": {}, "outputs": [],
         "execution_count": None, "source": source}
        for n, source in enumerate(sources)
    ]  # fmt: skip
    if metadata is None:
        metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3"}}
    return json.dumps({"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5})


@dataclass
class Graded:
    """What one run of the command said.

    report : its JSON; text : what it wrote for a person; submissions : by the zip's stem
    """

    report: dict
    text: str
    code: int
    submissions: dict = field(default_factory=dict)

    def __getitem__(self, name):
        return self.submissions[name]


class Host:
    """A machine that grades: its home, its temporary folder, its submissions, one assignment."""

    def __init__(self, root):
        self.root = root
        # In everything that a submission of this test may leave: a path, a name, an argument.
        self.mark = f"mark{secrets.token_hex(6)}"
        self.home = root / "home"
        self.handed_in = root / "handed in"
        self.assignments = root / "reference"
        self.tmp = Path(tempfile.mkdtemp(prefix=f"t-{self.mark}-"))
        self.tmp.chmod(0o1777)  # as /tmp is
        self.allowed = []  # what a test itself put where anybody may write
        for folder in (self.home / ".ssh", self.handed_in, self.assignments / "toy"):
            folder.mkdir(parents=True)
        (self.home / ".ssh" / "id_ed25519").write_text("KEEP-secret-OUT")
        (self.home / "notes.txt").write_text("KEEP-secret-OUT")
        self.write_assignment()

    # The assignment.

    def write_assignment(
        self, *, checks=CHECKS, hidden=HIDDEN_CHECKS, reference=REFERENCE, **limits
    ):
        """Write the toy; hidden : the text of hidden/test_toy.py, "" for none.

        Other `checks` bring their own hidden ones, or none.
        """
        hidden = "" if checks != CHECKS and hidden == HIDDEN_CHECKS else hidden
        folder = self.assignments / "toy"
        lines = "\n".join(f"{name} = {value}" for name, value in (LIMITS | limits).items())
        (folder / "assignment.toml").write_text(TOML.format(limits=lines))
        (folder / "test_toy.py").write_text(checks)
        (folder / "hidden").mkdir(exist_ok=True)
        (folder / "hidden" / "test_toy.py").write_text(hidden)
        (folder / "toy.ipynb").write_text(notebook_of(cells_of(reference)))

    # Submissions.

    def right(self, *top, name="right", files=None, **bodies):
        """A right answer; `top`: cells before it; files : {name: text or bytes} beside it."""
        return self.hand_in(name, cells_of(RIGHT | bodies, top), files)

    def half(self, *top, name="half", files=None, **bodies):
        """An answer whose sigmoid is wrong: 5 points."""
        return self.hand_in(name, cells_of(HALF | bodies, top), files)

    def wrong(self, *top, name="wrong", files=None, **bodies):
        """An answer that earns nothing by itself."""
        return self.hand_in(name, cells_of(WRONG | bodies, top), files)

    def hand_in(self, name, cells, files=None, metadata=None):
        path = self.handed_in / f"{name}.zip"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("toy.ipynb", notebook_of(cells, metadata))
            for file, content in (files or {}).items():
                archive.writestr(file, content)
        return path

    # Grading.

    def command(self, *paths, options=(), assignments=None):
        where = assignments or self.assignments
        # More processes than one would take longer to start than such a handful takes to grade.
        jobs = ("--jobs", "1") if len(paths) < 4 else ()
        return [
            *(sys.executable, "-m", "grader", *map(str, paths)),
            *("--assignments", str(where), "--assignment", "toy", "--json", "-", *jobs, *options),
        ]

    def environment(self, **more):
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "TMPDIR": str(self.tmp),
            "PYTHONDONTWRITEBYTECODE": "1",
            "GRADE_RESULTS": "none",
            **{k: v for k, v in os.environ.items() if k in ("LANG", "VIRTUAL_ENV", "PYTHONPATH")},
            **more,
        }

    def grade(self, *paths, **more):
        """Run the command on these paths; return what its JSON says, the host searched."""
        before = self.snapshot()
        graded = self.run(*paths, **more)
        self.hold_clean(before)
        return graded

    def run(self, *paths, code=0, options=(), timeout_s=300, environment=None, wrap=()):
        """Run the command on these paths; return what its JSON says."""
        done = subprocess.run(
            [*wrap, *self.command(*paths, options=options)],
            cwd=self.handed_in,
            env=self.environment(**(environment or {})),
            capture_output=True,
            text=True,
            timeout=timeout_s,
        )
        text = done.stderr
        assert done.returncode == code, f"{done.returncode}\n{text}\n{done.stdout[-3000:]}"
        report = json.loads(done.stdout)
        stems = [Path(s["path"]).stem for s in report["submissions"]]
        assert len(set(stems)) == len(stems)
        return Graded(
            report, text, done.returncode, dict(zip(stems, report["submissions"], strict=True))
        )

    # What is left.

    def snapshot(self):
        """What is in the folders that nobody may write to: {path: (mode, content)}."""
        found = {}
        for folder in (self.home, self.handed_in, self.assignments):
            for path in folder.rglob("*"):
                state = path.lstat()
                content = ""
                if path.is_file() and not path.is_symlink():
                    content = hashlib.sha256(path.read_bytes()).hexdigest()
                found[str(path.relative_to(self.root))] = (state.st_mode, content)
        return found

    def hold_clean(self, before):
        assert self.snapshot() == before
        assert self.processes() == []
        assert [path.name for path in self.tmp.iterdir()] == []
        assert self.marked_files() == []

    def processes(self, patience_s=5.0):
        """What is alive of this test's gradings; what was killed gets a moment to be gone."""
        end = time.monotonic() + patience_s
        while alive := [*self._marked_processes(), *orphans()]:
            if time.monotonic() > end:
                return alive
            time.sleep(0.05)
        return []

    def _marked_processes(self):
        mark = self.mark.encode()
        found = []
        for folder in Path("/proc").iterdir():
            if not folder.name.isdigit() or int(folder.name) == os.getpid():
                continue
            try:
                if (folder / "stat").read_text("ascii", "replace").rpartition(")")[2].split()[
                    0
                ] in "ZX":
                    continue
                texts = [(folder / name).read_bytes() for name in ("cmdline", "environ")]
            except OSError:
                continue
            if any(mark in text for text in texts):
                found.append((int(folder.name), texts[0].replace(b"\0", b" ")[:200]))
        return found

    def marked_files(self):
        """Files of this test where anybody may write."""
        places = [Path(p) for p in ("/tmp", "/var/tmp", "/dev/shm", "/run", "/", Path.home())]
        return [
            str(path)
            for place in places
            if place.is_dir()
            for path in place.glob(f"*{self.mark}*")
            if path not in (self.tmp, self.root, *self.allowed)
        ]

    def close(self):
        for pid in [pid for pid, _ in self._marked_processes()] + orphans():
            try:
                os.kill(pid, signal.SIGKILL)
            except (ProcessLookupError, PermissionError):
                continue
        shutil.rmtree(self.tmp, ignore_errors=True)
        for file in self.marked_files():
            path = Path(file)
            if path.is_file():
                path.unlink()


# --- processes that lost their parents --------------------------------------------------------

PR_SET_CHILD_SUBREAPER = 36


@pytest.fixture(scope="session", autouse=True)
def reaper():
    """Make this process the parent of what the command leaves behind, whatever it calls itself."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def orphans():
    """The live processes that became ours; those that have ended are reaped."""
    children = []
    for task in Path("/proc/self/task").glob("*/children"):
        children += [int(pid) for pid in task.read_text().split()]
    alive = []
    for pid in children:
        try:
            if os.waitpid(pid, os.WNOHANG) == (0, 0):
                alive.append(pid)
        except ChildProcessError:
            continue
    return alive


# --- fixtures -----------------------------------------------------------------------------------


@pytest.fixture
def host(tmp_path):
    """A Host of this test's own."""
    made = Host(tmp_path)
    yield made
    made.close()


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    """A Host that a whole module shares."""
    made = Host(tmp_path_factory.mktemp("toy"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def attacks(toy):
    """attacks({title: source or sources}) -> {title: verdict}, of one run of the command.

    Each is a half-right answer (5 points) under hostile first cells.
    """

    def grade(sources, *, files=None, options=(), **limits):
        toy.write_assignment(**limits)
        paths = {}
        for n, (title, top) in enumerate(sources.items()):
            top = [top] if isinstance(top, str) else top
            paths[title] = toy.half(*top, name=zip_name(n, title), files=files)
        return grade_together(toy, paths, options)

    return grade


@pytest.fixture(scope="module")
def inside(toy):
    """inside({title: body}) -> {title: verdict}, of one run of the command.

    Each is a right answer but for the hostile body of `mean_square` (2 of its 8 points).
    """

    def grade(bodies, *, top=(), options=(), **limits):
        toy.write_assignment(**limits)
        paths = {
            title: toy.right(*top, name=zip_name(n, title), mean_square=body)
            for n, (title, body) in enumerate(bodies.items())
        }
        return grade_together(toy, paths, options)

    return grade


def zip_name(number, title):
    return f"{number:02}-" + re.sub(r"\W+", "-", title)[:60].strip("-")


def grade_together(host, paths, options=()):
    """Grade paths by title, an honest answer after them; return the verdicts by title."""
    graded = host.grade(*paths.values(), host.right(name="honest"), options=options, timeout_s=900)
    assert graded["honest"]["score"] == MAX
    return {title: graded[path.stem] for title, path in paths.items()}


@pytest.fixture(scope="session")
def graded_together():
    """graded_together(host, {title: path}, options=()) -> {title: verdict}, of one run."""
    return grade_together


@pytest.fixture(scope="session")
def points():
    """points(submission) -> {exercise id: points}."""
    return lambda submission: {e["id"]: e["points"] for e in submission["exercises"]}


@pytest.fixture(scope="session")
def messages():
    """messages(submission) -> {exercise id: what its failed checks say}."""

    def of(submission):
        return {
            exercise["id"]: "\n".join(
                check["message"] for check in exercise["checks"] if check["outcome"] != "passed"
            )
            for exercise in submission["exercises"]
        }

    return of


@pytest.fixture(scope="session")
def notes():
    """notes(submission) -> {kind: text of all notes of that kind}."""

    def of(submission):
        texts = {}
        for note in submission["notes"]:
            texts.setdefault(note["kind"], []).append(note["message"])
        return {kind: "\n".join(lines) for kind, lines in texts.items()}

    return of


@pytest.fixture(scope="session")
def sandbox():
    """Skip where this machine lacks a layer of the sandbox: what that stops would happen."""
    try:
        require_sandbox("strict")
    except SandboxError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def closed_in(sandbox):
    """Source that defines is_closed_in(): ask it before what would hurt this very machine."""
    return CLOSED_IN


@pytest.fixture(scope="session")
def notebook_text():
    """notebook_text(sources, metadata=None) -> the text of an .ipynb."""
    return notebook_of


@pytest.fixture(scope="session")
def solution():
    """solution("right", "half" or "wrong", **bodies) -> the toy's sources, filled in."""

    def sources(kind, *top, **bodies):
        return cells_of({"right": RIGHT, "half": HALF, "wrong": WRONG}[kind] | bodies, top)

    return sources
